# Every suite begins with: load helper
#
#   start NAME PROGRAM ARGS...   in the background; stdin is the caller's redirection, else empty.
#                                Its output is $BATS_TEST_TMPDIR/NAME.out and NAME.err, its pid ${pid[NAME]}
#   start_ready NAME PROGRAM ... the same with --ready-fd, and returns when the program is ready; sets $addr
#   wait_event NAME EVENT [JQ]   until NAME has printed such an event (and JQ is true of it); sets $event
#   wait_until COMMAND ARGS...   until the command succeeds
#   finish NAME                  until NAME ends by itself; sets $status
#   is_held_back NAME            a snet-send -v has more to send than its peer takes: nothing is under way, and two answers
#                                to SIGUSR1 are the same. For wait_until; sets $taken, how much of its stdin, a file, it has read
#   quit NAME                    asks NAME to end, and waits; sets $status
#   hold NAME                    opens a pipe into $BATS_TEST_TMPDIR/NAME.in that stays open:
#                                hold x; start x snet-send ... <"$in"; say x '{"text":"hi"}'; release x
#
#   make_keys                    in setup_file: two identities for the suite, $lkey and $skey, their key ids $lid and $sid
#   listen NAME ARGS...          start_ready snet-listen with the first, which lets in the second
#   ports N                      N ports nobody has, of UDP or TCP, one after another; $port is the first. They are none of
#                                those the kernel gives away, so that they stay free, also between two programs
#   failed_with CODE REASON [NAME]   $status is CODE, and the last line (of NAME, or of run) an error event that says so
#   received NAME                what NAME printed of messages, a line each: peer, text
#
# Every wait has a bound (120 s) and ends the test when it passes. What a test leaves running is ended
# by pid in teardown; a suite with a teardown of its own calls stop_all in it.
bats_require_minimum_version 1.5.0

: "${SNET_BIN:?set SNET_BIN to the directory with the programs}"
: "${SNET_SRCDIR:=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)}"
PATH=$SNET_BIN:$PATH
exec </dev/null

declare -gA pid=() held=()

start() {
	local name=$1
	shift
	(
		# What the test holds open is not the program's, or it would never see an end of input.
		for fd in "${held[@]}"; do exec {fd}>&-; done
		exec "$@"
	) <&0 >"$BATS_TEST_TMPDIR/$name.out" 2>"$BATS_TEST_TMPDIR/$name.err" 3>&- & # bats waits for holders of its fd 3
	pid[$name]=$!
}

start_ready() {
	local name=$1 fifo=$BATS_TEST_TMPDIR/$1.ready deadline=$((SECONDS + 120)) fd
	mkfifo "$fifo"
	exec {fd}<>"$fifo"
	held[$name.ready]=$fd
	start "$name" "$2" --ready-fd 9 "${@:3}" 9>"$fifo"
	# A look, which takes nothing: some shells lose what a timed read had read when its time was over.
	until read -t 0 -u "$fd"; do
		if is_gone "$name" || [ "$SECONDS" -ge "$deadline" ]; then
			echo "$name is not ready" >&2
			cat "$BATS_TEST_TMPDIR/$name.err" >&2
			return 1
		fi
		sleep 0.02
	done
	release "$name.ready"
	rm "$fifo"
	find_addr "$name"
}

# In the formats that keep stdout for payload the address stands on stderr only.
find_addr() {
	addr=$(jq -r 'select(.event == "listening").address' "$BATS_TEST_TMPDIR/$1.out" 2>/dev/null | head -n 1) || true
	[ -n "$addr" ] || addr=$(grep -o "quic://[^ ']*" "$BATS_TEST_TMPDIR/$1.err" | head -n 1) || true
}

wait_until() {
	local deadline=$((SECONDS + 120))
	until "$@"; do
		if [ "$SECONDS" -ge "$deadline" ]; then
			echo "not within 120 s: $*" >&2
			return 1
		fi
		sleep 0.05
	done
}

has_event() {
	event=$(jq -c "select(.event == \"$2\") | select(${3:-true})" "$BATS_TEST_TMPDIR/$1.out" 2>/dev/null | head -n 1)
	[ -n "$event" ]
}

wait_event() {
	wait_until has_event "$@" || { cat "$BATS_TEST_TMPDIR/$1.out" "$BATS_TEST_TMPDIR/$1.err" >&2; return 1; }
	if [ "$2" = listening ]; then
		addr=$(jq -r .address <<<"$event")
	fi
}

is_gone() {
	! kill -0 "${pid[$1]}" 2>/dev/null
}

finish() {
	local deadline=$((SECONDS + 120))
	until is_gone "$1"; do
		if [ "$SECONDS" -ge "$deadline" ]; then
			echo "$1 did not end within 120 s" >&2
			cat "$BATS_TEST_TMPDIR/$1.err" >&2
			return 1
		fi
		sleep 0.05
	done
	status=0
	# shellcheck disable=SC2034 # the test's
	wait "${pid[$1]}" || status=$?
	unset "pid[$1]"
}

is_held_back() {
	local err=$BATS_TEST_TMPDIR/$1.err
	grep -q '^snet-send: ready ' "$err" || return 1 # until then the signal would end it
	kill -USR1 "${pid[$1]}"
	# shellcheck disable=SC2034 # the test's
	taken=$(awk '/^pos:/ { print $2 }' "/proc/${pid[$1]}/fdinfo/0")
	grep '^snet-send: stats peer=' "$err" | tail -n 2 | uniq -d | grep -q ' queued_bytes=[1-9].* in_flight_bytes=0 '
}

quit() {
	kill "${pid[$1]}" 2>/dev/null || true
	finish "$1"
}

hold() {
	local fd
	in=$BATS_TEST_TMPDIR/$1.in
	mkfifo "$in"
	exec {fd}<>"$in"
	held[$1]=$fd
}

say() {
	printf '%s\n' "${@:2}" >&"${held[$1]}"
}

release() {
	local fd=${held[$1]}
	exec {fd}>&-
	unset "held[$1]"
}

make_keys() {
	export lkey=$BATS_FILE_TMPDIR/l.key skey=$BATS_FILE_TMPDIR/s.key lid sid
	lid=$(snet-keygen -o "$lkey" | jq -r .key)
	sid=$(snet-keygen -o "$skey" | jq -r .key)
}

listen() {
	start_ready "$1" snet-listen -k "$lkey" -a "$sid" "${@:2}" 127.0.0.1:0
}

ports() {
	local low
	read -r low _ 2>/dev/null </proc/sys/net/ipv4/ip_local_port_range || low=32768
	if [ "$low" -lt 12000 ] || [ "$low" -gt 40000 ]; then low=32768; fi
	for _ in {1..100}; do
		port=$((10000 + RANDOM % (low - 10000 - $1)))
		# both ends of every socket, as the kernel lists them
		if ! grep -qiE ":($(printf '%04X|' $(seq "$port" $((port + $1 - 1))))none) " /proc/net/{udp,tcp}{,6} 2>/dev/null; then
			return 0
		fi
	done
	return 1
}

# shellcheck disable=SC2154 # lines, status: the test's
failed_with() {
	local last
	if [ -n "${3:-}" ]; then
		last=$(tail -n 1 "$BATS_TEST_TMPDIR/$3.out")
	else
		last=${lines[-1]}
	fi
	last=$(jq -r 'select(.event == "error") | "\(.code) \(.reason)"' <<<"$last")
	if [ "$status $last" != "$1 $1 $2" ]; then
		echo "exit status $status, error event '$last', not $1 $2" >&2
		return 1
	fi
}

received() {
	jq -r 'select(.event == "message") | "\(.from) \(.text // (.data | @base64d))"' "$BATS_TEST_TMPDIR/$1.out"
}

# Who reads the log of a failure has nothing else: what each program said last.
show_all() {
	local f
	for f in "$BATS_TEST_TMPDIR"/*.{out,err}; do
		[ -s "$f" ] || continue
		echo "--- ${f##*/}"
		tail -c 3000 "$f" | tail -n 12 | tr -cd '[:print:]\n' | cut -c -400
	done >&2
}

stop_all() {
	local name bad=0
	[ -n "${BATS_TEST_COMPLETED:-}${BATS_TEST_SKIPPED:-}" ] || show_all
	for name in "${!pid[@]}"; do
		kill "${pid[$name]}" 2>/dev/null || true
	done
	for name in "${!pid[@]}"; do
		for _ in {1..60}; do
			is_gone "$name" && break
			sleep 0.05
		done
		kill -KILL "${pid[$name]}" 2>/dev/null || true
		wait "${pid[$name]}" 2>/dev/null || true
	done
	pid=()
	# A sanitizer's report in the background is a failure, whatever the test looked at.
	if grep -lE 'ERROR: (Address|Leak)Sanitizer|runtime error:' "$BATS_TEST_TMPDIR"/*.err 2>/dev/null; then
		cat "$BATS_TEST_TMPDIR"/*.err >&2
		bad=1
	fi
	return $bad
}

teardown() {
	stop_all
}
