# snet-ice, snet-signal and snet-stun between hosts behind NATs: scripts/natlab on some of the pairs. All of them, with
# and without TURN: scripts/natlab matrix.
load ../cli/helper

setup_file() {
	export natlab=$SNET_SRCDIR/scripts/natlab cannot
	if cannot=$("$natlab" able 2>&1); then cannot=; fi
}

setup() {
	[ -z "$cannot" ] || skip "$cannot"
	export TMPDIR=$BATS_TEST_TMPDIR
}

# Whatever was tried, nothing stays.
teardown() {
	local lab
	stop_all
	for lab in "$BATS_TEST_TMPDIR"/natlab-*; do
		[ ! -e "$lab/stands" ] || "$natlab" down "${lab##*/}"
	done
}

# lab ARGS...: its rows without the padding, and its status.
lab() {
	run --separate-stderr "$natlab" "$@"
	output=$(tr -s ' ' <<<"$output")
	echo "$output"
	echo "$stderr" | tail -n 30
}

# row TEXT: there is one that begins so.
row() {
	grep -q "^$1" <<<"$output"
}

hanging_agent() {
	agent=$BATS_TEST_TMPDIR/hangs
	printf '%s\n' '#!/bin/sh' 'exec tail -f /dev/null' >"$agent"
	chmod +x "$agent"
}

# nothing_left_of PID: nothing, but what the kernel has not cleared away.
nothing_left_of() {
	[ ! -e "$TMPDIR/natlab-$1" ]
	run ! grep -q "^natlab-$1-" <<<"$(ip netns list)"
}

@test "every kind is what it should be: snet-stun and a TURN client say so" {
	lab check
	[ "$status" -eq 0 ]
	row 'open open open udp tcp tls ok'
	row 'address-restricted address-restricted address-restricted udp tcp tls ok'
	row 'sequential symmetric, in steps symmetric, in steps udp tcp tls ok'
	row 'udp-blocked blocked blocked tcp tls ok'
	row 'ipv6-only firewall firewall udp tcp tls ok'
	[ "$(grep -c ' ok$' <<<"$output")" -eq 9 ]
}

@test "hosts that are to be reached connect as they are" {
	lab matrix -k open -f json
	[ "$status" -eq 0 ]
	[ "$(jq -r 'select(.event == "natlab.pair") | "\(.theory) \(.found) \(.verdict)"' <<<"$output")" = "host host ok" ]
	lab run ipv6-only ipv6-only
	[ "$status" -eq 0 ]
}

@test "NATs with one port for all destinations let each other through, also two of them in a row" {
	lab matrix -k full-cone,address-restricted,port-restricted,double
	[ "$status" -eq 0 ]
	[ "$(grep -c ' direct [sp]rflx .* ok$' <<<"$output")" -eq 10 ]
}

@test "two hosts at one home connect there, whatever it is behind" {
	lab near --theory host
	[ "$status" -eq 0 ]
	[ "$(grep -c ' same host .* ok$' <<<"$output")" -eq 7 ]
}

@test "neighbours connect through their provider's NAT if it leads back inside, and by a relay if not" {
	lab check -k hairpin
	[ "$status" -eq 0 ]
	lab run hairpin neighbour
	[ "$status" -eq 0 ]
	row 'hairpin neighbour direct [sp]rflx .* ok'
	lab run double neighbour -- -t 5s
	[ "$status" -eq 0 ]
	row 'double neighbour relay none'
	lab run --turn double neighbour
	[ "$status" -eq 0 ]
	row 'double neighbour relay relay .* ok'
}

@test "a symmetric NAT is met where the other side lets strangers in" {
	for other in open full-cone address-restricted; do
		lab run "$other" symmetric
		[ "$status" -eq 0 ]
		row "$other symmetric direct prflx .* ok"
	done
}

@test "the next port of a NAT that counts is foretold" {
	lab matrix --guess --theory guess
	[ "$status" -eq 0 ]
	[ "$(grep -c ' guess [sp]rflx .* ok$' <<<"$output")" -eq 3 ]
}

@test "a port that a NAT draws by lot is met by who tries many of them" {
	# 98 times of 100: of two one will do.
	lab run -r 2 port-restricted symmetric -- --birthday 1024
	[ "$status" -eq 0 ]
	[[ $output =~ "port-restricted symmetric lot "(none/)?prflx" 2/2 " ]]
}

@test "a relay is left for a port that was foretold, by agents that stay" {
	lab run --turn -v --limit 5 sequential sequential -- --keep
	for side in a b; do
		run -0 jq -r 'select(.event == "ice.selected").path' <<<"$(sed -n "s/^$side: {/{/p" <<<"$stderr")"
		[ "${lines[-1]}" = direct ]
	done
}

@test "where nothing leads to the other side both agents say so, and end" {
	lab run port-restricted symmetric -- -t 5s
	[ "$status" -eq 0 ]
	row 'port-restricted symmetric lot none'
	lab run open udp-blocked -- -t 5s
	[ "$status" -eq 0 ]
	row 'open udp-blocked relay none'
}

@test "a relay is found where there is no other way" {
	lab run --turn port-restricted symmetric
	[ "$status" -eq 0 ]
	row 'port-restricted symmetric lot relay .* ok'
	lab run --turn symmetric symmetric
	[ "$status" -eq 0 ]
}

@test "without UDP the relay is reached over TCP, from both sides" {
	lab matrix --turn -k open,udp-blocked
	[ "$status" -eq 0 ]
	row 'open open host host .* ok'
	row 'open udp-blocked relay relay .* ok'
	row 'udp-blocked udp-blocked relay relay .* ok'
}

@test "without UDP the relay is reached over TLS" {
	lab run --tls open udp-blocked
	[ "$status" -eq 0 ]
	row 'open udp-blocked relay relay .* ok'
}

@test "a relay leads from IPv6 to IPv4" {
	lab run --turn port-restricted ipv6-only
	[ "$status" -eq 0 ]
	row 'port-restricted ipv6-only relay relay .* ok'
}

@test "a relay is not taken where there is a direct way" {
	lab run --turn port-restricted port-restricted
	[ "$status" -eq 0 ]
	row 'port-restricted port-restricted direct [sp]rflx .* ok'
}

@test "an agent that does worse than theory is told" {
	lab run -a "$(command -v false)" open open
	[ "$status" -eq 1 ]
	row 'open open host none'
	[[ $output == *" worse"* ]]
	# One that claims to have connected, and has not, too; and one that hangs, where none could connect.
	lab run -a "$(command -v true)" open open
	[ "$status" -eq 1 ]
	[[ $output == *" wrong: success, and nothing was selected"* ]]
	hanging_agent
	lab run -a "$agent" --limit 1 open udp-blocked
	[ "$status" -eq 1 ]
	[[ $output == *" wrong: a ended with 124"* ]]
}

@test "labs stand side by side, until they are told to go" {
	local one two
	one=$("$natlab" up open symmetric 3>&- | sed -n '1s/ .*//p')
	two=$("$natlab" up full-cone 3>&- | sed -n '1s/ .*//p')
	run ip netns exec "$one-b" "$SNET_BIN/snet-stun" -q 203.0.113.1:3478
	[ "$status" -eq 0 ] || [ "$status" -eq 1 ]
	[[ $output == *'"mapped":"198.51.100.12:'* ]]
	run -0 ip netns exec "$two-a" "$SNET_BIN/snet-stun" -q 203.0.113.1:3478
	[[ $output == *'"mapped":"198.51.100.11:'* ]]
	run -3 "$natlab" down
	[[ $output == *"$one"* ]]
	run -0 "$natlab" down "$one"
	nothing_left_of "${one#natlab-}"
	run -0 "$natlab" down
	nothing_left_of "${two#natlab-}"
}

@test "a lab that is interrupted leaves nothing" {
	hanging_agent
	start lab "$natlab" run -a "$agent" open full-cone
	wait_until test -e "$TMPDIR/natlab-${pid[lab]}/b.out"
	local was=${pid[lab]}
	quit lab
	[ "$status" -eq 143 ]
	nothing_left_of "$was"
}

@test "what is misspelt is refused" {
	run -2 "$natlab"
	run -2 "$natlab" fly
	run -2 "$natlab" run open
	run -2 "$natlab" run open shut
	run -2 "$natlab" matrix -k open,shut
	run -2 "$natlab" matrix -k full-cone,same
	run -2 "$natlab" run open same
	run -2 "$natlab" run full-cone neighbour
	run -2 "$natlab" run same full-cone
	run -2 "$natlab" near -k open
	run -2 "$natlab" near full-cone
	run -2 "$natlab" matrix --repeat 0
	run -2 "$natlab" matrix --theory open
	run -2 "$natlab" matrix -k open --theory relay
	run -2 "$natlab" down natlab-x
}
