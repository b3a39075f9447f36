"""The body of a response, saved as a page."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import CancelledError
from twisted.web.iweb import UNKNOWN_LENGTH

from hello_service.cli.console import Console
from hello_service.cli.fetch.continuing import Kept
from hello_service.cli.fetch.new_file import Left, NewFile
from hello_service.cli.fetch.options import Options
from hello_service.cli.fetch.progress import Progress
from hello_service.cli.fetch.ranges import range_length
from hello_service.cli.fetch.receiving import Receiving
from hello_service.cli.fetch.saving import Place, name_from_target, place_at
from hello_service.cli.fetch.source import Source
from hello_service.cli.fetch.trouble import file_trouble
from hello_service.cli.fetch.unpacking import codings_to_undo
from hello_service.cli.open_stream import OpenStream
from hello_service.cli.trouble import TroubleError
from hello_service.fetch.coding import BadCoding, Decoder
from hello_service.fetch.errors import BodyTooLarge, ResponseError
from hello_service.fetch.request import parse_url
from hello_service.fetch.response import RawResponse

Hint = Callable[[str], None]
Explain = Callable[[Exception], TroubleError]


@dataclass(frozen=True)
class Saved:
    """What there is of a page.

    @ivar file: where it is; C{-} is standard output.
    @ivar size: its bytes in there.
    @ivar arrived: those of them that came now.
    @ivar whole: whether it is all of the page.
    @ivar replaced: whether it is in place of a file that was there.
    """

    file: str
    size: int
    arrived: int
    whole: bool
    replaced: bool

    def __str__(self) -> str:
        now = "" if self.arrived == self.size else f", {self.arrived} of them now"
        there = ", in place of the file that was there" if self.replaced else ""
        return f"saved {self.size} bytes as {self.file!r}{now}{there}"


class Page:
    """One body, on its way to where the options say.

    @ivar saved: what there is of it in the end.
    """

    def __init__(
        self,
        reactor: Any,
        options: Options,
        console: Console,
        response: RawResponse,
        name: str,
        kept: Kept,
    ) -> None:
        """
        @param name: of the file; C{-} is standard output.
        """
        self.saved: Saved | None = None
        self._reactor = reactor
        self._options = options
        self._console = console
        self._response = response
        self._name = name
        self._kept = kept
        self._exactly: int | None = None

    async def save(self, hint: Hint, explain: Explain) -> Saved:
        """Receive the body and save it.

        @param hint: tells a sentence to the user.
        @param explain: puts into words what went wrong with the server.
        @raises TroubleError: if it is not whole, or cannot be saved.
        """
        if self._kept.is_whole:
            return self._keep_part()
        try:
            decoder, source = self._decoder(hint)
            self._check_length()
            place = self._place(source)
        except (BadCoding, BodyTooLarge) as error:
            raise explain(error) from None
        except OSError as error:
            raise file_trouble(self._name, error) from None
        progress = self._progress()
        receiving = Receiving(
            self._reactor,
            self._console,
            self._response,
            place,
            decoder,
            self._options.max_size,
            progress.add,
            self._exactly,
        )
        self._response.deliver_to(receiving)
        if isinstance(place, NewFile) and not (self._options.trace or self._options.report):
            receiving.splice(place)  # nobody else has to see the bytes
        try:
            try:
                await receiving.done
            finally:
                progress.end()
        except (CancelledError, BrokenPipeError):
            if left := self._give_up(place, receiving):
                hint(left.sentence)
            raise
        except OSError as error:
            trouble = file_trouble(self._name, error)
        except (BadCoding, ResponseError) as error:
            trouble = explain(error)
        else:
            size = self._kept.start + receiving.saved
            self.saved = Saved(self._name, size, receiving.saved, True, receiving.replaced)
            return self.saved
        left = self._give_up(place, receiving)
        sentence = f"{trouble.sentence} {left.sentence}" if left else trouble.sentence
        raise TroubleError(trouble.trouble, sentence)

    def _keep_part(self) -> Saved:
        try:
            place = place_at(Path(self._name), self._kept.part, start=self._kept.start)
            replaced = place.keep()
        except OSError as error:
            raise file_trouble(self._name, error) from None
        self.saved = Saved(self._name, self._kept.start, 0, True, replaced)
        return self.saved

    def _give_up(self, place: Place, receiving: Receiving) -> Left | None:
        left = place.give_up()
        if left:
            self.saved = Saved(left.file, left.size, receiving.saved, False, False)
        elif self._name == "-":
            self.saved = Saved("-", receiving.saved, receiving.saved, False, False)
        return left

    def _check_length(self) -> None:
        """Take the length of a range from its head.

        @raises BodyTooLarge: if the page gets larger by it than it may.
        """
        if self._kept.start:
            self._exactly = range_length(self._response)
            most = self._options.max_size
            if most is not None and self._kept.start + self._exactly > most:
                raise BodyTooLarge(most)

    def _place(self, source: Source | None) -> Place:
        if self._name == "-":
            return OpenStream(self._console.out.fileno(), close=False)
        return place_at(
            Path(self._name),
            self._kept.part,
            start=self._kept.start,
            source=source,
            is_page=self._response.code < 400,
        )

    def _progress(self) -> Progress:
        console, length = self._console, self._response.length
        shown = console.err.is_terminal and not self._options.quiet
        if self._name == "-" and console.out.is_terminal:
            shown = False  # the page is seen to come
        total = None if length == UNKNOWN_LENGTH else cast(int, length)
        return Progress(self._reactor, console.err if shown else None, total, self._kept.start)

    def _decoder(self, hint: Hint) -> tuple[Decoder, Source | None]:
        """Return what undoes the coding; what the body is a part of, if it is saved as it comes."""
        source = Source.of(self._options.url, self._response)
        if self._options.raw:
            return Decoder([]), None
        if not self._options.decompress:
            return Decoder([]), source
        name = self._name
        if name == "-":
            name = name_from_target(parse_url(self._response.request.absoluteURI.decode()).target)
        codings, sentence = codings_to_undo(self._response.headers, name)
        if sentence:
            hint(f"{sentence}.")
        return Decoder(codings), None if codings else source
