"""Undoes content codings, without I/O: a coded body's bytes in, the page's bytes out."""

import zlib
from collections.abc import Callable, Iterator
from typing import Any

PIECE = 256 * 1024
"""The most bytes that come out at once, so that a few bytes cannot blow up in memory."""

CODINGS_LIMIT = 5
"""Codings on top of each other: each may make a thousand bytes of one."""

_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_DEFLATE = -zlib.MAX_WBITS
_GZIP_START = b"\x1f\x8b\x08"


class BadCoding(Exception):
    """The body is not in the coding that its head names, or damaged, or cut short.

    The message is the start of a sentence about the body.
    """


class Inflate:
    """Undoes gzip (of any number of members) or deflate (RFC 9110, section 8.4.1).

    The standard puts deflate into the wrapper of zlib; many servers leave that out, so both are
    read.
    """

    def __init__(self, name: str) -> None:
        """
        @param name: C{gzip} or C{deflate}.
        """
        self._name = name
        self._inflater = zlib.decompressobj(_GZIP) if name == "gzip" else None
        self._start = b""
        self._given = False
        self._begun = False
        self._done = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take some bytes, and give what they stand for in pieces of at most `PIECE`.

        Pieces may be empty, so that the caller gets to do other work between many small members.

        @raises BadCoding: if they are not in the coding, after what stands before the fault.
        """
        while data and not self._done:
            if self._inflater is None:
                self._inflater = zlib.decompressobj(_ZLIB if data[0] & 0x8F == 8 else _DEFLATE)
            self._begun = True
            self._start = (self._start + data[:3])[:3]
            yield from self._pieces(self._inflater, data)
            data = self._next_member() if self._inflater.eof else b""

    def _pieces(self, inflater: Any, data: bytes) -> Iterator[bytes]:
        full = True
        while full:  # all of the input may be taken before all of the output is given
            before = inflater.copy()
            try:
                piece = inflater.decompress(data, PIECE)
            except zlib.error:
                piece = _sound_part(before, data)
                self._given = self._given or bool(piece)
                yield piece
                raise BadCoding(self._fault()) from None
            self._given = self._given or bool(piece)
            yield piece
            data = inflater.unconsumed_tail
            full = len(piece) == PIECE

    def end(self) -> None:
        """Take the end of the body.

        @raises BadCoding: if the coding goes on.
        """
        if self._begun:
            raise BadCoding(f"its {self._name} ends too early")

    def _next_member(self) -> bytes:
        """Begin another member if one follows; other bytes there are no part of the page."""
        assert self._inflater
        rest = self._inflater.unused_data
        if self._name == "gzip" and rest.startswith(b"\x1f"):
            self._inflater = zlib.decompressobj(_GZIP)
            return rest
        self._done = self._name != "gzip" or bool(rest)
        self._begun = False
        return b""

    def _fault(self) -> str:
        begun = self._given or (self._name == "gzip" and self._start == _GZIP_START)
        return f"its {self._name} is damaged" if begun else f"it is not {self._name}"


def _sound_part(inflater: Any, data: bytes) -> bytes:
    """Return what damaged bytes stand for up to the fault, of which zlib gives nothing."""
    pieces = []
    step = len(data)
    while step:
        before = inflater.copy()
        try:
            pieces.append(inflater.decompress(data[:step]))
            data = data[step:]
        except zlib.error:
            inflater = before
            step //= 2
    return b"".join(pieces)


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

    @property
    def is_idle(self) -> bool:
        """Whether the page is the body as it comes."""
        return not self._steps

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
