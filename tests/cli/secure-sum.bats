load helper

sum=$SNET_SRCDIR/scripts/examples/secure-sum

@test "three parties compute the sum of their secrets" {
	run --separate-stderr timeout 60 "$sum" 25 58 17
	[ "$status" -eq 0 ]
	[ "${lines[-1]}" = "the sum is 100" ]
	[ "$(grep -c ': the sum is 100$' <<<"$output")" -eq 3 ]
	[ -z "$stderr" ]
}

@test "secrets of any size and number, down to two parties" {
	run timeout 60 "$sum" 0 999999999999999999
	[ "${lines[-1]}" = "the sum is 999999999999999999" ]
	run timeout 60 "$sum" 1 999999999999999999 999999999999999999 0 5
	[ "${lines[-1]}" = "the sum is $(((1999999999999999998 + 6) % ((1 << 61) - 1)))" ]
}

@test "no secret and no share of one's own leaves its party" {
	run timeout 60 "$sum" 11111111 22222222 33333333
	[ "$status" -eq 0 ]
	run ! grep -E 'sends the (share|sum) (11111111|22222222|33333333)$' <<<"$output"
	run timeout 60 "$sum" 7 8
	first=$(sed -n 's/^party 0: my secret is 7, my own share of it //p' <<<"$output")
	run timeout 60 "$sum" 7 8
	second=$(sed -n 's/^party 0: my secret is 7, my own share of it //p' <<<"$output")
	[ -n "$first" ]
	[ "$first" != "$second" ]
}

@test "what is no secret is refused" {
	for args in "1" "1 x" "1 -2" "1 1e3" "1 01" "1 1000000000000000000"; do
		# shellcheck disable=SC2086 # several arguments
		run "$sum" $args
		[ "$status" -eq 1 ]
		[[ $output == "secure-sum: "* ]]
	done
}
