# Addresses of rooms, ice+ws://HOST:PORT/ROOM: snet-listen, snet-send and snet-party meet at a signalling server,
# find a pair by ICE, and speak QUIC on it.
load helper

setup_file() {
	make_keys
}

teardown() {
	stop_all
}

# serve ARGS...: a signalling server; $room is the address of a room there
serve() {
	start_ready signal snet-signal --listen "127.0.0.1:${port:-0}" "$@"
	room=ice+${addr%%/}/here
}

# meet NAME ARGS...: a listener in the room, with the keys of the suite
meet() {
	start "$1" snet-listen -k "$lkey" -a "$sid" --iface loopback "${@:2}" "$room"
}

call() {
	start "$1" snet-send -k "$skey" --iface loopback "${@:2}" "$room#$lid"
}

# l and s end well, and have heard what the other said
have_talked() {
	for name in s l; do
		finish "$name"
		[ "$status" -eq 0 ]
	done
	[ "$(received l)" = '1 ping' ]
	[ "$(received s)" = '1 pong' ]
}

@test "two find each other in a room, and speak both ways" {
	serve
	meet l <<<'{"text":"pong"}'
	call s <<<'{"text":"ping"}'
	have_talked
	has_event l listening ".address == \"$room#$lid\" and (has(\"port\") | not)"
	has_event s ice.selected '.local_type == "host" and .path == "direct" and .role == "controlling"'
	has_event l ice.selected '.role == "controlled"'
}

@test "nobody needs to be there first: not the other side, not the server" {
	local port
	ports 1
	serve
	quit signal
	call s <<<'{"text":"early"}'
	wait_event s waiting '.reason == "unreachable"'
	rm -f "$BATS_TEST_TMPDIR/signal.ready"
	start_ready signal snet-signal --listen "127.0.0.1:$port"
	meet l </dev/null
	finish s
	[ "$status" -eq 0 ]
	finish l
	[ "$status" -eq 0 ]
	[ "$(received l)" = '1 early' ]
}

@test "what crosses does not depend on the server any more" {
	serve
	head -c 30000000 /dev/urandom >"$BATS_TEST_TMPDIR/in"
	hold s
	meet l -f raw --recv-only
	call s -v -f raw <"$in"
	printf x >&"${held[s]}"
	wait_until [ -s "$BATS_TEST_TMPDIR/l.out" ]
	quit signal
	cat "$BATS_TEST_TMPDIR/in" >&"${held[s]}"
	release s
	finish s
	[ "$status" -eq 0 ]
	finish l
	[ "$status" -eq 0 ]
	(printf x && cat "$BATS_TEST_TMPDIR/in") | cmp - "$BATS_TEST_TMPDIR/l.out"
}

@test "one listener in a room, many callers" {
	serve
	meet l --keep-open
	wait_event l listening
	for i in 1 2 3 4 5; do
		call "s$i" --send-only <<<"{\"text\":\"from $i\"}"
	done
	for i in 1 2 3 4 5; do
		finish "s$i"
		[ "$status" -eq 0 ]
	done
	wait_until eval '[ "$(received l | wc -l)" -eq 5 ]'
	[ "$(received l | cut -d" " -f2- | sort | paste -sd,)" = 'from 1,from 2,from 3,from 4,from 5' ]
}

@test "nobody answers: the sender says so, and ends when --wait is over" {
	serve
	run -7 snet-send -w 3s -k "$skey" --iface loopback "$room#$lid" <<<'{"text":"x"}'
	failed_with 7 timeout
	[[ $output == *'nobody has answered in the room'* ]]
}

@test "no server: status 4, for both sides" {
	local at=ice+ws://127.0.0.1:1/here
	run -4 snet-send -w 3s -k "$skey" "$at#$lid" <<<'{"text":"x"}'
	[[ $output == *'127.0.0.1:1'* ]]
	start l snet-listen -k "$lkey" -a "$sid" "$at"
	wait_event l waiting '.for | startswith("ice+ws://127.0.0.1:1/here")'
	quit l
}

@test "a token the server does not know: at once, and status 5" {
	serve --token-file <(echo good-token)
	echo bad-token >"$BATS_TEST_TMPDIR/bad"
	chmod 600 "$BATS_TEST_TMPDIR/bad"
	run -5 snet-send --token-file "$BATS_TEST_TMPDIR/bad" -k "$skey" "$room#$lid" <<<'{"text":"x"}'
	failed_with 5 identity_refused
	echo good-token >"$BATS_TEST_TMPDIR/good"
	chmod 600 "$BATS_TEST_TMPDIR/good"
	meet l --token-file "$BATS_TEST_TMPDIR/good"
	call s --token-file "$BATS_TEST_TMPDIR/good" <<<'{"text":"hi"}'
	finish s
	[ "$status" -eq 0 ]
	finish l
	[ "$(received l)" = '1 hi' ]
}

@test "whoever is not let in is not answered" {
	serve
	start l snet-listen -k "$lkey" -a "$lid" --iface loopback "$room"
	wait_event l listening
	run -7 snet-send -w 3s -k "$skey" --iface loopback "$room#$lid" <<<'{"text":"x"}'
	quit l
	run ! has_event l ice.selected
}

@test "the listener is killed: the sender knows within seconds, status 6" {
	serve
	hold s
	meet l --keep-open
	call s <"$in"
	wait_event s ready
	kill -9 "${pid[l]}"
	say s '{"text":"are you there?"}'
	finish s
	failed_with 6 peer_lost s
	has_event s peer.down '.text == "its port is closed"'
}

@test "three parties in one room: a mesh" {
	serve
	snet-keygen --net 3 -d "$BATS_TEST_TMPDIR/net" --at "$room" >/dev/null
	[ "$(jq -r '.parties[].address' "$BATS_TEST_TMPDIR/net/roster.json" | sort -u)" = "$room" ]
	for i in 0 1 2; do
		start "p$i" snet-party -i "$i" --iface loopback "$BATS_TEST_TMPDIR/net/roster.json" \
			<<<"{\"to\":\"all\",\"text\":\"from $i\"}"
	done
	for i in 0 1 2; do
		finish "p$i"
		[ "$status" -eq 0 ]
		[ "$(head -n 1 "$BATS_TEST_TMPDIR/p$i.out" | jq -r .event)" = listening ]
		[ "$(received "p$i" | sort | paste -sd,)" = '0 from 0,1 from 1,2 from 2' ]
	done
}

@test "a party in a room comes back after kill -9, and nothing is lost" {
	serve
	local net=$BATS_TEST_TMPDIR/net
	snet-keygen --net 2 -d "$net" --at "$room" >/dev/null
	hold a
	start a snet-party -i 0 --iface loopback "$net/roster.json" <"$in"
	hold b2
	start b snet-party -i 1 --iface loopback "$net/roster.json" <"$BATS_TEST_TMPDIR/b2.in"
	wait_event a peer.up
	say a '{"to":1,"text":"one"}'
	wait_event b message
	kill -9 "${pid[b]}"
	wait "${pid[b]}" 2>/dev/null || true
	unset "pid[b]"
	wait_event a peer.down
	say a '{"to":1,"text":"two"}'
	start b snet-party -i 1 --iface loopback "$net/roster.json" <"$BATS_TEST_TMPDIR/b2.in"
	wait_event b message '.data | @base64d == "two"'
	release a
	release b2
	finish b
	[ "$status" -eq 0 ]
	finish a
	[ "$status" -eq 0 ]
}

@test "snet-ice --quic: both sides say the same, and stdin and stdout are a pipe" {
	serve
	local at=${room#ice+}
	start a snet-ice --quic --signal "$at#$sid" -k "$lkey" -f lines --iface loopback <<<'from a'
	start b snet-ice --quic --signal "$at#$lid" -k "$skey" -f lines --iface loopback <<<'from b'
	finish a
	[ "$status" -eq 0 ]
	finish b
	[ "$status" -eq 0 ]
	[ "$(<"$BATS_TEST_TMPDIR/a.out")" = 'from b' ]
	[ "$(<"$BATS_TEST_TMPDIR/b.out")" = 'from a' ]
}

@test "snet-ice --quic: one side calls, the other answers; nobody else is let in" {
	serve
	local at=${room#ice+}
	start a snet-ice --quic --role controlled --signal "$at" -k "$lkey" -a "$sid" --iface loopback </dev/null
	wait_event a listening
	run -7 snet-ice --quic -w 3s --role controlling --signal "$at#$lid" --iface loopback <<<'{"text":"x"}'
	start b snet-ice --quic --role controlling --explain --signal "$at#$lid" -k "$skey" --iface loopback <<<'{"text":"hi"}'
	finish b
	[ "$status" -eq 0 ]
	has_event b ice.check '.result == "succeeded"'
	finish a
	[ "$(received a)" = '1 hi' ]
}

@test "a program per peer, in a room: it is told where it stands" {
	serve
	start l snet-listen -k "$lkey" -a "$sid" --iface loopback --exec 'echo "$SNET_LOCAL_ADDRESS"; cat' -f lines "$room"
	call s -f lines --replies 2 <<<'ping'
	finish s
	[ "$status" -eq 0 ]
	[ "$(<"$BATS_TEST_TMPDIR/s.out")" = "$room#$lid"$'\n'ping ]
	quit l
	[ "$status" -eq 0 ]
}

@test "parties with programs, in a room" {
	serve
	local net=$BATS_TEST_TMPDIR/net
	snet-keygen --net 2 -d "$net" --at "$room" >/dev/null
	for i in 0 1; do
		OUT=$BATS_TEST_TMPDIR/got.$i start "p$i" snet-party -i "$i" --iface loopback -f lines \
			--exec 'echo "$SNET_PARTY at $SNET_LOCAL_ADDRESS"; head -n 2 | sort >"$OUT"' "$net/roster.json"
	done
	for i in 0 1; do
		finish "p$i"
		[ "$status" -eq 0 ]
	done
	[ "$(sed 's/#.*//' "$BATS_TEST_TMPDIR/got.0")" = "0 at $room"$'\n'"1 at $room" ]
	cmp "$BATS_TEST_TMPDIR/got.0" "$BATS_TEST_TMPDIR/got.1"
}

@test "a STUN server that is dead is not why nobody answers" {
	serve
	run -7 snet-send -w 3s --stun 127.0.0.1:1 -k "$skey" --iface loopback "$room#$lid" <<<'{"text":"x"}'
	failed_with 7 timeout
	[[ $output == *'nobody has answered in the room'* ]]
}

@test "nor is a server that was away for a while" {
	local port
	ports 1
	serve
	quit signal
	call s -w 8s <<<'{"text":"x"}'
	wait_event s waiting '.reason == "unreachable"'
	rm -f "$BATS_TEST_TMPDIR/signal.ready"
	start_ready signal snet-signal --listen "127.0.0.1:$port"
	finish s
	failed_with 7 timeout s
}

@test "it answers, and there is no way to it: that is what is said" {
	serve
	meet l -6 --keep-open
	wait_event l listening
	call s -4 -w 6s <<<'{"text":"x"}'
	finish s
	failed_with 7 timeout s
	has_event s error '.text | endswith("it has answered, and no way to it is found yet")'
}

@test "a listener waits for the server of its room as long as it is told to" {
	run -4 snet-listen -w 3s -k "$lkey" -a "$sid" ice+ws://127.0.0.1:1/here
	failed_with 4 unreachable
}

@test "--wait 0 is one attempt of the server, too" {
	SECONDS=0
	run -4 snet-send -w 0 -k "$skey" "ice+ws://127.0.0.1:1/here#$lid" <<<'{"text":"x"}'
	failed_with 4 unreachable
	[ "$SECONDS" -lt 20 ]
}

@test "a side's own key is nobody to call" {
	run -2 snet-send -k "$skey" "ice+ws://127.0.0.1:1/here#$sid" <<<'{"text":"x"}'
	[[ $output == *'own key'* ]]
	run -2 snet-ice --quic -k "$skey" --signal "ws://127.0.0.1:1/here#$sid" </dev/null
	[[ $output == *'own key'* ]]
}

@test "what is connected stays connected when the server lets us in no more" {
	local port
	ports 1
	echo first >"$BATS_TEST_TMPDIR/token"
	chmod 600 "$BATS_TEST_TMPDIR/token"
	serve --token-file "$BATS_TEST_TMPDIR/token"
	hold s
	meet l --token-file "$BATS_TEST_TMPDIR/token"
	call s --token-file "$BATS_TEST_TMPDIR/token" <"$in"
	wait_event s ready
	quit signal
	rm -f "$BATS_TEST_TMPDIR/signal.ready"
	start_ready signal snet-signal --listen "127.0.0.1:$port" --token-file <(echo second)
	wait_until grep -q 'refuses (40[13])' "$BATS_TEST_TMPDIR/s.err"
	wait_until grep -q 'refuses (40[13])' "$BATS_TEST_TMPDIR/l.err"
	say s '{"text":"still here"}'
	release s
	finish s
	[ "$status" -eq 0 ]
	finish l
	failed_with 5 identity_refused l
	[ "$(received l)" = '1 still here' ]
}

@test "snet-ice --quic: a pipe is for two, whoever else is in the room" {
	serve
	local at=${room#ice+}
	hold a
	start a snet-ice --quic --signal "$at" --insecure -k "$lkey" -f lines --iface loopback <"$in"
	start b snet-ice --quic --signal "$at#$lid" -k "$skey" -f lines --iface loopback <<<'from b'
	wait_until grep -q 'from b' "$BATS_TEST_TMPDIR/a.out"
	run -7 snet-ice --quic --role controlling -w 3s --signal "$at#$lid" --iface loopback <<<'{"text":"x"}'
	release a
	finish a
	[ "$status" -eq 0 ]
	finish b
	[ "$status" -eq 0 ]
	[ "$(<"$BATS_TEST_TMPDIR/a.out")" = 'from b' ]
}

@test "snet-ice: what goes with --quic alone is refused without it" {
	run -2 snet-ice --signal ws://127.0.0.1:1/x
	run -2 snet-ice -k "$lkey"
	run -2 snet-ice -f raw
	run -2 snet-ice --quic
	run -2 snet-ice --quic --insecure --signal quic://127.0.0.1:1
	[[ $output == *'--signal'* ]]
}

@test "addresses that lead to no room are refused" {
	for bad in ice+ws://127.0.0.1:1 ice+ws://127.0.0.1:1/ ice+ws://127.0.0.1:1/a/b ice+xx://127.0.0.1:1/a; do
		run -2 snet-send -k "$skey" --insecure "$bad" <<<'{"text":"x"}'
		[[ $output == *"$bad"* ]]
	done
	run -2 snet-send -k "$skey" --path relay "ice+ws://127.0.0.1:1/a#$lid"
	[[ $output == *'--path relay wants --turn'* ]]
	run -2 snet-send -k "$skey" --types hots "ice+ws://127.0.0.1:1/a#$lid"
	[[ $output == *--types* ]]
}

# A copy of the key file, as people do who try it out.
@test "one key at both ends will do" {
	serve
	start l snet-listen -k "$lkey" -a "$lid" --iface loopback "$room" <<<'{"text":"pong"}'
	start s snet-send -k "$lkey" -a "$lid" --iface loopback "$room" <<<'{"text":"ping"}'
	have_talked
}
