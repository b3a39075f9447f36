import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.key_files import check_key_files, check_key_folder
from tests.certificates import certificate_pem
from tests.processes import missing

DH_PARAMETERS = b"""-----BEGIN DH PARAMETERS-----
MIIBDAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAgICAOE=
-----END DH PARAMETERS-----
"""  # ffdhe2048 of RFC 7919

MARK = b"-----BEGIN CERTIFICATE-----"


class KeyFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        pem = certificate_pem("localhost")
        key, certificate = pem.split(MARK)
        self.both = self.file("both.pem", pem)
        self.key = self.file("key.pem", key)
        self.certificate = self.file("certificate.pem", MARK + certificate)

    def file(self, name: str, data: bytes) -> str:
        (self.folder / name).write_bytes(data)
        return str(self.folder / name)

    def assert_wrong(self, words: str, **parts: str) -> None:
        error = self.assertRaises(ValueError, check_key_files, parts)
        self.assertIn(words, str(error))
        self.assertRegex(str(error), r"\A[^\n]+\.\Z")

    def test_what_fits(self) -> None:
        chain = self.file("chain.pem", MARK + certificate_pem("ca").split(MARK)[1])
        dh = self.file("dh.pem", DH_PARAMETERS)
        check_key_files({"privateKey": self.both})
        check_key_files({"privateKey": self.key, "certKey": self.certificate})
        check_key_files({"privateKey": self.both, "extraCertChain": chain, "dhParameters": dh})

    def test_what_cannot_be_read(self) -> None:
        nowhere, folder = str(self.folder / "nosuch"), str(self.folder)
        self.assert_wrong("privateKey=server.pem is not there")
        self.assert_wrong(f"privateKey={nowhere} is not there", privateKey=nowhere)
        self.assert_wrong(f"privateKey={folder} is a folder", privateKey=folder)
        self.assert_wrong("certKey=x is not there", privateKey=self.key, certKey="x")
        self.assert_wrong("extraCertChain=x is", privateKey=self.both, extraCertChain="x")
        self.assert_wrong("dhParameters=x is", privateKey=self.both, dhParameters="x")
        through = f"{self.both}/x"
        self.assert_wrong("cannot be read: Not a directory.", privateKey=through)

    def test_what_this_user_may_not_read(self) -> None:
        if os.geteuid() != 0:
            missing("only root can become a user who may not read")
        os.chmod(self.folder, 0o711)
        os.chmod(self.both, 0o600)
        os.seteuid(65534)
        try:
            self.assert_wrong(f"privateKey={self.both} may not be read", privateKey=self.both)
        finally:
            os.seteuid(0)

    def test_what_has_nothing_of_use(self) -> None:
        text = self.file("text", b"Welcome!")
        self.assert_wrong(f"privateKey={text} has no certificate", privateKey=text)
        self.assert_wrong(f"privateKey={self.key} has no certificate", privateKey=self.key)
        self.assert_wrong(
            f"privateKey={text} has no private key", privateKey=text, certKey=self.certificate
        )
        self.assert_wrong(f"certKey={text} has no certificate", privateKey=self.key, certKey=text)
        self.assert_wrong(
            f"extraCertChain={text} has no", privateKey=self.both, extraCertChain=text
        )
        self.assert_wrong(f"dhParameters={text} has no", privateKey=self.both, dhParameters=text)

    def test_a_key_with_a_password(self) -> None:
        key = load_pem_private_key(Path(self.key).read_bytes(), None)
        encrypted = self.file(
            "encrypted.pem",
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
        )
        self.assert_wrong(
            f"privateKey={encrypted} is encrypted", privateKey=encrypted, certKey=self.certificate
        )

    def test_another_certificates_key(self) -> None:
        other = self.file("other.pem", certificate_pem("other").split(MARK)[0])
        self.assert_wrong(
            f"privateKey={other} is not the key of the certificate in certKey={self.certificate}",
            privateKey=other,
            certKey=self.certificate,
        )

    def test_a_certificate_that_is_too_weak(self) -> None:
        key = rsa.generate_private_key(65537, 1024)
        name = x509.Name([])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        ).sign(key, SHA256())
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        weak = self.file("weak.pem", private + certificate.public_bytes(Encoding.PEM))
        self.assert_wrong(f"privateKey={weak} has a certificate that TLS does", privateKey=weak)


class KeyFolderTests(SynchronousTestCase):
    def test_folders(self) -> None:
        folder = Path(self.enterContext(TemporaryDirectory()))
        error = self.assertRaises(ValueError, check_key_folder, str(folder))
        self.assertIn("no file whose name ends in .pem", str(error))
        (folder / "a.pem").write_bytes(b"")
        check_key_folder(str(folder))
        error = self.assertRaises(ValueError, check_key_folder, str(folder / "a.pem"))
        self.assertIn("is not a folder", str(error))
