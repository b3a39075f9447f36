"""The protocols on real sockets in one reactor; pytest-twisted's, so a process of their own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from hello_service.client import HelloClient
from hello_service.conversation import LINE_TOO_LONG, Framing
from hello_service.server import HelloFactory


class Collector(Protocol):
    """Gathers all that comes until the connection is closed."""

    transport: ITCPTransport

    def __init__(self) -> None:
        self._received: list[bytes] = []
        self.closed: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self._received.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.closed.callback(b"".join(self._received))


@asynccontextmanager
async def server(framing: Framing = Framing.AUTO) -> AsyncIterator[HostnameEndpoint]:
    """A client endpoint to a server."""
    listening = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    port = await listening.listen(HelloFactory(reactor, framing))
    try:
        yield HostnameEndpoint(reactor, "127.0.0.1", port.getHost().port)
    finally:
        await port.stopListening()


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_the_conversation() -> None:
    async with server() as endpoint:
        client = await connectProtocol(endpoint, HelloClient())
        assert await client.welcome() == "Welcome!"
        for name in ("Michael", "Tracy", "Sarah", "x" * 1024):
            assert await client.hello(name) == f"Hello, {name}!"
        await client.exit()


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_half_close_loses_no_queued_answer() -> None:
    lines = 500_000
    async with server(Framing.LINE) as endpoint:
        client = await connectProtocol(endpoint, Collector())
        client.transport.write(b"Michael\n" * lines)
        client.transport.loseWriteConnection()
        received = await client.closed
    assert received == b"Welcome!\r\n" + b"Hello, Michael!\n" * lines


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_exit_in_the_middle_of_a_pipeline() -> None:
    async with server(Framing.LINE) as endpoint:
        client = await connectProtocol(endpoint, Collector())
        client.transport.write(b"Michael\n" * 1000 + b"exit\n" + b"nobody\n" * 100_000)
        received = await client.closed
    assert received == b"Welcome!\r\n" + b"Hello, Michael!\n" * 1000


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_an_over_long_line() -> None:
    async with server(Framing.LINE) as endpoint:
        client = await connectProtocol(endpoint, Collector())
        client.transport.write(b"Michael\n" + b"x" * 1_000_000)
        received = await client.closed
    assert received == b"Welcome!\r\nHello, Michael!\n" + LINE_TOO_LONG
