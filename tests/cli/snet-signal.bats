# snet-signal: rooms, what is kept, who may come in, strangers, and the pipe.
load helper
load dns

# serve NAME ARGS...: a server; $addr is its ws:// address, $http the same for curl
serve() {
	start_ready "$1" snet-signal --listen 127.0.0.1:0 "${@:2}"
	http=${addr/#ws/http}
}

# member NAME ROOM ARGS...: in the room, its stdin held open: say NAME LINE
member() {
	hold "$1"
	start_ready_at "$1" snet-signal "${@:3}" "$addr/$2" <"$in"
}

# start_ready, without another $addr
start_ready_at() {
	local keep=$addr
	start_ready "$@"
	addr=$keep
}

lines_of() {
	cat "$BATS_TEST_TMPDIR/$1.out"
}

has_lines() {
	[ "$(wc -l <"$BATS_TEST_TMPDIR/$1.out")" -ge "$2" ]
}

# Python 3 with the websockets of Debian, wherever another Python stands first.
websockets() {
	/usr/bin/python3 -c 'import websockets' 2>/dev/null || skip "python3-websockets is not installed"
}

# stranger BYTES: what a server answers to an upgraded connection that sends them, as hex; the bytes in printf's
# notation
stranger() {
	python3 -c '
import socket, sys
host, port = sys.argv[1].split("/")[2].rsplit(":", 1)
s = socket.create_connection((host, int(port)), 10)
s.sendall(b"GET /r HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
got = b""
while b"\r\n\r\n" not in got:
    got += s.recv(4096)
head, got = got.split(b"\r\n\r\n", 1)
assert b"101" in head and b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head, head
s.sendall(eval("b\"" + sys.argv[2] + "\""))
s.settimeout(10)
while True:
    k = s.recv(4096)
    if not k:
        break
    got += k
print(got.hex())
' "$addr" "$1"
}

@test "what one says the others of its room get, and nobody else" {
	serve server
	member alice r
	member bob r
	member carol q
	say alice '{"a":1}' '{"a":2}'
	say carol '{"c":1}'
	wait_until has_lines bob 2
	say bob ' { "b" : 1 } '
	wait_until has_lines alice 1
	release alice
	finish alice
	[ "$status" -eq 0 ]
	[ "$(lines_of alice)" = ' { "b" : 1 } ' ]
	[ "$(lines_of bob)" = $'{"a":1}\n{"a":2}' ]
	[ -z "$(lines_of carol)" ]
	wait_event server signal.left '.reason == "ok" and .room == "r" and .peers == 1'
	has_event server signal.joined '.room == "q" and .peers == 1'
}

@test "who comes late gets what those who are there have said, and not what those who left have" {
	serve server
	member alice r
	member bob r
	say alice '{"a":1}'
	wait_until has_lines bob 1
	say bob '{"b":1}'
	wait_until has_lines alice 1
	run snet-signal --recv-only --count 2 "$addr/r"
	[ "$status" -eq 0 ]
	[ "$output" = $'{"a":1}\n{"b":1}' ]
	release alice
	finish alice
	run snet-signal --recv-only --count 1 "$addr/r"
	[ "$output" = '{"b":1}' ]
}

@test "without --replay nothing is kept" {
	serve server --replay 0
	member alice r
	say alice '{"a":1}'
	wait_until eval 'curl -sf "$http/metrics" | grep -qx "snet_received_messages_total 1"'
	member bob r
	say alice '{"a":2}'
	wait_until has_lines bob 1
	[ "$(lines_of bob)" = '{"a":2}' ]
}

@test "two filters talk through a room, thousands of lines each way" {
	serve server --queue 64k
	seq 20000 | sed 's/.*/{"a":&}/' >"$BATS_TEST_TMPDIR/a"
	seq 20000 | sed 's/.*/{"b":&}/' >"$BATS_TEST_TMPDIR/b"
	# Neither may leave before the other has heard everything.
	hold there
	start_ready_at there snet-signal "$addr/r" <"$in"
	hold here
	start here snet-signal "$addr/r" <"$in"
	wait_event server signal.joined '.peers == 2'
	cat "$BATS_TEST_TMPDIR/b" >&"${held[there]}" &
	cat "$BATS_TEST_TMPDIR/a" >&"${held[here]}" &
	wait_until cmp -s "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/there.out"
	wait_until cmp -s "$BATS_TEST_TMPDIR/b" "$BATS_TEST_TMPDIR/here.out"
	quit there
	quit here
}

@test "a pipe waits for its server, and says so only when asked" {
	ports 1
	hold early
	start early snet-signal -v -w 20s "ws://127.0.0.1:$port/r" <"$in"
	wait_until grep -q 'waiting for=' "$BATS_TEST_TMPDIR/early.err"
	start_ready late snet-signal --listen "127.0.0.1:$port"
	wait_until grep -q 'signal.joined room=r' "$BATS_TEST_TMPDIR/early.err"
	release early
	finish early
	[ "$status" -eq 0 ]
	[ -z "$(lines_of early)" ]
	run --separate-stderr snet-signal -w 0 "ws://127.0.0.1:1/r"
	[ "$status" -eq 4 ]
	[[ $stderr == *"127.0.0.1:1"* ]]
}

@test "a pipe that may take for ever takes no longer than any" {
	serve server
	run --separate-stderr snet-signal -q -t never -w 0 "$addr/r" <<<'{"a":1}'
	[ "$status" -eq 0 ]
}

@test "a server that dies is a lost peer, one that ends says so" {
	serve server
	member alice r
	kill -KILL "${pid[server]}"
	finish alice
	[ "$status" -eq 6 ]
	finish server
	serve server2
	member bob r
	quit server2
	[ "$status" -eq 0 ]
	finish bob
	[ "$status" -eq 6 ]
	grep -q 'the server ends' "$BATS_TEST_TMPDIR/bob.err"
}

@test "a member that falls silent is sent away" {
	serve server --keep-alive 50ms
	member alice r
	kill -STOP "${pid[alice]}"
	wait_event server signal.left '.reason == "timeout"'
	kill -CONT "${pid[alice]}"
	finish alice
	[ "$status" -eq 6 ]
}

@test "a server that falls silent is left" {
	serve server
	hold alice
	start_ready_at alice snet-signal --keep-alive 50ms "$addr/r" <"$in"
	kill -STOP "${pid[server]}"
	finish alice
	kill -CONT "${pid[server]}"
	[ "$status" -eq 6 ]
	grep -q 'fallen silent' "$BATS_TEST_TMPDIR/alice.err"
}

# As when a machine stands still: nothing waits to be read, and nobody is gone.
@test "whoever was asleep takes nobody for gone" {
	serve server --keep-alive 700ms
	hold alice
	start_ready_at alice snet-signal --keep-alive 700ms "$addr/r" <"$in"
	hold other
	start_ready_at other snet-signal --keep-alive 1100ms "$addr/r" <"$in"
	kill -STOP "${pid[alice]}" "${pid[server]}"
	finish other # for which both are silent for too long
	[ "$status" -eq 6 ]
	kill -CONT "${pid[alice]}" "${pid[server]}"
	member bob r
	say bob '{"b":1}'
	wait_until has_lines alice 1
	run ! has_event server signal.left '.reason == "timeout"'
}

@test "a room in which nobody speaks is over" {
	serve server --ttl 200ms
	member alice r
	finish alice
	[ "$status" -eq 6 ]
	grep -q 'nothing was said for too long' "$BATS_TEST_TMPDIR/alice.err"
}

@test "without a token of the file nobody comes in" {
	(umask 077; printf 'alice-token\nbob-token\n' >"$BATS_TEST_TMPDIR/tokens"; echo bob-token >"$BATS_TEST_TMPDIR/bob"
		echo eve >"$BATS_TEST_TMPDIR/eve")
	serve server --token-file "$BATS_TEST_TMPDIR/tokens"
	run snet-signal -w 0 "$addr/r"
	[ "$status" -eq 5 ]
	[[ $output == *"a token is wanted"* ]]
	run snet-signal --token-file "$BATS_TEST_TMPDIR/eve" "$addr/r"
	[ "$status" -eq 5 ]
	wait_event server refused '.reason == "identity_refused"'
	run snet-signal --token-file "$BATS_TEST_TMPDIR/bob" "$addr/r"
	[ "$status" -eq 0 ]
	run curl -s -o /dev/null -w '%{http_code}' -H 'Upgrade: websocket' -H 'Connection: Upgrade' \
		-H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' "$http/r?token=no"
	[ "$output" = 401 ]
	start let-in curl -s -m 60 -o /dev/null -D - --http1.1 -H 'Upgrade: websocket' -H 'Connection: Upgrade' \
		-H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' "$http/r?token=alice-token"
	wait_until grep -q '^HTTP/1.1 101 ' "$BATS_TEST_TMPDIR/let-in.out"
	quit let-in
	run grep -rl 'alice-token\|bob-token' "$BATS_TEST_TMPDIR"/server.out "$BATS_TEST_TMPDIR"/server.err
	[ "$status" -eq 1 ]
}

@test "a token file that is not its owner's alone, or holds none, is refused" {
	echo token >"$BATS_TEST_TMPDIR/open"
	chmod 644 "$BATS_TEST_TMPDIR/open"
	run snet-signal --listen 127.0.0.1:0 --token-file "$BATS_TEST_TMPDIR/open"
	failed_with 3 config
	(umask 077; : >"$BATS_TEST_TMPDIR/empty")
	run snet-signal --listen 127.0.0.1:0 --token-file "$BATS_TEST_TMPDIR/empty"
	failed_with 3 config
}

comes_too_often() {
	run snet-signal "$addr/r"
	[ "$status" -eq 10 ] && [[ $output == *"too many joins"* ]]
}

@test "full rooms, full servers and eager addresses are refused" {
	serve server --max-members 2 --max-rooms 2 --per-address 3 --joins 7
	member alice r
	member bob r
	run snet-signal "$addr/r"
	[ "$status" -eq 10 ]
	[[ $output == *"the room is full"* ]]
	member carol q
	run snet-signal "$addr/p"
	[ "$status" -eq 10 ]
	[[ $output == *"too many members at this address"* ]]
	release carol
	finish carol
	wait_event server signal.left '.room == "q"'
	hold dave
	start_ready_at dave snet-signal "$addr/q" <"$in"
	release bob
	finish bob
	wait_event server signal.left '.room == "r"'
	run snet-signal "$addr/p"
	[ "$status" -eq 10 ]
	[[ $output == *"too many rooms"* ]]
	wait_until comes_too_often # a busy machine may be slow enough for one join more
	wait_event server refused '.reason == "policy"'
}

@test "lines that are no JSON objects are named and not sent, and the others are" {
	serve server
	member alice r
	run --separate-stderr snet-signal "$addr/r" <<<$'{"a":1}\n\nnonsense\n[1]\n{"a":2}'
	[ "$status" -eq 8 ]
	[ -z "$output" ]
	[[ $stderr == *"line 3: not a JSON object"*"line 4: not a JSON object"* ]]
	wait_until has_lines alice 2
	[ "$(lines_of alice)" = $'{"a":1}\n{"a":2}' ]
	run --separate-stderr snet-signal --max-message 64 "$addr/r" <<<"{\"a\":\"$(printf '%0100d' 0)\"}"
	[ "$status" -eq 8 ]
}

@test "strangers are told what they did wrong, and the room lives on" {
	serve server --max-message 1k
	member alice r
	[ "$(stranger '\x81\x02{}' | cut -c 1-2,5-8)" = 8803ea ]                        # not masked: 1002
	[ "$(stranger '\x82\x82\0\0\0\0{}' | cut -c 1-2,5-8)" = 8803eb ]                # binary: 1003
	[ "$(stranger '\x81\x82\0\0\0\0no' | cut -c 1-2,5-8)" = 8803ef ]                # no JSON: 1007
	[ "$(stranger '\x81\x82\0\0\0\0\xc3(' | cut -c 1-2,5-8)" = 8803ef ]             # no UTF-8: 1007
	[ "$(stranger '\x81\xff\0\0\0\0\1\0\0\0\0\0\0\0{' | cut -c 1-2,5-8)" = 8803f1 ]  # 16 MiB: 1009
	[ "$(stranger '\x89\xfe\0\x7e\0\0\0\0')" = 8800 ]                               # an oversize ping: no code
	[ "$(stranger '\x88\x82\0\0\0\0\x03\xe8')" = 880203e8 ]                         # a farewell: answered
	member bob r
	say bob '{"b":1}'
	wait_until has_lines alice 1
	[ "$(lines_of alice)" = '{"b":1}' ]
	curl -sf "$http/metrics" | grep -qx 'snet_input_errors_total 6'
}

@test "who does not read makes the room wait, and then leaves it" {
	serve server --queue 64k --timeout 3s
	member alice r
	hold slow
	start_ready_at slow snet-signal "$addr/r" <"$in"
	kill -STOP "${pid[slow]}"
	line="{\"a\":\"$(printf '%01000d' 0)\"}"
	yes "$line" | head -n 20000 >"$BATS_TEST_TMPDIR/many"
	start eager snet-signal "$addr/r" <"$BATS_TEST_TMPDIR/many"
	wait_event server signal.left '.reason == "policy"'
	finish eager
	[ "$status" -eq 0 ]
	wait_until has_lines alice 20000
	cmp "$BATS_TEST_TMPDIR/many" "$BATS_TEST_TMPDIR/alice.out"
	kill -CONT "${pid[slow]}"
	finish slow
	[ "$status" -eq 6 ]
}

@test "the status page tells how many, and no names where names let people in" {
	serve server
	member alice secret-room
	run curl -sf "$http/"
	[ "$status" -eq 0 ]
	[[ $output == *"1 rooms, 1 members"* ]]
	[[ $output != *secret-room* ]]
	run curl -s -o /dev/null -w '%{http_code}' "$http/secret-room"
	[ "$output" = 426 ]
	run curl -s -o /dev/null -w '%{http_code}' -X POST -d x "$http/"
	[ "$output" != 200 ]
	run curl -sf "$http/metrics"
	[[ $output == *$'\nsnet_signal_rooms 1'* ]]
	[[ $output == *$'\nsnet_peers 1'* ]]
	(umask 077; echo token >"$BATS_TEST_TMPDIR/token")
	serve guarded --token-file "$BATS_TEST_TMPDIR/token"
	member bob named --token-file "$BATS_TEST_TMPDIR/token"
	run curl -sf "$http/"
	[[ $output == *"<td>named</td>"* ]]
	[[ $output != *token* ]]
}

@test "over TLS a server proves itself by its certificate" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$BATS_TEST_TMPDIR/key" \
		-out "$BATS_TEST_TMPDIR/cert" 2>/dev/null
	chmod 600 "$BATS_TEST_TMPDIR/key"
	serve server --cert "$BATS_TEST_TMPDIR/cert" --key "$BATS_TEST_TMPDIR/key"
	[[ $addr == wss://127.0.0.1:* ]]
	member alice r --ca "$BATS_TEST_TMPDIR/cert"
	run snet-signal --ca "$BATS_TEST_TMPDIR/cert" "$addr/r" <<<'{"b":1}'
	[ "$status" -eq 0 ]
	wait_until has_lines alice 1
	seq 20000 | sed 's/.*/{"a":&}/' >"$BATS_TEST_TMPDIR/many"
	run snet-signal --ca "$BATS_TEST_TMPDIR/cert" "$addr/r" <"$BATS_TEST_TMPDIR/many"
	[ "$status" -eq 0 ]
	wait_until has_lines alice 20001
	sed 1d "$BATS_TEST_TMPDIR/alice.out" | cmp - "$BATS_TEST_TMPDIR/many"
	run snet-signal -w 0 "$addr/r"
	[ "$status" -eq 5 ]
	release alice
	finish alice
	[ "$status" -eq 0 ]
	chmod 644 "$BATS_TEST_TMPDIR/key"
	run snet-signal --listen 127.0.0.1:0 --cert "$BATS_TEST_TMPDIR/cert" --key "$BATS_TEST_TMPDIR/key"
	failed_with 3 bad_key
	echo nonsense >"$BATS_TEST_TMPDIR/key"
	chmod 600 "$BATS_TEST_TMPDIR/key"
	run snet-signal --listen 127.0.0.1:0 --cert "$BATS_TEST_TMPDIR/cert" --key "$BATS_TEST_TMPDIR/key"
	failed_with 3 bad_key
}

@test "the WebSockets of Python are members like any" {
	websockets
	serve server
	member alice r
	start python /usr/bin/python3 -c '
import asyncio, sys, websockets
async def main():
    async with websockets.connect(sys.argv[1]) as ws:
        await ws.send("{\"p\":\n1}")
        await ws.send(iter(["{\"fragments\"", ":2}"]))
        print(await ws.recv(), flush=True)
        await (await ws.ping())
        try:
            await ws.send(b"\0")
            await ws.recv()
        except websockets.ConnectionClosed as e:
            print(e.rcvd.code)
asyncio.run(main())' "$addr/r"
	wait_until has_lines alice 2
	[ "$(lines_of alice)" = $'{"p": 1}\n{"fragments":2}' ]
	say alice '{"a":1}'
	finish python
	[ "$status" -eq 0 ]
	[ "$(lines_of python)" = $'{"a":1}\n1003' ]
}

@test "the pipe is a client of Python's server" {
	websockets
	start python /usr/bin/python3 -c '
import asyncio, websockets
async def room(ws, path=None):
    async for line in ws:
        await ws.send(line)
async def main():
    async with websockets.serve(room, "127.0.0.1", 0, compression=None) as s:
        print(s.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()
asyncio.run(main())'
	wait_until test -s "$BATS_TEST_TMPDIR/python.out"
	run --separate-stderr snet-signal --keep-open --count 2 "ws://127.0.0.1:$(lines_of python)/r" <<<$'{"a":1}\n{"a":2}'
	[ "$status" -eq 0 ]
	[ "$output" = $'{"a":1}\n{"a":2}' ]
}

@test "wrong command lines are told" {
	for args in "" "h:1/r" "ws://127.0.0.1:1" "ws://127.0.0.1:1/r?token=x" "ws://127.0.0.1:1/a ws://127.0.0.1:1/b" \
		"--listen :0 ws://127.0.0.1:1/r" "--listen :0 --keep-open" "--listen 127.0.0.1:0 --cert x" \
		"--max-rooms 3 ws://127.0.0.1:1/r" "-H ws://127.0.0.1:1/r" "--listen http://127.0.0.1:0"; do
		# shellcheck disable=SC2086 # a list
		run snet-signal $args
		[ "$status" -eq 2 ] || { echo "$args: $status $output"; return 1; }
	done
	serve server
	run snet-signal --listen "${addr#ws://}"
	failed_with 4 cannot_bind
}

@test "it listens at a name, which is looked up without being in the way of a signal" {
	name_server
	# shellcheck disable=SC2317,SC2034 # called by listens_at_names
	at() { command=(snet-signal --listen "$1:0"); }
	listens_at_names at
}
