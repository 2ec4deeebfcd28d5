# What networks do to a connection: a NAT that forgets, a path that gets narrower, loss, silence, jumbo frames; name
# servers that are silent.
load helper
load party

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

# name_server: answers for the names that stand in $names, each with its address or "SRV PORT TARGET", and is silent about
# all others; programs ask it. Whoever is asked about is printed.
name_server() {
	command -v python3 >/dev/null || skip "no python3"
	names=$BATS_TEST_TMPDIR/names
	touch "$names"
	start dns python3 -u -c '
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])
def record(kind, data): return b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(data)) + data
def wire(name): return b"".join(bytes([len(x)]) + x.encode() for x in name.split(".")) + b"\0"
while True:
    q, who = s.recvfrom(512)
    end = q.index(b"\0", 12) + 5
    labels, at = [], 12
    while q[at]:
        labels.append(q[at + 1:at + 1 + q[at]].decode())
        at += 1 + q[at]
    name, kind = ".".join(labels).lower(), struct.unpack(">H", q[end - 4:end - 2])[0]
    print(name)
    known = [x.split() for x in open(sys.argv[1]) if x.split()[0] == name]
    if not known: continue
    answers = b"".join(record(33, struct.pack(">HHH", 0, 0, int(x[2])) + wire(x[3])) for x in known if x[1] == "SRV" and kind == 33)
    answers += b"".join(record(1, socket.inet_aton(x[1])) for x in known if x[1] != "SRV" and kind == 1)
    count = sum((x[1] == "SRV") == (kind == 33) and kind in (1, 33) for x in known)
    s.sendto(q[:2] + struct.pack(">HHHHH", 0x8180, 1, count, 0, 0) + q[12:end] + answers, who)
' "$names"
	wait_until test -s "$BATS_TEST_TMPDIR/dns.out"
	export SNET_DNS
	SNET_DNS=127.0.0.1:$(head -n 1 "$BATS_TEST_TMPDIR/dns.out")
}

asked() {
	grep -qx "$1" "$BATS_TEST_TMPDIR/dns.out"
}

port_of() {
	port=${addr##*127.0.0.1:} port=${port%%#*}
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
	ports 1
	start_ready l snet-listen -k "$lkey" -a "$sid" --keep-open "127.0.0.1:$port"
	hold s
	start s snet-send -k "$skey" --keep-alive 2s "$addr" <"$in"
	wait_event s ready
	kill -KILL "${pid[l]}"
	finish l
	start_ready again snet-listen -k "$lkey" -a "$sid" --keep-open "127.0.0.1:$port"
	wait_event s peer.down '.text | test("restarted")'
	finish s
	failed_with 6 peer_lost s
}

@test "packets grow to what the interface takes" {
	[ "$(id -u)" -eq 0 ] || skip "needs root for a network namespace"
	cat >"$BATS_TEST_TMPDIR/run" <<-'END'
		ip link set lo mtu 9000 up
		mkfifo go enough
		snet-listen -k "$lkey" -a "$sid" --recv-only --ready-fd 9 127.0.0.1:9000 9>go >/dev/null &
		read -r <go
		{ head -c 4000000 /dev/zero | tr '\0' x; echo; cat enough; } |
			snet-send -k "$skey" --stats-every 100ms quic://127.0.0.1:9000#$lid -f lines -v >/dev/null 2>stats &
		for _ in $(seq 1000); do grep -q 'mtu_bytes=8972' stats && break; sleep 0.05; done
		: >enough
		wait
		grep -q 'mtu_bytes=8972' stats
	END
	cd "$BATS_TEST_TMPDIR"
	run unshare -n bash -e "$BATS_TEST_TMPDIR/run"
	[ "$status" -eq 0 ]
}

@test "a name nobody answers for keeps a sender from nobody else, and is found when it is there" {
	name_server
	listen one
	first=$addr
	listen two
	port_of
	hold s
	start s snet-send -k "$skey" "quic://late.example.test:$port#$lid" "$first" <"$in"
	wait_event s peer.up '.peer == 2'
	wait_until asked late.example.test
	wait_event s waiting '.reason == "timeout"'
	run has_event s ready
	[ "$status" -ne 0 ]
	echo "late.example.test 127.0.0.1" >>"$names"
	wait_event s ready
	say s '{"text":"hi"}'
	release s
	finish s
	[ "$status" -eq 0 ]
	wait_event one message '.data == "aGk="'
	wait_event two message '.data == "aGk="'
}

@test "a host that has moved is found where its name is now" {
	name_server
	echo "moves.example.test 127.0.0.9" >>"$names"
	listen l
	port_of
	hold s
	start s snet-send -k "$skey" -v "quic://moves.example.test:$port#$lid" <"$in"
	wait_event s waiting '.reason == "unreachable"'
	echo "moves.example.test 127.0.0.1" >"$names"
	wait_event s ready
	release s
	finish s
	[ "$status" -eq 0 ]
}

@test "parties of known names do not wait for one that nobody answers for" {
	name_server
	net 3
	cp net/roster.json all.json
	# To the others the last has a name; itself it finds nobody, and has to be found.
	jq ".parties[2].address = \"quic://late.example.test:$((port + 2))\"" all.json >net/roster.json
	party 0
	party 1
	jq '.parties[0, 1].address = "quic://127.0.0.1:1"' all.json >net/lonely.json
	start p2 snet-party -i 2 net/lonely.json <<<'{"text":"hi"}'
	wait_event p0 peer.up '.peer == 1'
	wait_until asked late.example.test
	wait_event p0 waiting '.for | test("2")'
	echo "late.example.test 127.0.0.1" >>"$names"
	for i in 0 1; do
		wait_event "p$i" message '.from == 2 and .text == "hi"'
	done
	finish_all 0 1 2
}

@test "a party whose name stays unknown is given up when --wait is over: timed out" {
	name_server
	net 2
	jq '.parties[1].address = "quic://never.example.test:9"' net/roster.json >named.json
	mv named.json net/roster.json
	party 0 -w 2s
	finish p0
	failed_with 7 timeout p0
	asked never.example.test
}

@test "a STUN server of a name nobody answers for costs the others nothing but its own result" {
	name_server
	start_ready server snet-stun --serve 127.0.0.1:0
	start ask snet-stun never.example.test "$addr"
	finish ask
	[ "$status" -eq 0 ]
	wait_event ask stun.mapped ".server == \"$addr\""
	wait_event ask error '.reason == "timeout" and .fatal == false and (.text | test("never.example.test"))'
	asked never.example.test
}

@test "a room whose server's name is not known yet is joined when it is" {
	name_server
	start_ready server snet-signal --listen 127.0.0.1:0
	port_of
	hold s
	start s snet-signal -v "ws://late.example.test:$port/room" <"$in"
	wait_until asked late.example.test
	echo "late.example.test 127.0.0.1" >>"$names"
	wait_until grep -q signal.joined "$BATS_TEST_TMPDIR/s.err"
	release s
	finish s
	[ "$status" -eq 0 ]
}

@test "every target of a service is a peer" {
	name_server
	listen one
	port_of
	{
		echo "_snet._udp.example.test SRV $port a.example.test"
		echo "a.example.test 127.0.0.1"
		listen two
		port_of
		echo "_snet._udp.example.test SRV $port b.example.test"
		echo "b.example.test 127.0.0.1"
	} >"$names"
	snet-send -k "$skey" "srv://_snet._udp.example.test#$lid" <<<'{"text":"hi"}' >"$BATS_TEST_TMPDIR/s.out"
	[ "$(jq -r 'select(.event == "ready").peers' "$BATS_TEST_TMPDIR/s.out")" = 2 ]
	wait_event one message '.data == "aGk="'
	wait_event two message '.data == "aGk="'
}

@test "a service that is not there is a name that is not known, and can only be dialled" {
	name_server
	echo "_snet._udp.example.test 127.0.0.1" >"$names"
	run --separate-stderr snet-send -k "$skey" -w 0s "srv://_snet._udp.example.test#$lid"
	failed_with 4 cannot_resolve
	[[ $stderr == *"srv://_snet._udp.example.test#$lid: "* ]]
	run --separate-stderr snet-listen -k "$lkey" -a "$sid" srv://_snet._udp.example.test
	failed_with 2 invalid
	run --separate-stderr snet-send -k "$skey" "srv://_snet._udp.example.test:9000#$lid"
	failed_with 2 invalid
}
