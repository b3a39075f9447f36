"""Goes on where an earlier try stopped, if C{--continue} says so and the server can do it."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from hello_service.cli.fetch.options import Options
from hello_service.cli.fetch.part import Part
from hello_service.cli.fetch.ranges import Next, headers_for, judge
from hello_service.cli.fetch.saving import kept_part
from hello_service.cli.fetch.source import Source, digest
from hello_service.cli.fetch.trouble import file_trouble
from hello_service.cli.fetch.unpacking import codings_to_undo
from hello_service.fetch.response import RawResponse

Ask = Callable[[list[tuple[bytes, bytes]]], Awaitable[RawResponse]]
"""Asks for the page with these headers besides."""


class Kept:
    """What an earlier try has kept of a page, and what becomes of it.

    @ivar part: it, locked, if there is something.
    @ivar start: how many bytes of it the answer goes on after; 0 if that begins anew.
    @ivar is_whole: whether nothing is missing.
    """

    def __init__(self, options: Options, name: str, tell: Callable[[str], None]) -> None:
        """
        @param name: of the page's file.
        @param tell: says a sentence to the user.
        """
        self.part: Part | None = None
        self.start = 0
        self.is_whole = False
        self._options = options
        self._name = name
        self._tell = tell

    async def response(self, ask: Ask) -> RawResponse:
        """Ask for the rest of the page; if the answer has not that, for all of it.

        @raises TroubleError: if there is no answer, or another process writes the part.
        """
        source = self._source() if self._options.resume else None
        if not (source and self.part):
            return await ask([])
        size = self.part.size
        response = await ask(headers_for(source, size))
        verdict, why = judge(source, size, response)
        if verdict is Next.APPEND and self._packed(response):
            verdict, why = Next.AGAIN, "the server sends a part of what is packed"
        if why:
            self._tell(f"{why}: it comes from the start.")
        self.is_whole = verdict is Next.DONE
        if verdict in (Next.APPEND, Next.DONE):
            self.start = size
        if verdict is not Next.AGAIN:
            return response
        response.abortConnection()
        return await ask([])

    def _packed(self, response: RawResponse) -> bool:
        """Whether an answer would have to be unpacked, which takes all of it."""
        codings, _ = codings_to_undo(response.headers, self._name)
        return self._options.decompress and bool(codings)

    def _source(self) -> Source | None:
        """Lock the part; return what it is a part of, if that can be gone on with."""
        try:
            self.part = kept_part(Path(self._name))
        except OSError as error:
            raise file_trouble(self._name, error) from None
        if not self.part:
            return None
        source = self.part.source
        name = str(self.part.path)
        if not source:
            self._tell(f"what {name!r} is a part of is not noted: the page comes from the start.")
        elif source.url != digest(self._options.url):
            self._tell(f"{name!r} is a part of another URL's page: this one comes from the start.")
            return None
        return source

    def close(self) -> None:
        """Let others write the part."""
        if self.part:
            self.part.close()
