"""Ending connections that are idle or old, without a timer for each of them."""

from typing import Any

from twisted.application.internet import TimerService
from twisted.internet.interfaces import IReactorTime

from hello_service.daemon.connections import Connection, Connections

GRACE = 10.0
"""Seconds that a connection which must end has to take what it is owed."""


class SweepService(TimerService):
    """Drains a connection whose time is up, then aborts it after `GRACE`.

    It looks at all connections four times in the shorter of the two limits, and so notices by a
    quarter of that too late.

    @param idle: seconds without a byte from a peer whose turn it is, if there is a limit.
    @param lifetime: seconds of a connection, if there is a limit.
    """

    def __init__(
        self,
        clock: IReactorTime,
        connections: Connections[Any],
        idle: float | None,
        lifetime: float | None,
    ) -> None:
        shortest = min(limit for limit in (idle, lifetime) if limit)
        super().__init__(max(shortest / 4, 0.1), self._sweep)  # type: ignore[no-untyped-call]
        self.clock = self._clock = clock
        self._connections = connections
        self._idle = idle
        self._lifetime = lifetime
        self._heard: dict[Connection, tuple[int, float]] = {}
        self._drained: dict[Connection, float] = {}

    def _sweep(self) -> None:
        now = self._clock.seconds()
        heard, self._heard = self._heard, {}
        drained, self._drained = self._drained, {}
        for connection in self._connections:
            if connection in drained:
                since = self._drained[connection] = drained[connection]
                if now - since >= GRACE:
                    connection.abort()
                continue
            received, since = heard.get(connection, (0, connection.started))
            if connection.bytes_in != received or connection.answering:
                received, since = connection.bytes_in, now
            self._heard[connection] = received, since
            if self._idle and now - since >= self._idle:
                self._drain(connection, "idle", now)
            elif self._lifetime and now - connection.started >= self._lifetime:
                self._drain(connection, "lifetime", now)

    def _drain(self, connection: Connection, reason: str, now: float) -> None:
        self._drained[connection] = now
        connection.drain(reason)
