load helper

# pair A-ARGS B-ARGS [A-FILTER] [B-FILTER]: two agents, a and b; what the one prints, and the filter lets through, is
# what the other reads, up to its end. Quotes in the arguments are the shell's.
pair() {
	local t=$BATS_TEST_TMPDIR
	mkfifo "$t/a.in" "$t/b.in"
	start a bash -c "exec snet-ice $1 > >(tee -p '$t/a.out' | ${3:-cat} >'$t/b.in') <'$t/a.in'"
	start b bash -c "exec snet-ice $2 > >(tee -p '$t/b.out' | ${4:-cat} >'$t/a.in') <'$t/b.in'"
}

# alone NAME ARGS...: an agent whose other side is the test: say NAME LINE...
alone() {
	hold "$1"
	start "$1" snet-ice -b 127.0.0.1 "${@:2}" <"$in"
	wait_event "$1" ice.local .end_of_candidates
}

# A field of the last such event of NAME (of which JQ is true), as soon as there is one.
field() {
	wait_event "$1" "$2" "${4:-true}"
	jq -r "select(.event == \"$2\") | select(${4:-true}).$3" "$BATS_TEST_TMPDIR/$1.out" | tail -n 1
}

both_selected() {
	local name
	for name in a b; do
		finish "$name"
		[ "$status" -eq 0 ] || { echo "$name: $status"; cat "$BATS_TEST_TMPDIR/$name.err"; return 1; }
	done
	[ "$(field a ice.selected local)" = "$(field b ice.selected remote)" ]
	[ "$(field b ice.selected local)" = "$(field a ice.selected remote)" ]
}

# ends_with NAME STATUS REASON: it ends by itself, so
ends_with() {
	finish "$1"
	wait_event "$1" error .fatal
	failed_with "$2" "$3" "$1"
}

# A line of SDP, of a host at that port here.
candidate() {
	echo "candidate:$1 1 UDP 2130706431 127.0.0.1 $1 typ host"
}

credentials='{"event":"ice.local","ufrag":"abcd","pwd":"abcdefghijklmnopqrstuv"}'

@test "two agents tell each other their lines, find each other, and end" {
	pair "-b 127.0.0.1" "-b 127.0.0.1"
	both_selected
	[ ! -s "$BATS_TEST_TMPDIR/a.err" ] && [ ! -s "$BATS_TEST_TMPDIR/b.err" ]
	[ "$(field a ice.selected local_type)" = host ]
	[ "$(field a ice.selected path)" = direct ]
	[ "$(field a ice.selected changed)" = false ]
	[ "$(field a ice.selected rtt_us)" -lt 5000000 ]
	[ "$(field a ice.selected took_ms)" -lt 5000 ]
	[ "$({ field a ice.selected role; field b ice.selected role; } | sort | xargs)" = "controlled controlling" ]
	wait_event a ice.state '.state == "completed"'
}

@test "credentials come first, then candidates, then that there are no more" {
	alone x
	[ "$(jq -r 'select(.event == "ice.local") | keys_unsorted[1]' "$BATS_TEST_TMPDIR/x.out" | uniq | xargs)" = "ufrag end_of_candidates" ]
	head -n 1 "$BATS_TEST_TMPDIR/x.out" | jq -e '(.ufrag | length >= 4) and (.pwd | length >= 22)'
	line=$(jq -c 'select(.event == "ice.local" and .candidate)' "$BATS_TEST_TMPDIR/x.out")
	[ "$(jq -r .address <<<"$line")" = 127.0.0.1 ]
	# What the fields say the line of SDP says, too.
	[ "$(jq -r .candidate <<<"$line")" = "$(jq -r '"candidate:\(.foundation) \(.component) UDP \(.priority) \(.address) \(.port) typ \(.type) ufrag \(.ufrag)"' <<<"$line")" ]
	quit x
	[ "$status" -eq 0 ]
}

@test "without trickle everything is said at once, when it is complete" {
	pair "-b 127.0.0.1 --no-trickle" "-b 127.0.0.1 --no-trickle"
	both_selected
	mapfile -t said < <(jq -r 'if .event == "ice.local" then "local" else .state // empty end' "$BATS_TEST_TMPDIR/a.out")
	[[ "${said[*]}" == gathering\ local\ local\ local\ * || "${said[*]}" == gathering\ gathering_complete\ local\ local\ local\ * ]]
}

@test "both may want the same role: one gives in" {
	for role in controlling controlled; do
		pair "-b 127.0.0.1 --role $role" "-b 127.0.0.1 --role $role"
		both_selected
		[ "$({ field a ice.selected role; field b ice.selected role; } | sort | xargs)" = "controlled controlling" ]
		rm "$BATS_TEST_TMPDIR"/?.in
	done
}

@test "roles that fit are kept, and each check is explained" {
	pair "-b 127.0.0.1 --role controlled --explain" "-b 127.0.0.1 --role controlling --explain"
	both_selected
	[ "$(field a ice.selected role)" = controlled ]
	[ "$(field b ice.selected role)" = controlling ]
	[ "$(field b ice.check text .text)" = nominated ]
	[ "$(field b ice.check result)" = succeeded ]
	[ "$(field b ice.check remote)" = "$(field a ice.selected local)" ]
}

@test "lines of SDP, those of browsers and events of others are understood" {
	sdp='jq -r --unbuffered "select(.event == \"ice.local\") | if .pwd then \"v=0\", \"a=ice-ufrag:\\(.ufrag)\", \"a=ice-pwd:\\(.pwd)\"
		elif .candidate then \"a=\\(.candidate)\\r\" else \"a=end-of-candidates\" end"'
	browser='jq -c --unbuffered "if .event != \"ice.local\" then {event: \"signal.joined\", room: \"r\"}
		elif .pwd then {ufrag, pwd} else {candidate: (.candidate // \"\"), sdpMid: \"0\", sdpMLineIndex: 0, usernameFragment: .ufrag} end"'
	pair "-b 127.0.0.1" "-b 127.0.0.1" "$sdp" "$browser"
	both_selected
	run ! has_event a error
	run ! has_event b error
}

@test "lines that are no good are said, one by one, and end nothing" {
	pair "-b 127.0.0.1" "-b 127.0.0.1" \
		"{ printf 'hello\n{\"event\":\"ice.local\",\"ufrag\":1}\n\xff\xfe\n[]\n\n{\"x\":\n'; head -c 5000 /dev/zero | tr '\0' x; echo; cat; }"
	both_selected
	[ "$(jq -r 'select(.event == "error") | "\(.line) \(.reason) \(.fatal)"' "$BATS_TEST_TMPDIR/b.out" | xargs)" = \
		"1 protocol false 2 protocol false 3 protocol false 4 protocol false 6 protocol false 7 too_big false" ]
	[[ $(cat "$BATS_TEST_TMPDIR/b.err") == *"snet-ice: line 2: ufrag: not a string"* ]]
}

@test "candidates that are not for us are told with a reason, and not used" {
	alone x
	say x "$credentials" "candidate:1 1 TCP 5 127.0.0.1 9 typ host tcptype active" \
		"candidate:2 1 UDP 5 239.0.0.1 9 typ host" "candidate:3 2 UDP 5 127.0.0.1 9 typ host" \
		"candidate:4 1 UDP 5 127.0.0.1 9 typ host ufrag efgh" "candidate:5 1 UDP 5 example.org 9 typ host"
	wait_event x ice.remote '.candidate | startswith("candidate:5")?'
	mapfile -t why < <(jq -r 'select(.event == "ice.remote" and .candidate) | .ignored' "$BATS_TEST_TMPDIR/x.out")
	[[ ${why[0]} == *"not UDP"* ]]
	[[ ${why[1]} == *multicast* ]]
	[[ ${why[2]} == *component* ]]
	[[ ${why[3]} == *"other credentials"* ]]
	[[ ${why[4]} == *"a name"* ]]
	run ! has_event x ice.state '.state == "checking"'
	quit x
}

# A line of SDP, of what a server saw of a host: at that port here.
seen() {
	echo "candidate:$1 1 UDP $((1694498815 - $1)) 127.0.0.1 $1 typ srflx raddr 192.0.2.1 rport 9"
}

# punch KIND ID [TARGET DELAY]: what the other side says to x of when to punch
punch() {
	local ours
	ours=$(field x ice.local ufrag .pwd)
	jq -cn --arg ours "$ours" --arg kind "$1" --arg id "$2" --arg target "${3:-}" --arg delay "${4:-}" \
		'{event: "ice.punch", ufrag: "abcd", remote_ufrag: $ours, kind: $kind, id: $id}
		+ if $target == "" then {} else {target: $target, delay_ms: ($delay | tonumber)} end'
}

@test "where a NAT counts, the other side is asked when to punch, and both begin" {
	local begin
	for _ in {1..5}; do
		ports 4
		hold x
		# The other side answers at once, and says when: it is there when its credentials are.
		start x bash -c "exec snet-ice -b 127.0.0.1 --explain <'$in' > >(tee -p '$BATS_TEST_TMPDIR/x.out' |
			jq -c --unbuffered --argjson hello '$credentials' 'if .pwd then \$hello elif .kind == \"request\" then
			{ event, ufrag: \"abcd\", remote_ufrag: .ufrag, kind: \"ack\", id, at: now } else empty end' |
			tee -p '$BATS_TEST_TMPDIR/answers' >'$in')"
		wait_event x ice.local .end_of_candidates
		wait_event x ice.remote .ufrag
		begin=$(date +%s.%N)
		say x "$(seen "$port")" "$(seen $((port + 1)))" "$(seen $((port + 2)))" "$(seen $((port + 3)))" \
			a=end-of-candidates
		[ "$(field x ice.punching agreed)" = false ] || break
		# Only who is slow to answer is not waited for.
		jq -es "map(select(.at)) | length < 2 or .[1].at - $begin > 0.5" "$BATS_TEST_TMPDIR/answers"
		quit x
		release x
		rm "$in"
	done
	[ "$(field x ice.punching agreed)" = true ]
	[ "$(field x ice.punching plan)" = sweep ]
	[ "$(field x ice.punching rtt_us)" -gt 0 ]
	said=$(jq -c 'select(.event == "ice.punch")' "$BATS_TEST_TMPDIR/x.out")
	[ "$(jq -r .kind <<<"$said" | xargs)" = "request request" ]
	[ "$(jq -s '.[0].delay_ms == 0 and .[1].delay_ms > 0 and .[0].id != .[1].id' <<<"$said")" = true ]
	[ "$(jq -r .target <<<"$said" | uniq)" = "$(field x ice.local 'address + ":" + (.port | tostring)' .candidate)" ]
	[ "$(jq -r .ufrag <<<"$said" | uniq)" = "$(field x ice.local ufrag .pwd)" ]
	[ "$(jq -r .remote_ufrag <<<"$said" | uniq)" = abcd ]
	quit x
}

@test "who says nothing to it is not waited for" {
	ports 4
	alone x --explain
	say x "$credentials" "$(seen "$port")" "$(seen $((port + 1)))" "$(seen $((port + 2)))" a=end-of-candidates
	wait_event x ice.punch '.kind == "request"'
	[ "$(field x ice.punching agreed)" = false ]
	[ "$(field x ice.punching rtt_us)" = null ]
	quit x
}

@test "who is asked when to punch answers, and meets what the other side tries" {
	ports 2
	alone x --explain
	say x "$credentials" "$(seen "$port")" a=end-of-candidates
	wait_event x ice.state '.state == "checking"'
	say x "$(punch request 0123456789abcdef "127.0.0.1:$port" 0)"
	[ "$(field x ice.punch id '.kind == "ack"')" = 0123456789abcdef ]
	say x "$(punch request 0123456789abcdf0 "127.0.0.1:$port" 30)"
	wait_event x ice.punch '.kind == "ack" and .id == "0123456789abcdf0"'
	[ "$(field x ice.punching agreed)" = true ]
	[ "$(field x ice.punching plan)" = help ]
	# Nobody sends us where the other side is not; and what is no line of this kind is said to be none.
	say x "$(punch request 0123456789abcdff "127.0.0.1:$((port + 1))" 0)" "$(punch nak 0123456789abcdff)" \
		"$(punch ack 0123456789abcdff | sed 's/"abcd"/"efgh"/')" "$(punch ack 0123456789abcdff)"
	wait_event x error '.reason == "protocol"'
	wait_event x error '.reason == "policy"'
	[ "$(jq -rs 'map(select(.event == "error")) | map(.line) | @csv' "$BATS_TEST_TMPDIR/x.out")" = 6,7 ]
	[ "$(grep -c ice.punch\" "$BATS_TEST_TMPDIR/x.out")" -eq 2 ]
	quit x
}

@test "credentials that are our own, or those of a third, are not taken" {
	alone x
	say x "$(head -n 1 "$BATS_TEST_TMPDIR/x.out")" "$credentials" "${credentials/abcd/efgh}" \
		'{"ufrag":"abc","pwd":"short","to":"somebody"}'
	wait_event x error '.line == 3'
	[[ $(jq -r .text <<<"$event") == *"other credentials than before"* ]]
	wait_event x error '.line == 1'
	[[ $(jq -r .text <<<"$event") == *"our own"* ]]
	wait_event x ice.remote .ufrag
	[ "$(jq -r .ufrag <<<"$event")" = abcd ]
	quit x
}

@test "a wrong password is no pair, whoever chooses, and both say why" {
	for role in controlling controlled; do
		pair "-b 127.0.0.1 -t 4s --role $role" "-b 127.0.0.1 -t 4s" \
			"sed -u 's/\"pwd\":\"......../\"pwd\":\"AAAAAAAA/'"
		ends_with a 4 unreachable
		ends_with b 4 unreachable
		[[ $(field a error text) == *"another password than ours"* ]]
		[[ $(field b error text) == *"as if its password had not come"* ]]
		rm "$BATS_TEST_TMPDIR"/?.in
	done
}

@test "a side that vanishes is no pair" {
	alone y
	alone x -t 4s --explain
	kill -KILL "${pid[y]}"
	say x "$(grep ice.local "$BATS_TEST_TMPDIR/y.out")"
	ends_with x 4 unreachable
	[ "$(field x ice.check result)" = failed ]
	[ "$(field x ice.state text)" = "no check was answered" ]
}

@test "a side that never comes is waited for as long as is said" {
	alone x -w 300ms
	ends_with x 7 timeout
}

@test "time that is over before any check is, is a timeout" {
	alone x -t 1s
	say x "$credentials"
	ends_with x 7 timeout
}

@test "the end of stdin without credentials is the end, after what we have to say" {
	run --separate-stderr snet-ice -b 127.0.0.1 </dev/null
	failed_with 6 peer_lost
	[ "$(jq -s '[.[] | select(.event == "ice.local")] | length' <<<"$output")" -eq 3 ]
}

@test "the end of stdin is the end of candidates, and of nothing else" {
	alone y
	{ grep ice.local "$BATS_TEST_TMPDIR/y.out" | grep -v end_of; } >"$BATS_TEST_TMPDIR/lines"
	start x snet-ice -b 127.0.0.1 <"$BATS_TEST_TMPDIR/lines"
	wait_event x ice.local .end_of_candidates
	wait_event x ice.remote .end_of_candidates
	say y "$(grep ice.local "$BATS_TEST_TMPDIR/x.out")"
	wait_event y ice.selected
	finish x
	[ "$status" -eq 0 ]
	finish y # nobody tells it that x has selected: it ends when it is not asked any more
	[ "$status" -eq 0 ]
}

@test "ten thousand candidates cost no memory, and little speech" {
	alone y
	for n in {10001..20000}; do candidate "$n"; done >"$BATS_TEST_TMPDIR/many"
	alone x -t 10m
	say x "$credentials"
	wait_event x ice.remote .ufrag
	before=$(awk '/^VmHWM/ { print $2 }' "/proc/${pid[x]}/status")
	cat "$BATS_TEST_TMPDIR/many" >&"${held[x]}"
	say x nonsense
	wait_event x error '.line == 10002'
	after=$(awk '/^VmHWM/ { print $2 }' "/proc/${pid[x]}/status")
	[ "$(jq -r 'select(.reason == "policy").line' "$BATS_TEST_TMPDIR/x.out" | wc -l)" -eq 1 ]
	[ "$(grep -c ice.remote "$BATS_TEST_TMPDIR/x.out")" -lt 100 ]
	# A sanitizer keeps what was freed.
	grep -q __asan "$SNET_BIN/snet-ice" "$SNET_BIN/.libs/snet-ice" 2>/dev/null || [ "$((after - before))" -lt 8192 ]
	quit x
}

@test "servers that are silent, absent or unknown delay nothing" {
	start_ready silent snet-listen --insecure 127.0.0.1:0
	port=${addr#quic://127.0.0.1:}
	dead="--stun 127.0.0.1:${port%%#*} --stun 127.0.0.1:1 --stun stun:no-such-host.invalid"
	pair "-b 127.0.0.1 $dead" "-b 127.0.0.1 $dead"
	wait_event a ice.selected
	[ "$(jq -r .took_ms <<<"$event")" -lt 4000 ] # a server that is silent is waited for for 5 s
	both_selected
}

@test "a STUN server is asked, by name and by address" {
	start_ready server snet-stun --serve 127.0.0.1:0
	alone x --stun "$addr" --stun "localhost:${addr##*:}"
	# Here it sees us as we are: no candidate of its own, and nobody complains.
	run ! has_event x error
	quit x
}

@test "types, families and interfaces can be left out" {
	run --separate-stderr snet-ice -b 127.0.0.1 --types srflx </dev/null
	[ "$(jq -r 'select(.candidate).type' <<<"$output")" = "" ]
	run --separate-stderr snet-ice --iface lo -4 </dev/null
	[ "$(jq -r 'select(.candidate).address' <<<"$output")" = 127.0.0.1 ]
	[ "$(jq -r 'select(.candidate).interface' <<<"$output")" = lo ]
	run --separate-stderr snet-ice --iface lo --no-iface loopback </dev/null
	[ "$(jq -r 'select(.candidate).address' <<<"$output")" = "" ]
}

@test "a room carries the lines" {
	start_ready server snet-signal --listen 127.0.0.1:0
	room=${addr%/}/room
	for name in a b; do
		mkfifo "$BATS_TEST_TMPDIR/$name.fifo"
		start "$name" bash -c "set -o pipefail; snet-ice -b 127.0.0.1 <'$BATS_TEST_TMPDIR/$name.fifo' | tee -p '$BATS_TEST_TMPDIR/$name.said' |
			snet-signal '$room' >'$BATS_TEST_TMPDIR/$name.fifo'"
	done
	for name in a b; do
		finish "$name"
		[ "$status" -eq 0 ]
		grep -q '"event":"ice.selected"' "$BATS_TEST_TMPDIR/$name.said"
	done
}

# talk NAME [FD]: the program says who it is until it has heard the other, and twenty times more, for the other to hear
# it, too; the first it hears, and what it was told of the pair, go to stderr.
talk() {
	cat >"$BATS_TEST_TMPDIR/talk" <<-'EOT'
		#!/bin/bash
		exec 8<&"${2:-0}" 9>&"${2:-1}"
		say() { echo "I am $1" >&9; sleep 0.05; }
		while :; do say "$1"; done 2>/dev/null &
		until heard=$(head -n 1 <&8 2>/dev/null) && [ -n "$heard" ]; do :; done
		kill $!
		for i in {1..20}; do say "$1"; done 2>/dev/null
		echo "$SNET_FD: from $SNET_REMOTE to $SNET_LOCAL: $heard" >&2
	EOT
	chmod +x "$BATS_TEST_TMPDIR/talk"
}

both_talked() {
	local name fd=${1:-0}
	for name in a b; do
		finish "$name"
		[ "$status" -eq 0 ] || { echo "$name: $status"; cat "$BATS_TEST_TMPDIR/$name.err"; return 1; }
	done
	[ "$(cat "$BATS_TEST_TMPDIR/a.err")" = "$fd: from $(field a ice.selected remote) to $(field a ice.selected base): I am b" ]
	[ "$(cat "$BATS_TEST_TMPDIR/b.err")" = "0: from $(field b ice.selected remote) to $(field b ice.selected base): I am a" ]
}

@test "a program gets the very socket as its stdin and stdout, and its end is the end" {
	talk
	pair "-b 127.0.0.1 --exec \"\$BATS_TEST_TMPDIR/talk a\"" "-b 127.0.0.1 --exec \"\$BATS_TEST_TMPDIR/talk b\""
	both_talked
}

@test "or as another descriptor; its own stdout is then not for the other side" {
	talk
	pair "-b 127.0.0.1 --pass-fd 7 --exec \"\$BATS_TEST_TMPDIR/talk a 7; cat; echo over\"" \
		"-b 127.0.0.1 --exec \"\$BATS_TEST_TMPDIR/talk b\""
	finish a
	[ "$status" -eq 0 ]
	[ "$(tail -n 1 "$BATS_TEST_TMPDIR/a.err")" = over ]
	run ! grep -q over "$BATS_TEST_TMPDIR/a.out"
	[[ $(head -n 1 "$BATS_TEST_TMPDIR/a.err") == "7: from 127.0.0.1:"*": I am b" ]]
	finish b
	[ "$status" -eq 0 ]
}

@test "with --keep the datagrams are carried, and the pair is looked after" {
	talk
	pair "-b 127.0.0.1 --keep --exec \"\$BATS_TEST_TMPDIR/talk a\"" "-b 127.0.0.1 --keep --exec \"\$BATS_TEST_TMPDIR/talk b\""
	both_talked
}

@test "what is relayed is carried" {
	command -v turnserver >/dev/null || skip "no coturn"
	talk
	ports 1
	start turn turnserver -n -L 127.0.0.1 -E 127.0.0.1 -p "$port" --lt-cred-mech -u alice:secret -r example.org \
		--no-tls --no-dtls --allow-loopback-peers --no-cli --pidfile "$BATS_TEST_TMPDIR/turn.pid" \
		--userdb "$BATS_TEST_TMPDIR/turn.db" --log-file stdout --simple-log
	wait_until eval "(exec 4<>/dev/tcp/127.0.0.1/$port) 2>/dev/null"
	(umask 077; echo alice:secret >"$BATS_TEST_TMPDIR/cred")
	relay="--turn turn:127.0.0.1:$port --turn-cred-file $BATS_TEST_TMPDIR/cred --path relay"
	pair "-b 127.0.0.1 $relay --exec \"\$BATS_TEST_TMPDIR/talk a\"" "-b 127.0.0.1 --exec \"\$BATS_TEST_TMPDIR/talk b\""
	both_talked
	[ "$(field a ice.selected local_type)" = relay ]
	[ "$(field a ice.selected path)" = relay ]
	quit turn
}

@test "a program that fails is a failure" {
	pair "-b 127.0.0.1 --exec 'exit 3'" "-b 127.0.0.1"
	ends_with a 1 io
	[ "$(field a exit status)" -eq 3 ]
}

@test "with --keep it stays, until the other side is gone" {
	pair "-b 127.0.0.1 --keep --consent 3s" "-b 127.0.0.1 --keep"
	wait_event a ice.selected
	wait_event b ice.state '.state == "completed"'
	kill -0 "${pid[a]}"
	kill -KILL "${pid[b]}"
	ends_with a 6 peer_lost
	[ "$(field a peer.down reason)" = peer_lost ]
}

@test "it is ended by a signal, and so is its program" {
	pair "-b 127.0.0.1 --keep" "-b 127.0.0.1 --keep --exec 'exec sleep 60'"
	wait_event a ice.state '.state == "completed"'
	wait_event b ice.state '.state == "completed"'
	quit a
	[ "$status" -eq 0 ]
	wait_until pgrep -P "${pid[b]}" sleep
	program=$(pgrep -P "${pid[b]}" sleep)
	quit b
	[ "$status" -eq 0 ]
	wait_until eval "! kill -0 $program 2>/dev/null"
}

@test "a bad file of credentials is said before anything is done" {
	(umask 077; echo nonsense >"$BATS_TEST_TMPDIR/cred")
	run --separate-stderr snet-ice --turn turn:127.0.0.1 --turn-cred-file "$BATS_TEST_TMPDIR/cred" </dev/null
	failed_with 3 config
	echo alice:secret >"$BATS_TEST_TMPDIR/cred"
	chmod 644 "$BATS_TEST_TMPDIR/cred"
	run --separate-stderr snet-ice --turn turn:127.0.0.1 --turn-cred-file "$BATS_TEST_TMPDIR/cred" </dev/null
	failed_with 3 config
	run --separate-stderr snet-ice --turn turn:127.0.0.1 --turn-cred-file "$BATS_TEST_TMPDIR/none" </dev/null
	failed_with 3 config
}

@test "an address that is not ours cannot be used" {
	run --separate-stderr snet-ice -b 192.0.2.77 </dev/null
	failed_with 4 unreachable
	[ "$(jq -r 'select(.event == "error" and .fatal == false).reason' <<<"$output")" = cannot_bind ]
}

@test "a command line that makes no sense is refused" {
	touch "$BATS_TEST_TMPDIR/cred"
	for args in "operand" "-H" "--types host,relays" "--types host," "--turn 127.0.0.1" "--turn turn:127.0.0.1" \
		"--turn-cred-file $BATS_TEST_TMPDIR/cred" "--turn-ca x" "--path relay" "--stun [::1" "--stun a:99999" \
		"--stun 1 --stun 2 --stun 3 --stun 4 --stun 5 --stun 6 --stun 7 --stun 8 --stun 9" "--pass-fd 5" \
		"--consent 5s" "--keep --consent 10ms" "-t 10ms" "-4 -6" "--role boss" "-b [::1"; do
		run --separate-stderr snet-ice $args </dev/null
		[ "$status" -eq 2 ] || { echo "$args: $status"; return 1; }
		[ -z "$output" ] || { echo "$args: $output"; return 1; }
	done
	for uri in "turns:h?transport=udp" "turn:h?transport=sctp" "turn:" "turn:h:0" "turn:user@h"; do
		run --separate-stderr snet-ice --turn "$uri" --turn-cred-file "$BATS_TEST_TMPDIR/cred" </dev/null
		[ "$status" -eq 2 ] || { echo "$uri: $status"; return 1; }
	done
}
