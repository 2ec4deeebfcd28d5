#!/usr/bin/env python3
"""three-parties: three parties in one process, a thread each; they agree on who they are, then each sends its
number to all and prints the sum. The library is libstoffelnet.so.0 wherever the linker finds it, or what
LIBSTOFFELNET names."""

import ctypes
import os
import struct
import sys
import threading
from ctypes import POINTER, byref, c_char_p, c_int32, c_size_t, c_uint8, c_uint16, c_uint64, c_void_p

NUMBERS = [10, 20, 12]
PARTIES = len(NUMBERS)

lib = ctypes.CDLL(os.environ.get("LIBSTOFFELNET", "libstoffelnet.so.0"))


def function(name, result, *arguments):
    f = getattr(lib, "stoffelnet_" + name)
    f.restype = result
    f.argtypes = arguments
    return f


last_error = function("last_error", c_char_p)
runtime_new = function("runtime_new", c_void_p)
runtime_destroy = function("runtime_destroy", None, c_void_p)
manager_new = function("manager_new", c_void_p, c_void_p, c_char_p, c_uint64)
manager_destroy = function("manager_destroy", None, c_void_p)
manager_port = function("manager_port", c_uint16, c_void_p)
add_node = function("manager_add_node", c_int32, c_void_p, c_char_p, c_uint64)
set_expected_parties = function("manager_set_expected_parties", c_int32, c_void_p, c_size_t)
connect = function("manager_connect_to_party", c_int32, c_void_p, c_uint64)
broadcast = function("manager_broadcast", c_int32, c_void_p, c_char_p, c_size_t, POINTER(c_size_t))
p_bytes = POINTER(c_uint8)
receive_from_any = function(
    "manager_receive_from_any_party", c_int32, c_void_p, c_int32, POINTER(c_uint64), POINTER(p_bytes), POINTER(c_size_t)
)
free_bytes = function("free_bytes", None, p_bytes, c_size_t)


def check(ok, what):
    if not ok:
        raise RuntimeError(f"{what}: {(last_error() or b'?').decode()}")
    return ok


def receive_message(me):
    """Whoever sends next, and what."""
    who, data, n = c_uint64(), p_bytes(), c_size_t()
    check(receive_from_any(me, 30000, byref(who), byref(data), byref(n)) == 0, "receive")
    message = ctypes.string_at(data, n.value)
    free_bytes(data, n)
    return who.value, message


def party(me, i, sums):
    for j in range(i + 1, PARTIES):  # the lower number dials
        check(connect(me, j) == 0, "connect")
    # This waits until all are connected and agree on it; it is sent to oneself, too.
    check(broadcast(me, struct.pack("<q", NUMBERS[i]), 8, None) == 0, "broadcast")
    numbers = dict(receive_message(me) for _ in range(PARTIES))
    sums[i] = sum(struct.unpack("<q", numbers[j])[0] for j in range(PARTIES))


def main():
    runtime = check(runtime_new(), "runtime")
    managers = [check(manager_new(runtime, b"127.0.0.1:0", i), "manager") for i in range(PARTIES)]
    for i, one in enumerate(managers):
        for j, other in enumerate(managers):
            if i != j:
                check(add_node(one, b"127.0.0.1:%d" % manager_port(other), j) == 0, "add_node")
        check(set_expected_parties(one, PARTIES) == 0, "set_expected_parties")
    sums = [None] * PARTIES
    threads = [threading.Thread(target=party, args=(managers[i], i, sums)) for i in range(PARTIES)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for m in managers:
        manager_destroy(m)
    runtime_destroy(runtime)
    for i, s in enumerate(sums):
        print(f"party {i}: {s}")
    return 1 if None in sums else 0


if __name__ == "__main__":
    sys.exit(main())
