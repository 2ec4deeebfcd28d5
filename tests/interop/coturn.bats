# The TURN client against coturn: over UDP, TCP and TLS, with stale nonces, redirections and refusals.
load ../cli/helper

missing() {
	! { command -v turnserver && command -v certtool; } >/dev/null
}

setup_file() {
	missing && return # setup says so: bats skips nothing from here
	cd "$BATS_FILE_TMPDIR" || return
	umask 077
	echo alice:secret >cred
	echo alice:wrong >wrong
	printf '%s\n' alice secret example.org >realm
	printf '%s\n' alice secret elsewhere.org >other-realm
	printf '%s\n' 'cn = "turn test"' 'dns_name = "turn.test"' ca cert_signing_key signing_key tls_www_server \
		'expiration_days = 3' >template
	certtool --generate-privkey --key-type ecdsa --outfile key.pem
	certtool --generate-self-signed --load-privkey key.pem --template template --outfile ca.pem
}

setup() {
	missing && skip "coturn or gnutls-bin is not here"
	turn=$SNET_BIN/tests/interop/turn
	cd "$BATS_FILE_TMPDIR" || return
}

answers() {
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# coturn NAME ARGS...: on a free port, and the next one for TLS; sets $port.
coturn() {
	local name=$1 try host=${host:-127.0.0.1}
	shift
	for try in {1..5}; do
		port=$((RANDOM % 20000 + 10000))
		if answers "$port" || answers $((port + 1)); then continue; fi
		start "$name" turnserver -n -L "$host" -E "$host" -L 127.0.0.1 -p "$port" --tls-listening-port $((port + 1)) \
			--lt-cred-mech -u alice:secret -r example.org --allow-loopback-peers --no-cli --cert ca.pem \
			--pkey key.pem --pidfile "$BATS_TEST_TMPDIR/$name.pid" --userdb "$BATS_TEST_TMPDIR/$name.db" \
			--log-file stdout --simple-log -v "$@"
		wait_until answers "$port" && wait_until answers $((port + 1)) && return
		echo "try $try: coturn is not ready on port $port" >&2
		quit "$name"
	done
	return 1
}

# talks: all steps were taken, by both.
talks() {
	local step
	[ "$status" -eq 0 ]
	for step in allocated permitted "by indication" bound "by channel" refreshed released; do
		grep -qx "$step" <<<"$output"
	done
}

@test "two clients talk through coturn over UDP" {
	coturn c
	run "$turn" udp "127.0.0.1:$port" cred 200
	talks
	# It has given back what it had.
	wait_until grep -q "user <alice>: .*reason: allocation timeout\|user <alice>.*REFRESH processed, success" "$BATS_TEST_TMPDIR/c.out"
}

@test "two clients talk through coturn over TCP" {
	coturn c
	run "$turn" tcp "127.0.0.1:$port" cred 200
	talks
}

@test "two clients talk through coturn over TLS" {
	coturn c
	run "$turn" tls "127.0.0.1:$((port + 1))" cred 200 turn.test ca.pem
	talks
}

@test "two clients talk through coturn over IPv6" {
	[ -e /proc/net/if_inet6 ] && grep -q "^0\{31\}1 " /proc/net/if_inet6 || skip "no IPv6 here"
	host=::1 coturn c
	run "$turn" udp "[::1]:$port" cred 50
	talks
	grep -q "relayed \[::1\]" <<<"$output"
}

@test "a realm that is given is the server's, or nothing is proven to it" {
	coturn c
	run "$turn" udp "127.0.0.1:$port" realm 5
	talks
	run "$turn" udp "127.0.0.1:$port" other-realm 5
	[ "$status" -eq 5 ]
	[[ $output == *"realm"* ]]
}

@test "a wrong password is refused" {
	coturn c
	for over in udp tcp; do
		run "$turn" $over "127.0.0.1:$port" wrong 5
		[ "$status" -eq 5 ]
		[[ $output == *"status 401"* ]]
	done
}

@test "a certificate for another name, or of an unknown authority, is refused" {
	coturn c
	run "$turn" tls "127.0.0.1:$((port + 1))" cred 5 other.test ca.pem
	[ "$status" -eq 5 ]
	[[ $output == *"other.test"* ]]
	certtool --generate-privkey --key-type ecdsa --outfile "$BATS_TEST_TMPDIR/key"
	certtool --generate-self-signed --load-privkey "$BATS_TEST_TMPDIR/key" --template template \
		--outfile "$BATS_TEST_TMPDIR/ca"
	run "$turn" tls "127.0.0.1:$((port + 1))" cred 5 turn.test "$BATS_TEST_TMPDIR/ca"
	[ "$status" -eq 5 ]
}

@test "nonces that turn stale are replaced" {
	coturn c --stale-nonce=1
	# As many rounds as take it more than a second: the log tells.
	for rounds in 2000 20000 100000; do
		run "$turn" udp "127.0.0.1:$port" cred $rounds
		talks
		grep -q "error 438" "$BATS_TEST_TMPDIR/c.out" && return
	done
	return 1
}

@test "a quota that is used up is told" {
	coturn c --user-quota=1
	run "$turn" udp "127.0.0.1:$port" cred 5
	[ "$status" -eq 10 ]
	[[ $output == *"status 486"* ]]
}

@test "a redirection is followed" {
	coturn other
	local to=$port over
	coturn c --alternate-server "127.0.0.1:$to"
	for over in udp tcp; do
		run "$turn" $over "127.0.0.1:$port" cred 20
		talks
		grep -qx "redirected to 127.0.0.1:$to" <<<"$output"
	done
}

@test "a server that is not there is told at once over TCP" {
	coturn c
	quit c
	run "$turn" tcp "127.0.0.1:$port" cred 5
	[ "$status" -eq 4 ]
}
