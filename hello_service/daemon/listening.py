"""Listening on endpoints, or telling in one sentence why not: C{strports} for several places."""

import errno
import socket
from collections.abc import Callable, Sequence
from enum import Enum
from importlib.util import find_spec
from typing import Any

from twisted.application.service import Service
from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import CancelledError, Deferred, gatherResults, maybeDeferred
from twisted.internet.endpoints import (
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    serverFromString,
)
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.internet.tcp import makeBinding
from twisted.logger import Logger
from twisted.python.failure import Failure

MAXIMUM_BACKLOG = 2**31 - 1
"""What listen(2) cuts down to the system's maximum, net.core.somaxconn."""


class Obstacle(Enum):
    """Why a place cannot be listened on; the value is the word that a page may explain it under."""

    IN_USE = "in-use"
    NOT_ALLOWED = "not-allowed"
    NOT_HERE = "not-here"
    OTHER = "cannot-listen"


class CannotListen(Exception):
    """One sentence about a place that cannot be listened on."""


def server_endpoint(
    reactor: object, description: str, backlog: int = MAXIMUM_BACKLOG
) -> IStreamServerEndpoint:
    """Parse an endpoint string, whose own C{backlog=} wins.

    @raises ValueError: with the sentence that says what is wrong with it.
    """
    endpoint: IStreamServerEndpoint
    try:
        if "backlog=" in description:
            endpoint = serverFromString(reactor, description)
        else:
            try:
                endpoint = serverFromString(reactor, f"{description}:backlog={backlog}")
            except TypeError:  # this kind takes no backlog, or has it by position
                endpoint = serverFromString(reactor, description)
    except Exception as error:
        raise ValueError(_explain_description(description, error)) from error
    return endpoint


def shared_endpoint(
    reactor: object, port: int, interface: str, backlog: int = MAXIMUM_BACKLOG
) -> IStreamServerEndpoint:
    """Make an endpoint on a TCP port for all who share it; the system spreads clients over them."""
    binding: Any = makeBinding(interface, port, reuseAddress=True, reusePort=True)
    endpoint = TCP6ServerEndpoint if isIPv6Address(interface) else TCP4ServerEndpoint
    return endpoint(reactor, binding, backlog, interface)


def _explain_description(description: str, error: Exception) -> str:
    kind = description.partition(":")[0]
    if kind == "systemd" and isinstance(error, LookupError):
        return (
            f"{description!r} names a socket that systemd has not passed: start the daemon by its"
            " socket unit, or under `systemd-socket-activate --listen=PORT --fdname=NAME`."
        )
    if kind in ("ssl", "tls") and find_spec("OpenSSL") is None:
        return f"{description!r} needs TLS: `pip install 'twisted[tls]'` brings it."
    return (
        f"{description!r} is not an endpoint ({error}): write one like tcp:9999,"
        " unix:/run/name.sock or systemd:domain=INET:index=0."
    )


def _explain_listening(place: str, error: BaseException | None) -> tuple[Obstacle, str]:
    port = None
    if isinstance(error, CannotListenError):
        port, host = error.port, error.interface
        error = error.socketError
        if host:
            place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    match getattr(error, "errno", error):
        case errno.EADDRINUSE | "Cannot acquire lock":
            if isinstance(port, int):
                return Obstacle.IN_USE, (
                    f"{place} is in use by another program: `ss -p -ltn 'sport = :{port}'` shows"
                    " which; stop that one or listen elsewhere."
                )
            return Obstacle.IN_USE, (
                f"{place} is in use: stop the server that `ss -p -lx` shows there, or remove the"
                " file, or listen elsewhere."
            )
        case errno.EACCES if isinstance(port, int):
            return Obstacle.NOT_ALLOWED, (
                f"{place} takes a right that this user has not, as all ports below 1024: choose a"
                " higher one, or start as root with --uid and --gid, or grant"
                " CAP_NET_BIND_SERVICE (AmbientCapabilities= in a systemd unit)."
            )
        case errno.EADDRNOTAVAIL | socket.EAI_NONAME:
            return Obstacle.NOT_HERE, (
                f"{place} is not on this machine: choose one of the addresses that `ip address`"
                " lists, or 0.0.0.0 for all of them."
            )
        case errno.ENOENT:
            sentence = f"{place} is in a folder that is not there: make the folder first."
        case errno.EACCES:
            sentence = f"{place} is in a folder where this user may not write: choose another."
        case _:
            sentence = f"Cannot listen on {place}: {str(error).rstrip('.')}."
    return Obstacle.OTHER, sentence


class ListeningService(Service):
    """Listens on every endpoint, privileged where there is a difference.

    @param endpoints: the names that messages give them, and what to listen on.
    @param listening: called with each port once it listens.
    @param ready: called once all of them listen.
    @param failed: called with the L{CannotListen} of an endpoint that fails after the start.
    @param page: where each `Obstacle` is explained, for messages to name.
    @ivar ports: those that listen, each with the name of its endpoint.
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
    ) -> None:
        self._endpoints = endpoints
        self._factory = factory
        self._listening = listening
        self._ready = ready
        self._failed = failed
        self._page = page
        self.ports: dict[Any, str] = {}  # all of Twisted's and ours can stop reading
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
            if self._failure:
                self.stopService()
                raise self._failure

    def startService(self) -> None:
        """Listen, if C{privilegedStartService} has not been called."""
        if not self._attempts:
            self.privilegedStartService()
        super().startService()  # type: ignore[no-untyped-call]

    def stopService(self) -> Deferred[None]:
        """Stop listening; what is connected stays so."""
        super().stopService()  # type: ignore[no-untyped-call]
        attempts, self._attempts = self._attempts, []
        for attempt in attempts:
            attempt.cancel()
        ports, self.ports = self.ports, {}
        stopping = [
            maybeDeferred(port.stopListening).addErrback(self._fail_to_stop, place)
            for port, place in ports.items()
        ]
        return gatherResults(stopping).addCallback(lambda _: None)

    def pause(self) -> int:
        """Accept no connections; those that come wait. Return from how many ports."""
        for port in self.ports:
            port.stopReading()
        return len(self.ports)

    def resume(self) -> None:
        """Accept connections again."""
        for port in self.ports:
            port.startReading()

    def _listen(self, port: IListeningPort, place: str) -> None:
        self.ports[port] = place
        self._listening(port)
        if len(self.ports) == len(self._endpoints):
            self._ready()

    def _fail_to_stop(self, failure: Failure, place: str) -> None:
        self._log.warn("{place} is not cleaned up: {why}.", place=place, why=str(failure.value))

    def _fail(self, failure: Failure, place: str) -> None:
        if failure.check(CancelledError):
            return
        obstacle, sentence = _explain_listening(place, failure.value)
        if self._page:
            sentence += f" See {self._page}#{obstacle.value}."
        self._log.error("{sentence}", sentence=sentence)
        if self.running:
            self._failed(CannotListen(sentence))
        else:
            self._failure = CannotListen(sentence)
