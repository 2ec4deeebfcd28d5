"""The processes of scripts/bench: started, tied together by pipes, waited for and always ended."""

import contextlib
import ctypes
import fcntl
import json
import mmap
import os
import select
import signal
import socket
import subprocess
import tempfile
import time

GIB, MIB = 1 << 30, 1 << 20
DEADLINE_S = 120  # of anything that is waited for


class Failed(Exception):
    pass


def nth_cpu(nth):
    cpus = sorted(os.sched_getaffinity(0))
    return cpus[nth % len(cpus)]


LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


def pipe():
    """A pipe of 1 MiB, if the kernel lets us: what a person with a large transfer would also want."""
    r, w = os.pipe()
    with contextlib.suppress(OSError):
        fcntl.fcntl(w, fcntl.F_SETPIPE_SZ, MIB)
    return r, w


def await_pid(process, what):
    """By a descriptor: Popen.wait with a limit looks only every 50 ms."""
    if process.poll() is not None:
        return process.returncode
    with os.fdopen(os.pidfd_open(process.pid), "rb", buffering=0) as ended:
        if not select.select([ended], [], [], DEADLINE_S)[0]:
            raise Failed(f"{what}: not done after {DEADLINE_S} s")
    return process.wait()


class Stage:
    """The processes of one run. Whatever is left of them at the end is killed, by pid."""

    def __init__(self, bench):
        self.bench = bench
        self.children = []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for process, _ in self.children:
            if process.poll() is None:
                process.kill()
                process.wait()
            for f in (process.stdin, process.stdout):
                if f:
                    f.close()

    def spawn(self, argv, cpu=None, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=()):
        """cpu: the nth processor we may use, None: any. Descriptors given as numbers are closed here afterwards."""
        log = tempfile.TemporaryFile(dir=self.bench.dir)
        cpus = None if cpu is None else {nth_cpu(cpu)}
        forked = mmap.mmap(-1, 8)

        def in_child():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if cpus:
                os.sched_setaffinity(0, cpus)
            forked[:] = time.process_time_ns().to_bytes(8, "little")

        process = subprocess.Popen(
            argv, stdin=stdin, stdout=stdout, stderr=log, pass_fds=pass_fds, env=self.bench.env, preexec_fn=in_child
        )
        process.fork_ns = int.from_bytes(forked[:], "little")  # processor time that is Python's, not the program's
        self.children.append((process, log))
        for fd in {stdin, stdout, *pass_fds}:
            if isinstance(fd, int) and fd >= 0:
                os.close(fd)
        return process

    def words(self, process):
        """What the process has said on stderr."""
        log = next(log for p, log in self.children if p is process)
        log.seek(0)
        return log.read().decode(errors="replace")

    def finish(self, process, what):
        """Waits for success; returns what it has written to a stdout that is ours."""
        status = await_pid(process, what)
        if status:
            raise Failed(f"{what}: status {status}: {self.words(process).strip()[-400:]}")
        return process.stdout.read() if process.stdout else b""

    def report(self, process, what):
        """The JSON line that the programs of tests/bench end with."""
        return json.loads(self.finish(process, what))

    def expect_ready(self, fd, process, what):
        """Waits for the newline of --ready-fd."""
        with os.fdopen(fd, "rb") as ready:
            if not select.select([ready], [], [], DEADLINE_S)[0] or ready.read(1) != b"\n":
                raise Failed(f"{what} is not ready: {self.words(process).strip()[-400:]}")

    def listen(self, args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, address=None):
        """A snet-listen that is ready, and its port, unless an address is given."""
        port = None if address else free_ports(1)[0]
        r, w = os.pipe()
        argv = [self.bench.program("snet-listen"), "-k", self.bench.keys[0], "--insecure", "--ready-fd", str(w), *args]
        process = self.spawn([*argv, address or f"quic://127.0.0.1:{port}"], 1, stdin, stdout, pass_fds=(w,))
        self.expect_ready(r, process, "snet-listen")
        return process, port


def free_ports(n):
    """So many different ones."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(n)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


def poll_until(what, seconds, fn):
    end = time.monotonic() + seconds
    while not fn():
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(0.01)


def resident_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))


def ticks(pid):
    """Processor time, user and system, in clock ticks. The name before it may hold anything but ")"."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        fields = f.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def cpu_ns(pid):
    """Processor time, user and system, of a whole process: its clock, as clock_getcpuclockid(3) names it. Exact, where
    ticks() loses up to 10 ms of each process."""
    return time.clock_gettime_ns((~pid << 3) | 2)
