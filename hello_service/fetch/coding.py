"""Content codings undone, without I/O: a coded body's bytes in, the page's bytes out."""

import zlib
from collections.abc import Callable, Iterator

PIECE = 256 * 1024
"""Most bytes that come out at once, so that a few bytes cannot blow up in memory."""

CODINGS_LIMIT = 5
"""Codings one upon the other: each may make a thousand bytes of one."""

_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_DEFLATE = -zlib.MAX_WBITS


class BadCoding(Exception):
    """The body is not in the coding that its head names; the message is part of a sentence."""


class Inflate:
    """Undoes gzip (of any number of members) or deflate (RFC 9110, section 8.4.1).

    By the book deflate has the wrapper of zlib; many servers leave it out, so both are read.
    """

    def __init__(self, name: str) -> None:
        """
        @param name: C{gzip} or C{deflate}.
        """
        self._name = name
        self._inflater = zlib.decompressobj(_GZIP) if name == "gzip" else None
        self._begun = False
        self._done = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take some bytes, and give what they stand for in pieces of at most `PIECE`.

        Some are empty: between two pieces there is little to do.

        @raises BadCoding: if they stand for nothing.
        """
        while data and not self._done:
            if self._inflater is None:
                self._inflater = zlib.decompressobj(_ZLIB if data[0] & 0x8F == 8 else _DEFLATE)
            self._begun = True
            full = True
            while full:  # all of the input may be taken before all of the output is given
                try:
                    piece = self._inflater.decompress(data, PIECE)
                except zlib.error as error:
                    raise BadCoding(f"it is not {self._name}: {error}") from None
                yield piece
                data = self._inflater.unconsumed_tail
                full = len(piece) == PIECE and not self._inflater.eof
            if self._inflater.eof:
                data = self._next_member()

    def end(self) -> None:
        """Take the end of the body.

        @raises BadCoding: if it is in the middle of what is coded.
        """
        if self._begun and not self._done:
            raise BadCoding(f"its {self._name} ends too early")

    def _next_member(self) -> bytes:
        """Begin another member if one follows; whatever else does is no part of the page."""
        assert self._inflater
        rest = self._inflater.unused_data
        if self._name == "gzip" and rest.startswith(b"\x1f"):
            self._inflater = zlib.decompressobj(_GZIP)
            return rest
        self._done = self._name != "gzip" or bool(rest)
        self._begun = False
        return b""


class Decoder:
    """Undoes codings one after the other."""

    def __init__(self, codings: list[str]) -> None:
        """
        @param codings: as C{Content-Encoding} names them, the one applied first coming first.
        @raises BadCoding: if there are more than `CODINGS_LIMIT`.
        """
        if len(codings) > CODINGS_LIMIT:
            raise BadCoding(f"it is coded {len(codings)} times")
        self._steps = [Inflate(name) for name in reversed(codings)]

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take some bytes of the body, and give bytes of the page."""
        return _through([step.feed for step in self._steps], data)

    def end(self) -> None:
        """Take the end of the body."""
        for step in self._steps:
            step.end()


def _through(steps: list[Callable[[bytes], Iterator[bytes]]], data: bytes) -> Iterator[bytes]:
    if not steps or not data:
        yield data
        return
    for piece in steps[0](data):
        yield from _through(steps[1:], piece)


def known_codings(header: str) -> list[str] | None:
    """Read a C{Content-Encoding}; return C{None} if it names a coding that we cannot undo."""
    names = [name.strip().lower().removeprefix("x-") for name in header.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    return names if set(names) <= {"gzip", "deflate"} else None
