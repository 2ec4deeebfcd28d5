# snet-link between real sockets: udptalk (tests/support) speaks and listens at both ends.
load helper
load dns

: "${SNET_SUPPORT:=$SNET_BIN/tests/support}"

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

# A socket as the target, and the link to it: $target, $door. What udptalk says is read by hear.
talk() {
	coproc TALK { "$SNET_SUPPORT/udptalk"; }
	# shellcheck disable=SC2153 # of coproc
	tell=${TALK[1]} answers=${TALK[0]}
	ask open target "${1:-127.0.0.1:0}"
	target=$heard
	ask open me "${2:-127.0.0.1:0}"
	me=$heard
}

tell() {
	echo "$*" >&"$tell"
}

hear() {
	read -r -t 30 -u "$answers" heard
}

ask() {
	tell "$@"
	hear
}

emulate() {
	start_ready link snet-link --listen 127.0.0.1:0 --to "udp://$target" "$@"
	door=${addr#udp://}
}

# COUNT GAP_US SIZE MS [all]: the figures of a burst from me through the door, in $heard; of what has come MS after the
# last, or, where all must come, as soon as it has.
burst() {
	ask burst me "$door" "$1" "$2" "$3" target "$4" "${5:-}"
}

is() {
	jq -e "$1" <<<"$heard" >/dev/null || { echo "not so: $1 of $heard"; return 1; }
}

# seen TRUE COUNT GAP_US SIZE MS: a burst of which that is so, after $bursts of them. A busy machine may spoil a
# measurement, not five.
seen() {
	for bursts in 1 2 3 4 5; do
		burst "${@:2}"
		if is "$1"; then return; fi
	done
	echo "not in $bursts bursts"
	return 1
}

# counted NAME N: so many the link has counted by now. For wait_until.
counted() {
	kill -USR1 "${pid[link]}"
	[ "$(total "$1" 2>/dev/null)" -eq "$2" ]
}

total() {
	jq -s "[.[] | select(.event == \"stats\" and .from == ${2:-0} and .to == ${3:-1})] | last | .$1" link.out
}

@test "without impairments everything passes, both ways" {
	talk
	emulate
	burst 500 200 200 20000 all
	is '.got == 500 and .twice == 0 and .damaged == 0'
	tell send me "$door" hello
	ask recv target 5000
	[ "${heard##* }" = hello ]
	tell send target "${heard%% *}" world
	ask recv me 5000
	[ "$heard" = "$door world" ]
	quit link
	[ "$status" -eq 0 ]
	[ "$(total delivered_packets)" -eq 501 ]
	[ "$(total delivered_packets 1 0)" -eq 1 ]
}

@test "a datagram of no bytes and one of the largest pass" {
	talk
	emulate
	burst 2 1000 65000 20000 all
	is '.got == 2'
}

@test "two doors to one target: answers come from the one that was spoken to" {
	talk
	start_ready link snet-link --listen 127.0.0.1:0 --to "udp://$target" --listen 127.0.0.1:0 --to "udp://$target"
	mapfile -t doors < <(jq -r 'select(.event == "listening").address | sub("udp://"; "")' "$BATS_TEST_TMPDIR/link.out")
	[ "${#doors[@]}" -eq 2 ]
	for i in 1 0 1; do
		tell send me "${doors[i]}" "by-$i"
		ask recv target 5000
		[[ $heard == *" by-$i" ]]
		tell send target "${heard%% *}" "back-$i"
		ask recv me 5000
		[ "$heard" = "${doors[i]} back-$i" ]
	done
	quit link
	[ "$status" -eq 0 ]
}

@test "what is larger than --mtu is dropped" {
	talk
	emulate --mtu 1500
	burst 10 100 1472 20000 all
	is '.got == 10'
	burst 10 100 1473 100
	is '.got == 0'
	wait_until counted oversize_packets 10
	quit link
	[ "$(total oversize_packets)" -eq 10 ]
}

@test "IPv6, and a door at every address: answers come from the one that was spoken to" {
	talk "[::1]:0" "[::1]:0"
	start_ready v6 snet-link --listen "[::1]:0" --to "udp://$target" --listen 0.0.0.0:0 --to 127.0.0.1:9
	door=${addr#udp://}
	tell send me "$door" six
	ask recv target 5000
	[[ $heard == "[::1]:"*" six" ]]
	tell send target "${heard%% *}" back
	ask recv me 5000
	[ "$heard" = "$door back" ]

	ask open t4 127.0.0.1:0
	start_ready any snet-link --listen 0.0.0.0:0 --to "udp://$heard"
	port=${addr##*:}
	ask open me4 127.0.0.5:0
	tell send me4 "127.0.0.9:$port" four
	ask recv t4 5000
	tell send t4 "${heard%% *}" back
	ask recv me4 5000
	[ "$heard" = "127.0.0.9:$port back" ]
}

@test "--delay is one way and --rtt both ways" {
	talk
	emulate --delay 30ms
	seen '.got == 100 and .min_us >= 29800 and .mean_us < 40000' 100 2000 100 200
	quit link
	emulate --rtt 30ms
	seen '.min_us >= 14800 and .mean_us < 25000' 100 2000 100 200
}

@test "jitter spreads the delay, and --in-order keeps the order" {
	talk
	emulate --delay 30ms --jitter 5ms --distribution normal
	seen '.got == 400 and .deviation_us > 4000 and .deviation_us < 9000 and .turned > 20' 400 1000 100 200
	quit link
	emulate --delay 30ms --jitter 5ms --distribution normal --in-order
	burst 400 1000 100 20000 all
	is '.got == 400 and .turned == 0'
}

@test "a rate is kept, and a full queue drops and says so" {
	talk
	# the queue lasts for 100 ms: so long may this shell's load be held up on a busy machine
	emulate --rate 8mbit --limit 100kB
	seen '.bits > 7800000 and .bits < 8200000 and .got < 1300' 2000 400 972 500
	quit link
	[ "$(total queue_dropped_packets)" -gt 500 ]
	# what came while the link stood still may be lost before it, but not of the burst that was kept
	[ "$(total offered_packets)" -le $((2000 * bursts)) ] && [ "$(total offered_packets)" -ge 2000 ]
}

@test "the same seed loses the same packets, another one others" {
	talk
	for seed in 7 7 8; do
		emulate --loss 20% --seed "$seed"
		burst 400 100 100 2500
		figures+=("$heard")
		quit link
		lost+=("$(total lost_packets)")
	done
	[ "${lost[0]}" -eq "${lost[1]}" ]
	[ "${lost[0]}" -gt 40 ] && [ "${lost[0]}" -lt 120 ]
	[ "$(jq .got <<<"${figures[0]}")" -eq "$((400 - lost[0]))" ]
	[ "${lost[0]}" -ne "${lost[2]}" ]
}

@test "duplicates, damage, reordering and bursts of loss happen, and are counted" {
	talk
	emulate --delay 5ms --duplicate 10% --corrupt 10% --reorder 10% --loss-gemodel 2%,30%
	burst 1000 200 300 2500
	is '.twice > 50 and .damaged > 50 and .turned > 50 and .got < 950'
	quit link
	[ "$(total duplicated_packets)" -gt 50 ]
	[ "$(total corrupted_packets)" -gt 50 ]
	[ "$(total reordered_packets)" -gt 50 ]
	[ "$(total lost_packets)" -gt 20 ]
}

@test "live control changes, cuts and restores; a wrong line is an error and no more" {
	talk
	hold ctl
	emulate --control <"$in"
	say ctl '{"link": "0>1", "change": "cut"}'
	wait_event link link.changed '.line == 1'
	tell send me "$door" lost
	ask recv target 200
	[ "$heard" = nothing ]
	wait_until counted cut_packets 1
	say ctl '{"link": "0>1", "change": "restore"}' '{"link": "0>1", "change": {"delay": "20ms"}}'
	wait_event link link.changed '.line == 3'
	burst 20 2000 100 20000 all
	is '.got == 20 and .min_us >= 19800'
	say ctl '{"link": "0>7", "change": "cut"}' 'nonsense' '{"link": "0>1", "change": {"rate": "10mbps"}}'
	wait_event link error '.line == 6 and (.text | contains("ambiguous")) and .fatal == false'
	wait_event link error '.line == 4 and (.text | contains("party"))'
	say ctl '{"link": "0>1", "change": {"rate": "1000gbit"}}'
	wait_event link error '.line == 7 and (.text | contains("this machine carries"))'
	say ctl '{"link": "all", "change": "reset"}'
	wait_event link link.changed '.line == 8'
	seen '.mean_us < 15000' 20 2000 100 100
	quit link
	[ "$status" -eq 0 ]
	[ "$(total cut_packets)" -eq 1 ]
}

@test "a schedule steps the rate and rebinds the port" {
	talk
	local at
	for at in 300ms 2s 8s; do
		printf '%s\n' '{"at": "0", "link": "all", "change": {"delay": "5ms"}}' '' \
			"{\"at\": \"$at\", \"link\": \"0>1\", \"change\": \"rebind\"}" \
			"{\"at\": \"$at\", \"link\": \"0>1\", \"change\": {\"rate\": \"1mbit\"}}" >plan
		emulate --schedule plan
		tell send me "$door" before
		ask recv target 5000
		before=${heard%% *}
		if ! has_event link link.changed '.line == 3'; then break; fi
		[ "$at" != 8s ] # on a busy machine it may be after all, and not before
		quit link
	done
	wait_event link link.changed '.line == 4'
	tell send me "$door" after
	ask recv target 5000
	[ "${heard##* }" = after ] && [ "${heard%% *}" != "$before" ]
	tell send target "${heard%% *}" answer
	ask recv me 5000
	[ "$heard" = "$door answer" ]
	seen '.bits > 950000 and .bits < 1050000' 50 1000 972 600
}

@test "partitions cut what is between the sets, and heal" {
	talk
	hold ctl
	start_ready link snet-link --listen 127.0.0.1:0 --to "udp://$target" --listen 127.0.0.1:0 --to "udp://$target" --control <"$in"
	mapfile -t doors < <(jq -r 'select(.event == "listening") | .address | ltrimstr("udp://")' link.out)
	[ "${#doors[@]}" -eq 2 ]
	say ctl '{"partition": [[0, 1], [2]]}'
	wait_event link link.changed '.line == 1'
	tell send me "${doors[1]}" two
	tell send me "${doors[0]}" one
	ask recv target 5000
	[ "${heard##* }" = one ]
	ask recv target 100
	[ "$heard" = nothing ]
	say ctl '{"partition": []}'
	wait_event link link.changed '.line == 2'
	tell send me "${doors[1]}" two
	ask recv target 5000
	[ "${heard##* }" = two ]
}

@test "nothing comes in that was not asked for, as behind a NAT" {
	talk
	emulate
	ask open stranger 127.0.0.1:0
	tell send me "$door" hello
	ask recv target 5000
	outside=${heard%% *}
	tell send stranger "$outside" evil
	tell send target "$outside" answer
	ask recv me 5000
	[ "$heard" = "$door answer" ] # and the other, which came before it, has not
	quit link
	[ "$(jq -s 'map(select(.filtered_packets)) | last.filtered_packets' link.out)" -eq 1 ]
}

# Two destinations, and the port each sees: $out1, $out2.
two() {
	talk
	ask open second 127.0.0.1:0
	second=$heard
}

nat() {
	start_ready link snet-link --listen 127.0.0.1:0 --to "udp://$target" --listen 127.0.0.1:0 --to "udp://$second" "$@"
	mapfile -t doors < <(jq -r 'select(.event == "listening") | .address | ltrimstr("udp://")' link.out)
	tell send me "${doors[0]}" one
	ask recv target 5000
	out1=${heard%% *}
	tell send me "${doors[1]}" two
	ask recv second 5000
	out2=${heard%% *}
}

@test "mapping: independent of the endpoint one port for all, else one for each" {
	two
	nat --nat-mapping endpoint
	[ "$out1" = "$out2" ]
	quit link
	nat --nat-mapping address-port
	[ "$out1" != "$out2" ]
	quit link
	nat --nat-mapping address
	[ "$out1" = "$out2" ]
}

@test "snet-stun sees the NAT that was asked for" {
	for i in 1 2; do
		start_ready "s$i" snet-stun --serve "127.0.0.$i:0"
		server[i]=${addr##*[:/]127.}
	done
	for want in "endpoint 1" "address-port 2"; do
		start_ready link snet-link --listen 127.0.0.3:0 --to "127.${server[1]}" --listen 127.0.0.4:0 --to "127.${server[2]}" \
			--nat-mapping "${want% *}"
		mapfile -t doors < <(jq -r 'select(.event == "listening") | .address | ltrimstr("udp://")' link.out)
		snet-stun "${doors[@]}" >seen || true
		[ "$(jq -r 'select(.event == "stun.mapped").mapped' seen | wc -l)" -eq 2 ]
		[ "$(jq -r 'select(.event == "stun.mapped").mapped' seen | sort -u | wc -l)" -eq "${want#* }" ]
		quit link
	done
}

@test "filtering: anybody, the same address, or the same port alone" {
	two
	nat --nat-mapping endpoint --nat-filtering endpoint
	ask open stranger 127.0.0.2:0
	tell send stranger "$out1" knock
	ask recv me 5000
	[ "${heard##* }" = knock ]
	# the door he was given leads back to him
	tell send me "${heard%% *}" "who is there"
	ask recv stranger 5000
	[ "$heard" = "$out1 who is there" ]
	quit link

	nat --nat-mapping endpoint --nat-filtering address
	ask open near 127.0.0.1:0
	tell send stranger "$out1" knock
	tell send near "$out1" neighbour
	ask recv me 5000
	[ "${heard##* }" = neighbour ]
	quit link

	nat --nat-mapping endpoint --nat-filtering address-port
	tell send near "$out1" neighbour
	tell send second "$out1" known
	ask recv me 5000
	[ "$heard" = "${doors[1]} known" ]
}

@test "a port outside lives as long as it is said to" {
	local life begin
	talk
	for life in 1 4 10; do
		emulate --nat-lifetime "${life}s"
		begin=${EPOCHREALTIME/[^0-9]/}
		tell send me "$door" one
		ask recv target 5000
		outside=${heard%% *}
		tell send target "$outside" early
		ask recv me 5000
		if [ "${heard##* }" = early ]; then break; fi
		# On a busy machine early may be late: without the time that was waited for it.
		[ "$life" -lt 10 ] && [ $((${EPOCHREALTIME/[^0-9]/} - begin)) -ge $((life * 1000000 + 5000000)) ]
		quit link
	done
	wait_event link link.mapped
	ask recv me $((life * 1000 + 200))
	tell send target "$outside" late
	ask recv me 300
	[ "$heard" = nothing ]
	tell send me "$door" two
	ask recv target 5000
	[ "${heard%% *}" != "$outside" ]
}

@test "ports outside are preserved, or follow each other, as asked" {
	two
	nat --nat-ports preserving --nat-mapping endpoint --nat-at 127.0.0.9
	[ "$out1" = "127.0.0.9:${me##*:}" ]
	quit link
	nat --nat-ports sequential --nat-range 41000-42999
	port1=${out1##*:} port2=${out2##*:}
	[ "$port1" -ge 41000 ] && [ "$port2" -gt "$port1" ] && [ "$port2" -le 42999 ]
	quit link
	nat --nat-ports random --nat-range 41000-42999
	port1=${out1##*:}
	[ "$port1" -ge 41000 ] && [ "$port1" -le 42999 ]
}

@test "hairpin: the inside reaches itself by its outside, or does not" {
	two
	nat --nat-mapping endpoint --nat-filtering endpoint --nat-hairpin
	ask open other 127.0.0.1:0
	tell send other "${doors[0]}" hello
	ask recv target 5000
	other=${heard%% *}
	tell send me "$other" "from the same side"
	ask recv other 5000
	[ "${heard#* }" = "from the same side" ]
	quit link
	nat --nat-mapping endpoint --nat-filtering endpoint
	tell send other "${doors[0]}" hello
	ask recv target 5000
	tell send me "${heard%% *}" "from the same side"
	ask recv other 300
	[ "$heard" = nothing ]
}

# Reads a capture by the format's own rules: packets, bytes of payload, and whether lengths, checksums and times hold.
capture() {
	python3 - "$1" <<'EOF'
import json, struct, sys

def sum16(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total

data = open(sys.argv[1], "rb").read()
magic, major, minor, _, _, snap, link = struct.unpack("=IHHiIII", data[:24])
assert (magic, major, minor, link) == (0xA1B23C4D, 2, 4, 101), data[:24]
at, last, packets, payload, starts, upto = 24, 0, 0, b"", {}, {}
while at < len(data):
    sec, nsec, n, whole = struct.unpack("=IIII", data[at : at + 16])
    ip = data[at + 16 : at + 16 + n]
    at += 16 + n
    assert n == whole == len(ip) <= snap and nsec < 10**9
    assert last <= sec * 10**9 + nsec
    last = sec * 10**9 + nsec
    if ip[0] >> 4 == 4:
        assert ip[0] == 0x45 and struct.unpack(">H", ip[2:4])[0] == n and sum16(ip[:20]) == 0xFFFF
        pseudo, protocol, up = ip[12:20], ip[9], ip[20:]
    else:
        assert ip[0] >> 4 == 6 and struct.unpack(">H", ip[4:6])[0] == n - 40
        pseudo, protocol, up = ip[8:40], ip[6], ip[40:]
    assert sum16(pseudo + struct.pack(">HH", protocol, len(up)) + up) == 0xFFFF
    if protocol == 17:
        assert struct.unpack(">H", up[4:6])[0] == len(up)
        payload += up[8:]
    else:
        flow, seq = up[:4], struct.unpack(">I", up[4:8])[0]
        assert protocol == 6 and up[12] >> 4 == 5 and seq == upto.get(flow, 0)
        upto[flow] = seq + len(up) - 20 + (up[13] & 1)
        payload += up[20:]
    packets += 1
print(json.dumps({"packets": packets, "payload": len(payload), "ends": sorted(upto.values())}))
EOF
}

# And by a reader nobody here wrote, where there is one: so many packets, none of them odd.
tcpdump_reads() {
	command -v tcpdump >/dev/null || return 0
	tcpdump -Z "$(id -un)" -nn -vv -r "$1" >seen 2>tcpdump.err || { cat tcpdump.err; return 1; }
	[ "$(grep -c ' > ' seen)" -eq "$2" ]
	run -1 grep -E 'incorrect|bad (udp |tcp )?cksum|bad length|truncated|\[\|' seen
}

@test "a capture holds what was delivered, whole" {
	talk
	emulate --delay 1ms --pcap c.pcap
	burst 10 500 100 20000 all
	quit link
	capture c.pcap >figures
	jq -e '.packets == 10 and .payload == 1000' figures
	tcpdump_reads c.pcap 10
	talk "[::1]:0" "[::1]:0"
	start_ready v6 snet-link --listen "[::1]:0" --to "udp://$target" --pcap six.pcap
	door=${addr#udp://}
	burst 10 500 101 20000 all
	quit v6
	capture six.pcap >figures
	jq -e '.packets == 10 and .payload == 1010' figures
	tcpdump_reads six.pcap 10
}

@test "a capture that is not whole is a failure" {
	start_ready link snet-link --listen 127.0.0.1:0 --to 127.0.0.1:9 --pcap /dev/full
	quit link
	[ "$status" -eq 1 ]
	grep -qF "/dev/full: the capture is not whole" link.err
}

@test "a capture of TCP has every byte once and in its place" {
	for options in "" "--delay 2ms --loss 1%"; do
		# shellcheck disable=SC2086 # words
		start_ready link snet-link --listen tcp://127.0.0.1:0 --to "tcp://127.0.0.1:$(python3 -c '
import os, signal, socket
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
os.closerange(0, 3)
if os.fork(): os._exit(0)
signal.alarm(60)
c = s.accept()[0]
while c.recv(65536): pass
c.sendall(b"done")
')" --pcap tcp.pcap $options
		run python3 -c '
import socket, sys
h, p = sys.argv[1].removeprefix("tcp://").rsplit(":", 1)
c = socket.create_connection((h, int(p)))
c.sendall(bytes(400000)); c.shutdown(socket.SHUT_WR)
assert c.recv(9) == b"done" and c.recv(9) == b""
' "$addr"
		[ "$status" -eq 0 ] || { echo "$output"; return 1; }
		quit link
		capture tcp.pcap >figures
		jq -e '.payload == 400004 and .ends == [5, 400001]' figures
		tcpdump_reads tcp.pcap "$(jq .packets figures)"
	done
}

@test "without leave to go before other programs it works, and says so only if asked" {
	talk
	printf '#!/bin/sh\nexec %s snet-link "$@"\n' "$([ "$(id -u)" -ne 0 ] || echo setpriv --bounding-set -sys_nice)" >plainly
	chmod +x plainly
	start_ready link ./plainly --listen 127.0.0.1:0 --to "udp://$target" --delay 20ms
	door=${addr#udp://}
	burst 20 1000 100 20000 all
	is '.got == 20 and .min_us >= 19800'
	quit link
	[ "$status" -eq 0 ]
	[ ! -s link.err ]
}

# saw NAME JQ: the stats of a party, after some more words: the least of its round trips is of one that was quick.
saw() {
	say "in${1#p}" '{"to": "all", "text": "more"}'
	kill -USR1 "${pid[$1]}"
	has_event "$1" stats "$2"
}

@test "a mesh runs through a roster that was rewritten, with its delay and its figures" {
	local port base
	ports 3
	base=$port
	snet-keygen -q --net 3 -d net --at "quic://127.0.0.1:$base" >/dev/null
	printf '%s\n' '{"link": "0<>1", "delay": "15ms"}' '{"link": "*>2", "delay": "5ms", "loss": "1%"}' >matrix
	start_ready link snet-link --roster net/roster.json --out net/%-sees.json --rtt 4ms --matrix matrix
	[ "$(jq -r '.parties[1].address' net/1-sees.json)" = "quic://127.0.0.1:$((base + 1))" ]
	[ "$(jq -r '.parties[0].address' net/1-sees.json)" != "quic://127.0.0.1:$base" ]
	for i in 0 1 2; do
		hold "in$i"
		start "p$i" snet-party -i "$i" "net/$i-sees.json" --payload text <"$in"
	done
	for i in 0 1 2; do
		say "in$i" "{\"to\": \"all\", \"text\": \"hello from $i\"}"
	done
	for i in 0 1 2; do
		for k in 0 1 2; do
			wait_event "p$i" message ".from == $k and .text == \"hello from $k\""
		done
	done
	wait_until saw p0 '.peer == 1 and .rtt_min_us >= 29500'
	wait_until saw p0 '.peer == 2 and .rtt_min_us >= 6800 and .rtt_min_us < 29500'
	for i in 0 1 2; do release "in$i"; done
	for i in 0 1 2; do finish "p$i"; [ "$status" -eq 0 ]; done
	quit link
	[ "$status" -eq 0 ]
	for pair in "0 1" "1 0" "0 2" "2 0" "1 2" "2 1"; do
		# shellcheck disable=SC2086 # two words
		[ "$(total delivered_packets $pair)" -gt 3 ]
	done
}

@test "TCP goes through whole, with delay and rate, and ends when it ends" {
	head -c 300000 /dev/urandom >sent
	start sink python3 -c '
import socket, sys
s = socket.create_server(("127.0.0.1", 0))
open("port", "w").write(str(s.getsockname()[1]))
c = s.accept()[0]
data = b""
while part := c.recv(65536): data += part
open("got", "wb").write(data)
c.sendall(b"%d" % len(data))
c.close()
'
	wait_until test -s port
	start_ready link snet-link --listen tcp://127.0.0.1:0 --to "tcp://127.0.0.1:$(<port)" --delay 20ms --rate 8mbit --loss 1%
	run python3 -c '
import socket, sys, time
h, p = sys.argv[1].removeprefix("tcp://").rsplit(":", 1)
c = socket.create_connection((h, int(p)))
begin = time.monotonic()
c.sendall(open("sent", "rb").read())
c.shutdown(socket.SHUT_WR)
answer = c.recv(100).decode()
print(answer, int((time.monotonic() - begin) * 1000), c.recv(100))
' "$addr"
	echo "$output"
	[ "$status" -eq 0 ]
	read -r length ms rest <<<"$output"
	[ "$length" -eq 300000 ]
	[ "$rest" = "b''" ]
	# 300 kB and headers at 8 Mbit/s, and one round trip
	[ "$ms" -ge 340 ]
	[ "$ms" -le 10000 ]
	finish sink
	cmp sent got
}

@test "a roster of tls:// has doors of TCP" {
	local port
	ports 2
	snet-keygen -q --net 2 -d net --at "quic://127.0.0.1:$port" >/dev/null
	sed -i 's/quic:/tls:/g' net/roster.json
	start_ready link snet-link --roster net/roster.json --out net/%-sees.json --rtt 40ms
	run python3 -c '
import json, socket, sys, time
def port(f): return int(json.load(open(f))["parties"][1]["address"].rsplit(":", 1)[1])
s = socket.create_server(("127.0.0.1", port("net/roster.json")))
c = socket.create_connection(("127.0.0.1", port("net/0-sees.json")))
p = s.accept()[0]
begin = time.monotonic()
c.sendall(b"ping"); assert p.recv(9) == b"ping"
p.sendall(b"pong"); assert c.recv(9) == b"pong"
assert 0.039 < time.monotonic() - begin < 5
'
	echo "$output"
	[ "$status" -eq 0 ]
	quit link
	[ "$(total delivered_packets 0 1)" -ge 1 ]
	[ "$(total delivered_packets 1 0)" -ge 1 ]
}

@test "TCP to where nobody listens is reset, and the link goes on" {
	start_ready link snet-link --listen tcp://127.0.0.1:0 --to tcp://127.0.0.1:1
	run python3 -c '
import socket, sys
h, p = sys.argv[1].removeprefix("tcp://").rsplit(":", 1)
c = socket.create_connection((h, int(p)))
try: print(c.recv(10))
except ConnectionResetError: print("reset")
' "$addr"
	[ "$output" = reset ]
	quit link
	[ "$status" -eq 0 ]
}

@test "too few descriptors make dialers wait, and cost no processor time" {
	printf '#!/bin/sh\nexec prlimit --nofile=40:40 -- snet-link "$@"\n' >poor
	chmod +x poor
	cat >talk.py <<'EOF'
import os, socket, sys, threading

def spent():
    fields = open(f"/proc/{sys.argv[1]}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

server = socket.socket(fileno=3)
host, port = sys.argv[2].removeprefix("tcp://").rsplit(":", 1)
dialers = [socket.create_connection((host, int(port))) for _ in range(60)]
before = spent()

def serve():
    while True:
        s = server.accept()[0]
        s.sendall(s.recv(1))
        s.close()

threading.Thread(target=serve, daemon=True).start()
for s in dialers:
    s.settimeout(30)
    s.sendall(b"x")
    assert s.recv(2) == b"x"
    s.close()
assert spent() - before < 1, spent() - before
EOF
	run timeout 60 python3 -c '
import os, socket, subprocess, sys
s = socket.create_server(("127.0.0.1", 0), backlog=128)
os.dup2(s.fileno(), 3)
link = subprocess.Popen(["./poor", "--listen", "tcp://127.0.0.1:0", "--to", "tcp://127.0.0.1:%d" % s.getsockname()[1]],
                        stdout=subprocess.PIPE, text=True)
address = __import__("json").loads(link.stdout.readline())["address"]
status = subprocess.call([sys.executable, "talk.py", str(link.pid), address], pass_fds=[3])
link.terminate()
sys.exit(status or link.wait())
'
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
}

@test "--verify measures, says so, and has a verdict" {
	run --separate-stderr snet-link --verify --delay 20ms --rate 20mbit --loss 2%
	echo "$output"
	[ "$(jq -s 'map(select(.event == "link.verified" and .what == "rate")) | length' <<<"$output")" -eq 2 ]
	[ "$(jq -s 'map(select(.event == "link.verified" and .what == "loss" and .ok)) | length' <<<"$output")" -eq 2 ]
	jq -es 'map(select(.what == "rtt"))[0] | .achieved_us >= 39800 and .achieved_us < 120000' <<<"$output"
	# A busy machine may be late: then it says so, and by the status too.
	if jq -es 'map(select(.event == "link.verified")) | all(.ok)' <<<"$output"; then
		[ "$status" -eq 0 ]
	else
		[ "$status" -eq 1 ]
	fi
}

refused() {
	local code=$1 words=$2
	shift 2
	run --separate-stderr timeout 60 snet-link "$@"
	[ "$status" -eq "$code" ] || { echo "status $status: $* $stderr"; return 1; }
	grep -qF -- "$words" <<<"$stderr" || { echo "not '$words' but: $stderr"; return 1; }
}

@test "what makes no sense is refused, with words that help" {
	refused 2 "between whom"
	refused 2 "as many --to" --listen 127.0.0.1:0
	to=(--listen 127.0.0.1:0 --to 127.0.0.1:9)
	refused 2 "write 10mbit or 10MB/s" "${to[@]}" --rate 10mbps
	refused 2 "near to it: cheetah-wan" "${to[@]}" --preset chetah-wan
	refused 2 "near to it: emp-lan, emp-wan" "${to[@]}" --preset emp
	refused 2 "delay is one way, rtt both" "${to[@]}" --delay 1ms --rtt 2ms
	refused 2 "jitter is larger" "${to[@]}" --delay 1ms --jitter 2ms
	refused 2 "with its %" "${to[@]}" --loss 1
	refused 2 "loss" "${to[@]}" --loss 101%
	refused 2 "there is none" "${to[@]}" --limit 10k
	refused 2 "a duration" "${to[@]}" --delay soon
	refused 2 "uniform, normal or pareto" "${to[@]}" --delay 5ms --jitter 1ms --distribution cauchy
	refused 2 "p,r,bad,good" "${to[@]}" --loss-gemodel 1
	refused 2 "one % in the name" --roster r --out x
	refused 2 "--nat-range" "${to[@]}" --nat-range 9-8 --nat-ports random
	refused 2 "a link carries udp://" --listen 127.0.0.1:0 --to ftp://127.0.0.1:9
	refused 2 "not of one kind" --listen udp://127.0.0.1:0 --to tcp://127.0.0.1:9
	refused 3 "at most" --listen 127.0.0.1:0 --to 127.0.0.1:9 --rate 1000gbit
	refused 4 "192.0.2.1:1: Cannot assign" --listen 192.0.2.1:1 --to 127.0.0.1:1
}

@test "a bad matrix or schedule is refused by file and line" {
	to=(--listen 127.0.0.1:0 --to 127.0.0.1:9)
	plan() { printf '%s\n' "$@" >file; }
	snet-keygen -q --net 2 -d net --at quic://127.0.0.1:9 >/dev/null
	sed -i 's,quic://127.0.0.1:9",ice+ws://127.0.0.1:9/room",' net/roster.json
	refused 3 "a link stands between addresses" --roster net/roster.json --out net/%-sees.json
	[ ! -e net/0-sees.json ]
	plan '{"link": "0>1", "delay": "1ms"}' '{"link": "0>1", "dealy": "1ms"}'
	refused 3 'file:2: unknown key "dealy"' "${to[@]}" --matrix file
	plan '{"link": "0>5", "delay": "1ms"}'
	refused 3 "file:1: link: there is no party '5'" "${to[@]}" --matrix file
	plan '' '{"link": "0>1", "rate": "10mbps"}'
	refused 3 "file:2: rate: '10mbps' is ambiguous" "${to[@]}" --matrix file
	plan '{"link": "0>1", "preset": "wan-10"}'
	refused 3 "near to it: wan-100" "${to[@]}" --matrix file
	plan '{"link": "0>1", "delay": 20}'
	refused 3 "file:1: delay: want a string, with its unit" "${to[@]}" --matrix file
	plan '{"link": "0>1"'
	refused 3 "file:1:" "${to[@]}" --matrix file
	refused 3 "no-such-file" "${to[@]}" --matrix no-such-file
	plan '{"at": "5s", "link": "0>1", "change": "cut"}' '{"at": "4s", "link": "0>1", "change": "restore"}'
	refused 3 "file:2: the schedule goes back in time: line 1 is later" "${to[@]}" --schedule file
	plan '{"link": "0>1", "change": "cut"}'
	refused 3 'file:1: no "at"' "${to[@]}" --schedule file
	plan '{"at": "1s", "link": "0>1", "change": "explode"}'
	refused 3 'file:1: change: want "cut"' "${to[@]}" --schedule file
	plan '{"at": "1s", "partition": [[0], [0]]}'
	refused 3 "file:1: partition: party '0' stands twice" "${to[@]}" --schedule file
	plan '{"link": "0>1", "delay": "1ms", "jitter": "2ms"}'
	refused 3 "file:1: jitter is larger" "${to[@]}" --matrix file
	plan '{"link": "0>1", "rate": "1000gbit"}'
	refused 3 "this machine carries" "${to[@]}" --matrix file
	plan '' '{"at": "1s", "link": "0>1", "change": {"rate": "1000gbit"}}'
	refused 3 "file:2: rate 1tbit: this machine carries" "${to[@]}" --schedule file
	plan '{"at": "1s", "link": "0>1", "change": {"jitter": "1ms"}}'
	refused 3 "file:1: jitter is larger" "${to[@]}" --schedule file
}

@test "a net of snet-party over a preset" {
	run -0 --separate-stderr timeout 60 snet-party --spawn 3 --link wan-100 -f lines -- sh -c \
		'echo "$SNET_PARTY"; s=0; for i in 1 2 3; do read -r n; s=$((s + n)); done; echo "sum $s $(jq ".parties | length" "$SNET_ROSTER")" >&2'
	[ "$(grep -c 'sum 3 3$' <<<"$stderr")" -eq 3 ]
	run -3 timeout 60 snet-party --spawn 2 --link no-such-preset -- true
	run -2 snet-party -i 0 --link wan-100 roster.json
}

@test "names are looked up; silent name servers neither hold it up for ever, nor from ending" {
	name_server
	start_ready link snet-link -q --listen udp://here.example.test:0 --to udp://there.example.test:9
	[[ $addr == udp://127.0.0.1:* ]]
	quit link
	[ "$status" -eq 0 ]
	start link snet-link -q --listen 127.0.0.1:0 --to tcp://silent.example.test:9
	wait_until grep -q "^silent" "$BATS_TEST_TMPDIR/dns.out"
	before=$SECONDS
	quit link
	[ "$status" -eq 0 ]
	[ $((SECONDS - before)) -le 4 ]
	run --separate-stderr snet-link -q --listen 127.0.0.1:0 --to udp://no.example.test:9
	failed_with 4 cannot_resolve
	[[ $(jq -r .text <<<"${lines[-1]}") == *"no.example.test"* ]]
	run --separate-stderr snet-link -q --listen 127.0.0.1:0 --to udp://silent-too.example.test:9
	failed_with 7 timeout
	[[ $(jq -r .text <<<"${lines[-1]}") == *"silent-too.example.test"* ]]
}

@test "a roster of names: the doors are known by addresses, and the parties keep their names" {
	name_server
	snet-keygen --net 3 -d "$BATS_TEST_TMPDIR/net" --at quic://party.example.test:9100 >/dev/null
	start_ready link snet-link -q -r "$BATS_TEST_TMPDIR/net/roster.json" --out "$BATS_TEST_TMPDIR/net/%.json"
	[ "$(jq -r .parties[0].address "$BATS_TEST_TMPDIR/net/0.json")" = quic://party.example.test:9100 ]
	[[ $(jq -r .parties[1].address "$BATS_TEST_TMPDIR/net/0.json") == quic://127.0.0.1:* ]]
	quit link
	[ "$status" -eq 0 ]
}
