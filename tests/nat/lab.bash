# The laboratory of scripts/natlab: network namespaces that are one Internet, of this lab alone. Expects $lab, its name,
# and $dir, its directory; see scripts/natlab for $bin.
#
#   $lab-pub     the public host, and the way between all others: STUN, TURN, rooms
#   $lab-a, -b   a host; $lab-a-nat its router, $lab-a-isp the router of that one, where there is one
#
# What is in it is in no other namespace, so labs side by side have the same addresses. Hosts at home have the same
# network, too, as homes do.
# shellcheck shell=bash disable=SC2034,SC2154 # what is assigned here and used there

stun4=(203.0.113.1:3478 203.0.113.2:3479) # the same port twice would not tell who filters by what
stun6=('[2001:db8::1]:3478' '[2001:db8::2]:3479')
turn4=203.0.113.3 turn6=2001:db8::3
rooms_port=8000

ns_names() {
	ip netns list 2>/dev/null | awk -v lab="$lab-" 'index($1, lab) == 1 { print $1 }'
}

# in_ns NAME COMMAND...
in_ns() {
	ip netns exec "$lab-$1" "${@:2}"
}

# until_true COMMAND...: at most 30 s.
until_true() {
	local deadline=$((SECONDS + 30))
	until "$@" 2>/dev/null; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.02
	done
}

# A program itself: libtool puts a shell script in its place while it is not installed.
program() {
	local path
	for path in "$bin/.libs/$1" "$bin/$1"; do
		[ ! -x "$path" ] || { echo "$path"; return; }
	done
	command -v "$1" || fail "$1 is not in $bin: build it, or set SNET_BIN"
}

# ---- namespaces

# new_ns NAME [4|6]: with forwarding where both are passed through; 4: no IPv6 there.
new_ns() {
	ip netns add "$lab-$1"
	ip -n "$lab-$1" link set lo up
	if [ "${2:-}" = 4 ]; then
		in_ns "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 net.ipv4.ip_forward=1
	else
		in_ns "$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	fi
}

# join NAME INTERFACE NAME INTERFACE: a cable.
join() {
	ip link add "$2" netns "$lab-$1" type veth peer name "$4" netns "$lab-$3"
	ip -n "$lab-$1" link set "$2" up
	ip -n "$lab-$3" link set "$4" up
}

# rules NAME FUNCTION [ARGS]: what it prints, for nft.
rules() {
	"${@:2}" | in_ns "$1" nft -f - || fail "nft does not take the rules of $2"
}

# address4 NAME INTERFACE ADDRESS/BITS [GATEWAY]: a gateway off the link is on it all the same.
address4() {
	ip -n "$lab-$1" addr add "$3" dev "$2"
	[ -z "${4:-}" ] || ip -n "$lab-$1" route add default via "$4" dev "$2" onlink
}

address6() {
	ip -n "$lab-$1" addr add "$3" dev "$2" nodad
	[ -z "${4:-}" ] || ip -n "$lab-$1" route add default via "$4" dev "$2"
}

# ---- a host and what it is behind

public_of() { echo "198.51.100.$((11 + $1))"; } # of the n-th host
prefix_of() { printf '2001:db8:%x:' $((0x11 + $1)); }

# to_public NAME INTERFACE N: the n-th link of the public host.
to_public() {
	local public
	public=$(public_of "$3")
	join pub "host$3" "$1" "$2"
	address4 "$1" "$2" "$public/32" 203.0.113.1
	ip -n "$lab-pub" route add "$public" dev "host$3"
}

to_public6() {
	join pub "host$3" "$1" "$2"
	address6 pub "host$3" fe80::1/64
	address6 "$1" "$2" fe80::2/64 fe80::1
	ip -n "$lab-pub" route add "$(prefix_of "$3"):/64" via fe80::2 dev "host$3"
}

# make_lan ROUTER ADDRESS/BITS: the inside of a router is a switch, which is not asked what passes it.
make_lan() {
	ip -n "$lab-$1" link add lan type bridge
	ip -n "$lab-$1" link set lan up
	address4 "$1" lan "$2"
	in_ns "$1" test ! -e /proc/sys/net/bridge/bridge-nf-call-iptables ||
		in_ns "$1" sysctl -qw net.bridge.bridge-nf-call-iptables=0
}

# to_lan NAME INTERFACE ADDRESS ROUTER N: the n-th cable into it.
to_lan() {
	join "$4" "lan$5" "$1" "$2"
	ip -n "$lab-$4" link set "lan$5" master lan
	address4 "$1" "$2" "$3/24" "${3%.*}.1"
}

# at_home SIDE ROUTER N: one NAT has each outer port but once, and so have the hosts behind it their ports.
at_home() {
	to_lan "$1" eth0 "192.168.1.$((2 + $3))" "$2" "$3"
	in_ns "$1" sysctl -qw net.ipv4.ip_local_port_range="$((32768 + 3500 * $3)) $((32768 + 3500 * $3 + 3499))"
}

# home_of_provider SIDE ISP N: with a NAT of its own, behind another.
home_of_provider() {
	local address=100.64.0.$((2 + $3))
	new_ns "$1" 4
	new_ns "$1-nat" 4
	make_lan "$1-nat" 192.168.1.1/24
	to_lan "$1-nat" wan "$address" "$2" "$3"
	at_home "$1" "$1-nat" "$3"
	rules "$1-nat" rules_port_restricted "$address"
}

# make_side SIDE KIND N; same, neighbour: as side a, which is there.
make_side() {
	local side=$1 kind=$2 n=$3 public rules
	public=$(public_of "$n")
	case $kind in
	open)
		new_ns "$side" 4
		to_public "$side" eth0 "$n"
		;;
	ipv6-only)
		new_ns "$side"
		new_ns "$side-nat"
		to_public6 "$side-nat" wan "$n"
		join "$side-nat" lan "$side" eth0
		address6 "$side-nat" lan "$(prefix_of "$n"):1/64"
		address6 "$side" eth0 "$(prefix_of "$n"):2/64" "$(prefix_of "$n"):1"
		rules "$side-nat" rules_ipv6_only
		;;
	double | hairpin)
		rules=rules_port_restricted
		[ "$kind" = double ] || rules=rules_hairpin
		new_ns "$side-isp" 4
		to_public "$side-isp" wan "$n"
		make_lan "$side-isp" 100.64.0.1/24
		home_of_provider "$side" "$side-isp" "$n"
		rules "$side-isp" "$rules" "$public" 0x2555
		;;
	same)
		new_ns "$side" 4
		at_home "$side" a-nat "$n"
		;;
	neighbour)
		home_of_provider "$side" a-isp "$n"
		;;
	*)
		new_ns "$side" 4
		new_ns "$side-nat" 4
		to_public "$side-nat" wan "$n"
		make_lan "$side-nat" 192.168.1.1/24
		at_home "$side" "$side-nat" "$n"
		rules "$side-nat" "rules_${kind//-/_}" "$public"
		;;
	esac
}

# ---- the public host

# serve NAME PROGRAM ARGS...: in the background, and back when it is ready.
serve() {
	local name=$1
	mkfifo "$dir/$name.ready"
	exec ip netns exec "$lab-pub" "$2" -q "${@:3}" --ready-fd 9 9>"$dir/$name.ready" >"$dir/$name.out" 2>"$dir/$name.err" </dev/null &
	if ! read -r -t 10 _ <"$dir/$name.ready"; then
		fail "$name is not ready: $(tail -n 1 "$dir/$name.err")"
	fi
}

make_credentials() {
	(
		umask 077
		od -An -N12 -tx1 /dev/urandom | tr -d ' \n' >"$dir/password"
		echo "natlab:$(cat "$dir/password")" >"$dir/credentials"
		printf '%s\n' 'cn = "turn.natlab"' 'dns_name = "turn.natlab"' "ip_address = \"$turn4\"" \
			"ip_address = \"$turn6\"" ca cert_signing_key signing_key tls_www_server 'expiration_days = 3' >"$dir/template"
		certtool --generate-privkey --key-type ecdsa --outfile "$dir/turn-key.pem"
		certtool --generate-self-signed --load-privkey "$dir/turn-key.pem" --template "$dir/template" --outfile "$dir/ca.pem"
	) 2>"$dir/certtool.err"
}

hears_tcp() {
	in_ns pub bash -c ": >'/dev/tcp/$1/$2'"
}

serve_turn() {
	# Its file, not its command line: that has the password.
	cat >"$dir/turn.conf" <<-END
	listening-ip=$turn4
	listening-ip=$turn6
	relay-ip=$turn4
	relay-ip=$turn6
	listening-port=3478
	tls-listening-port=5349
	lt-cred-mech
	user=$(cat "$dir/credentials")
	realm=natlab
	cert=$dir/ca.pem
	pkey=$dir/turn-key.pem
	no-cli
	pidfile=$dir/turn.pid
	userdb=$dir/turn.db
	log-file=stdout
	simple-log
	verbose
	END
	exec ip netns exec "$lab-pub" turnserver -c "$dir/turn.conf" >"$dir/turn.out" 2>"$dir/turn.err" </dev/null &
	if ! { until_true hears_tcp "$turn4" 5349 && until_true hears_tcp "$turn6" 5349 &&
		in_ns pub "$stun" -q "$turn4" "[$turn6]:3478" >/dev/null; }; then
		fail "coturn is not ready: $(tail -n 1 "$dir/turn.out")"
	fi
}

make_public() {
	local n
	new_ns pub
	# What leads nowhere is lost, as elsewhere; and coturn closes what it relays by when the kernel knows no route.
	join pub nowhere pub nobody
	ip -n "$lab-pub" link set nowhere arp off
	ip -n "$lab-pub" route add default dev nowhere
	ip -n "$lab-pub" -6 route add default dev nowhere
	for n in 1 2 3; do
		address4 pub lo 203.0.113.$n/32
		address6 pub lo 2001:db8::$n/128
	done
	make_credentials
	serve stun4 "$stun" --serve "${stun4[0]}" --serve "${stun4[1]}"
	serve stun6 "$stun" --serve "${stun6[0]}" --serve "${stun6[1]}"
	serve rooms "$signal" --listen ":$rooms_port"
	serve_turn
}

# ---- the end of it

ns_pids() {
	local ns
	for ns; do ip netns pids "$ns" 2>/dev/null; done
}

are_gone() {
	local p
	for p; do
		! kill -0 "$p" 2>/dev/null || return 1
	done
}

# remove NAMESPACE...: with all that runs in them. What is gone by itself meanwhile is no failure.
remove() {
	local ns pids
	mapfile -t pids < <(ns_pids "$@")
	if [ ${#pids[@]} -gt 0 ]; then
		kill "${pids[@]}" 2>/dev/null || true
		until_true are_gone "${pids[@]}" || kill -KILL "${pids[@]}" 2>/dev/null || true
	fi
	for ns; do ip netns del "$ns" || true; done
}

# remove_side SIDE N. The link first: the kernel clears namespaces away later, and the next side's has the same name.
remove_side() {
	local names
	[ "$(ip -n "$lab-pub" -o link show "host$2" 2>/dev/null)" = '' ] || ip -n "$lab-pub" link del "host$2"
	mapfile -t names < <(ns_names | awk -v side="$lab-$1" '$1 == side || index($1, side "-") == 1')
	remove "${names[@]}"
}

remove_lab() {
	local names
	mapfile -t names < <(ns_names)
	[ ${#names[@]} -eq 0 ] || remove "${names[@]}"
	rm -rf "$dir"
}
