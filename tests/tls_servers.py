"""A TLS server on loopback, which keeps what reaches it through TLS; names that lead there."""

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.defer import DeferredQueue
from twisted.internet.interfaces import (
    IHostnameResolver,
    IHostResolution,
    IOpenSSLServerConnectionCreator,
    IResolutionReceiver,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.certificates import Issued


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


class AnsweringFactory(Factory):
    """Keeps what is sent on all connections, answers once and closes.

    @ivar ended: gets an item for each connection that is lost.
    """

    noisy = False

    def __init__(self, answer: bytes, first: bool) -> None:
        self.answer = answer
        self.first = first
        self.received: list[bytes] = []
        self.ended: DeferredQueue[None] = DeferredQueue()

    def buildProtocol(self, addr: Any) -> Protocol:
        return Answering(self)


class Answering(Protocol):
    """One of its connections."""

    def __init__(self, server: AnsweringFactory) -> None:
        self._server = server

    def connectionMade(self) -> None:
        if self._server.first:
            self._answer()

    def dataReceived(self, data: bytes) -> None:
        self._server.received.append(data)
        if not self._server.first:
            self._answer()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._server.ended.put(None)

    def _answer(self) -> None:
        transport: Any = self.transport
        transport.write(self._server.answer)
        transport.loseConnection()


class TLSServer:
    """Serves on a free port of loopback until the test is over."""

    def __init__(
        self,
        test: Any,
        issued: Issued,
        *,
        setup: Callable[[SSL.Context], object] = lambda context: None,
        answer: bytes = b"HTTP/1.1 204 No Content\r\n\r\n",
        first: bool = False,
        interface: str = "127.0.0.1",
    ) -> None:
        """
        @param setup: what else to do to the context.
        @param first: whether to answer before anything is asked.
        """
        from twisted.internet import reactor

        self._creator = Certified(issued, setup)
        self._factory = AnsweringFactory(answer, first)
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


def lead_all_names_here(test: Any) -> None:
    """Have the reactor resolve every name to 127.0.0.1 until the test is over."""
    from twisted.internet import reactor

    resolving: Any = reactor
    before = resolving.installNameResolver(ToLoopback())
    test.addCleanup(resolving.installNameResolver, before)
