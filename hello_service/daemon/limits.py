"""How many connections there may be."""

import os
import resource
from collections import Counter
from contextlib import ExitStack, suppress
from typing import Any

from twisted.application.internet import TimerService
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    ILoggingContext,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from zope.interface import implementer

from hello_service.daemon.connections import Connections
from hello_service.daemon.listening import ListeningService

RESERVE = 64
"""Descriptors for all but connections: ports, the log, the reactor's own, what libraries open."""


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open descriptors to the hard one.

    @return: how many connections that leaves room for, each of which takes one.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError):  # macOS knows no unlimited soft limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(soft - RESERVE, 1)


_REFUSALS = {
    "total": "Connections refused: {count}, for there are {most} already.",
    "host": "Connections refused: {count}, for their hosts have {most} each already.",
    "proxy": "Connections refused: {count}, for they did not begin with a valid PROXY header;"
    " the last, from {via}: {why}.",
}


class Refusal(Protocol):
    """Closes its connection at once."""

    transport: ITCPTransport

    def connectionMade(self) -> None:
        self.transport.abortConnection()


@implementer(IProtocolFactory, ILoggingContext)
class LimitedFactory:
    """Builds a factory's protocols as long as there are not too many connections.

    What is over a limit is closed at once, by a `Refusal`: Twisted's wrappers, TLS's for one, fail
    if a factory builds no protocol. The log tells of them once a second at most.

    @param maximum: of all connections, if there is a limit.
    @param per_host: of the connections from one IP address, if there is a limit.
    @ivar connections: those that are counted.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        factory: IProtocolFactory,
        connections: Connections[Any],
        maximum: int | None = None,
        per_host: int | None = None,
    ) -> None:
        self._clock = clock
        self._factory = factory
        self.connections = connections
        self._maximum = maximum
        self._per_host = per_host
        self._refused: Counter[str] = Counter()
        self._fields: dict[str, dict[str, object]] = {}
        self._timer: IDelayedCall | None = None
        self.doStart = factory.doStart

    def doStop(self) -> None:
        """Stop the factory; there is nothing more to tell."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._tell_refused()
        self._factory.doStop()

    def logPrefix(self) -> str:
        """Return what the log calls the factory."""
        return type(self._factory).__name__

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        """Build the factory's protocol, or a `Refusal`."""
        if refusal := self.refuse_beyond_total():
            return refusal
        if self._per_host is not None:
            host = getattr(addr, "host", None)
            if host and self.connections.from_host(host) >= self._per_host:
                return self.refuse("host", most=self._per_host)
        return self._factory.buildProtocol(addr)

    def refuse_beyond_total(self) -> Refusal | None:
        """Refuse a connection if there are too many in all."""
        if self._maximum is None or len(self.connections) < self._maximum:
            return None
        return self.refuse("total", most=self._maximum)

    def refuse(self, limit: str, **fields: object) -> Refusal:
        """Count a refused connection.

        @param fields: what the log is to tell with the count; it tells the last ones.
        """
        self._refused[limit] += 1
        self._fields[limit] = fields
        if self._timer is None:
            self._tell()
        return Refusal()

    def _tell(self) -> None:
        self._timer = self._clock.callLater(1, self._tell) if self._refused else None
        self._tell_refused()

    def _tell_refused(self) -> None:
        for limit, count in self._refused.items():
            told = self._fields[limit]
            self._log.warn(_REFUSALS[limit], event="refused", limit=limit, count=count, **told)
        self._refused.clear()


def _check_descriptors(count: int) -> None:
    """Try to open C{count} more descriptors.

    @raises OSError: if this process may not have them.
    """
    with ExitStack() as probes:
        for _ in range(count):
            probes.callback(os.close, os.open(os.devnull, os.O_RDONLY))


class ExhaustionService(TimerService):
    """Has connections wait while there are no descriptors for them; it looks once a second.

    The listening service also pauses by itself when it accepts; this logs it, and resumes.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, listening: ListeningService) -> None:
        super().__init__(1.0, self._look)  # type: ignore[no-untyped-call]
        self.clock = clock
        self._listening = listening
        self._exhausted = False

    def _look(self) -> None:
        try:
            # One for the next connection; then each port may accept one before it is paused.
            _check_descriptors(self._listening.paused + 1)
        except OSError as error:
            self._listening.pause()
            if not self._exhausted:
                self._log.error("Accepting no connections: {why}.",
                                event="exhausted", why=error.strerror)  # fmt: skip
            self._exhausted = True
            return
        if self._listening.paused:
            self._listening.resume()
            if self._exhausted:
                self._log.warn("Accepting connections again.", event="recovered")
        self._exhausted = False
