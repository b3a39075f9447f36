"""TCP keepalive (RFC 9293, section 3.8.4): the system finds out whether a quiet peer is alive."""

import socket
from math import ceil

from twisted.internet import tcp
from twisted.internet.interfaces import IListeningPort

LONGEST = 32767
"""Seconds that Linux can wait before it probes: its C{MAX_TCP_KEEPIDLE}."""

_PROBES = 4


def keep_alive(port: IListeningPort, quiet: int) -> None:
    """Have the connections to a TCP port end once their peer is gone, without a cost for each.

    They take these options over from the listening socket, if they are made after this.

    @param quiet: seconds without a byte after which a peer is probed. One that does not answer for
        as long again is gone: its connection is lost.
    """
    if not isinstance(port, tcp.Port) or port.addressFamily == socket.AF_UNIX:
        return
    listening: socket.socket = port.socket
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", quiet),
        ("TCP_KEEPALIVE", quiet),  # macOS's name for it
        ("TCP_KEEPINTVL", ceil(quiet / _PROBES)),
        ("TCP_KEEPCNT", _PROBES),
    ):
        if hasattr(socket, name):
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
