"""A log that never holds up the daemon, whoever does not read it."""

import atexit
from collections import deque
from collections.abc import Callable
from threading import RLock
from time import monotonic
from typing import Any

from twisted.logger import ILogObserver, LogEvent, Logger
from zope.interface import implementer

from hello_service.daemon.output import Output

QUEUE_LIMIT = 2**20
"""Bytes of lines that wait for room: some 5,000 records, which a pager needs a moment to take."""

RETRY_INTERVAL = 0.1
"""Seconds until it looks for room again: for hours, should nobody read."""

READING_INTERVAL = 0.005
"""Seconds until then where there has been some: a terminal takes 4 KiB at once."""

LAST_WAIT = 0.3
"""Seconds that the end of the process may wait for room, all in all."""

Render = Callable[[LogEvent], bytes]
"""Makes the lines of an event, or nothing of one that is not told."""


@implementer(ILogObserver)
class LinesObserver:
    """Writes each event as whole lines, in order, without waiting for room.

    Lines without room are queued. When the queue is full, those that come are lost until all that
    is queued is written; then a record in their place says how many they were. It may be called in
    any thread and by signal handlers, and never raises.

    @param reactor: L{IReactorFromThreads} and L{IReactorTime}.
    """

    def __init__(self, reactor: Any, output: Output, render: Render) -> None:
        self._reactor = reactor
        self._output = output
        self._render = render
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._lost = 0
        self._lock = RLock()
        self._sending = False
        self._retrying = False
        self._interval = RETRY_INTERVAL
        self._deadline: float | None = None
        self._log = Logger(f"{__name__}.{type(self).__name__}", observer=self._append)  # type: ignore[arg-type]

    def __call__(self, event: LogEvent) -> None:
        with self._lock:
            if self._lost or self._size > QUEUE_LIMIT:
                self._lost += 1
            else:
                self._append(event)
            self._send()

    def finish(self) -> None:
        """Write what is queued and, from now on, wait for room: no reactor comes back to it."""
        self._deadline = self._deadline or monotonic() + LAST_WAIT
        with self._lock:
            self._send()

    def _append(self, event: LogEvent) -> None:
        if line := self._render(event):
            self._queue.append(line)
            self._size += len(line)

    def _send(self) -> None:
        # A signal handler that logs interrupts the loop of this very thread, and leaves its line
        # to it.
        while self._queue and not self._sending:
            self._sending = True
            try:
                room = self._write_queue()
            finally:
                self._sending = False
            if not (room or self._wait()):
                return

    def _write_queue(self) -> bool:
        try:
            while self._queue:
                line = self._queue[0]
                written = self._output.write(line)
                self._size -= written
                self._interval = READING_INTERVAL
                if written < len(line):
                    self._queue[0] = line[written:]
                else:
                    self._queue.popleft()
        except OSError:
            return False
        if self._lost:
            count, self._lost = self._lost, 0
            self._log.warn("Records of the log lost: {count}.", event="lost", count=count)
        return True

    def _wait(self) -> bool:
        if self._deadline is not None:
            left = self._deadline - monotonic()
            return left > 0 and self._output.wait(left)
        if not self._retrying:
            self._retrying = True
            self._reactor.callFromThread(self._reactor.callLater, self._interval, self._retry)
            self._interval = RETRY_INTERVAL
        return False

    def _retry(self) -> None:
        self._retrying = False
        with self._lock:
            self._send()


def lasting_observer(reactor: Any, output: Output, render: Render) -> LinesObserver:
    """Make an observer that is L{finish<LinesObserver.finish>}ed when the process ends.

    @param reactor: L{IReactorCore}, L{IReactorFromThreads} and L{IReactorTime}.
    """
    observer = LinesObserver(reactor, output, render)
    # A signal ends twistd without atexit, a start that fails without the reactor.
    reactor.addSystemEventTrigger("after", "shutdown", observer.finish)
    atexit.register(observer.finish)
    return observer
