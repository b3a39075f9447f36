"""Tests of L{hello_service.fetch.coding}: what comes out of codings, and of damaged ones."""

import gzip
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hello_service.fetch.coding import PIECE, BadCoding, Decoder, Inflate, known_codings
from tests.splits import splits

SHORT = b"hello " * 9
PAGE = bytes(range(256)) * 8
LONG = bytes(number * number % 251 for number in range(300_000))


def undone(codings: list[str], pieces: list[bytes]) -> tuple[bytes, str]:
    """Return what comes out before the end or the fault, and the fault."""
    decoder = Decoder(codings)
    page = b""
    try:
        for data in pieces:
            for piece in decoder.feed(data):
                page += piece
        decoder.end()
    except BadCoding as error:
        return page, str(error)
    return page, ""


def wrong_checksum(page: bytes) -> bytes:
    body = gzip.compress(page)
    return body[:-8] + bytes(byte ^ 0xFF for byte in body[-8:-4]) + body[-4:]


class CodingTests(SynchronousTestCase):
    """What codings stand for, however the body is cut."""

    def assert_page(self, codings: list[str], body: bytes) -> None:
        for pieces in splits(body):
            self.assertEqual(undone(codings, pieces), (SHORT, ""))

    def assert_bad(self, codings: list[str], body: bytes) -> None:
        for pieces in splits(body):
            self.assertIn(codings[0], undone(codings, pieces)[1])

    def test_none(self) -> None:
        """Without a coding, the body is the page."""
        self.assert_page([], SHORT)

    def test_gzip(self) -> None:
        """gzip may have several members, and what is no member behind them."""
        self.assert_page(["gzip"], gzip.compress(SHORT))
        self.assert_page(["gzip"], gzip.compress(SHORT[:9]) + gzip.compress(SHORT[9:]))
        self.assert_page(["gzip"], gzip.compress(SHORT) + b"\0\0\0")

    def test_limit(self) -> None:
        """Few bytes cannot be many codings of many bytes."""
        self.assert_page(["gzip"] * 2, gzip.compress(gzip.compress(SHORT)))
        self.assertRaises(BadCoding, Decoder, ["gzip"] * 6)

    def test_deflate(self) -> None:
        """deflate comes with the wrapper of zlib and without."""
        coder = zlib.compressobj(wbits=-15)
        self.assert_page(["deflate"], zlib.compress(SHORT))
        self.assert_page(["deflate"], coder.compress(SHORT) + coder.flush())
        self.assert_page(["deflate"], zlib.compress(SHORT) + b"more")

    def test_both(self) -> None:
        """Codings are undone in the other order."""
        self.assert_page(["deflate", "gzip"], gzip.compress(zlib.compress(SHORT)))

    def test_empty(self) -> None:
        """Nothing at all is an empty page: servers say gzip of an answer to HEAD, too."""
        self.assertEqual(undone(["gzip"], []), (b"", ""))

    def test_bad(self) -> None:
        """What is not in its coding is found out."""
        self.assert_bad(["gzip"], SHORT)
        self.assert_bad(["deflate"], b"\xff" + SHORT)
        self.assert_bad(["gzip"], gzip.compress(SHORT)[:-5] + b"wrong")

    def test_cut(self) -> None:
        """A coding that ends too early is found out."""
        self.assert_bad(["gzip"], gzip.compress(SHORT)[:-1])
        self.assert_bad(["deflate"], zlib.compress(SHORT)[:-1])
        self.assert_bad(["gzip"], gzip.compress(SHORT) + gzip.compress(SHORT)[:5])

    def test_names(self) -> None:
        """Names have no case and old forms; unknown ones are not undone."""
        for header, codings in (
            ("", []),
            ("identity", []),
            ("GZip", ["gzip"]),
            ("x-gzip", ["gzip"]),
            ("deflate , gzip", ["deflate", "gzip"]),
            ("br", None),
            ("gzip, br", None),
        ):
            self.assertEqual(known_codings(header), codings)

    @given(st.binary(max_size=60), st.sampled_from(["gzip", "deflate"]))
    @settings(deadline=None)
    def test_any(self, body: bytes, coding: str) -> None:
        """Any body is a page or is refused."""
        fault = undone([coding], [body])[1]
        if fault:
            self.assertIn(coding, fault)


class DamageTests(SynchronousTestCase):
    """What is damaged is told from what is not in the coding at all, and gives what is sound."""

    def assert_undone(self, codings: list[str], body: bytes, page: bytes, fault: str) -> None:
        for pieces in splits(body):
            self.assertEqual(undone(codings, pieces), (page, fault))

    def test_checksum(self) -> None:
        """With a wrong checksum or length, all of the page comes out, then the error."""
        for page in (b"", b"hello"):
            self.assert_undone(["gzip"], wrong_checksum(page), page, "its gzip is damaged")
            body = gzip.compress(page)[:-1] + b"\xff"
            self.assert_undone(["gzip"], body, page, "its gzip is damaged")
        body = zlib.compress(PAGE)[:-1] + b"\xff"
        self.assert_undone(["deflate"], body, PAGE, "its deflate is damaged")

    def test_long(self) -> None:
        """The output of the last read is not lost, in pieces as small as any."""
        body = wrong_checksum(LONG)
        for size in (len(body), 64 * 1024, 1000):
            pieces = [body[at : at + size] for at in range(0, len(body), size)]
            self.assertEqual(undone(["gzip"], pieces), (LONG, "its gzip is damaged"))
        decoder = Decoder(["gzip"])
        self.assertEqual(self.lengths(decoder, body), [PIECE, len(LONG) - PIECE])

    def lengths(self, decoder: Decoder, body: bytes) -> list[int]:
        """Return the lengths of all pieces before the error."""
        lengths = []
        pieces = decoder.feed(body)
        with self.assertRaises(BadCoding):
            while True:
                lengths.append(len(next(pieces)))
        return lengths

    def test_in_the_middle(self) -> None:
        """What stands before the damage comes out."""
        first, second = gzip.compress(PAGE), gzip.compress(b"hello")
        self.assert_undone(["gzip"], first + b"\x1foops", PAGE, "its gzip is damaged")
        self.assert_undone(
            ["gzip"], first + second[:-8] + b"\0" * 8, PAGE + b"hello", "its gzip is damaged"
        )
        coder = zlib.compressobj(wbits=-15)
        sound = coder.compress(PAGE) + coder.flush(zlib.Z_SYNC_FLUSH)
        self.assert_undone(["deflate"], sound + b"\xff" * 9, PAGE, "its deflate is damaged")

    def test_begun(self) -> None:
        """What begins like gzip is gzip."""
        body = gzip.compress(PAGE)[:10] + b"\xff" * 9
        self.assert_undone(["gzip"], body, b"", "its gzip is damaged")

    def test_not_coded(self) -> None:
        """What never was in the coding is said to be so."""
        for body in (b"<html>hello</html>", b"\x1f", b"\x1f\x8bhello", zlib.compress(PAGE)):
            fault = undone(["gzip"], [body])[1]
            self.assertEqual(
                fault, "it is not gzip" if len(body) > 1 else "its gzip ends too early"
            )
        self.assert_undone(["gzip"], b"<html>hello</html>", b"", "it is not gzip")
        self.assert_undone(["deflate"], b"\xff<html>", b"", "it is not deflate")
        self.assert_undone(["deflate"], gzip.compress(PAGE), b"", "it is not deflate")

    def test_cut(self) -> None:
        """A body that is cut short gives what came."""
        body = gzip.compress(b"hello")
        for end in range(1, len(body)):
            page, fault = undone(["gzip"], [body[:end]])
            self.assertEqual(fault, "its gzip ends too early")
            self.assertTrue(b"hello".startswith(page))
        self.assertEqual(page, b"hello")

    def test_inside(self) -> None:
        """Of codings on top of each other, each gives what is sound."""
        inner = wrong_checksum(b"hello")
        self.assert_undone(
            ["gzip", "deflate"], zlib.compress(inner), b"hello", "its gzip is damaged"
        )
        outer = wrong_checksum(zlib.compress(b"hello"))
        self.assert_undone(["deflate", "gzip"], outer, b"hello", "its gzip is damaged")


class EndTests(SynchronousTestCase):
    """Where a page ends."""

    def test_behind(self) -> None:
        """What follows the last member is no part of the page, and no damage."""
        for pieces in splits(gzip.compress(b"hel") + gzip.compress(b"lo") + b"\0\x1f"):
            self.assertEqual(undone(["gzip"], pieces), (b"hello", ""))
        for pieces in splits(zlib.compress(b"hello") + b"\x78more"):
            self.assertEqual(undone(["deflate"], pieces), (b"hello", ""))


class PieceTests(SynchronousTestCase):
    """Pieces have a limit."""

    def test_full(self) -> None:
        """Input that is taken at once, and stands for many pieces, gives all of them."""
        for length in (PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 5):
            for name, wbits in (("gzip", 31), ("deflate", 15), ("deflate", -15)):
                coder = zlib.compressobj(9, wbits=wbits)
                body = coder.compress(bytes(length)) + coder.flush()
                pieces = list(Inflate(name).feed(body))
                self.assertEqual(b"".join(pieces), bytes(length))
                self.assertLessEqual(max(map(len, pieces)), PIECE)
                self.assertEqual(undone([name], [body]), (bytes(length), ""))

    def test_last_bytes(self) -> None:
        """Input that is taken up before its last bytes are given gives them."""
        for length in range(PIECE + 1, PIECE + 300, 13):
            coder = zlib.compressobj(9, wbits=-15)
            body = coder.compress(bytes(length)) + coder.flush()
            self.assertEqual(undone(["deflate"], [body]), (bytes(length), ""))

    def test_no_gap(self) -> None:
        """No byte is lost where the page fills the last piece."""
        for length in range(PIECE - 40, PIECE + 600, 7):
            page = b"a" * length
            coder = zlib.compressobj(9, wbits=-15)
            body = coder.compress(page) + coder.flush()
            self.assertEqual(undone(["deflate"], [body]), (page, ""))
            self.assertEqual(undone(["gzip"], [gzip.compress(page)]), (page, ""))

    def test_bomb(self) -> None:
        """Few bytes that stand for many come out in pieces."""
        pieces = list(Decoder(["gzip"]).feed(gzip.compress(bytes(9 * PIECE))))
        self.assertLessEqual(max(map(len, pieces)), PIECE)
        self.assertEqual(sum(map(len, pieces)), 9 * PIECE)

    def test_empty_members(self) -> None:
        """Many members that stand for nothing do not keep the caller from other work."""
        body = gzip.compress(gzip.compress(b"") * 99)
        self.assertEqual(set(Decoder(["gzip"] * 2).feed(body)), {b""})
        self.assertGreaterEqual(len(list(Decoder(["gzip"] * 2).feed(body))), 99)
