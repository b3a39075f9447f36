"""A daemon as a service that any Twisted program can embed: it leaves the process alone."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.application.service import IService
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from hello_service.address import address_text
from hello_service.daemon.drain import DrainingService
from hello_service.daemon.keepalive import keep_alive
from hello_service.daemon.limits import ExhaustionService, LimitedFactory
from hello_service.daemon.listening import CannotListen, ListeningService
from hello_service.daemon.notify import Notifier, NotifyService
from hello_service.daemon.places import Place, places
from hello_service.daemon.probes import ProbesService
from hello_service.daemon.protocol import DaemonFactory
from hello_service.daemon.proxied import ProxiedFactory
from hello_service.daemon.settings import Settings
from hello_service.daemon.status.ports import Watched
from hello_service.daemon.sweep import SweepService
from hello_service.daemon.tls_port import certificate_service

_log = Logger()


def _announce(port: IListeningPort, **fields: object) -> None:
    address = address_text(port.getHost())
    _log.info("Listening on {address}.", event="listening", address=address, **fields)


class DaemonService(DrainingService):
    """Serves a factory's protocols: within limits, watched by a service manager, and drained.

    Starting it raises L{CannotListen} if it cannot listen; then nothing of it runs.

    @param reactor: L{IReactorCore}, L{IReactorTime} and what the endpoints ask of it.
    @param inherited: in place of all others, and those of C{inherited_tls}, which get TLS.
    @param notifier: what tells the service manager, if there is one.
    @param announce: called with a port that listens, and the fields for its record in the log.
    @param failed: called with the L{CannotListen} of an endpoint that fails after the start.
    @param version: what the metrics tell of it.
    @param counted: what the service manager's status calls the connections.
    @param page: where each `Obstacle` to listening is explained, for messages to name.
    @ivar reloads: what a reload is to read anew, by the name that the log gives it.
    @raises ValueError: with a sentence, if an endpoint string is wrong or a file is of no use.
    """

    def __init__(
        self,
        reactor: Any,
        factory: DaemonFactory,
        settings: Settings | None = None,
        *,
        inherited: Sequence[Place] = (),
        inherited_tls: Sequence[Place] = (),
        notifier: Notifier | None = None,
        announce: Callable[..., None] = _announce,
        failed: Callable[[CannotListen], object] = lambda _: None,
        version: str = "",
        counted: str = "Connections",
        page: str = "",
    ) -> None:
        told = settings or Settings()
        notifier = notifier or Notifier()
        connections = factory.connections
        connections.fields = {"name": told.name} if told.name else {}
        connections.probes = ProbesService(reactor) if told.quiet_probes else None
        limited = LimitedFactory(
            reactor, factory, connections, told.max_connections, told.max_per_host
        )
        if inherited or inherited_tls:
            plain, tls = inherited, inherited_tls
        else:
            plain, tls = places(reactor, told)
        certificate = certificate_service(
            reactor, bool(tls), told.tls_certificate, told.tls_key, told.tls_client_ca,
            told.tls_check,
        )  # fmt: skip
        self.reloads: dict[str, Callable[[], object]] = {}
        if certificate:
            tls = [(f"TLS on {name}", certificate.endpoint(below)) for name, below in tls]
            self.reloads["tls certificate"] = certificate.reload

        def listens(port: IListeningPort) -> None:
            if told.keepalive:
                keep_alive(port, told.keepalive)
            announce(port, **connections.fields)

        watched = Watched(
            reactor, told, version, factory, limited, certificate, lambda: self.draining
        )
        beside = watched.ports(failed, page)
        self._listening_on = ListeningService(
            [*plain, *tls],
            limited,
            listens,
            lambda: reactor.callWhenRunning(notifier.ready),
            failed,
            page,
            partial(ProxiedFactory, reactor, limited, told.proxy_from) if told.proxy_from else None,
            beside,
        )
        super().__init__(
            reactor,
            self._listening_on,
            connections,
            notifier,
            told.drain_delay,
            told.drain_timeout,
            told.drain_grace,
            beside,
        )

        def status() -> str:
            count = f"{counted}: {len(connections)}" + ", draining" * self.draining
            return f"{told.name}: {count}" if told.name else count

        parts: list[IService | None] = [
            certificate,
            *(ExhaustionService(reactor, one) for one in (self._listening_on, *beside)),
            NotifyService(reactor, notifier, status),
            connections.probes,
            SweepService(reactor, connections, told.idle_timeout, told.max_lifetime)
            if told.idle_timeout or told.max_lifetime
            else None,
        ]
        for part in filter(None, parts):
            self.addService(part)  # type: ignore[no-untyped-call]

    @property
    def ports(self) -> list[IListeningPort]:
        """The ports that it listens on."""
        return list(self._listening_on.ports)
