# What scripts/natlab puts a host behind: the kinds, what theory says of two of them, and the rules that make them.
#
#   kind                 mapping                    filtering     how
#   open                 none                       none          the host has the public address itself
#   full-cone            one port for all           none          what comes to a port that is mapped is let in
#   address-restricted   one port for all           by address    ... from an address that the inside has spoken to
#   port-restricted      one port for all           by socket     connection tracking alone
#   symmetric            one each, by lot           by socket     masquerade fully-random
#   sequential           one each, the next one     by socket     a counter
#   double               port-restricted twice: at home, and at the provider's
#   udp-blocked          TCP alone gets out
#   ipv6-only            no NAT, and no IPv4        by socket     a firewall that lets answers in
#   hairpin              as double, but for the provider's, which leads from the inside to the inside, too
#
# And for the second host of a pair, which is then behind the first one's NAT:
#
#   same                 at the first one's home
#   neighbour            at a home of its own, of the same provider; the first is double or hairpin
#
# No NAT here keeps the inside's port, or what goes wrong without a server would go unnoticed.
# shellcheck shell=bash disable=SC2034 # these are for the other files

all_kinds=(open full-cone address-restricted port-restricted symmetric sequential double udp-blocked ipv6-only)

# What snet-stun --nat says of each; in steps: its ports, asked for one after the other.
declare -rA verdict=(
	[open]=open
	[full-cone]=full-cone
	[address-restricted]=address-restricted
	[port-restricted]=port-restricted
	[symmetric]=symmetric
	[sequential]='symmetric, in steps'
	[double]=port-restricted
	[udp-blocked]=blocked
	[ipv6-only]=firewall
	[hairpin]=port-restricted
)

is_kind() {
	[ -n "${verdict[$1]:-}" ]
}

# has_home KIND: more hosts than one may be at home there.
has_home() {
	case $1 in open | ipv6-only) return 1 ;; esac
}

# is_near A B: B is where A is.
is_near() {
	case $2 in
	same) has_home "$1" ;;
	neighbour) case $1 in double | hairpin) ;; *) return 1 ;; esac ;;
	*) return 1 ;;
	esac
}

family() {
	case $1 in ipv6-only) echo 6 ;; *) echo 4 ;; esac
}

# One port of a host's for each destination: what a server tells is of no use to a peer.
is_symmetric() {
	case $1 in symmetric | sequential) ;; *) return 1 ;; esac
}

# Strangers get in, at least from addresses that are spoken to.
is_lax() {
	case $1 in open | full-cone | address-restricted) ;; *) return 1 ;; esac
}

# theory A B: the best way between the two.
#   host     at the addresses they have themselves
#   direct   through NATs
#   guess    directly for who foretells a port; else there is a relay
#   lot      directly for who draws ports, and is lucky; else there is a relay
#   relay    there is no other
theory() {
	case " $1 $2 " in
	*" same ") echo host; return ;;
	" hairpin neighbour ") echo direct; return ;;
	*" neighbour ") echo relay; return ;;
	*" udp-blocked "*) echo relay; return ;;
	" open open " | " ipv6-only ipv6-only ") echo host; return ;;
	*" ipv6-only "*) echo relay; return ;;
	esac
	if is_symmetric "$1" && is_symmetric "$2"; then
		# Neither knows where to send first; with two counters both could.
		case " $1 $2 " in *" symmetric "*) echo relay ;; *) echo guess ;; esac
	elif { is_symmetric "$1" && ! is_lax "$2"; } || { is_symmetric "$2" && ! is_lax "$1"; }; then
		# One of the many ports that one side has opened is met by one of the many that the other side tries.
		case " $1 $2 " in *" symmetric "*) echo lot ;; *) echo guess ;; esac
	else
		echo direct
	fi
}

# ---- rules for nft. wan leads out, lan in; $1 is the public address, where it is needed.

# Nobody outside may know whether a port is mapped. And conntrack remembers what input accepts: the inside, speaking to
# the same peer a moment later, would find its port taken, and get another.
rules_router() {
	cat <<-'END'
	table ip router {
		chain input { type filter hook input priority filter; policy accept;
			iifname "wan" ct state != { established, related } drop
		}
		chain forward { type filter hook forward priority filter; policy drop;
			ct state { established, related } accept
			iifname "lan" accept
			ct status dnat accept
		}
		chain rest { type nat hook postrouting priority srcnat + 1;
			oifname "wan" masquerade
		}
	}
	END
}

# snat WHAT: of what is UDP and leads out.
snat() {
	cat <<-END
	table ip out {
		chain out { type nat hook postrouting priority srcnat;
			oifname "wan" meta l4proto udp $1
		}
	}
	END
}

# The outer port is the inner one with some bits turned over: for all destinations the same, never that of another
# socket, however many there are and however lately, and still an unprivileged one for those the kernel gives out. Two
# NATs in a row turn over others, or the second would undo what the first has done.
snat_turned() {
	snat "snat ip to $1 : udp sport ^ ${2:-0x4abc}"
}

# Which outer port is whose.
learn_inside() {
	cat <<-'END'
	table ip back {
		map inside { type inet_service : ipv4_addr . inet_service; flags dynamic, timeout; timeout 2m; size 65535; }
		chain learn { type filter hook postrouting priority srcnat + 100;
			oifname "wan" meta l4proto udp update @inside { udp sport : ct original ip saddr . ct original proto-src }
		}
	}
	END
}

# Learns who has been spoken to from an outer port, too; $1 is who may come in by it. Two packets that cross in here are
# two connections to the kernel, which would give the one that comes in another source, if its own were not asked for:
# so that one is lost.
dnat_learned() {
	learn_inside
	cat <<-END
	table ip back {
		set spoken { type ipv4_addr . inet_service; flags dynamic, timeout; timeout 2m; size 65535; }
		chain speak { type filter hook postrouting priority srcnat + 100;
			oifname "wan" meta l4proto udp update @spoken { ip daddr . udp sport }
		}
		chain keep { type nat hook postrouting priority srcnat;
			oifname "lan" meta l4proto udp snat ip to ip saddr : udp sport
		}
		chain back { type nat hook prerouting priority dstnat;
			iifname "wan" meta l4proto udp $1 dnat ip to udp dport map @inside
		}
	}
	END
}

rules_full_cone() {
	rules_router
	snat_turned "$1"
	dnat_learned ''
}

rules_address_restricted() {
	rules_router
	snat_turned "$1"
	dnat_learned 'ip saddr . udp dport @spoken'
}

rules_port_restricted() {
	rules_router
	snat_turned "$@"
}

# As RFC 4787, REQ-9 has it: what the inside sends to an outer port goes to whose it is, and comes from the sender's own
# outer port. Before there is such a port it is lost, and not remembered.
rules_hairpin() {
	rules_port_restricted "$@"
	learn_inside
	cat <<-END
	table ip back {
		chain input { type filter hook input priority filter; policy accept;
			iifname "lan" ip daddr $1 meta l4proto udp drop
		}
		chain there { type nat hook prerouting priority dstnat;
			iifname "lan" ip daddr $1 meta l4proto udp dnat ip to udp dport map @inside
		}
		chain here { type nat hook postrouting priority srcnat;
			oifname "lan" ct status dnat meta l4proto udp snat ip to $1 : udp sport ^ $2
		}
	}
	END
}

rules_symmetric() {
	rules_router
	snat 'masquerade fully-random'
}

rules_sequential() {
	rules_router
	# Elements of a map: a number that nft computes is in the order of this machine's bytes, a port is not.
	snat "snat ip to $1 : numgen inc mod 8192 map { $(seq 0 8191 | awk '{ printf "%s%d : %d", s, $1, 40000 + $1; s = ", " }') }"
}

rules_udp_blocked() {
	rules_router
	cat <<-'END'
	table ip deaf {
		chain deaf { type filter hook forward priority filter - 1; policy accept;
			meta l4proto udp drop
		}
	}
	END
}

# As RFC 6092 has it: what is sent out may be answered.
rules_ipv6_only() {
	cat <<-'END'
	table ip6 router {
		chain input { type filter hook input priority filter; policy accept;
			iifname "wan" meta l4proto { tcp, udp } ct state != { established, related } drop
		}
		chain forward { type filter hook forward priority filter; policy drop;
			ct state { established, related } accept
			iifname "lan" accept
			meta l4proto ipv6-icmp accept
		}
	}
	END
}
