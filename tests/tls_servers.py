"""Servers on loopback for clients of TLS, and names that lead there."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.interfaces import (
    IHandshakeListener,
    IHostnameResolver,
    IHostResolution,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IResolutionReceiver,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from tests.certificates import Authority, Issued
from tests.processes import PATIENCE


@implementer(IOpenSSLServerConnectionCreator)
class Certified:
    """Does a server's TLS with a certificate; keeps the names that clients ask for (SNI)."""

    def __init__(self, issued: Issued, setup: Callable[[SSL.Context], object]) -> None:
        self.asked_for: list[bytes | None] = []
        self._context = SSL.Context(SSL.TLS_SERVER_METHOD)
        setup(self._context)
        self._context.use_certificate(issued.certificate)
        self._context.use_privatekey(issued.key)
        self._context.set_tlsext_servername_callback(
            lambda connection: self.asked_for.append(connection.get_servername())
        )

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        return SSL.Connection(self._context)


class Answering(Protocol):
    """Answers once, and closes."""

    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        transport.loseConnection()


@implementer(IHandshakeListener)
class Recorded(ProtocolWrapper):
    """A connection whose data is written down."""

    factory: "Recording"

    def handshakeCompleted(self) -> None:
        if IHandshakeListener.providedBy(self.wrappedProtocol):
            self.wrappedProtocol.handshakeCompleted()

    def dataReceived(self, data: bytes) -> None:
        self.factory.received.append(data)
        super().dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.factory.ended.put(None)


class Recording(WrappingFactory[Recorded]):
    """
    @ivar received: the application data of all connections.
    @ivar ended: gets an item for each connection that is lost.
    """

    protocol = Recorded
    noisy = False

    def __init__(self, factory: IProtocolFactory) -> None:
        super().__init__(factory)
        self.received: list[bytes] = []
        self.ended: DeferredQueue[None] = DeferredQueue()


class TLSServer:
    """Serves on a free port of loopback until the test is over."""

    def __init__(
        self,
        test: Any,
        issued: Issued,
        *,
        setup: Callable[[SSL.Context], object] = lambda context: None,
        factory: IProtocolFactory | None = None,
        interface: str = "127.0.0.1",
    ) -> None:
        """
        @param setup: what else to do to the context.
        @param factory: makes the protocols, if not to answer any request.
        """
        from twisted.internet import reactor

        self._creator = Certified(issued, setup)
        self._factory = Recording(factory or Factory.forProtocol(Answering))
        listening: Any = reactor
        port = listening.listenTCP(
            0, TLSMemoryBIOFactory(self._creator, False, self._factory), interface=interface
        )
        test.addCleanup(port.stopListening)
        self.port: int = port.getHost().port

    async def end(self) -> None:
        """Wait for the end of one connection."""
        await self._factory.ended.get()

    @property
    def received(self) -> bytes:
        """All that has come through TLS."""
        return b"".join(self._factory.received)

    @property
    def asked_for(self) -> list[bytes | None]:
        """The names that clients have sent (SNI)."""
        return self._creator.asked_for


class Plain(Factory):
    """A server without TLS, which does something with the first bytes that it gets.

    @ivar over: fires once a connection is lost.
    """

    noisy = False

    def __init__(self, answer: bytes = b"", end: str = "") -> None:
        self.answer = answer
        self.end = end
        self.received = b""
        self.over: Deferred[None] = Deferred()

    def buildProtocol(self, addr: Any) -> Protocol:
        factory = self

        class Serving(Protocol):
            def dataReceived(self, data: bytes) -> None:
                factory.received += data
                transport: Any = self.transport
                transport.write(factory.answer)
                if factory.end:
                    getattr(transport, factory.end)()

            def connectionLost(self, reason: Any = None) -> None:
                if not factory.over.called:
                    factory.over.callback(None)

        return Serving()


@implementer(IHostnameResolver, IHostResolution)
class ToLoopback:
    """Resolves every name to 127.0.0.1."""

    name = ""

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Any = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        resolutionReceiver.resolutionBegan(self)
        resolutionReceiver.addressResolved(IPv4Address("TCP", "127.0.0.1", portNumber))
        resolutionReceiver.resolutionComplete()
        return self

    def cancel(self) -> None:
        """It is over already."""


class TLSTestCase(TestCase):
    """Clients of servers on loopback, with an authority of the test's; all names lead there."""

    timeout = 4 * PATIENCE

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor = cast(Any, reactor)
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        self.authority = Authority()
        before = self.reactor.installNameResolver(ToLoopback())
        self.addCleanup(self.reactor.installNameResolver, before)
