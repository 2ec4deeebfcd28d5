"""The figures of the mesh: parties of snet-party, each a process with its own key. Each sampler makes one run and
returns {figure: value}."""

import contextlib
import json
import os
import selectors
import socket
import statistics
import subprocess
import tempfile
import time

from pipe_figures import SMALL, one_program
from stage import DEADLINE_S, GIB, MIB, Failed, Stage, cpu_ns, free_ports, pipe, poll_until, resident_kb

ROUNDS_PARTIES = 3
PARTIES = 5
SMALL_EACH, JSON_EACH = 400_000, 100_000  # messages from each party to each other
MANY = 50
MANY_CONNECTIONS = MANY * (MANY - 1) // 2
BARE = 1000  # handshakes of the yardstick
EVENTS = 64  # lines of a party's own in format json, at most
KILLS, QUIET_S = 3, 0.3  # of the connection; of untroubled traffic around them
GAP_S = 0.002  # between two messages one way
DEAD_AFTER = "1s"


class Net:
    """A roster of n parties on loopback, and those of them that were started."""

    def __init__(self, stage, n, ports=None):
        self.stage, self.n = stage, n
        self.ports = ports or free_ports(n)
        self.dir = tempfile.mkdtemp(dir=stage.bench.dir)
        at = [word for port in self.ports for word in ("--at", f"127.0.0.1:{port}")]
        argv = [stage.bench.program("snet-keygen"), "--net", str(n), "-d", os.path.join(self.dir, "net"), *at]
        stage.finish(stage.spawn(argv), "snet-keygen")
        self.roster = os.path.join(self.dir, "net", "roster.json")
        self.parties, self.ready = [], []

    def start(self, options=(), cpu=None, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, roster=None):
        """The next party. Its stdin stays open unless another one is given."""
        r, w = os.pipe()
        argv = [self.stage.bench.program("snet-party"), "-i", str(len(self.parties)), "--ready-fd", str(w), *options]
        self.parties.append(self.stage.spawn([*argv, roster or self.roster], cpu, stdin, stdout, pass_fds=(w,)))
        self.ready.append(r)
        return self.parties[-1]

    def await_ready(self):
        for i, party in enumerate(self.parties):
            self.stage.expect_ready(self.ready[i], party, f"party {i}")

    def finish(self):
        """No more comes from those whose stdin is ours, and all end well."""
        for party in self.parties:
            if party.stdin:
                party.stdin.close()
        for i, party in enumerate(self.parties):
            self.stage.finish(party, f"party {i}")


def run_party_rounds(bench):
    """Party and program i share processor i, as does party i of tcp-rounds."""
    with Stage(bench) as stage:
        net = Net(stage, ROUNDS_PARTIES)
        programs = []
        for i in range(net.n):
            out, into = os.pipe()
            back, back_into = os.pipe()
            net.start(["-f", "addressed"], i, back, into)
            argv = [bench.tool("party-rounds"), "-i", str(i), "-p", str(net.n)]
            programs.append(stage.spawn(argv, i, out, back_into))
        for program in programs:
            stage.finish(program, "party-rounds")
        net.await_ready()
        net.finish()
        return {"party-rounds": json.loads(stage.words(programs[0]))["per_second"]}


def run_party_stream(bench):
    """From the moment all parties are connected to the last byte out of party 1's pipe."""
    with Stage(bench) as stage:
        net = Net(stage, PARTIES)
        from_feed, into_net = pipe()
        out, into = pipe()
        net.start(["-f", "addressed"], 0, from_feed)
        net.start(["-f", "addressed"], 1, stdout=into)
        drain = stage.spawn([bench.tool("pipe-feed"), "drain"], stdin=out, stdout=subprocess.PIPE)
        while len(net.parties) < net.n:
            net.start(["-f", "addressed"])
        net.await_ready()
        begin = time.monotonic_ns()
        argv = [bench.tool("pipe-feed"), "addressed", str(GIB // MIB), str(MIB), "1"]
        stage.finish(stage.spawn(argv, stdout=into_net), "pipe-feed")
        net.finish()
        got = stage.report(drain, "drain")
    if got["bytes"] != GIB + GIB // MIB * 8:
        raise Failed(f"party-stream: {got['bytes']} bytes arrived")
    return {"party-stream": (GIB + GIB // MIB * 4) * 1e9 / (got["end_ns"] - begin)}


def all_to_all(bench, form, each, options):
    """Every party sends to each of the others in turn. Seconds from the moment all are connected to the last byte out
    of the last pipe; and what came out of each."""
    with Stage(bench) as stage:
        net = Net(stage, PARTIES)
        drains, inputs = [], []
        for _ in range(net.n):
            from_feed, into_net = pipe()
            out, into = pipe()
            net.start(["-f", form, *options], None, from_feed, into)
            argv = [bench.tool("pipe-feed"), "drain", *(["-l"] if form == "json" else [])]
            drains.append(stage.spawn(argv, stdin=out, stdout=subprocess.PIPE))
            inputs.append(into_net)
        net.await_ready()
        begin = time.monotonic_ns()
        for i, into_net in enumerate(inputs):
            to = "".join(str(other) for other in range(net.n) if other != i)
            argv = [bench.tool("pipe-feed"), form, str(each * len(to)), str(SMALL), to]
            stage.spawn(argv, stdout=into_net)
        net.finish()
        got = [stage.report(drain, "drain") for drain in drains]
    return (max(one["end_ns"] for one in got) - begin) / 1e9, got


def run_party_small(bench):
    seconds, got = all_to_all(bench, "addressed", SMALL_EACH, ["--mtu", "1452"])
    count = SMALL_EACH * (PARTIES - 1)
    if any(one["bytes"] != count * (SMALL + 8) for one in got):
        raise Failed(f"party-small: {[one['bytes'] for one in got]} bytes arrived")
    return {"party-small": count * PARTIES * (SMALL + 4) / seconds}  # bytes of the framed pipe, to compare


def run_party_json(bench):
    seconds, got = all_to_all(bench, "json", JSON_EACH, [])
    count = JSON_EACH * (PARTIES - 1)
    if any(not count <= one["lines"] <= count + EVENTS for one in got):
        raise Failed(f"party-json: {[one['lines'] for one in got]} lines arrived for {count} messages each")
    return {"party-json": count * PARTIES / seconds}


def settled_kb(net):
    """Resident memory of all parties, once the handshakes' share of it has been given back: unchanged for a second."""
    last, since = None, time.monotonic()

    def same():
        nonlocal last, since
        now = sum(resident_kb(party.pid) for party in net.parties)
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since > 1

    poll_until("idle parties", 20, same)
    return last


def start_net(bench, n):
    """Processor time of n parties from their start until all are ready, and their resident memory when idle."""
    with Stage(bench) as stage:
        net = Net(stage, n)
        for _ in range(n):
            net.start()
        net.await_ready()
        spent = sum(cpu_ns(party.pid) - party.fork_ns for party in net.parties)
        resident = settled_kb(net)
        net.finish()
    return spent / 1e9, resident


def bare_handshake(bench):
    """Processor time of one, on as many processors as the net has: one is not as fast while the other is busy."""
    with Stage(bench) as stage:
        argv = [bench.tool("tls-handshakes"), "-n", str(BARE)]
        both = [stage.spawn(argv, cpu, stdout=subprocess.PIPE) for cpu in (0, 1)]
        return statistics.mean(stage.report(one, "tls-handshakes")["cpu_us"] for one in both) / 1e6


def run_party_many(bench):
    """With the yardstick before and after, as a machine's speed changes from second to second; and a net first that is
    not counted, as the yardstick has handshakes that are not: it finds memory that has been used already."""
    start_net(bench, MANY)
    before = bare_handshake(bench)
    spent, many = start_net(bench, MANY)
    after = bare_handshake(bench)
    _, two = start_net(bench, 2)
    return {
        "party-start": spent / MANY_CONNECTIONS,
        "party-tls": (before + after) / 2,
        "party-rss": (many / MANY - two / 2) / (MANY - 2),
    }


# ---- a connection that is lost, and the network is not


class Relay:
    """One UDP address that stands for another, which need not be bound yet or any more."""

    def __init__(self, port, selector):
        self.near, self.far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self.near.bind(("127.0.0.1", 0))
        self.far.bind(("127.0.0.1", 0))
        self.far.connect(("127.0.0.1", port))
        self.port = self.near.getsockname()[1]
        self.client, self.muted = None, False
        for s, fn in ((self.near, self.forth), (self.far, self.back)):
            s.setblocking(False)
            selector.register(s, selectors.EVENT_READ, fn)

    def forth(self):
        data, self.client = self.near.recvfrom(65536)
        if not self.muted:
            with contextlib.suppress(ConnectionRefusedError):
                self.far.send(data)

    def back(self):
        with contextlib.suppress(ConnectionRefusedError):
            data = self.far.recv(65536)
            if not self.muted:
                self.near.sendto(data, self.client)

    def close(self):
        self.near.close()
        self.far.close()


class Talk:
    """Two parties that know each other by relays' addresses, and a numbered message each way every 2 ms."""

    def __init__(self, stage):
        self.selector = selectors.DefaultSelector()
        self.net = Net(stage, 2)
        self.relays = [Relay(port, self.selector) for port in self.net.ports]
        self.sent, self.heard, self.heard_at = 0, [0, 0], [0.0, 0.0]
        self.down_at, self.rest = 0.0, [b"", b""]
        for i in range(2):
            out = self.net.start(
                ["-f", "json", "--payload", "text", "--dead-after", DEAD_AFTER],
                i,
                stdout=subprocess.PIPE,
                roster=self.roster_of(i),
            ).stdout
            os.set_blocking(out.fileno(), False)
            self.selector.register(out, selectors.EVENT_READ, lambda i=i, out=out: self.hear(i, out))

    def roster_of(self, i):
        """The other one is at its relay; addresses are no part of what the two must agree on."""
        path = f"{self.net.roster}.{i}"
        with open(self.net.roster, encoding="utf-8") as f:
            roster = json.load(f)
        for party in roster["parties"]:
            if party["id"] != i:
                party["address"] = f"quic://127.0.0.1:{self.relays[party['id']].port}"
        with open(path, "w", encoding="utf-8") as f:
            json.dump(roster, f)
        return path

    def hear(self, i, out):
        data = out.read()
        if data == b"":
            self.selector.unregister(out)
        *lines, self.rest[i] = (self.rest[i] + (data or b"")).split(b"\n")
        for line in lines:
            event = json.loads(line)
            if event["event"] == "peer.down":
                self.down_at = time.monotonic()
            if event["event"] != "message":
                continue
            if event["text"] != str(self.heard[i]):
                raise Failed(f"party {i}: message {event['text']} came in place of {self.heard[i]}")
            self.heard[i] += 1
            self.heard_at[i] = time.monotonic()

    def go_on_until(self, what, done, talking=True):
        """Carries everything between the two, and has them talk, until it is done."""
        end, due = time.monotonic() + DEADLINE_S, time.monotonic()
        while not done():
            now = time.monotonic()
            if now > end:
                raise Failed(f"{what}: not within {DEADLINE_S} s")
            if talking and now >= due:
                due = now + GAP_S
                for i, party in enumerate(self.net.parties):
                    os.write(party.stdin.fileno(), b'{"to":%d,"text":"%d"}\n' % (1 - i, self.sent))
                self.sent += 1
            for key, _ in self.selector.select(GAP_S / 2):
                key.data()

    def kill(self):
        """Nothing passes until one party has seen that the connection is lost, everything after that. Seconds from
        then until each has had a message: the later of the two."""
        self.down_at = 0.0
        for relay in self.relays:
            relay.muted = True
        self.go_on_until("peer.down", lambda: self.down_at)
        for relay in self.relays:
            relay.muted = False
        begin = self.down_at
        self.go_on_until("a message", lambda: min(self.heard_at) > begin)
        first = list(self.heard_at)
        return max(first) - begin

    def close(self):
        for relay in self.relays:
            relay.close()
        self.selector.close()


def run_party_reconnect(bench):
    """The worst of several losses in one run. Nothing may be missing, double or out of order at the end."""
    with Stage(bench) as stage:
        talk = Talk(stage)
        try:
            talk.go_on_until("first messages", lambda: min(talk.heard))
            gaps = []
            for _ in range(KILLS):
                begin = time.monotonic()
                talk.go_on_until("quiet", lambda begin=begin: time.monotonic() - begin > QUIET_S)
                gaps.append(talk.kill())
            talk.go_on_until("the last messages", lambda: min(talk.heard) == talk.sent, talking=False)
            for party in talk.net.parties:
                party.stdin.close()
            ended = [party.poll for party in talk.net.parties]
            talk.go_on_until("the end", lambda: None not in [poll() for poll in ended], talking=False)
            talk.net.finish()
        finally:
            talk.close()
    return {"party-reconnect": max(gaps)}


SAMPLERS = {
    "party-rounds": run_party_rounds,
    "tcp-rounds": one_program("tcp-rounds", "per_second"),
    "party-stream": run_party_stream,
    "party-small": run_party_small,
    "party-json": run_party_json,
    "party-start": run_party_many,
    "party-tls": run_party_many,
    "party-rss": run_party_many,
    "party-reconnect": run_party_reconnect,
}
