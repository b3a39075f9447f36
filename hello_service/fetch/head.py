"""The head of a response, without I/O: h11 judges the fields, the bytes are kept as they came."""

import re
from functools import lru_cache
from typing import NamedTuple

import h11

from hello_service.fetch.errors import MalformedResponse
from hello_service.fetch.request import TOKEN

STATUS_LINE_START = b"HTTP/1."

# A status of 600 to 999 is for the user of the response to take as a 5xx (RFC 9110, section 15).
_STATUS_LINE = re.compile(rb"HTTP/(1\.[0-9]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")
_FRAMING = (b"content-length", b"transfer-encoding")
_FOLD = re.compile(rb"\r\n[ \t]")
_BLANKS = b" \t"
_KNOWN_LENGTH = 128
_PROTOCOLS = (
    (b"\x15\x03", "it speaks TLS: ask for https://"),
    (b"\x00\x00", "it seems to speak HTTP/2 without being asked"),
    (b"PRI", "it sent the preface of HTTP/2"),
    (b"SSH-", "it speaks SSH"),
    (b"HTTP/", "it speaks another version than HTTP/1.0 and HTTP/1.1"),
    (b"<", "it may speak HTTP/0.9, which has no head"),
)


class Head(NamedTuple):
    """The head of a response.

    @ivar raw: its bytes as they came, from C{HTTP/} to the empty line, folded lines included.
    @ivar version: C{b"1.1"} or C{b"1.0"}, say.
    @ivar status: 100 to 999.
    @ivar fields: lower-case names and values, in order; repeated equal lengths become one, which
        stands at the end.
    """

    raw: bytes
    version: bytes
    status: int
    reason: bytes
    fields: list[tuple[bytes, bytes]]

    def first(self, name: bytes) -> bytes | None:
        """Return the value of the first field of this lower-case name."""
        for field, value in self.fields:
            if field == name:
                return value
        return None


def parse_head(raw: bytes) -> Head:
    """Parse a head that ends in an empty line (RFC 9112, sections 2 to 5).

    @raises MalformedResponse: if it breaks the grammar; lines have to end in CR LF.
    """
    status_line, *lines = raw[:-4].split(b"\r\n")
    match = _STATUS_LINE.fullmatch(status_line)
    if not match:
        raise MalformedResponse(f"this is no status line: {status_line[:80]!r}")
    version, status, reason = match.groups(b"")
    if _FOLD.search(raw):
        lines = unfolded(lines)
    return Head(raw, version, int(status), reason, judged_fields(lines))


def judged_fields(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Return the names, in lower case, and the values of header or trailer lines.

    @raises MalformedResponse: if h11 finds a name, a value or a framing field wrong.
    """
    fields = [_known_field(line) if len(line) <= _KNOWN_LENGTH else _field(line) for line in lines]
    framing = [field for field in fields if field[0] in _FRAMING]
    if len(framing) < 2:
        return fields
    return [field for field in fields if field[0] not in _FRAMING] + _judged(framing)


def unfolded(lines: list[bytes]) -> list[bytes]:
    """Join folded lines to those that they go on with, with a space (RFC 9112, section 5.2).

    @raises MalformedResponse: if none comes before one, or it could change the framing.
    """
    fields: list[list[bytes]] = []
    for line in lines:
        if line[:1] not in (b" ", b"\t"):
            fields.append([line])
            continue
        if not fields:
            raise MalformedResponse(f"a folded line comes before the first field: {line[:80]!r}")
        name = fields[-1][0].partition(b":")[0]
        if name.strip(_BLANKS).lower() in _FRAMING:
            raise MalformedResponse(f"{name.decode()} has a folded line: {line[:80]!r}")
        fields[-1].append(line.lstrip(_BLANKS))
    return [b" ".join([part.rstrip(_BLANKS) for part in parts]) for parts in fields]


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon:
        raise MalformedResponse(f"a header line has no colon: {line[:80]!r}")
    lowered, value = name.lower(), value.strip(_BLANKS)
    if lowered == b"transfer-encoding":  # empty elements of a list say nothing (RFC 9110, 5.6.1.2)
        elements = [element.strip(_BLANKS) for element in value.split(b",")]
        value = b", ".join(filter(None, elements))
    [(_, value)] = _judged([(name, value)])
    return lowered, value


# Servers say the same again and again, and h11 takes a third of the time of a small page.
_known_field = lru_cache(1024)(_field)


def _judged(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    try:
        return h11.Response(headers=fields, status_code=200).headers.raw_items()
    except h11.LocalProtocolError:
        raise MalformedResponse(_fault(fields)) from None


def _fault(fields: list[tuple[bytes, bytes]]) -> str:
    """Say what h11 refuses: one field, or several that frame the body."""
    if len(fields) > 1:
        lengths = {value.decode() for name, value in fields if name == b"content-length"}
        if len(lengths) > 1:
            return f"it has two lengths, {' and '.join(sorted(lengths)[:2])}"
        return "it has more than one Transfer-Encoding"
    name, value = fields[0][0], fields[0][1][:80]
    match name.lower():
        case b"content-length":
            return f"this is no Content-Length: {value!r}"
        case b"transfer-encoding":
            return f"only chunked can be read, and its Transfer-Encoding is {value!r}"
    if not TOKEN.fullmatch(name):
        return f"this is no header name: {name[:80]!r}"
    return f"the value of {name.decode()} contains a control character: {value!r}"


def stranger(data: bytes) -> MalformedResponse:
    """Say who the peer may be that did not begin with a status line."""
    guess = next((guess for start, guess in _PROTOCOLS if data.startswith(start)), "")
    begin = f"it does not begin with a status line but with {data[:24]!r}"
    return MalformedResponse(f"{begin}; {guess}" if guess else begin)
