load helper

setup() {
	mkdir "$BATS_TEST_TMPDIR/here"
	cd "$BATS_TEST_TMPDIR/here" || return
}

mode() {
	stat -c %a "$1"
}

# The error event is the last line of stdout, with the exit status in it.
failed_with() {
	[ "$status" -eq "$1" ]
	[ "$(jq -r 'select(.event == "error") | "\(.code) \(.reason)"' <<<"${lines[-1]}")" = "$1 $2" ]
}

@test "a new identity is one event on stdout, one file of mode 600, and nothing on stderr" {
	run --separate-stderr snet-keygen -o a.key
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	[ "${#lines[@]}" -eq 1 ]
	[ "$(jq -r '[.event, .algorithm, .name, .file] | join(" ")' <<<"$output")" = "key ecdsa-p256 snet a.key" ]
	[[ $(jq -r .key <<<"$output") =~ ^[A-Za-z0-9_-]{43}$ ]]
	[[ $(jq -r .derived_id <<<"$output") =~ ^[0-9]{1,20}$ ]]
	[ "$(mode a.key)" = 600 ]
	[ "$(ls)" = a.key ]
	[ "$(grep -c -- -----BEGIN a.key)" -eq 2 ]
	[ "$(head -n 1 a.key)" = "-----BEGIN PRIVATE KEY-----" ]
}

@test "no umask makes a key readable to others" {
	umask 000
	snet-keygen -o a.key
	[ "$(mode a.key)" = 600 ]
}

@test "the private key stands in the file and not in the output" {
	run snet-keygen -vvv -o a.key
	secret=$(sed -n 2p a.key)
	[ -n "$secret" ]
	[[ $output != *"$secret"* ]]
	[[ $output != *PRIVATE* ]]
}

@test "the key id is the SHA-256 of the public key, by openssl's count" {
	command -v openssl >/dev/null || skip "no openssl"
	for type in p256 ed25519; do
		snet-keygen --type $type -o $type.key >$type.json
		want=$(openssl pkey -in $type.key -pubout -outform DER | openssl dgst -sha256 -binary |
			basenc --base64url | tr -d =)
		[ "$(jq -r .key $type.json)" = "$want" ]
	done
}

@test "the certificate has version 3, localhost and the dates of the Rust crate, by openssl's reading" {
	command -v openssl >/dev/null || skip "no openssl"
	for type in p256 ed25519; do
		snet-keygen --type $type -o $type.key --name alice
		text=$(openssl x509 -in $type.key -noout -text)
		[[ $text == *"Version: 3 "* ]]
		[[ $text == *"DNS:localhost"* ]]
		[[ $text == *"Not Before: Jan  1 00:00:00 1975 GMT"* ]]
		[[ $text == *"Not After : Jan  1 00:00:00 4096 GMT"* ]]
		[[ $text =~ Subject:\ CN\ ?=\ ?alice ]]
		openssl verify -CAfile $type.key $type.key
	done
}

@test "an existing file is kept, unless -F says otherwise" {
	snet-keygen -o a.key >first
	run --separate-stderr snet-keygen -o a.key
	failed_with 1 io
	[[ $stderr == "snet-keygen: a.key: exists already"* ]]
	[ "$(snet-keygen show a.key | jq -r .key)" = "$(jq -r .key first)" ]
	snet-keygen -F -o a.key >second
	[ "$(snet-keygen show a.key)" = "$(cat second)" ]
	[ "$(jq -r .key first)" != "$(jq -r .key second)" ]
	[ "$(mode a.key)" = 600 ]
	[ "$(ls)" = $'a.key\nfirst\nsecond' ]
}

@test "-F replaces files, not links, directories or devices" {
	ln -s target link
	mkdir dir
	for file in link dir /dev/null; do
		run --separate-stderr snet-keygen -F -o $file
		failed_with 1 io
		[[ $stderr == *"$file: "*"not a regular file"* ]]
	done
	[ ! -e target ]
	[ -c /dev/null ]
}

@test "a disk that takes no more leaves no half file behind" {
	run --separate-stderr bash -c 'ulimit -f 0; trap "" XFSZ; exec snet-keygen -o a.key'
	failed_with 1 io
	[ -z "$(ls)" ]
}

@test "a directory that is not there is named" {
	run --separate-stderr snet-keygen -o none/a.key
	failed_with 1 io
	[[ $stderr == *none/a.key*"No such file or directory"* ]]
}

@test "show prints every file in order, and says the same as when it was made" {
	snet-keygen -o a.key --name "Zoë the 1st" >made
	snet-keygen -o b.key --type ed25519 >>made
	snet-keygen show a.key b.key >shown
	cmp made shown
	[ "$(jq -r .algorithm shown)" = $'ecdsa-p256\ned25519' ]
	[ "$(jq -r .name shown)" = $'Zoë the 1st\nsnet' ]
}

@test "-H prints words" {
	snet-keygen -o a.key --name "a b" >made
	run --separate-stderr snet-keygen -H show a.key
	[ "$status" -eq 0 ]
	[[ $output == "key key=$(jq -r .key made) derived_id="*" algorithm=ecdsa-p256 name=\"a b\" file=a.key" ]]
}

@test "a key that others may read is refused, and the mode is named" {
	snet-keygen -o a.key
	for mode in 640 604 620 602; do
		chmod $mode a.key
		run --separate-stderr snet-keygen show a.key
		failed_with 3 bad_key
		[[ $stderr == *"a.key: mode 0$mode"* ]]
	done
}

@test "what is no key is refused with status 3, and named" {
	umask 077
	snet-keygen -o a.key
	echo nonsense >text
	: >empty
	sed '/BEGIN CERT/,$d' a.key >keyonly
	sed -n '/BEGIN CERT/,$p' a.key >certonly
	snet-keygen -o b.key
	{ cat keyonly; sed -n '/BEGIN CERT/,$p' b.key; } >mixed
	head -c 200 a.key >half
	for file in text empty keyonly certonly mixed half missing .; do
		run --separate-stderr snet-keygen show $file
		failed_with 3 bad_key
		[[ $stderr == "snet-keygen: $file: "* ]]
	done
}

@test "a key that openssl made is an identity too" {
	command -v openssl >/dev/null || skip "no openssl"
	umask 077
	openssl req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -subj /CN=old -days 2 2>/dev/null
	cat k.pem c.pem >rsa.key
	[ "$(snet-keygen show rsa.key | jq -r '.algorithm + " " + .name')" = "rsa old" ]
	openssl ecparam -name prime256v1 -genkey -noout -out k.pem
	openssl req -x509 -key k.pem -out c.pem -subj /O=noname -days 2
	cat c.pem k.pem >ec.key
	[ "$(snet-keygen show ec.key | jq -r '.algorithm + " " + (.name // "none")')" = "ecdsa-p256 none" ]
}

@test "a key can come through a pipe" {
	snet-keygen -o a.key >made
	[ "$(snet-keygen show <(cat a.key) | jq -r .key)" = "$(jq -r .key made)" ]
}

@test "names are text that can be printed, and not too long" {
	for name in "" $'a\nb' $'\e[2J' $'\xff' "$(printf 'n%.0s' {1..65})"; do
		run --separate-stderr snet-keygen -o a.key --name "$name"
		[ "$status" -eq 2 ]
		[ ! -e a.key ]
	done
	snet-keygen -o a.key --name "$(printf 'n%.0s' {1..64})"
}

@test "show --roster prints the line of one party" {
	snet-keygen -o a.key --name alice >made
	run --separate-stderr snet-keygen show --roster -i 4 --at quic://h.example:9000 a.key
	[ "$status" -eq 0 ]
	[ "$output" = "{\"id\":4,\"name\":\"alice\",\"address\":\"quic://h.example:9000\",\"key\":$(jq .key made)}" ]
	run snet-keygen show --roster -i 4 --at h:1 --name bob a.key
	[ "$(jq -r .name <<<"$output")" = bob ]
	snet-keygen -F -o a.key
	run snet-keygen show --roster -i 4 --at h:1 a.key
	[ "$(jq -c 'keys' <<<"$output")" = '["address","id","key"]' ]
}

@test "--net makes the keys and the roster of a network" {
	run --separate-stderr snet-keygen --net 3 -d net --at 127.0.0.1:9000 --session sum
	[ "$status" -eq 0 ]
	[ "$(jq -r .event <<<"$output")" = $'key\nkey\nkey\nroster' ]
	[ "$(cd net && echo *)" = "0.key 1.key 2.key roster.json" ]
	[ "$(jq -r .session net/roster.json)" = sum ]
	[ "$(jq -c '[.parties[].id]' net/roster.json)" = "[0,1,2]" ]
	[ "$(jq -r '.parties[].address' net/roster.json)" = $'quic://127.0.0.1:9000\nquic://127.0.0.1:9001\nquic://127.0.0.1:9002' ]
	[ "$(jq -r '.parties[].name' net/roster.json)" = $'party-0\nparty-1\nparty-2' ]
	[ "$(jq -r '.parties[].key' net/roster.json)" = "$(snet-keygen show net/{0,1,2}.key | jq -r .key)" ]
	[ "$(jq -r '.parties[].key' net/roster.json | sort -u | wc -l)" -eq 3 ]
	[ "$(jq -rs '.[1].address' <<<"$output")" = "quic://127.0.0.1:9001#$(jq -r '.parties[1].key' net/roster.json)" ]
	for i in 0 1 2; do
		[ "$(mode net/$i.key)" = 600 ]
	done
}

@test "--net takes one address for each party" {
	snet-keygen --net 2 -d net --at quic://a.example:1 --at '[2001:db8::1]:2' --name p --type ed25519 >made
	[ "$(jq -r '.parties[].address' net/roster.json)" = $'quic://a.example:1\nquic://[2001:db8::1]:2' ]
	[ "$(jq -r '.parties[].name' net/roster.json)" = $'p-0\np-1' ]
	[ "$(jq -r 'select(.event == "key").algorithm' made)" = $'ed25519\ned25519' ]
}

@test "--net makes nothing when something is in the way, unless -F says otherwise" {
	mkdir net
	echo mine >net/1.key
	run --separate-stderr snet-keygen --net 3 -d net --at h:1
	failed_with 1 io
	[[ $stderr == *net/1.key* ]]
	[ "$(ls net)" = 1.key ]
	[ "$(cat net/1.key)" = mine ]
	snet-keygen -F --net 3 -d net --at h:1
	[ "$(cd net && echo *)" = "0.key 1.key 2.key roster.json" ]
}

@test "a reader who is slow is waited for, and sees every line" {
	[ "$(snet-keygen --net 1500 -d net --at h:1 --name "$(printf 'n%.0s' {1..58})" | { sleep 1; cat; } | wc -l)" -eq 1501 ]
	[ "$(jq '.parties | length' net/roster.json)" -eq 1500 ]
}

@test "closed and full stdout are errors, and the key is not lost" {
	run --separate-stderr bash -c 'snet-keygen -o a.key >/dev/full'
	[ "$status" -eq 1 ]
	[[ $stderr == *stdout* ]]
	snet-keygen show a.key
}

@test "a wrong command line says what is wrong, with status 2" {
	snet-keygen -o a.key
	while read -r args; do
		eval "run --separate-stderr snet-keygen $args"
		[ "$status" -eq 2 ] || { echo "$args: $status"; return 1; }
		[ -z "$output" ]
		[[ $stderr == "snet-keygen: "*"Try 'snet-keygen --help'." ]]
	done <<-'EOT'

		-o
		-o -
		--type rsa -o b.key
		show
		shwo a.key
		show --id 3 a.key
		show --roster a.key
		show --roster --id 3 a.key
		show --roster --at h:1 a.key
		show --roster --id 3 --at h:1 a.key a.key
		show --roster --id 4294967295 --at h:1 a.key
		show -o b.key a.key
		show -F a.key
		-o b.key --at h:1
		-o b.key --net 3 -d net --at h:1
		--net 3 -d net
		--net 3 --at h:1
		--net 0 -d net --at h:1
		--net x -d net --at h:1
		--net 3 -d net --at h:1 --at h:2
		--net 3 -d net --at h:65534
		--net 3 -d net --at h:0
		--net 3 -d net --at :9000
		--net 3 -d net --at h
		--net 1 -d net --at h:1#AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
		--net 3 -d net --at h:1 --session ''
	EOT
	[ "$(ls)" = a.key ]
}
