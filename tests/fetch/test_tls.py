"""https against real servers on loopback: whose certificate is taken, and what is said if none."""

import os
import socket
import sys
from ipaddress import ip_address
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, CertificateOptions, optionsForClientTLS
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.certificates import DAY, Issued, dns, garbled, issue
from tests.fetch.https import HTTPSTestCase, Policy
from tests.fetch.test_certificate import BAD, GOOD
from tests.processes import missing, trial_on_uvloop
from tests.tls_servers import TLSServer


class WhoseCertificateTests(HTTPSTestCase):
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


class TrustTests(HTTPSTestCase):
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


class UvloopTests(SynchronousTestCase):
    """All of it on the reactor of uvloop, and what the files beside this one test with servers."""

    CASES = (
        "test_tls.WhoseCertificateTests",
        "test_tls.TrustTests",
        "test_tls_by_endpoints.EndpointTests",
        "test_tls_handshake.HandshakeTests",
    )

    def test_on_uvloop(self) -> None:
        done = trial_on_uvloop(*(f"tests.fetch.{case}" for case in self.CASES))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
