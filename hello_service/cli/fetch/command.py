"""The command C{hello-fetch}: prints the head of a page and saves its body."""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from twisted.internet.defer import Deferred, TimeoutError
from twisted.web.iweb import IAgent

from hello_service.cli.console import Console
from hello_service.cli.escaping import escaped
from hello_service.cli.fetch.asking import Asking
from hello_service.cli.fetch.connecting import INSECURE, Ways, ignored_proxy, settings_of
from hello_service.cli.fetch.continuing import Kept
from hello_service.cli.fetch.no_page import why_no_page
from hello_service.cli.fetch.options import Options, parse_options
from hello_service.cli.fetch.page import Page
from hello_service.cli.fetch.redirects import NotFollowed, is_redirect
from hello_service.cli.fetch.saving import name_from_target
from hello_service.cli.fetch.trace import SHOWN, Trace
from hello_service.cli.fetch.trouble import excess, status_trouble, time_trouble
from hello_service.cli.run import run
from hello_service.cli.trouble import Trouble, TroubleError
from hello_service.fetch.agent import RawAgent
from hello_service.fetch.response import RawResponse
from hello_service.fetch.wire import Observer
from hello_service.values import BadValue

if TYPE_CHECKING:
    from hello_service.cli.fetch.report import Report

PROGRAM = "hello-fetch"

OpenPage = Callable[[str], bool]
"""Shows a URL to the user; returns whether it could."""


class Command:
    """One run of the command."""

    def __init__(
        self, reactor: Any, options: Options, console: Console, open_page: OpenPage
    ) -> None:
        self._reactor = reactor
        self._options = options
        self._console = console
        self._open_page = open_page
        self._name = options.output or name_from_target(options.place.target)
        shown = sys.maxsize if options.trace_all else SHOWN
        self._trace = Trace(console.err, shown) if options.trace else None
        ways = Ways(options, self._hint)
        observer = self._trace or Observer()
        self._report: Report | None = None
        if options.report:
            # What only a report needs takes time to import, which others need not pay.
            from hello_service.cli.fetch import report

            self._report = report.Report(
                options.url, report.destination(reactor, console, options.report)
            )
            observer = report.Both(observer, self._report)
        agent: IAgent = RawAgent(reactor, settings_of(options, ways, observer))
        if self._report:
            agent = self._report.agent(agent)
        self._asking = Asking(reactor, agent, options, console, ways)
        self._kept = Kept(options, self._name, self._hint)

    async def run(self) -> int:
        """Do it, and report it if that is wanted; return the exit status."""
        try:
            return await (self._report.of(self._in_time()) if self._report else self._in_time())
        finally:
            self._kept.close()

    async def _in_time(self) -> int:
        running = Deferred.fromCoroutine(self._run())
        seconds = self._options.max_time
        if seconds is None:
            return await running
        try:
            return await running.addTimeout(seconds, self._reactor)
        except TimeoutError:
            raise time_trouble(self._asking.url, seconds) from None

    async def _run(self) -> int:
        if self._options.insecure:
            self._say(INSECURE)
        if ignored := ignored_proxy(self._options.place):
            self._hint(ignored)
        try:
            response = await self._kept.response(self._asking.response)
        except NotFollowed as error:
            raise TroubleError(Trouble.PROTOCOL, f"{error}; {self._untouched()}.") from None
        try:
            await self._take(response)
        finally:
            response.abortConnection()
        await self._console.drained()
        return 0

    async def _take(self, response: RawResponse) -> None:
        """Do with the response what its head and the options call for."""
        options = self._options
        if self._kept.is_whole:
            await self._save(response)
            return
        no_page = why_no_page(self._asking.url, response)
        if no_page and not options.head:
            no_page += f"; {self._untouched()}"
        why = no_page or self._asking.status_hint(response)
        if options.fail and (response.code >= 400 or is_redirect(response.code)):
            raise status_trouble(response, why)
        if no_page:
            tell = self._say if is_redirect(response.code) else self._hint
            tell(f"{no_page}.")
        if not options.head and (not no_page or self._name == "-"):
            await self._save(response)
        if why and not no_page:
            self._hint(f"{why}.")
        if more := excess(response):
            self._hint(f"{more}.")
            if self._trace:
                self._trace.note(more)

    def _untouched(self) -> str:
        if self._name != "-" and os.path.lexists(self._name):
            return f"{self._name!r} is left as it was"
        return "nothing is saved"

    async def _save(self, response: RawResponse) -> None:
        page = Page(self._reactor, self._options, self._console, response, self._name, self._kept)
        try:
            saved = await page.save(self._hint, self._asking.trouble)
        finally:
            if self._report:
                self._report.saved = page.saved
        if self._name != "-":
            self._hint(f"{saved}.")
        if self._options.open:
            self._open(Path(self._name).absolute().as_uri())

    def _open(self, url: str) -> None:
        if not self._open_page(url):
            self._say(f"there is no browser to open: open {url} yourself.")

    def _hint(self, sentence: str) -> None:
        if not self._options.quiet:
            self._say(sentence)

    def _say(self, sentence: str) -> None:
        self._console.err.write(escaped(f"{PROGRAM}: {sentence}\n"))


def _open_page(url: str) -> bool:
    import webbrowser

    return webbrowser.open(url)


async def fetch(options: Options, reactor: Any, console: Console) -> int:
    """Do what the parsed options say; return the exit status."""
    if console.out.is_closed and "-" in (options.output, options.report):
        what = "-o -" if options.output == "-" else "--report json"
        raise BadValue(f"Standard output is closed: leave {what} out, or give it somewhere to go.")
    return await Command(reactor, options, console, _open_page).run()


def main() -> NoReturn:
    """Fetch a page, exit with 0 or what docs/fetching.md lists."""
    run(PROGRAM, partial(fetch, parse_options()))
