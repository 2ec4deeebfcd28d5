# What networks do to a connection: a NAT that forgets, a path that gets narrower, loss, silence, jumbo frames.
load helper

setup_file() {
	make_keys
	head -c 20000000 /dev/urandom >"$BATS_FILE_TMPDIR/data"
	head -c 3000000 "$BATS_FILE_TMPDIR/data" | base64 -w 0 >"$BATS_FILE_TMPDIR/line"
	echo >>"$BATS_FILE_TMPDIR/line"
}

# through: a relay in front of it; sets $port, and $relay to its command pipe.
through() {
	local to=${addr#quic://127.0.0.1:}
	hold relay
	start relay "$SNET_BIN/tests/support/relay" 0 "${to%%#*}" <"$in"
	wait_until grep -q . "$BATS_TEST_TMPDIR/relay.out"
	port=$(head -n 1 "$BATS_TEST_TMPDIR/relay.out")
}

# connected ARGS...: a sender of lines whose stdin the test holds, and a listener, with the relay between them.
connected() {
	listen l -v --recv-only --payload text "$@"
	through
	hold s
	start s snet-send -k "$skey" -f lines --send-only -v "quic://127.0.0.1:$port#$lid" <"$in"
	wait_event l peer.up
}

# sent N TEXT-FILE: the file is the N-th message, and arrives as it is.
sent() {
	cat "$2" >&"${held[s]}"
	wait_event l message ".seq == $1"
	jq -r .text <<<"$event" | cmp - "$2"
}

ended() {
	release s
	finish s
	[ "$status" -eq 0 ]
	finish l
	[ "$status" -eq 0 ]
}

@test "a NAT that gives the sender another port costs nothing" {
	connected
	sent 1 "$BATS_FILE_TMPDIR/line"
	say relay rebind
	sent 2 "$BATS_FILE_TMPDIR/line"
	wait_until grep -q 'peer is now at' "$BATS_TEST_TMPDIR/l.err"
	say relay rebind
	sent 3 "$BATS_FILE_TMPDIR/line"
	ended
}

@test "a path that silently gets narrower is found out, and everything arrives" {
	connected
	sent 1 "$BATS_FILE_TMPDIR/line"
	say relay "narrow 1300"
	sent 2 "$BATS_FILE_TMPDIR/line"
	ended
	grep -q 'back to packets of 1200 bytes' "$BATS_TEST_TMPDIR/s.err"
}

@test "lost datagrams are sent again" {
	listen l -f raw --recv-only
	through
	say relay "lose 40"
	start s snet-send -k "$skey" -f raw --send-only "quic://127.0.0.1:$port#$lid" <"$BATS_FILE_TMPDIR/data"
	finish s
	[ "$status" -eq 0 ]
	finish l
	[ "$status" -eq 0 ]
	cmp "$BATS_FILE_TMPDIR/data" "$BATS_TEST_TMPDIR/l.out"
}

@test "a peer that has gone silent is lost within three keep-alives, and both sides say so" {
	listen l --keep-alive 200ms --keep-open
	through
	hold s
	start s snet-send -k "$skey" --keep-alive 200ms "quic://127.0.0.1:$port#$lid" <"$in"
	wait_event s ready
	say relay mute
	wait_event l peer.down '.reason == "peer_lost"'
	finish s
	failed_with 6 peer_lost s
}

@test "a listener that restarts with its key tells old peers at once" {
	listen l --keep-open
	hold s
	start s snet-send -k "$skey" --keep-alive 1s "$addr" <"$in"
	wait_event s ready
	kill -KILL "${pid[l]}"
	finish l
	port=${addr#quic://127.0.0.1:} port=${port%%#*}
	start_ready again snet-listen -k "$lkey" -a "$sid" --keep-open "127.0.0.1:$port"
	wait_event s peer.down '.text | test("restarted")'
	finish s
	failed_with 6 peer_lost s
}

@test "packets grow to what the interface takes" {
	[ "$(id -u)" -eq 0 ] || skip "needs root for a network namespace"
	cat >"$BATS_TEST_TMPDIR/run" <<-'END'
		ip link set lo mtu 9000 up
		mkfifo go
		snet-listen -k "$lkey" -a "$sid" --recv-only --ready-fd 9 127.0.0.1:9000 9>go >/dev/null &
		read -r <go
		{ head -c 4000000 /dev/zero | tr '\0' x; echo; while [ ! -e enough ]; do sleep 0.05; done; } |
			snet-send -k "$skey" --stats-every 100ms quic://127.0.0.1:9000#$lid -f lines -v >/dev/null 2>stats &
		for _ in $(seq 200); do grep -q 'mtu_bytes=8972' stats && break; sleep 0.05; done
		touch enough
		wait
		grep -q 'mtu_bytes=8972' stats
	END
	cd "$BATS_TEST_TMPDIR"
	run unshare -n bash -e "$BATS_TEST_TMPDIR/run"
	[ "$status" -eq 0 ]
}
