load helper
load dns

setup_file() {
	make_keys
}

# perf NAME SCHEME ARGS...: a server that lets our key in, in $addr.
perf() {
	local trust=(-k "$lkey" -a "$skey_id")
	[ "$2" = quic ] || trust=(--insecure)
	start_ready "$1" snet-perf -q "${trust[@]}" --serve "${@:3}" "$2://127.0.0.1:0"
	addr=$(jq -r 'select(.event == "listening").address' "$BATS_TEST_TMPDIR/$1.out")
}

# ask ARGS...: tests $addr.
ask() {
	local trust=(-k "$skey")
	[[ $addr == quic:* ]] || trust=(--insecure)
	run --separate-stderr snet-perf -q "${trust[@]}" --time 200ms "$@" "$addr"
}

setup() {
	skey_id=$sid
}

# result TEST JQ: it is true of every result of that test, and there is one.
result() {
	jq -es "map(select(.event == \"perf.result\" and .test == \"$1\") | $2) | length > 0 and all" <<<"$output" >&2
}

# summary JQ: it is true of the summary, of which there is one.
summary() {
	jq -es "map(select(.event == \"perf.summary\") | $1) == [true]" <<<"$output" >&2
}

# A busy machine may spoil a short measurement; then it is a longer one. For this many ms, until the figures are there:
# for time in "${times[@]}"; do ...; if FIGURES; then break; fi; may_be_longer; done
times=(200 600 2000 5000)

may_be_longer() {
	[ "$time" -lt 5000 ]
}

# What every transport does: figures must agree with each other, always.
check_shape() {
	[ "$status" -eq 0 ]
	[ "$(jq -rs 'map(.event) | unique | join(" ")' <<<"$output")" = "perf.result perf.summary" ]
	[ "$(jq -r .event <<<"${lines[-1]}")" = perf.summary ]
	jq -es 'all(.complete)' <<<"$output"
	result latency ".time_ms == $1 and .size == 64"
	result latency '.min_ns <= .p50_ns and .p50_ns <= .p90_ns and .p90_ns <= .p99_ns and .p99_ns <= .max_ns'
	result latency '.count == null or .min_ns > 1000 and .max_ns <= .time_ms * 1e6'
	# one after another: as many as fit into the time, the first and the last perhaps in part
	result latency '.count == null or .mean_ns * .count <= 1.02 * .time_ms * 1e6'
	result latency '.count == null or ([.histogram[][2]] | add) == .count and all(.histogram[]; .[0] <= .[1])'
	result latency '.count == null or .histogram[0][0] <= .min_ns and .histogram[-1][1] >= .max_ns'
	result latency '.count == null or (.per_s - .count * 1000 / .time_ms | fabs < 1)'
	# figures are whole numbers per second
	result send '.sent_bits_per_s == null or (.sent_bits_per_s / 8 / .size - .sent_messages_per_s | fabs <= 2)'
	result receive '.sent_bits_per_s == null'
	result both true
	summary ".tests == $(jq -s 'map(select(.event == "perf.result")) | length' <<<"$output")"
}

# And they are those of a machine that has time for it.
is_swift() {
	result latency '.count > 10 and .mean_ns * .count >= 0.2 * .time_ms * 1e6' &&
		result rounds '.count > 10' &&
		result send '.sent_bits_per_s > 1e6' &&
		result receive '.received_bits_per_s > 1e6' &&
		result both '.received_bits_per_s > 1e6 and .sent_bits_per_s > 1e6' &&
		summary '.rtt_p50_ns > 0 and .rounds_per_s > 0 and .messages_per_s > 0 and .send_bits_per_s > 0' &&
		summary '.receive_bits_per_s > 0 and .both_send_bits_per_s > 0 and .both_receive_bits_per_s > 0'
}

# every_test [COMMAND...]: asks for all; the command is true of the figures of such a machine, too.
every_test() {
	local time
	for time in "${times[@]}"; do
		ask --time "${time}ms"
		check_shape "$time"
		if is_swift && "${@:-true}"; then return; fi
		may_be_longer
	done
}

@test "over quic: every test, one object each, a summary at the end" {
	perf server quic
	every_test result handshakes '.count > 0 and .p50_ns > 0'
	[ -z "$stderr" ]
	[ "$(jq -r 'select(.test == "messages").size' <<<"$output" | tr '\n' ' ')" = "64 1024 16384 " ]
	summary '.transport == "quic"'
}

@test "over tcp: every test" {
	perf server tcp
	every_test result handshakes '.count > 0'
	jq -es 'all(.lost_messages == null and .wire_p50_ns == null)' <<<"$output"
}

@test "over udp: every test but handshakes, what was lost, and the time on the wire" {
	perf server udp
	every_test
	[ -z "$(jq -r 'select(.test == "handshakes")' <<<"$output")" ]
	result send '.lost_messages >= 0'
	# what the kernel saw is within what the program saw
	result latency '.wire_p50_ns > 0 and .wire_p50_ns <= .p50_ns'
	ask -T handshakes
	[ "$status" -eq 2 ]
}

@test "a server at every address is there over IPv4 and IPv6" {
	local scheme host time
	for scheme in tcp udp quic; do
		start_ready "$scheme" snet-perf -q --insecure --serve "$scheme://:0"
		port=$(jq -r 'select(.event == "listening").port' "$BATS_TEST_TMPDIR/$scheme.out")
		for host in 127.0.0.1 "[::1]"; do
			addr=$scheme://$host:$port
			for time in "${times[@]}"; do
				ask --insecure -T latency -w 0 --time "${time}ms"
				[ "$status" -eq 0 ] || { echo "$addr: $status: $output"; return 1; }
				if result latency '.count > 0'; then break; fi
				may_be_longer
			done
		done
		wait_event "$scheme" perf.served '.address | startswith("127.0.0.1:")'
		wait_event "$scheme" perf.served '.address | startswith("[::1]:")'
	done
	run --separate-stderr snet-perf -4 -q --insecure --serve "tcp://[::1]:0"
	[ "$status" -ne 0 ]
}

@test "the server says what it has served, and to whom" {
	perf server quic
	local time
	for time in "${times[@]}"; do
		ask -T latency -T send -s 1k --parallel 2 --time "${time}ms"
		[ "$status" -eq 0 ]
		wait_event server perf.served ".test == \"send\" and .time_ms >= $time"
		jq -e "select(.key == \"$sid\" and .size == 1024 and .parallel == 2 and .complete)" <<<"$event"
		jq -e '.received_bytes == 1024 * .received_messages' <<<"$event"
		if jq -e '.received_messages > 0' <<<"$event"; then break; fi
		may_be_longer
	done
	quit server
	[ "$status" -eq 0 ]
}

@test "--size, --parallel and --omit are what they say" {
	perf server tcp
	ask -T send -T latency -s 100 -s 4k --parallel 3 --omit 150ms
	[ "$status" -eq 0 ]
	[ "$(jq -r 'select(.event == "perf.result") | "\(.test) \(.size) \(.parallel) \(.time_ms)"' <<<"$output")" = \
"send 100 3 200
send 4096 3 200
latency 100 3 200
latency 4096 3 200" ]
	[ "$(jq -r 'select(.event == "perf.served").time_ms >= 350' "$BATS_TEST_TMPDIR/server.out" | sort -u)" = true ]
}

@test "--every says what each interval has brought, and the sum is the result" {
	perf server quic
	local time
	for time in 500 1500 5000; do
		ask -T latency --time "${time}ms" --omit 100ms --every 100ms
		[ "$status" -eq 0 ]
		jq -es "map(select(.event == \"perf.interval\").at_ms) | . == sort and .[-1] >= $time + 100" <<<"$output"
		# all that was counted in intervals is in the result, but for those that were left out
		jq -es 'map(select(.event == "perf.interval")) as $i | (.[] | select(.event == "perf.result") | .count // 0) as $n |
			([$i[].count] | add // 0) >= $n and ([$i[] | select(.omitted | not).count] | add // 0) <= $n' <<<"$output"
		if jq -es 'map(select(.event == "perf.interval")) | length >= 2 and .[0].omitted and (.[-1].omitted | not)' \
			<<<"$output"; then break; fi
		may_be_longer
	done
	# as often as that, also when it is less than a server reports
	for time in 400 1000 3000 6000; do
		ask -T latency --time "${time}ms" --every 20ms
		[ "$status" -eq 0 ]
		if [ "$(jq -s 'map(select(.event == "perf.interval")) | length' <<<"$output")" -ge $((time * 3 / 100)) ]; then break; fi
		may_be_longer
	done
	for time in 300 1000 5000; do
		ask -T both --time "${time}ms" --every 100ms
		[ "$status" -eq 0 ]
		if jq -es 'map(select(.event == "perf.interval")) | any(.sent_bits_per_s > 0) and any(.received_bits_per_s > 0)' \
			<<<"$output"; then break; fi
		may_be_longer
	done
}

@test "figures agree with a link whose delay and rate are known" {
	perf server quic
	local server=$addr key=${addr#*#}
	start_ready link snet-link -q --rtt 20ms --rate 80mbit --mtu 1500 --listen 127.0.0.1:0 --to "${server%#*}"
	addr=quic://$(jq -r 'select(.event == "listening").address' "$BATS_TEST_TMPDIR/link.out" | sed 's,.*://,,')#$key
	local test bound swift time
	# TEST: what always holds (lockstep needs one way, not both); no slower than that, if the machine has time for it
	while IFS=: read -r test bound swift; do
		for time in 1000 2000 5000; do
			ask -T "$test" --time "${time}ms" --omit 300ms
			[ "$status" -eq 0 ]
			result "$test" "$bound"
			if result "$test" "$swift"; then break; fi
			may_be_longer
		done
	done <<-'END'
	latency:.p50_ns == null or .p50_ns >= 20e6:.p50_ns > 0 and .p50_ns < 40e6
	rounds:.per_s <= 101:.per_s > 30
	send:.sent_bits_per_s < 96e6:.sent_bits_per_s > 20e6
	END
}

@test "a server that is busy says so, and until when: status 10" {
	perf server quic
	start first snet-perf -q -k "$skey" --time 20s --every 50ms -T latency "$addr"
	wait_event first perf.interval
	ask -T latency
	failed_with 10 policy
	[[ $(jq -r .text <<<"${lines[-1]}") == *"busy: it does another test, which takes up to "*" s more"* ]]
	summary '.tests == 0 and (.complete | not)'
	kill -INT "${pid[first]}"
	finish first
	[ "$status" -eq 0 ]
	ask -T latency
	[ "$status" -eq 0 ]
	jq -es 'any(.event == "perf.served" and .refused == 1)' "$BATS_TEST_TMPDIR/server.out"
}

@test "interrupted: what was measured so far, marked as such" {
	perf server udp
	start ask snet-perf -q --insecure --time 20s --every 50ms "$addr"
	wait_event ask perf.interval '.count > 0'
	kill -INT "${pid[ask]}"
	finish ask
	[ "$status" -eq 0 ]
	output=$(cat "$BATS_TEST_TMPDIR/ask.out")
	result latency '(.complete | not) and .count > 0 and .time_ms < 20000'
	summary '(.complete | not) and .rtt_p50_ns > 0 and .tests == 1'
}

# lost SCHEME ARGS...: the server is killed in the middle.
lost() {
	perf server "$1"
	local trust=(-k "$skey")
	[ "$1" = quic ] || trust=(--insecure)
	start ask snet-perf -q "${trust[@]}" --keep-alive 1s --time 30s --every 50ms -T "$2" "$addr"
	wait_event ask perf.interval "${3:-.count} > 0"
	kill -KILL "${pid[server]}"
	finish ask
	failed_with 6 peer_lost ask
	output=$(cat "$BATS_TEST_TMPDIR/ask.out")
	result "$2" "(.complete | not) and .time_ms > 0 and (.count // .sent_messages_per_s) > 0"
	summary '(.complete | not) and .tests == 1'
}

@test "a server that is killed: what was measured so far, and status 6, over quic" {
	lost quic latency
}

@test "a server that is killed, in the middle of bytes, over quic" {
	lost quic send .sent_messages
}

@test "a server that is killed: the same over tcp" {
	lost tcp latency
}

@test "a server that is killed: the same over udp" {
	lost udp send .sent_messages
}

@test "a client that is killed leaves the server free for others" {
	perf server quic --keep-alive 1s
	start ask snet-perf -q -k "$skey" --time 30s --every 50ms -T both "$addr"
	wait_event ask perf.interval
	kill -KILL "${pid[ask]}"
	wait "${pid[ask]}" || true
	unset "pid[ask]"
	wait_event server perf.served '.complete | not'
	ask -T latency
	[ "$status" -eq 0 ]
}

@test "a server that is not there yet is waited for, and one that never is ends with 4" {
	for scheme in quic tcp udp; do
		addr=$scheme://127.0.0.1:9
		run --separate-stderr snet-perf -q --insecure --time 100ms -w 0 "$addr"
		failed_with 4 unreachable
	done
	ports 1
	start ask snet-perf -q --insecure --time 100ms -T latency "tcp://127.0.0.1:$port"
	wait_event ask waiting
	start server snet-perf -q --insecure --serve "tcp://127.0.0.1:$port"
	finish ask
	[ "$status" -eq 0 ]
}

asked() {
	grep -q "^$1" "$BATS_TEST_TMPDIR/dns.out"
}

@test "names are looked up, of servers and of where to listen" {
	local scheme time
	name_server
	for scheme in quic tcp udp; do
		start_ready "$scheme" snet-perf -q --insecure --serve "$scheme://here.example.test:0"
		port=$(jq -r 'select(.event == "listening").port' "$BATS_TEST_TMPDIR/$scheme.out")
		addr=$scheme://there.example.test:$port
		for time in "${times[@]}"; do
			ask --insecure -T latency --time "${time}ms"
			[ "$status" -eq 0 ]
			if result latency '.count > 0'; then break; fi
			may_be_longer
		done
		[ "$(jq -r 'select(.event == "perf.summary").address' <<<"$output")" = "$addr" ]
	done
	asked here
	asked there
}

@test "a name that is not known is an error that names it; name servers that are silent hold up nobody" {
	name_server
	addr=udp://no.example.test:9
	ask -w 0
	failed_with 4 cannot_resolve
	[[ $(jq -r .text <<<"${lines[-1]}") == *"no.example.test"* ]]
	addr=tcp://silent.example.test:9
	ask -w 500ms
	failed_with 7 timeout
	# told to end while it asks: it ends
	start client snet-perf -q --insecure "quic://silent-client.example.test:9"
	start server snet-perf -q --insecure --serve tcp://127.0.0.1:0 quic://silent-server.example.test:0
	for who in client server; do
		wait_until asked "silent-$who"
		before=$SECONDS
		quit $who
		[ "$status" -eq 0 ]
		[ $((SECONDS - before)) -le 4 ]
	done
	run --separate-stderr snet-perf -q --insecure --serve quic://no.example.test:0
	failed_with 4 cannot_resolve
}

@test "a name that begins to be known is waited for" {
	name_server
	perf server tcp
	port=${addr##*:}
	start ask snet-perf -q --insecure --time 100ms -T latency "tcp://late.example.test:$port"
	wait_event ask waiting '.reason == "cannot_resolve" and (.text | contains("late.example.test"))'
	touch "$BATS_TEST_TMPDIR/dns.late"
	finish ask
	[ "$status" -eq 0 ]
}

# served N: the server has said so often what it has served; $event is the last.
served() {
	event=$(jq -c 'select(.event == "perf.served")' "$BATS_TEST_TMPDIR/server.out" 2>/dev/null)
	[ "$(wc -l <<<"$event")" -eq "$1" ] && [ -n "$event" ] && event=${event##*$'\n'}
}

@test "a slow link: figures of both ways at once, although reports have to wait behind bytes" {
	local time n=0
	start_ready server snet-perf -q --insecure --serve quic://127.0.0.1:0 tcp://127.0.0.1:0
	for scheme in quic tcp; do
		at=$(jq -r "select(.event == \"listening\").address | select(startswith(\"$scheme\"))" "$BATS_TEST_TMPDIR/server.out")
		at=${at%%#*}
		kind=${scheme/quic/udp}
		start_ready "link-$scheme" snet-link -q --rtt 40ms --rate 4mbit --mtu 1500 --listen "$kind://127.0.0.1:0" --to "$kind://${at#*://}"
		door=$(jq -r 'select(.event == "listening").address' "$BATS_TEST_TMPDIR/link-$scheme.out")
		for time in 1500 4000 12000; do
			run --separate-stderr snet-perf -q --insecure -T both --time "${time}ms" "$scheme://${door#*://}"
			[ "$status" -eq 0 ]
			wait_until served $((++n))
			jq -e ".transport == \"$scheme\"" <<<"$event"
			# not so much is under way that the next test would have to wait
			if result both '.sent_bits_per_s > 1e5 and .sent_bits_per_s < 5e6' &&
				result both '.received_bits_per_s > 1e5 and .received_bits_per_s < 5e6' &&
				jq -e ".complete and .time_ms < $time + 2000" <<<"$event"; then break; fi
			[ "$time" -lt 12000 ] # a busy machine may be late
		done
	done
}

@test "a test that is shorter than a round trip has a figure, too; --timeout never is long, not short" {
	perf server tcp
	start_ready link snet-link -q --rtt 300ms --listen tcp://127.0.0.1:0 --to "$addr"
	addr=$(jq -r 'select(.event == "listening").address' "$BATS_TEST_TMPDIR/link.out")
	ask -T send --time 100ms -t never
	[ "$status" -eq 0 ]
	result send '.sent_bits_per_s > 0 and .complete'
}

@test "a server that is told to end says what it has served so far" {
	perf server udp
	start ask snet-perf -q --insecure --time 20s --every 50ms -T send "$addr"
	wait_event ask perf.interval '.sent_messages > 0'
	quit server
	[ "$status" -eq 0 ]
	jq -es 'map(select(.event == "perf.served")) | length == 1 and (.[0].complete | not) and .[0].received_messages > 0' \
		"$BATS_TEST_TMPDIR/server.out"
	finish ask
	failed_with 6 peer_lost ask
}

@test "keys: pinned, refused, none" {
	perf server quic
	run --separate-stderr snet-perf -q --time 100ms -T latency "$addr"
	failed_with 5 identity_refused
	run --separate-stderr snet-perf -q -k "$skey" -T latency "${addr%#*}#$sid"
	failed_with 5 identity_refused
	run --separate-stderr snet-perf -q -k "$skey" -T latency "${addr%#*}"
	failed_with 3 config
	for scheme in tcp udp; do
		run --separate-stderr snet-perf -q -k "$skey" "$scheme://127.0.0.1:9"
		failed_with 3 config
		run --separate-stderr snet-perf -q -k "$skey" --serve "$scheme://127.0.0.1:0"
		failed_with 3 config
	done
	run --separate-stderr snet-perf --serve quic://127.0.0.1:0
	failed_with 3 config
}

@test "tests that are too long or too large are refused by the server" {
	perf server quic --longest 1s
	ask -T latency --time 2s
	failed_with 10 policy
	[[ $(jq -r .text <<<"${lines[-1]}") == *"longer or larger than it allows"* ]]
	perf another udp
	ask -T send -s 1MiB
	failed_with 10 policy
	perf third tcp
	ask -T send -s 16MiB --parallel 17
	failed_with 10 policy
	local time
	for time in 1 5 20; do # a busy machine may need so long for the first
		ask -T latency -s 16MiB --parallel 2 --time "${time}s"
		[ "$status" -eq 0 ]
		result latency '.parallel == 2'
		if result latency '.count > 0'; then return; fi
	done
	return 1
}

@test "who does not read what he asks for costs a server no more than a few messages" {
	command -v python3 >/dev/null || skip "no python3"
	perf server tcp
	python3 - "${addr#*://}" <<-'END'
	import socket, struct, sys
	host, port = sys.argv[1].split(":")
	s = socket.create_connection((host, int(port)))
	s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 1, 0))
	frame = lambda b: struct.pack(">I", len(b)) + b
	s.sendall(frame(b"\x50" + bytes(7) + b"\1" + struct.pack(">BIIH", 0, 65536, 20000, 1) + bytes(16)))
	ping = frame(b"\x54" + bytes(8) + bytes(65527))
	sent = 0
	try:
	    while sent < 200 << 20: sent += s.send(ping * 4)
	except OSError:
	    pass
	assert sent < 64 << 20, sent # it stops to read
	END
	rss=$(awk '/^VmRSS/ { print $2 }' "/proc/${pid[server]}/status")
	[ -n "${SNET_SANITIZED:-}" ] || [ "$rss" -lt 40000 ]
	wait_event server perf.served '.complete | not'
	ask -T latency
	[ "$status" -eq 0 ]
}

@test "-H: a table and a histogram, and nothing that is JSON" {
	perf server quic
	local time
	for time in "${times[@]}"; do
		ask -H -T latency -T both --time "${time}ms"
		[ "$status" -eq 0 ]
		if [[ $output == *█* ]]; then break; fi
		may_be_longer
	done
	[[ $output == *"test "*"p50"*"p99"* ]]
	[[ $output == *"latency "*"64 B "* ]]
	[[ $output == *"both "*"bit/s"* ]]
	[[ $output == *"round trips"*"█"* ]]
	[[ $output != *"{"* ]]
}

# picture: well-formed, or it fails; 3: there is too little in it.
picture() {
	python3 - "$BATS_TEST_TMPDIR/perf.svg" <<-'END'
	import sys, xml.etree.ElementTree as tree
	ns = "{http://www.w3.org/2000/svg}"
	root = tree.parse(sys.argv[1]).getroot()
	assert root.tag == ns + "svg"
	width, height = (float(root.get(k)) for k in ("width", "height"))
	words = " ".join(e.text or "" for e in root.iter(ns + "text"))
	bars = [e for e in root.iter(ns + "rect") if e.get("class") == "bar"]
	for bar in bars:
	    assert 0 <= float(bar.get("x")) <= width and 0 <= float(bar.get("y")) <= height
	    assert float(bar.get("width")) > 0 and float(bar.get("height")) >= 0
	curves = [e.get("points").split() for e in root.iter(ns + "polyline")]
	for x, y in (p.split(",") for c in curves for p in c):
	    assert 0 <= float(x) <= width and 0 <= float(y) <= height
	for e in root.iter():
	    assert not any(k.endswith("href") for k in e.keys()) and e.tag != ns + "script"
	if len(bars) <= 3 or max(map(len, curves), default=0) < 2: sys.exit(3)
	assert "p50" in words and "p99" in words and "both" in words and "Payload over time" in words, words
	END
}

@test "--svg is a picture: well-formed, whole, and with nothing from elsewhere" {
	command -v python3 >/dev/null || skip "no python3"
	local time
	perf server quic
	for time in 400 2000 5000; do
		ask -T latency -T both --time "${time}ms" --svg "$BATS_TEST_TMPDIR/perf.svg"
		[ "$status" -eq 0 ]
		run picture
		if [ "$status" -eq 0 ]; then break; fi
		[ "$status" -eq 3 ] || { echo "$output"; return 1; }
		may_be_longer
	done
	ask -T latency --svg /nowhere/at/all.svg
	failed_with 1 io
	result latency .complete
}

@test "wrong options: status 2, and what would be right" {
	for bad in "-T speed" "--size 15" "--size 17MiB" "--size x" "--time 0" "--time 2h" "--parallel 0" "--parallel 65" \
		"--every 1ms" "--omit never"; do
		# shellcheck disable=SC2086 # two words
		run --separate-stderr snet-perf --insecure $bad quic://127.0.0.1:9
		[ "$status" -eq 2 ] || { echo "$bad: $status"; return 1; }
		[[ $stderr == *"${bad%% *}"* || $stderr == *"--test"* || $stderr == *"--time"* ]] || { echo "$bad: $stderr"; return 1; }
	done
	run --separate-stderr snet-perf
	[ "$status" -eq 2 ]
	run --separate-stderr snet-perf --insecure quic://127.0.0.1:9 quic://127.0.0.1:10
	[ "$status" -eq 2 ]
	run --separate-stderr snet-perf --insecure --serve -T latency
	[ "$status" -eq 2 ]
	run --separate-stderr snet-perf --insecure --serve --time 1s
	[ "$status" -eq 2 ]
	run --separate-stderr snet-perf --insecure --longest 1s tcp://127.0.0.1:9
	[ "$status" -eq 2 ]
	run --separate-stderr snet-perf --insecure --serve tcp://127.0.0.1:0 tcp://127.0.0.1:0
	[ "$status" -eq 2 ]
	run --separate-stderr snet-perf --insecure ws://127.0.0.1:9
	[ "$status" -eq 2 ]
	run --separate-stderr snet-perf --insecure tcp://127.0.0.1:0
	[ "$status" -eq 2 ]
}

# Strangers' bytes, from all sides, while nothing else happens and while a test runs.
garbage() {
	python3 - "$1" <<-'END'
	import os, random, socket, struct, sys
	scheme, where = sys.argv[1].split("://")
	where = (where.split(":")[0], int(where.split(":")[1].split("#")[0]))
	random.seed(5)
	session = struct.pack(">Q", 7)
	plan = struct.pack(">BIIH", 4, 65536, 3600000, 64)
	said = [bytes([t]) + session + os.urandom(n) for t in range(0x4e, 0x62) for n in (0, 7, 40, 1200)]
	said += [b"\x50" + session + plan + bytes(16), b"\x50" + session + plan + os.urandom(16)]
	said += [os.urandom(random.randrange(1, 1400)) for _ in range(300)]
	if scheme == "tcp":
	    for words in [struct.pack(">I", len(s)) + s for s in said] + [b"\xff\xff\xff\xff" + bytes(100), b"\0\0\0\0"]:
	        s = socket.create_connection(where)
	        s.settimeout(0.02)
	        try:
	            s.sendall(words)
	            got = s.recv(100)
	        except OSError:
	            got = b""
	        # Only what begins with a START may begin a test, and that is over with its connection.
	        assert words[4:5] in (b"\x50", b"\x5a") or not got, (words, got)
	        s.close()
	else:
	    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	    s.setblocking(False)
	    sent = got = 0
	    for words in said:
	        s.sendto(words, where)
	        sent += len(words)
	        try:
	            while True:
	                got += len(s.recv(2000))
	        except OSError:
	            pass
	    s.settimeout(0.3)
	    try:
	        while True:
	            got += len(s.recv(2000))
	    except OSError:
	        pass
	    assert got < sent / 4, (got, sent)
	END
}

@test "garbage costs a server nothing: it answers less than it gets, and goes on" {
	command -v python3 >/dev/null || skip "no python3"
	for scheme in udp tcp quic; do
		perf "$scheme" "$scheme"
		kind=$scheme
		[ "$scheme" != quic ] || kind=udp
		garbage "$kind://${addr#*://}"
		ask -T latency -T both
		[ "$status" -eq 0 ] || { echo "$scheme: $status: $output"; return 1; }
		is_gone "$scheme" && return 1
		rss=$(awk '/^VmRSS/ { print $2 }' "/proc/${pid[$scheme]}/status")
		[ -n "${SNET_SANITIZED:-}" ] || [ "$rss" -lt 200000 ]
	done
}

# evil HOW: a tcp server that says what no server says; in $addr.
evil() {
	command -v python3 >/dev/null || skip "no python3"
	start evil python3 -u -c '
import os, socket, struct, sys
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1])
frame = lambda b: struct.pack(">I", len(b)) + b
how = sys.argv[1]
while True:
    c, _ = s.accept()
    start = c.recv(100)
    session = start[5:13]
    accept = frame(b"\x52" + session)
    most = b"\xff" * 8
    data = frame(b"\x58" + bytes(8) + bytes(1000))
    say = {"garbage": b"\xff" + os.urandom(501), "empty": bytes(4), "other": frame(b"\x52" + bytes(8)) * 5,
           "early": data * 100, "again": accept * 50, "gone": accept,
           "large": accept + frame(b"\x59" + most * 5) * 3, "back": accept + frame(b"\x59" + most * 5) + frame(b"\x59" + bytes(40)),
           "ping": accept + frame(b"\x54" + bytes(15)), "ahead": accept + frame(b"\x56" + b"\xff" * 7 + b"\xfe" + bytes(55)) * 20,
           "refuse": frame(b"\x53" + session + b"\1" + b"\xff" * 4), "why": frame(b"\x53" + session + b"\xff" * 5), "silent": b""}[how]
    try:
        c.sendall(say)
        while how != "gone" and c.recv(65536): pass
    except OSError: pass
    c.close()
' "$1"
	wait_until test -s "$BATS_TEST_TMPDIR/evil.out"
	addr=tcp://127.0.0.1:$(head -n 1 "$BATS_TEST_TMPDIR/evil.out")
}

@test "a server that says what no server says: an error, or a figure, but neither a crash nor a client that hangs" {
	local how test want reason limit
	while read -r how test want reason; do
		evil "$how"
		# Only where nothing else ends it is there a limit to what it waits for, or to what it measures.
		limit=(--time 200ms)
		[ "$want" -eq 0 ] || limit=(--time 30s)
		[ "$reason" != timeout ] || limit+=(-t 500ms)
		ask -T "$test" "${limit[@]}"
		if [ "$want" -eq 0 ]; then
			[ "$status" -eq 0 ] || { echo "$how: $status: $output"; return 1; }
		else
			failed_with "$want" "$reason" || { echo "$how: $status: $output"; return 1; }
		fi
		summary true
		quit evil || true
		rm "$BATS_TEST_TMPDIR/evil.out"
	done <<-'END'
	garbage latency 8 protocol
	empty latency 8 protocol
	other latency 7 timeout
	silent latency 7 timeout
	early latency 7 timeout
	again send 0
	gone latency 6 peer_lost
	large send 0
	back both 0
	ping latency 8 protocol
	ahead rounds 0
	refuse latency 10 policy
	why latency 8 protocol
	END
}

@test "several clients at once: one is served, the others are told to wait, and none disturbs it" {
	perf server quic
	start first snet-perf -q -k "$skey" --time 60s --every 50ms -T latency "$addr"
	wait_event first perf.interval
	for i in 1 2 3 4; do start "c$i" snet-perf -q -k "$skey" --time 100ms -T send --parallel 4 "$addr"; done
	for i in 1 2 3 4; do
		finish "c$i"
		failed_with 10 policy "c$i"
	done
	run is_gone first
	[ "$status" -ne 0 ]
	kill -INT "${pid[first]}"
	finish first
	[ "$status" -eq 0 ]
	jq -es 'map(select(.event == "perf.result"))[0].count > 10' "$BATS_TEST_TMPDIR/first.out"
	wait_event server perf.served '.test == "latency" and .refused >= 4'
}

@test "stdout that is gone: an error, and not a signal" {
	perf server tcp
	run --separate-stderr bash -c 'snet-perf -q --insecure -T latency --time 30s --every 20ms "$1" | head -n 1; exit "${PIPESTATUS[0]}"' _ "$addr"
	[ "$status" -eq 1 ]
	[[ $stderr == *"stdout: Broken pipe"* ]]
	run --separate-stderr bash -c 'snet-perf -q --insecure -T latency --time 100ms "$1" >/dev/full' _ "$addr"
	[ "$status" -eq 1 ]
	[[ $stderr == *"stdout: No space left on device"* ]]
}

@test "a test that runs is not disturbed by strangers" {
	command -v python3 >/dev/null || skip "no python3"
	perf server udp
	start ask snet-perf -q --insecure -T latency --time 1s --every 50ms "$addr"
	wait_event ask perf.interval
	garbage "$addr"
	finish ask
	[ "$status" -eq 0 ]
	jq -es 'map(select(.event == "perf.result"))[0].complete' "$BATS_TEST_TMPDIR/ask.out"
}

# net N: a roster of N parties on free ports, in $net.
net() {
	net=$BATS_TEST_TMPDIR/net
	ports "$1"
	snet-keygen --net "$1" -d "$net" --at "quic://127.0.0.1:$port" >/dev/null
}

party() {
	start "p$1" snet-perf -q -r "$net/roster.json" -i "$1" -k "$net/$1.key" --keep-alive 3s "${@:2}"
}

# in_lockstep: rounds of all, as many for each, as far as their times were the same; and all was measured.
in_lockstep() {
	jq -es 'map(select(.event == "perf.result" and .test == "rounds") | .count // 0) | length == 3 and min > 10 and max <= 1.2 * min + 2' \
		"$BATS_TEST_TMPDIR"/p?.out &&
		jq -es 'map(select(.event == "perf.result" and .to != null and .test == "latency").p50_ns) | all' "$BATS_TEST_TMPDIR"/p0.out
}

@test "--roster: all pairs of three, one after another, and all three in lockstep" {
	command -v python3 >/dev/null || skip "no python3"
	local time i
	net 3
	for time in "${times[@]}"; do
		for i in 2 0 1; do party $i --time "${time}ms" -T latency -T both -T rounds; done
		for i in 0 1 2; do
			finish p$i
			[ "$status" -eq 0 ]
			# everybody has the whole of it, and the same
			jq -r 'select(.event == "perf.result" and .to != null) |
				"\(.from) \(.to) \(.test) \(.p50_ns) \(.sent_bits_per_s)"' "$BATS_TEST_TMPDIR/p$i.out" >"$BATS_TEST_TMPDIR/pairs$i"
			[ "$(cut -d ' ' -f 1-3 "$BATS_TEST_TMPDIR/pairs$i" | tr '\n' ',')" = \
				"0 1 latency,0 1 both,0 2 latency,0 2 both,1 2 latency,1 2 both," ]
			diff "$BATS_TEST_TMPDIR/pairs0" "$BATS_TEST_TMPDIR/pairs$i"
			output=$(cat "$BATS_TEST_TMPDIR/p$i.out")
			result rounds ".from == $i and .to == null"
			summary '.parties == 3 and .pairs == 3 and .complete and .tests == 7'
		done
		if in_lockstep; then break; fi
		may_be_longer
	done
	for i in 0 1 2; do
		output=$(cat "$BATS_TEST_TMPDIR/p$i.out")
		summary '.rounds_per_s > 0'
		summary "$(sort -k 3,3 -k 4,4n "$BATS_TEST_TMPDIR/pairs0" | awk '$3 == "latency" { v = $4 } END { print ".rtt_p50_ns == " v }')"
	done
}

@test "--roster: a party that is killed ends it for the others, with what there is" {
	command -v python3 >/dev/null || skip "no python3"
	net 3
	for i in 0 1 2; do party $i --time 2s --every 50ms -T latency; done
	wait_event p0 perf.result '.to == 1'
	kill -KILL "${pid[p2]}"
	for i in 0 1; do
		finish p$i
		failed_with 6 peer_lost p$i
		output=$(cat "$BATS_TEST_TMPDIR/p$i.out")
		summary '((.complete | not) or .pairs < 3) and .tests >= 1'
		jq -es '.[-1] | .peer == 2 or (.text | contains("party 2"))' <<<"$output"
	done
}

@test "--roster: parties whose options differ are told so, and do not wait for each other" {
	command -v python3 >/dev/null || skip "no python3"
	net 2
	party 0 --time 100ms -T latency -T rounds
	party 1 --time 100ms -T latency
	finish p0
	failed_with 8 protocol p0
	[[ $(jq -r 'select(.event == "error").text' "$BATS_TEST_TMPDIR/p0.out") == *"party 1"*"the same options"* ]]
	finish p1
	[ "$status" -ne 0 ]
}

@test "--roster: a party that is known by a name, and one whose name nobody knows" {
	name_server
	net 2
	cp "$net/roster.json" "$BATS_TEST_TMPDIR/all.json"
	jq '.parties[1].address |= sub("127.0.0.1"; "one.example.test")' "$BATS_TEST_TMPDIR/all.json" >"$net/roster.json"
	for i in 0 1; do party $i --time 100ms -T latency; done
	for i in 0 1; do
		finish p$i
		[ "$status" -eq 0 ]
	done
	asked one
	jq '.parties[1].address |= sub("127.0.0.1"; "silent.example.test")' "$BATS_TEST_TMPDIR/all.json" >"$net/roster.json"
	party 0 -w 1s -T latency
	finish p0
	failed_with 7 timeout p0
	[ "$(jq -r 'select(.event == "error").peer' "$BATS_TEST_TMPDIR/p0.out")" -eq 1 ]
}

@test "--roster: who is missing is said, and not waited for longer than --wait" {
	command -v python3 >/dev/null || skip "no python3"
	net 3
	party 0 -w 5s -T latency
	party 1 -T latency
	wait_event p0 waiting '.for == "2"'
	finish p0
	failed_with 4 unreachable p0
	[ "$(jq -r 'select(.event == "error").peer' "$BATS_TEST_TMPDIR/p0.out")" -eq 2 ]
	finish p1
	failed_with 6 peer_lost p1
	[ "$(jq -r 'select(.event == "error").peer' "$BATS_TEST_TMPDIR/p1.out")" -eq 0 ]
}
