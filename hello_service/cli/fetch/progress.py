"""How far a body has come, shown as a bar."""

from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

PATIENCE = 1.0
"""Seconds from the first byte of a body to the bar: what is over sooner needs none."""


class Progress:
    """A bar on a terminal, for bodies that take longer than `PATIENCE`, if tqdm is installed."""

    def __init__(self, clock: IReactorTime, stream: Any, total: int | None, start: int = 0) -> None:
        """
        @param stream: the terminal, or C{None} to show nothing.
        @param total: bytes to come, if that is known.
        @param start: bytes that are there already.
        """
        self._stream = stream
        self._total = None if total is None else start + total
        self._start = start
        self._count = 0
        self._bar: Any = None
        self._clock = clock
        self._timer: IDelayedCall | None = None

    def add(self, count: int) -> None:
        """Count bytes that came; the first start the clock."""
        if self._stream is not None and not self._count:
            self._timer = self._clock.callLater(PATIENCE, self._show)
        self._count += count
        if self._bar is not None:
            self._bar.update(count)

    def end(self) -> None:
        """Leave the bar as it is: no more bytes come."""
        if self._timer and self._timer.active():
            self._timer.cancel()
        if self._bar is not None:
            self._bar.close()

    def _show(self) -> None:
        try:
            from tqdm import tqdm
        except ImportError:
            return
        self._bar = tqdm(
            total=self._total,
            initial=self._start,
            unit="B",
            unit_scale=True,
            file=self._stream,
            dynamic_ncols=True,
            delay=PATIENCE,  # nothing is shown until its clock has been put back
        )
        self._bar.start_t -= PATIENCE
        self._bar.last_print_t -= PATIENCE
        self._bar.update(self._count)
