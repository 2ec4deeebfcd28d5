load helper

# The shared library as programs outside this tree use it: the examples of scripts/examples.

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	library=$SNET_BIN/.libs/libstoffelnet.so
	# The sanitizers' runtime must come first in a process, and these processes are not ours.
	if nm -D "$library" | grep -q __asan_init; then
		skip "built with sanitizers"
	fi
}

@test "the C example compiles against the header and the library alone, and its parties agree" {
	cp "$SNET_SRCDIR"/lib/ffi/stoffelnet*.h .
	run -0 ${CC:-cc} -Wall -Werror -I. -o three "$SNET_SRCDIR/scripts/examples/three-parties.c" "$library" -lpthread
	LD_LIBRARY_PATH=$SNET_BIN/.libs run -0 ./three
	[ "$(grep -c 42 <<<"$output")" -eq 3 ]
}

@test "the Python example needs nothing but the library" {
	LIBSTOFFELNET=$library run -0 python3 "$SNET_SRCDIR/scripts/examples/three-parties.py"
	[ "$(grep -c 42 <<<"$output")" -eq 3 ]
}
