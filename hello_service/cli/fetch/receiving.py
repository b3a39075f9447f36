"""Takes a body from its response to where it is saved."""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from hello_service.cli.console import Console
from hello_service.cli.fetch.new_file import NewFile
from hello_service.cli.fetch.saving import Place
from hello_service.fetch.coding import BadCoding, Decoder
from hello_service.fetch.errors import BodyTooLarge, MalformedResponse, ResponseError
from hello_service.fetch.response import RawResponse

HELD = 64 * 1024
"""Bytes of a body that are held, to be saved as they came if nothing can be made of them."""

TURN = 16
"""Pieces to save in one turn of the reactor, 4 MiB at most, so that no gzip can hold it up."""


@implementer(IWriteDescriptor)
class Receiving:
    """Undoes the coding of a body and saves it, no faster than its place takes it.

    @ivar saved: bytes written.
    @ivar replaced: whether the body is in place of a file that was there.
    @ivar done: fires when the body is whole and in its place; fails with L{ResponseError},
        L{BadCoding} or C{OSError}. Cancel it to give the body up.
    """

    def __init__(
        self,
        reactor: Any,
        console: Console,
        response: RawResponse,
        place: Place,
        decoder: Decoder,
        max_size: int | None,
        progress: Callable[[int], object],
        exactly: int | None = None,
    ) -> None:
        """
        @param reactor: L{IReactorTime} and L{IReactorFDSet}.
        @param console: nothing is saved while it is behind, so a trace does not grow in memory.
        @param max_size: most bytes to save: few bytes of gzip can be many.
        @param progress: is told how many bytes of the body came.
        @param exactly: how many bytes to save, if the head has said that besides the framing.
        """
        self.saved = 0
        self.replaced = False
        self.done: Deferred[None] = Deferred(lambda _: self._stop(CancelledError()))
        self._reactor = reactor
        self._console = console
        self._response = response
        self._place = place
        self._decoder = decoder
        self._too_much: ResponseError = BodyTooLarge(max_size or 0)
        if exactly is not None:
            self._too_much = MalformedResponse("more bytes come than its Content-Range has")
            max_size = exactly
        self._exactly = exactly
        self._most = sys.maxsize if max_size is None else max_size
        self._progress = progress
        self._held = b""
        self._pieces: Iterator[bytes] = iter(())
        self._unsaved = memoryview(b"")
        self._too_large = False
        self._problem: Exception | None = None

    def data_received(self, data: bytes) -> None:
        self._progress(len(data))
        if not self.saved:
            self._held = (self._held + data)[:HELD]
        self._pieces = self._decoder.feed(data)
        if not self._save_some():
            self._response.pauseProducing()

    def splice(self, file: NewFile) -> None:
        """Let the kernel move the body into its place, if there is no coding to undo."""
        if self._decoder.is_idle and not self.done.called:
            self._response.move_to(file.fileno(), partial(self._moved, file))

    def _moved(self, file: NewFile, count: int) -> None:
        self.saved += count
        self._progress(count)
        try:
            file.grow(count)
        except OSError as error:
            self._stop(error)

    def body_ended(self, error: ResponseError | None) -> None:
        if self.done.called:  # it was cancelled
            return
        problem = self._problem or error
        try:
            if problem is None:
                self._end()
        except (BadCoding, OSError, ResponseError) as late:
            problem = late
        if problem is None:
            self.done.callback(None)
        else:
            self._save_undecoded(problem)
            self.done.errback(problem)

    def _end(self) -> None:
        self._decoder.end()
        if self._exactly not in (None, self.saved):
            raise MalformedResponse("fewer bytes come than its Content-Range has")
        self.replaced = self._place.keep()

    def _save_undecoded(self, problem: Exception) -> None:
        """Save what came and could not be made bytes of the page."""
        rest = self._response.wire.rest
        if isinstance(problem, BadCoding) and not self.saved:
            rest = self._held
        if rest:
            with suppress(OSError):  # it is over already, for another reason
                self._place.write_stray(rest)

    def fileno(self) -> int:
        return self._place.fileno()

    def doWrite(self) -> None:
        """The place has room again."""
        self._reactor.removeWriter(self)
        self._go_on()

    def connectionLost(self, reason: Failure) -> None:
        """The place is a pipe that nobody reads any more, which the next write says."""
        self._go_on()

    def logPrefix(self) -> str:
        return "output"

    def _go_on(self) -> None:
        if self._save_some():
            self._response.resumeProducing()

    def _save_some(self) -> bool:
        """Save what one turn has time for; return whether that is all. If not, it goes on later."""
        if self._console.behind:
            drained = Deferred.fromCoroutine(self._console.drained())
            drained.addBoth(lambda _: self._go_on())
            return False
        try:
            for _ in range(TURN):
                if not self._unsaved and not self._next_piece():
                    return True
                count = self._place.write(self._unsaved)
                self.saved += count
                if self._unsaved and not count:
                    self._reactor.addWriter(self)
                    return False
                self._unsaved = self._unsaved[count:]
        except (ResponseError, BadCoding, OSError) as error:
            self._stop(error)
            return True
        self._reactor.callLater(0, self._go_on)
        return False

    def _next_piece(self) -> bool:
        """Take the next piece to save; return whether there is one."""
        if self._problem:
            return False
        if self._too_large:
            raise self._too_much
        piece = next(self._pieces, None)
        if piece is None:
            return False
        room = self._most - self.saved
        self._too_large = len(piece) > room
        self._unsaved = memoryview(piece)[:room]
        return True

    def _stop(self, problem: Exception) -> None:
        self._problem = problem
        self._unsaved = memoryview(b"")
        self._reactor.removeWriter(self)
        self._response.abortConnection()
