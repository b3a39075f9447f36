"""TLS ports, with real clients."""

import random
import signal
import socket
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.certificates import Authority, Issued, dns
from tests.processes import (
    PATIENCE,
    TWISTD,
    Daemon,
    ProcessTestCase,
    on_reactor,
    program,
    run,
)


class TLSTestCase(ProcessTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.authority = Authority()
        self.ca = self.file("ca.pem", self.authority.pem)
        self.trust = ssl.create_default_context(cafile=self.ca)
        self.issued = self.renew()

    def file(self, name: str, data: bytes) -> Path:
        (self.folder / name).write_bytes(data)
        return self.folder / name

    def renew(self) -> Issued:
        """Put another certificate in the place of the one that is served."""
        issued = self.authority.issue(dns("localhost"))
        self.file("new.pem", issued.pem).rename(self.folder / "server.pem")
        return issued

    def tls_daemon(self, *arguments: str) -> Daemon:
        return self.daemon("--tls-port=0", "--tls-certificate=server.pem", *arguments)

    def connect(self, port: int) -> socket.socket:
        return self.enterContext(socket.create_connection(("127.0.0.1", port), PATIENCE))

    def secured(self, port: int) -> ssl.SSLSocket:
        connection = self.trust.wrap_socket(self.connect(port), server_hostname="localhost")
        return self.enterContext(connection)

    def serial(self, port: int) -> int:
        """The number of the certificate that is served, after a conversation."""
        client = self.secured(port)
        self.assertEqual(client.recv(8), b"Welcome!")
        client.sendall(b"Tracy")
        self.assertEqual(client.recv(100), b"Hello, Tracy!")
        return int(client.getpeercert()["serialNumber"], 16)  # type: ignore[index, arg-type]

    def s_client(self, port: int, *options: str) -> subprocess.CompletedProcess[str]:
        """Say C{exit} by openssl's client, which trusts the authority alone."""
        return run(
            "openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(self.ca),
            "-verify_hostname", "localhost", "-verify_return_error", "-ign_eof", *options,
            input="exit\n",
        )  # fmt: skip


class ClientTests(TLSTestCase):
    def test_openssl(self) -> None:
        port = self.tls_daemon().port()
        for version in ("-tls1_2", "-tls1_3"):
            talked = self.s_client(port, version)
            self.assertIn("Welcome!", talked.stdout)
            self.assertIn("Verify return code: 0 (ok)", talked.stdout)
            self.assertEqual(talked.returncode, 0)

    def test_versions_of_old_are_refused(self) -> None:
        daemon = self.tls_daemon()
        for version in ("-tls1", "-tls1_1"):
            talked = self.s_client(daemon.port(), version, "-cipher", "ALL:@SECLEVEL=0")
            self.assertIn("alert protocol version", talked.stderr)
            self.assertNotIn("Welcome!", talked.stdout)
        daemon.wait_for("TLS handshakes failed: 1, the last for this reason: unsupported protocol")

    def test_ciphers_whose_past_can_be_read_later_are_refused(self) -> None:
        key = rsa.generate_private_key(65537, 2048)  # with which a client could encrypt a secret
        self.file("server.pem", self.authority.issue(dns("localhost"), key=key).pem)
        port = self.tls_daemon().port()
        for weak in ("kRSA", "aNULL", "eNULL", "SHA1"):
            talked = self.s_client(port, "-tls1_2", "-cipher", f"{weak}:@SECLEVEL=0")
            self.assertIn("alert handshake failure", talked.stderr)
        talked = self.s_client(port, "-tls1_2", "-cipher", "ALL:@SECLEVEL=0", "-comp")
        self.assertIn("Cipher is ECDHE-RSA-", talked.stdout)
        self.assertIn("Compression: NONE", talked.stdout)

    def test_hello_client(self) -> None:
        port = self.tls_daemon().port()
        place = f"tls:localhost:{port}:trustRoots={self.folder}:endpoint=tcp\\:127.0.0.1\\:{port}"
        self.file("server.pem", self.issued.pem)
        talked = run("hello-client", "--connect", place, "Tracy")
        self.assertEqual((talked.returncode, talked.stderr), (0, ""))
        self.assertIn("Hello, Tracy!", talked.stdout)

    def test_client_certificates(self) -> None:
        port = self.tls_daemon(f"--tls-client-ca={self.ca}").port()
        self.assertIn("certificate required", self.s_client(port).stderr)
        for issuer, welcome in ((self.authority, True), (Authority(), False)):
            own = issuer.issue(dns("me"), usage=ExtendedKeyUsageOID.CLIENT_AUTH)
            pem = str(self.file("own.pem", own.pem))
            talked = self.s_client(port, "-cert", pem, "-key", pem)
            self.assertEqual("Welcome!" in talked.stdout, welcome, talked.stderr)

    def test_a_session_of_a_client_with_a_certificate_is_resumed(self) -> None:
        port = self.tls_daemon(f"--tls-client-ca={self.ca}").port()
        own = self.authority.issue(dns("me"), usage=ExtendedKeyUsageOID.CLIENT_AUTH)
        pem, session = str(self.file("own.pem", own.pem)), str(self.folder / "session")
        for version in ("-tls1_2", "-tls1_3"):
            options = version, "-cert", pem, "-key", pem
            self.assertIn("New, TLS", self.s_client(port, *options, "-sess_out", session).stdout)
            self.assertIn("Reused, TLS", self.s_client(port, *options, "-sess_in", session).stdout)

    def test_beside_a_plain_port(self) -> None:
        daemon = self.tls_daemon("--port=0")
        daemon.wait_for("Waiting for connection", 2)
        self.assertEqual(self.connect(daemon.port()).recv(8), b"Welcome!")
        secure = int(daemon.wait_for(r"Waiting for connection\.\.\. .*:(\d+)\)", 2)[1])
        self.assertEqual(self.serial(secure), self.issued.certificate.serial_number)

    def test_behind_a_balancer(self) -> None:
        daemon = self.tls_daemon("--proxy-from=127.0.0.1")
        plain = self.connect(daemon.port())
        plain.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.1 5555 9443\r\n")
        with self.trust.wrap_socket(plain, server_hostname="localhost") as client:
            self.assertEqual(client.recv(8), b"Welcome!")
        daemon.wait_for(r"Accept new connection from 192\.0\.2\.7:5555")

    def test_a_unix_socket_of_systemds(self) -> None:
        path = self.folder / "hello.sock"
        twistd = program("twistd"), *on_reactor(TWISTD)[1:]
        activate = "systemd-socket-activate", f"--listen={path}", "--fdname=tls", *twistd
        daemon = self.daemon("--tls-certificate=server.pem", command=activate)
        daemon.wait_for("Listening on")
        with socket.socket(socket.AF_UNIX) as plain:
            plain.settimeout(PATIENCE)
            plain.connect(str(path))
            with self.trust.wrap_socket(plain, server_hostname="localhost") as client:
                self.assertEqual(client.recv(8), b"Welcome!")

    def test_a_socket_for_tls_without_a_certificate(self) -> None:
        path = self.folder / "hello.sock"
        twistd = program("twistd"), *on_reactor(TWISTD)[1:]
        activate = "systemd-socket-activate", f"--listen={path}", "--fdname=tls", *twistd
        daemon = self.daemon("--delay=0", command=activate)
        daemon.wait_for("Listening on")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            daemon.wait_for("A certificate is missing, to listen by TLS: add --tls-certificate")
        self.assertEqual(daemon.wait(), 1)

    def test_it_does_not_start(self) -> None:
        self.file("other.pem", Authority().own.pem)
        for wrong, words in (
            (["--tls-certificate=nosuch"], "nosuch is not there: check the path."),
            (["--tls-certificate=ca.pem"], "has no private key in it"),
            (["--tls-certificate=ca.pem", "--tls-key=other.pem"], "is not the key of"),
            ([], "add --tls-certificate FILE"),
        ):
            refused = run("twistd", "--nodaemon", "hello", "--tls-port=0", *wrong, cwd=self.folder)
            self.assertEqual(refused.returncode, 1)
            self.assertIn(words, refused.stderr)
            self.assertEqual(refused.stderr.count("\n"), 1, refused.stderr)


class RenewalTests(TLSTestCase):
    def test_by_sighup(self) -> None:
        daemon = self.tls_daemon("--tls-check=0")
        before = self.secured(daemon.port())
        self.assertEqual(self.serial(daemon.port()), self.issued.certificate.serial_number)
        renewed = self.renew()
        self.assertEqual(self.serial(daemon.port()), self.issued.certificate.serial_number)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for(r"Reloaded tls certificate \(valid until .* UTC\)")
        self.assertEqual(self.serial(daemon.port()), renewed.certificate.serial_number)
        before.sendall(b"exit")
        self.assertEqual(before.recv(8), b"Welcome!")
        self.file("server.pem", b"")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("Cannot reload tls certificate: .* has no certificate in it")
        daemon.wait_for("Reloaded nothing")
        self.assertEqual(self.serial(daemon.port()), renewed.certificate.serial_number)

    def test_by_a_change(self) -> None:
        daemon = self.tls_daemon("--tls-check=0.1")
        daemon.port()
        renewed = self.renew()
        daemon.wait_for("Reloaded tls certificate")
        self.assertEqual(self.serial(daemon.port()), renewed.certificate.serial_number)


class BadClientTests(TLSTestCase):
    def flood(self, port: int, seed: int) -> None:
        """Begin 1000 handshakes that cannot end well, one after the other."""
        chance = random.Random(seed)
        hello = ssl.MemoryBIO()
        try:
            ssl.create_default_context().wrap_bio(
                ssl.MemoryBIO(), hello, server_hostname="x"
            ).do_handshake()
        except ssl.SSLWantReadError:
            first = bytearray(hello.read())
        for _ in range(1000):
            spoiled = bytearray(first)
            for _ in range(chance.randrange(4)):
                spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
            garbage = chance.choice([chance.randbytes(chance.randrange(5000)), bytes(spoiled)])
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
                client.settimeout(0.1)  # the daemon may wait for more
                try:
                    client.sendall(garbage)
                    if chance.random() < 0.5:
                        client.shutdown(socket.SHUT_WR)
                    if chance.random() < 0.5:
                        client.recv(1000)
                except OSError:
                    pass

    def test_a_flood_and_a_silent_one(self) -> None:
        daemon = self.tls_daemon()
        port = daemon.port()
        silent = self.connect(port)
        with ThreadPoolExecutor(2) as pool:
            floods = [pool.submit(self.flood, port, seed) for seed in (1, 2)]
            honest = 0
            while not all(flood.done() for flood in floods):
                self.assertEqual(self.serial(port), self.issued.certificate.serial_number)
                honest += 1
        for flood in floods:
            flood.result()
        self.assertRaises(ConnectionResetError, silent.recv, 1)
        self.assertEqual(daemon.stop(), -signal.SIGTERM)
        output = "".join(daemon.output)
        self.assertEqual(output.count("Accept new connection"), honest)
        self.assertNotIn("Traceback", output)
        self.assertNotIn("Unhandled", output)
        self.assertLess(output.count("TLS handshakes"), 9)
        self.assertRegex(output, r"TLS handshakes failed: \d{2,}")
        self.assertRegex(output, r"TLS handshakes aborted: \d+")
