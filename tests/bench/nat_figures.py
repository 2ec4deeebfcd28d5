"""The figures of scripts/bench about NAT traversal: a STUN server under load, ours and coturn's."""

import os

from stage import Stage, free_ports, poll_until

COTURN = """listening-ip=127.0.0.1
no-auth
no-tcp
no-tls
no-dtls
no-cli
stun-only
log-file=stdout
pidfile={directory}/turnserver.pid
listening-port={port}
"""


def load(stage, port, name):
    """Of clients that send a few in a row each, which costs us little; and of as many as there are requests."""
    figures = {}
    for in_a_row, figure in ((4, name), (1, f"{name}-many")):
        argv = [stage.bench.tool("stun-load"), "-r", str(in_a_row), "-p", str(port)]
        figures[figure] = stage.report(stage.spawn(argv, 0, stdout=-1), "stun-load")["per_second"]
    return figures


def run_stun_serve(bench):
    port = free_ports(1)[0]
    with Stage(bench) as stage:
        r, w = os.pipe()
        argv = [bench.program("snet-stun"), "-q", "--ready-fd", str(w), "--serve", f"127.0.0.1:{port}"]
        server = stage.spawn(argv, 1, pass_fds=(w,))
        stage.expect_ready(r, server, "snet-stun")
        return load(stage, port, "stun-serve")


def run_coturn(bench):
    port = free_ports(1)[0]
    config = os.path.join(bench.dir, "turnserver.conf")
    with open(config, "w", encoding="ascii") as f:
        f.write(COTURN.format(directory=bench.dir, port=port))
    with Stage(bench) as stage:
        server = stage.spawn([bench.find("turnserver"), "-c", config], 1)
        poll_until("turnserver", 10, lambda: bench.is_bound(port) or server.poll() is not None)
        return load(stage, port, "coturn")


SAMPLERS = {
    "stun-serve": run_stun_serve,
    "stun-serve-many": run_stun_serve,
    "coturn": run_coturn,
    "coturn-many": run_coturn,
}
