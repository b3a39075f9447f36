"""A body on its way from a response to where it is saved."""

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

from hello_service.coding import BadCoding, Decoder
from hello_service.fetch_errors import BodyTooLarge, ResponseError
from hello_service.raw_response import RawResponse
from hello_service.saving import Place

TURN = 16
"""Pieces saved in one turn of the reactor, 4 MiB at most: few bytes of gzip cannot hold it up."""

PATIENCE = 1.0
"""Seconds before progress is shown: what is over sooner needs none."""


class Receiving:
    """Undoes the coding of a body and saves it.

    @ivar saved: bytes written.
    @ivar done: fires when the body is whole and in its place; fails with L{ResponseError},
        L{BadCoding} or C{OSError}. To cancel it gives the body up.
    """

    def __init__(
        self,
        clock: IReactorTime,
        response: RawResponse,
        place: Place,
        decoder: Decoder,
        max_size: int | None,
        progress: Callable[[int], object],
    ) -> None:
        """
        @param max_size: most bytes to save: few bytes of gzip can be many.
        @param progress: is told how many bytes of the body came.
        """
        self.saved = 0
        self.done: Deferred[None] = Deferred(lambda _: self._stop(CancelledError()))
        self._clock = clock
        self._response = response
        self._place = place
        self._decoder = decoder
        self._max_size = max_size
        self._progress = progress
        self._problem: Exception | None = None

    def data_received(self, data: bytes) -> None:
        self._progress(len(data))
        pieces = self._decoder.feed(data)
        if not self._save_some(pieces):
            self._response.pauseProducing()
            self._clock.callLater(0, self._go_on, pieces)

    def body_ended(self, error: ResponseError | None) -> None:
        problem = self._problem or error
        if problem is None:
            try:
                self._decoder.end()
                self._place.keep()
            except (BadCoding, OSError) as late:
                problem = late
        if problem is None:
            self.done.callback(None)
        else:
            self.done.errback(problem)

    def _go_on(self, pieces: Iterator[bytes]) -> None:
        if self._save_some(pieces):
            self._response.resumeProducing()
        else:
            self._clock.callLater(0, self._go_on, pieces)

    def _save_some(self, pieces: Iterator[bytes]) -> bool:
        """Save what one turn has time for; return whether there is no more to save."""
        try:
            for _ in range(TURN):
                piece = next(pieces, None)
                if piece is None or self._problem:
                    return True
                self._save(piece)
        except (ResponseError, BadCoding, OSError) as error:
            self._stop(error)
            return True
        return False

    def _save(self, piece: bytes) -> None:
        self.saved += len(piece)
        if self._max_size is not None and self.saved > self._max_size:
            raise BodyTooLarge(self._max_size)
        self._place.write(piece)

    def _stop(self, problem: Exception) -> None:
        self._problem = problem
        self._response.abortConnection()


class Progress:
    """A bar on a terminal, for bodies that take longer than `PATIENCE`, if tqdm is installed."""

    def __init__(self, clock: IReactorTime, stream: Any, total: int | None) -> None:
        """
        @param stream: the terminal, or C{None} to show nothing.
        @param total: bytes to come, if that is known.
        """
        self._stream = stream
        self._total = total
        self._count = 0
        self._bar: Any = None
        self._timer = None if stream is None else clock.callLater(PATIENCE, self._show)

    def add(self, count: int) -> None:
        """Take that so many bytes came."""
        self._count += count
        if self._bar is not None:
            self._bar.update(count)

    def end(self) -> None:
        """Take that it is over."""
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
            initial=self._count,
            unit="B",
            unit_scale=True,
            file=self._stream,
        )
