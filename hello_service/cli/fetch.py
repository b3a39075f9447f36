"""The command C{hello-fetch}: prints the head of a page and saves its body."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TextIO, cast
from urllib.parse import quote, urljoin

from twisted.internet.defer import CancelledError
from twisted.web.iweb import UNKNOWN_LENGTH

from hello_service.cli.fetch_options import Options, parse_options
from hello_service.cli.fetch_trouble import fetch_trouble, file_trouble, status_trouble
from hello_service.cli.receiving import Progress, Receiving
from hello_service.cli.run import run
from hello_service.cli.saving import OpenStream, Place, name_from_target, place_at
from hello_service.cli.showing import Trace, escaped
from hello_service.cli.trouble import Trouble, TroubleError
from hello_service.fetch.agent import RawAgent
from hello_service.fetch.coding import BadCoding, Decoder, known_codings
from hello_service.fetch.exchange import Settings
from hello_service.fetch.headers import WireHeaders
from hello_service.fetch.request import PRINTABLE, parse_url
from hello_service.fetch.response import RawResponse
from hello_service.fetch.wire import Observer
from hello_service.values import BadValue

PROGRAM = "hello-fetch"

REDIRECT_LIMIT = 20
"""Redirects that are followed: what browsers do."""

_REDIRECTS = (301, 302, 303, 307, 308)
_OF_ONE_ORIGIN = (b"authorization", b"cookie", b"host", b"proxy-authorization")


@dataclass(frozen=True, eq=False)
class Console:
    """Where the command speaks.

    @ivar out: takes the head, or the body.
    @ivar err: takes all that is said.
    @ivar open_page: shows a URL to the user; returns whether it could.
    """

    out: BinaryIO
    err: TextIO
    out_is_terminal: bool
    err_is_terminal: bool
    open_page: Callable[[str], bool]


class Command:
    """One run of the command."""

    def __init__(self, reactor: Any, options: Options, console: Console) -> None:
        self._trace = Trace(console.err) if options.trace else None
        self._reactor = reactor
        self._options = options
        self._console = console
        self._url = options.url
        self._headers = options.headers
        self._agent = RawAgent(
            reactor,
            Settings(
                connect_timeout=options.timeout,
                read_timeout=options.timeout,
                max_size=options.max_size,
                family=options.family,
                keep_framing=options.raw,
                observer=self._trace or Observer(),
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
        if self._trace and self._trace.error:
            raise self._trace.error
        return 0

    async def _response(self) -> RawResponse:
        """Ask, and follow redirects if that is wanted; show each head."""
        for _ in range(REDIRECT_LIMIT):
            response = await self._ask()
            self._show_heads(response)
            locations = set(response.headers.getRawHeaders(b"location", []))
            if response.code not in _REDIRECTS or not locations:
                return response
            target = self._target(locations)
            if not self._options.follow:
                where = f"at {escaped(target.encode())}: --follow goes there"
                if not target:
                    where = "elsewhere, but Location in the head names none"
                self._hint(f"{response.code} means that the page is {where}.")
                return response
            response.abortConnection()
            if not target:
                where = escaped(b" and ".join(sorted(locations)))
                raise TroubleError(
                    Trouble.PROTOCOL, f"{response.code} leads to {where!r}, which is no page's URL."
                )
            self._keep_secrets(target)
            self._url = target
        raise TroubleError(
            Trouble.PROTOCOL,
            f"there are more than {REDIRECT_LIMIT} redirects: look for a circle in the heads.",
        )

    def _target(self, locations: set[bytes]) -> str:
        """Return the URL that a redirect leads to, or nothing if it leads to no page."""
        try:
            (location,) = locations
            target = urljoin(self._url, _reference(location))
            parse_url(target)
        except ValueError:
            return ""
        return target

    async def _ask(self) -> RawResponse:
        method = b"HEAD" if self._options.head else b"GET"
        try:
            asked = self._agent.request(method, self._url.encode(), WireHeaders(self._headers))
            return cast(RawResponse, await asked)
        except CancelledError:
            raise
        except Exception as error:
            raise self._trouble(error) from None

    def _trouble(self, error: Exception) -> TroubleError:
        return fetch_trouble(error, parse_url(self._url), self._options.timeout)

    def _keep_secrets(self, target: str) -> None:
        """Send no secret and no Host of the user's to another origin than it was meant for."""
        here, there = parse_url(self._url), parse_url(target)
        if (here.scheme, here.host, here.port) != (there.scheme, there.host, there.port):
            self._headers = [
                (name, value) for name, value in self._headers if name.lower() not in _OF_ONE_ORIGIN
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
            decoder = self._decoder(response)
            place = self._place(name)
        except BadCoding as error:
            response.abortConnection()
            raise self._trouble(error) from None
        except OSError as error:
            response.abortConnection()
            raise file_trouble(name, error) from None
        progress = self._progress(response)
        receiving = Receiving(
            self._reactor, response, place, decoder, self._options.max_size, progress.add
        )
        response.deliver_to(receiving)
        problem = None
        try:
            await receiving.done
        except Exception as error:
            problem = error
        progress.end()
        if problem:
            raise self._not_saved(problem, name, place.give_up())
        if name != "-":
            self._hint(f"saved {receiving.saved} bytes as {name!r}.")
        if self._options.open:
            self._open(Path(name).absolute().as_uri())

    def _place(self, name: str) -> Place:
        if name == "-":
            return OpenStream(self._console.out.fileno(), close=False)
        return place_at(Path(name))

    def _open(self, url: str) -> None:
        if not self._console.open_page(url):
            self._console.err.write(
                f"{PROGRAM}: there is no browser to open: open {url} yourself.\n"
            )

    def _not_saved(self, error: Exception, name: str, left: str) -> Exception:
        match error:
            case CancelledError() | BrokenPipeError():
                if left:
                    self._hint(left)
                return error
            case OSError():
                trouble = file_trouble(name, error)
            case _:
                trouble = self._trouble(error)
        return TroubleError(trouble.trouble, f"{trouble.sentence} {left}".strip())

    def _progress(self, response: RawResponse) -> Progress:
        console, options = self._console, self._options
        shown = console.err_is_terminal and not options.quiet
        if options.output == "-" and console.out_is_terminal:
            shown = False  # the page is seen to come
        total = None if response.length == UNKNOWN_LENGTH else cast(int, response.length)
        return Progress(self._reactor, console.err if shown else None, total)

    def _decoder(self, response: RawResponse) -> Decoder:
        if self._options.raw or not self._options.decompress:
            return Decoder([])
        header = b",".join(response.headers.getRawHeaders(b"content-encoding", []))
        codings = known_codings(header.decode("latin-1"))
        if codings is None:
            self._hint(f"the body is saved as {escaped(header)}: only gzip and deflate are undone.")
        return Decoder(codings or [])


def _reference(location: bytes) -> str:
    """Read what a server put into Location, which is to be ASCII and need not be."""
    try:
        text = location.decode()
    except UnicodeDecodeError:
        text = quote(location, safe=PRINTABLE)
    return text.replace(" ", "%20")


def _open_page(url: str) -> bool:
    import webbrowser

    return webbrowser.open(url)


async def fetch(options: Options, reactor: Any) -> int:
    """Do what the parsed options say, on the process's own console; return the exit status."""
    if options.output == "-" and sys.stdout is None:
        raise BadValue("Standard output is closed: leave -o - out, or give it somewhere to go.")
    with open(os.devnull, "w") as nowhere:  # what the shell has closed, by >&- for one
        out, err = sys.stdout or nowhere, sys.stderr or nowhere
        # Python's own may be unbuffered, and then take a part of what it is given.
        buffered = open(out.fileno(), "wb", closefd=False)  # noqa: SIM115
        console = Console(buffered, err, out.isatty(), err.isatty(), _open_page)
        return await Command(reactor, options, console).run()


def main() -> NoReturn:
    """Fetch a page, exit with 0 or what docs/fetching.md lists."""
    run(PROGRAM, partial(fetch, parse_options()))
