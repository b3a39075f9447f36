"""The listening sockets that a daemon inherits from systemd, by the sd_listen_fds(3) protocol.

Twisted's C{systemd:} endpoints see no socket without a name, and their import takes the variables
out of C{os.environ}. On a UNIX socket, Twisted's C{adoptStreamPort} changes the mode of a file that
is systemd's, and removes it at the end.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IReactorFDSet,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from hello_service.daemon.endpoint_strings import name_all, take_apart
from hello_service.daemon.notify import number_from
from hello_service.daemon.unix_sockets import UNIXPort

_FIRST = 3
_MOST = 2**20  # what Linux lets a process have open, unless it is told otherwise


def starting_environment() -> dict[str, str]:
    """Return the environment that this process began with, as Linux keeps it.

    Elsewhere, or if this process may not read it, as one that is not dumpable (prctl(2)), none.
    """
    environ = {}
    with suppress(OSError):
        for entry in Path("/proc/self/environ").read_bytes().split(b"\0"):
            name, _, value = os.fsdecode(entry).partition("=")
            environ[name] = value
    return environ


def inherited_sockets(environ: Mapping[str, str]) -> dict[int, str]:
    """Return the descriptors passed to this process, each with what messages call it.

    @raises ValueError: with a sentence, if their number is none.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return {}
    count = number_from(environ, "LISTEN_FDS", _MOST)
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    passed = {}
    for place in range(count):
        name = f" ({names[place]})" if any(names[place : place + 1]) else ""
        passed[_FIRST + place] = f"descriptor {_FIRST + place}{name}"
    return passed


def without_taken(passed: Mapping[int, str], place: str) -> dict[int, str]:
    """Leave out the inherited socket that an endpoint string takes for itself.

    @raises ValueError: with a sentence, if it is a wrong one of C{systemd:}.
    """
    if not place.startswith("systemd:"):
        return dict(passed)
    (_, *values), named = take_apart(place)
    parts = name_all(("domain", "index", "name"), values, named)
    index, name = parts.get("index"), f" ({parts.get('name', '')})"
    return {
        descriptor: called
        for descriptor, called in passed.items()
        if str(descriptor - _FIRST) != index and not called.endswith(name)
    }


def adopted_endpoint(reactor: Any, descriptor: int, name: str) -> IStreamServerEndpoint:
    """Make the endpoint that listens, once, on an inherited descriptor.

    @param reactor: L{IReactorSocket} and L{IReactorFDSet}.
    @raises ValueError: with a sentence, unless it is a TCP or UNIX stream socket that listens.
    """
    try:
        inherited = socket.socket(fileno=descriptor)
        kind = inherited.family, inherited.type
        listens = inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        inherited.detach()
    except OSError:
        listens = 0
    match listens and kind:
        case socket.AF_UNIX, socket.SOCK_STREAM:
            return _AdoptedUNIXEndpoint(reactor, descriptor)
        case (socket.AF_INET | socket.AF_INET6) as family, socket.SOCK_STREAM:
            return AdoptedStreamServerEndpoint(reactor, descriptor, family)
    raise ValueError(
        f"systemd passed {name}, which is no TCP or UNIX stream socket that listens: a socket unit"
        " for this daemon says ListenStream= and Accept=no."
    )


@implementer(IStreamServerEndpoint)
class _AdoptedUNIXEndpoint:
    def __init__(self, reactor: IReactorFDSet, descriptor: int) -> None:
        self._reactor = reactor
        self._descriptor = descriptor

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        listening = socket.socket(fileno=self._descriptor)
        port = UNIXPort(self._reactor, protocolFactory, listening, own_file=False)
        port.startListening()
        return succeed(port)
