"""What a TLS handshake came to, whether or not its certificates were trusted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from OpenSSL.crypto import X509


@dataclass(frozen=True)
class ShownCertificate:
    """One certificate of a chain, as it came: whoever made it could write anything into it.

    @ivar subject: as RFC 4514 writes it; empty if it cannot be read.
    @ivar issuer: the same.
    @ivar names: the hosts and addresses of its subjectAltName.
    @ivar begins: since when it is valid, in UTC; C{None} if that cannot be read.
    @ivar ends: until when.
    """

    subject: str = ""
    issuer: str = ""
    names: Sequence[str] = ()
    begins: datetime | None = None
    ends: datetime | None = None


@dataclass(frozen=True, eq=False)
class Negotiated:
    """
    @ivar protocol: such as C{TLSv1.3}.
    @ivar cipher: OpenSSL's name for it; C{None} if the handshake ended before it was known.
    @ivar alpn: the protocol that the server chose by ALPN (RFC 7301), or C{None}.
    """

    protocol: str
    cipher: str | None
    alpn: str | None
    certificates: Sequence["X509"]

    @cached_property
    def chain(self) -> list[ShownCertificate]:
        """The server's certificates in the order in which it sent them, its own first."""
        return [_shown(each) for each in self.certificates]


def negotiated(connection: Any) -> Negotiated | None:
    """Return what a connection of pyOpenSSL's has come to.

    @return: C{None} if no certificate came.
    """
    certificates = connection.get_peer_cert_chain()
    if not certificates:
        return None
    return Negotiated(
        connection.get_protocol_version_name(),
        connection.get_cipher_name(),
        connection.get_alpn_proto_negotiated().decode(errors="backslashreplace") or None,
        certificates,
    )


def _shown(certificate: "X509") -> ShownCertificate:
    try:
        read = certificate.to_cryptography()
        return ShownCertificate(
            read.subject.rfc4514_string(),
            read.issuer.rfc4514_string(),
            _names(read),
            read.not_valid_before_utc,
            read.not_valid_after_utc,
        )
    except Exception:  # what comes of malformed ones has no common base
        return ShownCertificate()


def _names(certificate: "Certificate") -> Sequence[str]:
    from cryptography.x509 import DNSName, IPAddress, SubjectAlternativeName

    try:
        names = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    except Exception:  # there are none, or they are malformed
        return ()
    addresses = names.get_values_for_type(IPAddress)
    return [*names.get_values_for_type(DNSName), *map(str, addresses)]
