"""Stopping so that every connection gets what it is owed."""

import signal
from types import FrameType
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from hello_service.daemon.connections import Connections
from hello_service.daemon.notify import Notifier

_EXTENSION = 5.0
"""Seconds more that it asks the service manager for, once a second: it may hang for some."""


class DrainingService(MultiService):
    """Starts the services added to it, then listens; stops listening, drains, then stops them.

    @param listening: the service that listens; once it is stopped there are no new connections.
    @param delay: seconds to go on listening, for balancers to learn that the daemon stops.
    @param timeout: seconds for the connections to end; the rest is aborted.
    @ivar draining: whether it stops: it is not ready for more.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        listening: Service,
        connections: Connections[Any],
        notifier: Notifier,
        delay: float = 0.0,
        timeout: float = 10.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._clock = clock
        self._listening = listening
        self._connections = connections
        self._notifier = notifier
        self._delay = delay
        self._timeout = timeout
        self._hurried = False
        self._event: Deferred[None] | None = None
        self.draining = False

    def privilegedStartService(self) -> None:
        """Start all services, as far as that takes privileges."""
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self._listening.privilegedStartService()

    def startService(self) -> None:
        """Start all services, or none: what keeps the last one from listening is raised."""
        self.draining = self._hurried = False
        super().startService()  # type: ignore[no-untyped-call]
        try:
            self._listening.startService()
        except Exception:
            super().stopService()  # type: ignore[no-untyped-call]
            raise

    def stopService(self) -> Deferred[None]:
        """Drain and stop all services.

        @return: what fires after the last connection is lost.
        """
        self.draining = True
        return Deferred.fromCoroutine(self._drain())

    def hurry(self) -> None:
        """Do not wait: stop listening and abort the connections, now or once it drains."""
        self._hurried = True
        if self._event:
            self._event.cancel()

    async def _drain(self) -> None:
        self._notifier.stopping()
        progress = LoopingCall(self._tell)
        progress.clock = self._clock
        progress.start(1.0)
        if self._delay:
            self._log.info("Listening for {delay:g} seconds more.", delay=self._delay)
            await self._wait(Deferred(), self._delay)
        await maybeDeferred(self._listening.stopService)
        for connection in self._connections:
            connection.drain("shutdown")
        await self._wait(self._connections.emptied(), self._timeout)
        if self._connections:
            self._log.warn(
                "Connections aborted: {count}.", event="aborted", count=len(self._connections)
            )
        for connection in self._connections:
            connection.abort()
        await self._connections.emptied()
        progress.stop()
        await maybeDeferred(super().stopService)

    def _wait(self, event: Deferred[None], seconds: float) -> Deferred[None]:
        self._event = event
        event.addTimeout(0.0 if self._hurried else seconds, self._clock)
        event.addErrback(lambda failure: failure.trap(DeferredTimeout, CancelledError) and None)
        return event

    def _tell(self) -> None:
        self._notifier.extend_timeout(_EXTENSION)
        if count := len(self._connections):
            self._log.info("Draining, connections left: {count}.", event="draining", count=count)


def hurry_on_second_signal(reactor: IReactorFromThreads, service: DrainingService) -> None:
    """Have a second SIGINT or SIGTERM mean now, while the first one means what it meant.

    To be called in the main thread when the reactor runs: it takes over the reactor's handlers.
    """
    former: dict[int, Any] = {}
    told = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal told
        if told or service.draining:
            reactor.callFromThread(service.hurry)
        else:
            told = True
            former[number](number, frame)

    for number in (signal.SIGINT, signal.SIGTERM):
        former[number] = signal.getsignal(number)
        if callable(former[number]):  # it is not ignored, as SIGINT is in a shell's background
            signal.signal(number, handle)
