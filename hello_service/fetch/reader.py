"""Reads an HTTP/1.1 response without I/O: bytes from the wire in, the body's bytes out.

h11 judges what the head says. This module keeps the order of the parts, limits everything that it
holds, and counts the bytes of a body instead of parsing them.
"""

import re
from enum import Enum

from hello_service.fetch.errors import (
    BodyTooLarge,
    ChunkLineTooLong,
    CutShort,
    HeadTooLong,
    MalformedResponse,
    PeerReset,
    ResponseError,
    TooManyInterim,
    TrailersTooLong,
)
from hello_service.fetch.head import (
    STATUS_LINE_START,
    Head,
    judged_fields,
    parse_head,
    stranger,
    unfolded,
)

HEAD_LIMIT = 64 * 1024
"""Bytes of one head, interim ones too: eight times what common servers can send by default."""

INTERIM_LIMIT = 32
"""Interim (1xx) heads before the final one: more than any server has reason to send."""

CHUNK_LINE_LIMIT = 4 * 1024
"""Bytes of one chunk-size line: its extensions are thrown away, so long ones are an attack."""

TRAILERS_LIMIT = HEAD_LIMIT
"""Bytes of the trailer section: it is held like a head."""

_NO_BODY = (204, 304)
_BARE_LF = re.compile(rb"(?<!\r)\n")
# Sixteen digits are all that 64 bits hold.
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_CHUNK_LINE_START = re.compile(_CHUNK_LINE.pattern + rb"\r?")


class Ending(Enum):
    """How a body ended."""

    LENGTH = "by length"
    """As long as the head said, 0 where it has to be empty (RFC 9112, section 6.3)."""
    LAST_CHUNK = "by last chunk"
    """The chunk of size 0 and the trailers came (RFC 9112, section 7.1)."""
    CLOSE_AFTER_LAST_CHUNK = "by last chunk, closed before its empty line"
    """The chunk of size 0 came: the body is whole (RFC 9112, section 8), maybe not the trailers."""
    CLOSE = "by close"
    """The peer closed the connection, and nothing but this delimits the body."""
    CUT_SHORT = "cut short"
    """The peer closed the connection before the end that it had announced."""
    RESET = "reset"
    """The connection broke before the end."""


class ResponseReader:
    """Reads one response; nothing that it holds grows with the body.

    @ivar head: the final head, once it is whole.
    @ivar interim: the interim (1xx) heads, in order.
    @ivar length: the body's length if the head gives it, else C{None}; 0 before the head.
    @ivar trailers: the trailer section as it came, with its empty line if that came.
    @ivar received: bytes of the body so far, without the framing of chunks.
    @ivar excess: bytes that came after the end of the response.
    @ivar ending: how the body ended, once it did.
    @ivar error: why the reader stopped, if it did; what it had read stays.
    """

    def __init__(
        self, method: bytes = b"GET", max_size: int | None = None, keep_framing: bool = False
    ) -> None:
        """
        @param method: the request's; the answer to C{HEAD} has no body.
        @param max_size: the most bytes that the body may have.
        @param keep_framing: return a chunked body as it came, chunk sizes and trailers included.
        """
        self.head: Head | None = None
        self.interim: list[Head] = []
        self.length: int | None = 0
        self.trailers = b""
        self.received = 0
        self.excess = 0
        self.ending: Ending | None = None
        self.error: ResponseError | None = None
        self._method = method
        self._max_size = max_size
        self._keep_framing = keep_framing
        self._chunked = False
        self._held = b""
        self._left = 0
        self._footer = b""
        self._last_chunk = False

    @property
    def finished(self) -> bool:
        """Whether nothing more is read."""
        return self.ending is not None or self.error is not None

    @property
    def partial_head(self) -> bytes:
        """The bytes so far of a head that is not whole, or that was refused."""
        return b"" if self.head else self._held

    @property
    def rest(self) -> bytes:
        """Bytes of a chunked body that stand where a chunk should, and make none.

        If the reader refused them, they are all that it got; they are at most one read and
        `CHUNK_LINE_LIMIT`. Before the first chunk they are what might still become its size.
        """
        if self.head is None or self._keep_framing or self._last_chunk:
            return b""
        refused = self.error is not None and self.ending is None
        if self._footer and not refused:
            return b""
        return self._held.removeprefix(self._footer)

    @property
    def position(self) -> tuple[str, int, int | None]:
        """How far it has come: a part of the response, the bytes of it so far and in all."""
        if rest := self.rest:
            return "before the first chunk", len(rest), None
        if self.head:
            return "inside the body", self.received, self.length
        return "inside the head" if self._held else "before the response", len(self._held), None

    @property
    def skippable(self) -> int:
        """How many bytes may go another way, if C{received} counts them.

        The last byte of the body may not: with it come its end and what follows that.
        """
        if self.head is None or self.length is None or self.finished:
            return 0
        return self.length - self.received - 1

    def feed(self, data: bytes) -> bytes:
        """Take bytes from the wire; return those of the body among them. Never raises."""
        try:
            if self.head is None and not self.error:
                data = self._read_head(data)
            if self.finished or not data:
                self.excess += len(data)
                return b""
            if self._chunked:
                return self._read_chunked(data)
            return self._read_counted(data)
        except ResponseError as error:
            self.error = error
            return b""

    def end(self, clean: bool = True) -> None:
        """Take the end of the stream, C{clean} unless the connection broke. Never raises."""
        if self.finished:
            return
        if self.head and self.length is None and not self._chunked and clean:
            self.ending = Ending.CLOSE
            return
        if self._last_chunk and clean:
            self._end_in_trailers()
            return
        self.ending = Ending.CUT_SHORT if clean else Ending.RESET
        self.error = (CutShort if clean else PeerReset)(*self.position)

    def _end_in_trailers(self) -> None:
        try:
            judged_fields(unfolded(self._held.split(b"\r\n")[:-1]))
        except ResponseError as error:
            self.error = error
        else:
            self.ending = Ending.CLOSE_AFTER_LAST_CHUNK
            self.trailers = self._held

    def _read_head(self, data: bytes) -> bytes:
        """Read heads up to the final one; return what follows it."""
        while self.head is None and data:
            searched = max(len(self._held) - 3, 0)
            data = self._held + data
            self._held = data
            if not data.startswith(STATUS_LINE_START[: len(data)]):
                raise stranger(data)
            end = data.find(b"\r\n\r\n", searched) + 4
            if end < 4 or end > HEAD_LIMIT:
                self._refuse_bare_lf(data[:HEAD_LIMIT], max(searched - 1, 0))
                if end >= 4 or len(data) > HEAD_LIMIT:
                    raise HeadTooLong(HEAD_LIMIT)
                return b""
            self._held = data[:end]
            self._accept(parse_head(self._held))
            self._held = b""
            data = data[end:]
        return data

    def _refuse_bare_lf(self, data: bytes, searched: int = 0) -> None:
        """Refuse at once what can never become whole, since its lines end in LF alone."""
        if bare := _BARE_LF.search(data, searched):
            line = data[: bare.start()].rpartition(b"\n")[2]
            raise MalformedResponse(f"a line ends in LF without CR: {line[:80]!r}")

    def _accept(self, head: Head) -> None:
        if head.status == 101:
            raise MalformedResponse("it switches protocols (101), which was not asked for")
        if head.status < 200:
            if len(self.interim) == INTERIM_LIMIT:
                raise TooManyInterim(INTERIM_LIMIT)
            self.interim.append(head)
            return
        length = head.first(b"content-length")
        self._chunked = head.first(b"transfer-encoding") is not None
        if self._chunked and length is not None:  # RFC 9112, section 6.3, item 3
            raise MalformedResponse("it has both Transfer-Encoding and Content-Length")
        if self._chunked and head.version == b"1.0":  # RFC 9112, section 6.1
            raise MalformedResponse("it has Transfer-Encoding, which HTTP/1.0 does not know")
        self.head = head
        self._held = b""
        if self._method == b"HEAD" or head.status in _NO_BODY:
            self._chunked = False
            self.ending = Ending.LENGTH
            return
        self.length = None if length is None else int(length)
        if self.length == 0:
            self.ending = Ending.LENGTH
        elif self.length and self._max_size is not None and self.length > self._max_size:
            raise BodyTooLarge(self._max_size)

    def _count(self, data: bytes) -> bytes:
        """Count bytes of the body; return those that are within the caller's limit."""
        self.received += len(data)
        if self._max_size is not None and self.received > self._max_size:
            self.error = BodyTooLarge(self._max_size)
            data = data[: self._max_size - self.received]
            self.received = self._max_size
        return data

    def _read_counted(self, data: bytes) -> bytes:
        if self.length is None:
            return self._count(data)
        left = self.length - self.received
        if len(data) >= left:
            self.ending = Ending.LENGTH
            self.excess = len(data) - left
            data = data[:left]
        self.received += len(data)
        return data

    def _read_chunked(self, data: bytes) -> bytes:
        held = len(self._held)
        data = self._held + data
        self._held = b""
        pieces: list[bytes] = []
        at = 0
        try:
            while at < len(data) and not self.finished:
                if self._left:
                    piece = data[at : at + self._left]
                    at += len(piece)
                    self._left -= len(piece)
                    self._footer = b"\r\n"
                    pieces.append(self._count(piece))
                else:
                    read = self._read_trailers if self._last_chunk else self._read_chunk_line
                    step = read(data, at)
                    if not step:
                        self._held = data[at:]
                        at = len(data)
                    at += step
        except ResponseError as error:
            self.error = error
            self._held = data[at:]
            at = len(data)
        if self.ending:
            self.excess = len(data) - at
        if self._keep_framing:
            return data[held:at]
        return b"".join(pieces)

    def _read_chunk_line(self, data: bytes, at: int) -> int:
        """Read what stands between two chunks; return its size, or 0 if it is not whole.

        It is refused at the first byte that no such line may have.
        """
        footer = len(self._footer)
        if not self._footer.startswith(data[at : at + footer]):
            raise MalformedResponse(f"a chunk does not end at its size: {data[at : at + 20]!r}")
        at += footer
        if at >= len(data):
            return 0
        found = data.find(b"\r\n", at)
        whole = found >= 0
        end = found if whole else len(data)
        if not _CHUNK_LINE_START.fullmatch(data, at, min(end, at + CHUNK_LINE_LIMIT)):
            raise self._no_chunk_size(data[at:end])
        if end - at - (not whole and data.endswith(b"\r")) > CHUNK_LINE_LIMIT:
            raise ChunkLineTooLong(CHUNK_LINE_LIMIT)
        if not whole:
            return 0
        match = _CHUNK_LINE.fullmatch(data, at, end)
        if not match:
            raise self._no_chunk_size(data[at:end])
        self._left = int(match[1], 16)
        self._last_chunk = not self._left
        return end + 2 - at + footer

    def _no_chunk_size(self, line: bytes) -> MalformedResponse:
        begin = repr(line[:80]) if line else "an empty line"
        if self._footer:
            return MalformedResponse(f"this is no chunk size: {begin}")
        return MalformedResponse(
            f"its head says that the body comes in chunks, but it begins with {begin}"
        )

    def _read_trailers(self, data: bytes, at: int) -> int:
        """Read the trailer section; return its size, or 0 if it is not whole."""
        if data.startswith(b"\r\n", at):
            self.ending = Ending.LAST_CHUNK
            self.trailers = b"\r\n"
            return 2
        found = data.find(b"\r\n\r\n", at)
        end = (len(data) if found < 0 else found + 4) - at
        self._refuse_bare_lf(data[at : at + min(end, TRAILERS_LIMIT)])
        if end > TRAILERS_LIMIT:
            raise TrailersTooLong(TRAILERS_LIMIT)
        if found < 0:
            return 0
        self.trailers = data[at : at + end]
        judged_fields(unfolded(self.trailers[:-4].split(b"\r\n")))
        self.ending = Ending.LAST_CHUNK
        return end
