load helper

# Strangers and peers that misbehave, against a listener that serves somebody else meanwhile, and
# against a dialler. Each is an error that says what, the peer is dropped with the right close code,
# nobody else is disturbed. tests/support/evil.c says what its steps mean.

: "${SNET_SUPPORT:=$SNET_BIN/tests/support}"

setup_file() {
	make_keys
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

evil() {
	timeout --foreground -k 1 60 "$SNET_SUPPORT/evil" "$@"
}

# A listener that serves, and a good peer of it.
serve() {
	hold good
	start_ready l snet-listen --insecure --keep-open "$@" 127.0.0.1:0
	start good snet-send -k "$skey" "$addr" <"$in"
	wait_event good ready
}

# The good peer was not disturbed, and a newcomer is welcome.
undisturbed() {
	run ! has_event good peer.down
	say good '{"text":"still here"}'
	wait_event l message '.from == 1 and .data == "c3RpbGwgaGVyZQ=="'
	run timeout 60 snet-send --send-only "$addr" < <(echo '{"text":"newcomer"}')
	[ "$status" -eq 0 ]
	wait_event l message '.data == "bmV3Y29tZXI="'
	release good
	finish good
	[ "$status" -eq 0 ]
	quit l
}

# dropped REASON WORDS: the listener says so of peer 2 and told it the same
dropped() {
	wait_event l peer.down '.peer == 2'
	[ "$(jq -r '[.reason, .by_peer] | join(" ")' <<<"$event")" = "$1 false" ] || { echo "$event" >&2; false; }
	[[ $(jq -r .text <<<"$event") == *"$2"* ]]
	[ "$(jq -r 'select(.event == "closed") | [.reason, .by_peer] | join(" ")' <<<"$output")" = "$1 true" ]
	[[ $(jq -r 'select(.event == "closed").text' <<<"$output") == *"$2"* ]]
}

# before REASON WORDS: the same of one who has not said hello, and so is a stranger still
before() {
	[ "$(jq -r 'select(.event == "closed") | [.reason, .by_peer] | join(" ")' <<<"$output")" = "$1 true" ]
	[[ $(jq -r 'select(.event == "closed").text' <<<"$output") == *"$2"* ]]
	wait_event l refused '.reason == "'"$1"'" and (.text | contains("'"$2"'"))'
}

# ---- profile snet/1

@test "a first frame that is no hello" {
	serve
	for bad in 00000003010203 00000000 0000000c000000000000000000000000 00000016000000000600000000000000434c49454e5400000000; do
		run evil "$addr" hex=$bad
		before protocol "not a hello"
	done
	undisturbed
}

@test "a hello that is too long, or never ends" {
	serve -t 500ms
	run evil "$addr" hex=00000101 zeros=257
	before protocol "not a hello"
	run evil "$addr" hex=00000020 zeros=7
	before timeout "no hello"
	undisturbed
}

@test "a stream that ends before its hello" {
	serve
	run evil "$addr" hex=0000 fin
	before truncated "in the middle"
	undisturbed
}

@test "a frame cut short by the end of the stream" {
	serve
	run evil "$addr" hello hex=000000062061 fin
	dropped truncated "in the middle of a message"
	undisturbed
}

@test "a header cut short by the end of the stream" {
	serve
	run evil "$addr" hello hex=0000 fin
	dropped truncated "in the middle of a message"
	undisturbed
}

@test "a frame above --max-message, by its header alone" {
	serve --max-message 1000
	run evil "$addr" hello hex=000003ea
	dropped too_big "larger than"
	undisturbed
}

@test "a header that lies: 1 GiB and a byte is refused, and 1 GiB takes no memory until it comes" {
	serve --max-message 1GiB
	run evil "$addr" hello hex=40000002
	dropped too_big "larger than"
	start liar "$SNET_SUPPORT/evil" "$addr" hello hex=4000000120 zeros=100000
	wait_event liar "done"
	wait_event l peer.up '.peer == 3'
	[ "$(awk '/^VmRSS/ { print $2 }' "/proc/${pid[l]}/status")" -lt 200000 ]
	quit liar
	undisturbed
}

@test "a record without a type" {
	serve
	run evil "$addr" hello hex=00000000
	dropped protocol "without a type"
	undisturbed
}

@test "records of reserved and unknown types, and a compressed one" {
	serve
	for type in 00 0a 0b 0c 21 22 23 24 3f 46 7f a0 ff; do
		run evil "$addr" hello hex=00000003${type}6162
		[ "$(jq -r 'select(.event == "closed") | [.reason, .by_peer] | join(" ")' <<<"$output")" = "protocol true" ]
	done
	run ! has_event l message
	undisturbed
}

@test "a message on another stream waits for the hello, as packets may overtake each other" {
	serve
	start early "$SNET_SUPPORT/evil" "$addr" stream=3 hex=000000022061 stream=0 drip=5 hello
	wait_event l message '.from == 2 and .stream == 3 and .data == "YQ=="'
	quit early
	undisturbed
}

@test "and is nothing where the hello never comes" {
	serve -t 500ms
	run evil "$addr" stream=3 hex=000000022061
	before timeout "no hello"
	undisturbed
}

@test "what came whole before the mistake is delivered" {
	serve
	run evil "$addr" hello hex=000000032061620000000120 hex=00000000
	dropped protocol "without a type"
	[ "$(jq -c 'select(.event == "message") | [.from, .data]' l.out)" = $'[2,"YWI="]\n[2,""]' ]
	undisturbed
}

# ---- the crate's profile

@test "the crate's profile without its sync byte" {
	serve
	run evil -p "$addr" hex=000000016100000000
	[[ $output == *'"profile":"stoffelnet-0.1"'* ]]
	[[ $(jq -r 'select(.event == "closed").text' <<<"$output") == *"sync byte"* ]]
	run ! has_event l message
	undisturbed
}

@test "the crate's profile as it should be is heard, record types and all" {
	serve
	start crate "$SNET_SUPPORT/evil" -p "$addr" sync hex=00000002 hex=0a00 hex=00000000
	wait_event l message '.from == 2 and .seq == 2 and .data == ""'
	has_event l message '.from == 2 and .seq == 1 and .data == "CgA="'
	quit crate
	undisturbed
}

@test "a second stream in the crate's profile" {
	serve
	run evil -p "$addr" sync hex=0000000161 stream=1 hex=0000000162
	[[ $(jq -r 'select(.event == "closed").text' <<<"$output") == *"second stream"* ]]
	wait_event l peer.down '.peer == 2 and .reason == "protocol"'
	undisturbed
}

@test "a frame cut short in the crate's profile" {
	serve
	run evil -p "$addr" sync hex=00000009616263 fin
	wait_event l peer.down '.peer == 2 and .reason == "truncated"'
	undisturbed
}

# ---- time

@test "a peer that says nothing at all is dropped after -t" {
	serve -t 500ms
	run evil "$addr"
	before timeout "no hello"
	undisturbed
}

@test "a peer that stops in the middle of a message is dropped after -t" {
	serve -t 500ms
	run evil "$addr" hello hex=0000100020 zeros=100
	dropped timeout "does not finish its message"
	undisturbed
}

@test "a byte at a time: a hello is read, a message that takes for ever is not waited for" {
	serve -t 3s
	run evil "$addr" drip=5 hello hex=000000032061620000010020 drip=50 zeros=255
	dropped timeout "does not finish its message"
	has_event l message '.from == 2 and .data == "YWI="'
	undisturbed
}

@test "a peer that never reads is dropped after -t, and nobody else waits longer than that" {
	start_ready l snet-listen --insecure --keep-open -t 1s --queue 1MiB 127.0.0.1:0 < <(yes "{\"text\":\"$(printf %01000d 0)\"}" | head -n 20000)
	start deaf "$SNET_SUPPORT/evil" "$addr" hello deaf
	wait_event l peer.down '.peer == 1'
	[ "$(jq -r .reason <<<"$event")" = timeout ]
	[[ $(jq -r .text <<<"$event") == *"reads nothing"* ]]
	finish deaf
	quit l
}

@test "one that never reads does not keep messages from the one that does, with --overflow drop" {
	hold l
	start_ready l snet-listen --insecure --keep-open --queue 256k --overflow drop 127.0.0.1:0 <"$in"
	start deaf "$SNET_SUPPORT/evil" "$addr" hello deaf
	wait_event l peer.up '.peer == 1'
	start good snet-send --recv-only -f lines "$addr"
	wait_event l peer.up '.peer == 2'
	for _ in {1..40}; do
		say l "{\"to\":1,\"text\":\"$(printf %0100000d 0)\"}"
	done
	say l '{"to":2,"text":"for you"}'
	got() { grep -qx 'for you' good.out; }
	wait_until got
	grep -q "peer 1 is slow" l.err
	quit good
	quit deaf
	quit l
}

@test "a peer that reads nothing and sends much: memory is bounded by the window" {
	export ASAN_OPTIONS=quarantine_size_mb=4:${ASAN_OPTIONS:-}
	mkfifo l.out
	start l snet-listen --insecure 127.0.0.1:0 -f raw
	exec {reader}<l.out
	wait_until grep -qs quic:// l.err
	addr=$(grep -o "quic://[^ ']*" l.err | head -n 1)
	start flood "$SNET_SUPPORT/evil" "$addr" hello hex=06000001 hex=20 zeros=100000000
	wait_event flood open
	[ "$(timeout 60 head -c 1000000 <&"$reader" | wc -c)" -eq 1000000 ]
	[ "$(awk '/^VmHWM/ { print $2 }' "/proc/${pid[l]}/status")" -lt 100000 ]
	quit flood
	exec {reader}<&-
}

# ---- certificates

need_openssl() {
	command -v openssl >/dev/null || skip "no openssl"
}

# turned_away WORDS: at the handshake, and both sides know why
turned_away() {
	[[ $output == *'"closed","reason":"identity_refused"'*'"by_peer":true'* ]]
	wait_event l refused '.reason == "bad_key" and (.text | contains("'"$1"'"))'
	run ! has_event l peer.up '.peer == 2'
}

# pem NAME OPENSSL-ARGS: key and certificate in one file
pem() {
	openssl req -x509 -nodes -days 9 -subj "/CN=$1" -keyout key.tmp -out cert.tmp "${@:2}" 2>/dev/null
	cat key.tmp cert.tmp >"$1.pem"
	chmod 600 "$1.pem"
}

refused_twice() {
	[ "$(grep -c '"refused",.*"identity_refused"' l.out)" -eq 2 ]
}

@test "no certificate, or no key: refused, and both sides say so" {
	serve
	for kind in C R; do
		run evil -$kind - "$addr" hello
		[[ $output == *'"closed","reason":"identity_refused"'* ]]
	done
	wait_until refused_twice
	undisturbed
}

@test "a certificate whose key is too weak, or of a kind TLS cannot use" {
	need_openssl
	serve
	pem weak -newkey rsa:1024
	pem curve -newkey ec -pkeyopt ec_paramgen_curve:secp224r1
	for name in weak; do
		run evil -C $name.pem "$addr" hello
		turned_away "without a usable key"
		done
	run evil -C curve.pem "$addr" hello # which TLS 1.3 does not even send
	wait_event l refused '.reason == "identity_refused"'
	run ! has_event l peer.up '.peer == 2'
	undisturbed
}

@test "an ordinary RSA certificate from elsewhere is welcome" {
	need_openssl
	serve
	pem rsa -newkey rsa:2048
	start rsa "$SNET_SUPPORT/evil" -C rsa.pem "$addr" hello
	wait_event l peer.up '.peer == 2'
	quit rsa
	undisturbed
}

@test "a raw public key: an RSA one is welcome, a weak one or one of another kind is not" {
	need_openssl
	serve
	pem weak -newkey rsa:1024
	pem curve -newkey ec -pkeyopt ec_paramgen_curve:secp224r1
	pem rsa -newkey rsa:2048
	run evil -R weak.pem "$addr" hello
	turned_away "a key that is not usable"
	run evil -R curve.pem "$addr" hello
	turned_away "a key that is not usable"
	start rsa "$SNET_SUPPORT/evil" -R rsa.pem "$addr" hello
	wait_event l peer.up '.peer == 2'
	quit rsa
	undisturbed
}

# A signature is as much work as the key says, and GnuTLS does it before it asks whether the key will do.
@test "bytes in place of a key or a certificate are looked at before a signature" {
	need_openssl
	serve
	pem ec -newkey ec -pkeyopt ec_paramgen_curve:prime256v1
	head -c 2049 /dev/zero >long
	head -c 91 /dev/zero >none
	openssl x509 -in ec.pem -pubkey -noout | openssl pkey -pubin -outform der >key
	(cat key && printf x) >longer
	head -c 90 key >shorter
	run evil -R ec.pem -b long "$addr" hello
	turned_away "a key of 2049 bytes, 1 to 2048 are read"
	for bytes in none longer shorter; do
		run evil -R ec.pem -b $bytes "$addr" hello
		turned_away "a key that is not usable"
	done
	run evil -C ec.pem -b key "$addr" hello
	turned_away "a certificate without a usable key"
	[ "$(grep -c '"refused",.*"bad_key"' l.out)" -eq 5 ]
	start good_key "$SNET_SUPPORT/evil" -R ec.pem -b key "$addr" hello
	wait_event l peer.up '.peer == 2'
	quit good_key
	undisturbed
}

@test "a chain of 100 certificates" {
	need_openssl
	serve
	pem long -newkey ec -pkeyopt ec_paramgen_curve:prime256v1
	for _ in {1..99}; do cat cert.tmp; done >>long.pem
	run evil -C long.pem "$addr" hello
	turned_away "a chain of 100 certificates"
	undisturbed
}

@test "a certificate with a name of 64 KiB" {
	need_openssl
	serve
	pem name -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -addext "subjectAltName=DNS:$(printf %065536d 0)"
	run evil -C name.pem "$addr" hello
	turned_away "at most 65536 are read"
	undisturbed
}

# ---- datagrams from nobody

@test "noise" {
	serve
	run -0 "$SNET_SUPPORT/noise" -n 5000 "$addr"
	[ "$(jq .sent <<<"$output")" -eq 5000 ]
	undisturbed
}

@test "truncated first packets are not answered" {
	serve
	for cut in 1 20 21 100 600 1199; do
		run -0 "$SNET_SUPPORT/noise" -n 20 -i -c $cut "$addr"
		[ "$(jq -c '[.sent, .answers]' <<<"$output")" = '[20,0]' ]
	done
	undisturbed
}

@test "first packets with a bit turned over" {
	serve
	run -0 "$SNET_SUPPORT/noise" -n 200 -i -x "$addr"
	[ "$(jq .sent <<<"$output")" -eq 200 ]
	undisturbed
}

@test "a flood of handshakes: retries are asked for, memory is bounded, the others do not notice" {
	serve
	before=$(awk '/^VmRSS/ { print $2 }' "/proc/${pid[l]}/status")
	run -0 "$SNET_SUPPORT/noise" -n 1000 -i "$addr"
	[ "$(jq .sent <<<"$output")" -eq 1000 ]
	[ "$(jq .retries <<<"$output")" -ge 900 ]
	after=$(awk '/^VmHWM/ { print $2 }' "/proc/${pid[l]}/status")
	[ $((after - before)) -lt 30000 ]
	undisturbed
}

# ---- the same to one who dials

# A listener that misbehaves; $addr is it.
trap_for() {
	start e "$SNET_SUPPORT/evil" -l "$@"
	wait_event e listening
}

dial() {
	run timeout --foreground -k 1 60 snet-send -k "$skey" "$@" "$addr" < <(echo '{"text":"hi"}')
}

@test "a listener that answers no hello, or nonsense" {
	trap_for hex=0000000401020304
	dial
	failed_with 8 protocol
	[[ $output == *"not a hello"* ]]
	finish e
	[ "$(jq -r 'select(.event == "closed") | [.reason, .by_peer] | join(" ")' e.out)" = "protocol true" ]
	trap_for
	dial -t 1s -w 0s
	failed_with 7 timeout
	quit e
}

@test "a listener whose key will not do" {
	need_openssl
	pem ec -newkey ec -pkeyopt ec_paramgen_curve:prime256v1
	head -c 2049 /dev/zero >long
	start e "$SNET_SUPPORT/evil" -R ec.pem -b long -l
	wait_event e listening
	dial
	failed_with 3 bad_key
	[[ $output == *"a key of 2049 bytes"* ]]
}

@test "a listener is offered a raw key, but not in the crate's profile" {
	need_openssl
	pem ec -newkey ec -pkeyopt ec_paramgen_curve:prime256v1
	start e "$SNET_SUPPORT/evil" -R ec.pem -l # which has nothing else to show
	wait_event e listening
	addr=${addr%#*}
	dial --insecure -t 1s -w 0s
	failed_with 7 timeout # no hello: the handshake is over
	start f "$SNET_SUPPORT/evil" -R ec.pem -l
	wait_event f listening
	addr=${addr%#*}
	dial --insecure --profile stoffelnet-0.1
	failed_with 8 protocol
}

@test "a listener that sends half a message and ends" {
	trap_for hello hex=000000052061 fin
	dial
	failed_with 8 truncated
	finish e
	[ "$(jq -r 'select(.event == "closed").reason' e.out)" = truncated ]
}

@test "a listener that sends more than --max-message" {
	trap_for hello hex=00001000
	dial --max-message 100
	failed_with 8 too_big
	finish e
	[ "$(jq -r 'select(.event == "closed").reason' e.out)" = too_big ]
}

@test "a listener that sends records of no type" {
	trap_for hello hex=00000000
	dial
	failed_with 8 protocol
	finish e
}

@test "a listener that closes before it has taken everything" {
	trap_for hello deaf await=500 close
	run timeout --foreground -k 1 60 snet-send -k "$skey" "$addr" < <(yes '{"text":"hello there"}' | head -n 300000)
	failed_with 6 peer_lost
	finish e
}

@test "a listener that never reads" {
	trap_for hello deaf
	run timeout --foreground -k 1 60 snet-send -k "$skey" -t 1s "$addr" < <(yes '{"text":"hello there"}' | head -n 300000)
	failed_with 7 timeout
	finish e
}

@test "a crate's listener without the sync byte of its own is not misunderstood" {
	trap_for -p hex=0000000161 fin
	dial
	[ "$status" -eq 0 ] || [ "$status" -eq 8 ]
	finish e
}
