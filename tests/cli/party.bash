# What the suites of snet-party share: load helper, then load party.
# shellcheck disable=SC2154 # status, in: of bats and of helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

# net N: keys and a roster of N parties at ports nobody listens at; $port is the first
net() {
	ports "$1"
	snet-keygen -q --net "$1" -d net --at "127.0.0.1:$port" -F >/dev/null
}

# party I ARGS...: in the background, by the name pI; stdin is the caller's
party() {
	start "p$1" snet-party -i "$1" --payload text "${@:2}" net/roster.json <&0
}

finish_all() {
	for i in "$@"; do
		finish "p$i"
		[ "$status" -eq 0 ] || { cat "p$i.err" >&2; return 1; }
	done
}
