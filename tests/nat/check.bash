# Is the lab what it should be? Of each kind what snet-stun says, and whether the TURN server can be used from there.
# shellcheck shell=bash disable=SC2034,SC2154 # what is assigned here and used there

# ports_step FILE: do the ports that one socket was given follow each other?
ports_step() {
	jq -es '[.[] | select(.event == "stun.mapped").mapped | sub(".*:"; "") | tonumber] | sort
		| length > 2 and (.[-1] - .[0] == length - 1)' "$1" >/dev/null
}

# what_stun_says KIND: its verdict, and what tells a counter from a lot.
what_stun_says() {
	local all=(203.0.113.{1,2}:347{8,9}) out=$dir/$1.stun nat
	[ "$(family "$1")" = 4 ] || all=('[2001:db8::'{1,2}']:347'{8,9})
	# Of the ports first, and afresh: --nat asks more than once.
	in_ns "$1" "$stun" -q "${all[@]}" >"$out" 2>/dev/null || true
	in_ns "$1" "$stun" -q --nat "${all[0]}" >"$out.nat" 2>/dev/null || true
	nat=$(jq -r 'select(.event == "stun.nat").nat' "$out.nat" | tail -n 1)
	if [ "$nat" = symmetric ] && ports_step "$out"; then nat="$nat, in steps"; fi
	echo "${nat:-nothing}"
}

# turn_works KIND udp|tcp|tls: allocates, and talks to itself through it.
turn_works() {
	local server=$turn4 over=() out=$dir/$1.turn.$2
	[ "$(family "$1")" = 4 ] || server=$turn6 over=(-x)
	case $2 in
	tcp) over+=(-t) ;;
	tls) over+=(-t -S -p 5349) ;;
	esac
	in_ns "$1" timeout 10 turnutils_uclient -y -c -n 1 -m 1 -u natlab -w "$(cat "$dir/password")" "${over[@]}" "$server" \
		>"$out" 2>&1 && grep -q 'tot_recv_msgs=2' "$out"
}

# turn_over KIND: by what it can be used.
turn_over() {
	local over jobs=() ways=()
	for over in udp tcp tls; do
		turn_works "$1" $over &
		jobs+=($!)
	done
	for over in udp tcp tls; do
		if wait "${jobs[0]}"; then ways+=("$over"); fi
		jobs=("${jobs[@]:1}")
	done
	echo "${ways[*]}"
}

# check_kind KIND: a row into $dir/KIND.row; false where it is not what it should be.
check_kind() {
	local should=${verdict[$1]} said over over_should='udp tcp tls' ok=ok
	[ "$1" != udp-blocked ] || over_should='tcp tls'
	said=$(what_stun_says "$1")
	over=$(turn_over "$1")
	[ "$said/$over" = "$should/$over_should" ] || ok=wrong
	if [ "$format" = json ]; then
		jq -cn --arg kind "$1" --arg says "$said" --arg should "$should" --arg over "$over" --arg ok $ok \
			'{event: "natlab.check", $kind, $says, $should, turn: ($over | split(" ")), ok: ($ok == "ok")}'
	else
		printf '%-20s %-22s %-22s %-14s %s\n' "$1" "$said" "$should" "$over" $ok
	fi >"$dir/$1.row"
	[ $ok = ok ]
}

# All at a time: most of it is waiting for what does not come.
check_kinds() {
	local kind n=0 bad=0 jobs=()
	for kind in "${kinds[@]}"; do
		make_side "$kind" "$kind" $n
		n=$((n + 1))
	done
	for kind in "${kinds[@]}"; do
		check_kind "$kind" &
		jobs+=($!)
	done
	[ "$format" = json ] || printf '%-20s %-22s %-22s %s\n' kind 'snet-stun says' 'should be' 'TURN over'
	for kind in "${kinds[@]}"; do
		wait "${jobs[0]}" || bad=1
		cat "$dir/$kind.row"
		jobs=("${jobs[@]:1}")
	done
	return $bad
}
