import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.tls_files import TLSFiles
from tests.certificates import DAY, Authority, dns, issue
from tests.processes import run

NOW = datetime.now(UTC)
MARK = b"-----BEGIN CERTIFICATE-----"


class TLSFilesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        self.issued = issue(dns("localhost"))
        key, mark, certificate = self.issued.pem.partition(MARK)
        self.key = self.file("key.pem", key)
        self.certificate = self.file("certificate.pem", mark + certificate)
        self.both = self.file("both.pem", mark + certificate + key)

    def file(self, name: str, data: bytes) -> str:
        (self.folder / name).write_bytes(data)
        return str(self.folder / name)

    def test_what_fits(self) -> None:
        for files in (TLSFiles(self.both), TLSFiles(self.certificate, self.key)):
            tls = files.load()
            self.assertEqual(tls.begins, self.issued.certificate.not_valid_before_utc)
            self.assertEqual(tls.expires, self.issued.certificate.not_valid_after_utc)

    def assert_wrong(self, words: str, *files: str) -> None:
        error = self.assertRaises(ValueError, TLSFiles(*files).load)
        self.assertIn(words, str(error))
        self.assertRegex(str(error), r"\A[^\n]+\.\Z")

    def test_what_does_not(self) -> None:
        other = self.file("other.pem", issue(dns("localhost")).pem)
        locked = self.issued.key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        )
        x25519 = X25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        self.assert_wrong("--tls-certificate=nosuch is not there", "nosuch")
        self.assert_wrong(f"--tls-certificate={self.key} has no certificate", self.key)
        missing_key = f"--tls-key is not given, and --tls-certificate={self.certificate} has no"
        self.assert_wrong(missing_key, self.certificate)
        self.assert_wrong("--tls-key=nosuch is not there", self.certificate, "nosuch")
        self.assert_wrong("is encrypted", self.certificate, self.file("locked.pem", locked))
        self.assert_wrong("is not the key of", self.certificate, other)
        self.assert_wrong("is not the key of", self.certificate, self.file("x.pem", x25519))
        self.assert_wrong("--tls-client-ca=nosuch is not there", self.both, self.key, "nosuch")
        self.assert_wrong("--tls-client-ca=", self.both, self.key, self.key)

    def test_without_its_extra(self) -> None:
        told = run(
            sys.executable,
            "-c",
            "import sys; sys.modules['OpenSSL'] = None\n"
            "from hello_service.daemon import DaemonFactory, DaemonService, Settings\n"
            "from twisted.internet.testing import MemoryReactorClock\n"
            "clock = MemoryReactorClock()\n"
            "settings = Settings(tls_port=0, tls_certificate='x')\n"
            "try: DaemonService(clock, DaemonFactory(clock), settings)\n"
            "except ValueError as error: print(error)",
        )
        self.assertEqual(
            told.stdout,
            "--tls-certificate needs TLS: `pip install 'twisted[tls]'` brings it.\n",
            told.stderr,
        )

    def test_dates(self) -> None:
        tls = TLSFiles(self.both).load()
        tls.check_dates(NOW)
        for moment, words in (
            (NOW + 2 * DAY, "it expired on"),
            (NOW - 2 * DAY, "it is not valid before"),
            (tls.expires, "expired"),
        ):
            error = self.assertRaises(ValueError, tls.check_dates, moment)
            self.assertIn(words, str(error))
        tls.check_dates(tls.begins)

    def test_the_state_changes_with_any_file(self) -> None:
        authority = self.file("ca.pem", Authority().pem)
        files = TLSFiles(self.certificate, self.key, authority)
        states = [files.state()]
        self.assertEqual(files.state(), states[0])
        for path in (self.certificate, self.key, authority):
            Path(path).write_bytes(b"other" + Path(path).read_bytes())
            states.append(files.state())
        os.replace(self.both, self.certificate)
        states.append(files.state())
        os.unlink(self.key)
        states.append(files.state())
        self.assertEqual(len(set(map(tuple, states))), 6)
