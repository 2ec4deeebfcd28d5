load helper
load party

# A party as a program, its clients, and parties of the Rust crate's profile.

@test "a program is the party" {
	net 2
	for i in 0 1; do
		# shellcheck disable=SC2016 # the program's
		start "p$i" snet-party -q -f lines -i "$i" --exec 'echo $SNET_PARTY of $SNET_PARTIES; exec >&-; sort >heard$SNET_PARTY; test -f "$SNET_ROSTER"' net/roster.json
	done
	finish_all 0 1
	for i in 0 1; do [ "$(paste -sd , "heard$i")" = "0 of 2,1 of 2" ]; done
}

@test "a program that fails fails as the party, and the others are told" {
	net 2
	start p0 snet-party -i 0 net/roster.json --exec 'read -r line; exit 9'
	hold p1
	party 1 -w 4s <"$in"
	say p1 '{"to":0,"text":"x"}'
	finish p0
	[ "$status" -eq 9 ]
	has_event p0 exit '.status == 9'
	[ "$(tail -n 1 p0.out | jq -r .text)" = "the program ended with status 9" ]
	finish p1
	[ "$status" -ne 0 ]
	release p1
	run -2 snet-party --spawn 2 --exec true -- true
}

@test "an interrupt ends the program, too" {
	net 1
	# shellcheck disable=SC2016
	start p0 snet-party -i 0 net/roster.json --exec 'echo $$ >own.pid; sleep 1000; true'
	wait_until test -s own.pid
	quit p0
	[ "$status" -eq 0 ]
	wait_until not_running "$(cat own.pid)"
}

not_running() {
	! kill -0 "$1" 2>/dev/null
}

# client NAME KEY ARGS...
client() {
	start "$1" snet-send -q --payload text --role client -k "$2" -r net/roster.json "${@:3}"
}

@test "a client is listed, heard and answered, and disturbs nobody" {
	net 2
	listed=$(snet-keygen -o a.key | jq -r .key)
	other=$(snet-keygen -o b.key | jq -r .key)
	jq -c --arg k "$listed" '.clients = [{id: 7, name: "alice", key: $k}]' net/roster.json >r.json
	mv r.json net/roster.json
	hold p0
	party 0 -a "$other" <"$in"
	hold p1
	party 1 -a "$other" <"$in"
	wait_event p0 ready
	hold a
	client a a.key 0 <"$in"
	say a '{"text":"I am alice"}'
	wait_event p0 message '.client == 7 and .text == "I am alice"'
	has_event p0 peer.up '.client == 7 and .name == "alice" and .role == "client"'
	hold b
	client b b.key 0 <"$in"
	say b '{"text":"not listed"}'
	wait_event p0 message '.client == 8'
	derived=$(snet-keygen show b.key | jq -r .derived_id)
	say p0 '{"to":["client:7",1],"text":"for alice and party 1"}' "{\"to\":\"client:$derived\",\"text\":\"by its other id\"}" \
		'{"to":"client:99","text":"nobody"}' '{"text":"for parties"}'
	wait_event a message '.text == "for alice and party 1"'
	wait_event b message '.text == "by its other id"'
	wait_event p0 error '.line == 3 and .reason == "no_such_peer"'
	wait_event p1 message '.text == "for parties"'
	kill -USR1 "${pid[p0]}"
	wait_event p0 stats '.client == 7 and .sent_messages == 1 and .received_messages == 1'
	wait_event p0 stats '.clients == 2'
	[ "$(received a)" = "0 for alice and party 1" ]
	quit a
	release a
	wait_event p0 peer.down '.client == 7'
	release p0
	release p1
	release b
	finish b
	[ "$status" -eq 0 ]
	finish_all 1
	finish p0
	failed_with 1 no_such_peer p0
}

@test "clients in addressed frames" {
	net 1
	key=$(snet-keygen -o a.key | jq -r .key)
	hold p0
	start p0 snet-party -q -f addressed -a "$key" -i 0 net/roster.json <"$in"
	hold a
	client a a.key 0 <"$in"
	say a '{"text":"hi"}'
	wait_until test -s p0.out
	[ "$(od -An -v -tx1 p0.out | tr -d ' \n')" = 00000006800000006869 ]
	printf '\0\0\0\7\x80\0\0\0yes' >&"${held[p0]}"
	wait_event a message '.text == "yes"'
	release a
	release p0
	finish_all 0
	finish a
	[ "$status" -eq 0 ]
}

@test "whoever is no client and no party is turned away" {
	net 2
	key=$(snet-keygen -o a.key | jq -r .key)
	hold p0
	party 0 -a "$key" <"$in"
	start a snet-send -q --role server -k a.key -r net/roster.json 0
	finish a
	[ "$status" -ne 0 ]
	wait_event p0 refused '.text == "not a party of this session"'
	quit p0
	release p0
}

@test "a client that stays does not hold up the end" {
	net 1
	key=$(snet-keygen -o a.key | jq -r .key)
	hold p0
	party 0 -a "$key" <"$in"
	hold a
	client a a.key 0 <"$in"
	say a '{"text":"x"}'
	wait_event p0 message
	release p0
	finish_all 0
	quit a
	release a
}

@test "parties of the crate's profile, and a mesh of both" {
	net 3
	jq -c '.parties[2].profile = "stoffelnet-0.1"' net/roster.json >r.json && mv r.json net/roster.json
	for i in 2 1 0; do
		hold "p$i"
		party "$i" <"$in"
		say "p$i" "{\"text\":\"from $i\"}"
	done
	for i in 0 1 2; do
		for k in 0 1 2; do wait_event "p$i" message ".from == $k"; done
		wait_event "p$i" peer.up "$( ((i == 2)) && echo '.profile == "stoffelnet-0.1"' || echo '.peer == 2 and .profile == "stoffelnet-0.1"')"
	done
	has_event p0 peer.up '.peer == 1 and .profile == "snet/1"'
	say p0 '{"to":2,"kind":"control","text":"x"}' '{"to":2,"text":"last"}'
	wait_event p0 error '.line == 2 and .reason == "protocol"'
	wait_event p2 message '.text == "last"'
	for i in 0 1 2; do release "p$i"; done
	finish p0
	[ "$status" -eq 8 ]
	finish_all 1 2
	[ "$(received p2 | sort)" = "$(printf '%s\n' '0 from 0' '0 last' '1 from 1' '2 from 2')" ]
}

@test "a listener and a sender of the crate's profile are parties, too" {
	net 3
	jq -c '.parties[0].profile = "stoffelnet-0.1" | .parties[1].profile = "stoffelnet-0.1"' net/roster.json >r.json
	mv r.json net/roster.json
	hold lst
	start lst snet-listen -q --profile stoffelnet-0.1 --payload text -k net/0.key -r net/roster.json -i 0 "127.0.0.1:$port" <"$in"
	hold p2
	party 2 <"$in"
	wait_event p2 peer.up '.peer == 0'
	hold snd
	start snd snet-send -q --role server --profile stoffelnet-0.1 --payload text -k net/1.key -i 1 -r net/roster.json 2 <"$in"
	wait_event p2 ready
	say p2 '{"to":0,"text":"to listener"}' '{"to":1,"text":"to sender"}'
	say lst '{"text":"from listener"}'
	say snd '{"text":"from sender"}'
	wait_event lst message '.text == "to listener"'
	wait_event snd message '.text == "to sender"'
	wait_event p2 message '.from == 0 and .text == "from listener"'
	wait_event p2 message '.from == 1 and .text == "from sender"'
	for i in snd lst p2; do release "$i"; done
	for i in snd lst p2; do
		finish "$i"
		[ "$status" -eq 0 ]
	done
}

# party I as above, with its journal
with_journal() {
	party "$1" -w 10s --journal "j$1" "${@:2}"
}

@test "a journal keeps what is for others over kill -9" {
	net 2
	hold p0
	with_journal 0 <"$in"
	for i in 1 2 3; do say p0 "{\"to\":1,\"text\":\"m$i\"}"; done
	wait_until grep -qa m3 j0
	kill -KILL "${pid[p0]}"
	wait "${pid[p0]}" || true
	with_journal 0 < <(echo '{"to":1,"text":"m4"}')
	party 1 -w 10s
	finish_all 0 1
	[ "$(received p1)" = "$(printf '0 m%s\n' 1 2 3 4)" ]
	[ "$(stat -c %a j0)" = 600 ]
	with_journal 0
	party 1 -w 10s
	finish_all 0 1
	[ -z "$(received p1)" ]
	release p0
}

@test "with a journal, what stdout has not taken is sent again" {
	net 2
	hold p0
	party 0 -w 10s <"$in"
	mkfifo full
	exec {full}<>full
	held[full]=$full
	(for fd in "${held[@]}"; do exec {fd}>&-; done; exec snet-party -q -i 1 -f lines --journal j1 net/roster.json </dev/null >full 2>p1.err 3>&-) &
	pid[p1]=$!
	wait_event p0 ready
	line=$(head -c 9000 /dev/zero | tr '\0' y)
	for i in {1..400}; do say p0 "{\"to\":1,\"text\":\"$i $line\"}"; done
	kill -USR1 "${pid[p0]}"
	wait_event p0 stats '.peer == 1 and .sent_messages == 400'
	kill -KILL "${pid[p1]}"
	wait "${pid[p1]}" || true
	wait_event p0 peer.down
	start p1 snet-party -q -i 1 -f lines --journal j1 net/roster.json
	wait_event p0 peer.up '.anew and .peer == 1 and .missed_messages == null'
	release p0
	finish_all 0 1
	dd bs=1M iflag=nonblock <&"$full" >first 2>/dev/null || true
	grep -E '^[0-9]+ y{9000}$' first >whole || true
	[ "$(wc -l <whole)" -lt 400 ]
	[ "$(cat whole p1.out | cut -d ' ' -f 1 | sort -nu | paste -sd ' ')" = "$(seq -s ' ' 400)" ]
	[ "$(cut -d ' ' -f 1 p1.out | paste -sd ' ')" = "$(seq -s ' ' "$((401 - $(wc -l <p1.out)))" 400)" ]
}

@test "a journal that will not do" {
	net 2
	hold p0
	with_journal 0 --ready-when bound <"$in"
	wait_event p0 ready
	run -3 snet-party -i 0 -k net/0.key --journal j0 <(jq -c --argjson p "$((port + 50))" '.parties[0].address = "quic://127.0.0.1:\($p)"' net/roster.json)
	[[ $output == *"j0"*"in use"* ]]
	quit p0
	release p0
	run -3 snet-party -i 1 --journal j0 net/roster.json
	[[ $output == *j0* ]]
	echo garbage >j9
	run -3 snet-party -i 1 --journal j9 net/roster.json
	[[ $output == *j9* ]]
	run -2 snet-party --spawn 2 --journal j -- true
}

@test "the order of keys is agreed on before a party of the crate is told anything else" {
	net 2
	jq -c '.parties[0].profile = "stoffelnet-0.1"' net/roster.json >r.json && mv r.json net/roster.json
	hold lst
	start lst snet-listen -q --profile stoffelnet-0.1 --payload hex -k net/0.key -r net/roster.json "127.0.0.1:$port" <"$in"
	hold p1
	party 1 --ordering <"$in"
	say p1 '{"text":"after"}'
	wait_event lst message '.seq == 1'
	digest=$(jq -r .hex <<<"$event")
	[[ $digest == 0c00000020000000000000007* ]] # BLAKE3 of no clients begins with 71
	[ "${#digest}" -eq 200 ]
	say lst "{\"hex\":\"$digest\"}" '{"text":"from the crate"}'
	wait_event lst message '.seq == 2 and .hex == "6166746572"'
	wait_event p1 message '.from == 0 and .text == "from the crate"'
	[ "$(received p1 | wc -l)" -eq 2 ]
	release lst
	release p1
	finish lst
	finish_all 1
}

@test "parties of the crate that differ are named" {
	net 2
	jq -c '.parties[0].profile = "stoffelnet-0.1"' net/roster.json >r.json && mv r.json net/roster.json
	hold lst
	start lst snet-listen -q --profile stoffelnet-0.1 --payload hex -k net/0.key -r net/roster.json "127.0.0.1:$port" <"$in"
	party 1 --ordering
	wait_event lst message '.seq == 1'
	digest=$(jq -r .hex <<<"$event")
	say lst "{\"hex\":\"${digest:0:190}ff${digest:192}\"}"
	finish p1
	failed_with 8 protocol p1
	grep -q "no agreement on the order of the keys" p1.err
	quit lst
	release lst
}

@test "programs that write before they read do not wait for each other" {
	net 2
	for i in 0 1; do
		# shellcheck disable=SC2016 # the program's
		start "p$i" snet-party -q -i "$i" net/roster.json --payload text --exec '
			seq -f "{\"to\":$((1 - SNET_PARTY)),\"text\":\"%g '"$(printf '%0800d' 0)"'\"}" 6000
			exec >&-
			jq -r "select(.event == \"message\").text[:8]" >heard$SNET_PARTY'
	done
	finish_all 0 1
	for i in 0 1; do [ "$(cut -d ' ' -f 1 "heard$i" | cksum)" = "$(seq 6000 | cksum)" ]; done
}

# A megabyte waits for it, and more: it is told of, once, and everything goes on when it reads.
# shellcheck disable=SC2016 # the program's
@test "a program that says much to all and does not read is told of" {
	net 2
	mkfifo go go2
	exec {go}<>go {go2}<>go2
	held[go]=$go held[go2]=$go2
	start p0 snet-party -i 0 -f lines net/roster.json --exec '
		(yes "$(printf %0999d 0)" | head -n 20000; echo over >over; read -r word <go2) &
		read -r word <go
		exec head -n 20000 >heard'
	hold p1
	start p1 snet-party -q -i 1 -f lines net/roster.json <"$in"
	wait_until grep -q "the program of party 0 reads nothing" p0.err
	[ "$(grep -c "reads nothing" p0.err)" -eq 1 ]
	[ ! -e over ]
	echo >&"$go"
	wait_until test -e over
	echo >&"$go2"
	release p1
	finish_all 0 1
	[ "$(wc -c <heard)" -eq 20000000 ]
	[ "$(wc -c <p1.out)" -eq 20000000 ]
	[ "$(grep -c "reads nothing" p0.err)" -eq 1 ]
}

@test "a party whose program does not read says so in an event" {
	net 2
	mkfifo go
	exec {go}<>go
	held[go]=$go
	# shellcheck disable=SC2016
	start p0 snet-party -q -i 0 net/roster.json --exec 'exec >&-; read -r word <go; cat >heard'
	seq -f '{"to":0,"text":"%g '"$(printf '%0800d' 0)"'"}' 6000 >in
	start p1 snet-party -q -i 1 net/roster.json <in
	wait_event p0 stalled '.id == 0 and .waiting_bytes >= 1048576 and (.held | not)'
	echo >&"$go"
	finish_all 0 1
	[ "$(grep -c '"event":"message"' heard)" -eq 6000 ]
	[ "$(grep -c '"event":"stalled"' p0.out)" -eq 1 ]
}

@test "a program of --spawn that does not read is told of by its party" {
	mkfifo go
	exec {go}<>go
	held[go]=$go
	# shellcheck disable=SC2016
	start net snet-party --spawn 2 -f lines -- sh -c 'yes "$(printf %0999d 0)" | head -n 20000; read -r word <go'
	wait_until grep -q "^0: snet-party: stdout is not read" net.err
	wait_until grep -q "^1: snet-party: stdout is not read" net.err
	quit net
}

@test "what a program has said is not lost, however slow the others" {
	net 2
	mkfifo full
	exec {full}<>full
	held[full]=$full
	(for fd in "${held[@]}"; do exec {fd}>&-; done; exec snet-party -q -i 1 -f lines net/roster.json </dev/null >full 2>p1.err 3>&-) &
	pid[p1]=$!
	# It says as much as there is room for, and ends.
	# shellcheck disable=SC2016 # the program's
	start p0 snet-party -q -i 0 -f lines --queue 256k net/roster.json --exec 'exec <&-
		for i in $(seq 40); do
			yes "$(printf %0999d 0)" | dd bs=1000 iflag=fullblock oflag=nonblock 2>>said
			sleep 0.1
		done
		echo over >over'
	wait_until test -s over
	sleep 6 # longer than others may hold its output open
	cat <full >heard {full}>&- 3>&- &
	heard=$!
	release full
	finish_all 0 1
	wait "$heard"
	[ "$(stat -c %s heard)" = "$(awk '/ copied/ { n += $1 } END { print n }' said)" ]
}

@test "a program that does not end is ended" {
	net 1
	start p0 snet-party -q -i 0 net/roster.json --exec 'echo $$ >own.pid; exec >&-; trap "" TERM; sleep 1000; sleep 1000'
	finish p0
	[ "$status" -eq 137 ]
	not_running "$(cat own.pid)"
}

@test "a journal with a full queue" {
	net 2
	line=$(head -c 30000 /dev/zero | tr '\0' j)
	hold p0
	with_journal 0 --queue 64k <"$in"
	for i in 1 2 3; do say p0 "{\"to\":1,\"text\":\"$i $line\"}"; done
	wait_until big_enough
	kill -KILL "${pid[p0]}"
	wait "${pid[p0]}" || true
	with_journal 0 --queue 64k < <(echo '{"to":1,"text":"4 "}')
	party 1 -w 10s
	finish_all 0 1
	[ "$(received p1 | cut -d ' ' -f 2 | paste -sd ' ')" = "1 2 3 4" ]
	release p0
}

big_enough() {
	[ "$(stat -c %s j0)" -gt 90000 ]
}

@test "a party that comes again is told to be gone before" {
	net 2
	hold p0
	party 0 <"$in"
	hold p1
	party 1 <"$in"
	wait_event p0 ready
	for times in 2 3; do
		kill -KILL "${pid[p1]}"
		wait "${pid[p1]}" || true
		party 1 <"$BATS_TEST_TMPDIR/p1.in"
		wait_until came "$times"
	done
	ups=$(jq -r 'select(.event == "peer.up" or .event == "peer.down").event' p0.out | paste -sd ' ')
	[[ $ups == "peer.up peer.down peer.up peer.down peer.up"* ]]
	[[ $ups != *"peer.up peer.up"* ]] && [[ $ups != *"peer.down peer.down"* ]]
	release p0
	release p1
	finish_all 0 1
}

# So many processes: of two dials at once one is replaced by the other, perhaps when it was up already.
came() {
	[ "$(jq -c 'select(.event == "peer.up" and .anew)' p0.out | wc -l)" -eq "$1" ]
}
