"""Connections for tests, which end when they are told to, or not."""

from twisted.internet.testing import StringTransport

from hello_service.daemon.connections import Connections
from hello_service.daemon.protocol import DaemonFactory, DaemonProtocol


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
        self.bytes_out = 0
        self.counted: dict[str, object] = {}
        self.in_handshake = False
        self.answering = False
        self.told: list[str] = []
        self._connections = connections
        self._slow = slow
        connections.add(self)

    def account(self) -> dict[str, object]:
        return self.counted

    def drain(self, reason: str) -> None:
        self.told.append(reason)
        if not self._slow:
            self.end()

    def abort(self) -> None:
        self.told.append("abort")
        self.end()

    def end(self) -> None:
        self._connections.discard(self)


class HalfCloseTransport(StringTransport):
    """Also records each write, and a half-close."""

    half_closed = False
    bufferSize = 65536

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def fileno(self) -> int:
        return 10**6  # which is not open

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        super().write(data)

    def loseWriteConnection(self) -> None:
        self.half_closed = True


class Echo(DaemonProtocol):
    """Writes what it reads."""

    def received(self, data: bytes) -> None:
        self.write(data)


class EchoFactory(DaemonFactory):
    """Builds an `Echo` for each connection."""

    protocol = Echo
