"""Tests of L{hello_service.fetch.reader} and L{hello_service.fetch.head}."""

import re
from dataclasses import dataclass
from itertools import pairwise

import h11
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hello_service.fetch import Ending, ResponseError
from hello_service.fetch.errors import (
    BodyTooLarge,
    ChunkLineTooLong,
    CutShort,
    HeadTooLong,
    MalformedResponse,
    PeerReset,
    TooManyInterim,
    TrailersTooLong,
)
from hello_service.fetch.head import parse_head
from hello_service.fetch.reader import (
    CHUNK_LINE_LIMIT,
    HEAD_LIMIT,
    INTERIM_LIMIT,
    TRAILERS_LIMIT,
    ResponseReader,
)

OK = b"HTTP/1.1 200 OK\r\n"


@dataclass(frozen=True)
class Outcome:
    """All that a reader makes of a stream."""

    body: bytes
    ending: Ending | None
    error: type[ResponseError] | None
    head: bytes
    interim: tuple[bytes, ...]
    trailers: bytes
    received: int
    rest: bytes


def read(
    pieces: list[bytes],
    method: bytes = b"GET",
    max_size: int | None = None,
    keep_framing: bool = False,
    clean: bool = True,
) -> Outcome:
    """Feed a reader, end it, and report."""
    reader = ResponseReader(method, max_size, keep_framing)
    body = b"".join([reader.feed(piece) for piece in pieces])
    reader.end(clean)
    return Outcome(
        body,
        reader.ending,
        type(reader.error) if reader.error else None,
        reader.head.raw if reader.head else b"",
        tuple(head.raw for head in reader.interim),
        reader.trailers,
        reader.received,
        b"" if reader.error and reader.ending is None else reader.rest,
    )


def earliest(stream: bytes, size: int) -> ResponseReader:
    """Feed all but the last bytes to a reader, which takes them, then the first of those."""
    reader = ResponseReader()
    for at in range(size):
        reader.feed(stream[at : at + 1])
    assert reader.error is None, reader.error
    reader.feed(stream[size : size + 1])
    return reader


class EverySplit(SynchronousTestCase):
    """Each stream is read whole, byte by byte, cut in two everywhere, and with a tail."""

    def outcome(
        self,
        stream: bytes,
        method: bytes = b"GET",
        max_size: int | None = None,
        keep_framing: bool = False,
        tail: bool = True,
    ) -> Outcome:
        """Return what is made of a stream, however it is cut."""
        expected = read([stream], method, max_size, keep_framing)
        every_byte = [stream[at : at + 1] for at in range(len(stream))]
        self.assertEqual(read(every_byte, method, max_size, keep_framing), expected)
        for at in range(len(stream)):
            cut = read([stream[:at], stream[at:]], method, max_size, keep_framing)
            self.assertEqual(cut, expected, at)
        if tail:
            self.assertEqual(read([stream + b"tail"], method, max_size, keep_framing), expected)
            self.assertEqual(read([stream, b"tail"], method, max_size, keep_framing), expected)
        return expected

    def assert_body(
        self, stream: bytes, body: bytes, ending: Ending, method: bytes = b"GET", tail: bool = True
    ) -> Outcome:
        """A stream is a whole response with this body."""
        outcome = self.outcome(stream, method, tail=tail)
        self.assertEqual((outcome.body, outcome.ending, outcome.error), (body, ending, None))
        self.assertEqual(outcome.received, len(body))
        return outcome

    def assert_refused(
        self, stream: bytes, error: type[ResponseError] = MalformedResponse, body: bytes = b""
    ) -> None:
        """A stream is refused with this error after this much of the body."""
        outcome = self.outcome(stream, tail=False)
        self.assertEqual((outcome.error, outcome.body), (error, body))


class HeadTests(EverySplit):
    """Lengths, closes and heads."""

    def test_length(self) -> None:
        """Content-Length delimits a body."""
        head = OK + b"Content-Length: 5\r\n\r\n"
        outcome = self.assert_body(head + b"hello", b"hello", Ending.LENGTH)
        self.assertEqual(outcome.head, head)

    def test_length_0(self) -> None:
        """A body may be empty."""
        self.assert_body(OK + b"Content-Length: 0\r\n\r\n", b"", Ending.LENGTH)

    def test_equal_lengths(self) -> None:
        """The same length said again, as a list too, is the length (RFC 9112, section 6.3)."""
        for again in (b"Content-Length: 5\r\n", b"content-length:5 \r\n"):
            head = OK + b"Content-Length: 5\r\n" + again + b"\r\n"
            self.assert_body(head + b"hello", b"hello", Ending.LENGTH)
        self.assert_body(OK + b"Content-Length: 5, 5\r\n\r\nhello", b"hello", Ending.LENGTH)

    def test_bad_lengths(self) -> None:
        """A length that is not one, or two of them, is refused."""
        for value in (
            b"+5", b"-5", b"5_0", b"0x5", b"5 5", b"5,6", b"5,", b"", b"five", b"\xb2", b"5.0",
            b"1" * 21, b"5;5",
        ):  # fmt: skip
            self.assert_refused(OK + b"Content-Length: " + value + b"\r\n\r\nhello")
        self.assert_refused(OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello")

    def test_cut_short(self) -> None:
        """A body shorter than its length says so, with both numbers."""
        self.assert_refused(OK + b"Content-Length: 9\r\n\r\nhello", CutShort, b"hello")
        reader = ResponseReader()
        reader.feed(OK + b"Content-Length: 9\r\n\r\nhello")
        reader.end()
        error = reader.error
        assert isinstance(error, CutShort)
        self.assertEqual((error.received, error.expected), (5, 9))
        self.assertIn("5 of 9 bytes", str(error))

    def test_no_response(self) -> None:
        """A stream without a response, or with half a head, is cut short."""
        for stream in (b"", b"H", OK, OK + b"A: b\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"):
            outcome = self.outcome(stream, tail=False)
            self.assertEqual((outcome.ending, outcome.error), (Ending.CUT_SHORT, CutShort))

    def test_reset(self) -> None:
        """A connection that broke is not one that was closed."""
        for stream in (b"", OK, OK + b"\r\nhello", OK + b"Content-Length: 9\r\n\r\nhello"):
            outcome = read([stream], clean=False)
            self.assertEqual((outcome.ending, outcome.error), (Ending.RESET, PeerReset))

    def test_close(self) -> None:
        """Without a length or chunks, the close delimits the body."""
        self.assert_body(OK + b"\r\nhello", b"hello", Ending.CLOSE, tail=False)
        self.assert_body(OK + b"\r\n", b"", Ending.CLOSE, tail=False)

    def test_http_1_0(self) -> None:
        """An answer in HTTP/1.0 is read alike, but has no chunks."""
        self.assert_body(b"HTTP/1.0 200 OK\r\n\r\nhi", b"hi", Ending.CLOSE, tail=False)
        self.assert_body(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi", Ending.LENGTH)
        self.assert_refused(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")

    def test_no_body(self) -> None:
        """The answer to HEAD, 204 and 304 have no body, whatever they say."""
        for fields in (b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b""):
            self.assert_body(OK + fields + b"\r\n", b"", Ending.LENGTH, b"HEAD")
            for status in (b"204 No Content", b"304 Not Modified"):
                head = b"HTTP/1.1 " + status + b"\r\n" + fields + b"\r\n"
                self.assert_body(head, b"", Ending.LENGTH)

    def test_interim(self) -> None:
        """Interim heads are kept, and the response comes after them."""
        hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        more = b"HTTP/1.1 100 Continue\r\n\r\n"
        head = OK + b"Content-Length: 2\r\n\r\n"
        outcome = self.assert_body(hints + more + head + b"hi", b"hi", Ending.LENGTH)
        self.assertEqual(outcome.interim, (hints, more))
        self.assertEqual(outcome.head, head)

    def test_interim_flood(self) -> None:
        """Too many interim heads are refused."""
        interim = b"HTTP/1.1 100 \r\n\r\n"
        end = OK + b"Content-Length: 0\r\n\r\n"
        self.assertIsNone(read([interim * INTERIM_LIMIT + end]).error)
        self.assertIs(read([interim * (INTERIM_LIMIT + 1) + end]).error, TooManyInterim)

    def test_switching(self) -> None:
        """Nobody asked for another protocol."""
        self.assert_refused(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")

    def test_status_line(self) -> None:
        """The reason may be missing, or be any text."""
        for reason in (b"", b" ", b" Not \xe4 Reason\t"):
            stream = b"HTTP/1.1 404" + reason + b"\r\nContent-Length: 0\r\n\r\n"
            self.assert_body(stream, b"", Ending.LENGTH)
            self.assertEqual(parse_head(stream).reason, reason[1:])

    def test_bad_status_lines(self) -> None:
        """What is not a status line to the letter is refused."""
        for line in (
            b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/1.1  200 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK",
            b"HTTP/1.1 099 OK", b"HTTP/1.1 +20 OK", b"HTTP/1.x 200 OK", b"HTTP/1.10 200 OK",
            b"HTTP/1.1\t200 OK", b"HTTP/1.1 200\tOK", b"HTTP/1.1 200 O\0K", b"HTTP/1.1 200 O\rK",
            b"HTTP/1.1 200 O\x1bK", b"HTTP/1. 200 OK", b"HTTP/1.1 2_0 OK", b"HTTP/1.1 000 OK",
        ):  # fmt: skip
            self.assert_refused(line + b"\r\nContent-Length: 0\r\n\r\n")

    def test_high_statuses(self) -> None:
        """A status above 599 is one of the server's faults (RFC 9110, section 15)."""
        for status in (600, 799, 999):
            stream = b"HTTP/1.1 %d Odd\r\nContent-Length: 2\r\n\r\n" % status
            self.assert_body(stream + b"hi", b"hi", Ending.LENGTH)
            self.assertEqual(parse_head(stream).status, status)

    def test_refused_head(self) -> None:
        """What came of a head that is refused is kept, and nothing of what follows it."""
        whole = OK + b": no name\r\n\r\n"
        both = OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
        cut = OK + b"A: b\n"
        for head, tail in ((whole, b"body"), (both, b"body"), (cut, b""), (b"SSH-2.0", b"")):
            for pieces in ([head + tail], [head[:-1], head[-1:] + tail], [head, tail]):
                reader = ResponseReader()
                for piece in pieces:
                    reader.feed(piece)
                self.assertIsInstance(reader.error, MalformedResponse)
                expected = head if head.startswith(b"HTTP") else pieces[0]
                self.assertEqual((reader.partial_head, reader.rest), (expected, b""))

    def test_strangers(self) -> None:
        """Other protocols are told from HTTP/1, by name where that is easy."""
        for stream, hint in (
            (b"<html>old page</html>", "HTTP/0.9"),
            (b"\r\n" + OK, "status line"),
            (b" " + OK, "status line"),
            (b"http/1.1 200 OK\r\n\r\n", "status line"),
            (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", "HTTP/2"),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2"),
            (b"HTTP/2 200\r\n\r\n", "another version"),
            (b"\x15\x03\x01\x00\x02\x02\x46", "https"),
            (b"SSH-2.0-OpenSSH\r\n", "SSH"),
            (b"220 mail ESMTP\r\n", "220 mail"),
        ):
            self.assert_refused(stream)
            reader = ResponseReader()
            reader.feed(stream)
            self.assertIn(hint, str(reader.error))

    def test_bad_lines(self) -> None:
        """Header lines are refused that could be read in two ways."""
        for line in (
            b"no colon", b": no name", b"A b: c", b"A : b", b"A: b\rc", b"A: b\nB: c", b"A: b\0c",
            b"A\0: b", b"A: \x0bb", b"A:\r b", b"A: b\r", b"(A): b", b"\xe4: b", b"A: b\r\r",
            b"A: b\n c", b"A\r\n : b", b"A\r\n b: c", b"A: b\r\n \0", b"no colon\r\n here",
        ):  # fmt: skip
            self.assert_refused(OK + line + b"\r\n\r\n")
            self.assert_refused(OK + b"B: c\r\n" + line + b"\r\n\r\n")

    def test_words_of_names(self) -> None:
        """A name stands in a sentence as it came."""
        error = self.assertRaises(MalformedResponse, parse_head, OK + b"X y: z\r\n\r\n")
        self.assertIn("'X y'", str(error))

    def test_folded(self) -> None:
        """A fold stands for a space (RFC 9112, section 5.2); the head keeps it as it came."""
        for folded, value in (
            (b"b\r\n c", b"b c"),
            (b"b \t\r\n\t c \r\n d ", b"b c d"),
            (b"\r\n b", b"b"),
            (b"b\r\n ", b"b"),
            (b"b\r\n \r\n\tc", b"b  c"),
            (b"b\r\n Content-Length: 3", b"b Content-Length: 3"),
        ):
            head = OK + b"A: " + folded + b"\r\nContent-Length: 2\r\n\r\n"
            outcome = self.assert_body(head + b"hi", b"hi", Ending.LENGTH)
            self.assertEqual(outcome.head, head)
            self.assertEqual(parse_head(head).first(b"a"), value)

    def test_folded_framing(self) -> None:
        """A fold is refused where it could hide how long the body is."""
        for line, words in (
            (b" A: b", "a folded line comes before the first field"),
            (b"\tA: b", "a folded line comes before the first field"),
            (b"Content-Length: 5\r\n 0", "Content-Length has a folded line"),
            (b"content-length:\r\n 5", "content-length has a folded line"),
            (b"Transfer-Encoding:\r\n\tchunked", "Transfer-Encoding has a folded line"),
            (b"A: b\r\nTransfer-Encoding: chunked\r\n ", "Transfer-Encoding has a folded line"),
        ):
            stream = OK + line + b"\r\n\r\n"
            self.assert_refused(stream)
            error = self.assertRaises(MalformedResponse, parse_head, stream)
            self.assertIn(words, str(error))

    def test_words(self) -> None:
        """What h11 refuses is said in words of ours, which quote it."""
        for lines, words in (
            (b"A b: c", "this is no header name: b'A b'"),
            (b"A: b\0", r"the value of A contains a control character: b'b\x00'"),
            (b"Content-Length: -1", "this is no Content-Length: b'-1'"),
            (b"Content-Length: 1, 2", "this is no Content-Length: b'1, 2'"),
            (b"Content-Length: 2\r\nContent-Length: 1", "it has two lengths, 1 and 2"),
            (b"TE: a\r\nTransfer-Encoding: gzip", "its Transfer-Encoding is b'gzip'"),
            (b"Transfer-Encoding: chunked\r\n" * 2 + b"A: b", "more than one Transfer-Encoding"),
        ):
            error = self.assertRaises(MalformedResponse, parse_head, OK + lines + b"\r\n\r\n")
            self.assertIn(words, str(error))

    def test_many_folds(self) -> None:
        """The most folds that a head can have are read once each."""
        folds = b"\r\n " * (HEAD_LIMIT // 3 - 20)
        head = parse_head(OK + b"A: b" + folds + b"c\r\n\r\n")
        self.assertEqual(head.first(b"a"), b"b" + b" " * (HEAD_LIMIT // 3 - 20) + b"c")

    def test_odd_lines(self) -> None:
        """Header lines are taken that are odd but clear."""
        fields = b"A:b\r\nA:\t b \r\nX:\r\nY: \xe4\x01\r\n"
        head = parse_head(OK + fields + b"\r\n")
        self.assertEqual(
            head.fields, [(b"a", b"b"), (b"a", b"b"), (b"x", b""), (b"y", b"\xe4\x01")]
        )
        self.assertEqual((head.first(b"a"), head.first(b"z")), (b"b", None))

    def test_bare_lf(self) -> None:
        """Lines that end in LF alone are refused at once, not at the end of the stream."""
        reader = ResponseReader()
        reader.feed(b"HTTP/1.1 200 OK\n")
        self.assertIsInstance(reader.error, MalformedResponse)
        self.assertIn("LF without CR", str(reader.error))

    def test_head_limit(self) -> None:
        """A head has a limit, whole or not."""
        start, end = OK + b"A: ", b"\r\n\r\n"
        filler = b"a" * (HEAD_LIMIT - len(start) - len(end))
        self.assertIsNone(read([start + filler + end]).error)
        for stream in (start + filler + b"a" + end, start + filler + b"aaaaa"):
            self.assertIs(read([stream]).error, HeadTooLong)
            self.assertIs(read([stream[:-1], stream[-1:]]).error, HeadTooLong)
        self.assertIs(read([start + filler + end.replace(b"\r", b"")]).error, MalformedResponse)

    def test_both_framings(self) -> None:
        """Transfer-Encoding beside Content-Length is refused (RFC 9112, section 6.3)."""
        fields = (b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n")
        for first, second in (fields, fields[::-1]):
            self.assert_refused(OK + first + second + b"\r\n0\r\n\r\n")

    def test_other_transfer_codings(self) -> None:
        """Of the transfer codings, only chunked, once, is known."""
        for value in (
            b"gzip", b"gzip, chunked", b"chunked, chunked", b"", b",", b" , ,", b"chunked;a=b",
            b"chunked,,chunked",
        ):  # fmt: skip
            self.assert_refused(OK + b"Transfer-Encoding: " + value + b"\r\n\r\n")
        twice = b"Transfer-Encoding: chunked\r\n" * 2
        self.assert_refused(OK + twice + b"\r\n0\r\n\r\n")

    def test_empty_elements(self) -> None:
        """Empty elements of a list say nothing (RFC 9110, section 5.6.1.2)."""
        for value in (b"chunked,", b", chunked", b",\t,chunked , ,", b" , Chunked"):
            stream = OK + b"Transfer-Encoding:" + value + b"\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
            self.assert_body(stream, b"hi", Ending.LAST_CHUNK)


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


class ChunkTests(EverySplit):
    """Chunks, their extensions and trailers."""

    def test_chunks(self) -> None:
        """Chunks are joined."""
        stream = CHUNKED + b"5\r\nhello\r\n1\r\n,\r\n0A\r\n big world\r\n000\r\n\r\n"
        self.assert_body(stream, b"hello, big world", Ending.LAST_CHUNK)

    def test_case(self) -> None:
        """The name of the coding has no case, the digits neither."""
        stream = OK + b"TRANSFER-encoding: Chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"
        self.assert_body(stream, b"0123456789", Ending.LAST_CHUNK)

    def test_extensions(self) -> None:
        """Extensions are thrown away, and so is white space after a size."""
        for extension in (b";a", b";a=b;c", b' ; a="\xe4"', b"\t", b"  "):
            stream = CHUNKED + b"2" + extension + b"\r\nhi\r\n0" + extension + b"\r\n\r\n"
            self.assert_body(stream, b"hi", Ending.LAST_CHUNK)

    def test_trailers(self) -> None:
        """Trailers are kept as they came."""
        stream = CHUNKED + b"2\r\nhi\r\n0\r\nMD: 5\r\nb: C\r\n\r\n"
        outcome = self.assert_body(stream, b"hi", Ending.LAST_CHUNK)
        self.assertEqual(outcome.trailers, b"MD: 5\r\nb: C\r\n\r\n")

    def test_folded_trailers(self) -> None:
        """A fold in a trailer stands for a space, too."""
        for end in (b"\r\n", b""):
            ending = Ending.LAST_CHUNK if end else Ending.CLOSE_AFTER_LAST_CHUNK
            stream = CHUNKED + b"2\r\nhi\r\n0\r\nA: b\r\n c\r\n" + end
            outcome = self.assert_body(stream, b"hi", ending, tail=bool(end))
            self.assertEqual(outcome.trailers, b"A: b\r\n c\r\n" + end)

    def test_keep_framing(self) -> None:
        """The framing can be kept: the body is as it came, to its last byte."""
        raw = b"2;x\r\nhi\r\n0\r\nA: b\r\n\r\n"
        outcome = self.outcome(CHUNKED + raw, keep_framing=True)
        self.assertEqual((outcome.body, outcome.received), (raw, 2))

    def test_bad_sizes(self) -> None:
        """A chunk size that is not one is refused; what came before it stays."""
        for size in (
            b"", b"+2", b"-2", b"0x2", b"1_0", b" 2", b"g", b"2 2", b"\r2", b"2\r", b"2\n", b"2;\0",
            b"2;a\nb", b"2;a\rb", b"2;\x1b", b"1" * 17, b"\xb2", b"2,",
        ):  # fmt: skip
            self.assert_refused(CHUNKED + size + b"\r\nhi\r\n0\r\n\r\n")
            self.assert_refused(CHUNKED + b"1\r\na\r\n" + size + b"\r\nhi\r\n0\r\n\r\n", body=b"a")

    def test_lying_size(self) -> None:
        """A chunk that does not end where its size says is refused."""
        for rest in (b"hello\r\n0\r\n\r\n", b"hi\n\n0\r\n\r\n", b"hi\r0\r\n\r\n", b"hi0\r\n\r\n"):
            self.assert_refused(CHUNKED + b"2\r\n" + rest, body=rest[:2])

    def test_not_chunked(self) -> None:
        """A body that is not chunked is refused at its first byte that no chunk size may have."""
        for good, bad in (
            (b"", b"<html>hello</html>"),
            (b"", b"\x1f\x8b\x08"),
            (b"", b"\r\n"),
            (b"", b"\n"),
            (b"", b" 2\r\n"),
            (b"", b";a\r\n"),
            (b"cafe ", b"babe"),
            (b"deadbeef" * 2, b"deadbeef"),
            (b"0123456789abcdef", b"0"),
            (b"cafe", b"\nbabe"),
            (b"2\r", b"hi"),
            (b"2;a", b"\n"),
            (b"2;a\r", b"\r\n"),
            (b"2;" + b"a" * (CHUNK_LINE_LIMIT - 2), b"a"),
            (b"2;" + b"a" * (CHUNK_LINE_LIMIT - 2) + b"\r", b"a"),
        ):
            reader = earliest(CHUNKED + good + bad, len(CHUNKED + good))
            self.assertIsInstance(reader.error, MalformedResponse | ChunkLineTooLong)
            self.assertEqual(reader.rest, good + bad[:1])
            for pieces in ([CHUNKED, good, bad], [CHUNKED + good + bad], [CHUNKED + good, bad]):
                reader = ResponseReader()
                body = b"".join([reader.feed(piece) for piece in pieces])
                self.assertEqual((body, reader.rest, reader.received), (b"", good + bad, 0))

    def test_no_longer_chunked(self) -> None:
        """Nothing is lost of what is no chunk after the first."""
        for good, bad in (
            (b"\r\n", b"<b>oops</b>"),
            (b"\r\ncafe ", b"babe"),
            (b"", b"hello"),
            (b"\r", b"!"),
        ):
            stream = CHUNKED + b"2\r\nhi" + good + bad
            reader = earliest(stream, len(stream) - len(bad))
            self.assertIsInstance(reader.error, MalformedResponse)
            self.assertEqual(reader.rest, good.removeprefix(b"\r\n") + bad[:1])
            reader = ResponseReader()
            body = reader.feed(stream)
            rest = (good + bad).removeprefix(b"\r\n")
            self.assertEqual((body, reader.rest, reader.partial_head), (b"hi", rest, b""))

    def test_no_chunk_expected(self) -> None:
        """What stands in place of trailers never was a part of the body."""
        for trailers in (b"", b"A: b", b"no colon\r\n\r\n"):
            reader = ResponseReader()
            reader.feed(CHUNKED + b"0\r\n" + trailers)
            self.assertEqual(reader.rest, b"")

    def test_words(self) -> None:
        """The sentence says what came in place of a chunk size."""
        for stream, words in (
            (b"<html>", "comes in chunks, but it begins with b'<html>'"),
            (b"1\r\na\r\n<html>", "this is no chunk size: b'<html>'"),
            (b"1\r\nabc", "a chunk does not end at its size: b'bc'"),
            (b"\r\na", "but it begins with an empty line"),
            (b"1\r\na\r\n\r\n", "this is no chunk size: an empty line"),
        ):
            reader = ResponseReader()
            reader.feed(CHUNKED + stream)
            self.assertIn(words, str(reader.error))

    def test_all_framing_kept(self) -> None:
        """With the framing kept, all that came is the body, what is no chunk included."""
        for good, bad in (
            (b"", b"<html>"),
            (b"cafe ", b"babe"),
            (b"1\r\na\r\n", b"<b>"),
            (b"1\r\na", b"bc"),
            (b"0\r\nno colon\r\n\r", b"\n"),
        ):
            for pieces in ([good + bad], [good, bad], [good[:3], good[3:], bad]):
                reader = ResponseReader(keep_framing=True)
                body = b"".join([reader.feed(piece) for piece in [CHUNKED, *pieces]])
                self.assertIsInstance(reader.error, MalformedResponse)
                self.assertEqual((body, reader.rest), (good + bad, b""))

    def test_cut_size(self) -> None:
        """What comes before the end of the first chunk size may have been a body without chunks."""
        outcome = self.outcome(CHUNKED + b"cafe", tail=False)
        self.assertEqual(
            (outcome.error, outcome.ending, outcome.rest), (CutShort, Ending.CUT_SHORT, b"cafe")
        )
        reader = ResponseReader()
        reader.feed(CHUNKED + b"cafe")
        self.assertEqual(reader.position, ("before the first chunk", 4, None))
        reader.end()
        self.assertIn("before the first chunk, after 4 bytes", str(reader.error))

    def test_cut_chunks(self) -> None:
        """A body without its last chunk is cut short; a size that is not whole is no part of it."""
        whole = CHUNKED + b"2\r\nhi\r\n0\r\n"
        for end in range(len(CHUNKED) + 3, len(whole)):
            outcome = read([whole[:end]])
            self.assertEqual((outcome.ending, outcome.error), (Ending.CUT_SHORT, CutShort))
            self.assertEqual(outcome.rest, b"")

    def test_cut_trailers(self) -> None:
        """A body with its last chunk is whole (RFC 9112, section 8), and it is told what is not."""
        last = CHUNKED + b"2\r\nhi\r\n0\r\n"
        trailers = b"A: b\r\n\r\n"
        for trailers in (b"", b"\r", b"A", b"A: b\r", b"A: b\r\n", b"A: b\r\n\r"):
            outcome = self.assert_body(
                last + trailers, b"hi", Ending.CLOSE_AFTER_LAST_CHUNK, tail=False
            )
            self.assertEqual((outcome.trailers, outcome.rest), (trailers, b""))
            self.assertIs(read([last + trailers], clean=False).error, PeerReset)
        self.assert_refused(last + b"no colon\r\n", body=b"hi")

    def test_line_limit(self) -> None:
        """A chunk-size line has a limit, whole or not."""
        line = b"2;" + b"a" * (CHUNK_LINE_LIMIT - 2)
        rest = b"\r\nhi\r\n0\r\n\r\n"
        self.assertIsNone(read([CHUNKED + line + rest]).error)
        for stream in (line + b"a" + rest, line + b"a", line + b"a\0" + rest):
            self.assertIs(read([CHUNKED + stream]).error, ChunkLineTooLong)
            self.assertIs(read([CHUNKED, stream[:9], stream[9:]]).error, ChunkLineTooLong)
        self.assertIsNone(read([CHUNKED, line + rest[:1], rest[1:]]).error)

    def test_trailers_limit(self) -> None:
        """Trailers have a limit, whole or not."""
        trailers = b"A: " + b"a" * (TRAILERS_LIMIT - 7) + b"\r\n\r\n"
        last = CHUNKED + b"0\r\n"
        self.assertIsNone(read([last + trailers]).error)
        for stream in (b"A" + trailers, b"A" + trailers[:-1] + b"a"):
            self.assertIs(read([last + stream]).error, TrailersTooLong)
            self.assertIs(read([last, stream[:9], stream[9:]]).error, TrailersTooLong)

    def test_bad_trailers(self) -> None:
        """Trailers are read like header lines."""
        for line in (
            b"no colon", b"A: b\nB: c", b" A: b", b"A: \0", b"A : b", b"Content-Length: 5\r\n 0",
        ):  # fmt: skip
            self.assert_refused(CHUNKED + b"2\r\nhi\r\n0\r\n" + line + b"\r\n\r\n", body=b"hi")

    def test_excess(self) -> None:
        """What follows the end is counted and not taken."""
        for stream in (CHUNKED + b"0\r\n\r\n", OK + b"Content-Length: 2\r\n\r\nhi"):
            reader = ResponseReader()
            reader.feed(stream + b"more")
            reader.feed(b"!")
            self.assertEqual(reader.excess, 5)


class SizeTests(EverySplit):
    """The caller's limit on the body."""

    def test_within(self) -> None:
        """A body of the limit's size is taken."""
        for stream in (
            OK + b"Content-Length: 2\r\n\r\nhi",
            OK + b"\r\nhi",
            CHUNKED + b"2\r\nhi\r\n0\r\n\r\n",
        ):
            outcome = self.outcome(stream, max_size=2, tail=False)
            self.assertEqual((outcome.body, outcome.error), (b"hi", None))

    def test_announced(self) -> None:
        """A length above the limit is refused with the head; nothing is wrong with HEAD."""
        outcome = self.outcome(OK + b"Content-Length: 3\r\n\r\nhi!", max_size=2, tail=False)
        self.assertEqual((outcome.body, outcome.error), (b"", BodyTooLarge))
        self.assertNotEqual(outcome.head, b"")
        reader = ResponseReader(max_size=2)
        reader.feed(OK + b"Content-Length: 3\r\n\r\nhi!")
        self.assertEqual((reader.rest, reader.partial_head), (b"", b""))
        head = self.outcome(OK + b"Content-Length: 3\r\n\r\n", b"HEAD", max_size=2)
        self.assertIsNone(head.error)

    def test_unannounced(self) -> None:
        """A body that grows above the limit is cut there."""
        for stream in (OK + b"\r\nhi!!", CHUNKED + b"1\r\nh\r\n3\r\ni!!\r\n0\r\n\r\n"):
            outcome = self.outcome(stream, max_size=2, tail=False)
            self.assertEqual((outcome.body, outcome.error), (b"hi", BodyTooLarge))
            self.assertEqual(outcome.received, 2)

    def test_number(self) -> None:
        """The error has the limit."""
        reader = ResponseReader(max_size=2)
        reader.feed(OK + b"\r\nhi!")
        error = reader.error
        assert isinstance(error, BodyTooLarge)
        self.assertEqual(error.limit, 2)
        self.assertIn("more than 2 bytes", str(error))


TOKENS = st.text("abcXYZ019-_!", min_size=1, max_size=8).map(str.encode)
VALUES = st.binary(max_size=12).map(
    lambda value: bytes(byte for byte in value if byte in b"\t" or 0x20 <= byte != 0x7F).strip()
)
FIELDS = st.lists(st.tuples(TOKENS.map(lambda name: b"x-" + name), VALUES), max_size=4)
BODIES = st.binary(max_size=200)


@dataclass(frozen=True)
class Message:
    """A valid response, and its body."""

    stream: bytes
    body: bytes
    ending: Ending


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Draw a valid response."""
    body = draw(BODIES)
    ending = draw(st.sampled_from([Ending.LENGTH, Ending.LAST_CHUNK, Ending.CLOSE]))
    lines = [b"%b: %b" % field for field in draw(FIELDS)]
    coded = body
    if ending is Ending.LENGTH:
        lines.append(b"Content-Length: %d" % len(body))
    if ending is Ending.LAST_CHUNK:
        lines.append(b"Transfer-Encoding: chunked")
        cuts = sorted({0, len(body), *draw(st.lists(st.integers(0, len(body)), max_size=4))})
        chunks = [body[start:end] for start, end in pairwise(cuts)]
        trailers = [b"%b: %b\r\n" % field for field in draw(FIELDS)]
        coded = b"".join([b"%x;a=b\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks])
        coded += b"0\r\n" + b"".join(trailers) + b"\r\n"
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * draw(st.integers(0, 2))
    head = b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", b""])
    return Message(interim + head + coded, body, ending)


@st.composite
def cuts_of(draw: st.DrawFn, stream: bytes) -> list[bytes]:
    """Draw a way to cut a stream."""
    cuts = sorted({0, len(stream), *draw(st.lists(st.integers(0, len(stream)), max_size=8))})
    return [stream[start:end] for start, end in pairwise(cuts)]


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """Draw a response with something wrong or merely different."""
    stream = bytearray(draw(messages()).stream)
    odd = st.sampled_from([b"\r", b"\n", b"\0", b" ", b"\r\n", b":", b"0", b";", b"\xff", b"-"])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(stream)))
        taken = draw(st.integers(0, 3))
        stream[at : at + taken] = draw(st.one_of(odd, st.binary(max_size=3)))
    return bytes(stream)


def by_h11(stream: bytes) -> bytes | None:
    """Return the body that h11 alone finds in a stream, C{None} if it refuses it."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    connection.send(h11.EndOfMessage())
    body = b""
    try:
        connection.receive_data(stream)
        connection.receive_data(b"")
        while True:
            match connection.next_event():
                case h11.Data(data=data):
                    body += data
                case h11.EndOfMessage():
                    return body
    except h11.RemoteProtocolError:
        return None


class PropertyTests(SynchronousTestCase):
    """What holds for every stream."""

    @given(st.data())
    @settings(max_examples=300, deadline=None)
    def test_valid(self, data: st.DataObject) -> None:
        """Any valid response gives its body, however it is cut."""
        message = data.draw(messages())
        outcome = read(data.draw(cuts_of(message.stream)))
        self.assertEqual(
            (outcome.body, outcome.ending, outcome.error), (message.body, message.ending, None)
        )

    @given(st.data())
    @settings(max_examples=1000, deadline=None)
    def test_mutated(self, data: st.DataObject) -> None:
        """Any other stream gives a body or a named error, the same however it is cut."""
        stream = data.draw(mutations())
        outcome = read([stream])
        self.assertTrue(outcome.error or outcome.ending)
        self.assertEqual(read(data.draw(cuts_of(stream))), outcome)

    @given(st.one_of(mutations(), st.binary(max_size=100)))
    @settings(max_examples=1000, deadline=None)
    def test_as_strict_as_h11(self, stream: bytes) -> None:
        """What is taken is taken by h11, too, and in the same way.

        h11 does not take blanks before a chunk's extensions, as RFC 9112 asks for in section 7.1.1,
        nor a last chunk without the line after it.
        """
        assume(not re.search(rb"[0-9A-Fa-f][ \t]+;", stream))
        outcome = read([stream])
        assume(outcome.ending is not Ending.CLOSE_AFTER_LAST_CHUNK)
        if outcome.error is None:
            self.assertEqual(by_h11(stream), outcome.body)
