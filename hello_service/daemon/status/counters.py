"""What a daemon's connections have come to, counted when they close and added up when asked."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IReactorTime

from hello_service.daemon.connections import Connections

BOUNDS = (0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 86400.0)
"""Seconds: each is the longest duration that its bucket has; one more has all that are longer."""


@dataclass(frozen=True)
class Totals:
    """What the connections have come to since the daemon started.

    @ivar open: how many there are now.
    @ivar closed: how many have ended.
    @ivar probes: how many of those without a byte from the peer; a TLS handshake is no silence.
    @ivar bytes_in: bytes read, from those that are open, too; the next are bytes written.
    @ivar messages: messages answered; C{None} if no connection has counted them.
    @ivar durations: how many of the closed are in each bucket of C{BOUNDS}, and in the last.
    @ivar seconds: how long the closed were open, altogether.
    """

    open: int
    closed: int
    probes: int
    bytes_in: int
    bytes_out: int
    messages: int | None
    durations: tuple[int, ...]
    seconds: float

    @property
    def accepted(self) -> int:
        """How many have begun."""
        return self.open + self.closed


class Counters:
    """Counts connections when they close, and goes through the open ones when it is asked.

    @ivar since: when it began to count, by the clock.
    """

    def __init__(self, clock: IReactorTime, connections: Connections[Any]) -> None:
        self.since = clock.seconds()
        self._clock = clock
        self._connections = connections
        self._closed = 0
        self._probes = 0
        self._bytes_in = 0
        self._bytes_out = 0
        self._messages: int | None = None
        self._durations = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0
        connections.tell_closed(self._count)

    def totals(self) -> Totals:
        """Return what there is to tell now."""
        still = list(self._connections)
        return Totals(
            open=len(still),
            closed=self._closed,
            probes=self._probes,
            bytes_in=self._bytes_in + sum(one.bytes_in for one in still),
            bytes_out=self._bytes_out + sum(one.bytes_out for one in still),
            messages=_sum_of_messages(self._messages, still),
            durations=tuple(self._durations),
            seconds=self._seconds,
        )

    def _count(self, connection: Any) -> None:
        duration = self._clock.seconds() - connection.started
        self._closed += 1
        self._probes += not (connection.bytes_in or connection.in_handshake)
        self._bytes_in += connection.bytes_in
        self._bytes_out += connection.bytes_out
        self._messages = _sum_of_messages(self._messages, [connection])
        self._durations[sum(duration > bound for bound in BOUNDS)] += 1
        self._seconds += max(duration, 0.0)


def _sum_of_messages(before: int | None, connections: Iterable[Any]) -> int | None:
    for connection in connections:
        count = connection.account().get("messages")
        if count is not None:
            before = (before or 0) + count
    return before
