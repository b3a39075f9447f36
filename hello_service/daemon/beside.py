"""A port beside the daemon's own, for who watches the daemon."""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger

from hello_service.address import address_text
from hello_service.daemon.bounded import BoundedFactory
from hello_service.daemon.endpoints import server_endpoint
from hello_service.daemon.listening import CannotListen, ListeningService

_log = Logger()

_LISTENS = {
    "status": "Status on {address}.",
    "agent": "Agent-check of HAProxy on {address}.",
}


def port_beside(
    reactor: Any,
    event: str,
    place: str,
    factory: IProtocolFactory,
    failed: Callable[[CannotListen], object],
    page: str,
) -> ListeningService:
    """Make the service that listens on such a port.

    @param event: C{status} or C{agent}: what the log calls it.
    @param place: the endpoint string.
    @param failed: see `ListeningService`, and C{page} likewise.
    @raises ValueError: with a sentence, if the endpoint string is wrong.
    """

    def announce(port: IListeningPort) -> None:
        _log.info(_LISTENS[event], event=event, address=address_text(port.getHost()))

    return ListeningService(
        [(place, server_endpoint(reactor, place))],
        BoundedFactory(reactor, factory),
        announce,
        failed=failed,
        page=page,
    )
