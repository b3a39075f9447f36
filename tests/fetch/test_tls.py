"""https against real servers on loopback: whose certificate is taken, and what is said if none."""

import os
import socket
import sys
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    ISSLTransport,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, CertificateOptions, optionsForClientTLS
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.client import BrowserLikePolicyForHTTPS
from twisted.web.iweb import IPolicyForHTTPS, IResponse
from zope.interface import directlyProvides, implementer

from hello_service.fetch.agent import RawAgent
from hello_service.fetch.errors import CutShort, HandshakeCut, OutOfTime, Stalled, TLSFailed
from hello_service.fetch.exchange import Settings
from hello_service.fetch.request import NoTLS
from hello_service.fetch.response import RawResponse
from hello_service.fetch.tls import Handshake
from hello_service.fetch.wire import Observer
from tests.certificates import DAY, Authority, Issued, dns, garbled, issue
from tests.fetch.test_certificate import BAD, GOOD
from tests.fetching import V4, Endpoints, FetchTestCase
from tests.processes import PATIENCE, missing, run
from tests.tls_servers import TLSServer, lead_all_names_here


@implementer(IPolicyForHTTPS)
class Policy:
    """Gives each connection the same creator; keeps what it was asked for."""

    def __init__(self, creator: object) -> None:
        self._creator = creator
        self.asked: list[tuple[bytes, int]] = []

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        self.asked.append((hostname, port))
        return cast(IOpenSSLClientConnectionCreator, self._creator)


@implementer(IOpenSSLClientConnectionCreator)
class Raising:
    """Makes no connections."""

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        raise ZeroDivisionError


class Losses(Observer):
    """Gets an item for each connection of an agent's that is lost."""

    def __init__(self) -> None:
        self.queue: DeferredQueue[None] = DeferredQueue()

    def lost(self, reason: Failure) -> None:
        self.queue.put(None)


class LoopbackTestCase(TestCase):
    """Servers on loopback, and agents that trust an authority of the test's."""

    timeout = 4 * PATIENCE

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        self.authority = Authority()
        self.trust_file = self.folder / "authority.pem"
        self.trust_file.write_bytes(self.authority.pem)
        self.set_environ("SSL_CERT_FILE", str(self.trust_file))
        self.set_environ("SSL_CERT_DIR", str(self.folder / "none"))
        self.lost = Losses()
        lead_all_names_here(self)

    def set_environ(self, name: str, value: str | None) -> None:
        """Set a variable until the test is over; C{None} unsets it."""
        before = os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value

        def restore() -> None:
            os.environ.pop(name, None)
            if before is not None:
                os.environ[name] = before

        self.addCleanup(restore)

    def agent(self, policy: Any = None, endpoint: Any = None, **settings: Any) -> RawAgent:
        return RawAgent(
            self.reactor,
            Settings(observer=self.lost, **settings),
            policy_for_https=policy,
            endpoint_factory=Endpoints(endpoint) if endpoint else None,
        )

    def agents(self) -> tuple[RawAgent, RawAgent]:
        """Return one with the policy that it has by itself, and one with a caller's."""
        root = Certificate.loadPEM(self.authority.pem)
        return self.agent(), self.agent(BrowserLikePolicyForHTTPS(root))

    async def get(self, host: str, server: TLSServer, agent: RawAgent | None = None) -> RawResponse:
        """Ask a server for a page under a name."""
        uri = f"https://{host}:{server.port}/".encode()
        try:
            return cast(RawResponse, await (agent or self.agent()).request(b"GET", uri))
        finally:
            await server.end()
            await self.lost.queue.get()

    async def refused(
        self, host: str, server: TLSServer, agent: RawAgent | None = None, kind: Any = TLSFailed
    ) -> str:
        """Ask, see it fail with nothing sent; return what is said."""
        asking = Deferred.fromCoroutine(self.get(host, server, agent))
        error = await self.assertFailure(asking, kind)
        self.assertEqual(server.received, b"")
        return str(error)

    def issue(self, *names: x509.GeneralName, **more: Any) -> Issued:
        return self.authority.issue(x509.SubjectAlternativeName(names), **more)


class WhoseCertificateTests(LoopbackTestCase):
    """Of https nothing leaves until the certificate is known to be the host's."""

    async def test_theirs(self) -> None:
        """A certificate for the host is taken."""
        for host, names in GOOD:
            server = TLSServer(self, self.issue(*names))
            response = await self.get(host, server)
            self.assertEqual((response.code, server.received), (204, response.wire.request))

    async def test_theirs_by_the_callers_policy(self) -> None:
        """A policy of the caller's takes what both it and we find to be the host's."""
        for host, names in GOOD[:6]:
            server = TLSServer(self, self.issue(*names))
            _, agent = self.agents()
            response = await self.get(host, server, agent)
            self.assertEqual((response.code, server.received), (204, response.wire.request))

    async def test_not_theirs(self) -> None:
        """A certificate for others is refused, and the message has its names."""
        for host, names, said in BAD:
            server = TLSServer(self, self.issue(*names))
            own, by_policy = self.agents()
            self.assertIn(said, await self.refused(host, server, own))
            self.assertEqual(self.flushLoggedErrors(), [])
            await self.refused(host, server, by_policy)
            self.flushLoggedErrors()  # Twisted's, when it takes what it cannot read

    async def test_no_names(self) -> None:
        """A certificate that has no names, or none that can be read, is refused."""
        for names, said in (
            (None, "the certificate names no host"),
            (garbled(b"\x30\x07\x87\x05\x7f\0\0\0\x01"), "cannot be read"),
            (garbled(b"\x30\x10\x82\x0eb\xfccher.example"), "cannot be read"),
            (garbled(b"\x30\x03\x82\x05\xff"), "the certificate is malformed"),
        ):
            server = TLSServer(self, self.authority.issue(names, common_name="a.example"))
            own, by_policy = self.agents()
            self.assertIn(said, await self.refused("a.example", server, own))
            self.assertEqual(self.flushLoggedErrors(), [])
            await self.refused("a.example", server, by_policy)
            self.flushLoggedErrors()

    async def test_twisted_takes_them(self) -> None:
        """Without our check Twisted would send the request: that is why there is one."""
        server = TLSServer(self, self.authority.issue(None))
        root = Certificate.loadPEM(self.authority.pem)
        creator = optionsForClientTLS("a.example", root)
        endpoint = wrapClientTLS(
            creator, TCP4ClientEndpoint(self.reactor, "127.0.0.1", server.port)
        )
        received: Deferred[bytes] = Deferred()

        class Asking(Protocol):
            def connectionMade(self) -> None:
                cast(Any, self.transport).write(b"question")

            def dataReceived(self, data: bytes) -> None:
                received.callback(data)
                cast(Any, self.transport).loseConnection()

        await endpoint.connect(Factory.forProtocol(Asking))
        await received
        self.assertEqual(server.received, b"question")
        self.assertTrue(self.flushLoggedErrors())

    async def test_ipv6(self) -> None:
        """A certificate can be for an IPv6 address."""
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            missing("there is no IPv6")
        names = [x509.IPAddress(ip_address("::1"))]
        server = TLSServer(self, self.issue(*names), interface="::1")
        self.assertEqual((await self.get("[::1]", server)).code, 204)
        self.assertEqual(server.asked_for, [None])

    async def test_sni(self) -> None:
        """The server is told the name without a trailing dot, and no address."""
        server = TLSServer(self, self.issue(
            x509.DNSName("a.example"), x509.IPAddress(ip_address("127.0.0.1"))
        ))  # fmt: skip
        for agent in self.agents():
            for host in ("a.example", "a.example.", "127.0.0.1"):
                await self.get(host, server, agent)
        self.assertEqual([name for name in server.asked_for if name], [b"a.example"] * 4)

    async def test_no_certificate(self) -> None:
        """A policy of the caller's that takes servers without a certificate is not enough."""

        def anonymous(context: SSL.Context) -> None:
            context.set_cipher_list(b"ADH:@SECLEVEL=0")
            context.set_max_proto_version(SSL.TLS1_2_VERSION)

        @implementer(IOpenSSLClientConnectionCreator)
        class Anonymous:
            def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
                context = SSL.Context(SSL.TLS_CLIENT_METHOD)
                anonymous(context)
                return SSL.Connection(context)

        server = TLSServer(self, self.issue(), setup=anonymous)
        agent = self.agent(Policy(Anonymous()))
        self.assertIn("shown no certificate", await self.refused("a.example", server, agent))

    async def test_policy_that_trusts_all(self) -> None:
        """A policy of the caller's that looks at no name does not do without the check."""
        agent = self.agent(Policy(CertificateOptions(verify=False)))
        server = TLSServer(self, issue(dns("a.example")))
        self.assertEqual((await self.get("a.example", server, agent)).code, 204)
        server = TLSServer(self, issue(dns("a.example")))
        self.assertIn("not for 'b.example'", await self.refused("b.example", server, agent))


class EndpointTests(LoopbackTestCase):
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


class HandshakeTests(LoopbackTestCase):
    """How a handshake fails."""

    async def fails(self, plain: Plain, kind: Any = TLSFailed, **settings: Any) -> str:
        """Ask a server that does no TLS of its own; return what is said."""
        port = self.reactor.listenTCP(0, plain, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        agent = self.agent(**settings)
        asking = agent.request(b"GET", f"https://a.example:{port.getHost().port}/".encode())
        error = await self.assertFailure(asking, kind)
        await plain.over
        self.assertNotIn(b"GET", plain.received)
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


class TrustTests(LoopbackTestCase):
    """Certificates that are not trusted."""

    async def said(self, issued: Issued) -> str:
        return await self.refused("a.example", TLSServer(self, issued))

    async def test_dates(self) -> None:
        """A certificate that is not valid now."""
        names = x509.DNSName("a.example")
        expired = self.issue(names, begins=-3 * DAY, ends=-2 * DAY)
        day = f"{expired.certificate.not_valid_after_utc:%Y-%m-%d}"
        self.assertIn(f"the certificate expired on {day}", await self.said(expired))
        early = self.issue(names, begins=2 * DAY, ends=3 * DAY)
        day = f"{early.certificate.not_valid_before_utc:%Y-%m-%d}"
        self.assertIn(f"the certificate is not valid before {day}", await self.said(early))

    async def test_unknown(self) -> None:
        """A certificate by itself, or by an authority that is not known here."""
        file = repr(str(self.trust_file))
        said = await self.said(issue(dns("a.example")))
        self.assertIn("the certificate is self-signed, and not trusted here", said)
        self.assertIn(f"SSL_CERT_FILE names {file}, which does not have its authority", said)
        other = issue(None, authority=True, common_name="Other")
        said = await self.said(issue(dns("a.example"), other))
        self.assertIn("is from 'CN=Other', which is not trusted here", said)

    async def test_weak(self) -> None:
        """A key that is too small to be safe."""
        key = rsa.generate_private_key(65537, 1024)
        weak = self.issue(x509.DNSName("a.example"), key=key)

        def allow(context: SSL.Context) -> None:
            context.set_cipher_list(b"ALL:@SECLEVEL=0")

        said = await self.refused("a.example", TLSServer(self, weak, setup=allow))
        self.assertIn("key too small to be safe", said)

    async def test_purpose(self) -> None:
        """A certificate that is for clients."""
        wrong = self.issue(x509.DNSName("a.example"), usage=ExtendedKeyUsageOID.CLIENT_AUTH)
        self.assertIn("is not one for servers", await self.said(wrong))

    async def test_by_the_callers_policy(self) -> None:
        """A policy of the caller's does not tell why it trusts nobody."""
        _, agent = self.agents()
        server = TLSServer(self, issue(dns("a.example")))
        said = await self.refused("a.example", server, agent)
        self.assertIn("not one that the policy for https trusts", said)

    async def test_trust_file(self) -> None:
        """What is wrong with the file of authorities is said when it matters."""
        empty = self.folder / "empty.pem"
        empty.write_text("nothing\n")
        damaged = self.folder / "damaged.pem"
        damaged.write_bytes(self.authority.pem[:200])
        for file, said in (
            (self.folder / "nosuch.pem", "which does not exist"),
            (empty, "in which there is no certificate"),
            (damaged, "in which a certificate is damaged"),
            (self.folder, "which cannot be read (Is a directory)"),
            (empty / "a", "which cannot be read (Not a directory)"),
        ):
            os.environ["SSL_CERT_FILE"] = str(file)
            found = await self.said(self.issue(x509.DNSName("a.example")))
            self.assertIn(f"SSL_CERT_FILE names {str(file)!r}, {said}", found)

    async def test_no_trust(self) -> None:
        """Where there are no authorities at all, that is said."""
        del os.environ["SSL_CERT_FILE"]
        none = str(self.folder / "none")
        self.patch(sys.modules["hello_service.fetch.tls_words"], "_AUTHORITIES", (none,))
        found = await self.said(self.issue(x509.DNSName("a.example")))
        self.assertIn(f"SSL_CERT_DIR names {none!r}, where there are no certificates", found)
        os.environ["SSL_CERT_DIR"] = f"{none}{os.pathsep}{self.folder}"
        found = await self.said(self.issue(x509.DNSName("a.example")))
        self.assertIn("name the file of its authority's certificate in SSL_CERT_FILE", found)
        del os.environ["SSL_CERT_DIR"]
        found = await self.said(self.issue(x509.DNSName("a.example")))
        self.assertIn("no list of authorities; install the package ca-certificates", found)


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


class UvloopTests(SynchronousTestCase):
    """All of it on the reactor of uvloop."""

    def test_on_uvloop(self) -> None:
        names = ("WhoseCertificateTests", "EndpointTests", "HandshakeTests", "TrustTests")
        cases = [f"{__name__}.{name}" for name in names]
        root = Path(__file__).parent.parent.parent
        with TemporaryDirectory() as folder:
            done = run(
                "python", "-m", "twisted.trial", "--reactor=uvloop", f"--temp-directory={folder}/t",
                *cases, cwd=root, timeout=4 * PATIENCE,
            )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
