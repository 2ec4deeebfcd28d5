# A host whose address changes in the middle: ICE finds another pair, QUIC moves there, and no message is lost. Three
# network namespaces on one bridge; the room is on the third host.
load ../cli/helper

setup_file() {
	make_keys
}

setup() {
	[ "$(id -u)" -eq 0 ] || skip "network namespaces need root"
	command -v ip >/dev/null || skip "iproute2 is not installed"
	ns=snet-moving-$$-$BATS_TEST_NUMBER
	ip netns add "$ns-a" 2>/dev/null || skip "no network namespaces here"
	ip netns add "$ns-b"
	ip netns add "$ns-room"
	ip -n "$ns-room" link add br0 type bridge
	ip -n "$ns-room" link set br0 up
	ip -n "$ns-room" addr add 10.9.0.1/16 dev br0
	for host in a b; do
		ip -n "$ns-$host" link add eth0 type veth peer name "to-$host" netns "$ns-room"
		ip -n "$ns-room" link set "to-$host" master br0 up
		ip -n "$ns-$host" link set lo up
		ip -n "$ns-$host" link set eth0 up
	done
	ip -n "$ns-a" addr add 10.9.0.10/16 dev eth0
	ip -n "$ns-b" addr add 10.9.0.20/16 dev eth0
}

teardown() {
	stop_all
	for host in a b room; do
		ip netns del "$ns-$host" 2>/dev/null || true
	done
}

on() {
	ip netns exec "$ns-$1" "${@:2}"
}

@test "the caller's address changes, and then that of whoever was called" {
	start signal ip netns exec "$ns-room" snet-signal --listen 10.9.0.1:7900
	wait_event signal listening
	local room=ice+ws://10.9.0.1:7900/here
	start l ip netns exec "$ns-a" snet-listen -4 -k "$lkey" -a "$sid" "$room" </dev/null
	hold s
	start s ip netns exec "$ns-b" snet-send -4 -f lines --send-only -k "$skey" "$room#$lid" <"$in"
	say s one
	wait_until received_is 1

	on b ip addr add 10.9.0.21/16 dev eth0
	on b ip addr del 10.9.0.20/16 dev eth0
	on b ip addr replace 10.9.0.21/16 dev eth0
	say s two
	wait_until received_is 2
	wait_event l ice.selected '.remote | startswith("10.9.0.21:")'

	on a ip addr add 10.9.0.11/16 dev eth0
	on a ip addr del 10.9.0.10/16 dev eth0
	on a ip addr replace 10.9.0.11/16 dev eth0
	say s three
	wait_until received_is 3
	wait_event l ice.selected '.local | startswith("10.9.0.11:")'

	release s
	finish s
	[ "$status" -eq 0 ]
	finish l
	[ "$status" -eq 0 ]
	[ "$(received l | paste -sd,)" = '1 one,1 two,1 three' ]
	[ "$(jq -c 'select(.event == "peer.up")' "$BATS_TEST_TMPDIR/l.out" | wc -l)" -eq 1 ]
}

received_is() {
	[ "$(received l | wc -l)" -ge "$1" ]
}

@test "an address that comes, or is given more time, is nothing to the room; one that goes is" {
	on a sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6'
	start signal ip netns exec "$ns-room" snet-signal --listen 10.9.0.1:7900
	wait_event signal listening
	start l ip netns exec "$ns-a" snet-listen -4 -v --keep-open -k "$lkey" -a "$sid" ice+ws://10.9.0.1:7900/here </dev/null
	wait_event l listening
	on a ip addr change 10.9.0.10/16 dev eth0 valid_lft 2000 preferred_lft 700
	sleep 0.5 # more than changes are given to settle
	on a ip addr add 10.9.0.12/16 dev eth0
	sleep 0.5
	run ! grep -q 'server is gone' "$BATS_TEST_TMPDIR/l.err"
	on a ip addr del 10.9.0.10/16 dev eth0
	on a ip addr replace 10.9.0.12/16 dev eth0
	wait_until grep -q 'the address we had to the signalling server is gone' "$BATS_TEST_TMPDIR/l.err"
	wait_event signal signal.joined '.address | startswith("10.9.0.12:")'
	quit l
}
