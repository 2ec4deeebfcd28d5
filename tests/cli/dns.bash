# A name server for the suites: load helper, then load dns.
# shellcheck disable=SC2154 # of helper

# name_server: knows every name but those that begin with "silent", which it says nothing about, and "no", which do not
# exist, nor, until there is a file dns.late, those that begin with "late"; programs ask it. Whoever is asked about is
# printed.
name_server() {
	command -v python3 >/dev/null || skip "no python3"
	start dns python3 -u -c '
import os, socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])
while True:
    q, who = s.recvfrom(512)
    end = q.index(b"\0", 12) + 5
    name, kind = q[13:13 + q[12]], struct.unpack(">H", q[end - 4:end - 2])[0]
    print(name.decode())
    if name.startswith(b"silent"): continue
    no = name.startswith(b"no") or name.startswith(b"late") and not os.path.exists(sys.argv[1])
    yes = kind == 1 and not no
    a = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + socket.inet_aton("127.0.0.1") if yes else b""
    head = struct.pack(">HHHHH", 0x8183 if no else 0x8180, 1, yes, 0, 0)
    s.sendto(q[:2] + head + q[12:end] + a, who)
' "$BATS_TEST_TMPDIR/dns.late"
	wait_until test -s "$BATS_TEST_TMPDIR/dns.out"
	export SNET_DNS
	SNET_DNS=127.0.0.1:$(head -n 1 "$BATS_TEST_TMPDIR/dns.out")
}

# "silent" asks for silent-SIGNAL..., which is never answered, and ends by that signal, after the others.
ends_while_it_asks() {
	local before s
	wait_until grep -q "^silent-$1" "$BATS_TEST_TMPDIR/dns.out"
	before=$SECONDS
	for s in "${@:2}" "$1"; do
		kill -s "$s" "${pid[silent]}"
	done
	finish silent
	[ "$status" -eq 0 ] && [ $((SECONDS - before)) -le 4 ] && ! has_event silent listening
}

# listens_at_names MAKE: MAKE NAME sets the array command to a program that listens at the host NAME, with its arguments.
# It binds what the name stands for, fails for a name that is unknown, and can be ended while it asks.
listens_at_names() {
	local signal
	"$1" here.example.test
	start_ready here "${command[@]}"
	[[ $(jq -r 'select(.event == "listening").address' "$BATS_TEST_TMPDIR/here.out") == *"//127.0.0.1:"* ]]
	quit here
	[ "$status" -eq 0 ]
	for signal in TERM INT; do
		"$1" "silent-$signal.example.test"
		start silent "${command[@]}"
		ends_while_it_asks "$signal" USR1
	done
	"$1" no.example.test
	run --separate-stderr "${command[@]}"
	failed_with 4 cannot_resolve
	[[ $(jq -r .text <<<"${lines[-1]}") == *"no.example.test"* ]]
}
