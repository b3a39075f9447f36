"""Whom TLS trusts: the platform's authorities, those of a file, or anybody."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from hello_service.fetch.authorities import authorities_in
from hello_service.fetch.certificate import address
from hello_service.fetch.request import NoTLS
from hello_service.fetch.tls import Handshake
from hello_service.fetch.tls_words import (
    FOR_HTTPS,
    Advice,
    Refusal,
    failure_sentence,
    refusal_sentence,
)

if TYPE_CHECKING:
    from OpenSSL.crypto import X509
    from OpenSSL.SSL import Connection
    from twisted.protocols.tls import TLSMemoryBIOProtocol

HandshakeWith = Callable[[str], Handshake]
"""Makes the handshake of one connection with a host, from L{tls_host}."""


class OwnHandshake(Handshake):
    """A handshake by our own policy, which knows why it refused a certificate.

    TLS 1.2 or newer, with Twisted's choice of ciphers.
    """

    def __init__(
        self,
        host: str,
        advice: Advice = FOR_HTTPS,
        trusted: str | None = None,
        **options: Any,
    ) -> None:
        """
        @param trusted: how messages call what C{trustRoot} was made of.
        @param options: more for L{CertificateOptions}; C{trustRoot} is the platform's authorities
            unless given.
        @raises NoTLS: if the extra for TLS is not installed.
        """
        ssl = _twisted_ssl()
        creator = ssl.CertificateOptions(**{"trustRoot": ssl.platformTrust(), **options})
        if trusted is not None:  # an authority that is named need be no root
            from OpenSSL import crypto

            flag = crypto.X509StoreFlags.PARTIAL_CHAIN
            creator.getContext().get_cert_store().set_flags(flag)
        super().__init__(host, creator, advice)
        self._trusted = trusted
        self._refusal: Refusal | None = None
        self._accepted = False

    def clientConnectionForTLS(self, tlsProtocol: "TLSMemoryBIOProtocol") -> "Connection":
        """Send the name, and have the chain verified."""
        from OpenSSL import SSL

        connection = super().clientConnectionForTLS(tlsProtocol)
        _send_name(connection, self._host)
        mode = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
        connection.set_verify(mode, self._verified)
        return connection

    def _verified(
        self, connection: "Connection", certificate: "X509", code: int, depth: int, ok: int
    ) -> bool:
        """Note what OpenSSL finds about one certificate of the chain; change nothing about it."""
        if not ok:
            self._refusal = Refusal(code, depth, certificate)
        else:
            self._accepted = True
        return bool(ok)

    def _sentence(self, error: BaseException | None) -> str:
        if self._refusal:
            return refusal_sentence(self._refusal, self._trusted, self._advice)
        return failure_sentence(error, self._host, self._advice, self._accepted)


class UncheckedHandshake(Handshake):
    """A handshake with whoever answers, for tests: the certificate may be anybody's."""

    def __init__(self, host: str) -> None:
        """
        @raises NoTLS: if the extra for TLS is not installed.
        """
        super().__init__(host, _twisted_ssl().CertificateOptions(verify=False))

    def clientConnectionForTLS(self, tlsProtocol: "TLSMemoryBIOProtocol") -> "Connection":
        connection = super().clientConnectionForTLS(tlsProtocol)
        _send_name(connection, self._host)
        return connection

    def check(self, transport: Any) -> None:
        """Take any certificate."""

    def _sentence(self, error: BaseException | None) -> str:
        shown = self.negotiated() is not None
        return failure_sentence(error, self._host, self._advice, accepted=shown)


def trusting(file: str) -> HandshakeWith:
    """Make handshakes that trust the authorities in a PEM file, and nobody else.

    As with curl, an authority need not be a root: who trusts an intermediate one needs no other.

    @raises BadAuthorities: if there are none in it.
    @raises NoTLS: if the extra for TLS is not installed.
    """
    root = _twisted_ssl().trustRootFromCertificates(authorities_in(file))
    return partial(OwnHandshake, trusted=file, trustRoot=root)


def _twisted_ssl() -> Any:
    try:
        import twisted.internet.ssl as ssl
    except ImportError:
        raise NoTLS("TLS needs its extra: pip install 'hello_service[tls]'") from None
    return ssl


def _send_name(connection: "Connection", host: str) -> None:
    """Tell the server which host is meant (SNI, RFC 6066 section 3: never an address)."""
    if address(host) is None:
        connection.set_tlsext_host_name(host.encode())
