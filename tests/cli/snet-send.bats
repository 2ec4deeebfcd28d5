load helper

setup_file() {
	make_keys
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

# A program that hangs is ended, with status 124.
send() {
	timeout --foreground -k 1 60 snet-send -k "$skey" "$@"
}

texts() {
	printf '{"text":"%s"}\n' "$@"
}

# A port where nobody is, and the address of who might be there.
free_port() {
	ports 1
	addr="quic://127.0.0.1:$port#$lid"
}

# ---- the command line

@test "without an address, with a bad one, and with options that exclude each other: status 2" {
	for args in "" "quic://" "nonsense" "quic://127.0.0.1" "quic://127.0.0.1:0x1" "quic://127.0.0.1:70000" \
		"tcp://127.0.0.1:1" "quic://127.0.0.1:1#short" "-4 -6 quic://127.0.0.1:1#$lid" \
		"--send-only --recv-only quic://127.0.0.1:1#$lid" "-f xml quic://127.0.0.1:1#$lid" \
		"--ready-fd 77 quic://127.0.0.1:1#$lid" "--kind ack quic://127.0.0.1:1#$lid" \
		"--max-message 2GiB quic://127.0.0.1:1#$lid" "--wait 5x quic://127.0.0.1:1#$lid"; do
		# shellcheck disable=SC2086 # words are wanted
		run --separate-stderr timeout 60 snet-send $args
		[ "$status" -eq 2 ] || { echo "status $status: $args" >&2; false; }
		[[ $stderr == snet-send:* ]]
	done
}

@test "an address without a key id, and nobody to trust: status 3" {
	run --separate-stderr send quic://127.0.0.1:1
	failed_with 3 config
	[[ $stderr == *--allow*--insecure* ]]
}

@test "a key that is not there, or open to others: status 3" {
	run --separate-stderr snet-send -k missing.key "quic://127.0.0.1:1#$lid"
	failed_with 3 bad_key
	[[ $stderr == *missing.key* ]]
	cp "$skey" loose.key
	chmod 644 loose.key
	run --separate-stderr snet-send -k loose.key "quic://127.0.0.1:1#$lid"
	failed_with 3 bad_key
}

# ---- events

@test "the events of a dialler, in their order, and what stands in them" {
	listen l < <(texts back)
	run --separate-stderr send "$addr" < <(texts hi)
	[ "$status" -eq 0 ]
	if [[ ${lines[0]} == *'"waiting"'* ]]; then # on a slow machine
		output=$(tail -n +2 <<<"$output") lines=("${lines[@]:1}") stderr=$(grep -v ': waiting for ' <<<"$stderr") || true
	fi
	[ -z "$stderr" ]
	[ "$(jq -r .event <<<"$output" | sort | tr '\n' ' ')" = "message peer.down peer.up ready " ]
	[ "$(jq -r .event <<<"${lines[0]}")" = peer.up ]
	[ "$(jq -r .event <<<"${lines[1]}")" = ready ]
	[ "$(jq -r .event <<<"${lines[-1]}")" = peer.down ]
	[ "$(jq -r '[.peer, .key, .role, .profile, .dialled] | join(" ")' <<<"${lines[0]}")" = "1 $lid client snet/1 true" ]
	[ "quic://$(jq -r .address <<<"${lines[0]}")#$lid" = "$addr" ]
	[ "$(jq -r '[.peers, .key] | join(" ")' <<<"${lines[1]}")" = "1 $sid" ]
	[ "$(jq -c '[.reason, .sent_messages, .sent_bytes, .received_messages, .received_bytes]' <<<"${lines[-1]}")" = '["ok",1,2,1,4]' ]
}

@test "without -k a fresh key for this run, which the ready event names" {
	start_ready l snet-listen --insecure 127.0.0.1:0
	run --separate-stderr timeout 60 snet-send "$addr"
	[ "$status" -eq 0 ]
	key=$(jq -r 'select(.event == "ready").key' <<<"$output")
	finish l
	[ "$(jq -r 'select(.event == "peer.up").key' l.out)" = "$key" ]
	[ "$key" != "$sid" ]
}

@test "--ready-fd of a dialler gets a newline when the peer is there, not before" {
	free_port
	mkfifo ready
	exec {fd}<>ready
	held[ready]=$fd
	start s snet-send -k "$skey" --ready-fd 9 "$addr" 9>ready
	wait_event s waiting
	run ! read -r -t 0.1 -u "$fd"
	start l snet-listen -k "$lkey" -a "$sid" "127.0.0.1:$port"
	read -r -t 60 -u "$fd"
	finish s
	[ "$status" -eq 0 ]
	finish l
}

@test "NOTIFY_SOCKET is told READY=1" {
	command -v python3 >/dev/null || skip "no python3"
	start told python3 -c 'import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("notify"); print(s.recv(99).decode())'
	wait_until test -S notify
	listen l
	NOTIFY_SOCKET=$PWD/notify send "$addr"
	finish told
	[ "$(cat told.out)" = READY=1 ]
	finish l
}

@test "-H prints words, and no JSON" {
	listen l < <(texts "a b")
	run --separate-stderr send -H "$addr"
	[ "$status" -eq 0 ]
	[[ ${lines[0]} == "peer.up peer=1 "*"key=$lid"* ]]
	[[ $output == *$'\nmessage from=1 seq=1 kind=data text="a b"'* ]]
	[[ $output != *'{'* ]]
	finish l
}

@test "--log-format json: every line on stderr is an object; -q: none but errors" {
	free_port
	run --separate-stderr send -vv --log-format json --wait 2500ms "$addr"
	[ "$status" -eq 4 ]
	[ "$(jq -r 'select(.program == "snet-send").level' <<<"$stderr" | wc -l)" -eq "$(wc -l <<<"$stderr")" ]
	run --separate-stderr send -q --wait 2500ms "$addr"
	[ "$status" -eq 4 ]
	[ "$(wc -l <<<"$stderr")" -eq 1 ]
}

# ---- who is there

@test "nobody there: status 4 when --wait is over, and waiting says for whom" {
	free_port
	run --separate-stderr send --wait 2500ms "$addr"
	failed_with 4 unreachable
	[ "$(jq -r 'select(.event == "waiting") | [.for, .reason] | join(" ")' <<<"$output" | head -n 1)" = "$addr unreachable" ]
	[ "$(jq -r .peer <<<"${lines[-1]}")" = 1 ]
	[[ $stderr == *"waiting for $addr"* ]]
	run send --wait 0s "$addr"
	failed_with 4 unreachable
}

@test "somebody there who does not answer: status 7 when --wait is over" {
	listen l
	kill -STOP "${pid[l]}"
	run send --wait 500ms "$addr"
	kill -CONT "${pid[l]}"
	failed_with 7 timeout
}

@test "a name that does not exist: status 4" {
	run send --wait 0s "quic://does-not-exist.invalid:9#$lid"
	failed_with 4 cannot_resolve
	[[ $output == *does-not-exist.invalid* ]]
}

@test "the sender may start first" {
	free_port
	start s snet-send -k "$skey" "$addr" < <(texts early)
	wait_event s waiting
	start l snet-listen -k "$lkey" -a "$sid" "127.0.0.1:$port"
	finish s
	[ "$status" -eq 0 ]
	finish l
	[ "$status" -eq 0 ]
	[ "$(received l)" = "1 early" ]
}

@test "a listener with another key: status 5, naming both, and it gets no message" {
	listen l --keep-open
	run send "${addr%#*}#$sid" < <(texts secret)
	failed_with 5 identity_refused
	text=$(jq -r .text <<<"${lines[-1]}")
	[[ $text == *"expected $sid"* ]]
	[[ $text == *"saw $lid"* ]]
	quit l
	run ! has_event l message
}

@test "a listener that does not know us: status 5" {
	listen l --keep-open
	run timeout 60 snet-send "$addr" < <(texts hi)
	failed_with 5 identity_refused
	wait_event l refused '.reason == "identity_refused"'
	run send "$addr" < <(texts known)
	[ "$status" -eq 0 ]
	wait_event l message
	[ "$(received l)" = "1 known" ]
	run ! is_gone l
	quit l
}

@test "--allow names whom to trust in place of the address" {
	listen l --keep-open
	run send --allow "$lid" "${addr%#*}"
	[ "$status" -eq 0 ]
	printf '# ours\n%s alice\n' "$lid" >allowed
	run send --allow allowed "${addr%#*}"
	[ "$status" -eq 0 ]
	run send --allow "$sid" "${addr%#*}"
	failed_with 5 identity_refused
	run --separate-stderr send --insecure "${addr%#*}"
	[ "$status" -eq 0 ]
	[[ $stderr == *--insecure* ]]
	quit l
}

@test "a roster gives addresses, keys, names and numbers" {
	free_port
	printf '{"session":"t","parties":[{"id":3,"name":"lena","address":"quic://127.0.0.1:%s","key":"%s"},{"id":5,"name":"sven","address":"quic://127.0.0.1:1","key":"%s"}]}' \
		"$port" "$lid" "$sid" >roster.json
	start_ready l snet-listen -k "$lkey" -r roster.json -i 3
	for who in lena 3; do
		start s snet-send -k "$skey" -r roster.json -i 5 --count 1 $who < <(printf '{"to":3,"text":"%s"}\n' $who)
		wait_event s peer.up
		[ "$(jq -r '[.peer, .name] | join(" ")' <<<"$event")" = "3 lena" ]
		wait_event l peer.up
		[ "$(jq -r '[.peer, .name] | join(" ")' <<<"$event")" = "5 sven" ]
		finish s
		finish l
		[ "$(received l)" = "5 $who" ]
		[ $who = 3 ] || start_ready l snet-listen -k "$lkey" -r roster.json -i 3
	done
}

@test "IPv6, and what -4 and -6 say about names" {
	[ -e /proc/net/if_inet6 ] || skip "no IPv6 here"
	start_ready l snet-listen -k "$lkey" -a "$sid" --keep-open '[::1]:0'
	[[ $addr == "quic://[::1]:"* ]]
	run send "$addr" < <(texts six)
	[ "$status" -eq 0 ]
	wait_event l message
	run send -6 "$addr"
	[ "$status" -eq 0 ]
	run send -4 --wait 0s "$addr"
	failed_with 4 cannot_resolve
	quit l
}

@test "a listener at every address is reached by IPv4 and IPv6" {
	start_ready l snet-listen -k "$lkey" -a "$sid" --keep-open ':0'
	port=$(jq -r 'select(.event == "listening").port' l.out)
	run send "quic://127.0.0.1:$port#$lid" < <(texts four)
	[ "$status" -eq 0 ]
	if [ -e /proc/net/if_inet6 ]; then
		run send "quic://[::1]:$port#$lid" < <(texts six)
		[ "$status" -eq 0 ]
	fi
	run send "$addr"
	[ "$status" -eq 0 ]
	quit l
}

# ---- several targets

@test "several targets: to all, to one, to some, and replies from each" {
	for i in 1 2 3; do
		listen l$i --payload text < <(texts "from $i")
		targets+=("$addr")
	done
	run --separate-stderr send --payload text "${targets[@]}" < <(printf '%s\n' '{"text":"all by default"}' \
		'{"to":"all","text":"all"}' '{"to":2,"text":"two"}' '{"to":[1,3],"text":"odd"}')
	[ "$status" -eq 0 ]
	[ "$(jq -r 'select(.event == "message") | "\(.from) \(.text)"' <<<"$output" | sort)" = $'1 from 1\n2 from 2\n3 from 3' ]
	for i in 1 2 3; do
		finish l$i
		[ "$status" -eq 0 ]
	done
	[ "$(received l1 | tr '\n' ,)" = "1 all by default,1 all,1 odd," ]
	[ "$(received l2 | tr '\n' ,)" = "1 all by default,1 all,1 two," ]
	[ "$(received l3 | tr '\n' ,)" = "1 all by default,1 all,1 odd," ]
}

@test "one target missing: nothing is sent to the others, and the error names it" {
	free_port
	missing=$addr
	listen l
	run send --wait 3s "$addr" "$missing" < <(texts hi)
	failed_with 4 unreachable
	[ "$(jq -r .peer <<<"${lines[-1]}")" = 2 ]
	[[ $output == *"$missing"* ]]
	finish l
	[ -z "$(received l)" ]
}

# ---- bad input

@test "a bad line is named by its number, the others are delivered, and the status is 8" {
	for bad in nonsense '{' '{"text":1}' '{"text":"a","text":"b"}' '{"data":"*"}' '{"data":"QQ"}' '{"hex":"abc"}' '[1]' \
		'{"text":"a","data":"QQ=="}' '{"to":"bob","text":"x"}' '{"to":[],"text":"x"}' '{"to":-1,"text":"x"}' '{"txt":"x"}' \
		'{"text":"x","stream":16}' '{"text":"x","kind":"ack"}' '{"text":"x","kind":200}' '{"text":"\ud800"}' \
		$'{"text":"\xff"}' '{"text":"x"} y' '{"json":}' '{}' 'null'; do
		listen l
		run --separate-stderr send "$addr" < <(texts one; printf '%s\n' "$bad"; texts three)
		failed_with 8 protocol || { echo "for $bad" >&2; false; }
		[ "$(jq -c 'select(.event == "error") | [.line, .fatal]' <<<"$output" | head -n 1)" = '[2,false]' ]
		finish l
		[ "$(received l)" = $'1 one\n1 three' ] || { echo "for $bad" >&2; false; }
	done
}

@test "a peer that does not exist is status 1; the others get theirs" {
	listen l
	run send "$addr" < <(printf '%s\n' '{"to":9,"text":"x"}' '{"to":[1,9],"text":"y"}')
	failed_with 1 no_such_peer
	[[ $output == *"no peer 9"* ]]
	finish l
	[ "$(received l)" = "1 y" ]
}

@test "framed input that ends inside a message: what came before is delivered, status 8" {
	for bad in '\0\0\0\5abc' '\0\0' '\0\0\0\1'; do
		listen l -f lines
		# shellcheck disable=SC2059 # the format is the input
		run send -f framed "$addr" < <(printf '\0\0\0\3one'; printf "$bad")
		[ "$status" -eq 8 ]
		[[ $output == *"snet-send: byte "*"ends inside a message"* ]]
		finish l
		[ "$(cat l.out)" = one ]
	done
}

@test "a header of 1 GiB and one byte is refused before a byte of it is kept" {
	listen l -f lines --max-message 1GiB
	hold s
	start s snet-send -k "$skey" -f framed --max-message 1GiB "$addr" <"$in"
	printf '\0\0\0\3one\x40\0\0\1' >&"${held[s]}"
	finish s
	[ "$status" -eq 8 ]
	grep -q '1073741825 bytes, the ceiling is 1GiB' s.err
	finish l
	[ "$(cat l.out)" = one ]
}

@test "a header of 1 GiB takes no memory until the bytes come" {
	listen l -f raw --max-message 1GiB
	hold s
	start s snet-send -k "$skey" -f framed --max-message 1GiB "$addr" <"$in"
	printf '\0\0\0\3one\x40\0\0\0' >&"${held[s]}"
	wait_until test -s l.out
	head -c 1048576 /dev/zero >&"${held[s]}"
	[ "$(awk '/^VmRSS/ { print $2 }' "/proc/${pid[s]}/status")" -lt 200000 ]
	release s
	finish s
	[ "$status" -eq 8 ]
}

@test "addressed input that cannot name its party is status 8, and the rest goes on" {
	listen l -f lines
	run send -f addressed "$addr" < <(printf '\0\0\0\2ab\0\0\0\7\0\0\0\1one\0\0\0\5\377\377\377\377!')
	[ "$status" -eq 8 ]
	[[ $output == *"cannot name its party"* ]]
	finish l
	[ "$(cat l.out)" = $'one\n!' ]
}

@test "a closed stdin is an error and not silence; --recv-only does not need one" {
	listen l < <(texts hi)
	run bash -c 'timeout 60 snet-send -k "$1" "$2" <&-' - "$skey" "$addr"
	failed_with 1 io
	[[ $output == *stdin* ]]
	finish l
	listen m < <(texts hi)
	run --separate-stderr bash -c 'timeout 60 snet-send -k "$1" --recv-only "$2" <&-' - "$skey" "$addr"
	[ "$status" -eq 0 ]
	finish m
}

@test "a closed stdout is an error when there is something to print" {
	listen l < <(texts hi)
	run bash -c 'timeout 60 snet-send -k "$1" -f lines "$2" >&-' - "$skey" "$addr"
	[ "$status" -eq 1 ]
	[[ $output == *stdout* ]]
	finish l
}

# ---- losses

@test "kill -9 of the listener in the middle: status 6 within seconds" {
	listen l -f raw
	start s snet-send -k "$skey" -f raw --keep-alive 600ms "$addr" </dev/zero
	wait_until test -s l.out
	kill -KILL "${pid[l]}"
	began=$SECONDS
	finish s
	[ "$status" -eq 6 ]
	[ $((SECONDS - began)) -le 10 ]
	grep -q "snet-send: " s.err
}

@test "kill -9 of an idle listener is noticed too, and told" {
	listen l --keep-open
	hold s
	start s snet-send -k "$skey" --keep-alive 600ms "$addr" <"$in"
	wait_event s ready
	kill -KILL "${pid[l]}"
	finish s
	failed_with 6 peer_lost s
	[ "$(jq -r .peer <<<"$(tail -n 1 s.out)")" = 1 ]
	[ "$(jq -r 'select(.event == "peer.down").reason' s.out)" = peer_lost ]
}

@test "a listener that restarts with the same key says at once that it knows us no more" {
	ports 1
	start_ready l snet-listen -k "$lkey" -a "$sid" --keep-open "127.0.0.1:$port"
	hold s
	start s snet-send -k "$skey" "$addr" <"$in"
	wait_event s ready
	kill -KILL "${pid[l]}"
	finish l
	start_ready again snet-listen -k "$lkey" -a "$sid" --keep-open "127.0.0.1:$port"
	began=$SECONDS
	say s '{"text":"anybody?"}'
	finish s
	failed_with 6 peer_lost s
	[[ $(tail -n 1 s.out) == *restarted* ]]
	[ $((SECONDS - began)) -le 10 ]
	run ! has_event again message
	quit again
}

@test "what a listener that leaves has not taken is a loss" {
	listen l --count 1
	run send "$addr" < <(yes '{"text":"more"}' | head -n 200000)
	[ "$status" -ne 0 ]
	finish l
	[ "$status" -eq 0 ]
	[ "$(received l)" = "1 more" ]
}

# ---- a slow peer

@test "--overflow drop: what the queue has no room for is dropped, counted, and said once" {
	yes "$(texts "$(printf %010000d 0)")" | head -n 3000 >in
	listen l -f raw
	run send --queue 64k --overflow drop --metrics-file s.prom "$addr" <in
	[ "$status" -eq 0 ]
	finish l
	dropped=$(awk '/^snet_dropped_messages_total/ { print $2 }' s.prom)
	[ "$dropped" -gt 0 ]
	[ "$(stat -c %s l.out)" -eq $(((3000 - dropped) * 10000)) ]
	[ "$(grep -c "dropping" <<<"$output")" -eq 1 ]
}

@test "--overflow fail: status 10, and the listener is told" {
	yes "$(texts "$(printf %010000d 0)")" | head -n 3000 >in
	listen l
	run send --queue 64k --overflow fail "$addr" <in
	failed_with 10 policy
	finish l
	failed_with 10 policy l
}

@test "--overflow block is the default: nothing is lost in a small queue" {
	yes "$(texts "$(printf %010000d 0)")" | head -n 3000 >in
	listen l -f raw
	run send --queue 64k "$addr" <in
	[ "$status" -eq 0 ]
	finish l
	[ "$(stat -c %s l.out)" -eq 30000000 ]
}

@test "a listener that stops reading is a timeout after -t" {
	listen l -f raw
	hold s
	start s snet-send -k "$skey" -t 1s --keep-alive never "$addr" <"$in"
	wait_event s ready
	kill -STOP "${pid[l]}"
	say s '{"text":"hello?"}'
	finish s
	kill -CONT "${pid[l]}"
	failed_with 7 timeout s
}

# ---- signals

@test "SIGINT: what was taken from stdin is delivered, and the exit is clean" {
	listen l
	hold s
	start s snet-send -k "$skey" "$addr" <"$in"
	say s '{"text":"one"}' '{"text":"two"}'
	wait_event l message
	kill -INT "${pid[s]}"
	finish s
	[ "$status" -eq 0 ]
	finish l
	[ "$status" -eq 0 ]
	[ "$(received l)" = $'1 one\n1 two' ]
}

@test "a second SIGINT ends at once" {
	listen l
	hold s
	start s snet-send -k "$skey" "$addr" <"$in"
	wait_event s ready
	kill -STOP "${pid[l]}"
	say s '{"text":"one"}'
	kill -INT "${pid[s]}"
	kill -USR1 "${pid[s]}"
	wait_event s stats
	run ! is_gone s
	kill -INT "${pid[s]}"
	finish s
	kill -CONT "${pid[l]}"
	[ "$status" -eq 130 ]
}

@test "SIGTERM while waiting for somebody ends at once" {
	free_port
	start s snet-send -k "$skey" --wait never "$addr"
	wait_event s waiting
	quit s
	[ "$status" -ne 0 ] # nothing was delivered
}

@test "SIGUSR1 prints stats of the program and of each peer" {
	listen l
	hold s
	start s snet-send -k "$skey" "$addr" <"$in"
	say s '{"text":"12345"}'
	wait_event l message
	acknowledged() { kill -USR1 "${pid[s]}" && has_event s stats '.peer and .queued_bytes == 0'; }
	wait_until acknowledged
	wait_event s stats .peers
	[ "$(jq -c '[.peers, .sent_messages, .sent_bytes, .received_messages]' <<<"$event")" = "[1,1,5,0]" ]
	wait_event s stats '.peer and .queued_bytes == 0'
	[ "$(jq -c '[.peer, .sent_messages, .sent_bytes, .queued_bytes]' <<<"$event")" = "[1,1,5,0]" ]
	[ "$(jq '.rtt_us > 0 and .cwnd_bytes > 0 and .mtu_bytes >= 1200 and .wire_sent_bytes > 1200 and .wire_received_bytes > 1200' <<<"$event")" = true ]
	release s
	finish s
	finish l
}

# ---- looking inside

@test "--stats-every prints stats by itself" {
	listen l
	hold s
	start s snet-send -k "$skey" --stats-every 50ms "$addr" <"$in"
	three() { [ "$(grep -c '"stats","peers"' s.out)" -ge 3 ]; }
	wait_until three
	release s
	finish s
	finish l
}

@test "--metrics-file holds the counters, in the format of Prometheus" {
	listen l --metrics-file l.prom < <(texts 1 22)
	run send --metrics-file s.prom "$addr" < <(texts abc; echo bad; texts defg)
	[ "$status" -eq 8 ]
	finish l
	for want in "s.prom snet_sent_messages_total 2" "s.prom snet_sent_bytes_total 7" "s.prom snet_received_bytes_total 3" \
		"s.prom snet_input_errors_total 1" "s.prom snet_connections_dialled_total 1" "s.prom snet_peers 0" \
		"l.prom snet_received_messages_total 2" "l.prom snet_sent_messages_total 2" "l.prom snet_connections_accepted_total 1"; do
		grep -qx "${want#* }" "${want%% *}" || { echo "not so: $want" >&2; false; }
	done
	[ "$(grep -c '^# TYPE snet_peers gauge$' s.prom)" -eq 1 ]
	run send --metrics-file missing/s.prom "$addr"
	[ "$status" -eq 1 ]
	[[ $output == *missing/s.prom* ]]
}

@test "SSLKEYLOGFILE gets the secrets of both sides, which agree, and it is said" {
	SSLKEYLOGFILE=$PWD/l.log listen l
	SSLKEYLOGFILE=$PWD/s.log run --separate-stderr send "$addr"
	[ "$status" -eq 0 ]
	[[ $stderr == *SSLKEYLOGFILE* ]]
	finish l
	for label in CLIENT_HANDSHAKE_TRAFFIC_SECRET SERVER_HANDSHAKE_TRAFFIC_SECRET CLIENT_TRAFFIC_SECRET_0 SERVER_TRAFFIC_SECRET_0; do
		grep -Eqx "$label [0-9a-f]{64} [0-9a-f]{64,96}" s.log
		[ "$(grep "^$label " s.log)" = "$(grep "^$label " l.log)" ]
	done
}

@test "QLOGDIR gets a file per connection that holds qlog, to its end" {
	mkdir logs
	QLOGDIR=$PWD/logs listen l
	QLOGDIR=$PWD/logs run send "$addr" < <(texts hi)
	[ "$status" -eq 0 ]
	finish l
	[ "$(find logs -name '*_client.sqlog' | wc -l)" -eq 1 ]
	[ "$(find logs -name '*_server.sqlog' | wc -l)" -eq 1 ]
	for f in logs/*; do
		tr -d '\036' <"$f" >one.json
		[ "$(jq -rs '.[0].qlog_format' one.json)" = JSON-SEQ ]
		[ "$(jq -rs '[.[].name | select(. != null)] | index("transport:packet_sent") != null' one.json)" = true ]
	done
}

# ---- the wire

@test "the crate's profile, from either side" {
	listen l --profile stoffelnet-0.1 --payload hex --keep-open
	run --separate-stderr send "$addr" < <(echo '{"hex":"00ff"}'; texts "")
	[ "$status" -eq 0 ]
	[ "$(jq -r 'select(.event == "peer.up").profile' <<<"$output")" = stoffelnet-0.1 ]
	wait_event l peer.down
	[ "$(jq -r 'select(.event == "message") | "\(.seq)=\(.hex)"' l.out | tr '\n' ' ')" = "1=00ff 2= " ]
	[ "$(jq -r 'select(.event == "peer.up") | [.profile, .role] | join(" ")' l.out)" = "stoffelnet-0.1 client" ]
	quit l
	listen m --payload hex < <(texts back)
	run --separate-stderr send --profile stoffelnet-0.1 --role server "$addr" < <(echo '{"hex":"ff00"}')
	[ "$status" -eq 0 ]
	[ "$(jq -r 'select(.event == "message").data' <<<"$output" | base64 -d)" = back ]
	finish m
	[ "$status" -eq 0 ]
	[ "$(jq -r 'select(.event == "message").hex' m.out)" = ff00 ]
	[ "$(jq -r 'select(.event == "peer.up") | [.profile, .role] | join(" ")' m.out)" = "stoffelnet-0.1 server" ]
}

@test "the crate's profile has one stream and one kind: more is refused by name" {
	listen l --keep-open
	run send --profile stoffelnet-0.1 "$addr" < <(echo '{"text":"a","stream":2}'; texts b)
	[ "$status" -ne 0 ]
	[[ $output == *'"error"'* ]]
	wait_event l peer.down
	[ "$(received l)" = "1 b" ]
	quit l
}

@test "the roles, as the listener sees them" {
	for role in server client; do
		listen $role
		run send --role $role "$addr"
		[ "$status" -eq 0 ]
		finish $role
		[ "$(jq -r 'select(.event == "peer.up").role' $role.out)" = $role ]
	done
}

@test "every congestion control, and a packet size of one's own" {
	head -c 3000000 /dev/urandom >body
	for args in "--cc cubic" "--cc bbr" "--mtu 1200" "--mtu 9000"; do
		listen l -f raw
		# shellcheck disable=SC2086 # words are wanted
		run send -f raw $args "$addr" <body
		[ "$status" -eq 0 ]
		finish l
		cmp l.out body
	done
}

@test "--idle-timeout ends a connection that carries nothing" {
	listen l --keep-open
	hold s
	start s snet-send -k "$skey" --idle-timeout 400ms "$addr" <"$in"
	finish s
	failed_with 7 timeout s
	wait_event l peer.down
	quit l
}
