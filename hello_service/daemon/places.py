"""Where a daemon listens, from its settings."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.interfaces import IStreamServerEndpoint

from hello_service.daemon.endpoint_strings import quoted
from hello_service.daemon.endpoints import server_endpoint, shared_endpoint
from hello_service.daemon.settings import Settings

_PORT = 9999  # the tutorial's

Place = tuple[str, IStreamServerEndpoint]
"""What messages call a place to listen on, and its endpoint."""


def places(reactor: Any, settings: Settings) -> tuple[list[Place], list[Place]]:
    """Return those for clients without TLS, and those that are to get TLS.

    @raises ValueError: with a sentence, if an endpoint string is wrong.
    """
    tls = _tls_places(reactor, settings)
    return _plain_places(reactor, settings, bool(tls)), tls


def _places(
    reactor: Any, settings: Settings, port: int | None, listen: Sequence[str]
) -> list[Place]:
    for place in listen if settings.proxy_from else ():
        if place.lower().startswith("haproxy:"):
            raise ValueError(
                f"Cannot listen on {quoted(place)}: leave haproxy: out, for --proxy-from has the"
                " PROXY header read already."
            )
    places = [(place, server_endpoint(reactor, place, settings.backlog)) for place in listen]
    if port is None:
        return places
    kind = "tcp6" if isIPv6Address(settings.interface) else "tcp"
    place = f"{kind}:{port}:interface={quoteStringArgument(settings.interface)}"
    if settings.reuse_port:
        shared = shared_endpoint(reactor, port, settings.interface, settings.backlog)
        return [*places, (place, shared)]
    return [*places, (place, server_endpoint(reactor, place, settings.backlog))]


def _plain_places(reactor: Any, settings: Settings, tls: bool) -> list[Place]:
    port = settings.port
    if port is None and not tls and not settings.listen:
        port = _PORT
    return _places(reactor, settings, None if settings.listen else port, settings.listen)


def _tls_places(reactor: Any, settings: Settings) -> list[Place]:
    for place in settings.tls_listen:
        if place.lower().startswith(("ssl:", "tls:")):
            raise ValueError(
                f"Cannot listen on {quoted(place)}: --tls-listen takes an endpoint without TLS of"
                " its own, like tcp:9443."
            )
    return _places(reactor, settings, settings.tls_port, settings.tls_listen)
