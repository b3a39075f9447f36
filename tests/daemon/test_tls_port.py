import contextlib
import ssl
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import makeBinding
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hello_service.daemon.limits import Refusal
from hello_service.daemon.reload import NotReloaded
from hello_service.daemon.service import DaemonService
from hello_service.daemon.settings import Settings
from hello_service.daemon.tls_port import CertificateService
from tests.certificates import DAY, Authority, Issued, dns, issue
from tests.connections import EchoFactory

DAYS = DAY.total_seconds()


class Client:
    """A client of a factory, whose TLS goes on when it is told to.

    @ivar error: what has ended it.
    """

    def __init__(self, factory: Any, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self.protocol = factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1))
        self.transport = StringTransport()
        self.error: Exception | None = None
        self.protocol.makeConnection(self.transport)

    def shake_hands(self) -> None:
        """Complete the handshake, or not, and pass on all that there is to read."""
        for _ in range(4):
            with contextlib.suppress(ssl.SSLWantReadError):
                try:
                    self.tls.do_handshake()
                except ssl.SSLWantReadError:
                    raise
                except ssl.SSLError as error:
                    self.error = self.error or error
            if data := self._outgoing.read():
                self.protocol.dataReceived(data)
            self._incoming.write(self.transport.value())
            self.transport.clear()

    @property
    def serial(self) -> int:
        """The number of the server's certificate."""
        return int(self.tls.getpeercert()["serialNumber"], 16)  # type: ignore[index, arg-type]

    def lose(self, reason: Failure = connectionDone) -> None:
        self.protocol.connectionLost(reason)


class TLSPortTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        self.reactor = MemoryReactorClock()
        self.reactor.advance(time.time())
        self.authority = Authority()
        self.file = self.folder / "server.pem"
        self.issued = self.renew()
        self.trust = ssl.create_default_context(cadata=self.authority.pem.decode())

    def renew(self, days: float = 60, begins: float = -1) -> Issued:
        """Write another certificate into the file."""
        issued = self.authority.issue(dns("localhost"), begins=begins * DAY, ends=days * DAY)
        self.file.write_bytes(issued.pem)
        return issued

    def service(self, **settings: Any) -> DaemonService:
        said = {"tls_port": 1, "tls_certificate": str(self.file), **settings}
        return DaemonService(self.reactor, EchoFactory(self.reactor), Settings(**said))

    def started(self, **settings: Any) -> DaemonService:
        service = self.service(**settings)
        service.startService()
        return service

    def client(self, context: ssl.SSLContext | None = None) -> Client:
        """Let a client complete its handshake at the last of the ports."""
        client = Client(self.reactor.tcpServers[-1][1], context or self.trust)
        client.shake_hands()
        return client

    def assert_serves(self, issued: Issued) -> None:
        client = self.client()
        self.assertEqual(client.serial, issued.certificate.serial_number)
        client.lose()

    def logged(self, seconds: float) -> list[str]:
        """Let time pass; return what is logged."""
        with capturedLogs() as events:
            self.reactor.pump([seconds])
        return [formatEvent(event) for event in events]


class PlacesTests(TLSPortTestCase):
    def assert_listens(self, *ports: int, **settings: Any) -> None:
        self.started(**settings)
        self.assertEqual([server[0] for server in self.reactor.tcpServers], list(ports))
        self.reactor.tcpServers.clear()

    def test_places(self) -> None:
        self.assert_listens(1)
        self.assert_listens(9998, 1, port=9998)
        self.assert_listens(2, 3, tls_port=None, tls_listen=["tcp:2", "tcp6:3"])
        self.assert_listens(4, 2, 1, listen=["tcp:4"], tls_listen=["tcp:2"])
        self.assert_listens(4, 2, tls_port=None, tls_listen=["tcp:2"], listen=["tcp:4"])

    def test_a_shared_port(self) -> None:
        self.started(reuse_port=True, interface="::1")
        ((port, _, _, interface),) = self.reactor.tcpServers
        shared = makeBinding("::1", 1, reuseAddress=True, reusePort=True)
        self.assertEqual((port, interface), (shared, "::1"))

    def test_inherited(self) -> None:
        from hello_service.daemon.endpoints import server_endpoint

        place = "descriptor 3 (tls)", server_endpoint(self.reactor, "tcp:5")
        service = DaemonService(
            self.reactor,
            EchoFactory(self.reactor),
            Settings(tls_certificate=str(self.file)),
            inherited_tls=[place],
        )
        service.startService()
        self.assertEqual(len(self.reactor.tcpServers), 1)
        self.assert_serves(self.issued)

    def assert_wrong(self, words: str, **settings: Any) -> None:
        error = self.assertRaises(ValueError, self.service, **settings)
        self.assertIn(words, str(error))
        self.assertRegex(str(error), r"\A[^\n]+\.\Z")

    def test_wrong_uses(self) -> None:
        self.assert_wrong("add --tls-certificate FILE", tls_certificate=None)
        for more in ({"tls_key": "x"}, {"tls_client_ca": "x"}):
            self.assert_wrong("add --tls-certificate", tls_port=None, tls_certificate=None, **more)
        self.assert_wrong("nothing listens by TLS: add --tls-port", tls_port=None)
        self.assert_wrong("without TLS of its own", tls_listen=["SSL:1"])
        self.assert_wrong("nosuch is not there", tls_certificate="nosuch")
        self.assertEqual(self.service(tls_certificate=None, tls_port=None).reloads, {})

    def test_a_relative_path_stays_where_it_was(self) -> None:
        self.assert_wrong(f"--tls-certificate={Path.cwd()}/nosuch", tls_certificate="nosuch")


class TLSPortTests(TLSPortTestCase):
    def test_a_conversation(self) -> None:
        (certificate,) = (each for each in self.started() if isinstance(each, CertificateService))
        verifyObject(IOpenSSLServerConnectionCreator, certificate)
        with capturedLogs() as events:
            client = self.client()
            client.tls.write(b"Michael")
            client.shake_hands()
            self.reactor.advance(0)
            client.shake_hands()
            self.assertEqual(client.tls.read(), b"Michael")
            client.lose()
        self.assertEqual([event["event"] for event in events], ["accepted", "closed"])

    def test_quiet_probes(self) -> None:
        self.started(quiet_probes=True)
        with capturedLogs() as events:
            self.client().lose()
            client = self.client()
            client.tls.write(b"Michael")
            client.shake_hands()
            client.lose()
            self.reactor.advance(60)
        self.assertEqual(
            [event["event"] for event in events if "event" in event],
            ["accepted", "closed", "probes"],
        )

    def test_metrics(self) -> None:
        self.started(status="tcp:2")
        self.client().lose()
        talks = self.client()
        talks.tls.write(b"Michael")
        talks.shake_hands()
        leaves, says_something_else, is_late = (
            Client(self.reactor.tcpServers[-1][1], self.trust) for _ in range(3)
        )
        says_something_else.protocol.dataReceived(b"GET / HTTP/1.0\r\n\r\n")
        for client in (says_something_else, leaves, talks):
            client.lose()
        self.reactor.advance(10)
        is_late.lose(Failure(ConnectionAborted()))
        transport = StringTransport()
        status: Any = self.reactor.tcpServers[0][1]
        asked = status.buildProtocol(None)
        asked.makeConnection(transport)
        asked.dataReceived(b"GET /metrics HTTP/1.1\r\n\r\n")
        samples = dict(
            line.rsplit(" ", 1)
            for line in transport.value().decode().splitlines()
            if line.startswith("daemon_")
        )
        expires = self.issued.certificate.not_valid_after_utc.timestamp()
        for name, value in (
            ("daemon_probes_total", 1),
            ("daemon_connections_closed_total", 5),
            ('daemon_handshakes_failed_total{cause="left"}', 1),
            ('daemon_handshakes_failed_total{cause="failed"}', 1),
            ('daemon_handshakes_failed_total{cause="late"}', 1),
            ("daemon_certificate_expires_timestamp_seconds", expires),
        ):
            self.assertEqual(float(samples[name]), value, name)

    def test_a_chain(self) -> None:
        between = self.authority.issue(None, authority=True, common_name="Between")
        own = issue(dns("localhost"), between)
        self.file.write_bytes(own.pem + between.certificate.public_bytes(Encoding.PEM))
        self.started()
        self.assert_serves(own)

    def test_too_many(self) -> None:
        self.started(max_connections=1)
        self.client()
        second = Client(self.reactor.tcpServers[-1][1], self.trust)
        self.assertIsInstance(second.protocol.wrappedProtocol, Refusal)
        self.assertTrue(second.transport.disconnecting)

    def test_it_tells_of_its_certificate(self) -> None:
        with capturedLogs() as events:
            self.started()
        (event,) = (event for event in events if event.get("event") == "certificate")
        self.assertRegex(formatEvent(event), r"^Loaded tls certificate \(valid until .* UTC\)\.$")
        self.assertEqual(event["expires"], self.issued.certificate.not_valid_after_utc.timestamp())

    def test_old_versions_are_refused(self) -> None:
        self.started()
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            self.trust.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.trust.minimum_version = self.trust.maximum_version = version
            with capturedLogs() as events:
                client = self.client()
                client.lose()
            self.assertIn("protocol version", str(client.error))
            self.assertEqual([event["event"] for event in events][:1], ["handshakes"])
            self.reactor.advance(60)

    def test_client_certificates(self) -> None:
        authority = self.folder / "ca.pem"
        authority.write_bytes(self.authority.pem)
        self.started(tls_client_ca=str(authority))
        with capturedLogs() as events:
            client = self.client()
            client.lose()
        self.assertIn("did not return a certificate", formatEvent(events[0]))
        for issuer, served in ((self.authority, True), (Authority(), False)):
            own = issuer.issue(dns("me"), usage=ExtendedKeyUsageOID.CLIENT_AUTH)
            (self.folder / "own.pem").write_bytes(own.pem)
            self.trust.load_cert_chain(self.folder / "own.pem")
            with capturedLogs() as events:
                client = self.client()
                client.lose()
            self.assertEqual([event["event"] for event in events] == ["accepted", "closed"], served)


class RenewalTests(TLSPortTestCase):
    def test_by_a_reload(self) -> None:
        service = self.started(tls_check=0.0)
        before = self.client()
        renewed = self.renew()
        self.assertEqual(self.logged(86000), [])
        self.assert_serves(self.issued)
        with capturedLogs() as events:
            service.reloads["tls certificate"]()
        self.assertRegex(formatEvent(events[0]), r"^Reloaded tls certificate \(valid until .*\)\.$")
        self.assert_serves(renewed)
        self.assertFalse(before.transport.disconnecting)

    def test_by_a_change_of_the_file(self) -> None:
        self.started(tls_check=5.0)
        renewed = self.renew()
        self.assertEqual(self.logged(4.5), [])
        self.assert_serves(self.issued)
        (line,) = self.logged(0.5)
        self.assertIn("Reloaded tls certificate", line)
        self.assert_serves(renewed)
        self.assertEqual(self.logged(5), [])

    def test_what_is_of_no_use_changes_nothing(self) -> None:
        service = self.started(tls_check=5.0)
        for spoil, words in (
            (lambda: self.file.write_bytes(b"?"), "has no certificate in it"),
            (lambda: self.file.unlink(), "is not there"),
            (lambda: self.renew(days=-0.5), "it expired on"),
            (lambda: self.renew(begins=2), "it is not valid before"),
        ):
            spoil()
            (line,) = self.logged(5)
            self.assertRegex(line, f"^Cannot reload tls certificate: .*{words}.*still served\\.$")
            self.assertEqual(self.logged(5), [])
            self.assert_serves(self.issued)
            self.assertRaises(NotReloaded, service.reloads["tls certificate"])
        renewed = self.renew()
        self.assertEqual(len(self.logged(5)), 1)
        self.assert_serves(renewed)

    def test_the_end_comes_near(self) -> None:
        self.issued = self.renew(days=16)
        self.started()
        self.assertEqual(self.logged(1.9 * DAYS), [])
        (line,) = self.logged(0.2 * DAYS)
        self.assertRegex(line, "server.pem: it expires on .* UTC, in 13 days: renew it.$")
        self.assertEqual(self.logged(0.9 * DAYS), [])
        (line,) = self.logged(0.2 * DAYS)
        self.assertIn("in 12 days", line)
        (line,) = self.logged(14 * DAYS)
        self.assertRegex(line, "server.pem: it expired on .*: renew it.$")

    def test_a_renewed_one_is_warned_of_anew(self) -> None:
        self.renew(days=3)
        with capturedLogs() as events:
            self.started()
        self.assertEqual([event["days"] for event in events if event.get("event") == "expiry"], [2])
        self.renew(days=4)
        reloaded, warned = self.logged(60)
        self.assertIn("Reloaded", reloaded)
        self.assertIn("in 3 days", warned)

    def test_one_that_is_not_valid_is_served(self) -> None:
        for days, begins in ((-0.5, -1), (5, 2)):
            issued = self.renew(days, begins)
            with capturedLogs() as events:
                self.started()
            self.assertTrue([event for event in events if event.get("event") == "expiry"])
            client = self.client(ssl._create_unverified_context())
            der = issued.certificate.public_bytes(Encoding.DER)
            self.assertEqual(client.tls.getpeercert(True), der)


class HandshakeTests(TLSPortTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.started()
        self.factory = self.reactor.tcpServers[-1][1]

    def test_it_has_ten_seconds(self) -> None:
        client = Client(self.factory, self.trust)
        with capturedLogs() as events:
            self.reactor.advance(9.9)
            self.assertFalse(client.transport.disconnected)
            self.reactor.advance(0.1)
            self.assertTrue(client.transport.disconnected)
            client.lose(Failure(ConnectionAborted()))
        self.assertEqual(
            list(map(formatEvent, events)),
            ["TLS handshakes aborted: 1, for they took more than 10 seconds."],
        )

    def test_one_that_is_over_has_all_the_time(self) -> None:
        client = self.client()
        self.reactor.advance(11)
        self.assertFalse(client.transport.disconnected)

    def test_who_leaves_costs_a_line_a_minute(self) -> None:
        self.factory.doStart()
        with capturedLogs() as events:
            for _ in range(1000):
                Client(self.factory, self.trust).lose(Failure(ConnectionDone()))
            self.reactor.advance(60)
        self.assertEqual([event["count"] for event in events], [1, 999])

    def test_garbage(self) -> None:
        with capturedLogs() as events:
            client = Client(self.factory, self.trust)
            client.protocol.dataReceived(b"GET / HTTP/1.0\r\n\r\n")
            self.assertTrue(client.transport.disconnecting)
            client.lose()
        self.assertEqual(
            list(map(formatEvent, events)),
            ["TLS handshakes failed: 1, the last for this reason: http request."],
        )
