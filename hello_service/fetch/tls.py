"""The TLS of one connection: that the certificate is the host's, what it came to, what went wrong.

Twisted's own check of the host's name (C{optionsForClientTLS}) accepts a certificate when its names
cannot be read at all, so the name is checked here, after the handshake and before anything is sent.
"""

from typing import TYPE_CHECKING, Any, cast

from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, ISSLTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from hello_service.fetch.certificate import is_number, names_fault
from hello_service.fetch.errors import HandshakeCut, ResponseError, TLSFailed
from hello_service.fetch.negotiated import Negotiated, negotiated
from hello_service.fetch.request import NoTLS
from hello_service.fetch.tls_words import FOR_HTTPS, Advice, failure_sentence

if TYPE_CHECKING:
    from OpenSSL.SSL import Connection
    from twisted.protocols.tls import TLSMemoryBIOProtocol


def tls_host(host: str) -> str:
    """Return the host as SNI and certificates have it: without a trailing dot.

    @raises NoTLS: if no certificate can be for it.
    """
    host = host.removesuffix(".")
    if is_number(host):
        raise NoTLS(
            f"{host!r} is a number, and no certificate is for one: write the address in full,"
            " like 127.0.0.1"
        )
    return host


@implementer(IOpenSSLClientConnectionCreator)
class Handshake:
    """The handshake of one connection, of TLS that a creator or an endpoint does."""

    def __init__(
        self,
        host: str,
        creator: IOpenSSLClientConnectionCreator | None = None,
        advice: Advice = FOR_HTTPS,
    ) -> None:
        """
        @param host: what the certificate must be for, from L{tls_host}.
        @param creator: what L{start} does TLS with; C{None} if the transport does it already.
        """
        self._host = host
        self._creator = creator
        self._advice = advice
        self._fault: Exception | None = None
        self._connection: Connection | None = None

    def start(self, transport: Any) -> bool:
        """Begin the handshake; return whether it is over already.

        @raises TLSFailed: if there can be none on this transport.
        """
        if self._creator:
            try:
                transport.startTLS(self)
            except Exception as error:
                self._fault = error
            self.raise_fault()
            return False
        if not ISSLTransport.providedBy(transport):
            raise TLSFailed(
                "the endpoint connects without TLS: wrap it in wrapClientTLS, or ask for http://"
            )
        try:
            connection = cast(Any, transport).getHandle()
            is_over = connection.get_peer_finished() is not None
        except Exception as error:
            raise TLSFailed(
                "the TLS of the endpoint is not Twisted's, and cannot be checked: use wrapClientTLS"
            ) from error
        self._connection = connection
        return is_over

    def clientConnectionForTLS(self, tlsProtocol: "TLSMemoryBIOProtocol") -> "Connection":
        """Have the creator make the connection.

        If that raises, return one that no handshake comes of: Twisted's TLS, which calls this,
        would fail a second time when the connection is lost.
        """
        assert self._creator
        from OpenSSL import SSL

        try:
            connection = self._creator.clientConnectionForTLS(tlsProtocol)
        except Exception as error:
            self._fault = error
            connection = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD))
        shake_hands = connection.do_handshake

        def do_handshake() -> None:
            try:
                shake_hands()
            except SSL.ZeroReturnError:  # a proper close, from which Twisted gets an IndexError
                raise SSL.SysCallError(-1, "Unexpected EOF") from None

        connection.do_handshake = do_handshake  # type: ignore[method-assign]
        self._connection = connection
        return connection

    def raise_fault(self) -> None:
        """Raise why the creator could make no connection, if so.

        @raises TLSFailed: with the creator's own error as its cause.
        """
        if self._fault:
            raise TLSFailed(
                f"TLS for {self._host!r} cannot be set up here: correct the policy for https"
            ) from self._fault

    def check(self, transport: Any) -> None:
        """Check that the server's certificate is the host's, once the handshake is over.

        @raises TLSFailed: if it is not, or if that cannot be told.
        """
        try:
            certificate = transport.getPeerCertificate()
            if certificate is None:
                fault: str | None = "the server has shown no certificate: give it one"
            else:
                fault = names_fault(certificate.to_cryptography(), self._host)
        except Exception as error:
            raise TLSFailed(
                "the names in the certificate cannot be read: have it issued anew"
            ) from error
        if fault:
            raise TLSFailed(fault)

    def negotiated(self) -> Negotiated | None:
        """Return what the handshake has come to, also if it failed.

        @return: C{None} if the server has shown no certificate.
        """
        return negotiated(self._connection) if self._connection else None

    def failure(self, reason: Failure, secured: bool) -> ResponseError | None:
        """Put into words what a connection was lost by before its first byte.

        @param secured: whether the handshake was over.
        @return: C{None} if that had nothing to do with TLS.
        """
        if reason.check(ConnectionClosed):
            return None if secured else HandshakeCut()
        return TLSFailed(self._sentence(reason.value))

    def _sentence(self, error: BaseException | None) -> str:
        return failure_sentence(error, self._host, self._advice)
