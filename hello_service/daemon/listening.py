"""Listening on endpoints, or telling in one sentence why not: C{strports} for several places."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet import tcp
from twisted.internet.defer import CancelledError, Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure

from hello_service.daemon.accepting import PausableSocket
from hello_service.daemon.closing import accept_the_last
from hello_service.daemon.obstacles import explain


class CannotListen(Exception):
    """One sentence about a place that cannot be listened on."""


class ListeningService(Service):
    """Listens on every endpoint, privileged where there is a difference.

    @param endpoints: the names that messages give them, and what to listen on.
    @param listening: called with each port once it listens.
    @param ready: called once all of them listen.
    @param failed: called with the L{CannotListen} of an endpoint that fails after the start.
    @param page: where each `Obstacle` is explained, for messages to name.
    @param below: wraps the factory of each port, TLS included.
    @param beside: the services that listen, too, and before.
    @ivar ports: those that listen, each with the name of its endpoint.
    @ivar paused: how many ports accept no connections for now.
    """

    _log = Logger()

    def __init__(
        self,
        endpoints: Sequence[tuple[str, IStreamServerEndpoint]],
        factory: IProtocolFactory,
        listening: Callable[[IListeningPort], None],
        ready: Callable[[], object] = lambda: None,
        failed: Callable[[CannotListen], object] = lambda _: None,
        page: str = "",
        below: Callable[[IProtocolFactory], IProtocolFactory] | None = None,
        beside: Sequence["ListeningService"] = (),
    ) -> None:
        self._endpoints = endpoints
        self._factory = factory
        self._listening = listening
        self._ready = ready
        self._failed = failed
        self._page = page
        self._below = below
        self._beside = beside
        self.ports: dict[Any, str] = {}  # all of Twisted's and ours can stop reading
        self.paused = 0
        self._attempts: list[Deferred[None]] = []
        self._failure: CannotListen | None = None

    def privilegedStartService(self) -> None:
        """Listen on all endpoints.

        @raises CannotListen: if one of them cannot; then none does.
        """
        self._failure = None
        for place, endpoint in self._endpoints:
            attempt = endpoint.listen(self._factory).addCallback(self._listen, place)
            self._attempts.append(attempt.addErrback(self._fail, place))
            self._give_up_if_failed()

    def startService(self) -> None:
        """Listen, if C{privilegedStartService} has not been called.

        @raises CannotListen: if an endpoint cannot, or could not since that call; then none does.
        """
        if not self._attempts:
            self.privilegedStartService()
        self._give_up_if_failed()
        super().startService()  # type: ignore[no-untyped-call]

    def stopService(self) -> Deferred[None]:
        """Accept who waits and stop listening; what is connected stays so."""
        if self.running and not self.paused:
            for port in self.ports:
                # One that is not to be shut down is systemd's, and goes on there.
                if isinstance(port, tcp.Port) and port._shouldShutdown:
                    accept_the_last(port)
        super().stopService()  # type: ignore[no-untyped-call]
        attempts, self._attempts = self._attempts, []
        for attempt in attempts:
            attempt.cancel()
        ports, self.ports = self.ports, {}
        self.paused = 0
        stopping = [
            maybeDeferred(port.stopListening).addErrback(self._fail_to_stop, place)
            for port, place in ports.items()
        ]
        return gatherResults(stopping).addCallback(lambda _: None)

    def pause(self) -> None:
        """Accept no connections; those that come wait."""
        for port in self.ports:
            port.stopReading()
        self.paused = len(self.ports)

    def resume(self) -> None:
        """Accept connections again."""
        self.paused = 0
        for port in self.ports:
            port.startReading()

    def _listen(self, port: IListeningPort, place: str) -> None:
        self.ports[port] = place
        if self._below is not None:
            if not isinstance(port, tcp.Port):
                raise NotImplementedError("it cannot read PROXY headers: listen on tcp: for them")
            # For ssl: and tls: the endpoint has put TLS around ours.
            port.factory = self._below(port.factory)  # type: ignore[arg-type, assignment]
        if isinstance(port, tcp.Port) and type(port).doRead is tcp.Port.doRead:
            port.socket = PausableSocket(port.socket, lambda: self.paused > 0, self.pause)
        self._listening(port)
        if len(self.ports) == len(self._endpoints):
            self._ready()

    def _give_up_if_failed(self) -> None:
        if self._failure:
            self.stopService()
            raise self._failure

    def _fail_to_stop(self, failure: Failure, place: str) -> None:
        self._log.warn("{place} is not cleaned up: {why}.", place=place, why=str(failure.value))

    def _places(self) -> list[tuple[str, IAddress]]:
        return [(name, port.getHost()) for port, name in self.ports.items()]

    def _fail(self, failure: Failure, place: str) -> None:
        if failure.check(CancelledError):
            return
        beside = [place for service in self._beside for place in service._places()]
        obstacle, sentence = explain(place, failure.value, self._places(), beside)  # type: ignore[arg-type]
        if self._page:
            sentence += f" See {self._page}#{obstacle.value}."
        self._log.error("{sentence}", sentence=sentence)
        if self.running:
            self._failed(CannotListen(sentence))
        else:
            self._failure = CannotListen(sentence)
