"""The figures of scripts/bench about ICE: how long two agents take to a pair, ours and others of tests/interop,
on loopback and through two NATs of scripts/natlab; and what QUIC carries on the pair.

The clock begins when both agents have said their credentials: by then all of them have been loaded, and none has sent
anything but to its own servers. It ends when both have selected a pair. A sampler takes the median of PAIRS pairs."""

import contextlib
import json
import os
import selectors
import statistics
import subprocess
import sys
import time

from pipe_figures import transfer
from stage import GIB, Failed, Stage

PAIRS = 20
PATIENCE_S = 20  # of one pair
DEAD = "203.0.113.99:3478"  # is routed nowhere in the lab
PYTHON = "/usr/bin/python3"  # Debian's, wherever another stands first
ROLES = ("controlling", "controlled")


# ---- agents: what to run, from a role, an address to bind to or None, and STUN servers


def snet(bench, role, bind, stun):
    argv = [bench.program("snet-ice"), "--role", role, *(["--bind", bind] if bind else [])]
    return argv + [word for server in stun for word in ("--stun", server)]


def others(argv, role, bind, stun):
    if len(stun) > 1:
        raise Failed("these agents know one server")
    return [*argv, "--role", role, *(["--bind", bind] if bind else []), *(["--stun", *stun] if stun else [])]


def nice(bench, *what):
    """With aggressive nomination, which is its default, and the faster."""
    return others([bench.program("tests/interop/nice_peer"), "--aggressive"], *what)


def aioice(_, *what):
    if subprocess.run([PYTHON, "-c", "import aioice"], check=False, capture_output=True).returncode:
        raise Failed("aioice is not here: scripts/bootstrap --test installs python3-aioice")
    peer = os.path.join(os.path.dirname(__file__), "..", "interop", "aioice_peer.py")
    return others([PYTHON, peer], *what)


# ---- two of them


class Side:
    """What one has said, and to whom it goes."""

    def __init__(self, process):
        self.process, self.hears = process, process.stdin.fileno()
        self.rest = b""
        self.spoke = self.selected = None

    def read(self, other):
        part = os.read(self.process.stdout.fileno(), 65536)
        if not part:
            return False
        now = time.monotonic()
        with contextlib.suppress(BrokenPipeError):
            os.write(other.hears, part)
        *lines, self.rest = (self.rest + part).split(b"\n")
        self.spoke = self.spoke or now
        if not self.selected and any(b'"ice.selected"' in line for line in lines):
            self.selected = now
        return True


def select_pair(bench, commands):
    """Seconds until both have a pair: from when they have spoken, and from when they were started."""
    with Stage(bench) as stage, selectors.DefaultSelector() as selector:
        begin = time.monotonic()
        a, b = (Side(stage.spawn(argv, n, subprocess.PIPE, subprocess.PIPE)) for n, argv in enumerate(commands))
        for side, other in ((a, b), (b, a)):
            selector.register(side.process.stdout, selectors.EVENT_READ, (side, other))
        while not (a.selected and b.selected):
            ready = selector.select(max(0, begin + PATIENCE_S - time.monotonic()))
            if not ready:
                raise Failed(f"{commands[0][0]}: no pair within {PATIENCE_S} s")
            for key, _ in ready:
                side, other = key.data
                if not side.read(other):
                    raise Failed(f"{side.process.args}: has ended: {stage.words(side.process).strip()[-400:]}")
        end = max(a.selected, b.selected)
        return end - max(a.spoke, b.spoke), end - begin


def median_of_pairs(bench, name, commands):
    times = [select_pair(bench, commands) for _ in range(PAIRS)]
    spoken, started = zip(*times)
    return {name: statistics.median(spoken), name + "-started": statistics.median(started)}


def on_loopback(name, agent):
    def run(bench):
        return median_of_pairs(bench, name, [agent(bench, role, "127.0.0.1", []) for role in ROLES])

    return run


# ---- the lab: one for all runs


class Lab:
    """Two hosts behind port-restricted NATs, and a STUN server, as scripts/natlab has them."""

    def __init__(self, bench):
        if os.geteuid():
            raise Failed("two NATs want root, for network namespaces")
        self.script = os.path.join(os.path.dirname(__file__), "..", "..", "scripts", "natlab")
        self.env = {**bench.env, "SNET_BIN": bench.build, "TMPDIR": bench.dir}
        self.name = self.call("up", "port-restricted", "port-restricted").split(" ", 1)[0]
        bench.stack.callback(self.down)
        self.stun = "203.0.113.1:3478"  # snet-stun
        self.ip("pub", "route", "add", "blackhole", DEAD.partition(":")[0])

    def call(self, *words):
        # A file: what it leaves in the background might hold a pipe open.
        with open(os.path.join(self.env["TMPDIR"], "natlab.out"), "w+", encoding="utf8") as f:
            status = subprocess.run([self.script, *words], check=False, env=self.env, stdout=f, stderr=f).returncode
            f.seek(0)
            text = f.read()
        if status:
            raise Failed(f"natlab: {text.strip()[-400:]}")
        return text

    def down(self):
        try:
            self.call("down", self.name)
        except Failed as why:  # what was measured holds all the same
            print(f"bench: {why}", file=sys.stderr)

    def must(self, *argv):
        ran = subprocess.run(argv, check=False, capture_output=True, text=True)
        if ran.returncode:
            raise Failed(f"{' '.join(argv)}: {ran.stderr.strip()}")

    def ip(self, side, *words):
        self.must("ip", "-n", f"{self.name}-{side}", *words)

    def commands(self, bench, agent, stun):
        def within(side, role):
            return ["ip", "netns", "exec", f"{self.name}-{side}", *agent(bench, role, None, stun)]

        return [within(side, role) for side, role in zip("ab", ROLES)]

    @contextlib.contextmanager
    def dead_interface(self):
        """Of one host, with an address from which nothing gets anywhere."""
        self.ip("a", "link", "add", "dead0", "type", "veth", "peer", "name", "nobody")
        try:
            self.ip("a", "addr", "add", "10.99.0.1/24", "dev", "dead0")
            self.ip("a", "link", "set", "dead0", "up")
            self.ip("a", "link", "set", "nobody", "up")
            # Or it would leave by the other, whose NAT gives a port of the host's to one address alone.
            self.ip("a", "route", "add", "default", "dev", "dead0", "table", "99")
            self.ip("a", "rule", "add", "from", "10.99.0.1", "lookup", "99")
            yield
        finally:
            self.ip("a", "link", "del", "dead0")
            with contextlib.suppress(Failed):
                self.ip("a", "rule", "del", "lookup", "99")


def lab_of(bench):
    if not getattr(bench, "lab", None):
        bench.lab = Lab(bench)
    return bench.lab


def through_nats(name, agent):
    def run(bench):
        lab = lab_of(bench)
        return median_of_pairs(bench, name, lab.commands(bench, agent, [lab.stun]))

    return run


def run_dead_server(bench):
    """The server that does not answer stands before the one that does."""
    lab = lab_of(bench)
    return median_of_pairs(bench, "ice-dead-server", lab.commands(bench, snet, [DEAD, lab.stun]))


def run_dead_interface(bench):
    lab = lab_of(bench)
    with lab.dead_interface():
        return median_of_pairs(bench, "ice-dead-interface", lab.commands(bench, snet, [lab.stun]))


# ---- QUIC, from the first byte that has arrived to the last


def goodput(name, address_of, more=()):
    def run(bench):
        with Stage(bench) as stage:
            _, got = transfer(bench, ("raw", GIB), "raw", None, address=address_of(bench, stage), more=more)
        if got["bytes"] != GIB:
            raise Failed(f"{name}: {got['bytes']} bytes arrived, not {GIB}")
        return {name: GIB * 1e9 / (got["end_ns"] - got["start_ns"])}

    return run


def room(bench, stage):
    r, w = os.pipe()
    argv = [bench.program("snet-signal"), "-q", "--listen", "127.0.0.1:0", "--ready-fd", str(w)]
    server = stage.spawn(argv, stdout=subprocess.PIPE, pass_fds=(w,))
    stage.expect_ready(r, server, "snet-signal")
    listening = json.loads(server.stdout.readline())
    return f"ice+{listening['address']}/bench"


run_nat = through_nats("ice-nat", snet)

SAMPLERS = {
    "ice-host": on_loopback("ice-host", snet),
    "ice-host-nice": on_loopback("ice-host-nice", nice),
    "ice-host-aioice": on_loopback("ice-host-aioice", aioice),
    "ice-nat": run_nat,
    "ice-nat-started": run_nat,
    "ice-nat-nice": through_nats("ice-nat-nice", nice),
    "ice-nat-aioice": through_nats("ice-nat-aioice", aioice),
    "ice-dead-server": run_dead_server,
    "ice-dead-interface": run_dead_interface,
    "ice-raw": goodput("ice-raw", room, ("--iface", "lo")),  # of the same MTU as the other
    "plain-raw": goodput("plain-raw", lambda bench, stage: None),
}
