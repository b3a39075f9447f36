"""Connections that end without a byte from the peer: counted, where the log does not tell of each.

Balancers check a port by connecting and leaving, tens of thousands of times a day.
"""

from twisted.application.internet import TimerService
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

_INTERVAL = 60.0


class ProbesService(TimerService):
    """Tells the log how many connections said nothing, once a minute at most, and when it stops.

    @ivar count: how many there were since it last told; who sees one end adds it.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        super().__init__(_INTERVAL, self._tell)  # type: ignore[no-untyped-call]
        self.clock = clock
        self.count = 0

    def stopService(self) -> object:
        """Tell what is left to tell."""
        self._tell()
        return super().stopService()  # type: ignore[no-untyped-call]

    def _tell(self) -> None:
        if self.count:
            self._log.info(
                "Connections that said nothing: {count}.", event="probes", count=self.count
            )
            self.count = 0
