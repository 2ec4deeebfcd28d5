"""The figures of one connection: bulk, small messages, round trips, handshakes, idle connections. Each sampler
makes one run and returns {figure: value}."""

import select
import subprocess
import time

from stage import DEADLINE_S, GIB, MIB, Failed, Stage, free_ports, pipe, poll_until, resident_kb, ticks

SMALL, SMALL_COUNT = 64, 8_000_000
JSON_COUNT = 500_000
IDLE, IDLE_S = 1000, 5


def run_gtls(bench):
    """1 GiB by HTTP/3. Their exit status is 0 whatever happens, so the bytes are counted on the loopback interface."""
    with Stage(bench) as stage:
        before, begin = bench.loopback_bytes(), time.monotonic_ns()
        client = stage.spawn(bench.gtlsclient(), 0)
        stage.finish(client, "gtlsclient")
        elapsed = time.monotonic_ns() - begin
        passed = bench.loopback_bytes() - before
        strange = [w for w in stage.words(client).splitlines() if "ERR_DRAINING" not in w]
    if passed < GIB or strange:
        raise Failed(f"gtlsclient: {passed} bytes passed, {strange}")
    return {"gtls": GIB * 1e9 / elapsed}


def transfer(bench, feed, form, mtu, lines=False, address=None, more=()):
    """One direction, stdin pipe to stdout pipe, on loopback unless an address is given; more: options of both. Seconds
    from the start of snet-send until it has ended and the last byte has left the other end's pipe; and what came out
    there."""
    options = ["-f", form, *(["--mtu", str(mtu)] if mtu else []), *more]
    with Stage(bench) as stage:
        out, into = pipe()
        listener, port = stage.listen([*options, "--recv-only"], stdout=into, address=address)
        argv = [bench.tool("pipe-feed"), "drain", *(["-l"] if lines else [])]
        drain = stage.spawn(argv, stdin=out, stdout=subprocess.PIPE)
        out, into = pipe()
        feeder = stage.spawn([bench.tool("pipe-feed"), *map(str, feed)], stdout=into)
        begin = time.monotonic_ns()
        argv = [bench.program("snet-send"), "-k", bench.keys[1], "--insecure", *options, "--send-only"]
        sender = stage.spawn([*argv, address or f"quic://127.0.0.1:{port}"], 0, out)
        stage.finish(sender, "snet-send")
        end = time.monotonic_ns()
        stage.finish(feeder, "pipe-feed")
        stage.finish(listener, "snet-listen")
        got = stage.report(drain, "drain")
    return (max(end, got["end_ns"]) - begin) / 1e9, got


def bulk(name, feed, size, form, mtu):
    def run(bench):
        seconds, got = transfer(bench, feed, form, mtu)
        if got["bytes"] != size:
            raise Failed(f"{name}: {got['bytes']} bytes arrived, not {size}")
        return {name: size / seconds}

    return run


def run_json(bench):
    """Lines in and lines out; the listener adds a few events of its own to the messages."""
    seconds, got = transfer(bench, ("json", JSON_COUNT, SMALL), "json", None, lines=True)
    if not JSON_COUNT <= got["lines"] <= JSON_COUNT + 16:
        raise Failed(f"json: {got['lines']} lines arrived for {JSON_COUNT} messages")
    return {"json": JSON_COUNT / seconds}


def run_jq(bench):
    with Stage(bench) as stage:
        raw, raw_in = pipe()
        out, out_in = pipe()
        stage.spawn([bench.tool("pipe-feed"), "json", str(JSON_COUNT), str(SMALL)], stdout=raw_in)
        drain = stage.spawn([bench.tool("pipe-feed"), "drain", "-l"], stdin=out, stdout=subprocess.PIPE)
        begin = time.monotonic_ns()
        jq = stage.spawn([bench.find("jq"), "-c", "."], 0, raw, out_in)
        stage.finish(jq, "jq")
        end = time.monotonic_ns()
        got = stage.report(drain, "drain")
    if got["lines"] != JSON_COUNT:
        raise Failed(f"jq: {got['lines']} lines, not {JSON_COUNT}")
    return {"jq": JSON_COUNT * 1e9 / (max(end, got["end_ns"]) - begin)}


def one_program(name, key):
    def run(bench):
        with Stage(bench) as stage:
            process = stage.spawn([bench.tool(name)], stdout=subprocess.PIPE)
            return {name: stage.report(process, name)[key]}

    return run


def run_pipe_pingpong(bench):
    port = free_ports(1)[0]
    address = f"quic://127.0.0.1:{port}"
    listen = [bench.program("snet-listen"), "-k", bench.keys[0], "--insecure", "-f", "raw", "--ready-fd", "3", address]
    send = [bench.program("snet-send"), "-k", bench.keys[1], "--insecure", "-f", "raw", address]
    with Stage(bench) as stage:
        argv = [bench.tool("pipe-pingpong"), "--", *listen, "--", *send]
        process = stage.spawn(argv, stdout=subprocess.PIPE)
        return {"pipe-pingpong": stage.report(process, "pipe-pingpong")["p50_us"]}


def run_idle(bench):
    """What 1,000 connections cost a listener that has nothing to do, keep-alive and all else as shipped."""
    with Stage(bench) as stage:
        listener, port = stage.listen(["-f", "json"], stdin=subprocess.PIPE)  # open, and nothing comes
        before = resident_kb(listener.pid)
        idle = stage.spawn(
            [bench.tool("idle"), "-n", str(IDLE), f"127.0.0.1:{port}"], 0, subprocess.PIPE, subprocess.PIPE
        )
        if not select.select([idle.stdout], [], [], DEADLINE_S)[0]:
            raise Failed("idle: the connections are not open")
        line = idle.stdout.readline()
        if not line:
            raise Failed(f"idle: {stage.words(idle).strip()}")
        settle(listener.pid)
        begin = ticks(listener.pid)
        time.sleep(IDLE_S)  # the span that is measured
        spent = ticks(listener.pid) - begin
        each = (resident_kb(listener.pid) - before) / IDLE
        idle.stdin.close()
        stage.finish(idle, "idle")
    return {"idle-rss": each, "idle-ticks": spent}


def settle(pid):
    """The tail of the handshakes is not idleness: waits for 300 ms without processor time."""
    last, since = ticks(pid), time.monotonic()

    def quiet():
        nonlocal last, since
        now = ticks(pid)
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since > 0.3

    poll_until("an idle listener", 20, quiet)


FRAMED = GIB + GIB // MIB * 4
SAMPLERS = {
    "gtls": run_gtls,
    "raw-1452": bulk("raw-1452", ("raw", GIB), GIB, "raw", 1452),
    "framed-1452": bulk("framed-1452", ("framed", GIB // MIB, MIB), FRAMED, "framed", 1452),
    "raw-auto": bulk("raw-auto", ("raw", GIB), GIB, "raw", None),
    "framed-auto": bulk("framed-auto", ("framed", GIB // MIB, MIB), FRAMED, "framed", None),
    "small": bulk("small", ("framed", SMALL_COUNT, SMALL), SMALL_COUNT * (SMALL + 4), "framed", 1452),
    "json": run_json,
    "jq": run_jq,
    "udp-pingpong": one_program("udp-pingpong", "p50_us"),
    "conn-pingpong": one_program("conn-pingpong", "p50_us"),
    "api-pingpong": one_program("api-pingpong", "p50_us"),
    "pipe-pingpong": run_pipe_pingpong,
    "tls-handshakes": one_program("tls-handshakes", "per_second"),
    "handshakes": one_program("handshakes", "per_second"),
    "idle-rss": run_idle,
    "idle-ticks": run_idle,
}
