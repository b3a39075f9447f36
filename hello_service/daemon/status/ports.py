"""The ports beside the daemon's own, for who watches the daemon."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger

from hello_service.address import address_text
from hello_service.daemon.endpoints import is_private, server_endpoint
from hello_service.daemon.limits import LimitedFactory
from hello_service.daemon.listening import CannotListen, ListeningService
from hello_service.daemon.protocol import DaemonFactory
from hello_service.daemon.settings import Settings
from hello_service.daemon.status.agent_check import AgentFactory
from hello_service.daemon.status.bounded import BoundedFactory, accept_few_at_once
from hello_service.daemon.status.counters import Counters
from hello_service.daemon.status.figures import Figures
from hello_service.daemon.status.watch import Watch
from hello_service.daemon.tls_port import CertificateService

_log = Logger()


@dataclass
class Watched:
    """A daemon, as far as these ports tell of it.

    @ivar draining: whether it stops.
    """

    reactor: Any
    settings: Settings
    version: str
    factory: DaemonFactory
    limited: LimitedFactory
    certificate: CertificateService | None
    draining: Callable[[], bool]

    def ports(self, failed: Callable[[CannotListen], object], page: str) -> list[ListeningService]:
        """Make the services that listen on them.

        @param failed: see `ListeningService`, and C{page} likewise.
        @raises ValueError: with a sentence, if an endpoint string is wrong, or has the page show
            bytes to others than this machine.
        """
        told = self.settings
        if told.status_bytes and not (told.status and is_private(told.status)):
            raise ValueError(
                "--status-bytes shows what clients send: give --status an endpoint that only this"
                " machine reaches, like tcp:9909:interface=127.0.0.1."
            )
        wanted: list[tuple[str, IProtocolFactory, Callable[[IListeningPort], None]]] = []
        if told.status:
            wanted.append((told.status, self._pages(), self._status_listens))
        if told.agent:
            wanted.append((told.agent, AgentFactory(self.draining), self._agent_listens))
        found: list[ListeningService] = []
        for place, factory, listens in wanted:
            endpoint = server_endpoint(self.reactor, place)
            bounded = BoundedFactory(self.reactor, factory)
            found.append(
                ListeningService(
                    [(place, endpoint)],
                    bounded,
                    listens,
                    failed=failed,
                    page=page,
                    beside=tuple(found),
                )
            )
        return found

    def _status_listens(self, port: IListeningPort) -> None:
        accept_few_at_once(self.reactor, port)
        _log.info("Status on {address}.", event="status", address=address_text(port.getHost()))

    def _agent_listens(self, port: IListeningPort) -> None:
        accept_few_at_once(self.reactor, port)
        address = address_text(port.getHost())
        _log.info("Agent-check of HAProxy on {address}.", event="agent", address=address)

    def _pages(self) -> IProtocolFactory:
        from hello_service.daemon.status.events import Events
        from hello_service.daemon.status.http import StatusFactory
        from hello_service.daemon.status.pages import status_pages

        counters = Counters(self.reactor, self.factory.connections)
        watch = Watch(self.reactor, self.factory.connections, self.settings.status_bytes)
        figures = partial(self._figures, counters)
        events = Events(self.reactor, watch, figures, self.settings.status_bytes)
        return StatusFactory(self.reactor, status_pages(self.draining, figures, events))

    def _figures(self, counters: Counters) -> Figures:
        per_host = self.settings.max_per_host
        return Figures(
            build={
                "name": self.settings.name,
                "version": self.version,
                "reactor": type(self.reactor).__name__,
            },
            started=counters.since,
            draining=self.draining(),
            most=self.settings.max_connections,
            most_per_host=per_host,
            busiest=self.factory.connections.from_busiest_host() if per_host else None,
            totals=counters.totals(),
            refused=self.limited.refused,
            handshakes=self.factory.handshakes.totals,
            expires=self.certificate.expires.timestamp() if self.certificate else None,
        )
