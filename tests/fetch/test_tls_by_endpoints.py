"""https over connections that the caller's endpoints make."""

from typing import Any, cast

from cryptography import x509
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import (
    ISSLTransport,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, optionsForClientTLS
from twisted.internet.testing import StringTransport
from zope.interface import directlyProvides, implementer

from hello_service.fetch.errors import TLSFailed
from hello_service.fetch.response import RawResponse
from hello_service.fetch.tls import Handshake
from tests.certificates import dns
from tests.fetch.https import HTTPSTestCase
from tests.tls_servers import Plain, TLSServer


class EndpointTests(HTTPSTestCase):
    """Connections that the caller's endpoints make."""

    def tcp(self, server: TLSServer) -> TCP4ClientEndpoint:
        return TCP4ClientEndpoint(self.reactor, "127.0.0.1", server.port)

    async def test_theirs(self) -> None:
        """TLS by an endpoint is checked for the host of the URL."""
        server = TLSServer(self, self.issue(x509.DNSName("a.example")))
        root = Certificate.loadPEM(self.authority.pem)
        endpoint = wrapClientTLS(optionsForClientTLS("a.example", root), self.tcp(server))
        self.assertEqual(
            (await self.get("a.example", server, self.agent(endpoint=endpoint))).code, 204
        )

    async def test_nobodys(self) -> None:
        """A certificate without names is refused there, too."""
        server = TLSServer(self, self.authority.issue(None))
        root = Certificate.loadPEM(self.authority.pem)
        endpoint = wrapClientTLS(optionsForClientTLS("a.example", root), self.tcp(server))
        self.assertIn(
            "no host", await self.refused("a.example", server, self.agent(endpoint=endpoint))
        )
        self.flushLoggedErrors()

    async def test_already_over(self) -> None:
        """An endpoint may have finished the handshake before it hands the connection on."""
        server = TLSServer(self, self.issue(x509.DNSName("a.example")))
        root = Certificate.loadPEM(self.authority.pem)
        endpoint = AfterHandshake(
            wrapClientTLS(optionsForClientTLS("a.example", root), self.tcp(server))
        )
        self.assertEqual(
            (await self.get("a.example", server, self.agent(endpoint=endpoint))).code, 204
        )

    async def test_unknown_tls(self) -> None:
        """An endpoint whose TLS cannot be looked into is not trusted."""
        transport = StringTransport()
        directlyProvides(transport, ISSLTransport)
        self.assertRaises(TLSFailed, Handshake("a.example").start, transport)

    async def test_for_http(self) -> None:
        """What is asked for by http is not checked, even if an endpoint does TLS."""
        server = TLSServer(self, self.authority.issue(dns("b.example")))
        root = Certificate.loadPEM(self.authority.pem)
        endpoint = wrapClientTLS(optionsForClientTLS("b.example", root), self.tcp(server))
        asking = self.agent(endpoint=endpoint).request(b"GET", b"http://a.example/")
        response = cast(RawResponse, await asking)
        self.assertEqual(response.code, 204)
        self.assertIsNotNone(response.wire.times.secured)
        await server.end()
        await self.lost.queue.get()

    async def test_no_tls(self) -> None:
        """An endpoint that does no TLS is found out before anything is sent."""
        plain = Plain()
        port = self.reactor.listenTCP(0, plain, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        endpoint = TCP4ClientEndpoint(self.reactor, "127.0.0.1", port.getHost().port)
        asking = self.agent(endpoint=endpoint).request(b"GET", b"https://a.example/")
        error = await self.assertFailure(asking, TLSFailed)
        self.assertIn("the endpoint connects without TLS", str(error))
        await plain.over
        self.assertEqual(plain.received, b"")


@implementer(IStreamClientEndpoint)
class AfterHandshake:
    """An endpoint that hands a connection on once its handshake is over."""

    def __init__(self, inner: IStreamClientEndpoint) -> None:
        self._inner = inner

    async def _connect(self, factory: Any) -> Any:
        from twisted.internet.interfaces import IHandshakeListener

        done: Deferred[None] = Deferred()

        @implementer(IHandshakeListener)
        class Waiting(Protocol):
            def handshakeCompleted(self) -> None:
                done.callback(None)

            def dataReceived(self, data: bytes) -> None:
                protocol.dataReceived(data)

            def connectionLost(self, reason: Any = None) -> None:
                protocol.connectionLost(reason)

        waiting: Any = await self._inner.connect(Factory.forProtocol(Waiting))
        await done
        protocol = factory.buildProtocol(None)
        protocol.makeConnection(waiting.transport)
        return protocol

    def connect(self, factory: Any) -> Deferred[Any]:
        return Deferred.fromCoroutine(self._connect(factory))
