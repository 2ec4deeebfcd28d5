# snet-ice against ICE agents that nobody here wrote: libnice (nice_peer) and aioice (aioice_peer.py), which speak its
# lines. Each pair is proven by a datagram each way: one side asks, the other answers with the same.
load ../cli/helper

setup_file() {
	export cred=$BATS_FILE_TMPDIR/cred ask=$BATS_FILE_TMPDIR/ask
	(umask 077 && echo alice:secret >"$cred")
	# A program on the pair. dd, as a datagram is to be read at once.
	cat >"$ask" <<-'END'
		#!/bin/sh
		while [ -z "$answer" ]; do
			printf hello
			answer=$(timeout 0.2 dd bs=2048 count=1 2>/dev/null)
		done
		echo "$answer" >"$1"
	END
	chmod +x "$ask"
}

setup() {
	nice_peer=$SNET_BIN/tests/interop/nice_peer
	aioice_peer=$BATS_TEST_DIRNAME/aioice_peer.py
	answer=$BATS_TEST_TMPDIR/answer
}

need_libnice() {
	[ -x "$nice_peer" ] || skip "nice_peer was not built: libnice-dev is not here"
}

# Python 3 with the aioice of Debian, wherever another Python stands first.
need_aioice() {
	/usr/bin/python3 -c 'import aioice' 2>/dev/null || skip "python3-aioice is not here"
}

need_ipv6() {
	grep -q "^0\{31\}1 " /proc/net/if_inet6 2>/dev/null || skip "no IPv6 here"
}

answers() {
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Sets $port.
need_coturn() {
	local try
	command -v turnserver >/dev/null || skip "coturn is not here"
	for try in {1..5}; do
		port=$((RANDOM % 20000 + 10000))
		if answers "$port"; then continue; fi
		start coturn turnserver -n -L 127.0.0.1 -E 127.0.0.1 -p "$port" --lt-cred-mech -u alice:secret -r example.org \
			--allow-loopback-peers --no-cli --no-tls --no-dtls --pidfile "$BATS_TEST_TMPDIR/pid" \
			--userdb "$BATS_TEST_TMPDIR/db" --log-file stdout --simple-log
		wait_until answers "$port" && return
		echo "try $try: coturn is not ready on port $port" >&2
		quit coturn
	done
	return 1
}

# tied NAME OTHER PROGRAM ARGS...: what it says goes to the other's stdin, too, which hold has opened; changed on the way
# by $spoil, for sed, if the name is theirs.
tied() {
	local change=
	[ "$1" != theirs ] || change=$spoil
	# shellcheck disable=SC2016 # the inner shell's
	start "$1" bash -c 'exec "$@" > >(exec tee -p >(exec sed -u "$0" >&4)) 4>&-' "$change" "${@:3}" \
		<"$BATS_TEST_TMPDIR/$1.in" 4>"$BATS_TEST_TMPDIR/$2.in"
}

# together PEER... -- OPTIONS...: the peer, and snet-ice with the options.
together() {
	local theirs=()
	while [ "$1" != -- ]; do
		theirs+=("$1")
		shift
	done
	hold theirs
	hold ours
	tied theirs ours "${theirs[@]}"
	tied ours theirs snet-ice "${@:2}"
	release theirs
	release ours
}

# they_ask, we_ask: as together, until the question is answered.
they_ask() {
	local peer=()
	while [ "$1" != -- ]; do
		peer+=("$1")
		shift
	done
	together "${peer[@]}" --ask hello "$@" --exec cat
	finish theirs
	show
	[ "$status" -eq 0 ]
	[ "$(said theirs data .text)" = hello ]
	quit ours
	[ "$status" -eq 0 ]
}

we_ask() {
	together "$@" --exec "$ask $answer"
	finish ours
	show
	[ "$status" -eq 0 ]
	[ "$(cat "$answer")" = hello ]
	finish theirs # its input has ended
	[ "$status" -eq 0 ]
	[ "$(said theirs data .text)" = hello ]
}

# Where a test fails, this is read.
show() {
	tail -n +1 "$BATS_TEST_TMPDIR"/{ours,theirs}.{out,err}
}

# said NAME EVENT JQ: of the last one, as soon as there is one: what a program has said is written by another, tee.
said() {
	wait_event "$1" "$2"
	jq -r "select(.event == \"$2\") | $3" "$BATS_TEST_TMPDIR/$1.out" | tail -n 1
}

# selected LOCAL REMOTE ROLE: types, as we see it; and they have the same pair. The other's may have been met before its
# line was read, so that it counts as what it was told as.
selected() {
	local remote
	[ "$(said ours ice.selected '"\(.local_type) \(.role)"')" = "$1 $3" ]
	[ "$(said ours ice.selected '"\(.local) \(.remote)"')" = "$(said theirs ice.selected '"\(.remote) \(.local)"')" ]
	remote=$(said ours ice.selected .remote | tr -d '[]')
	grep -qF " ${remote%:*} ${remote##*:} typ $2" "$BATS_TEST_TMPDIR/theirs.out"
}

# both PEER...: in both roles, host candidates on loopback; whoever controls asks.
both() {
	we_ask "$@" --role controlled --bind 127.0.0.1 "${trickle[@]}" -- --role controlling --bind 127.0.0.1 "${trickle[@]}"
	selected host host controlling
	rm "$BATS_TEST_TMPDIR"/*.in
	they_ask "$@" --role controlling --bind 127.0.0.1 "${trickle[@]}" -- --role controlled --bind 127.0.0.1 "${trickle[@]}"
	selected host host controlled
}

# relayed PEER...: the same, where both have relayed candidates alone.
relayed() {
	local theirs=(--bind 127.0.0.1 --turn "127.0.0.1:$port" --turn-cred-file "$cred" --relay "${trickle[@]}")
	local ours=(--bind 127.0.0.1 --turn "turn:127.0.0.1:$port" --turn-cred-file "$cred" --path relay "${trickle[@]}")
	we_ask "$@" --role controlled "${theirs[@]}" -- --role controlling "${ours[@]}"
	selected relay relay controlling
	rm "$BATS_TEST_TMPDIR"/*.in
	they_ask "$@" --role controlling "${theirs[@]}" -- --role controlled "${ours[@]}"
	selected relay relay controlled
}

trickle=() spoil=

@test "the two others understand each other: what fails below is ours" {
	need_libnice
	need_aioice
	hold nice
	hold aioice
	tied nice aioice "$nice_peer" --bind 127.0.0.1
	tied aioice nice /usr/bin/python3 "$aioice_peer" --bind 127.0.0.1 --role controlling --ask hello
	release nice
	release aioice
	finish aioice
	[ "$status" -eq 0 ]
	[ "$(said aioice data .text)" = hello ]
	finish nice
	[ "$status" -eq 0 ]
}

@test "libnice: host candidates, trickled" {
	need_libnice
	both "$nice_peer"
}

@test "libnice: host candidates, all at once" {
	need_libnice
	trickle=(--no-trickle)
	both "$nice_peer"
}

@test "libnice: aggressive nomination" {
	need_libnice
	both "$nice_peer" --aggressive
}

@test "libnice: IPv6" {
	need_libnice
	need_ipv6
	we_ask "$nice_peer" --bind ::1 -- --role controlling --bind "[::1]"
	selected host host controlling
}

@test "libnice: one trickles, the other does not" {
	need_libnice
	we_ask "$nice_peer" --no-trickle --bind 127.0.0.1 -- --role controlling --bind 127.0.0.1
	rm "$BATS_TEST_TMPDIR"/*.in
	we_ask "$nice_peer" --role controlling --bind 127.0.0.1 -- --role controlled --no-trickle --bind 127.0.0.1
}

@test "libnice: both want to control, both to be controlled" {
	need_libnice
	for role in controlling controlled; do
		we_ask "$nice_peer" --role $role --bind 127.0.0.1 -- --role $role --bind 127.0.0.1
		rm "$BATS_TEST_TMPDIR"/*.in
	done
}

@test "libnice: a wrong password opens nothing" {
	need_libnice
	spoil='s/"pwd":"..../"pwd":"XXXX/'
	together "$nice_peer" --role controlled --bind 127.0.0.1 --timeout 3 -- --role controlling --bind 127.0.0.1 -t 3s
	finish ours
	show
	wait_event ours error .fatal
	failed_with 4 unreachable ours
	finish theirs
	[ "$status" -eq 1 ]
	run ! has_event theirs ice.selected
}

@test "libnice: relayed candidates of coturn, trickled" {
	need_libnice
	need_coturn
	relayed "$nice_peer"
}

@test "libnice: relayed candidates of coturn, all at once" {
	need_libnice
	need_coturn
	trickle=(--no-trickle)
	relayed "$nice_peer"
}

@test "libnice: it is relayed, we are not" {
	need_libnice
	need_coturn
	we_ask "$nice_peer" --bind 127.0.0.1 --relay --turn "127.0.0.1:$port" --turn-cred-file "$cred" -- \
		--role controlling --bind 127.0.0.1
	selected host relay controlling
}

@test "aioice: host candidates, trickled" {
	need_aioice
	both /usr/bin/python3 "$aioice_peer"
}

@test "aioice: host candidates, all at once" {
	need_aioice
	trickle=(--no-trickle)
	both /usr/bin/python3 "$aioice_peer"
}

@test "aioice: one trickles, the other does not" {
	need_aioice
	we_ask /usr/bin/python3 "$aioice_peer" --no-trickle --bind 127.0.0.1 -- --role controlling --bind 127.0.0.1
	rm "$BATS_TEST_TMPDIR"/*.in
	we_ask /usr/bin/python3 "$aioice_peer" --role controlling --bind 127.0.0.1 -- \
		--role controlled --no-trickle --bind 127.0.0.1
}

@test "aioice: IPv6" {
	need_aioice
	need_ipv6
	we_ask /usr/bin/python3 "$aioice_peer" --bind ::1 -- --role controlling --bind "[::1]"
	selected host host controlling
}

@test "aioice: both want to control, both to be controlled" {
	need_aioice
	for role in controlling controlled; do
		we_ask /usr/bin/python3 "$aioice_peer" --role $role --bind 127.0.0.1 -- --role $role --bind 127.0.0.1
		rm "$BATS_TEST_TMPDIR"/*.in
	done
}

@test "aioice: relayed candidates of coturn, trickled" {
	need_aioice
	need_coturn
	relayed /usr/bin/python3 "$aioice_peer"
}

@test "aioice: relayed candidates of coturn, all at once" {
	need_aioice
	need_coturn
	trickle=(--no-trickle)
	relayed /usr/bin/python3 "$aioice_peer"
}

@test "aioice: it is relayed, we are not" {
	need_aioice
	need_coturn
	we_ask /usr/bin/python3 "$aioice_peer" --relay --turn "127.0.0.1:$port" --turn-cred-file "$cred" -- \
		--role controlling --bind 127.0.0.1
	selected host relay controlling
}
