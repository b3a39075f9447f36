"""Tests of L{hello_service.fetch.way}, as the agent goes it."""

from typing import Any, cast

from cryptography.x509 import DNSName
from twisted.internet.address import UNIXAddress
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.internet.testing import StringTransport
from twisted.protocols.haproxy import proxyEndpoint
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from hello_service.fetch.proxy_header import version_1, version_2
from hello_service.fetch.response import RawResponse
from hello_service.fetch.way import Way
from tests.fetch.https import HTTPSTestCase
from tests.fetch.test_exchange import CLOSED, Log
from tests.fetching import LOCAL, FetchTestCase
from tests.processes import trial_on_uvloop
from tests.tls_servers import Answering, Certified, Recording

REQUEST = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


class WordsTests(SynchronousTestCase):
    """How messages call the end of a way."""

    def test_words(self) -> None:
        """An address has brackets where it needs them; a socket goes before host and port."""
        for way, text in (
            (Way("h", 80), "h:80"),
            (Way("::1", 80), "[::1]:80"),
            (Way("h", 80, "/run/h"), "unix:'/run/h'"),
        ):
            self.assertEqual(str(way), text)


class WayTests(FetchTestCase):
    """Connections that go elsewhere than to the host of the URL."""

    def test_elsewhere(self) -> None:
        """Another host and port is connected to; Host stays the URL's."""
        self.request(uri=b"http://h/", way_to=lambda host, port: Way("192.0.2.7", port + 1))
        self.assertEqual(self.resolver.asked, [])
        self.assertEqual(self.reactor.tcpClients[-1][:2], ("192.0.2.7", 81))
        self.assertEqual(self.connect().value(), REQUEST)

    def test_name(self) -> None:
        """Another host may be a name, which is looked up in place of the URL's."""
        self.request(uri=b"http://h/", way_to=lambda host, port: Way("other", port))
        self.assertEqual(self.resolver.asked[-1][:2], ("other", 80))

    def test_socket(self) -> None:
        """A UNIX socket is connected to."""
        log = Log()
        answer = self.request(
            uri=b"http://h/", way_to=lambda host, port: Way(host, port, "/run/h"), observer=log
        )
        self.assertEqual(self.resolver.asked, [])
        (path, factory, *_) = self.reactor.unixClients[-1]
        self.assertEqual(path, b"/run/h")
        peer: Any = factory.buildProtocol(UNIXAddress("/run/h"))
        transport = StringTransport(UNIXAddress(None), UNIXAddress("/run/h"))
        peer.makeConnection(transport)
        self.assertEqual(transport.value(), REQUEST)
        peer.dataReceived(CLOSED)
        self.assertEqual(self.response(answer).wire.peer, UNIXAddress("/run/h"))
        self.assertEqual(log.events[:2], ["resolved", "connected"])

    def test_opening(self) -> None:
        """What opens the connection is sent before the request, and kept beside it."""
        log = Log()
        asked: list[IAddress] = []

        def opening(local: IAddress, peer: IAddress) -> bytes:
            asked.extend((local, peer))
            return version_1(local, peer)

        response = self.fetched(
            CLOSED, uri=b"http://192.0.2.1/", observer=log,
            way_to=lambda host, port: Way(host, port, opening=opening),
        )  # fmt: skip
        header = b"PROXY TCP4 192.0.2.99 192.0.2.1 4321 80\r\n"
        self.assertEqual(asked[0], LOCAL)
        self.assertEqual(self.transport.value(), header + response.wire.request)
        self.assertEqual(response.wire.opening, header)
        request = f"sent {len(response.wire.request)}"
        self.assertEqual(log.events[1:4], ["connected", f"sent {len(header)}", request])

    def test_no_way(self) -> None:
        """A way that cannot be told fails the request."""

        def nowhere(host: str, port: int) -> Way:
            raise KeyError(host)

        self.failureResultOf(self.request(way_to=nowhere), KeyError)


class BelowTLSTests(HTTPSTestCase):
    """A header before TLS, read by Twisted."""

    async def test_opening(self) -> None:
        """The header goes out in the clear, and the handshake follows it."""
        peers: list[IAddress] = []

        class Noting(Answering):
            def connectionMade(self) -> None:
                peers.append(self.transport.getPeer())  # type: ignore[union-attr]

        creator = Certified(self.issue(DNSName("a.example")), lambda context: None)
        factory = Recording(Factory.forProtocol(Noting))
        listening = proxyEndpoint(TCP4ServerEndpoint(self.reactor, 0, interface="127.0.0.1"))
        port = await listening.listen(TLSMemoryBIOFactory(creator, False, factory))
        self.addCleanup(port.stopListening)
        for write in (version_1, version_2):
            agent = self.agent(way_to=lambda host, at, write=write: Way(host, at, opening=write))
            uri = f"https://a.example:{port.getHost().port}/".encode()
            response = cast(RawResponse, await agent.request(b"GET", uri))
            await factory.ended.get()
            await self.lost.queue.get()
            self.assertEqual(response.code, 204)
            self.assertEqual(peers.pop(), response.wire.local)

    def test_on_uvloop(self) -> None:
        """The same on the reactor of uvloop."""
        done = trial_on_uvloop(f"{__name__}.BelowTLSTests.test_opening")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
