"""Few and short connections, for a port that serves others than the daemon's own clients."""

import errno
import os
from typing import Any

from twisted.internet import tcp
from twisted.internet.interfaces import (
    IDelayedCall,
    IListeningPort,
    IProtocolFactory,
    IReactorTime,
)
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory

MOST = 16
"""Connections of one such port at a time: they come out of `limits.RESERVE`."""

DEADLINE = 10.0
"""Seconds from the beginning of a connection to its end."""

STAYING = 4
"""Connections besides, at a time, that may stay."""

AT_ONCE = 4
"""Connections that are accepted in one turn of the reactor. It takes three turns to accept one, to
answer it, and to send that: by then, `MOST` newer ones must not have taken its place."""


class BoundedProtocol(ProtocolWrapper):
    """One such connection, the transport of its protocol."""

    factory: "BoundedFactory"

    def stay(self) -> bool:
        """Ask for no deadline, and not to make room for others; return whether that is granted."""
        return self.factory.let_stay(self)


class BoundedFactory(WrappingFactory):
    """Builds a factory's protocols, and aborts each connection after `DEADLINE`.

    Beyond `MOST`, the oldest makes room: peers that say nothing, or say it slowly, keep nobody out.
    """

    noisy = False
    protocol = BoundedProtocol

    def __init__(self, clock: IReactorTime, factory: IProtocolFactory) -> None:
        super().__init__(factory)  # type: ignore[no-untyped-call]
        self._clock = clock
        self._deadlines: dict[Any, IDelayedCall] = {}
        self._staying: set[Any] = set()

    def let_stay(self, protocol: BoundedProtocol) -> bool:
        """Take a connection's deadline away, unless `STAYING` others have none."""
        if len(self._staying) == STAYING:
            return False
        self._forget(protocol)
        self._staying.add(protocol)
        return True

    def registerProtocol(self, p: Any) -> None:
        """Take in a connection."""
        super().registerProtocol(p)  # type: ignore[no-untyped-call]
        if len(self._deadlines) == MOST:
            self._abort(next(iter(self._deadlines)))
        self._deadlines[p] = self._clock.callLater(DEADLINE, self._abort, p)

    def unregisterProtocol(self, p: Any) -> None:
        """Forget a connection that is lost."""
        super().unregisterProtocol(p)  # type: ignore[no-untyped-call]
        self._forget(p)

    def doStop(self) -> None:
        """Abort all connections: nobody listens any more."""
        for protocol in (*self._deadlines, *self._staying):
            self._abort(protocol)
        super().doStop()  # type: ignore[no-untyped-call]

    def _abort(self, protocol: Any) -> None:
        self._forget(protocol)
        protocol.transport.abortConnection()

    def _forget(self, protocol: Any) -> None:
        self._staying.discard(protocol)
        deadline = self._deadlines.pop(protocol, None)
        if deadline and deadline.active():
            deadline.cancel()


class _FewAtOnce:
    """A listening socket that accepts `AT_ONCE` connections in a turn of the reactor."""

    def __init__(self, clock: IReactorTime, listening: Any) -> None:
        self._clock = clock
        self._listening = listening
        self._accepted = 0

    def accept(self) -> Any:
        if self._accepted == AT_ONCE:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        if not self._accepted:
            self._clock.callLater(0, self._go_on)
        self._accepted += 1
        return self._listening.accept()

    def _go_on(self) -> None:
        self._accepted = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listening, name)


def accept_few_at_once(clock: IReactorTime, port: IListeningPort) -> None:
    """Have a port accept `AT_ONCE` connections in a turn; uvloop's accept one in any case."""
    if isinstance(port, tcp.Port) and type(port).doRead is tcp.Port.doRead:
        port.socket = _FewAtOnce(clock, port.socket)
