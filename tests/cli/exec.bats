load helper

# snet-listen --exec: a program per peer, in the manner of UCSPI.

setup_file() {
	make_keys
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

send() {
	timeout --foreground -k 1 60 snet-send -k "$skey" "$@" "$addr"
}

@test "what a peer sends is the program's stdin, what the program prints goes to the peer" {
	listen l -f lines --exec 'while read -r x; do echo "got $x"; done'
	run --separate-stderr send -f lines < <(printf '%s\n' one two)
	[ "$status" -eq 0 ]
	[ "$output" = $'got one\ngot two' ]
	quit l
	[ ! -s l.out ]
}

@test "the program speaks the chosen format" {
	listen json --exec "jq -c --unbuffered 'select(.event == \"message\") | {text: (.data | @base64d | ascii_upcase)}'"
	run --separate-stderr send --payload text < <(echo '{"text":"loud"}')
	[ "$status" -eq 0 ]
	[ "$(jq -r 'select(.event == "message").text' <<<"$output")" = LOUD ]
	quit json
	for format in framed addressed raw; do
		listen $format -f $format --exec cat
		case $format in
		framed | addressed) run --separate-stderr send --payload text < <(printf '%s\n' '{"text":"back"}' '{"text":""}') ;;
		raw) run --separate-stderr send --payload text < <(echo '{"text":"back"}') ;;
		esac
		[ "$status" -eq 0 ]
		[ "$(jq -r 'select(.event == "message").text' <<<"$output" | head -n 1)" = back ]
		quit $format
	done
}

@test "the environment says who the peer is" {
	printf '%s bob\n' "$sid" >allowed
	start_ready l snet-listen -k "$lkey" -a allowed -f lines \
		--exec 'env | grep ^SNET_PEER | sort; echo "$SNET_LOCAL_ADDRESS"; echo "notify=$NOTIFY_SOCKET listen=$LISTEN_FDS"' 127.0.0.1:0
	SNET_PEER_KEY=forged run --separate-stderr send -f lines
	[ "$status" -eq 0 ]
	for want in "SNET_PEER=1" "SNET_PEER_KEY=$sid" "SNET_PEER_ROLE=client" "SNET_PEER_NAME=bob" "$addr" "notify= listen="; do
		grep -qxF "$want" <<<"$output" || { echo "$want is not in: $output" >&2; false; }
	done
	grep -Eqx 'SNET_PEER_ADDRESS=127\.0\.0\.1:[0-9]+' <<<"$output"
	quit l
}

@test "a variable of the same name in the listener's own environment does not win" {
	SNET_PEER_KEY=forged SNET_PEER_ROLE=server listen l -f lines --exec 'echo "$SNET_PEER_KEY $SNET_PEER_ROLE"; env | grep -c ^SNET_PEER_KEY='
	run --separate-stderr send -f lines
	[ "$output" = "$sid client"$'\n1' ]
	quit l
}

@test "its exit status is an event, and so is the signal that ended it" {
	listen l --exec 'case $SNET_PEER in 1) exit 7 ;; 2) kill -KILL $$ ;; 3) exit 0 ;; esac'
	for _ in 1 2 3; do
		run send
	done
	wait_event l exit '.peer == 1'
	[ "$(jq -c '[.status, .signal]' <<<"$event")" = '[7,null]' ]
	wait_event l exit '.peer == 2'
	[ "$(jq -c '[.status, .signal]' <<<"$event")" = '[null,9]' ]
	wait_event l exit '.peer == 3'
	[ "$(jq -c '[.status, .signal]' <<<"$event")" = '[0,null]' ]
	quit l
	[ "$status" -eq 0 ]
}

@test "peers at the same time have a program each" {
	listen l -f lines --exec 'read -r x; echo "$x" >>order; echo "$x $$"; cat >/dev/null'
	for i in 1 2 3; do
		hold h$i
		start s$i snet-send -k "$skey" -f lines "$addr" <"$in"
	done
	for i in 3 2 1; do
		say h$i "line $i"
		wait_until grep -q "line $i" s$i.out
	done
	[ "$(awk '{ print $3 }' s1.out s2.out s3.out | sort -u | wc -l)" -eq 3 ]
	[ "$(tr '\n' ' ' <order)" = "line 3 line 2 line 1 " ]
	for i in 1 2 3; do
		release h$i
		finish s$i
		[ "$status" -eq 0 ]
	done
	quit l
}

@test "the peer's end of input is the program's" {
	listen l -f lines --exec 'wc -l; echo after >after'
	run --separate-stderr send -f lines < <(seq 1000)
	[ "$status" -eq 0 ]
	[ "$output" = 1000 ]
	wait_until test -s after
	quit l
}

@test "a program that ends early ends the exchange, not the listener" {
	listen l -f lines --exec 'echo bye'
	run --separate-stderr send -f lines < <(seq 5)
	[ "$status" -eq 0 ]
	[ "$output" = bye ]
	run --separate-stderr send -f lines
	[ "$output" = bye ]
	run ! is_gone l
	quit l
}

@test "a program that does not read: the peer is held back, then served" {
	mkfifo go
	exec {go}<>go
	held[go]=$go
	listen l -f raw --exec 'read -r x <go; wc -c'
	truncate -s 100M in
	start s snet-send -k "$skey" -v -f raw "$addr" <in
	wait_until is_held_back s
	[ "$taken" -lt 90000000 ]
	say go now
	finish s
	[ "$status" -eq 0 ]
	[ "$(cat s.out)" = 104857600 ]
	quit l
}

@test "a program whose peer is lost sees the end of its input" {
	listen l -f lines --keep-alive 600ms --exec 'cat >heard; echo over >over'
	hold s
	start s snet-send -k "$skey" -f lines "$addr" <"$in"
	say s hello
	wait_until grep -qs hello heard
	kill -KILL "${pid[s]}"
	wait_until test -s over
	quit l
}

@test "a program that minds neither is told to end, with all it has started" {
	listen l --keep-alive 600ms --exec 'sleep 1000 & echo $! >sleeper; wait'
	hold s
	start s snet-send -k "$skey" "$addr" <"$in"
	wait_until test -s sleeper
	kill -KILL "${pid[s]}"
	wait_event l exit
	[ "$(jq .signal <<<"$event")" = 15 ]
	asleep() { ! kill -0 "$(cat sleeper)" 2>/dev/null; }
	wait_until asleep
	quit l
}

@test "a program that does not mind being told either is made to end" {
	listen l --keep-alive 600ms --exec 'trap "echo told >told" TERM; echo $$ >program; while :; do read -r; done <>hangs'
	mkfifo hangs
	hold s
	start s snet-send -k "$skey" "$addr" <"$in"
	wait_until test -s program
	kill -KILL "${pid[s]}"
	wait_until test -s told
	wait_event l exit
	[ "$(jq .signal <<<"$event")" = 9 ]
	quit l
}

@test "a listener that is told to end takes its programs with it" {
	listen l --exec 'echo $$ >program; sleep 1000'
	hold s
	start s snet-send -k "$skey" "$addr" <"$in"
	wait_until test -s program
	quit l
	[ "$status" -eq 0 ]
	ended() { ! kill -0 "$(cat program)" 2>/dev/null; }
	wait_until ended
}

@test "the listener's own stdin is left alone" {
	echo untouched >in
	exec {mine}<in
	listen l -f lines --exec 'cat' <&"$mine"
	run --separate-stderr send -f lines < <(echo x)
	[ "$output" = x ]
	quit l
	read -r line <&"$mine"
	exec {mine}<&-
	[ "$line" = untouched ]
}

@test "what the program says on stderr is the listener's stderr" {
	listen l --exec 'echo to people >&2'
	run send
	wait_until grep -qx 'to people' l.err
	quit l
}

@test "a program that prints nonsense is said to the operator; the peer gets the rest" {
	listen l --exec 'echo "{\"text\":\"good\"}"; echo nonsense; echo "{\"text\":\"too\"}"; cat >/dev/null'
	run --separate-stderr send --payload text
	[ "$(jq -r 'select(.event == "message").text' <<<"$output")" = $'good\ntoo' ]
	wait_event l error '.line == 2'
	[ "$(jq -c '[.reason, .peer, .fatal]' <<<"$event")" = '["protocol",1,false]' ]
	run ! is_gone l
	quit l
}

@test "SIGPIPE is as programs expect it: yes ends when its reader does" {
	listen l -f lines --exec 'yes | head -n 1; echo "${PIPESTATUS:-}"; (trap) | grep -c PIPE'
	run --separate-stderr timeout 60 snet-send -k "$skey" -f lines "$addr"
	[ "${lines[0]}" = y ]
	[ "${lines[-1]}" = 0 ]
	quit l
}
