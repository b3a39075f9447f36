"""Sockets in another process's network."""

import ctypes
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from tests.processes import PATIENCE

_CLONE_NEWNET = 0x40000000


class Network:
    """The network of a process, for as long as the context lasts; its sockets work outside, too.

    @param pid: the process id of the process.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._within = ThreadPoolExecutor(1)  # whose one thread is in that network

    def connect(self, port: int) -> socket.socket:
        """Connect to a port on its loopback interface."""
        address = ("127.0.0.1", port)
        return self._within.submit(socket.create_connection, address, PATIENCE).result()

    def listen(self, port: int) -> socket.socket:
        """Listen on a port of its loopback interface."""
        return self._within.submit(socket.create_server, ("127.0.0.1", port)).result()

    def _enter(self) -> None:
        # Python 3.12 has os.setns.
        with open(f"/proc/{self._pid}/ns/net") as namespace:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(namespace.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

    def __enter__(self) -> Self:
        self._within.submit(self._enter).result()
        return self

    def __exit__(self, *_: object) -> None:
        self._within.shutdown()
