load helper
load dns
load party

# Parties of a roster as separate processes, started in any order, killed, cut off and misconfigured.

@test "everybody hears everybody, self included, whoever starts last" {
	net 4
	for i in 2 0 3 1; do
		party "$i" < <(echo "{\"text\":\"from $i\"}")
	done
	finish_all 0 1 2 3
	for i in 0 1 2 3; do
		run received "p$i"
		[ "$(sort <<<"$output")" = "$(printf '%s\n' '0 from 0' '1 from 1' '2 from 2' '3 from 3')" ]
	done
}

@test "a message goes to whom it names, once" {
	net 3
	party 0 < <(printf '%s\n' '{"to":1,"text":"one"}' '{"to":[2,1,2],"text":"both"}' '{"to":0,"text":"me"}')
	party 1
	party 2
	finish_all 0 1 2
	[ "$(received p0)" = "0 me" ]
	[ "$(received p1)" = "$(printf '0 one\n0 both')" ]
	[ "$(received p2)" = "0 both" ]
}

@test "lines, framed and addressed" {
	net 2
	start p0 snet-party -i 0 -q -f lines net/roster.json < <(printf 'a\nb\n')
	start p1 snet-party -i 1 -q -f addressed net/roster.json < <(printf '\0\0\0\6\0\0\0\0hi\0\0\0\6\0\0\0\1me')
	finish_all 0 1
	[ "$(grep -c . p0.out)" -eq 3 ]
	run sort p0.out
	[ "$output" = "$(printf 'a\nb\nhi')" ]
	run od -An -v -tx1 p1.out
	output=$(tr -d ' \n' <<<"$output")
	[[ $output == *0000000500000000"$(printf a | od -An -tx1 | tr -d ' ')"* ]]
	[[ $output == *0000000500000000"$(printf b | od -An -tx1 | tr -d ' ')"* ]]
	[[ $output == *00000006000000016d65* ]]
	[ "${#output}" -eq $((2 * (9 + 9 + 10))) ]
}

@test "bad lines are named, and cost nothing else" {
	net 2
	party 0 < <(printf '%s\n' '{"to":1,"text":"before"}' '{"to":9,"text":"nobody"}' 'garbage' '{"to":1,"text":"after"}')
	party 1
	finish p0
	failed_with 1 no_such_peer p0
	[ "$(jq -c 'select(.event == "error" and .fatal == false) | .line' p0.out | paste -sd ' ')" = "2 3" ]
	finish_all 1
	[ "$(received p1)" = "$(printf '0 before\n0 after')" ]
}

@test "a party killed in the middle comes back, and the others do not notice" {
	net 3
	hold p0
	party 0 <"$in"
	hold p1
	party 1 <"$in"
	hold p2
	party 2 <"$in"
	wait_event p0 ready
	wait_event p1 ready
	wait_event p2 ready
	say p0 '{"to":2,"text":"first"}'
	wait_event p2 message '.text == "first"'
	wait_until taken
	kill -KILL "${pid[p2]}"
	wait "${pid[p2]}" || true
	unset "pid[p2]"
	wait_event p0 peer.down '.peer == 2'
	say p0 '{"to":2,"text":"while away"}' '{"to":1,"text":"to one"}'
	wait_event p1 message '.text == "to one"'
	party 2 <"$BATS_TEST_TMPDIR/p2.in"
	wait_event p2 message '.text == "while away"'
	wait_event p0 peer.up '.peer == 2 and .missed_messages == 1 and .anew'
	wait_event p1 peer.down '.peer == 2'
	[ "$(received p2)" = "0 while away" ]
	run jq -r 'select(.event == "peer.down").peer' p1.out
	[ "$output" = 2 ]
	for i in 0 1 2; do release "p$i"; done
	finish_all 0 1 2
}

# Party 2 has acknowledged what it was sent.
taken() {
	kill -USR1 "${pid[p0]}"
	has_event p0 stats '.peer == 2 and .sent_messages == 1 and .queued_bytes == 0'
}

@test "a message of 5 MB in pieces, and many small ones, arrive whole and in order" {
	net 3
	big=$(head -c 5000000 /dev/zero | tr '\0' x)
	party 0 < <(seq 20000 | sed 's/.*/{"to":1,"text":"&"}/'; echo "{\"to\":[1,2],\"text\":\"$big\"}"; echo '{"to":1,"text":"end"}')
	party 1
	party 2
	finish_all 0 1 2
	[ "$(received p1 | head -n 20000 | cut -d ' ' -f 2 | cksum)" = "$(seq 20000 | cksum)" ]
	[ "$(received p1 | tail -n 1)" = "0 end" ]
	[ "$(received p2 | wc -c)" -eq 5000003 ]
}

@test "a slow reader holds up nobody else" {
	net 3
	mkfifo slow
	exec {slow}<>slow
	held[slow]=$slow # nobody reads what party 2 prints until party 1 has heard everything
	hold p0
	start p0 snet-party -i 0 -q --queue 1M --overflow drop net/roster.json <"$in"
	start p1 snet-party -i 1 -q -f lines net/roster.json
	(for fd in "${held[@]}"; do exec {fd}>&-; done; exec snet-party -i 2 -q -f lines --queue 64k net/roster.json </dev/null >slow 2>p2.err 3>&-) &
	pid[p2]=$!
	line=$(head -c 60000 /dev/zero | tr '\0' y)
	for _ in {1..300}; do say p0 "{\"to\":2,\"text\":\"$line\"}"; done
	say p0 '{"to":1,"text":"last"}'
	wait_until grep -qx last p1.out
	kill -USR1 "${pid[p0]}"
	wait_event p0 stats '.peer == 2 and .queued_bytes > 0 and .dropped_messages > 0'
	dropped=$(jq .dropped_messages <<<"$event")
	release p0
	timeout 60 cat <&"$slow" >slow.out &
	reader=$!
	wait_until heard_all
	kill "$reader"
	finish_all 0 1 2
}

# What was not dropped.
heard_all() {
	[ "$(wc -l <slow.out)" -eq $((300 - dropped)) ]
}

@test "a session of another label is refused by name on both sides" {
	net 2
	jq -c '.session = "other"' net/roster.json >net/other.json
	cp net/1.key other.key
	start p0 snet-party -i 0 -w 5s net/roster.json
	start p1 snet-party -i 1 -w 5s -k other.key net/other.json
	finish p0
	failed_with 3 config p0
	finish p1
	failed_with 3 config p1
	# Whoever was dialled compares, and says what it found: either may have been.
	grep -E "session ('' here, 'other'|'other' here, '') there" p0.err
	grep -E "session ('' here, 'other'|'other' here, '') there" p1.err
}

@test "another number of parties is refused by name" {
	net 3
	jq -c '.parties |= .[0:2]' net/roster.json >net/two.json
	start p0 snet-party -i 0 -w 5s net/roster.json
	start p1 snet-party -i 1 -w 5s net/two.json
	finish p1
	failed_with 3 config p1
	grep -q "2 parties here, 3 there" p1.err
	quit p0
}

@test "who does not come is named" {
	net 3
	start p1 snet-party -i 1 -w 8s net/roster.json
	wait_event p1 listening
	start p0 snet-party -i 0 -w 5s net/roster.json
	wait_event p0 waiting '.for | split(" ") | contains(["party-2"])'
	finish p0
	failed_with 4 unreachable p0
	[ "$(tail -n 1 p0.out | jq .peer)" -eq 2 ]
	finish p1
	[ "$status" -ne 0 ]
}

@test "a key that is not the party's, no key, no such party, no roster" {
	net 2
	run -3 snet-party -i 0 -k net/1.key net/roster.json
	[[ $output == *"not the key of party 0"* ]]
	run -3 snet-party -i 7 -k net/1.key net/roster.json
	[[ $output == *"no party 7"* ]]
	rm net/1.key
	run -3 snet-party -i 1 net/roster.json
	[[ $output == *"net/1.key"* ]]
	run -2 snet-party -i 1
	run -2 snet-party net/roster.json
	run -2 snet-party -i 0 -f raw net/roster.json
	run -2 snet-party -i 0 --dead-after 10ms net/roster.json
}

@test "a second process of a party that is there is turned away by name, and nobody is disturbed" {
	net 3
	ports 1
	jq -c --arg at "quic://127.0.0.1:$port" '.parties[2].address = $at' net/roster.json >net/elsewhere.json
	for i in 0 1 2; do
		hold p$i
		start p$i snet-party -i $i net/roster.json <"$in"
	done
	for i in 0 1 2; do wait_event p$i ready; done
	start second snet-party -i 2 -w 3s net/elsewhere.json
	finish second
	failed_with 3 config second
	[[ $(tail -n 1 second.out | jq -r .text) == *"another process with your key is here already, at 127.0.0.1" ]]
	for i in 0 1; do
		wait_event p$i error '.peer == 2 and .reason == "config" and (.text | startswith("party 2 is there twice"))'
		say p$i '{"text":"still here"}'
	done
	say p2 '{"text":"still here"}'
	for i in 0 1 2; do
		for k in 0 1 2; do wait_event p$i message ".from == $k"; done
		run ! has_event p$i peer.down
	done
	for i in 0 1 2; do release p$i; done
	for i in 0 1 2; do
		finish p$i
		[ "$status" -eq 0 ]
	done
}

@test "a stranger is refused, and nobody is disturbed" {
	net 2
	hold p0
	party 0 <"$in"
	hold p1
	party 1 <"$in"
	wait_event p0 ready
	run -5 snet-send --insecure -w 0s "127.0.0.1:$port" < <(echo '{"text":"let me in"}')
	say p1 '{"to":0,"text":"still here"}'
	wait_event p0 message '.text == "still here"'
	release p0
	release p1
	finish_all 0 1
}

@test "readiness, stats, and an interrupt" {
	net 2
	hold p1
	party 1 <"$in"
	hold p0
	start_ready p0 snet-party -i 0 net/roster.json <"$in"
	say p0 '{"to":1,"text":"x"}'
	wait_event p1 message
	kill -USR1 "${pid[p0]}"
	wait_event p0 stats '.peers == 1 and .sent_messages == 1'
	kill -INT "${pid[p0]}"
	release p1
	finish p0
	finish_all 1
}

@test "a party of another profile than the roster says is named" {
	net 2
	start_ready lst snet-listen -k net/0.key -r net/roster.json --profile stoffelnet-0.1 "127.0.0.1:$port"
	start p1 snet-party -i 1 -w 5s net/roster.json
	finish p1
	failed_with 3 config p1
	grep -q "it speaks stoffelnet-0.1, and the roster says snet/1" p1.err
	quit lst
}

@test "what was bad before is told beside a party that does not come" {
	net 2
	start p0 snet-party -i 0 -w 1s net/roster.json < <(echo nonsense)
	finish p0
	failed_with 8 protocol p0
	[ "$(jq -c 'select(.event == "error") | [.reason, .fatal]' p0.out | paste -sd ' ')" = '["protocol",false] ["unreachable",false] ["protocol",true]' ]
}

@test "25 parties" {
	net 25
	for i in {0..24}; do
		start "p$i" snet-party -q -i "$i" --payload text net/roster.json < <(echo "{\"text\":\"$i\"}")
	done
	finish_all {0..24}
	for i in {0..24}; do
		[ "$(received "p$i" | sort -n | cut -d ' ' -f 2 | paste -sd ' ')" = "$(echo {0..24})" ]
	done
}

# ---- --spawn

@test "a net in one line: every program hears every other and itself" {
	export TMPDIR=$BATS_TEST_TMPDIR/tmp
	mkdir "$TMPDIR"
	run -0 snet-party --spawn 5 -f lines -- sh -c 'echo $((1 << SNET_PARTY)); i=0; while [ $i -lt $SNET_PARTIES ]; do read -r n; s=$((s + n)); i=$((i + 1)); done; grep -c spawn "$SNET_ROSTER" >/dev/null && echo "sum $s" >&2'
	[ "$(sort <<<"$output")" = "$(printf '%s: sum 31\n' 0 1 2 3 4)" ]
	[ -z "$(ls "$TMPDIR")" ]
}

@test "the first program that fails ends all, and is the exit status" {
	export TMPDIR=$BATS_TEST_TMPDIR/tmp
	mkdir "$TMPDIR"
	run -9 snet-party --spawn 3 -f lines -- sh -c '[ $SNET_PARTY = 1 ] && exit 9; exec sleep 1000'
	[[ $output == *"party 1: its program ended with status 9"* ]]
	run -137 snet-party --spawn 2 -f lines -- sh -c '[ $SNET_PARTY = 1 ] && kill -KILL $$; exec sleep 1000'
	run -127 snet-party --spawn 2 -- no-such-program
	[[ $output == *"no-such-program"* ]]
	run -126 snet-party --spawn 2 -- "$TMPDIR"
	[ -z "$(ls "$TMPDIR")" ]
}

@test "who does not mind being told to end is made to, and the exit status is still that of who failed" {
	export TMPDIR=$BATS_TEST_TMPDIR/tmp
	mkdir "$TMPDIR" stubborn
	run -9 snet-party --spawn 3 -f lines -- sh -c 'trap "" TERM; touch stubborn/$$; [ $SNET_PARTY != 1 ] || { until [ "$(ls stubborn | wc -l)" = 3 ]; do sleep 0.05; done; exit 9; }; while :; do sleep 1; done'
	[ "$(grep -c . <<<"$output")" -eq 1 ]
	[[ $output == *"party 1: its program ended with status 9"* ]]
	for p in stubborn/*; do
		is_no_process "${p#*/}"
	done
	[ -z "$(ls "$TMPDIR")" ]
}

@test "a program may leave early, however much is still said to it" {
	run -0 snet-party --spawn 2 -f lines -- sh -c '[ $SNET_PARTY = 0 ] && exit; seq 200000; while read -r n; do [ "$n" = 200000 ] && exit; done'
}

@test "an interrupt ends parties and programs, and what those have started" {
	export TMPDIR=$BATS_TEST_TMPDIR/tmp
	mkdir "$TMPDIR"
	start s snet-party --spawn 2 -f lines -- sh -c 'sleep 1000 & echo $! >&2; wait'
	wait_until two_pids
	kill -TERM "${pid[s]}"
	finish s
	[ "$status" -eq 143 ]
	for p in $(cut -d ' ' -f 2 s.err); do
		wait_until gone "$p"
	done
	[ -z "$(ls "$TMPDIR")" ]
}

# Nobody may be there to bury it.
gone() {
	[ ! -e "/proc/$1" ] || grep -q '^State:.*Z' "/proc/$1/status"
}

two_pids() {
	[ "$(wc -l <s.err)" -eq 2 ]
}

@test "what --spawn cannot be asked for" {
	run -2 snet-party --spawn 2
	run -2 snet-party --spawn 2 -i 0 -- true
	run -2 snet-party --spawn 0 -- true
	run -2 snet-party --spawn 2 -6 -- true
	run -2 snet-party --spawn 2 --metrics-file m -- true
}

@test "what the programs of a net have started ends with them" {
	for where in ">/dev/null" "2>/dev/null" ">/dev/null 2>&1"; do
		run -0 timeout 60 snet-party --spawn 2 -f lines -- sh -c "sleep 1000 $where & echo \$! >>sleepers; echo hi"
	done
	while read -r pid; do
		wait_until is_no_process "$pid"
	done <sleepers
	[ "$(wc -l <sleepers)" -eq 6 ]
}

is_no_process() {
	! kill -0 "$1" 2>/dev/null
}

@test "the address of a party may be a name, which is looked up without being in the way of a signal" {
	name_server
	net 1
	# shellcheck disable=SC2317,SC2034 # called by listens_at_names
	at() {
		jq -c --arg at "quic://$1:$port" '.parties[0].address = $at' net/roster.json >"net/$1.json"
		command=(snet-party -i 0 "net/$1.json")
	}
	listens_at_names at
}

@test "what is wrong with the roster is said before what is wrong with the key" {
	net 1
	for bad in "none.json:No such file" "net:Is a directory"; do
		run --separate-stderr -3 snet-party -q -i 0 "${bad%%:*}"
		[[ $(jq -r .text <<<"${lines[-1]}") == "${bad%%:*}: ${bad#*:}"* ]]
	done
	run --separate-stderr -3 snet-party -q -i 7 net/roster.json
	[ "$(jq -r .text <<<"${lines[-1]}")" = "net/roster.json: no party 7" ]
	rm net/0.key
	run --separate-stderr -3 snet-party -q -i 0 net/roster.json
	failed_with 3 bad_key
}

@test "the last line counts the bad items of stdin" {
	net 1
	run --separate-stderr -8 snet-party -q -i 0 net/roster.json < <(printf '%s\n' '[]' '{"text":"good"}' null)
	[ "$(jq -r .text <<<"${lines[-1]}")" = "2 bad items on stdin, the first: line 1: column 1: not an object" ]
	[ "$(jq -r 'select(.event == "error" and (.fatal | not)).line' <<<"$output" | paste -sd ' ')" = "1 3" ]
	run --separate-stderr -8 snet-party -q -i 0 net/roster.json <<<'[]'
	[ "$(jq -r .text <<<"${lines[-1]}")" = "line 1: column 1: not an object" ]
}
