# Two hosts of the laboratory and an agent on each: do they connect, how, how fast, and what does theory say of it?
# shellcheck shell=bash disable=SC2034,SC2154 # what is assigned here and used there

# servers KIND: the agent's options. The family's own, as its resolver would have it.
servers() {
	local stuns=("${stun4[@]}") host=$turn4 s
	[ "$(family "$1")" = 4 ] || { stuns=("${stun6[@]}"); host=[$turn6]; }
	for s in "${stuns[@]}"; do
		echo --stun
		echo "$s"
	done
	case $with_turn in
	'') return ;;
	plain) printf '%s\n' --turn "turn:$host:3478" --turn "turn:$host:3478?transport=tcp" ;;
	tls) printf '%s\n' --turn "turns:$host:5349" --turn-ca "$dir/ca.pem" ;;
	esac
	printf '%s\n' --turn-cred-file "$dir/credentials"
}

# room KIND: where the two meet.
room() {
	local host=203.0.113.1
	[ "$(family "$1")" = 4 ] || host='[2001:db8::1]'
	echo "ws://$host:$rooms_port/natlab"
}

# agent SIDE KIND: as a person would type it; its exit status in SIDE.status, and what it said in SIDE.out.
agent() {
	local side=$1 options statuses
	mapfile -t options < <(servers "$2")
	rm -f "$dir/$side".*
	mkfifo "$dir/$side.fifo"
	# The limit is for who hangs; the room is left when the agent has ended.
	# shellcheck disable=SC2094 # a pipe's two ends
	in_ns "$side" timeout -k 2 "$limit" "$ice" "${options[@]}" "${agent_args[@]}" <"$dir/$side.fifo" 2>"$dir/$side.err" |
		tee "$dir/$side.out" | in_ns "$side" "$signal" -q -w 10s "$(room "$2")" >"$dir/$side.fifo" 2>"$dir/$side.signal" &&
		statuses=("${PIPESTATUS[@]}") || statuses=("${PIPESTATUS[@]}")
	echo "${statuses[0]}" >"$dir/$side.status"
}

# last_selected SIDE: local, remote, their types, path, how long it took; nothing where nothing was selected.
last_selected() {
	jq -r 'select(.event == "ice.selected") | "\(.local) \(.remote) \(.local_type) \(.remote_type) \(.path) \(.took_ms)"' \
		"$dir/$1.out" 2>/dev/null | tail -n 1
}

is_relays() {
	case $1 in "$turn4":* | "[$turn6]":*) ;; *) return 1 ;; esac
}

why_not() {
	local reason
	reason=$(jq -r 'select(.event == "error").reason' "$dir/$1.out" 2>/dev/null | tail -n 1) || true
	echo "$1 ended with $(cat "$dir/$1.status")${reason:+, $reason}"
}

# look: what came of it. Sets $found (host, srflx, prflx, relay, none), $way (the types as both see them), $took_ms,
# and $wrong: what must not be, whatever theory says.
look() {
	local a b alocal aremote atypes apath atook blocal bremote btypes bpath btook x y
	found=none way='' took_ms='' wrong=''
	a=$(last_selected a) b=$(last_selected b)
	if grep -lE 'Sanitizer|runtime error:' "$dir"/[ab].err >/dev/null; then
		wrong="a sanitizer's report"
		return
	fi
	if [ "$(cat "$dir/a.status" "$dir/b.status" | tr '\n' ' ')" != '0 0 ' ]; then
		wrong="$(why_not a); $(why_not b)"
		# To fail is one thing, to hang, to crash, or to disagree another.
		case $(cat "$dir/a.status" "$dir/b.status" | sort -n | tail -n 1) in
		124 | 137 | 1[3-9][0-9]) ;;
		*) [ -n "$a$b" ] || { why=$wrong wrong=''; } ;;
		esac
		return
	fi
	if [ -z "$a" ] || [ -z "$b" ]; then
		wrong="success, and nothing was selected"
		return
	fi
	read -r alocal aremote x y apath atook <<<"$a"
	atypes=$x/$y
	read -r blocal bremote x y bpath btook <<<"$b"
	btypes=$x/$y
	way="$atypes $btypes"
	took_ms=$((atook > btook ? atook : btook))
	[ "$alocal $aremote" = "$bremote $blocal" ] || wrong="a: $alocal to $aremote, b: $blocal to $bremote"
	if is_relays "$alocal" || is_relays "$aremote"; then
		found=relay
	else
		case $way in *prflx*) found=prflx ;; *srflx*) found=srflx ;; *) found=host ;; esac
	fi
	# One who has met the other's relay before being told of it cannot know that it is one.
	case $found,$apath,$bpath in
	relay,relay,relay | [!r]*,direct,direct) ;;
	relay,direct,relay) [[ $atypes == */prflx ]] || wrong="a says it is direct, and it is not" ;;
	relay,relay,direct) [[ $btypes == */prflx ]] || wrong="b says it is direct, and it is not" ;;
	*) wrong="it is $found, and a says $apath, b $bpath" ;;
	esac
}

# judge THEORY: sets $verdict_is: ok; better, worse; wrong.
judge() {
	verdict_is=ok
	if [ -n "$wrong" ]; then
		verdict_is=wrong
		return
	fi
	case $1,$found in
	host,host | direct,[hsp]* | guess,[hsp]* | lot,[hsp]*) ;;
	host,*prflx) ;; # told of too late, and met before
	host,* | direct,*) verdict_is=worse ;;
	*,none) [ -z "$with_turn" ] && [ "$1$with_guess" != guess1 ] || verdict_is=worse ;;
	*,relay) [ "$1$with_guess" != guess1 ] || verdict_is=worse ;;
	*) verdict_is=better ;;
	esac
}

keep_logs() {
	local side to=$keep/$1-$2-$3
	[ -n "$keep" ] || return 0
	mkdir -p "$to"
	for side in a b; do
		cp "$dir/$side.out" "$dir/$side.err" "$dir/$side.status" "$dir/$side.signal" "$to"
	done
	cp "$dir/turn.out" "$to"
}

say_more() {
	local side
	for side in a b; do
		sed "s/^/$side: /" "$dir/$side.out" "$dir/$side.err" "$dir/$side.signal"
	done >&2
}

# once A B N: connects them, with NATs that remember nothing.
once() {
	local jobs=()
	make_side a "$1" 0
	make_side b "$2" 1
	agent a "$1" &
	jobs+=($!)
	agent b "$2" &
	jobs+=($!)
	wait "${jobs[@]}"
	why=''
	look
	judge "$expected"
	if [ -n "$verbose" ] || [ "$verdict_is" = wrong ] || [ "$verdict_is" = worse ]; then say_more; fi
	keep_logs "$1" "$2" "$3"
	remove_side a 0
	remove_side b 1
}

# row A B: what came of it, as a line of JSON.
row() {
	jq -cn --arg a "$1" --arg b "$2" --arg theory "$expected" --arg found "$found" --arg way "$way" --arg took "$took_ms" \
		--arg verdict "$verdict_is" --arg why "${wrong:-$why}" --arg turn "$with_turn" \
		'{event: "natlab.pair", $a, $b, turn: ($turn != ""), $theory, $found, $verdict}
		+ if $way == "" then {} else {way: ($way | split(" "))} end
		+ if $took == "" then {} else {took_ms: ($took | tonumber)} end
		+ if $why == "" then {} else {$why} end'
}

# say_pair A B: each, but in a table of many runs those alone that went wrong: say_runs tells of the others.
say_pair() {
	row "$1" "$2" >>"$dir/rows"
	if [ "$format" = json ]; then
		tail -n 1 "$dir/rows"
	elif [ "$repeat" -eq 1 ] || [ "$verdict_is" = worse ] || [ "$verdict_is" = wrong ]; then
		printf '%-19s %-19s %-7s %-6s %-24s %6s  %s\n' "$1" "$2" "$expected" "$found" "$way" "$took_ms" \
			"$verdict_is${wrong:+: $wrong}${why:+: $why}"
	fi
}

# say_runs PAIRS: a row for each of so many, of all its runs.
say_runs() {
	local a b theory found ok p50 most
	printf '%-19s %-19s %-7s %-12s %7s %6s %6s\n' a b theory found ok 'ms p50' most
	jq -rs --argjson pairs "$1" '. as $all | $all[:$pairs][] as $pair
		| [$all[] | select(.a == $pair.a and .b == $pair.b)] as $runs
		| ([$runs[].took_ms | numbers] | sort) as $took
		| [$pair.a, $pair.b, $pair.theory, ([$runs[].found] | unique | join("/")),
			"\([$runs[] | select(.verdict == "ok" or .verdict == "better")] | length)/\($runs | length)",
			$took[($took | length - 1) / 2 | floor] // "-", $took[-1] // "-"] | map(tostring) | join(" ")' "$dir/rows" |
		while read -r a b theory found ok p50 most; do
			printf '%-19s %-19s %-7s %-12s %7s %6s %6s\n' "$a" "$b" "$theory" "$found" "$ok" "$p50" "$most"
		done
}

say_sum() {
	local n=${#all_took[@]} p50=''
	[ "$n" -eq 0 ] || p50=$(printf '%s\n' "${all_took[@]}" | sort -n | sed -n "$(((n + 1) / 2))p")
	if [ "$format" = json ]; then
		jq -cn --arg tried "$tried" --arg connected "$n" --arg bad "$bad" --arg p50 "$p50" \
			'{event: "natlab.sum", tried: ($tried | tonumber), connected: ($connected | tonumber), bad: ($bad | tonumber)}
			+ if $p50 == "" then {} else {took_ms_p50: ($p50 | tonumber)} end'
	else
		echo "$tried tried, $n connected${p50:+ (half of them within $p50 ms)}, $bad worse than theory"
	fi
}

# run_pairs 'A B'...: all of them, and then all of them again.
run_pairs() {
	local pair a b n tried=0 bad=0 all_took=() expected found way took_ms wrong why verdict_is
	[ "$format" = json ] || [ "$repeat" -gt 1 ] ||
		printf '%-19s %-19s %-7s %-6s %-24s %6s\n' a b theory found 'as a and b see it' ms
	for ((n = 1; n <= repeat; n++)); do
		for pair; do
			read -r a b <<<"$pair"
			expected=$(theory "$a" "$b")
			once "$a" "$b" "$n"
			say_pair "$a" "$b"
			tried=$((tried + 1))
			[ -z "$took_ms" ] || all_took+=("$took_ms")
			case $verdict_is in worse | wrong) bad=$((bad + 1)) ;; esac
		done
	done
	[ "$format" = json ] || [ "$repeat" -eq 1 ] || say_runs $#
	say_sum
	[ "$bad" -eq 0 ]
}
