"""The connections as somebody sees who looks: which there are, how each is, what happens on it."""

from collections import deque
from itertools import count, islice
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from hello_service.daemon.connections import Connections
from hello_service.daemon.protocol import DaemonProtocol
from hello_service.daemon.status.wire import Wire

LISTED = 100
"""How many open connections are listed, and recorded, at a time."""

ENDED = 20
"""How many that have ended are kept."""

GRACE = 10.0
"""Seconds for which all is recorded on once nobody looks: a page that is loaded anew is back."""


class Watch:
    """Records connections while somebody looks, and lists them.

    @param text: whether to keep what clients and the daemon say.
    """

    def __init__(self, clock: IReactorTime, connections: Connections[Any], text: bool) -> None:
        self._clock = clock
        self._connections = connections
        self._text = text
        self._numbers = count(1)
        self._open: dict[DaemonProtocol, Wire] = {}
        self._ended: deque[Wire] = deque(maxlen=ENDED)
        self._viewers = 0
        self._end: IDelayedCall | None = None

    def begin(self) -> None:
        """Look: somebody more does."""
        self._viewers += 1
        if self._end is not None:
            self._end.cancel()
            self._end = None
        elif self._viewers == 1:
            self._connections.tell_opened(self._record)

    def end(self) -> None:
        """Look no more: somebody less does."""
        self._viewers -= 1
        if not self._viewers:
            self._end = self._clock.callLater(GRACE, self._forget)

    def find(self, number: int) -> Wire | None:
        """Return what is recorded under a number."""
        wires = (*self._open.values(), *self._ended)
        return next((wire for wire in wires if wire.number == number), None)

    def rows(self) -> dict[str, object]:
        """List the open connections, the newest first, and those that ended lately."""
        self._fill()
        now = self._clock.seconds()
        rows = [self._row(wire, now) for wire in self._open.values()]
        return {
            "connections": sorted(rows, key=lambda row: row["age"]),
            "unlisted": len(self._connections) - len(rows),
            "ended": [self._row(wire, now) for wire in reversed(self._ended)],
        }

    def _row(self, wire: Wire, now: float) -> dict[str, Any]:
        one = wire.connection
        row = {
            "id": wire.number, "peer": one.peer, "local": one.local, "via": one.via,
            "age": (wire.ended or now) - one.started, "quiet": wire.quiet(), "state": one.state,
            "messages": one.account().get("messages"), "received": one.bytes_in,
            "sent": one.bytes_out,
        }  # fmt: skip
        if wire.ended is not None:
            row |= {"state": "ended", "reason": one.reason, "ago": now - wire.ended}
        return row

    def _fill(self) -> None:
        if len(self._open) < min(LISTED, len(self._connections)):
            newest = reversed(tuple(self._connections))
            others = (one for one in newest if one not in self._open)
            for one in reversed(tuple(islice(others, LISTED - len(self._open)))):
                self._record(one, whole=False)

    def _record(self, connection: Any, whole: bool = True) -> None:
        if not isinstance(connection, DaemonProtocol):  # it awaits a PROXY header, not for long
            return
        if len(self._open) == LISTED:
            self._make_room()
        wire = Wire(next(self._numbers), self._clock, connection, whole, self._text, self._over)
        self._open[connection] = wire

    def _make_room(self) -> None:
        unpinned = (wire for wire in self._open.values() if not wire.pins)
        wire = min(unpinned, key=lambda wire: wire.connection.started)
        wire.leave()
        del self._open[wire.connection]

    def _over(self, wire: Wire) -> None:
        del self._open[wire.connection]
        self._ended.append(wire)

    def _forget(self) -> None:
        self._end = None
        self._connections.tell_opened(None)
        for wire in self._open.values():
            wire.leave()
        self._open.clear()
        self._ended.clear()
