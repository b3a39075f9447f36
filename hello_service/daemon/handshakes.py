"""TLS handshakes that come to nothing: counted, for a peer must not be able to fill the log."""

from collections import Counter

from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

HANDSHAKE = 10.0
"""Seconds that a peer has for its TLS handshake."""

LATE = "handshake"
"""Why a connection is aborted whose handshake takes longer."""

_PERIOD = 60.0
_SENTENCES = {
    "late": f"TLS handshakes aborted: {{count}}, for they took more than {HANDSHAKE:g} seconds.",
    "failed": "TLS handshakes failed: {count}, the last for this reason: {last}.",
    "left": "TLS handshakes that the client left: {count}.",
}


def _in_words(error: BaseException | None) -> str:
    match error and error.args:
        case ([*_, (_, _, str(reason))],) if reason:
            return reason
        case _:
            return "unknown"


class Handshakes:
    """Counts handshakes that come to nothing, and tells of them once a minute for each cause.

    @ivar running: whether it may wait for the next minute; else each is told at once.
    @ivar totals: how many there have been of each cause: C{late}, C{failed}, C{left}.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self.running = False
        self.totals = Counter(dict.fromkeys(_SENTENCES, 0))
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._last = ""
        self._timer: IDelayedCall | None = None

    def count(self, reason: Failure, late: bool) -> None:
        """Count one.

        @param reason: why its connection was lost.
        @param late: whether it was aborted for its time was up.
        """
        if late:
            cause = "late"
        elif reason.check(ConnectionClosed):
            cause = "left"
        else:
            cause = "failed"
            self._last = _in_words(reason.value)
        self._counts[cause] += 1
        self.totals[cause] += 1
        if self._timer is None:
            self._tell()

    def stop(self) -> None:
        """Tell of the rest."""
        self.running = False
        if self._timer is not None:
            self._timer.cancel()
            self._tell()

    def _tell(self) -> None:
        wait = self.running and self._counts
        self._timer = self._clock.callLater(_PERIOD, self._tell) if wait else None
        for cause, count in self._counts.items():
            level = LogLevel.info if cause == "left" else LogLevel.warn  # checks of the port leave
            self._log.emit(level, _SENTENCES[cause], event="handshakes",
                           cause=cause, count=count, last=self._last)  # fmt: skip
        self._counts.clear()
