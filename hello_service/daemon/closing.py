"""Closing a TCP port without losing a connection to it.

The system completes connections before the daemon accepts them. When the port is closed, those that
still wait to be accepted are reset: to their clients they broke, though a moment later the port
would have refused them, and they had gone elsewhere.
"""

import ctypes
import select
import socket
import struct
from contextlib import suppress
from typing import Any

_SO_ATTACH_FILTER = 26
_NO_SYN = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # load the flags of the TCP header
        (0x54, 0, 0, 0x12),  # of these SYN and ACK
        (0x15, 0, 1, 0x02),  # unless it is SYN alone, skip the next
        (0x06, 0, 0, 0),  # drop the segment
        (0x06, 0, 0, 0xFFFFFFFF),  # keep it
    )
)
"""A program for Linux's socket filters (Documentation/networking/filter.rst)."""

_MOST = 4096
"""How many may wait, by Linux's default of net.core.somaxconn."""


def refuse_new(listening: socket.socket) -> None:
    """Have the system drop what would begin a connection: its peer tries again in a second.

    By then the port is closed, and the peer learns that. Where there is no such filter, as on
    macOS, nothing happens.
    """
    program = ctypes.create_string_buffer(_NO_SYN, len(_NO_SYN))
    argument = struct.pack("HP", len(_NO_SYN) // 8, ctypes.addressof(program))
    with suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, argument)


def accept_the_last(port: Any) -> None:
    """Accept all that wait on a port that is about to be closed.

    @param port: one of Twisted's, or of a subclass; its socket is not another process', too.
    """
    refuse_new(port.socket)
    waiting = select.poll()
    waiting.register(port.fileno(), select.POLLIN)
    for _ in range(_MOST):
        if not waiting.poll(0):
            return
        port.doRead()
