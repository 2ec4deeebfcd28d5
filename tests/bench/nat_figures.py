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


def load(stage, port):
    program = stage.spawn([stage.bench.tool("stun-load"), "-p", str(port)], 0, stdout=-1)
    return stage.report(program, "stun-load")["per_second"]


def run_stun_serve(bench):
    port = free_ports(1)[0]
    with Stage(bench) as stage:
        r, w = os.pipe()
        argv = [bench.program("snet-stun"), "-q", "--ready-fd", str(w), "--serve", f"127.0.0.1:{port}"]
        server = stage.spawn(argv, 1, pass_fds=(w,))
        stage.expect_ready(r, server, "snet-stun")
        return {"stun-serve": load(stage, port)}


def run_coturn(bench):
    port = free_ports(1)[0]
    config = os.path.join(bench.dir, "turnserver.conf")
    with open(config, "w", encoding="ascii") as f:
        f.write(COTURN.format(directory=bench.dir, port=port))
    with Stage(bench) as stage:
        server = stage.spawn([bench.find("turnserver"), "-c", config], 1)
        poll_until("turnserver", 10, lambda: bench.is_bound(port) or server.poll() is not None)
        return {"coturn": load(stage, port)}


SAMPLERS = {"stun-serve": run_stun_serve, "coturn": run_coturn}
