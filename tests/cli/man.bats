# The programs and the manual tell the same story. What the pages must look like for it:
#   options   .It Fl k , Fl -key Ar file
#   events    .It Ic peer.up   (or .Ss Ic peer.up), its fields below it as .It Va address
#   examples  a literal block after the line '.\" test: run' is run in an empty directory and must succeed;
#             after '.\" test: same' its other lines are what it must print. Commands begin with "$ ", their
#             continuations with "> ". A daemon put in the background is ended by the test.
load helper

setup() {
	cd "$SNET_SRCDIR/man" || return
	programs=()
	for page in snet-*.1; do
		programs+=("${page%.1}")
	done
}

# "-k --key" or "--ca", one option per line
options_of() {
	"$1" --list-options | sed 's/^\(-. \)\{0,1\}\(--[^ ]*\).*/\1\2/'
}

documented_in() {
	sed -n 's/^\.It Fl \(. , Fl \)\{0,1\}-\([a-z0-9-]*\).*/\1\2/p' "$1" |
		sed 's/^\(.\) , Fl /-\1 --/; t; s/^/--/'
	sed -n 's/^\.It Fl \([0-9A-Za-z]\)$/-\1/p' "$1"
}

events_in_page() {
	awk '
		$1 == ".Sh" { event = "" }
		($1 == ".It" || $1 == ".Ss") && $2 == "Ic" { event = $3; print event }
		$1 == ".It" && $2 == "Va" && event { for (i = 3; i <= NF; i++) if ($i ~ /^[a-z][a-z0-9_]*$/) print event, $i }
	' snet-events.5
}

# The commands or the rest of the n-th marked example of a page, with the escapes of mdoc undone.
example() {
	awk -v nth="$2" -v want="$3" '
		/^\.\\" test: / { mark = 1; next }
		mark && /^\.Bd / { mark = 0; on = ++n == nth; next }
		/^\.Ed/ { on = 0 }
		on { is = /^[$>] /; if ((want == "commands") == is) print is ? substr($0, 3) : $0 }
	' "$1" | sed "s/^\\\\&//; s/\\\\-/-/g; s/\\\\(aq/'/g; s/\\\\(dq/\"/g; s/\\\\(ti/~/g; s/\\\\(ha/^/g; s/\\\\e/\\\\/g"
}

run_example() {
	cd "$1" && exec timeout 60 bash -euo pipefail -c 'trap "kill \$(jobs -p) 2>/dev/null || true" EXIT; . "$0"' "$2"
}

# Everything the programs and the pages know, once per suite run.
@test "every program has a page, and every page a program" {
	[ "${#programs[@]}" -gt 0 ]
	for source in ../src/snet-*.c; do
		name=$(basename "$source" .c)
		[ -e "$name.1" ] || { echo "$name has no page"; return 1; }
	done
	for name in "${programs[@]}"; do
		[ -e "../src/$name.c" ] || { echo "$name.1 has no program"; return 1; }
	done
}

@test "every option of every program is in its page or in snet(7), with the same letter" {
	for name in "${programs[@]}"; do
		options_of "$name" >"$BATS_TEST_TMPDIR/has"
		[ -s "$BATS_TEST_TMPDIR/has" ]
		{ documented_in "$name.1"; documented_in snet.7; } >"$BATS_TEST_TMPDIR/says"
		run grep -vxFf "$BATS_TEST_TMPDIR/says" "$BATS_TEST_TMPDIR/has"
		[ -z "$output" ] || { echo "$name.1 lacks:" "${lines[@]}"; return 1; }
	done
}

@test "no page speaks of an option that its program lacks" {
	: >"$BATS_TEST_TMPDIR/any"
	for name in "${programs[@]}"; do
		options_of "$name" | tee -a "$BATS_TEST_TMPDIR/any" >"$BATS_TEST_TMPDIR/has"
		documented_in "$name.1" >"$BATS_TEST_TMPDIR/says"
		run grep -vxFf "$BATS_TEST_TMPDIR/has" "$BATS_TEST_TMPDIR/says"
		[ -z "$output" ] || { echo "$name.1 has too much:" "${lines[@]}"; return 1; }
	done
	documented_in snet.7 >"$BATS_TEST_TMPDIR/says"
	[ -s "$BATS_TEST_TMPDIR/says" ]
	run grep -vxFf "$BATS_TEST_TMPDIR/any" "$BATS_TEST_TMPDIR/says"
	[ -z "$output" ] || { echo "snet.7 has what no program has:" "${lines[@]}"; return 1; }
}

@test "every event and field is in snet-events(5), and nothing else is" {
	for name in "${programs[@]}"; do
		"$name" --list-events
	done | awk '{ print $1; print $1, $2 }' | sort -u >"$BATS_TEST_TMPDIR/has"
	events_in_page | sort -u >"$BATS_TEST_TMPDIR/says"
	[ -s "$BATS_TEST_TMPDIR/has" ]
	diff -u "$BATS_TEST_TMPDIR/has" "$BATS_TEST_TMPDIR/says"
}

@test "--help says each option, on stdout, with status 0" {
	for name in "${programs[@]}"; do
		run --separate-stderr "$name" --help
		[ "$status" -eq 0 ]
		[ -z "$stderr" ]
		for option in $(options_of "$name"); do
			grep -qE -- "(^| )$option(,| |\$)" <<<"$output" || { echo "$name --help lacks $option"; return 1; }
		done
	done
}

@test "every page has the sections that all have, in their order" {
	for name in "${programs[@]}"; do
		have=$(sed -n 's/^\.Sh //p' "$name.1")
		wanted=$'NAME\nSYNOPSIS\nDESCRIPTION\nEXIT STATUS\nEXAMPLES\nSEE ALSO'
		found=$(grep -xF "$wanted" <<<"$have")
		[ "$found" = "$wanted" ] || { echo "$name.1:" "$have"; return 1; }
	done
}

@test "a page of ours that is referred to is there" {
	for page in *.[1-8]; do
		sed -n 's/^\.Xr \(snet[a-z-]*\|stoffelnet[a-z-]*\) \([1-8]\).*/\1.\2/p' "$page" | while read -r other; do
			[ -e "$other" ] || { echo "$page: there is no $other"; exit 1; }
		done
	done
}

@test "the shells accept the completions" {
	for name in "${programs[@]}"; do
		"$name" --completion bash >"$BATS_TEST_TMPDIR/c.bash"
		bash -n "$BATS_TEST_TMPDIR/c.bash"
		"$name" --completion zsh >"$BATS_TEST_TMPDIR/_$name"
		zsh -fn "$BATS_TEST_TMPDIR/_$name"
		[ "$(head -n 1 "$BATS_TEST_TMPDIR/_$name")" = "#compdef $name" ]
		for option in $(options_of "$name"); do
			grep -qF -- "$option" "$BATS_TEST_TMPDIR/c.bash" || { echo "bash: $name $option"; return 1; }
			grep -qF -- "$option" "$BATS_TEST_TMPDIR/_$name" || { echo "zsh: $name $option"; return 1; }
		done
	done
}

@test "the examples of the pages work" {
	count=0
	for page in *.[1-8]; do
		marks=$(grep -n '^\.\\" test: ' "$page" | cut -d ' ' -f 3) || continue
		n=0
		for mark in $marks; do
			n=$((n + 1)) count=$((count + 1))
			dir=$BATS_TEST_TMPDIR/$page.$n
			mkdir "$dir"
			example "$page" $n commands >"$dir.sh"
			[ -s "$dir.sh" ] || { echo "$page, example $n: no command"; return 1; }
			run --separate-stderr run_example "$dir" "$dir.sh"
			[ "$status" -eq 0 ] || { echo "$page, example $n: status $status"; cat "$dir.sh"; echo "$output$stderr"; return 1; }
			case $mark in
			run) ;;
			same) diff -u <(example "$page" $n output) <(echo "$output") ;;
			*) echo "$page: what is 'test: $mark'?"; return 1 ;;
			esac
		done
	done
	[ "$count" -gt 0 ]
}
