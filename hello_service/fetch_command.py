"""The command C{hello-fetch}: prints the head of a page and saves its body."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TextIO, cast
from urllib.parse import urljoin

from twisted.internet.defer import CancelledError
from twisted.web.iweb import UNKNOWN_LENGTH

from hello_service.coding import Decoder, known_codings
from hello_service.command import run
from hello_service.exchange import Settings
from hello_service.fetch import RawAgent
from hello_service.fetch_options import Options, parse_options
from hello_service.fetch_trouble import fetch_trouble, file_trouble, status_trouble
from hello_service.headers import WireHeaders
from hello_service.raw_response import RawResponse
from hello_service.receiving import Progress, Receiving
from hello_service.request import InvalidRequest, parse_url
from hello_service.saving import OpenStream, Place, name_from_target, place_at
from hello_service.showing import Trace, escaped
from hello_service.trouble import Trouble, TroubleError
from hello_service.wire import Observer

PROGRAM = "hello-fetch"

REDIRECT_LIMIT = 20
"""Redirects that are followed: what browsers do."""

_REDIRECTS = (301, 302, 303, 307, 308)
_SECRETS = (b"authorization", b"cookie", b"proxy-authorization")


@dataclass(frozen=True)
class Console:
    """Where the command speaks.

    @ivar out: takes the head, or the body.
    @ivar err: takes all that is said.
    @ivar open_page: shows a URL to the user.
    """

    out: BinaryIO
    err: TextIO
    out_is_terminal: bool
    err_is_terminal: bool
    open_page: Callable[[str], object]


class Command:
    """One run of the command."""

    def __init__(self, reactor: Any, options: Options, console: Console) -> None:
        self._reactor = reactor
        self._options = options
        self._console = console
        self._headers = options.headers
        self._agent = RawAgent(
            reactor,
            Settings(
                connect_timeout=options.timeout,
                read_timeout=options.timeout,
                max_size=options.max_size,
                family=options.family,
                keep_framing=options.raw,
                observer=Trace(console.err) if options.trace else Observer(),
            ),
        )

    async def run(self) -> int:
        """Do it; return the exit status."""
        response = await self._response()
        if self._options.fail and response.code >= 400:
            response.abortConnection()
            raise status_trouble(response)
        if self._options.head:
            response.abortConnection()
        else:
            await self._save(response)
        return 0

    async def _response(self) -> RawResponse:
        """Ask, and follow redirects if that is wanted; show each head."""
        url = self._options.url
        for _ in range(REDIRECT_LIMIT):
            response = await self._ask(url)
            self._show_heads(response)
            location = response.headers.getRawHeaders(b"location")
            if response.code not in _REDIRECTS or not location:
                return response
            target = urljoin(url, location[0].decode(errors="replace"))
            if not self._options.follow:
                self._hint(
                    f"{response.code} means that the page is at {escaped(target.encode())}:"
                    " --follow goes there."
                )
                return response
            response.abortConnection()
            self._keep_secrets(url, target)
            url = target
        raise TroubleError(
            Trouble.PROTOCOL,
            f"there are more than {REDIRECT_LIMIT} redirects: look for a circle in the heads.",
        )

    async def _ask(self, url: str) -> RawResponse:
        method = b"HEAD" if self._options.head else b"GET"
        try:
            asked = self._agent.request(method, url.encode(), WireHeaders(self._headers))
            return cast(RawResponse, await asked)
        except CancelledError:
            raise
        except Exception as error:
            raise self._trouble(error, url) from None

    def _trouble(self, error: Exception, url: str) -> TroubleError:
        try:
            place = parse_url(url).authority
        except InvalidRequest:
            place = escaped(url.encode())
        return fetch_trouble(error, place, self._options.timeout)

    def _keep_secrets(self, url: str, target: str) -> None:
        """Send no secret of the user's to another origin than it was meant for."""
        try:
            here, there = parse_url(url), parse_url(target)
        except InvalidRequest:
            return
        if (here.scheme, here.host, here.port) != (there.scheme, there.host, there.port):
            self._headers = [
                (name, value) for name, value in self._headers if name.lower() not in _SECRETS
            ]

    def _show_heads(self, response: RawResponse) -> None:
        console = self._console
        for head in (*response.wire.interim, response.wire.head):
            if self._options.output == "-":
                console.err.write(escaped(head))
            else:
                console.out.write(escaped(head).encode() if console.out_is_terminal else head)
        console.out.flush()

    def _hint(self, sentence: str) -> None:
        if not self._options.quiet:
            self._console.err.write(f"{PROGRAM}: {sentence}\n")

    async def _save(self, response: RawResponse) -> None:
        name = self._options.output or name_from_target(self._options.place.target)
        try:
            place = self._place(name)
        except OSError as error:
            response.abortConnection()
            raise file_trouble(name, error) from None
        progress = self._progress(response)
        receiving = Receiving(
            response,
            place,
            self._decoder(response),
            self._options.max_size,
            progress.add,
        )
        response.deliver_to(receiving)
        try:
            await receiving.done
        except Exception as error:
            raise self._not_saved(error, name, place.give_up()) from None
        finally:
            progress.end()
        if name != "-":
            self._hint(f"saved {receiving.saved} bytes as {name!r}.")
        if self._options.open:
            self._console.open_page(Path(name).absolute().as_uri())

    def _place(self, name: str) -> Place:
        if name == "-":
            return OpenStream(self._console.out, close=False)
        return place_at(Path(name))

    def _not_saved(self, error: Exception, name: str, left: str) -> Exception:
        match error:
            case CancelledError() | BrokenPipeError():
                if left:
                    self._hint(left)
                return error
            case OSError():
                trouble = file_trouble(name, error)
            case _:
                trouble = self._trouble(error, self._options.url)
        return TroubleError(trouble.trouble, f"{trouble.sentence} {left}".strip())

    def _progress(self, response: RawResponse) -> Progress:
        shown = self._console.err_is_terminal and not self._options.quiet
        total = None if response.length == UNKNOWN_LENGTH else cast(int, response.length)
        return Progress(self._reactor, self._console.err if shown else None, total)

    def _decoder(self, response: RawResponse) -> Decoder:
        if self._options.raw or not self._options.decompress:
            return Decoder([])
        header = b",".join(response.headers.getRawHeaders(b"content-encoding", []))
        codings = known_codings(header.decode("latin-1"))
        if codings is None:
            self._hint(f"the body is saved as {escaped(header)}: only gzip and deflate are undone.")
        return Decoder(codings or [])


def _open_page(url: str) -> None:
    import webbrowser

    webbrowser.open(url)


async def fetch(options: Options, reactor: Any) -> int:
    """Do what the parsed options say, on the process's own console; return the exit status."""
    out, err = sys.stdout, sys.stderr
    console = Console(out.buffer, err, out.isatty(), err.isatty(), _open_page)
    return await Command(reactor, options, console).run()


def main() -> NoReturn:
    """Fetch a page, exit with 0 or what docs/fetching.md lists."""
    run(PROGRAM, partial(fetch, parse_options()))
