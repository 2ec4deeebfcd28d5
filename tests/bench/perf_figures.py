"""The figures of scripts/bench about snet-perf: is its own latency what a capture of packets shows?"""

import json
import os
import subprocess

from stage import Stage, free_ports

TIME = "1s"


def start(stage, port, program, *options, cpu=1):
    """One that is ready on that port."""
    r, w = os.pipe()
    argv = [stage.bench.program(program), "-q", "--ready-fd", str(w), *options]
    process = stage.spawn(argv, cpu, pass_fds=(w,))
    stage.expect_ready(r, process, f"{program} on {port}")


def capture(stage, port):
    r, w = os.pipe()
    argv = [stage.bench.tool("capture"), "-p", str(port), "-r", str(w)]
    process = stage.spawn(argv, None, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(w,))
    stage.expect_ready(r, process, "capture")
    return process


def measure(stage, address, watched):
    """The summary of snet-perf, and what the capture saw of it meanwhile, in ns."""
    seen = capture(stage, watched)
    argv = [stage.bench.program("snet-perf"), "-q", "--insecure", "-T", "latency", "--time", TIME, address]
    said = stage.finish(stage.spawn(argv, 0, stdout=subprocess.PIPE), "snet-perf")
    seen.stdin.close()
    summary = json.loads(said.splitlines()[-1])
    return summary, stage.report(seen, "capture")["p50_us"] * 1e3


def run_wire(bench):
    """On the loopback itself, where waking a process takes as long as a packet does: the kernel's time."""
    port = free_ports(1)[0]
    with Stage(bench) as stage:
        start(stage, port, "snet-perf", "--insecure", "--serve", f"udp://127.0.0.1:{port}")
        summary, seen = measure(stage, f"udp://127.0.0.1:{port}", port)
        return {"perf-wire": abs(summary["rtt_wire_p50_ns"] / seen - 1)}


def run_far(bench):
    """Over a link of a round trip of 5 ms: the program's time."""
    port, door = free_ports(2)
    with Stage(bench) as stage:
        start(stage, port, "snet-perf", "--insecure", "--serve", f"udp://127.0.0.1:{port}")
        options = ("--rtt", "5ms", "--listen", f"udp://127.0.0.1:{door}", "--to", f"udp://127.0.0.1:{port}")
        start(stage, door, "snet-link", *options, cpu=None)
        summary, seen = measure(stage, f"udp://127.0.0.1:{door}", door)
        return {"perf-udp": abs(summary["rtt_p50_ns"] / seen - 1)}


SAMPLERS = {"perf-wire": run_wire, "perf-udp": run_far}
