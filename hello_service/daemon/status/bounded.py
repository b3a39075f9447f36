"""Few and short connections, for a port that serves others than the daemon's own clients."""

from typing import Any

from twisted.internet.interfaces import IDelayedCall, IProtocolFactory, IReactorTime
from twisted.protocols.policies import WrappingFactory

MOST = 16
"""Connections of one such port at a time: they come out of `limits.RESERVE`."""

DEADLINE = 10.0
"""Seconds from the beginning of a connection to its end."""


class BoundedFactory(WrappingFactory):
    """Builds a factory's protocols, and aborts each connection after `DEADLINE`.

    Beyond `MOST`, the oldest makes room: peers that say nothing, or say it slowly, keep nobody out.
    """

    noisy = False

    def __init__(self, clock: IReactorTime, factory: IProtocolFactory) -> None:
        super().__init__(factory)  # type: ignore[no-untyped-call]
        self._clock = clock
        self._deadlines: dict[Any, IDelayedCall] = {}

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
        for protocol in list(self._deadlines):
            self._abort(protocol)
        super().doStop()  # type: ignore[no-untyped-call]

    def _abort(self, protocol: Any) -> None:
        self._forget(protocol)
        protocol.transport.abortConnection()

    def _forget(self, protocol: Any) -> None:
        deadline = self._deadlines.pop(protocol, None)
        if deadline and deadline.active():
            deadline.cancel()
