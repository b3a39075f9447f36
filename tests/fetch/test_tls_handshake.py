"""How a handshake of https fails, and when the request leaves."""

from ipaddress import ip_address
from typing import Any, cast

from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.iweb import IResponse
from zope.interface import implementer

from hello_service.fetch.errors import CutShort, HandshakeCut, OutOfTime, Stalled, TLSFailed
from hello_service.fetch.request import NoTLS
from hello_service.fetch.tls import Handshake
from tests.certificates import Issued, issue
from tests.fetch.https import HTTPSTestCase, Policy
from tests.fetching import V4, FetchTestCase
from tests.tls_servers import Plain, TLSServer


@implementer(IOpenSSLClientConnectionCreator)
class Raising:
    """Makes no connections."""

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        raise ZeroDivisionError


class HandshakeTests(HTTPSTestCase):
    """How a handshake fails."""

    async def fails(self, plain: Plain, kind: Any = TLSFailed, **settings: Any) -> str:
        """Ask a server that does no TLS of its own; return what is said."""
        port = self.reactor.listenTCP(0, plain, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        agent = self.agent(**settings)
        asking = agent.request(b"GET", f"https://a.example:{port.getHost().port}/".encode())
        error = await self.assertFailure(asking, kind)
        await plain.over
        self.assertNotIn(b"GET /", plain.received)
        return str(error)

    async def test_plain_http(self) -> None:
        """A port that speaks HTTP is not TLS's."""
        said = await self.fails(Plain(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
        self.assertEqual(
            said,
            "the server does not speak TLS on this port:"
            " ask for http://, or for the port that does TLS",
        )

    async def test_alerts(self) -> None:
        """What the server broke off with is said in words."""
        for number, said in (
            (40, "needs TLS 1.2 or newer"),
            (70, "needs TLS 1.2 or newer"),
            (71, "needs TLS 1.2 or newer"),
            (80, "with the alert 'internal error': look into its log"),
            (112, "no site called 'a.example'"),
            (116, "wants a certificate from its clients"),
        ):
            alert = b"\x15\x03\x03\0\x02\x02" + bytes([number])
            self.assertIn(said, await self.fails(Plain(alert)))

    async def test_nonsense(self) -> None:
        """TLS that is none is said to be so."""
        said = await self.fails(Plain(b"\x16\x03\x03\0\x05hello"))
        self.assertIn("breaks the rules of TLS", said)

    async def test_cut(self) -> None:
        """A close, TLS's own or the connection's, or a reset is no failure of TLS."""
        close_notify = b"\x15\x03\x03\0\x02\x01\0"
        for plain in (
            Plain(end="loseConnection"),
            Plain(end="abortConnection"),
            Plain(close_notify),
        ):
            said = await self.fails(plain, HandshakeCut)
            self.assertEqual(said, "the connection broke during the TLS handshake")

    async def test_never_ends(self) -> None:
        """A handshake that takes too long is a time-out, which says so."""
        for settings, kind in (({"read_timeout": 0.2}, Stalled), ({"timeout": 0.2}, OutOfTime)):
            said = await self.fails(Plain(), kind, **settings)
            self.assertIn("during the TLS handshake", said)

    async def test_client_certificate(self) -> None:
        """A server that wants a certificate from us: after the handshake in TLS 1.3, during it in
        1.2."""

        def wants_one(context: SSL.Context) -> None:
            context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)

        def by_1_2(context: SSL.Context) -> None:
            wants_one(context)
            context.set_max_proto_version(SSL.TLS1_2_VERSION)

        for setup in (wants_one, by_1_2):
            server = TLSServer(self, self.issue(x509.DNSName("a.example")), setup=setup)
            said = await self.refused("a.example", server)
            self.assertIn("wants a certificate from its clients: it is not for everyone", said)

    async def test_nothing_shared(self) -> None:
        """A server that has no version of TLS in common with us."""

        def old(context: SSL.Context) -> None:
            context.set_cipher_list(b"ALL:@SECLEVEL=0")
            context.set_max_proto_version(SSL.TLS1_1_VERSION)

        def odd(context: SSL.Context) -> None:
            context.set_cipher_list(b"ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0")
            context.set_max_proto_version(SSL.TLS1_2_VERSION)

        for setup in (old, odd):
            server = TLSServer(self, self.issue(x509.DNSName("a.example")), setup=setup)
            said = await self.refused("a.example", server)
            self.assertIn("needs TLS 1.2 or newer", said)

    async def test_creator_that_raises(self) -> None:
        """A policy that fails is a failure of TLS at once, and nothing is logged."""
        server = TLSServer(self, self.issue(x509.DNSName("a.example")))
        said = await self.refused("a.example", server, self.agent(Policy(Raising())))
        self.assertEqual(
            said, "TLS for 'a.example' cannot be set up here: correct the policy for https"
        )

    async def test_transport_that_cannot(self) -> None:
        """A transport that cannot start TLS is a failure of TLS."""
        handshake = Handshake("a.example", cast(Any, Raising()))
        self.assertRaises(TLSFailed, handshake.start, object())

    async def test_policy_is_asked_without_the_dot(self) -> None:
        """A policy of the caller's gets the name that goes into SNI."""
        policy = Policy(object())
        asking = self.agent(policy).request(b"GET", b"https://a.example.:444/")
        error = self.failureResultOf(asking, TLSFailed).value
        self.assertEqual(str(error), "the policy for https fails for 'a.example': correct it")
        self.assertEqual(policy.asked, [(b"a.example", 444)])

    async def test_numbers(self) -> None:
        """What resolvers take for an address and certificates do not is refused at once."""
        for host in ("0", "2130706433", "0x7f.1", "127.1", "0X7F000001", "a.1", "0."):
            for agent in self.agents():
                asking = agent.request(b"GET", f"https://{host}/".encode())
                error = self.failureResultOf(asking, NoTLS).value
                self.assertIn("write the address in full, like 127.0.0.1", str(error))


class InTLS(StringTransport):
    """A connection that can do TLS, in memory; it shows a certificate."""

    def __init__(self, issued: Issued) -> None:
        super().__init__()
        self._certificate = X509.from_cryptography(issued.certificate)

    def startTLS(self, creator: IOpenSSLClientConnectionCreator) -> None:
        pass

    def getPeerCertificate(self) -> X509:
        return self._certificate


class ExchangeTests(FetchTestCase):
    """When the request leaves, and which failures are TLS's."""

    BROKEN = SSL.Error([("SSL routines", "", "wrong version number")])

    def shake_hands(self) -> tuple[Deferred[IResponse], InTLS]:
        """Ask, up to the handshake."""
        answer = self.request(uri=b"https://192.0.2.1/")
        factory: Any = self.reactor.tcpClients[-1][2]
        self.peer = factory.buildProtocol(V4)
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("192.0.2.1"))])
        transport = InTLS(issue(names))
        self.peer.makeConnection(transport)
        return answer, transport

    def lose(self, answer: Deferred[IResponse], reason: Exception) -> Any:
        """Lose the connection; return what the request fails with."""
        self.peer.connectionLost(Failure(reason))
        return self.failureResultOf(answer).value

    def test_sent_once(self) -> None:
        """The request leaves with the handshake, and with no second one."""
        _, transport = self.shake_hands()
        self.assertEqual(transport.value(), b"")
        for _ in range(2):
            self.peer.handshakeCompleted()
            self.assertEqual(transport.value().count(b"GET / HTTP/1.1"), 1)

    def test_in_the_handshake(self) -> None:
        """An error of TLS is TLS's, a lost connection is the connection's."""
        self.assertIsInstance(self.lose(self.shake_hands()[0], self.BROKEN), TLSFailed)
        for reason in (ConnectionDone(), ConnectionLost()):
            self.assertIsInstance(self.lose(self.shake_hands()[0], reason), HandshakeCut)

    def test_before_the_response(self) -> None:
        """After the handshake the server may still refuse TLS; a close is no longer about TLS."""
        answer, _ = self.shake_hands()
        self.peer.handshakeCompleted()
        self.assertIsInstance(self.lose(answer, self.BROKEN), TLSFailed)
        for reason in (ConnectionDone(), ConnectionLost()):
            answer, _ = self.shake_hands()
            self.peer.handshakeCompleted()
            error = self.lose(answer, reason)
            self.assertIsInstance(error, CutShort)
            self.assertNotIn("handshake", str(error))

    def test_in_the_response(self) -> None:
        """Once something has come, whatever ends it has cut it short."""
        for reason in (self.BROKEN, ConnectionDone(), ConnectionLost()):
            answer, _ = self.shake_hands()
            self.peer.handshakeCompleted()
            self.peer.dataReceived(b"HTTP/1.1 200 O")
            error = self.lose(answer, reason)
            self.assertIsInstance(error, CutShort)
            self.assertIn("inside the head, after 14 bytes", str(error))
