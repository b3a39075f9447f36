"""A server's and a client's protocol that converse on a reactor of their own."""

from collections.abc import Callable
from typing import Any, ClassVar

import uvloop
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
)
from twisted.internet.protocol import (
    ClientFactory,
    Factory,
    Protocol,
    connectionDone,
)
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hello_service.uvloop_reactor.reactor import UvloopReactor
from tests.processes import PATIENCE

MUCH = b"x" * 20_000_000
"""More than the kernel keeps for two sockets."""


class Peer(Protocol):
    """One end of a connection: notes what it is told, and does what a test adds.

    @ivar ended: called when the connection is lost.
    """

    transport: Any

    def __init__(self, ended: Callable[[], None]) -> None:
        self.ended = ended
        self.received = bytearray()
        self.reason: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.reason = reason
        self.ended()


@implementer(IHalfCloseableProtocol)
class HalfPeer(Peer):
    """The same, told of each half's end."""

    halves: tuple[str, ...] = ()

    def readConnectionLost(self) -> None:
        self.halves += ("read",)

    def writeConnectionLost(self) -> None:
        self.halves += ("write",)


class Producer:
    """Writes pieces when it is asked to, and then unregisters itself.

    @ivar calls: what it was asked.
    """

    def __init__(self, transport: Any, pieces: int, piece: bytes = MUCH) -> None:
        self.transport = transport
        self.pieces = pieces
        self.piece = piece
        self.calls: list[str] = []

    def resumeProducing(self) -> None:
        self.calls.append("resume")
        if self.pieces:
            self.pieces -= 1
            self.transport.write(self.piece)
        else:
            self.transport.unregisterProducer()

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def stopProducing(self) -> None:
        self.calls.append("stop")


class ReactorTestCase(SynchronousTestCase):
    """Connects a server's protocol on our transport with a client's on Twisted's.

    @ivar running: how many protocols are still to be lost; then the reactor stops.
    """

    server_class: ClassVar[type[Peer]] = Peer
    client_class: ClassVar[type[Peer]] = Peer

    def setUp(self) -> None:
        self.reactor = self.uvloop_reactor()
        self.running = 2

    def epoll_reactor(self) -> Any:
        reactor = EPollReactor()
        self.addCleanup(reactor._poller.close)
        for waker in reactor._internalReaders:
            self.addCleanup(waker.connectionLost, None)
        return reactor

    def uvloop_reactor(self) -> UvloopReactor:
        loop = uvloop.new_event_loop()
        self.addCleanup(loop.close)
        return UvloopReactor(loop)

    def ended(self) -> None:
        self.running -= 1
        if not self.running and self.reactor.running:
            self.reactor.stop()

    def run_reactor(self) -> None:
        late = self.reactor.callLater(PATIENCE, self.reactor.crash)
        self.reactor.run(installSignalHandlers=False)
        self.assertTrue(late.active(), "the connection does not end")
        late.cancel()

    def converse(
        self,
        made: Callable[[Any, Any], object],
        client_made: Callable[[Any], object] = lambda client: None,
        interface: str = "127.0.0.1",
    ) -> tuple[Any, Any]:
        """Run the reactor until both ends are lost.

        @param made: called in the server's C{connectionMade}, with it and the reactor.
        @param client_made: called in the client's, with it.
        """
        self.server = server = self.server_class(self.ended)
        self.client = client = self.client_class(self.ended)
        server.connectionMade = lambda: made(server, self.reactor)  # type: ignore[method-assign]
        client.connectionMade = lambda: client_made(client)  # type: ignore[method-assign]
        factory, client_factory = Factory(), ClientFactory()
        factory.buildProtocol = lambda addr: server  # type: ignore[method-assign]
        client_factory.buildProtocol = lambda addr: client  # type: ignore[method-assign]
        self.port = self.reactor.listenTCP(0, factory, interface=interface)
        number = self.port.getHost().port  # type: ignore[attr-defined]
        self.reactor.connectTCP(interface, number, client_factory)
        self.run_reactor()
        return server, client
