#!/usr/bin/env python3
"""An ICE agent that nobody here wrote: aioice (Debian python3-aioice), behind the lines of snet-ice.

Prints its ice.local lines and ice.selected, reads the peer's ice.local lines on stdin, and then proves the pair: with
--ask it sends the text until the other side answers with it, prints that as "data" and ends; without, it answers every
datagram with the same until its input has ended and something was answered. nice_peer.c has the same options.
"""

import argparse
import asyncio
import json
import signal
import sys
import time

import aioice
import aioice.ice

AGAIN_S = 0.1  # what is asked may be lost


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def host_and_port(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def text_of(address):
    return "[{}]:{}".format(*address) if ":" in address[0] else "{}:{}".format(*address)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--role", choices=("controlling", "controlled"), default="controlled")
    parser.add_argument("--no-trickle", action="store_true", help="check when all candidates of both are known")
    parser.add_argument("--stun", type=host_and_port, metavar="HOST:PORT")
    parser.add_argument("--turn", type=host_and_port, metavar="HOST:PORT")
    parser.add_argument("--turn-cred-file", metavar="FILE", help="USER:PASSWORD")
    parser.add_argument("--relay", action="store_true", help="relayed candidates alone")
    parser.add_argument("--bind", metavar="ADDRESS", help="of this address alone; loopback is not used without")
    parser.add_argument("--ask", metavar="TEXT")
    parser.add_argument("--timeout", type=float, default=15, metavar="SECONDS")
    args = parser.parse_args()
    if args.turn and not args.turn_cred_file or args.relay and not args.turn:
        parser.error("--relay needs --turn, and that --turn-cred-file")
    return args


def make_connection(args):
    if args.relay:  # its own policy checks from host sockets all the same
        aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: []
    elif args.bind:
        aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [args.bind]
    options = {"stun_server": args.stun, "turn_server": args.turn}
    if args.turn:
        with open(args.turn_cred_file, encoding="utf8") as f:
            user, _, password = f.readline().rstrip("\n").partition(":")
        options.update(turn_username=user, turn_password=password)
    if args.relay:
        options["transport_policy"] = aioice.TransportPolicy.RELAY
    return aioice.Connection(ice_controlling=args.role == "controlling", **options)


class Peer:
    def __init__(self, args):
        self.args = args
        self.connection = make_connection(args)
        self.known = asyncio.Event()  # the other's credentials
        self.complete = asyncio.Event()  # and all of its candidates
        self.ended = asyncio.Event()  # its lines

    async def gather(self):
        ufrag, pwd = self.connection.local_username, self.connection.local_password
        if not self.args.no_trickle:
            say("ice.local", ufrag=ufrag, pwd=pwd)
        await self.connection.gather_candidates()
        if self.args.no_trickle:
            say("ice.local", ufrag=ufrag, pwd=pwd)
        for candidate in self.connection.local_candidates:
            say("ice.local", candidate="candidate:" + candidate.to_sdp())
        say("ice.local", end_of_candidates=True)

    async def hear(self, line):
        line = json.loads(line)
        if line.get("event") != "ice.local":
            return
        if "pwd" in line:
            self.connection.remote_username, self.connection.remote_password = line["ufrag"], line["pwd"]
            self.known.set()
        if "candidate" in line:
            sdp = line["candidate"].partition(":")[2]
            await self.connection.add_remote_candidate(aioice.Candidate.from_sdp(sdp))
        if line.get("end_of_candidates"):
            await self.connection.add_remote_candidate(None)
            self.complete.set()

    async def listen(self):
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            await self.hear(line)
        self.ended.set()

    async def connect(self, began):
        await self.gather()
        await (self.complete if self.args.no_trickle else self.known).wait()
        await self.connection.connect()
        # pylint: disable-next=protected-access
        pair = self.connection._nominated[1]  # aioice has no word for it
        say(
            "ice.selected",
            local=text_of(pair.local_addr),
            remote=text_of(pair.remote_addr),
            local_type=pair.local_candidate.type,
            remote_type=pair.remote_candidate.type,
            time_us=int((time.monotonic() - began) * 1e6),
        )

    async def ask(self):
        async def again():
            while True:
                await self.connection.send(self.args.ask.encode())
                await asyncio.sleep(AGAIN_S)

        asking = asyncio.create_task(again())
        answer = await self.connection.recv()
        asking.cancel()
        say("data", text=answer.decode())
        if answer.decode() != self.args.ask:
            raise ValueError("the answer is not what was asked")

    async def answer(self):
        first = await self.connection.recv()
        say("data", text=first.decode())
        await self.connection.send(first)
        ended = asyncio.create_task(self.ended.wait())
        while not ended.done():
            more = asyncio.create_task(self.connection.recv())
            await asyncio.wait((more, ended), return_when=asyncio.FIRST_COMPLETED)
            if more.done():
                await self.connection.send(more.result())
            else:
                more.cancel()

    async def run(self):
        listening = asyncio.create_task(self.listen())
        listening.add_done_callback(lambda task: task.cancelled() or task.result())  # what is wrong in a line is shown
        await asyncio.wait_for(self.connect(time.monotonic()), self.args.timeout)
        proof = self.ask() if self.args.ask else self.answer()
        await (asyncio.wait_for(proof, self.args.timeout) if self.args.ask else proof)
        listening.cancel()
        await self.connection.close()


async def main():
    args = arguments()
    running = asyncio.create_task(Peer(args).run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        return 0
    except (asyncio.TimeoutError, ConnectionError, ValueError) as why:
        print(f"aioice_peer: {type(why).__name__}: {why}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
