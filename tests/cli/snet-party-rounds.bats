load helper
load party

# --sync, --quorum, --ready-when: rounds that everyone is in, and those that somebody misses.

# rounds NAME: what it printed of rounds, a line each: number, then party=text ..., then the missing
rounds() {
	jq -r 'select(.event == "round") | ([.round] + [.messages[] | "\(.from)=\(.text)"] + [.missing[] | "-\(.)"]) | join(" ")' "$1.out"
}

@test "everyone's messages come out by the round, in the order of the parties" {
	net 3
	jq -c '.parties |= reverse' net/roster.json >r.json && mv r.json net/roster.json
	for i in 2 0 1; do
		party "$i" --sync < <(for k in 1 2 3; do echo "{\"text\":\"$i.$k\"}"; done)
	done
	finish_all 0 1 2
	for i in 0 1 2; do
		[ "$(rounds "p$i")" = "$(for k in 1 2 3; do echo "$k 0=0.$k 1=1.$k 2=2.$k"; done)" ]
	done
}

@test "a round may have a message of its own for each" {
	net 3
	for i in 0 1 2; do
		party "$i" --sync < <(for k in 1 2; do for to in 0 1 2; do
			[ "$i" = "$to" ] || echo "{\"to\":$to,\"text\":\"$k.$i.$to\"}"
		done; done)
	done
	finish_all 0 1 2
	[ "$(rounds p1)" = "$(printf '%s\n' '1 0=1.0.1 2=1.2.1' '2 0=2.0.1 2=2.2.1')" ]
}

@test "the next round begins when all have had the last" {
	net 2
	hold p0
	party 0 --sync <"$in"
	hold p1
	party 1 --sync <"$in"
	say p0 '{"text":"a1"}' '{"text":"a2"}'
	wait_event p1 peer.up
	say p1 '{"text":"b1"}'
	wait_event p0 round '.round == 1'
	run ! has_event p0 round '.round == 2'
	say p1 '{"text":"b2"}'
	wait_event p0 round '.round == 2'
	release p0
	release p1
	finish_all 0 1
	[ "$(rounds p0)" = "$(printf '%s\n' '1 0=a1 1=b1' '2 0=a2 1=b2')" ]
	[ "$(rounds p0)" = "$(rounds p1)" ]
}

@test "rounds as lines and as addressed frames" {
	net 2
	start p0 snet-party -q --sync -f lines -i 0 net/roster.json < <(printf 'x\ny\n')
	start p1 snet-party -q --sync -f addressed -i 1 net/roster.json < <(printf '\0\0\0\5\xff\xff\xff\xff1\0\0\0\5\xff\xff\xff\xff2')
	finish_all 0 1
	[ "$(paste -sd ' ' p0.out)" = "x 1 y 2" ]
	[ "$(od -An -v -tx1 p1.out | tr -d ' \n')" = 000000050000000078000000050000000131000000050000000079000000050000000132 ]
}

@test "10000 rounds of large and small messages, with little room and slow readers" {
	net 3
	big=$(head -c 30000 /dev/zero | tr '\0' z)
	for i in 0 1 2; do
		start "p$i" snet-party -q --sync --queue 64k -f lines -i "$i" net/roster.json < <(
			for k in {1..3000}; do echo "$i.$k"; done
			for k in {1..20}; do echo "$big"; done
			for k in {1..1000}; do echo "$i.$k"; done)
	done
	finish_all 0 1 2
	want=$( (for k in {1..3000}; do printf '%s\n' "0.$k" "1.$k" "2.$k"; done
		for k in {1..60}; do echo "$big"; done
		for k in {1..1000}; do printf '%s\n' "0.$k" "1.$k" "2.$k"; done) | cksum)
	for i in 0 1 2; do [ "$(cksum <"p$i.out")" = "$want" ]; done
}

@test "who is missing when the time is over is named" {
	net 3
	hold p2
	party 2 --sync <"$in"
	for i in 0 1; do
		hold "p$i"
		party "$i" --sync --round-timeout 4s <"$in"
	done
	wait_event p0 ready
	wait_event p1 ready
	say p0 '{"text":"a"}'
	say p1 '{"text":"b"}'
	for i in 0 1; do release "p$i"; done
	finish p0
	failed_with 7 timeout p0
	[ "$(tail -n 1 p0.out | jq .peer)" -eq 2 ]
	grep -q "round 1 has no message of party 2, party-2: it has not come in time" p0.err
	finish p1
	[ "$status" -eq 7 ]
	quit p2
}

@test "who ends earlier than others is named" {
	net 2
	party 0 --sync -w 5s < <(printf '{"text":"%s"}\n' a b)
	party 1 --sync -w 5s < <(echo '{"text":"c"}')
	finish p0
	failed_with 6 peer_lost p0
	grep -q "round 2 has no message of party 1, party-1" p0.err
	[ "$(rounds p0)" = "1 0=a 1=c" ]
	finish p1
	[ "$status" -ne 0 ]
	[ "$(rounds p1)" = "1 0=a 1=c" ]
}

@test "a quorum goes on without one who is late, and says so" {
	net 3
	hold p2
	party 2 --sync --quorum 2 <"$in"
	for i in 0 1; do
		hold "p$i"
		party "$i" --sync --quorum 2 --round-timeout 3s <"$in"
	done
	wait_event p0 peer.up '.peer == 1'
	wait_event p1 peer.up '.peer == 0'
	for i in 0 1; do say "p$i" "{\"text\":\"$i\"}"; done
	wait_event p0 round '.missing == [2]'
	wait_event p1 round '.missing == [2]'
	say p2 '{"text":"too late"}' '{"text":"in time"}'
	wait_event p0 error '.reason == "timeout" and .peer == 2 and .fatal == false'
	wait_event p1 error '.reason == "timeout" and .peer == 2 and .fatal == false'
	say p0 '{"text":"0"}'
	say p1 '{"text":"1"}'
	wait_event p1 round '.round == 2'
	for i in 0 1; do release "p$i"; done
	[ "$(rounds p1)" = "$(printf '%s\n' '1 0=0 1=1 -2' '2 0=0 1=1 2=in time')" ]
	release p2
	finish_all 0 1 2
}

@test "a quorum goes on without one who never comes" {
	net 3
	for i in 0 1; do
		hold "p$i"
		party "$i" -w 5s --quorum 2 <"$in"
	done
	wait_event p0 error '.peer == 2 and .fatal == false'
	wait_event p1 error '.peer == 2 and .fatal == false'
	wait_event p0 ready '.peers == 1'
	say p0 '{"text":"still here"}'
	wait_event p1 message
	kill -USR1 "${pid[p1]}"
	wait_event p1 stats '.peer == 2 and .state == "disconnected"'
	wait_event p1 stats '.peer == 0 and .state == "connected"'
	release p0
	wait_event p1 peer.closing '.peer == 0'
	release p1
	finish_all 0 1
}

@test "what is ready is what was asked for" {
	net 3
	mkfifo ready
	exec {fd}<>ready
	held[ready]=$fd
	hold p0
	start p0 snet-party -i 0 --ready-when bound --ready-fd 9 net/roster.json <"$in" 9>ready
	read -r -t 60 -u "$fd"
	quit p0
	release p0
	rm p0.in
	hold p0
	start p0 snet-party -i 0 --quorum 2 --ready-when q net/roster.json <"$in"
	hold p1
	party 1 <"$in"
	wait_event p0 ready '.peers == 1'
	run ! has_event p1 ready
	release p0
	release p1
	quit p1
	quit p0
}

@test "what rounds cannot be asked for" {
	for args in "--round-timeout 1s" "--sync --overflow drop" "--sync --stream 3" "--ready-when q" \
		"--sync --round-timeout 0" "--quorum 0" "--sync --journal j"; do
		# shellcheck disable=SC2086
		run -2 snet-party -i 0 $args roster.json
	done
	net 2
	run -3 snet-party -i 0 --quorum 3 net/roster.json
	[[ $output == *"--quorum 3 of 2 parties"* ]]
	party 0 --sync -w 3s < <(printf '%s\n' '{"stream":1,"text":"x"}' '{"to":"client:1","text":"x"}' '{"text":"y"}')
	party 1 --sync -w 3s < <(echo '{"text":"z"}')
	finish p0
	failed_with 8 protocol p0
	[ "$(jq -c 'select(.event == "error" and .fatal == false) | .line' p0.out | paste -sd ' ')" = "1 2" ]
	[ "$(rounds p0)" = "1 0=y 1=z" ]
	finish_all 1
}

@test "a party that begins anew is of no known round" {
	net 2
	hold p0
	party 0 --sync <"$in"
	hold p1
	party 1 --sync -w 4s <"$in"
	say p0 '{"text":"a"}'
	say p1 '{"text":"b"}'
	wait_event p0 round
	kill -KILL "${pid[p1]}"
	wait "${pid[p1]}" || true
	party 1 --sync -w 5s <"$BATS_TEST_TMPDIR/p1.in"
	finish p0
	failed_with 6 peer_lost p0
	grep -q "party 1 has begun anew in round 2" p0.err
	release p0
	release p1
	finish p1
	[ "$status" -ne 0 ]
}

@test "a reader that leaves ends rounds with what it is" {
	net 2
	for i in 0 1; do
		start "p$i" bash -c 'set -o pipefail; head -c 3000000 /dev/zero | tr "\0" x | fold -w 30000 |
			snet-party --sync -w 5s -f lines -i '"$i"' net/roster.json | head -c 10'
	done
	finish p0
	finish p1
	grep -q "stdout: Broken pipe" p0.err p1.err
	run ! grep -q "no memory" p0.err p1.err
}
