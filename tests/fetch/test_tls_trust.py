"""https with a CA of the user's own, or with anybody; and what is known of a handshake."""

import os
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from OpenSSL import SSL
from twisted.internet.ssl import Certificate, optionsForClientTLS
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import BrowserLikePolicyForHTTPS

from hello_service.fetch import RawAgent, Settings, UncheckedHandshake, trusting
from hello_service.fetch.authorities import BadAuthorities, authorities_in
from hello_service.fetch.negotiated import Negotiated, ShownCertificate
from hello_service.fetch.wire import Wire
from tests.certificates import DAY, Authority, Issued, dns, garbled, issue
from tests.fetch.https import HTTPSTestCase, Losses, Policy
from tests.processes import run, trial_on_uvloop
from tests.tls_servers import TLSServer

NAME = x509.DNSName("a.example")


def certificate_pem(issued: Issued) -> bytes:
    """Return a certificate without its key."""
    return issued.certificate.public_bytes(Encoding.PEM)


def sending(*others: Issued) -> Callable[[SSL.Context], None]:
    """Have a server send other certificates after its own."""

    def setup(context: SSL.Context) -> None:
        for each in others:
            context.add_extra_chain_cert(each.certificate)

    return setup


class FileTests(HTTPSTestCase):
    """The authorities in a file."""

    def file(self, data: bytes) -> str:
        path = self.folder / "given.pem"
        path.write_bytes(data)
        return str(path)

    def fault(self, file: str) -> str:
        error = self.assertRaises(BadAuthorities, authorities_in, file)
        self.assertTrue(str(error).startswith(repr(file)), error)
        return str(error)

    def test_several(self) -> None:
        """There may be several, with keys and text around them."""
        pem = b"about\r\n" + self.authority.own.pem + Authority().pem
        self.assertEqual(len(authorities_in(self.file(pem))), 2)

    def test_faults(self) -> None:
        """A file without one says what it has, and what to do."""
        key = self.authority.own.key
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public = b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"
        for data, said in (
            (b"", "is not PEM: a certificate there begins with"),
            (b"hello\n", "is not PEM: a certificate there begins with"),
            (self.authority.own.certificate.public_bytes(Encoding.DER), "openssl x509 -inform der"),
            (private, "has a key and no certificate: name"),
            (public, "has no certificate in it: name"),
            (self.authority.pem[:200], "a certificate that is damaged"),
            (self.authority.pem.replace(b"M", b"N", 1), "a certificate that is damaged"),
        ):
            self.assertIn(said, self.fault(self.file(data)))

    def test_no_file(self) -> None:
        """A file that is not there, or cannot be read."""
        self.assertIn("does not exist: name", self.fault(str(self.folder / "nosuch")))
        self.assertIn("cannot be read (Is a directory)", self.fault(str(self.folder)))


class TrustingTests(HTTPSTestCase):
    """Whom a file is trusted for."""

    def setUp(self) -> None:
        super().setUp()
        self.other = Authority(issue(None, authority=True, common_name="Other"))
        self.file = self.folder / "other.pem"

    async def fetch(self, given: bytes, issued: Issued, *others: Issued) -> int:
        self.file.write_bytes(given)
        agent = self.agent(handshake_with=trusting(str(self.file)))
        server = TLSServer(self, issued, setup=sending(*others))
        return (await self.get("a.example", server, agent)).code

    async def refuse(self, given: bytes, issued: Issued) -> str:
        self.file.write_bytes(given)
        agent = self.agent(handshake_with=trusting(str(self.file)))
        return await self.refused("a.example", TLSServer(self, issued), agent)

    async def test_own(self) -> None:
        """Who is in the file is trusted, for the host alone."""
        self.assertEqual(await self.fetch(self.other.pem, self.other.issue(dns("a.example"))), 204)
        said = await self.refuse(self.other.pem, self.other.issue(dns("b.example")))
        self.assertIn("is for 'b.example', not for 'a.example'", said)

    async def test_nobody_else(self) -> None:
        """The platform's authorities are not trusted besides."""
        said = await self.refuse(self.other.pem, self.issue(NAME))
        self.assertIn("is from 'CN=Test Authority'", said)
        self.assertIn(f"put the authority's certificate into {str(self.file)!r}", said)

    async def test_made_anew(self) -> None:
        """An authority that was made anew under its old name is told as such."""
        said = await self.refuse(Authority().pem, self.issue(NAME))
        self.assertIn("is from another 'CN=Test Authority' than the one known here: put", said)

    async def test_intermediate(self) -> None:
        """An authority in the file need not be a root, and a server's own does, too."""
        middle = issue(None, self.other.own, authority=True, common_name="Middle")
        leaf = issue(dns("a.example"), middle)
        for given in (certificate_pem(middle), certificate_pem(leaf)):
            self.assertEqual(await self.fetch(given, leaf), 204)
        self.assertEqual(await self.fetch(self.other.pem, leaf, middle), 204)
        self.assertIn("is from 'CN=Middle'", await self.refuse(self.other.pem, leaf))

    async def test_expired(self) -> None:
        """What is in the file has to be valid all the same."""
        old = self.other.issue(dns("a.example"), begins=-3 * DAY, ends=-2 * DAY)
        self.assertIn("expired", await self.refuse(certificate_pem(old), old))

    async def test_folder_of_the_environment(self) -> None:
        """SSL_CERT_DIR names a folder that openssl rehash has prepared."""
        folder = self.folder / "rehashed"
        folder.mkdir()
        (folder / "other.pem").write_bytes(self.other.pem)
        self.assertEqual(run("openssl", "rehash", str(folder)).returncode, 0)
        del os.environ["SSL_CERT_FILE"]
        os.environ["SSL_CERT_DIR"] = str(folder)
        server = TLSServer(self, self.other.issue(dns("a.example")))
        self.assertEqual((await self.get("a.example", server)).code, 204)
        server = TLSServer(self, self.issue(NAME))
        self.assertIn("name the file of its authority", await self.refused("a.example", server))


class UncheckedTests(HTTPSTestCase):
    """A handshake that checks nothing."""

    async def test_anybody(self) -> None:
        """Any certificate is taken, and SNI is sent, of a name alone."""
        agent = self.agent(handshake_with=UncheckedHandshake)
        for issued in (
            issue(dns("b.example")),
            issue(None),
            self.issue(NAME, begins=-3 * DAY, ends=-2 * DAY),
            self.authority.issue(garbled(b"\x30\x03\x82\x05\xff")),
        ):
            server = TLSServer(self, issued)
            response = await self.get("a.example", server, agent)
            self.assertEqual((response.code, server.received), (204, response.wire.request))
            self.assertEqual(server.asked_for, [b"a.example"])
        server = TLSServer(self, issue(None))
        await self.get("127.0.0.1", server, agent)
        self.assertEqual(server.asked_for, [None])

    async def test_policy_goes_first(self) -> None:
        """A policy of the caller's is not got around."""
        agent = RawAgent(
            self.reactor,
            Settings(observer=self.lost, handshake_with=UncheckedHandshake),
            policy_for_https=BrowserLikePolicyForHTTPS(Certificate.loadPEM(self.authority.pem)),
        )
        server = TLSServer(self, issue(dns("a.example")))
        self.assertIn("not one that the policy", await self.refused("a.example", server, agent))

    async def test_client_certificate(self) -> None:
        """A server that wants a certificate from us is told from one that offers nothing safe."""

        def ask(context: SSL.Context) -> None:
            context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
            context.set_max_proto_version(SSL.TLS1_2_VERSION)

        server = TLSServer(self, self.issue(NAME), setup=ask)
        agent = self.agent(handshake_with=UncheckedHandshake)
        said = await self.refused("a.example", server, agent)
        self.assertIn("the server wants a certificate from its clients", said)


class Negotiations(Losses):
    """Keeps what it hears of handshakes, and whether they were over then."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Negotiated | str] = []

    def negotiated(self, tls: Negotiated) -> None:
        self.heard.append(tls)

    def secured(self) -> None:
        self.heard.append("secured")


class NegotiatedTests(HTTPSTestCase):
    """What is known of a handshake."""

    def setUp(self) -> None:
        super().setUp()
        self.lost = self.negotiations = Negotiations()

    async def negotiated(self, server: TLSServer, agent: Any = None) -> tuple[Negotiated, Wire]:
        """Fetch, and return what is heard of it."""
        response = await self.get("a.example", server, agent)
        tls, secured = self.negotiations.heard
        assert isinstance(tls, Negotiated)
        self.assertEqual(secured, "secured")
        return tls, response.wire

    async def test_chain(self) -> None:
        """The certificates as the server sent them, also one that is of no use."""
        names = [NAME, x509.DNSName("*.example.com"), x509.IPAddress(ip_address("127.0.0.1"))]
        issued = self.issue(*names, x509.RFC822Name("a@b.example"))
        server = TLSServer(self, issued, setup=sending(self.authority.own, Authority().own))
        tls, wire = await self.negotiated(server)
        self.assertIs(wire.tls, tls)
        self.assertEqual((tls.protocol, tls.alpn), ("TLSv1.3", None))
        self.assertRegex(str(tls.cipher), r"\ATLS_[A-Z0-9_]+\Z")
        own, root, _ = tls.chain
        self.assertEqual((own.subject, own.issuer), ("CN=server", "CN=Test Authority"))
        self.assertEqual(own.names, ["a.example", "*.example.com", "127.0.0.1"])
        self.assertEqual(own.begins, issued.certificate.not_valid_before_utc)
        self.assertEqual(own.ends, issued.certificate.not_valid_after_utc)
        self.assertEqual((root.subject, root.names), ("CN=Test Authority", ()))

    async def test_alpn(self) -> None:
        """The protocol of the server's choice, if a policy offers some."""

        def choose(context: SSL.Context) -> None:
            context.set_alpn_select_callback(lambda connection, offered: offered[-1])

        server = TLSServer(self, self.issue(NAME), setup=choose)
        root = Certificate.loadPEM(self.authority.pem)
        creator = optionsForClientTLS("a.example", root, acceptableProtocols=[b"h2", b"http/1.1"])
        tls, _ = await self.negotiated(server, self.agent(Policy(creator)))
        self.assertEqual(tls.alpn, "http/1.1")

    async def test_refused(self) -> None:
        """The certificates of a chain that is refused, of either version of TLS."""

        def old(context: SSL.Context) -> None:
            context.set_max_proto_version(SSL.TLS1_2_VERSION)

        for setup, protocol in ((lambda context: None, "TLSv1.3"), (old, "TLSv1.2")):
            await self.refused("a.example", TLSServer(self, issue(dns("b.example")), setup=setup))
            tls = self.negotiations.heard.pop()
            assert isinstance(tls, Negotiated)
            self.assertEqual((tls.protocol, len(tls.chain)), (protocol, 1))
            self.assertEqual(tls.chain[0].names, ["b.example"])
            self.assertEqual(self.negotiations.heard, [])

    async def test_garbled(self) -> None:
        """What cannot be read of a certificate is left out."""
        agent = self.agent(handshake_with=UncheckedHandshake)
        server = TLSServer(self, self.authority.issue(garbled(b"\x30\x03\x82\x05\xff")))
        tls, _ = await self.negotiated(server, agent)
        self.assertEqual((tls.chain[0].subject, tls.chain[0].names), ("CN=server", ()))

    def test_unreadable(self) -> None:
        """A certificate that OpenSSL takes and cryptography does not is there, without a word."""

        class Unreadable:
            def to_cryptography(self) -> object:
                raise ValueError("invalid version: 9")

        unreadable: Any = Unreadable()
        chain = Negotiated("TLSv1.3", None, None, [unreadable]).chain
        self.assertEqual(chain, [ShownCertificate()])


class UvloopTests(SynchronousTestCase):
    """All of it on the reactor of uvloop."""

    def test_on_uvloop(self) -> None:
        done = trial_on_uvloop(f"{__name__}.TrustingTests", f"{__name__}.UncheckedTests",
                               f"{__name__}.NegotiatedTests")  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
