"""A port beside the daemon's own, for who watches the daemon."""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger

from hello_service.address import address_text
from hello_service.daemon.endpoints import server_endpoint
from hello_service.daemon.listening import CannotListen, ListeningService
from hello_service.daemon.status.bounded import BoundedFactory

_log = Logger()


def announce_status(port: IListeningPort) -> None:
    """Log that the status port listens."""
    _log.info("Status on {address}.", event="status", address=address_text(port.getHost()))


def announce_agent(port: IListeningPort) -> None:
    """Log that the agent port listens."""
    address = address_text(port.getHost())
    _log.info("Agent-check of HAProxy on {address}.", event="agent", address=address)


def port_beside(
    reactor: Any,
    place: str,
    factory: IProtocolFactory,
    announce: Callable[[IListeningPort], None],
    failed: Callable[[CannotListen], object],
    page: str,
) -> ListeningService:
    """Make the service that listens on such a port.

    @param place: the endpoint string.
    @param announce: logs that it listens.
    @param failed: see `ListeningService`, and C{page} likewise.
    @raises ValueError: with a sentence, if the endpoint string is wrong.
    """
    return ListeningService(
        [(place, server_endpoint(reactor, place))],
        BoundedFactory(reactor, factory),
        announce,
        failed=failed,
        page=page,
    )
