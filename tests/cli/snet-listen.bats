load helper
load dns

setup_file() {
	make_keys
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

send() {
	timeout --foreground -k 1 60 snet-send -k "$skey" "$@" "$addr"
}

texts() {
	printf '{"text":"%s"}\n' "$@"
}

# python3 -c "$activate" PROGRAM ARGS...: as systemd starts a service with a socket
activate='
import os, socket, sys
kind = socket.SOCK_STREAM if os.environ.get("WRONG") else socket.SOCK_DGRAM
s = socket.socket(socket.AF_INET, kind)
s.bind(("127.0.0.1", 0))
if os.environ.get("WRONG"):
    s.listen()
open("port", "w").write(str(s.getsockname()[1]))
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=os.environ.get("FDS", "1"))
os.execvp(sys.argv[1], sys.argv[1:])
'

need_python() {
	command -v python3 >/dev/null || skip "no python3"
}

# ---- starting

@test "bad command lines are status 2" {
	for args in "" "nonsense" "127.0.0.1" "127.0.0.1:1 127.0.0.1:2" "--insecure -a $lid 127.0.0.1:0" "tls://127.0.0.1:0" \
		"--queue 1k 127.0.0.1:0" "--overflow maybe 127.0.0.1:0" "-H -f raw 127.0.0.1:0" "--stream 16 127.0.0.1:0" \
		"-i -1 127.0.0.1:0" "--mtu 100 127.0.0.1:0" "--exec"; do
		# shellcheck disable=SC2086 # words are wanted
		run --separate-stderr timeout 60 snet-listen -k "$lkey" --allow "$sid" $args
		[ "$status" -eq 2 ] || { echo "status $status: $args" >&2; false; }
		[[ $stderr == snet-listen:* ]]
	done
}

@test "without anybody to let in: status 3, and how to name somebody" {
	run --separate-stderr timeout 60 snet-listen 127.0.0.1:0
	failed_with 3 config
	[[ $stderr == *--allow*--insecure* ]]
	run --separate-stderr timeout 60 snet-listen -a missing 127.0.0.1:0
	failed_with 3 config
	[[ $stderr == *missing* ]]
	printf '%s\nnonsense\n' "$sid" >allowed
	run --separate-stderr timeout 60 snet-listen -a allowed 127.0.0.1:0
	failed_with 3 config
	[[ $stderr == *allowed:2* ]]
	run --separate-stderr timeout 60 snet-listen --ca missing.pem 127.0.0.1:0
	failed_with 3 config
}

@test "a port that is taken: status 4" {
	listen l
	run --separate-stderr timeout 60 snet-listen --insecure "$(jq -r 'select(.event == "listening") | .address | ltrimstr("quic://") | sub("#.*"; "")' l.out)"
	failed_with 4 cannot_bind
	[[ $stderr == *"in use"* ]]
}

@test "the first event is listening; its address can be pasted, and so can the command on stderr" {
	start_ready l snet-listen --insecure --keep-open 127.0.0.1:0
	[ "$(head -n 1 l.out | jq -r .event)" = listening ]
	[ "$(jq -r '"quic://127.0.0.1:\(.port)#\(.key)"' <<<"$(head -n 1 l.out)")" = "$addr" ]
	texts pasted >in
	command=$(grep -o 'snet-send .*' l.err)
	[[ $command == *"'$addr'" ]]
	timeout 60 bash -c "$command" <in
	wait_event l message
	quit l
}

@test "in the other formats stdout is payload only, and stderr still gives the command" {
	for format in lines framed addressed raw; do
		start_ready $format snet-listen --insecure -f $format 127.0.0.1:0
		command=$(grep -o 'snet-send .*' $format.err)
		: | timeout 60 bash -c "$command"
		finish $format
		[ "$status" -eq 0 ]
		[ ! -s $format.out ]
	done
}

@test "with -k the key id is the same in every run" {
	listen l
	quit l
	[ "$(jq -r 'select(.event == "listening").key' l.out)" = "$lid" ]
	[[ $addr == *"#$lid" ]]
}

@test "NOTIFY_SOCKET is told READY=1 when bound, and STOPPING=1 at the end" {
	need_python
	start told python3 -c 'import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("notify"); print(s.recv(99).decode(), s.recv(99).decode())'
	wait_until test -S notify
	NOTIFY_SOCKET=$PWD/notify listen l
	quit l
	finish told
	[ "$(cat told.out)" = "READY=1 STOPPING=1" ]
}

@test "LISTEN_FDS: the socket that was handed over is used, without an address" {
	need_python
	start l python3 -c "$activate" snet-listen -k "$lkey" -a "$sid"
	wait_event l listening
	[ "$(jq .port <<<"$event")" = "$(cat port)" ]
	run send < <(texts hi)
	[ "$status" -eq 0 ]
	finish l
	[ "$(received l)" = "1 hi" ]
}

@test "LISTEN_FDS for another process, of another kind, or too many" {
	need_python
	LISTEN_PID=1 LISTEN_FDS=1 run --separate-stderr timeout 60 snet-listen --insecure
	[ "$status" -eq 2 ]
	WRONG=1 run --separate-stderr timeout 60 python3 -c "$activate" snet-listen --insecure
	failed_with 3 config
	[[ $stderr == *"not a UDP socket"* ]]
	FDS=2 run --separate-stderr timeout 60 python3 -c "$activate" snet-listen --insecure
	failed_with 3 config
	run --separate-stderr timeout 60 python3 -c "$activate" snet-listen --insecure ice+ws://127.0.0.1:1/room
	failed_with 3 config
	[[ $stderr == *"LISTEN_FDS: in a room"* ]]
}

# ---- who comes in

@test "--insecure says so loudly; --allow does not need to" {
	start_ready l snet-listen --insecure 127.0.0.1:0
	grep -q -- '--insecure: any key is accepted' l.err
	quit l
	listen m
	run ! grep insecure m.err
	quit m
}

@test "a stranger is refused with an event, and the listener goes on" {
	listen l
	run timeout 60 snet-send "$addr" < <(texts stranger)
	failed_with 5 identity_refused
	wait_event l refused
	[ "$(jq -r .reason <<<"$event")" = identity_refused ]
	[[ $(jq -r .address <<<"$event") == 127.0.0.1:* ]]
	[[ $(jq -r .text <<<"$event") =~ [A-Za-z0-9_-]{43} ]]
	run send < <(texts friend)
	[ "$status" -eq 0 ]
	finish l
	[ "$status" -eq 0 ]
	[ "$(received l)" = "1 friend" ]
}

@test "names from an allow file stand in the events" {
	printf '# who may come\n\n%s carol of c\n' "$sid" >allowed
	start_ready l snet-listen -k "$lkey" -a allowed 127.0.0.1:0
	run send
	finish l
	[ "$(jq -r 'select(.event == "peer.up").name' l.out)" = "carol of c" ]
}

@test "--ca lets in whose certificate ends there, and nobody else" {
	command -v openssl >/dev/null || skip "no openssl"
	openssl req -x509 -nodes -days 9 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=ca -keyout ca.key -out ca.pem 2>/dev/null
	openssl req -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=member -keyout member.key -out member.csr 2>/dev/null
	openssl x509 -req -in member.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -out member.pem 2>/dev/null
	cat member.pem >>member.key
	chmod 600 member.key
	start_ready l snet-listen -k "$lkey" --ca ca.pem 127.0.0.1:0
	run send < <(texts stranger)
	failed_with 5 identity_refused
	run timeout 60 snet-send -k member.key "$addr" < <(texts member)
	[ "$status" -eq 0 ]
	finish l
	[ "$(received l)" = "1 member" ]
	# and the other way round, at an address that names no key
	start_ready m snet-listen -k member.key --insecure 127.0.0.1:0
	run timeout 60 snet-send --ca ca.pem "${addr%#*}" < <(texts member)
	[ "$status" -eq 0 ]
	finish m
	start_ready n snet-listen --insecure 127.0.0.1:0
	run timeout 60 snet-send --ca ca.pem "${addr%#*}" < <(texts nobody)
	failed_with 5 identity_refused
}

# ---- several peers

@test "several peers: replies by number, by list, to all" {
	hold l
	start_ready l snet-listen --insecure <"$in" 127.0.0.1:0
	for i in 1 2 3; do
		hold s$i
		start s$i snet-send --payload text "$addr" <"$in"
		wait_event l peer.up ".peer == $i"
		say s$i "{\"text\":\"I am $i\"}"
		wait_event l message ".from == $i"
	done
	say l '{"to":2,"text":"two"}' '{"to":[1,3],"text":"odd"}' '{"to":"all","text":"all"}' '{"text":"everybody"}' '{"to":4,"text":"none"}'
	release l
	for i in 1 2 3; do
		release s$i
		finish s$i
		[ "$status" -eq 0 ]
	done
	finish l
	failed_with 1 no_such_peer l
	[ "$(received s1 | tr '\n' ,)" = "1 odd,1 all,1 everybody," ]
	[ "$(received s2 | tr '\n' ,)" = "1 two,1 all,1 everybody," ]
	[ "$(received s3 | tr '\n' ,)" = "1 odd,1 all,1 everybody," ]
	[ "$(received l)" = $'1 I am 1\n2 I am 2\n3 I am 3' ]
}

@test "addressed: the party of each message, both ways" {
	start_ready l snet-listen --insecure -f addressed 127.0.0.1:0 < <(printf '\0\0\0\5\377\377\377\377x\0\0\0\5\0\0\0\1y')
	run --separate-stderr timeout 60 snet-send -f lines "$addr" < <(echo z)
	[ "$status" -eq 0 ]
	[ "$output" = $'x\ny' ]
	finish l
	cmp l.out <(printf '\0\0\0\5\0\0\0\1z')
}

@test "raw carries one peer at a time: a second one is turned away" {
	listen l -f raw
	hold s
	start s snet-send -k "$skey" "$addr" <"$in"
	wait_event s ready
	run send
	failed_with 10 policy
	say s '{"text":"first"}'
	release s
	finish s
	[ "$status" -eq 0 ]
	finish l
	[ "$(cat l.out)" = first ]
}

@test "200 peers at one listener, all at the same time" {
	hold l
	start_ready l snet-listen --insecure <"$in" 127.0.0.1:0
	for i in {1..200}; do
		start "s$i" snet-send -f lines --count 1 "$addr" < <(echo "I am $i")
	done
	all_there() { [ "$(grep -c '"peer.up"' l.out)" -eq 200 ] && [ "$(grep -c '"message"' l.out)" -eq 200 ]; }
	wait_until all_there
	say l '{"text":"go"}'
	for i in {1..200}; do
		finish "s$i"
		[ "$status" -eq 0 ]
		[ "$(cat "s$i.out")" = go ]
	done
	finish l
	[ "$status" -eq 0 ]
	[ "$(received l | cut -d ' ' -f 2- | sort -V)" = "$(seq 200 | sed 's/^/I am /')" ]
	[ "$(received l | cut -d ' ' -f 1 | sort -un | wc -l)" -eq 200 ]
}

# ---- the end

@test "without --keep-open the listener ends with its last peer; with it, it serves on" {
	listen l
	run send < <(texts one)
	finish l
	[ "$status" -eq 0 ]
	listen m --keep-open
	for i in 1 2 3; do
		run send < <(texts $i)
		[ "$status" -eq 0 ]
	done
	three() { [ "$(grep -c peer.down m.out)" -eq 3 ]; }
	wait_until three
	run ! is_gone m
	[ "$(received m | cut -d ' ' -f 2 | tr '\n' ' ')" = "1 2 3 " ]
	quit m
	[ "$status" -eq 0 ]
}

@test "kill -9 of a sender in the middle: status 6 within seconds, and what came is kept" {
	listen l -f lines --keep-alive 600ms
	start s snet-send -k "$skey" -f lines "$addr" < <(yes "a line")
	wait_until test -s l.out
	kill -KILL "${pid[s]}"
	began=$SECONDS
	finish l
	[ "$status" -eq 6 ]
	[ $((SECONDS - began)) -le 10 ]
	[ "$(sort -u l.out)" = "a line" ]
}

@test "with --keep-open a lost peer is an event, and the listener serves on" {
	listen l --keep-open --keep-alive 600ms
	hold s
	start s snet-send -k "$skey" "$addr" <"$in"
	wait_event s ready
	kill -KILL "${pid[s]}"
	wait_event l peer.down
	[ "$(jq -r '[.peer, .reason, .by_peer] | join(" ")' <<<"$event")" = "1 peer_lost false" ]
	run send --send-only < <(texts next)
	[ "$status" -eq 0 ]
	wait_event l message '.from == 2'
	quit l
	[ "$status" -eq 0 ]
}

@test "a dead peer of three does not keep the others from theirs" {
	hold l
	start_ready l snet-listen --insecure --keep-open --keep-alive 1s <"$in" 127.0.0.1:0
	for i in 1 2 3; do
		start s$i snet-send --recv-only -f lines "$addr"
		wait_event l peer.up ".peer == $i"
	done
	kill -KILL "${pid[s2]}"
	say l '{"text":"before"}'
	wait_event l peer.down '.peer == 2'
	say l '{"text":"after"}'
	for i in 1 3; do
		wait_until grep -qx after s$i.out
		[ "$(cat s$i.out)" = $'before\nafter' ]
	done
	quit l
}

@test "SIGTERM: what was taken from stdin is delivered, and the peers are told" {
	hold l
	listen l <"$in"
	hold s
	start s snet-send -k "$skey" "$addr" <"$in"
	wait_event l peer.up
	say l '{"text":"last words"}'
	wait_event s message
	quit l
	[ "$status" -eq 0 ]
	release s
	finish s
	[ "$(received s)" = "1 last words" ]
}

@test "SIGTERM with nobody there ends at once, with status 0" {
	listen l
	quit l
	[ "$status" -eq 0 ]
}

@test "--idle-timeout ends who says nothing, and only them" {
	start_ready l snet-listen --insecure --keep-open --idle-timeout 3s 127.0.0.1:0
	hold idle
	start idle snet-send "$addr" <"$in"
	hold busy
	start busy snet-send "$addr" <"$in"
	wait_event busy ready
	talk() { say busy '{"text":"."}'; has_event l peer.down; }
	wait_until talk
	[ "$(jq -r .reason <<<"$event")" = timeout ]
	finish idle
	failed_with 7 timeout idle
	run ! has_event busy peer.down
	quit busy
	quit l
}

@test "--idle-timeout of a listener that stood still itself ends nobody who has said something" {
	start_ready l snet-listen --insecure --keep-open --idle-timeout 3s 127.0.0.1:0
	hold busy
	start busy snet-send "$addr" <"$in"
	wait_event l peer.up
	kill -STOP "${pid[l]}"
	began=$SECONDS
	talked() { say busy '{"text":"."}'; [ $((SECONDS - began)) -ge 5 ]; }
	wait_until talked
	kill -CONT "${pid[l]}"
	heard() { [ "$(grep -cE '"(message|peer.down)"' l.out)" -gt 0 ]; }
	wait_until heard
	grep -E '"(message|peer.down)"' l.out | head -n 1 | grep '"message"'
	quit busy
	quit l
}

@test "SIGUSR1 prints stats of all and of each peer" {
	start_ready l snet-listen --insecure 127.0.0.1:0
	for i in 1 2; do
		hold s$i
		start s$i snet-send "$addr" <"$in"
		say s$i '{"text":"12345"}'
		wait_event l message ".from == $i"
	done
	kill -USR1 "${pid[l]}"
	wait_event l stats .peers
	[ "$(jq -c '[.peers, .received_messages, .received_bytes]' <<<"$event")" = "[2,2,10]" ]
	for i in 1 2; do
		wait_event l stats ".peer == $i and .received_bytes == 5"
	done
}

@test "--progress says bytes and speed on stderr when asked, and not without" {
	truncate -s 50M in
	listen l -f raw --progress
	run send -f raw --send-only <in
	finish l
	[ "$status" -eq 0 ]
	cmp in l.out
	listen m -f raw
	run send -f raw --send-only <in
	finish m
	[ "$(wc -l <m.err)" -eq 1 ]
}

@test "stdin and stdout closed at the start" {
	printf '#!/bin/sh\nexec snet-listen "$@" <&- >&-\n' >closed
	chmod +x closed
	start_ready l ./closed -f lines --insecure 127.0.0.1:0
	run timeout 60 snet-send --send-only "$addr" < <(texts hi)
	finish l
	[ "$status" -ne 0 ]
	grep -q "std" l.err
}

@test "a full disk is status 1, the sender is told, and the reason stands on stderr" {
	ln -s /dev/full l.out
	start l snet-listen -k "$lkey" -a "$sid" -f lines 127.0.0.1:0
	wait_until grep -qs quic:// l.err
	addr=$(grep -o "quic://[^ ']*" l.err | head -n 1)
	run send < <(yes '{"text":"more"}' | head -n 500000)
	[ "$status" -ne 0 ]
	finish l
	[ "$status" -eq 1 ]
	grep -q 'stdout: No space left on device' l.err
	rm l.out
}

@test "the listener's metrics count the refused" {
	listen l --keep-open --metrics-file l.prom
	run timeout 60 snet-send "$addr"
	failed_with 5 identity_refused
	wait_event l refused
	quit l
	grep -qx 'snet_connections_refused_total 1' l.prom
	grep -qx 'snet_connections_accepted_total 0' l.prom
}

@test "it listens at a name, which is looked up without being in the way of a signal" {
	name_server
	# shellcheck disable=SC2317,SC2034 # called by listens_at_names
	at() { command=(snet-listen --insecure "$1:0"); }
	listens_at_names at
}
