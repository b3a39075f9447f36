"""Connections for tests, which end when they are told to, or not."""

from hello_service.daemon.connections import Connections


class FakeConnection:
    """A connection that notes what it is told.

    @param slow: whether it goes on after it is told to drain.
    """

    def __init__(
        self,
        connections: "Connections[FakeConnection]",
        host: str | None = "192.0.2.1",
        started: float = 0.0,
        slow: bool = False,
    ) -> None:
        self.host = host
        self.started = started
        self.bytes_in = 0
        self.answering = False
        self.told: list[str] = []
        self._connections = connections
        self._slow = slow
        connections.add(self)

    def drain(self, reason: str) -> None:
        self.told.append(reason)
        if not self._slow:
            self.end()

    def abort(self) -> None:
        self.told.append("abort")
        self.end()

    def end(self) -> None:
        self._connections.discard(self)
