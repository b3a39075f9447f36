"""The certificates of authorities to trust, from a file of the user's."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twisted.internet.ssl import Certificate

_CERTIFICATE = re.compile(rb"-----BEGIN (X509 )?CERTIFICATE-----")


class BadAuthorities(ValueError):
    """There is nobody to trust in a file; the message is a sentence without capital and stop."""


def authorities_in(file: str) -> list["Certificate"]:
    """Read the certificates in a PEM file, which may have other things in it.

    @raises BadAuthorities: if there are none, or if one cannot be read.
    """
    from cryptography.x509 import load_pem_x509_certificates
    from OpenSSL.crypto import X509
    from twisted.internet.ssl import Certificate

    try:
        data = Path(file).read_bytes()
    except FileNotFoundError:
        raise BadAuthorities(f"{file!r} does not exist: name a file of certificates") from None
    except OSError as error:
        raise BadAuthorities(f"{file!r} cannot be read ({error.strerror}): correct that") from None
    if not _CERTIFICATE.search(data):
        raise BadAuthorities(f"{file!r} {_instead(data)}")
    try:
        read = load_pem_x509_certificates(data)
        return [Certificate(X509.from_cryptography(each)) for each in read]
    except ValueError:
        raise BadAuthorities(
            f"{file!r} has a certificate that is damaged: put it there anew, as PEM"
        ) from None


def _instead(data: bytes) -> str:
    """Say what there is in place of certificates, and what to do about it."""
    if b"PRIVATE KEY-----" in data:
        return "has a key and no certificate: name the file of the authority's certificate"
    if b"-----BEGIN " in data:
        return "has no certificate in it: name the file of the authority's certificate"
    if data.startswith(b"\x30"):
        return (
            "is not PEM and may be DER: write it as PEM, with openssl x509 -inform der"
            " -in FILE.der -out FILE.pem"
        )
    return "is not PEM: a certificate there begins with -----BEGIN CERTIFICATE-----"
