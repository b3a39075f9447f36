"""The body of a response, saved as a page."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import CancelledError
from twisted.web.iweb import UNKNOWN_LENGTH

from hello_service.cli.console import Console
from hello_service.cli.fetch.options import Options
from hello_service.cli.fetch.progress import Progress
from hello_service.cli.fetch.receiving import Receiving
from hello_service.cli.fetch.saving import Place, name_from_target, place_at
from hello_service.cli.fetch.trouble import file_trouble
from hello_service.cli.fetch.unpacking import codings_to_undo
from hello_service.cli.open_stream import OpenStream
from hello_service.cli.trouble import TroubleError
from hello_service.fetch.coding import BadCoding, Decoder
from hello_service.fetch.errors import ResponseError
from hello_service.fetch.request import parse_url
from hello_service.fetch.response import RawResponse

Hint = Callable[[str], None]
Explain = Callable[[Exception], TroubleError]


class Page:
    """One body, on its way to where the options say.

    @param name: of the file; C{-} is standard output.
    """

    def __init__(
        self, reactor: Any, options: Options, console: Console, response: RawResponse, name: str
    ) -> None:
        self._reactor = reactor
        self._options = options
        self._console = console
        self._response = response
        self._name = name

    async def save(self, hint: Hint, explain: Explain) -> int:
        """Receive the body and save it; return how many bytes it has as saved.

        @param hint: tells a sentence to the user.
        @param explain: puts into words what went wrong with the server.
        @raises TroubleError: if it is not whole, or cannot be saved.
        """
        try:
            decoder = self._decoder(hint)
            place = self._place()
        except BadCoding as error:
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
        )
        self._response.deliver_to(receiving)
        try:
            try:
                await receiving.done
            finally:
                progress.end()
        except (CancelledError, BrokenPipeError):
            if left := place.give_up():
                hint(left)
            raise
        except OSError as error:
            trouble = file_trouble(self._name, error)
        except (BadCoding, ResponseError) as error:
            trouble = explain(error)
        else:
            return receiving.saved
        raise TroubleError(trouble.trouble, f"{trouble.sentence} {place.give_up()}".strip())

    def _place(self) -> Place:
        if self._name == "-":
            return OpenStream(self._console.out.fileno(), close=False)
        return place_at(Path(self._name))

    def _progress(self) -> Progress:
        console, length = self._console, self._response.length
        shown = console.err.is_terminal and not self._options.quiet
        if self._name == "-" and console.out.is_terminal:
            shown = False  # the page is seen to come
        total = None if length == UNKNOWN_LENGTH else cast(int, length)
        return Progress(self._reactor, console.err if shown else None, total)

    def _decoder(self, hint: Hint) -> Decoder:
        if self._options.raw or not self._options.decompress:
            return Decoder([])
        name = self._name
        if name == "-":
            name = name_from_target(parse_url(self._response.request.absoluteURI.decode()).target)
        codings, sentence = codings_to_undo(self._response.headers, name)
        if sentence:
            hint(f"{sentence}.")
        return Decoder(codings)
