load helper

# snet-listen and snet-send together: what goes in on one side comes out on the other.

setup_file() {
	make_keys
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

be32() {
	# shellcheck disable=SC2059 # the format is the number
	printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 >> 24 & 255)) $(($1 >> 16 & 255)) $(($1 >> 8 & 255)) $(($1 & 255)))"
}

# encode FORMAT MESSAGE...: as a program prints what peer 1 sent, or takes it for peer 1
encode() {
	local m
	for m in "${@:2}"; do
		case $1 in
		json) printf '{"to":1,"text":"%s"}\n' "$m" ;;
		lines) printf '%s\n' "$m" ;;
		framed) be32 ${#m}; printf %s "$m" ;;
		addressed) be32 $((${#m} + 4)); be32 1; printf %s "$m" ;;
		raw) printf %s "$m" ;;
		esac
	done
}

# arrived FORMAT FILE MESSAGE...: exactly these
arrived() {
	if [ "$1" = json ]; then
		[ "$(jq -r 'select(.event == "message") | .data | @base64d' "$2")" = "$(printf '%s\n' "${@:3}")" ]
	else
		cmp "$2" <(encode "$1" "${@:3}")
	fi
}

# A program that hangs is ended, with status 124.
send() {
	timeout --foreground -k 1 60 snet-send -k "$skey" "$@" "$addr"
}

# ---- formats

@test "every format becomes every other, in both directions at once" {
	for from in json lines framed addressed raw; do
		for to in json lines framed addressed raw; do
			name=$from-$to
			# The listener speaks $to in and out, the sender $from.
			if [ $from = raw ] || [ $to = raw ]; then there=(onetwo) back=(threefour); else there=(one two) back=(three four); fi
			listen $name -f $to < <(encode $to "${back[@]}")
			encode $from "${there[@]}" | send -f $from >back.out
			finish $name
			[ "$status" -eq 0 ]
			arrived $to $name.out "${there[@]}"
			arrived $from back.out "${back[@]}"
		done
	done
}

@test "all 256 byte values arrive as they are, in every format that can hold them" {
	bytes=$(printf %02x {0..255})
	printf '{"hex":"%s"}\n' "$bytes" >json.in
	jq -n --arg d "$(basenc -d --base16 -i <<<"${bytes^^}" | base64 -w 0)" -c '{data: $d}' >data.in
	{ be32 256; basenc -d --base16 -i <<<"${bytes^^}"; } >framed.in
	{ be32 260; be32 1; basenc -d --base16 -i <<<"${bytes^^}"; } >addressed.in
	basenc -d --base16 -i <<<"${bytes^^}" >raw.in
	for format in json data framed addressed raw; do
		listen $format --payload hex
		send -f ${format/data/json} <$format.in
		finish $format
		[ "$(jq -r 'select(.event == "message").hex' $format.out)" = "$bytes" ]
	done
	for format in framed addressed raw; do
		listen out-$format -f $format
		send <json.in
		finish out-$format
		cmp out-$format.out $format.in
	done
}

@test "a megabyte of random bytes survives, in one message or as a stream" {
	head -c 1048576 /dev/urandom >body
	{ be32 1048576; cat body; } >framed.in
	listen framed -f framed
	send -f framed <framed.in
	finish framed
	cmp framed.out framed.in
	listen raw -f raw
	send -f raw <body
	finish raw
	cmp raw.out body
	listen json
	jq -Rsc '{data: .}' < <(base64 -w 0 body) | send
	finish json
	jq -r 'select(.event == "message").data' json.out | base64 -d | cmp - body
}

@test "empty messages are messages" {
	listen json --payload hex
	printf '%s\n' '{"text":""}' '{"data":""}' '{"hex":""}' '{"text":"x"}' '{"text":""}' | send
	finish json
	[ "$(jq -r 'select(.event == "message") | "\(.seq)=\(.hex)"' json.out | tr '\n' ' ')" = "1= 2= 3= 4=78 5= " ]
	for format in lines framed addressed; do
		listen $format -f $format
		encode $format "" x "" | send -f $format
		finish $format
		arrived $format $format.out "" x ""
	done
}

@test "--payload chooses the key, and what does not fit goes as data" {
	printf '%s\n' '{"text":"gr\u00fc\u00dfe \ud83d\ude00 \"\\\n"}' '{"hex":"fffe"}' '{"json":{"a":[1,null]}}' '{"text":"{ half"}' >in
	for payload in text json data hex; do
		listen $payload --payload $payload
		send <in
		finish $payload
		jq -c 'select(.event == "message") | del(.event, .from, .seq, .kind)' $payload.out >$payload.got
	done
	diff text.got - <<-'END'
		{"text":"grüße 😀 \"\\\n"}
		{"data":"//4="}
		{"text":"{\"a\":[1,null]}"}
		{"text":"{ half"}
	END
	[ "$(sed -n '2p;3p' json.got)" = $'{"data":"//4="}\n{"json":{"a":[1,null]}}' ]
	[ "$(jq -r 'keys[]' json.got | tr '\n' ' ')" = "data data json data " ]
	[ "$(jq -c '.data | @base64d' data.got | sed -n 4p)" = '"{ half"' ]
	[ "$(jq -r .hex hex.got | sed -n 2p)" = fffe ]
}

@test "what one program prints another takes: a chain of three" {
	listen last --payload text
	last=$addr
	start middle snet-send -k "$skey" "$last" < <(snet-listen --insecure -f json 127.0.0.1:0 --ready-fd 3 3>ready 2>first.err)
	wait_until grep -qs quic:// first.err
	addr=$(grep -o 'quic://[^'\'']*' first.err)
	printf '%s\n' '{"text":"one"}' '{"hex":"6f00"}' | snet-send -q --insecure "$addr"
	finish middle
	[ "$status" -eq 0 ]
	finish last
	[ "$(jq -r 'select(.event == "message") | .text | @json' last.out)" = $'"one"\n"o\\u0000"' ]
}

@test "kinds and streams named in a message arrive with it, and each stream counts by itself" {
	listen l --payload text
	printf '%s\n' '{"text":"a","kind":"dkg1"}' '{"text":"b","stream":3}' '{"text":"c","stream":3,"kind":"vote"}' \
		'{"text":"d","kind":69}' '{"text":"e","kind":"32","stream":15}' '{"text":"f"}' | send
	finish l
	[ "$(jq -r 'select(.event == "message") | [.text, .kind, (.stream // 0), .seq] | join(" ")' l.out | sort | tr '\n' ,)" = \
		"a dkg1 0 1,b data 3 1,c vote 3 2,d recovery 0 2,e data 15 1,f data 0 3," ]
}

@test "--kind and --stream are for what names none" {
	listen l --payload text
	encode framed one | send -f framed --kind sign2 --stream 4
	finish l
	[ "$(jq -r 'select(.event == "message") | [.text, .kind, .stream] | join(" ")' l.out)" = "one sign2 4" ]
}

@test "10,000 messages arrive in order" {
	listen l
	seq 10000 | sed 's/.*/{"text":"&"}/' | send
	finish l
	[ "$status" -eq 0 ]
	jq -r 'select(.event == "message") | "\(.seq) \(.data | @base64d)"' l.out | cmp - <(paste -d ' ' <(seq 10000) <(seq 10000))
}

@test "the ceiling: a message of --max-message passes, one byte more is refused on either side" {
	printf '%01000d\n' 0 >fits
	printf '%01001d\n' 0 >larger
	listen fits -f lines --max-message 1000
	send -f lines --max-message 1000 <fits
	finish fits
	cmp fits.out fits
	listen sender -f lines
	run send -f lines --max-message 1000 <larger
	[ "$status" -eq 8 ]
	[[ $output == *"line 1"*1000* ]]
	finish sender
	[ ! -s sender.out ]
	listen listener --max-message 1000
	run send -f json < <(printf '{"text":"%s"}\n' "$(cat fits)" "$(cat larger)")
	failed_with 8 too_big
	finish listener
	failed_with 8 too_big listener
	[ "$(received listener | wc -l)" -eq 1 ]
}

# ---- the end

@test "the sender's end of input is half of the end: what comes back later still arrives" {
	hold l
	listen l <"$in"
	start s snet-send -k "$skey" --payload text "$addr" < <(echo '{"text":"over"}')
	wait_event l message
	say l '{"text":"late"}'
	wait_event s message '.text == "late"'
	say l '{"text":"last"}'
	release l
	finish s
	[ "$status" -eq 0 ]
	finish l
	[ "$status" -eq 0 ]
	[ "$(received s)" = $'1 late\n1 last' ]
}

@test "the listener's end of input is half of the end: the sender goes on" {
	listen l < <(echo '{"text":"early"}')
	hold s
	start s snet-send -k "$skey" "$addr" <"$in"
	wait_event s message
	say s '{"text":"one"}'
	wait_event l message
	say s '{"text":"two"}'
	release s
	finish s
	[ "$status" -eq 0 ]
	finish l
	[ "$status" -eq 0 ]
	[ "$(received l)" = $'1 one\n1 two' ]
}

@test "nothing to say on either side is a complete exchange" {
	listen l
	run --separate-stderr send
	[ "$status" -eq 0 ]
	[ "$(jq -r '.event | select(. != "waiting")' <<<"$output" | tr '\n' ' ')" = "peer.up ready peer.down " ] # it may have to wait
	finish l
	[ "$status" -eq 0 ]
	[ "$(jq -r .event l.out | tr '\n' ' ')" = "listening peer.up peer.down " ]
	[ "$(jq -r 'select(.event == "peer.down").reason' l.out)" = ok ]
}

@test "--send-only ends when everything is delivered, whatever the listener does" {
	hold l
	listen l <"$in"
	say l '{"text":"unheard"}'
	run --separate-stderr send --send-only < <(seq 3000 | sed 's/.*/{"text":"&"}/')
	[ "$status" -eq 0 ]
	[[ $output != *'"message"'* ]]
	finish l
	[ "$status" -eq 0 ]
	received l | cmp - <(seq 3000 | sed 's/^/1 /')
}

@test "--recv-only leaves stdin to others, and ends with the listener" {
	listen l < <(printf '{"text":"%s"}\n' one two)
	echo untouched >in
	exec {mine}<in
	send --recv-only <&"$mine" >s.out
	read -r line <&"$mine"
	exec {mine}<&-
	[ "$line" = untouched ]
	[ "$(received s)" = $'1 one\n1 two' ]
	finish l
	[ "$status" -eq 0 ]
	[ -z "$(received l)" ]
}

@test "--keep-open: the end of stdin is not the end" {
	hold l
	listen l <"$in"
	start s snet-send -k "$skey" --keep-open "$addr"
	wait_event l peer.up
	say l '{"text":"one"}'
	wait_event s message
	run ! has_event l peer.down
	release l
	finish s
	[ "$status" -eq 0 ]
	finish l
	[ "$status" -eq 0 ]
}

@test "--replies N: the sender ends when so many have come, though the listener would speak on" {
	hold l
	listen l <"$in"
	start s snet-send -k "$skey" --replies 2 "$addr" < <(printf '{"text":"%s"}\n' one two three)
	wait_until eval '[ "$(received l | wc -l)" -eq 3 ]'
	say l '{"text":"r1"}'
	wait_event s message
	run ! is_gone s
	say l '{"text":"r2"}'
	finish s
	[ "$status" -eq 0 ]
	[ "$(received s)" = $'1 r1\n1 r2' ]
	finish l
	[ "$status" -eq 0 ]
}

@test "--replies N: a peer that ends before it has said so much is lost" {
	listen l < <(echo '{"text":"only one"}')
	run send --replies 2 < <(echo '{"text":"q"}')
	failed_with 6 peer_lost
	[[ $output == *"1 of 2"* ]]
	finish l
}

@test "--replies N: a peer that does not answer is a timeout" {
	hold l
	listen l <"$in"
	run send --replies 1 -t 2s < <(echo '{"text":"q"}')
	failed_with 7 timeout
}

@test "--count N: a listener that has had enough ends" {
	listen l --count 2
	run send < <(printf '{"text":"%s"}\n' one two)
	[ "$status" -eq 0 ]
	finish l
	[ "$status" -eq 0 ]
	[ "$(received l)" = $'1 one\n1 two' ]
	listen m --count 2
	hold s
	start s snet-send -k "$skey" "$addr" <"$in"
	say s '{"text":"one"}' '{"text":"two"}'
	finish m
	[ "$status" -eq 0 ]
	[ "$(received m)" = $'1 one\n1 two' ]
}

@test "the last messages before the end arrive, always" {
	for i in {1..20}; do
		listen "l$i" -f lines
		seq 500 | send -f lines --send-only
		finish "l$i"
		[ "$status" -eq 0 ]
		seq 500 | cmp - "l$i.out"
	done
}

# ---- slow, closed and full

peak_kb() {
	awk '/^VmHWM/ { print $2 }' "/proc/${pid[$1]}/status"
}

@test "a slow reader stops the sender's stdin, and memory stays flat with 200 MiB to come" {
	export ASAN_OPTIONS=quarantine_size_mb=4:${ASAN_OPTIONS:-}
	for format in raw lines; do
		mkfifo l$format.out
		truncate -s 200M in
		[ $format = raw ] || yes "$(printf '%01000d' 7)" | head -n 209000 >in || true
		start l$format snet-listen -k "$lkey" -a "$sid" -f $format 127.0.0.1:0
		exec {reader}<l$format.out
		wait_until grep -qs quic:// l$format.err
		find_address l$format
		start s$format snet-send -k "$skey" -v -f $format --send-only "$addr" <in
		wait_until is_held_back s$format
		[ "$taken" -lt 100000000 ]
		[ "$(peak_kb l$format)" -lt 100000 ]
		[ "$(peak_kb s$format)" -lt 100000 ]
		cmp in - <&"$reader"
		exec {reader}<&-
		finish s$format
		[ "$status" -eq 0 ]
		finish l$format
		[ "$status" -eq 0 ]
	done
}

# find_addr reads .out, which here is a pipe for somebody else
find_address() {
	addr=$(grep -o "quic://[^ ']*" "$1.err" | head -n 1)
}

@test "a closed stdout ends the program with an error, and the other side with it" {
	listen l < <(seq 100000 | sed 's/.*/{"text":"&"}/')
	send </dev/null 2>s.err | head -n 1 >first && codes=("${PIPESTATUS[@]}")
	[ "${codes[0]}" -eq 1 ]
	grep -q peer.up first
	finish l
}

@test "a closed stdout is status 1, and says so" {
	hold l
	listen l <"$in"
	mkfifo s.out
	start s snet-send -k "$skey" -f lines "$addr"
	exec {reader}<s.out
	say l '{"text":"one"}'
	read -r line <&"$reader"
	[ "$line" = one ]
	exec {reader}<&-
	say l '{"text":"two"}' '{"text":"three"}'
	finish s
	[ "$status" -eq 1 ]
	grep -q 'stdout: Broken pipe' s.err
	release l
	finish l
	[ "$status" -ne 0 ]
}

@test "a full disk is status 1, and says so" {
	listen l < <(printf '{"text":"%s"}\n' one two)
	run timeout 60 bash -c 'exec snet-send -k "$1" -f lines "$2" >/dev/full' - "$skey" "$addr" </dev/null
	[ "$status" -eq 1 ]
	[[ $output == *"stdout: No space left on device"* ]]
	finish l
}

@test "a disk that fills up on the way keeps what fitted" {
	mkdir small
	mount -t tmpfs -o size=64k none small 2>/dev/null || skip "cannot mount a tmpfs"
	head -c 33554432 /dev/urandom >body
	ln -s small/out l.out
	start l snet-listen -k "$lkey" -a "$sid" -f raw 127.0.0.1:0
	wait_until grep -qs quic:// l.err
	find_address l
	run send -f raw --send-only <body
	[ "$status" -ne 0 ]
	finish l
	n=$(stat -c %s small/out)
	[ "$n" -gt 0 ]
	run cmp -n "$n" small/out body
	same=$status
	umount small
	[ "$same" -eq 0 ]
	grep -q 'stdout: No space left on device' l.err
}

teardown() {
	stop_all || failed=1
	mountpoint -q "$BATS_TEST_TMPDIR/small" && umount "$BATS_TEST_TMPDIR/small"
	[ -z "${failed:-}" ]
}
