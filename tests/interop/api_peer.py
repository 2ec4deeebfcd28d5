#!/usr/bin/env python3
"""One connection by the functions that libstoffelnet has of the crate's own C API: says a line, prints the first that
comes back. api_peer.py dial|accept PORT; LIBSTOFFELNET names the library."""

import ctypes
import os
import sys
from ctypes import POINTER, byref, c_char_p, c_int32, c_size_t, c_uint8, c_uint64, c_void_p

lib = ctypes.CDLL(os.environ["LIBSTOFFELNET"])
lib.stoffelnet_last_error.restype = c_char_p
for name in ("runtime_new", "manager_new", "manager_get_connection"):
    getattr(lib, "stoffelnet_" + name).restype = c_void_p
lib.stoffelnet_manager_new.argtypes = c_void_p, c_char_p, c_uint64
lib.stoffelnet_manager_add_node.argtypes = c_void_p, c_char_p, c_uint64
lib.stoffelnet_manager_connect_to_party.argtypes = c_void_p, c_uint64
lib.stoffelnet_manager_accept_connection.argtypes = c_void_p, POINTER(c_uint64)
lib.stoffelnet_manager_get_connection.argtypes = c_void_p, c_uint64
lib.stoffelnet_connection_send.argtypes = c_void_p, c_void_p, c_char_p, c_size_t
lib.stoffelnet_connection_receive.argtypes = c_void_p, c_void_p, POINTER(POINTER(c_uint8)), POINTER(c_size_t)
lib.stoffelnet_free_bytes.argtypes = POINTER(c_uint8), c_size_t
for name in ("connection_close", "manager_destroy", "runtime_destroy"):
    getattr(lib, "stoffelnet_" + name).restype = None
lib.stoffelnet_connection_close.argtypes = c_void_p, c_void_p
lib.stoffelnet_manager_destroy.argtypes = lib.stoffelnet_runtime_destroy.argtypes = (c_void_p,)


def check(ok, what):
    if not ok:
        sys.exit(f"{what}: {(lib.stoffelnet_last_error() or b'?').decode()}")
    return ok


def connect(manager, how, port):
    party = c_uint64(1)
    if how == "dial":
        check(lib.stoffelnet_manager_add_node(manager, b"127.0.0.1:%d" % port, 1) == 0, "add_node")
        check(lib.stoffelnet_manager_connect_to_party(manager, 1) == 0, "connect")
    else:
        print("listening", flush=True)
        check(lib.stoffelnet_manager_accept_connection(manager, byref(party)) == 0, "accept")
    return check(lib.stoffelnet_manager_get_connection(manager, party), "get_connection")


def main():
    how, port = sys.argv[1], int(sys.argv[2])
    runtime = check(lib.stoffelnet_runtime_new(), "runtime")
    bind = b"127.0.0.1:%d" % (port if how == "accept" else 0)
    manager = check(lib.stoffelnet_manager_new(runtime, bind, 0), "manager")
    connection = connect(manager, how, port)
    said = b"by the C API"
    check(lib.stoffelnet_connection_send(connection, runtime, said, len(said)) == 0, "send")
    data, n = POINTER(c_uint8)(), c_size_t()
    check(lib.stoffelnet_connection_receive(connection, runtime, byref(data), byref(n)) == 0, "receive")
    print(ctypes.string_at(data, n.value).decode(), flush=True)
    lib.stoffelnet_free_bytes(data, n)
    lib.stoffelnet_connection_close(connection, runtime)
    lib.stoffelnet_manager_destroy(manager)
    lib.stoffelnet_runtime_destroy(runtime)


if __name__ == "__main__":
    main()
