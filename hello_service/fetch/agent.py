"""An HTTP agent over a raw TCP connection, which keeps what was on the wire."""

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.web.http_headers import Headers
from twisted.web.iweb import (
    IAgent,
    IAgentEndpointFactory,
    IBodyProducer,
    IPolicyForHTTPS,
    IResponse,
)
from zope.interface import implementer

from hello_service.fetch.errors import TLSFailed
from hello_service.fetch.exchange import Exchange, Settings
from hello_service.fetch.headers import header_pairs
from hello_service.fetch.request import InvalidRequest, Place, parse_url, request_bytes
from hello_service.fetch.response import ClientRequest
from hello_service.fetch.sending import Sending
from hello_service.fetch.tls import Handshake, tls_host
from hello_service.fetch.wire import Times, Wire


@implementer(IAgent)
class RawAgent:
    """Fetches by HTTP/1.1, one connection for each request; the responses have a C{wire}.

    A request that gets no response fails with L{InvalidRequest} if it cannot be sent; with
    Twisted's own error if no connection can be made; else with a L{ResponseError}, which is a
    C{ResponseFailed} of Twisted's as well, and whose C{wire} has what had come. While a body is
    sent it is a C{RequestTransmissionFailed} instead, and a L{BodyFailed}, which is a
    C{RequestGenerationFailed}, if the body's producer is to blame.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings | None = None,
        *,
        policy_for_https: IPolicyForHTTPS | None = None,
        endpoint_factory: IAgentEndpointFactory | None = None,
    ) -> None:
        """
        @param reactor: L{IReactorTCP}, L{IReactorTime}, L{IReactorPluggableNameResolver}.
        @param policy_for_https: whom to trust, if not the platform's authorities. That the
            certificate is the host's is checked besides.
        @param endpoint_factory: makes the connections, TLS included, in place of TCP to the host.
            Of https nothing is sent unless TLS shows a certificate of the host's.
        """
        self._reactor = reactor
        self._settings = settings or Settings()
        self._policy_for_https = policy_for_https
        self._endpoint_factory = endpoint_factory

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """Send C{Host}, C{Connection: close}, the caller's headers and body; see L{IAgent}.

        A request that could be read in two ways is not sent.
        """
        try:
            body = None if bodyProducer is None else Sending(bodyProducer)
            for what, value in (("method", method), ("URI", uri)):
                if not isinstance(value, bytes):
                    raise InvalidRequest(_not_bytes(what, value))
            place = parse_url(_text(uri))
            sent = request_bytes(place, method, tuple(header_pairs(headers)), body and body.header)
            exchange = Exchange(
                self._reactor,
                self._settings,
                ClientRequest(method, uri, Headers() if headers is None else headers),
                Wire(sent, Times(self._settings.monotonic())),
                self._tls(place),
                body,
            )
            if self._endpoint_factory:
                exchange.start_by(self._endpoint_factory.endpointForURI(_twisted_uri(place)))
            else:
                exchange.start(place.host, place.port)
        except Exception:
            return fail()
        return exchange.answer

    def _tls(self, place: Place) -> Handshake | None:
        if place.scheme == "http":
            return None
        host = tls_host(place.host)
        if self._endpoint_factory:
            return Handshake(host)
        if self._policy_for_https:
            return Handshake(host, _creator(self._policy_for_https, host, place.port))
        return self._settings.handshake_with(host)


def _creator(policy: IPolicyForHTTPS, host: str, port: int) -> IOpenSSLClientConnectionCreator:
    try:
        return IOpenSSLClientConnectionCreator(policy.creatorForNetloc(host.encode(), port))
    except Exception as error:
        raise TLSFailed(f"the policy for https fails for {host!r}: correct it") from error


def _not_bytes(what: str, value: object) -> str:
    if not isinstance(value, str):
        return f"the {what} has to be bytes, and is of type {type(value).__name__}"
    advice = f"write b{value!r}" if value.isascii() else "encode it as UTF-8"
    return f"the {what} {value!r} is a str and has to be bytes: {advice}"


def _text(uri: bytes) -> str:
    try:
        return uri.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{uri!r} is not UTF-8: write such bytes as %XX") from None


def _twisted_uri(place: Place) -> object:
    from twisted.web.client import URI

    return URI.fromBytes(f"{place.scheme}://{place.authority}{place.target}".encode())
