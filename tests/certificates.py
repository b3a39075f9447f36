"""Certificates made for a test."""

import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Issued:
    """A certificate, its key, and its names as they stand in it."""

    key: Any
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        """Both, as servers want them in a file."""
        private = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return bytes(private + self.certificate.public_bytes(Encoding.PEM))


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a key that is quickly made."""
    return ec.generate_private_key(ec.SECP256R1())


def dns(*names: str) -> x509.SubjectAlternativeName:
    """Names that are DNS names."""
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names])


def garbled(der: bytes) -> x509.UnrecognizedExtension:
    """Return names that may not be readable as such."""
    return x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, der)


def subject(name: str) -> x509.Name:
    """Return a subject of common names, set apart by slashes."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each) for each in name.split("/")])


def issue(
    names: x509.ExtensionType | None,
    issuer: Issued | None = None,
    *,
    key: Any = None,
    begins: timedelta = -DAY,
    ends: timedelta = DAY,
    authority: bool = False,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    common_name: str = "server",
) -> Issued:
    """Make a certificate, signed by an issuer or by itself.

    @param names: subjectAltName, if it is to have any.
    """
    key = key or new_key()
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject(common_name))
        .issuer_name(issuer.certificate.subject if issuer else subject(common_name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), True)
    )
    if names is not None:
        builder = builder.add_extension(names, False)
    if not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), False)
    return Issued(key, builder.sign(issuer.key if issuer else key, SHA256()))


@dataclass(frozen=True)
class Authority:
    """Signs certificates that its own, in a file, makes trusted."""

    own: Issued = field(
        default_factory=lambda: issue(None, authority=True, common_name="Test Authority")
    )

    def issue(self, names: x509.ExtensionType | None, **more: Any) -> Issued:
        return issue(names, self.own, **more)

    @property
    def pem(self) -> bytes:
        """Its certificate alone."""
        return self.own.certificate.public_bytes(Encoding.PEM)


def certificate_pem(*names: str) -> bytes:
    """Return a key and a certificate for these host names, which signs itself."""
    return issue(dns(*names), authority=True, common_name=names[0]).pem


def tls_endpoint(folder: Path) -> tuple[str, ssl.SSLContext]:
    """Return an endpoint string, its certificate in a folder, and what trusts it as localhost."""
    pem = folder / "server.pem"
    pem.write_bytes(certificate_pem("localhost"))
    place = f"ssl:0:interface=127.0.0.1:privateKey={pem}:certKey={pem}"
    return place, ssl.create_default_context(cafile=pem)
