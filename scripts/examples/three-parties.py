#!/usr/bin/env python3
"""three-parties: three parties in one process, a thread each; each sends its number to the others and prints
the sum of all. The library is libstoffelnet.so.0 wherever the linker finds it, or what LIBSTOFFELNET names."""

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
connect = function("manager_connect_to_party", c_int32, c_void_p, c_uint64)
accept = function("manager_accept_connection", c_int32, c_void_p, POINTER(c_uint64))
get_connection = function("manager_get_connection", c_void_p, c_void_p, c_uint64)
send = function("connection_send", c_int32, c_void_p, c_void_p, c_char_p, c_size_t)
receive = function("connection_receive", c_int32, c_void_p, c_void_p, POINTER(POINTER(c_uint8)), POINTER(c_size_t))
connection_destroy = function("connection_destroy", None, c_void_p)
free_bytes = function("free_bytes", None, POINTER(c_uint8), c_size_t)


def check(ok, what):
    if not ok:
        raise RuntimeError(f"{what}: {(last_error() or b'?').decode()}")
    return ok


def receive_bytes(runtime, conn):
    data, n = POINTER(c_uint8)(), c_size_t()
    check(receive(conn, runtime, byref(data), byref(n)) == 0, "receive")
    message = ctypes.string_at(data, n.value)
    free_bytes(data, n)
    return message


def party(runtime, managers, i, sums):
    me, conns = managers[i], []
    for j in range(i + 1, PARTIES):  # the lower number dials
        check(connect(me, j) == 0, "connect")
        conns.append(check(get_connection(me, j), "get_connection"))
    for _ in range(i):
        who = c_uint64()
        check(accept(me, byref(who)) == 0, "accept")
        conns.append(check(get_connection(me, who), "get_connection"))
    for conn in conns:
        check(send(conn, runtime, struct.pack("<q", NUMBERS[i]), 8) == 0, "send")
    sums[i] = NUMBERS[i] + sum(struct.unpack("<q", receive_bytes(runtime, conn))[0] for conn in conns)
    for conn in conns:
        connection_destroy(conn)


def main():
    runtime = check(runtime_new(), "runtime")
    managers = [check(manager_new(runtime, b"127.0.0.1:0", i), "manager") for i in range(PARTIES)]
    for i, one in enumerate(managers):
        for j, other in enumerate(managers):
            if i != j:
                check(add_node(one, b"127.0.0.1:%d" % manager_port(other), j) == 0, "add_node")
    sums = [None] * PARTIES
    threads = [threading.Thread(target=party, args=(runtime, managers, i, sums)) for i in range(PARTIES)]
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
