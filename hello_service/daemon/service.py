"""A daemon as a service that any Twisted program can embed: it leaves the process alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.logger import Logger

from hello_service.address import address_text
from hello_service.daemon.balancers import Balancers
from hello_service.daemon.drain import DrainingService
from hello_service.daemon.endpoint_strings import quoted
from hello_service.daemon.endpoints import (
    MAXIMUM_BACKLOG,
    is_private,
    server_endpoint,
    shared_endpoint,
)
from hello_service.daemon.keepalive import keep_alive
from hello_service.daemon.limits import ExhaustionService, LimitedFactory
from hello_service.daemon.listening import CannotListen, ListeningService
from hello_service.daemon.notify import Notifier, NotifyService
from hello_service.daemon.probes import ProbesService
from hello_service.daemon.protocol import DaemonFactory
from hello_service.daemon.proxied import ProxiedFactory
from hello_service.daemon.status.agent_check import AgentFactory
from hello_service.daemon.status.beside import announce_agent, announce_status, port_beside
from hello_service.daemon.status.counters import Counters
from hello_service.daemon.status.figures import Figures
from hello_service.daemon.status.watch import Watch
from hello_service.daemon.sweep import SweepService
from hello_service.daemon.tls_port import certificate_service

__all__ = ["CannotListen", "DaemonService", "Settings"]

_log = Logger()

_PORT = 9999  # the tutorial's

Place = tuple[str, IStreamServerEndpoint]
"""What messages call a place to listen on, and its endpoint."""


@dataclass(frozen=True)
class Settings:
    """What can be set about a daemon.

    @ivar port: for clients without TLS; C{None} is 9999, or none if the daemon listens by TLS.
    @ivar listen: endpoint strings, in place of C{port} and C{interface}.
    @ivar tls_port: for clients with TLS, on C{interface}; C{tls_listen} has strings of endpoints.
    @ivar tls_certificate: the path of the certificate that they get; its key may be there, too.
    @ivar tls_client_ca: authorities of clients' certificates, if clients must have one.
    @ivar tls_check: seconds after which a changed file is noticed; 0 is at a reload only.
    @ivar reuse_port: share C{port} and C{tls_port} with daemons that do so, too.
    @ivar backlog: connections that may wait to be accepted, for endpoints that do not say.
    @ivar max_connections: how many there may be, if there is a limit.
    @ivar max_per_host: how many there may be from one IP address, if there is a limit.
    @ivar proxy_from: the balancers whose connections begin with a PROXY header, if there are any;
        C{balancers} of balancers.py reads them from a text.
    @ivar idle_timeout: seconds after which a client that sends nothing is disconnected, if ever.
    @ivar max_lifetime: seconds after which any client is disconnected, if ever.
    @ivar keepalive: seconds of quiet after which a TCP peer is probed; 0 leaves it to the sockets.
    @ivar name: what it calls itself in the log and in its status.
    @ivar quiet_probes: count the connections that say nothing; the log tells of the others only.
    @ivar drain_delay: seconds that it goes on listening once told to stop.
    @ivar drain_grace: seconds that conversations then have to end by themselves.
    @ivar drain_timeout: seconds that clients then have to take their answers.
    @ivar status: the endpoint string of the status port, if there is one.
    @ivar status_bytes: whether its page shows what clients send and get, to who is on this machine.
    @ivar agent: the endpoint string of the port for HAProxy's agent-check, if there is one.
    """

    port: int | None = None
    interface: str = "127.0.0.1"
    listen: Sequence[str] = ()
    tls_port: int | None = None
    tls_listen: Sequence[str] = ()
    tls_certificate: str | None = None
    tls_key: str | None = None
    tls_client_ca: str | None = None
    tls_check: float = 60.0
    reuse_port: bool = False
    backlog: int = MAXIMUM_BACKLOG
    max_connections: int | None = None
    max_per_host: int | None = None
    proxy_from: Balancers | None = None
    idle_timeout: float | None = None
    max_lifetime: float | None = None
    keepalive: int = 60
    name: str = ""
    quiet_probes: bool = False
    drain_delay: float = 0.0
    drain_grace: float = 0.0
    drain_timeout: float = 10.0
    status: str | None = None
    status_bytes: bool = False
    agent: str | None = None


def _endpoints(
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


def _plain_endpoints(reactor: Any, settings: Settings, tls: bool) -> list[Place]:
    port = settings.port
    if port is None and not tls and not settings.listen:
        port = _PORT
    return _endpoints(reactor, settings, None if settings.listen else port, settings.listen)


def _tls_endpoints(reactor: Any, settings: Settings) -> list[Place]:
    for place in settings.tls_listen:
        if place.lower().startswith(("ssl:", "tls:")):
            raise ValueError(
                f"Cannot listen on {quoted(place)}: --tls-listen takes an endpoint without TLS of"
                " its own, like tcp:9443."
            )
    return _endpoints(reactor, settings, settings.tls_port, settings.tls_listen)


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
        if inherited or inherited_tls:
            plain, tls = inherited, inherited_tls
        else:
            tls = _tls_endpoints(reactor, told)
            plain = _plain_endpoints(reactor, told, bool(tls))
        certificate = certificate_service(
            reactor, bool(tls), told.tls_certificate, told.tls_key, told.tls_client_ca,
            told.tls_check,
        )  # fmt: skip
        self.reloads: dict[str, Callable[[], object]] = {}
        if certificate:
            tls = [(f"TLS on {name}", certificate.endpoint(below)) for name, below in tls]
            self.reloads["tls certificate"] = certificate.reload
        if told.name:
            connections.fields = {"name": told.name}
        if told.quiet_probes:
            connections.probes = ProbesService(reactor)

        def listens(port: IListeningPort) -> None:
            if told.keepalive:
                keep_alive(port, told.keepalive)
            announce(port, **connections.fields)

        limited = LimitedFactory(
            reactor, factory, connections, told.max_connections, told.max_per_host
        )
        self._listening_on = ListeningService(
            [*plain, *tls],
            limited,
            listens,
            lambda: reactor.callWhenRunning(notifier.ready),
            failed,
            page,
            partial(ProxiedFactory, reactor, limited, told.proxy_from) if told.proxy_from else None,
        )

        def draining() -> bool:
            return self.draining

        beside = []
        if told.status:
            from hello_service.daemon.status.events import Events
            from hello_service.daemon.status.http import StatusFactory
            from hello_service.daemon.status.pages import status_pages

            counters = Counters(reactor, connections)
            build = {"name": told.name, "version": version, "reactor": type(reactor).__name__}

            def figures() -> Figures:
                return Figures(
                    build=build,
                    started=counters.since,
                    draining=self.draining,
                    most=told.max_connections,
                    most_per_host=told.max_per_host,
                    totals=counters.totals(),
                    refused=limited.refused,
                    handshakes=factory.handshakes.totals,
                    expires=certificate.expires.timestamp() if certificate else None,
                )

            watch = Watch(reactor, connections, told.status_bytes)
            events = Events(reactor, watch, figures, told.status_bytes)
            shown = StatusFactory(reactor, status_pages(draining, figures, events))
            beside.append(port_beside(reactor, told.status, shown, announce_status, failed, page))
        if told.status_bytes and not (told.status and is_private(told.status)):
            raise ValueError(
                "--status-bytes shows what clients send: give --status an endpoint that only this"
                " machine reaches, like tcp:9909:interface=127.0.0.1."
            )
        if told.agent:
            agent = AgentFactory(draining)
            beside.append(port_beside(reactor, told.agent, agent, announce_agent, failed, page))
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

        if certificate:
            self.addService(certificate)  # type: ignore[no-untyped-call]
        for listening in (self._listening_on, *beside):
            self.addService(ExhaustionService(reactor, listening))  # type: ignore[no-untyped-call]
        self.addService(NotifyService(reactor, notifier, status))  # type: ignore[no-untyped-call]
        if connections.probes:
            self.addService(connections.probes)  # type: ignore[no-untyped-call]
        if told.idle_timeout or told.max_lifetime:
            sweep = SweepService(reactor, connections, told.idle_timeout, told.max_lifetime)
            self.addService(sweep)  # type: ignore[no-untyped-call]

    @property
    def ports(self) -> list[IListeningPort]:
        """The ports that it listens on."""
        return list(self._listening_on.ports)
