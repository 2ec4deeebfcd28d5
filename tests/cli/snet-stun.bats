load helper
load dns

# A server with two addresses, both in $addr and $addr2.
serve() {
	start_ready "$1" snet-stun --serve 127.0.0.1:0 --serve 127.0.0.2:0
	addr2=$(jq -r 'select(.event == "listening").address' "$BATS_TEST_TMPDIR/$1.out" | sed -n 2p)
}

# A field of the event, of what run has printed.
field() {
	jq -r "select(.event == \"$1\").$2" <<<"$output"
}

# Who answers as the command says, on a port that is printed first.
mock() {
	command -v python3 >/dev/null || skip "no python3"
	start "$1" python3 -c "
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('127.0.0.1', 0))
print(s.getsockname()[1], flush=True)
def attr(t, b): return struct.pack('>HH', t, len(b)) + b + bytes(-len(b) % 4)
def mapped(ip, port): return attr(1, struct.pack('>BBH', 0, 1, port) + socket.inet_aton(ip))
def answer(q, kind, body): return struct.pack('>HH', kind, len(body)) + q[4:20] + body
while True:
    q, who = s.recvfrom(2048)
    for a in ($2):
        s.sendto(a, who)
"
	wait_until test -s "$BATS_TEST_TMPDIR/$1.out"
	port=$(head -n 1 "$BATS_TEST_TMPDIR/$1.out")
}

@test "a server tells what it saw: one line for it, one verdict, and nothing on stderr" {
	start_ready server snet-stun --serve 127.0.0.1:0
	run --separate-stderr snet-stun "$addr"
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	[ "${#lines[@]}" -eq 2 ]
	[ "$(field stun.mapped server)" = "$addr" ]
	[ "stun:$(field stun.mapped address)" = "$addr" ]
	[ "$(field stun.mapped mapped)" = "$(field stun.mapped local)" ]
	# as often as RFC 8489 says, once when the answer comes before it would be asked again
	jq -es 'map(select(.event == "stun.mapped") | .requests == 1 or .rtt_us >= 500000) | length == 1 and all' <<<"$output"
	[ "$(field stun.mapped rtt_us)" -lt 5000000 ]
	[ "$(field stun.nat nat)" = public ]
	[ "$(field stun.nat mapping)" = unknown ]
	[ "$(field stun.nat port_preserved)" = true ]
	[[ $(field stun.nat evidence) == *" sees 127.0.0.1:"* ]]
}

@test "a server with two addresses is asked about mapping and filtering" {
	serve server
	run --separate-stderr snet-stun --nat "$addr"
	[ "$status" -eq 0 ]
	[ "stun:$(field stun.mapped other)" = "$addr2" ]
	[ "$(field stun.nat nat)" = open ]
	[ "$(field stun.nat mapping)" = endpoint-independent ]
	[ "$(field stun.nat filtering)" = endpoint-independent ]
	[ "$(field stun.nat evidence | grep -o 'it is heard' | wc -l)" -eq 2 ]
}

@test "the address to ask from is kept, and asked again from" {
	serve server
	run --separate-stderr snet-stun -b 127.0.0.3:0 "$addr"
	[ "$status" -eq 0 ]
	[[ $(field stun.mapped mapped) == 127.0.0.3:* ]]
	start again snet-stun --every 50ms "$addr"
	wait_until eval '[ "$(grep -c stun.mapped "$BATS_TEST_TMPDIR/again.out")" -ge 3 ]'
	quit again
	[ "$status" -eq 0 ]
	[ "$(jq -r 'select(.event == "stun.mapped").mapped' "$BATS_TEST_TMPDIR/again.out" | sort -u | wc -l)" -eq 1 ]
}

@test "a silent server delays neither the others nor the verdict" {
	mock silent ""
	serve server
	start ask snet-stun -t 1m "127.0.0.1:$port" "$addr"
	wait_event ask stun.nat
	[ "$(jq -r .answered <<<"$event")" -eq 1 ]
	[ "$(jq -r .servers <<<"$event")" -eq 2 ]
	[ "$(jq -r .mapping <<<"$event")" = endpoint-independent ]
	kill -0 "${pid[ask]}" # and still waits for the other
	quit ask
}

@test "a server that is not there is said at once, and is no end of the program" {
	serve server
	run --separate-stderr snet-stun -t 1m 127.0.0.1:1 "$addr"
	[ "$status" -eq 0 ]
	[ "$(field error reason)" = unreachable ]
	[ "$(field error fatal)" = false ]
	[[ $stderr == *"127.0.0.1:1"* ]]
	run --separate-stderr snet-stun no-such-host.invalid "$addr"
	[ "$status" -eq 0 ]
	[ "$(field error reason)" = cannot_resolve ]
}

@test "when nobody answers the exit status says so" {
	mock silent ""
	run --separate-stderr snet-stun -t 200ms "127.0.0.1:$port"
	failed_with 4 unreachable
	[ "$(field stun.nat nat)" = blocked ]
	[[ $stderr == *"no answer within 200ms"* ]]
}

@test "servers that see different addresses mean a symmetric NAT" {
	mock one "answer(q, 0x101, mapped('192.0.2.1', 1111)),"
	one=$port
	mock two "answer(q, 0x101, mapped('192.0.2.1', 2222)),"
	run --separate-stderr snet-stun "127.0.0.1:$one" "127.0.0.1:$port"
	failed_with 1 not_supported
	[ "$(field stun.nat nat)" = symmetric ]
	[ "$(field stun.nat mapping)" = address-and-port-dependent ]
	[ "$(field stun.nat port_preserved)" = false ]
}

@test "what is no answer is not taken for one" {
	# of another transaction, cut, with a lying length, an indication, noise; then an error
	mock liar "q, b'', answer(q[:4] + q[8:20] + b'xxxx', 0x101, mapped('6.6.6.6', 6)),
		answer(q, 0x101, mapped('6.6.6.6', 6))[:-1], answer(q, 0x101, b'\x00\x01\xff\xff'),
		answer(q, 0x11, mapped('6.6.6.6', 6)), b'\x00' * 600, b'GET / HTTP/1.0',
		answer(q, 0x111, attr(9, b'\x00\x00\x05\x00\x1b[31mbusy'))"
	run --separate-stderr snet-stun "127.0.0.1:$port"
	failed_with 4 unreachable
	[[ $output != *6.6.6.6* ]]
	[[ $stderr == *"error 500 ?[31mbusy"* ]]
}

@test "what is silent for long is found dead or alive" {
	serve server
	run --separate-stderr snet-stun --lifetime 600ms "$addr"
	[ "$status" -eq 0 ]
	[ "$(field stun.nat lived_ms | xargs)" = "null 600" ] # a verdict at once, another with it
	[ "$(field stun.nat gone_ms | xargs)" = "null null" ]
}

@test "-H is a report for people" {
	serve server
	run --separate-stderr snet-stun -H --nat "$addr" 127.0.0.1:1
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "UDP over IPv4" ]
	grep -qE '^  NAT +open$' <<<"$output"
	grep -qE '^  mapping +endpoint-independent$' <<<"$output"
	grep -qE "^  servers +$addr .*: [0-9.]+ ms, sees 127.0.0.1:" <<<"$output"
	grep -qE "127.0.0.1:1 .*: cannot reach$" <<<"$output"
	[[ $output != *'{'* ]]
}

@test "both families have a verdict each" {
	start_ready server snet-stun --serve '[::1]:0' --serve 127.0.0.1:0 || skip "no IPv6 here"
	all=$(jq -r 'select(.event == "listening").address' "$BATS_TEST_TMPDIR/server.out")
	run --separate-stderr snet-stun $all
	[ "$status" -eq 0 ]
	[ "$(field stun.nat family | sort | xargs)" = "ipv4 ipv6" ]
	[[ $(field stun.mapped mapped) == *"[::1]:"* ]]
	run --separate-stderr snet-stun -6 $all
	[ "$(field stun.nat family)" = ipv6 ]
}

@test "a server at every address answers from the one it was asked at" {
	start_ready server snet-stun -4 --serve :0
	[[ $addr != *0.0.0.0* ]]
	snet-stun "$addr"
	run --separate-stderr snet-stun "127.0.0.5:${addr##*:}"
	[ "$status" -eq 0 ]
	[[ $(field stun.mapped mapped) == 127.0.0.1:* ]]
}

@test "a server answers who asks, counts what it drops, and ends when told to" {
	start_ready server snet-stun --serve 127.0.0.1:0
	for payload in '' x GET "$(head -c 600 /dev/zero | tr '\0' A)"; do
		printf '%s' "$payload" >"/dev/udp/127.0.0.1/${addr##*:}"
	done
	printf '\x00\x01\x00\x04\x21\x12\xa4\x42abcdefghijkl' >"/dev/udp/127.0.0.1/${addr##*:}"
	run snet-stun "$addr"
	[ "$status" -eq 0 ]
	kill -USR1 "${pid[server]}"
	wait_event server stats
	[ "$(jq -r .sent_messages <<<"$event")" -ge 1 ]
	[ "$(jq -r .sent_messages <<<"$event")" -le "$(field stun.mapped requests)" ]
	[ "$(jq -r .dropped_messages <<<"$event")" -ge 1 ]
	quit server
	[ "$status" -eq 0 ]
}

@test "a server at a name looks it up, says when it is unknown, and can be ended while it asks" {
	name_server
	start_ready server snet-stun --serve here.example.test:0
	[[ $addr == stun:127.0.0.1:* ]]
	snet-stun "$addr"
	for signal in TERM INT; do
		start silent snet-stun --serve "silent-$signal.example.test:0"
		ends_while_it_asks "$signal"
	done
	run --separate-stderr snet-stun --serve 127.0.0.1:0 --serve no.example.test:0
	failed_with 4 cannot_resolve
	[[ $(jq -r .text <<<"${lines[-1]}") == *"no.example.test"* ]]
}

# Of several clients at once, and several requests of each: more than are looked at together, and in one train.
@test "everyone who asks at once has an answer, to every request and no other" {
	command -v python3 >/dev/null || skip "no python3"
	start_ready server snet-stun --serve 127.0.0.1:0
	run python3 -c "
import socket, struct, sys
CLIENTS, EACH = 5, 100
def ask(c, i, n): # of another length each few, so that the answers are too
    extra = struct.pack('>HH', 0x8022, 4 * n) + b'x' * 4 * n if n else b''
    return struct.pack('>HHI', 1, len(extra), 0x2112a442) + struct.pack('>4xII', c, i) + extra
clients = []
for c in range(CLIENTS):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(('127.0.0.1', int(sys.argv[1])))
    s.settimeout(10)
    clients.append(s)
for i in range(EACH):
    for c, s in enumerate(clients):
        s.send(ask(c, i, i // 7 % 3))
for c, s in enumerate(clients):
    ip, port = s.getsockname()
    mapped = struct.pack('>HHBBHI', 0x20, 8, 0, 1, port ^ 0x2112, 0x7f000001 ^ 0x2112a442)
    seen = set()
    for _ in range(EACH):
        a = s.recv(2048)
        kind, length, cookie, who, which = struct.unpack('>HHI4xII', a[:20])
        assert (kind, cookie, who, len(a)) == (0x101, 0x2112a442, c, 20 + length), a
        assert mapped in a and len(a) <= 3 * len(ask(c, which, which // 7 % 3)), a
        seen.add(which)
    assert seen == set(range(EACH))
    s.setblocking(False)
    try:
        s.recv(2048)
        sys.exit('one answer too many')
    except BlockingIOError:
        pass
" "${addr##*:}"
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
}

@test "an address in use is said" {
	start_ready server snet-stun --serve 127.0.0.1:0
	run --separate-stderr snet-stun --serve "$addr"
	failed_with 4 cannot_bind
	run --separate-stderr snet-stun -b "${addr#stun:}" 127.0.0.1:9
	failed_with 4 cannot_bind
}

@test "a command line that makes no sense is refused" {
	for args in "" "--serve 127.0.0.1:0 127.0.0.1:1" "--serve 127.0.0.1:0 --nat" "127.0.0.1:99999" "[::1" \
		"127.0.0.1:0" "-4 -6 127.0.0.1" "--lifetime 2h 127.0.0.1" "-t 0 127.0.0.1"; do
		run --separate-stderr snet-stun $args
		[ "$status" -eq 2 ] || { echo "$args: $status"; return 1; }
		[ -z "$output" ]
	done
	for two in "127.0.0.1:0 127.0.0.1:0" "127.0.0.1:9 127.0.0.2:9" "0.0.0.0:0 127.0.0.1:0"; do
		read -r one other <<<"$two"
		run --separate-stderr snet-stun --serve "$one" --serve "$other"
		failed_with 2 invalid
	done
}

@test "coturn's clients understand us, and we its server" {
	command -v turnutils_natdiscovery >/dev/null || skip "no coturn"
	serve server
	run timeout 60 turnutils_natdiscovery -m -p "${addr##*:}" 127.0.0.1
	[[ $output == *"NAT with Endpoint Independent Mapping!"* ]]
	run timeout 60 turnutils_natdiscovery -f -p "${addr##*:}" 127.0.0.1
	[[ $output == *"NAT with Endpoint Independent Filtering!"* ]]
	run timeout 60 turnutils_stunclient -p "${addr##*:}" 127.0.0.1
	[[ $output == *"UDP reflexive addr: 127.0.0.1:"* ]]
	[[ $output == *"RFC 5780 response 3"* ]]
}
