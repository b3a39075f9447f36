"""The rest of a page: how it is asked for, and which answer may be joined to what is there.

A range is appended only if it begins where the part ends, goes to the end of the page, and is of
the page that the part is of (RFC 9110, sections 13.1.5 and 14). All else comes from the start.
"""

import re
from enum import Enum
from typing import NamedTuple

from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH

from hello_service.cli.fetch.source import Source
from hello_service.fetch.response import RawResponse

OWN_HEADERS = (b"range", b"if-range")
"""Headers that cannot be the user's where we ask for a range."""

# Nineteen digits are more than any file has bytes.
_CONTENT_RANGE = re.compile(r"(?i:bytes) (\d{1,19})-(\d{1,19})/(\d{1,19})", re.ASCII)
_COMPLETE_LENGTH = re.compile(r"(?i:bytes) \*/(\d{1,19})", re.ASCII)


class Next(Enum):
    """What to do with an answer."""

    APPEND = "append"
    """Its body is the rest of the page."""
    WHOLE = "whole"
    """It is about all of the page, or none of it."""
    DONE = "done"
    """The part is all of the page."""
    AGAIN = "again"
    """Its body is of no use: ask for all of the page."""


class Verdict(NamedTuple):
    """
    @ivar why: the part is not gone on with, if so: a sentence without capital and full stop.
    """

    next: Next
    why: str = ""


def headers_for(source: Source, size: int) -> list[tuple[bytes, bytes]]:
    """Return what asks for all but the first bytes of a page."""
    return [
        (b"Range", b"bytes=%d-" % size),
        (b"If-Range", source.validator.encode("latin-1")),
    ]


def judge(source: Source, size: int, response: RawResponse) -> Verdict:
    """Say what to do with the answer to L{headers_for}."""
    match response.code:
        case 206:
            fault = _fault_of_range(source, size, response)
            return Verdict(Next.AGAIN, fault) if fault else Verdict(Next.APPEND)
        case 416:
            whole = _only(response.headers, _COMPLETE_LENGTH) == (size,)
            if whole and source.length in (None, size) and not source.differs(response.headers):
                return Verdict(Next.DONE)
            return Verdict(Next.AGAIN, f"the page has no byte after the first {size}")
        case 200 if source.is_named(response.headers):
            return Verdict(Next.WHOLE, "the server sends no part of the page alone")
        case 200:
            return Verdict(Next.WHOLE, "the page has changed")
    return Verdict(Next.WHOLE)


def _fault_of_range(source: Source, size: int, response: RawResponse) -> str:
    """Say why a 206 is not the rest of the page, if so."""
    headers = response.headers
    if headers.getRawHeaders("content-type", [""])[0].lower().startswith("multipart/"):
        return "the server sends several parts where one was asked for"
    if not source.is_named(headers):
        return "the server sends a part of another page than before"
    place = _only(headers, _CONTENT_RANGE)
    if not place:
        return "the server does not say which part it sends"
    first, last, total = place
    if source.length not in (None, total):
        return f"the page has {total} bytes now, and had {source.length}"
    if (first, last) != (size, total - 1) or first > last:
        return f"the server sends bytes {first} to {last}, not {size} to the end"
    if response.length not in (UNKNOWN_LENGTH, last + 1 - first):
        return "the server contradicts itself about the length of the part"
    return ""


def range_length(response: RawResponse) -> int:
    """Return how many bytes an answer has that L{judge} would append."""
    [first, last, _] = _only(response.headers, _CONTENT_RANGE)
    return last + 1 - first


def _only(headers: Headers, pattern: re.Pattern[str]) -> tuple[int, ...]:
    """Return the numbers in the one C{Content-Range}; nothing if it is another."""
    match headers.getRawHeaders("content-range", []):
        case [value] if found := pattern.fullmatch(value):
            return tuple(map(int, found.groups()))
    return ()
