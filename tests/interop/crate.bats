load ../cli/helper
load ../cli/party

# The Rust crate itself, stoffelnet 0.1.0, as peer: $SNET_CRATE_PEER is tests/interop/crate, built by cargo (see its
# Cargo.toml), for which Debian 12 has no compiler.

setup() {
	crate=${SNET_CRATE_PEER-}
	[ -n "$crate" ] || skip "SNET_CRATE_PEER is not set: the crate's peer is not built"
	cd "$BATS_TEST_TMPDIR" || return
}

# The crate takes DER.
der() {
	openssl x509 -in "$1.key" -outform der -out "$1.der"
	openssl pkcs8 -topk8 -nocrypt -in "$1.key" -outform der -out "$1.p8"
}

# Two identities, of that type.
identities() {
	okey=$(snet-keygen -o ours.key --type "$1" | jq -r .key)
	ckey=$(snet-keygen -o crate.key --type "$1" | jq -r .key)
	der ours
	der crate
}

# crate ARGS...: with an identity of its own, and for ours only
crate() {
	hold crate
	start crate "$crate" --identity crate.der crate.p8 --allow ours.der "$@" <"$in"
}

says() {
	[ "$(cat "$1.out")" = "$2" ]
}

# Both say two lines, and hear the other's, in order.
talk() {
	say crate "of crate 1" "" "of crate 3"
	say ours '{"text":"of ours 1"}' '{"text":""}' '{"text":"of ours 3"}'
	wait_event ours message '.text == "of crate 3"'
	[ "$(received ours | cut -d ' ' -f 2-)" = $'of crate 1\n\nof crate 3' ]
	wait_until says crate $'of ours 1\n\nof ours 3'
}

# dials TYPE ROLE: the crate, a listener
dials() {
	identities "$1"
	hold ours
	start_ready ours snet-listen --payload text -k ours.key -a "$ckey" 127.0.0.1:0 <"$in"
	addr=${addr#quic://}
	crate connect "${addr%%#*}" "$2"
	wait_event ours peer.up ".role == \"$2\" and .profile == \"stoffelnet-0.1\""
	talk
}

@test "the crate dials a listener as a server" {
	dials p256 server
	release crate
	finish crate
	release ours
	finish ours
	[ "$status" -eq 0 ]
}

@test "the crate dials a listener as a client" {
	dials p256 client
}

@test "the crate dials a listener, with Ed25519" {
	dials ed25519 server
}

# dialled TYPE ARGS...: a listener of the crate, by snet-send
dialled() {
	identities "$1"
	port=$((20000 + RANDOM % 10000))
	crate listen "127.0.0.1:$port"
	wait_until grep -q listening crate.err
	hold ours
	start ours snet-send --payload text -k ours.key "${@:2}" "127.0.0.1:$port#$ckey" <"$in"
	wait_event ours peer.up '.profile == "stoffelnet-0.1"'
	talk
	release ours
	finish crate
	finish ours
	[ "$status" -eq 0 ]
}

@test "snet-send dials the crate as a server" {
	dialled p256 --role server
}

@test "snet-send dials the crate as a client" {
	dialled p256 --role client
}

@test "snet-send dials the crate, with Ed25519" {
	dialled ed25519 --role server
}

# Keys of three parties and their roster, which says that the last is of the crate
crate_net() {
	local i
	net 3
	for i in 0 1 2; do
		mv "net/$i.key" .
		der "$i"
	done
	jq '.parties[2].profile = "stoffelnet-0.1"' net/roster.json >roster.json
}

# mesh ARGS...: parties 0 and 1 are ours, 2 is the crate's
mesh() {
	crate_net
	parties "$@"
}

# parties ARGS...: ours
parties() {
	for i in 0 1; do
		hold "p$i"
		start "p$i" snet-party --payload text -k "$i.key" -i "$i" "$@" roster.json <"$in"
	done
}

# crate_party ARGS...
crate_party() {
	hold p2
	start p2 "$crate" --identity 2.der 2.p8 --allow 0.der --allow 1.der --parties 3 "$@" party "127.0.0.1:$((port + 2))" \
		"127.0.0.1:$port" "127.0.0.1:$((port + 1))" <"$in"
}

# Each says something to all, and one thing to each other.
talk_all() {
	local i=0 k
	for i in 0 1; do
		wait_event "p$i" ready
		say "p$i" "{\"text\":\"$i to all\"}" "{\"to\":$((1 - i)),\"text\":\"$i to $((1 - i))\"}" "{\"to\":2,\"text\":\"$i to 2\"}"
	done
	wait_until grep -q "^party 2 of 3" p2.err
	say p2 "all 2 to all" "0 2 to 0" "1 2 to 1"
	for i in 0 1; do
		wait_event "p$i" message ".from == 2 and .text == \"2 to $i\""
		wait_event "p$i" message ".from == $((1 - i)) and .text == \"$((1 - i)) to $i\""
		[ "$(received "p$i" | sort)" = "$(printf '%s\n' "$i $i to all" "$((1 - i)) $((1 - i)) to all" \
			"$((1 - i)) $((1 - i)) to $i" "2 2 to all" "2 2 to $i" | sort)" ]
	done
	wait_until said_to_crate
}

said_to_crate() {
	for i in 0 1; do
		[ "$(grep "^$i " p2.out)" = "$i $i to all
$i $i to 2" ] || return
	done
}

@test "a party of the crate in a mesh of ours" {
	mesh
	crate_party
	talk_all
	release p2
}

@test "all agree on the order, and are silent until then" {
	mesh --ordering
	crate_party --agree --clients 0
	talk_all
	release p2
}

@test "a client of the crate is told the order by parties of both" {
	crate_net
	key=$(snet-keygen -o client.key | jq -r .key)
	der client
	jq --arg c "$key" '.clients = [{id: 7, key: $c}]' roster.json >with-client.json
	mv with-client.json roster.json
	parties --ordering
	crate_party --allow client.der --agree --clients 1
	hold client
	start client "$crate" --identity client.der client.p8 --allow 0.der --allow 1.der --allow 2.der client \
		"127.0.0.1:$port" "127.0.0.1:$((port + 1))" "127.0.0.1:$((port + 2))" <"$in"
	wait_until grep -q "^order of 3" client.err
	talk_all
	say client "of the client"
	wait_event p0 message '.client == 7 and .text == "of the client"'
	say p0 '{"to":"client:7","text":"to the client"}'
	wait_until says client "to the client"
}

need_library() {
	export LIBSTOFFELNET=$SNET_BIN/.libs/libstoffelnet.so
	if nm -D "$LIBSTOFFELNET" | grep -q __asan_init; then skip "built with sanitizers"; fi
	identities p256
	port=$((20000 + RANDOM % 10000))
}

@test "a program of the C API dials the crate" {
	need_library
	hold crate
	start crate "$crate" listen "127.0.0.1:$port" <"$in"
	wait_until grep -q listening crate.err
	start ours python3 "$BATS_TEST_DIRNAME/api_peer.py" dial "$port"
	wait_until says crate "by the C API"
	say crate "by the crate"
	finish ours
	[ "$status" -eq 0 ]
	says ours "by the crate"
	finish crate
	[ "$status" -eq 0 ]
}

@test "a program of the C API accepts the crate" {
	need_library
	start ours python3 "$BATS_TEST_DIRNAME/api_peer.py" accept "$port"
	wait_until grep -q listening ours.out
	hold crate
	start crate "$crate" connect "127.0.0.1:$port" server <"$in"
	wait_until says crate "by the C API"
	say crate "by the crate"
	finish ours
	[ "$status" -eq 0 ]
	grep -qx "by the crate" ours.out
	finish crate
	[ "$status" -eq 0 ]
}
