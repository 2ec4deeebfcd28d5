"""The figures of snet-link: how many datagrams it forwards, what it costs those who speak through it, and how close it
keeps to what it was asked for. Each sampler makes one run and returns {figure: value}."""

import contextlib
import json
import os
import random
import socket
import subprocess
import tempfile
import time

from stage import GIB, Failed, Stage, free_ports, pipe, poll_until, resident_kb

FLOOD, ROUNDS = 200_000, 10_000
RATES = (1000, 7000, 50_000)  # datagrams per second
DELAYS_MS = (20, 50, 100)
PARTIES = 100
WAYS = PARTIES * (PARTIES - 1)


def start_link(stage, options, cpu=1):
    """The load is on processor 0. A link beside it would stop it in the middle of a call that sends."""
    r, w = os.pipe()
    argv = [stage.bench.program("snet-link"), "-q", "--ready-fd", str(w), *map(str, options)]
    process = stage.spawn(argv, cpu, pass_fds=(w,))
    stage.expect_ready(r, process, "snet-link")
    return process


@contextlib.contextmanager
def a_link(bench, *options):
    """A link from the first port to the second: (stage, first, second)."""
    inside, outside = free_ports(2)
    with Stage(bench) as stage:
        ends = ["--listen", f"127.0.0.1:{inside}", "--to", f"127.0.0.1:{outside}"]
        start_link(stage, [*ends, *options])
        yield stage, inside, outside


def load(stage, mode, stdin=subprocess.DEVNULL, **options):
    words = [str(word) for name, value in options.items() for word in ("-" + name, value)]
    argv = [stage.bench.tool("link-load"), mode, *words]
    return stage.report(stage.spawn(argv, stdin=stdin, stdout=subprocess.PIPE), f"link-load {mode}")


def paced(stage, lines, **options):
    with tempfile.TemporaryFile(mode="w+", dir=stage.bench.dir) as f:
        f.writelines(f"{port} {door} {to}\n" for port, door, to in lines)
        f.seek(0)
        return load(stage, "pace", stdin=f, **options)


def through(bench, options, per_second, count, delay_ms, size=200):
    """So many from a port of their own through a link like that."""
    with a_link(bench, "--delay", f"{delay_ms}ms", *options) as (stage, inside, outside):
        ways = [(free_ports(1)[0], inside, outside)]
        return paced(stage, ways, r=per_second, n=count, d=delay_ms * 1000, s=size)


# ---- what it costs


def run_forward(bench):
    with a_link(bench) as (stage, inside, outside):
        return {"link-forward": load(stage, "flood", p=inside, o=outside, n=FLOOD)["per_second"]}


def run_socat(bench):
    inside, outside = free_ports(2)
    with Stage(bench) as stage:
        argv = [bench.find("socat"), "-u", f"UDP4-RECV:{inside},bind=127.0.0.1", f"UDP4-SENDTO:127.0.0.1:{outside}"]
        process = stage.spawn(argv, 1)
        poll_until("socat", 10, lambda: bench.is_bound(inside) or process.poll() is not None)
        return {"socat": load(stage, "flood", p=inside, o=outside, n=FLOOD)["per_second"]}


def run_added(bench):
    """Both in one run, one after the other: what a wake-up costs changes from minute to minute."""
    with a_link(bench) as (stage, inside, outside):
        direct = load(stage, "ping", p=outside, o=outside, n=ROUNDS)["p50_us"]
        linked = load(stage, "ping", p=inside, o=outside, n=ROUNDS)["p50_us"]
    return {"link-added": max(linked - direct, 0), "link-direct": direct}


def run_bulk(bench):
    """As raw-auto of pipe_figures, with a link in between."""
    with Stage(bench) as stage:
        out, into = pipe()
        listener, port = stage.listen(["-f", "raw", "--recv-only"], stdout=into)
        inside = free_ports(1)[0]
        start_link(stage, ["--listen", f"127.0.0.1:{inside}", "--to", f"127.0.0.1:{port}"], None)
        drain = stage.spawn([bench.tool("pipe-feed"), "drain"], stdin=out, stdout=subprocess.PIPE)
        out, into = pipe()
        feeder = stage.spawn([bench.tool("pipe-feed"), "raw", str(GIB)], stdout=into)
        begin = time.monotonic_ns()
        argv = [bench.program("snet-send"), "-k", bench.keys[1], "--insecure", "-f", "raw", "--send-only"]
        sender = stage.spawn([*argv, f"quic://127.0.0.1:{inside}"], 0, out)
        for process, name in ((sender, "snet-send"), (feeder, "pipe-feed"), (listener, "snet-listen")):
            stage.finish(process, name)
        got = stage.report(drain, "drain")
    if got["bytes"] != GIB:
        raise Failed(f"link-bulk: {got['bytes']} bytes arrived, not {GIB}")
    return {"link-bulk": GIB * 1e9 / (got["end_ns"] - begin)}


# ---- how close it keeps


def run_delay(bench):
    worst = 0
    for delay in DELAYS_MS:
        for rate in RATES:
            got = through(bench, [], rate, rate, delay)
            check_pace(got, rate)
            worst = max(worst, got["error_p99_us"])
    return {"link-delay": worst}


def check_pace(got, rate, share=0.7):
    if got["sent_per_second"] < share * rate or got["unsure"] * 2 > got["got"]:
        raise Failed(f"link-load: {got['sent_per_second']} per second of {rate}, {got['unsure']} not known")
    if got["still"] * 3 > got["got"]:
        raise Failed(f"the machine itself stood still for {got['still']} of {got['got']}")


def run_rate(bench):
    """More than the rate lets pass, in datagrams of 1,000 bytes with their headers."""
    worst = 0
    for rate in RATES:
        bits = rate * 8000
        got = through(bench, ["--rate", f"{bits // 1000}kbit"], rate * 6 // 5, rate * 2, 20, size=972)
        check_pace(got | {"unsure": 0, "still": 0}, rate, 1.05)
        worst = max(worst, abs(got["bits_per_second"] / bits - 1))
    return {"link-rate": worst}


def run_loss(bench):
    """In deviations of chance. Bursts, of which there are fewer, have a larger one."""
    worst = 0
    for rate, count in zip(RATES, (4000, 14_000, 50_000)):
        for options, p, more in (
            (["--loss", "1%"], 0.01, 1),
            (["--loss-gemodel", "1%,25%"], 0.01 / 0.26, (2 - 0.26) / 0.26),
        ):
            got = through(bench, options, rate, count, 20)
            off = abs(got["sent"] - got["got"] - count * p)
            worst = max(worst, off / (count * p * (1 - p) * more) ** 0.5)
    return {"link-loss": worst}


def run_jitter(bench):
    """Of the mean and of the deviation, the worse: shares of the deviation that was asked for."""
    worst = 0
    for distribution, deviation in (("normal", 5000), ("uniform", 5000 / 3**0.5), ("pareto", 5000)):
        for rate, count in zip(RATES, (5000, 14_000, 50_000)):
            options = ["--jitter", "5ms", "--distribution", distribution]
            got = through(bench, options, rate, count, 50)
            off = max(abs(got["mean_us"] - 50_000), abs(got["deviation_us"] - deviation))
            worst = max(worst, off / deviation)
    return {"link-jitter": worst}


def fixed_ports(n):
    """So many in a row, below those that the system gives to whoever asks for any."""
    while True:
        first = random.randrange(10_000, 30_000)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + n):
                stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind(("127.0.0.1", port))
            return list(range(first, first + n))


def ports_of(path):
    with open(path, encoding="utf-8") as f:
        return [int(party["address"].rpartition(":")[2]) for party in json.load(f)["parties"]]


def run_mesh(bench):
    """One datagram over every link, a thousand of them a second."""
    with Stage(bench) as stage:
        directory = tempfile.mkdtemp(dir=bench.dir)
        at = [word for port in fixed_ports(PARTIES) for word in ("--at", f"127.0.0.1:{port}")]
        argv = [bench.program("snet-keygen"), "--net", str(PARTIES), "-d", os.path.join(directory, "net"), *at]
        stage.finish(stage.spawn(argv), "snet-keygen")
        roster, seen = (os.path.join(directory, "net", name) for name in ("roster.json", "%-sees.json"))
        link = start_link(stage, ["--roster", roster, "--out", seen, "--delay", "50ms"])
        real = ports_of(roster)
        doors = [ports_of(seen.replace("%", str(i))) for i in range(PARTIES)]
        # No two in a row from, or to, the same.
        pairs = [(i, (i + k) % PARTIES) for k in range(1, PARTIES) for i in range(PARTIES)]
        got = paced(stage, [(real[i], doors[i][j], real[j]) for i, j in pairs], r=RATES[0], n=WAYS, d=50_000)
        memory = resident_kb(link.pid)
    check_pace(got, RATES[0])
    if got["got"] != WAYS:
        raise Failed(f"link-mesh: {got['got']} arrived, not {WAYS}")
    return {"link-mesh-delay": got["error_p99_us"], "link-mesh-rss": memory}


SAMPLERS = {
    "link-forward": run_forward,
    "socat": run_socat,
    "link-added": run_added,
    "link-direct": run_added,
    "link-bulk": run_bulk,
    "link-delay": run_delay,
    "link-rate": run_rate,
    "link-loss": run_loss,
    "link-jitter": run_jitter,
    "link-mesh-delay": run_mesh,
    "link-mesh-rss": run_mesh,
}
