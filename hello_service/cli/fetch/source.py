"""Which page a part is of, told by its server's validator: so that no two pages are mixed."""

import json
import re
from dataclasses import asdict, dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Self

from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH

from hello_service.fetch.response import RawResponse

VALIDATOR_LIMIT = 1024
"""Bytes of an ETag that is kept: a file system has 4 KiB for all notes of a file."""

CLOCKS = timedelta(seconds=60)
"""How much older than the answer a date has to be, so that no second change can hide in it."""

_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')
_DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", re.ASCII)


@dataclass(frozen=True)
class Source:
    """What a part is a part of.

    @ivar url: a digest of the URL that was asked for, which may have a secret in it.
    @ivar validator: what C{If-Range} sends: a strong ETag, or a date.
    @ivar length: bytes of the whole page, if its server said so.
    """

    url: str
    validator: str
    length: int | None

    @classmethod
    def of(cls, url: str, response: RawResponse) -> Self | None:
        """Return what an answer says of the page that it has, if parts of it can be put together.

        @param url: what was asked for first.
        """
        validator = _validator(response.headers)
        if response.code != 200 or response.request.method != b"GET" or not validator:
            return None
        length = None if response.length == UNKNOWN_LENGTH else int(str(response.length))
        return cls(digest(url), validator, length)

    @classmethod
    def read(cls, note: bytes) -> Self | None:
        """Read what L{written} returned; C{None} if it is anything else."""
        try:
            source = cls(**json.loads(note))
        except (RecursionError, TypeError, ValueError):
            return None
        text = source.validator
        if not isinstance(text, str) or not (_STRONG_ETAG.fullmatch(text) or _DATE.fullmatch(text)):
            return None
        return source

    def written(self) -> bytes:
        """Write it as JSON."""
        return json.dumps(asdict(self)).encode()

    def differs(self, headers: Headers) -> bool:
        """Whether a head names another page's validator."""
        name = "etag" if self.validator.startswith('"') else "last-modified"
        return headers.getRawHeaders(name, [self.validator]) != [self.validator]

    def is_named(self, headers: Headers) -> bool:
        """Whether a head names the validator, as it has to (RFC 9110, section 15.3.7).

        A date may be left out in answer to C{If-Range}.
        """
        return not self.differs(headers) and (
            headers.hasHeader("etag") or not self.validator.startswith('"')
        )


def digest(url: str) -> str:
    """Return what is kept of a URL."""
    return sha256(url.encode()).hexdigest()


def _validator(headers: Headers) -> str | None:
    """Return what C{If-Range} may send (RFC 9110, section 13.1.5)."""
    match headers.getRawHeaders("etag", []):
        case []:
            return _strong_date(headers)
        case [etag] if len(etag) <= VALIDATOR_LIMIT and _STRONG_ETAG.fullmatch(etag):
            return etag
    return None


def _strong_date(headers: Headers) -> str | None:
    """Return when the page changed last, if no second change can bear the same date.

    See RFC 9110, section 8.8.2.2.
    """
    modified = headers.getRawHeaders("last-modified", [])
    match [*modified, *headers.getRawHeaders("date", [])]:
        case [then, now] if modified and _DATE.fullmatch(then) and _DATE.fullmatch(now):
            try:
                age = parsedate_to_datetime(now) - parsedate_to_datetime(then)
            except ValueError:
                return None
            return then if age >= CLOCKS else None
    return None
