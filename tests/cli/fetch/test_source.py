"""Tests of L{hello_service.cli.fetch.source}."""

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from hello_service.cli.fetch.source import VALIDATOR_LIMIT, Source, digest
from tests.fetching import FetchTestCase

URL = "http://192.0.2.1/?secret"
DATE = "Last-Modified: Sun, 22 Nov 2026 22:37:45 GMT"
LATER = "Date: Sun, 22 Nov 2026 22:38:45 GMT"


class SourceTests(FetchTestCase):
    """What is noted of a page."""

    def source(self, *lines: str, status: str = "200 OK", **request: Any) -> Source | None:
        head = "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""])
        return Source.of(URL, self.fetched(head.encode(), **request))

    def validator(self, *lines: str) -> str | None:
        source = self.source(*lines)
        return source.validator if source else None

    def test_etag(self) -> None:
        """A strong ETag names the page, and the URL is told by its digest."""
        source = self.source('ETag: "a"', "Content-Length: 5", DATE)
        self.assertEqual(source, Source(digest(URL), '"a"', 5))
        assert source
        self.assertNotIn(b"secret", source.written())
        self.assertEqual(Source.read(source.written()), source)

    def test_unknown_length(self) -> None:
        """A page in chunks has a length that nobody knows."""
        source = self.source('ETag: "a"', "Transfer-Encoding: chunked")
        assert source
        self.assertIsNone(source.length)

    def test_no_etag_to_go_by(self) -> None:
        """No weak ETag, none that is malformed or too long, and no two; nor a date beside them."""
        long = f'"{"a" * VALIDATOR_LIMIT}"'
        for etags in (['W/"a"'], ["a"], ['"a'], [long], ['"a"', '"b"']):
            lines = [f"ETag: {etag}" for etag in etags]
            self.assertIsNone(self.validator(*lines, DATE, LATER))

    def test_date(self) -> None:
        """A date names the page if it was a minute old."""
        self.assertEqual(self.validator(DATE, LATER), DATE.partition(": ")[2])
        self.assertIsNone(self.validator(DATE.replace("37:45", "37:46"), LATER))

    def test_no_date_to_go_by(self) -> None:
        """No date that is no date, that has no other beside it, or more than one."""
        for lines in (
            (),
            (DATE,),
            (LATER,),
            (LATER, LATER),
            (DATE, DATE, LATER),
            (DATE, LATER.replace("GMT", "UTC")),
            (DATE.replace("22 Nov", "99 Nov"), LATER),
            (DATE.replace("Nov", "Now"), LATER),
        ):
            self.assertIsNone(self.validator(*lines), lines)

    def test_not_a_page(self) -> None:
        """What is no answer to a GET with the whole page cannot be gone on with."""
        self.assertIsNone(self.source('ETag: "a"', status="206 Partial Content"))
        self.assertIsNone(self.source('ETag: "a"', status="404 Not Found"))
        self.assertIsNone(self.source('ETag: "a"', method=b"POST"))

    def test_notes_of_others(self) -> None:
        """A note that is none of ours is none, whatever it would have us send."""
        for note in (
            b"",
            b"[" * 60000,
            b"[]",
            b'{"url": "a"}',
            b'{"url": "", "validator": 5, "length": null}',
            b'{"url": "", "validator": "\\"a\\"\\r\\nX: y", "length": null}',
        ):
            self.assertIsNone(Source.read(note))

    @given(st.binary())
    def test_any_note(self, note: bytes) -> None:
        """No note is an error."""
        Source.read(note)

    def test_same(self) -> None:
        """An ETag has to be named, a date only must not be another."""
        headers = self.fetched(f'HTTP/1.1 206 P\r\nETag: "a"\r\n{DATE}\r\n\r\n'.encode()).headers
        none = self.fetched(b"HTTP/1.1 206 P\r\n\r\n").headers
        date = DATE.partition(": ")[2]
        for validator, head, named, differs in (
            ('"a"', headers, True, False),
            ('"b"', headers, False, True),
            ('"a"', none, False, False),
            (date, headers, True, False),
            (date.replace("Sun", "Mon"), headers, False, True),
            (date, none, True, False),
        ):
            source = Source("", validator, None)
            told = (source.is_named(cast(Any, head)), source.differs(cast(Any, head)))
            self.assertEqual(told, (named, differs))
