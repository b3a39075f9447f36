"""C{--continue}: which answers are joined to what an earlier try has kept."""

import gzip
import os
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError

from hello_service.cli.fetch.options import parse_options
from hello_service.cli.fetch.part import NOTE
from hello_service.cli.fetch.progress import PATIENCE
from hello_service.cli.trouble import Trouble
from tests.cli.fetch.test_command import URL, CommandTestCase, head

TAG = 'ETag: "tag"'
PAGE = b"0123456789"
WHOLE = head(TAG, f"Content-Length: {len(PAGE)}")


def part_of(content_range: str, *lines: str, tag: str = TAG, length: int | None = 6) -> bytes:
    """Return the head of a 206."""
    counted = [] if length is None else [f"Content-Length: {length}"]
    lines = (tag, f"Content-Range: {content_range}", *counted, *lines)
    return head(*filter(None, lines), status="206 Partial Content")


REST = part_of("bytes 4-9/10")


class ContinueTestCase(CommandTestCase):
    """A page of ten bytes, of which an earlier try has got four."""

    def setUp(self) -> None:
        super().setUp()
        self.stop_after(WHOLE + PAGE[:4])

    def stop_after(self, *answer: bytes, url: str = URL) -> None:
        """Break a fetch off."""
        command = self.start(url)
        self.answered(command, *answer, close=False)
        command.cancel()
        self.close()
        self.failureResultOf(command, CancelledError)

    def go_on(self, *answer: bytes, url: str = URL, options: tuple[str, ...] = ()) -> Deferred[int]:
        command = self.start("--continue", *options, url)
        self.answered(command, *answer)
        return command

    def asked(self) -> bytes:
        """Return the request that came last."""
        sent: bytes = self.transport.value()
        return sent

    def note(self) -> bytes | None:
        try:
            return os.getxattr("page.part", NOTE)
        except OSError:
            return None


class GoOnTests(ContinueTestCase):
    """What goes on."""

    def test_rest(self) -> None:
        """The rest is asked for by its place and its page, and appended."""
        self.assertIn("(4 bytes) is in 'page.part': --continue goes on from there.", self.said())
        self.assertEqual(self.successResultOf(self.go_on(REST + PAGE[4:])), 0)
        self.assertIn(b'\r\nRange: bytes=4-\r\nIf-Range: "tag"\r\n', self.asked())
        self.assertIn(b"\r\nAccept-Encoding: identity\r\n", self.asked())
        self.assertEqual(self.files(), {"page": PAGE})
        self.assertTrue(self.said().endswith("saved 10 bytes as 'page', 6 of them now.\n"))

    def test_in_chunks(self) -> None:
        """A part may come in chunks, if they make what its head says."""
        chunked = part_of("bytes 4-9/10", "Transfer-Encoding: chunked", length=None)
        self.assertEqual(self.successResultOf(self.go_on(chunked + b"6\r\n456789\r\n0\r\n\r\n")), 0)
        self.assertEqual(self.files(), {"page": PAGE})

    def test_progress(self) -> None:
        """The bar is of the whole page, and begins with what is there."""
        command = self.start("--continue", URL, terminal=True)
        self.answered(command, REST + PAGE[4:6], close=False)
        self.reactor.advance(PATIENCE)
        self.peer.dataReceived(PAGE[6:])
        self.close()
        self.assertEqual(self.successResultOf(command), 0)
        self.assertIn("10.0/10.0", self.said())

    def test_again_and_again(self) -> None:
        """What breaks off again is longer, and goes on from there."""
        command = self.go_on(REST + PAGE[4:7])
        self.assert_trouble(command, Trouble.RESET, "(7 bytes) is in 'page.part': --continue")
        self.assertEqual(self.files(), {"page.part": PAGE[:7]})
        command = self.go_on(part_of("bytes 7-9/10", length=3) + PAGE[7:])
        self.assertEqual(self.successResultOf(command), 0)
        self.assertEqual(self.files(), {"page": PAGE})

    def test_by_date(self) -> None:
        """Where there is no ETag, a date will do; a 206 need not name it."""
        modified = "Sun, 22 Nov 2026 22:37:45 GMT"
        date = "Date: Sun, 22 Nov 2026 22:38:45 GMT"
        url = f"{URL}/date"
        self.stop_after(
            head(f"Last-Modified: {modified}", date, "Content-Length: 10") + PAGE[:4], url=url
        )
        command = self.go_on(part_of("bytes 4-9/10", tag="") + PAGE[4:], url=url)
        self.assertIn(f"If-Range: {modified}\r\n".encode(), self.asked())
        self.assertEqual(self.successResultOf(command), 0)
        self.assertEqual(self.files()["date"], PAGE)

    def test_unknown_length(self) -> None:
        """A page whose length was not known may have any."""
        Path("page.part").unlink()
        self.stop_after(head(TAG, "Transfer-Encoding: chunked") + b"4\r\n0123\r\n")
        self.assertEqual(self.successResultOf(self.go_on(REST + PAGE[4:])), 0)

    def test_redirects(self) -> None:
        """A redirect in between is asked for the rest, too; only the last answer counts."""
        command = self.start("--continue", "--follow", URL)
        self.answered(command, head("Location: http://192.0.2.2/other", status="302 Found"))
        self.assertIn(b"Range: bytes=4-", self.asked())
        self.answered(command, REST + PAGE[4:])
        self.assertIn(b"GET /other", self.asked())
        self.assertIn(b"Range: bytes=4-", self.asked())
        self.assertEqual(self.successResultOf(command), 0)
        self.assertEqual(self.files(), {"page": PAGE})

    def test_all_there(self) -> None:
        """If the part was all of it, it gets its name."""
        Path("page.part").write_bytes(PAGE)
        Path("page").write_bytes(b"old")
        command = self.go_on(
            head("Content-Range: bytes */10", status="416 No"), options=("--open",)
        )
        self.assertEqual(self.successResultOf(command), 0)
        self.assertEqual(self.files(), {"page": PAGE})
        self.assertIn(
            "saved 10 bytes as 'page', 0 of them now, in place of the file that was there.",
            self.said(),
        )
        self.assertEqual(len(self.opened), 1)

    def test_all_there_and_no_place(self) -> None:
        """A part that is whole stays if it cannot get its name."""
        Path("page.part").write_bytes(PAGE)
        command = self.start("--continue", URL)
        Path("page").mkdir()
        self.answered(command, head("Content-Range: bytes */10", status="416 No"))
        self.assert_trouble(command, Trouble.FILE, "'page'")
        Path("page").rmdir()
        self.assertEqual(self.files(), {"page.part": PAGE})

    def test_packed_as_it_came(self) -> None:
        """What is not unpacked goes on in the bytes of its coding."""
        coded = gzip.compress(PAGE)
        url = f"{URL}.gz"
        lines = ("Content-Encoding: gzip", TAG)
        self.stop_after(head(*lines, f"Content-Length: {len(coded)}") + coded[:4], url=url)
        rest = part_of(f"bytes 4-{len(coded) - 1}/{len(coded)}", lines[0], length=len(coded) - 4)
        self.assertEqual(self.successResultOf(self.go_on(rest + coded[4:], url=url)), 0)
        self.assertEqual(self.files()["page.gz"], coded)

    def test_nothing_kept(self) -> None:
        """Without a part it is a fetch like any other."""
        Path("page.part").unlink()
        command = self.go_on(head("Content-Length: 10") + PAGE)
        self.assertNotIn(b"Range", self.asked())
        self.assertEqual(self.successResultOf(command), 0)
        self.assertEqual(self.files(), {"page": PAGE})


class FromTheStartTests(ContinueTestCase):
    """What does not go on, and loses nothing by it."""

    def test_changed(self) -> None:
        """A page that has changed comes from the start, in the same answer."""
        new = head('ETag: "new"', "Content-Length: 5")
        command = self.go_on(new + b"ab")
        self.assert_trouble(command, Trouble.RESET, "(2 bytes) is dropped", "still has the 4 bytes")
        self.assertIn("the page has changed: it comes from the start.", self.said())
        self.assertEqual(self.files(), {"page.part": PAGE[:4]})
        self.assertEqual(self.successResultOf(self.go_on(new + b"abcde")), 0)
        self.assertEqual(self.files(), {"page": b"abcde"})

    def test_no_parts(self) -> None:
        """A server that has no parts to send sends all of it."""
        command = self.go_on(WHOLE + PAGE)
        self.assertIn("sends no part of the page alone: it comes from the start.", self.said())
        self.assertEqual(self.successResultOf(command), 0)
        self.assertEqual(self.files(), {"page": PAGE})

    def test_parts_that_do_not_fit(self) -> None:
        """What is not exactly the rest of that page is not taken, and all of it asked for."""
        huge = "9" * 5000
        for answer, why in (
            (part_of("bytes 3-9/10", length=7), "sends bytes 3 to 9, not 4 to the end"),
            (part_of("bytes 5-9/10", length=5), "sends bytes 5 to 9"),
            (part_of("bytes 4-8/10", length=5), "sends bytes 4 to 8"),
            (part_of("bytes 4-9/11"), "has 11 bytes now, and had 10"),
            (part_of("bytes 4-9/*"), "does not say which part"),
            (part_of(f"bytes 4-{huge}/{huge}"), "does not say which part"),
            (part_of("bytes 4-9/9999999999999999999"), "has 9999999999999999999 bytes now"),
            (part_of("lines 4-9/10"), "does not say which part"),
            (part_of("bytes 4-9/10", "Content-Range: bytes 4-9/10"), "does not say which part"),
            (part_of("bytes 4-9/10", length=7), "contradicts itself"),
            (part_of("bytes 4-9/10", tag='ETag: "new"'), "of another page"),
            (part_of("bytes 4-9/10", tag=""), "of another page"),
            (part_of("bytes 4-9/10", "Content-Type: multipart/byteranges; boundary=x"), "several"),
            (part_of("bytes 4-9/10", "Content-Encoding: gzip"), "of what is packed"),
            (head("Content-Range: bytes */3", status="416 No"), "no byte after the first 4"),
            (head("Content-Range: bytes */4", status="416 No"), "no byte after the first 4"),
            (head("Content-Range: bytes */*", status="416 No"), "no byte after the first 4"),
            (head(status="416 No"), "no byte after the first 4"),
        ):
            command = self.go_on(answer + b"?" * 6)
            self.assertIn(f"{why}", self.said().splitlines()[-1])
            self.assertRegex(self.said(), r": it comes from the start\.\n\Z")
            self.assertTrue(self.transport.disconnecting or self.transport.disconnected)
            self.answered(command, WHOLE + PAGE[:2])
            self.assertNotIn(b"Range", self.asked())
            self.assert_trouble(command, Trouble.RESET, "still has the 4 bytes of an earlier try")
            self.assertEqual(self.files(), {"page.part": PAGE[:4]})

    def test_all_of_another(self) -> None:
        """A 416 of a page that has changed does not make the part that page."""
        Path("page.part").write_bytes(PAGE)
        other = head('ETag: "new"', "Content-Range: bytes */10", status="416 No")
        command = self.go_on(other)
        self.assertNoResult(command)
        self.assertEqual(self.files(), {"page.part": PAGE})
        self.answered(command, WHOLE + PAGE)
        self.assertEqual(self.successResultOf(command), 0)

    def test_nothing_after_the_end(self) -> None:
        """An empty range behind the end is no part of anything."""
        Path("page.part").write_bytes(PAGE)
        command = self.go_on(part_of("bytes 10-9/10", length=0))
        self.assertIn("sends bytes 10 to 9", self.said())
        self.answered(command, WHOLE + PAGE)
        self.assertEqual(self.successResultOf(command), 0)

    def test_longer_than_the_page(self) -> None:
        """A part that is longer than the page is kept until the page is whole."""
        Path("page.part").write_bytes(PAGE * 2)
        command = self.go_on(head("Content-Range: bytes */10", status="416 No"))
        self.answered(command, WHOLE + PAGE)
        self.assertEqual(self.successResultOf(command), 0)
        self.assertEqual(self.files(), {"page": PAGE})

    def test_other_url(self) -> None:
        """Two pages may have one ETag, and the file that -o names."""
        command = self.go_on(WHOLE + PAGE, url="http://192.0.2.1/elsewhere/page")
        self.assertNotIn(b"Range", self.asked())
        self.assertIn("'page.part' is a part of another URL's page", self.said())
        self.assertEqual(self.successResultOf(command), 0)

    def test_no_note(self) -> None:
        """What nothing is known of is not gone on with."""
        for lines in (("Content-Length: 10",), ('ETag: W/"weak"', "Content-Length: 10")):
            Path("page.part").unlink()
            self.stop_after(head(*lines) + PAGE[:4])
            self.assertTrue(self.said().endswith("(4 bytes) is in 'page.part'.\n"))
            command = self.go_on(WHOLE + PAGE[:2])
            self.assertNotIn(b"Range", self.asked())
            self.assertIn("what 'page.part' is a part of is not noted", self.said())
            self.assert_trouble(command, Trouble.RESET, "still has the 4 bytes")

    def test_unpacked(self) -> None:
        """What was unpacked is not what a range is of; nor is what --raw saves."""
        coded = gzip.compress(PAGE)
        for options in ((), ("--raw",)):
            Path("page.part").unlink()
            command = self.start(*options, URL)
            self.answered(command, head(TAG, "Content-Encoding: gzip") + coded[:-9], close=False)
            command.cancel()
            self.failureResultOf(command, CancelledError)
            self.close()
            self.assertIsNone(self.note())

    def test_coded_as_it_came(self) -> None:
        """With --no-decompress the bytes of the coding are what a range is of."""
        Path("page.part").unlink()
        command = self.start("--no-decompress", URL)
        coded = head(TAG, "Content-Encoding: gzip", "Content-Length: 10") + PAGE[:4]
        self.answered(command, coded)
        self.assert_trouble(command, Trouble.RESET, "--continue goes on")
        rest = part_of("bytes 4-9/10", "Content-Encoding: gzip")
        command = self.go_on(rest + PAGE[4:], options=("--no-decompress",))
        self.assertNotIn(b"Accept-Encoding", self.asked())
        self.assertEqual(self.successResultOf(command), 0)
        self.assertEqual(self.files(), {"page": PAGE})


class LosesNothingTests(ContinueTestCase):
    """What goes wrong, and leaves what is kept as it was."""

    def test_without_the_option(self) -> None:
        """A try without --continue shortens nothing, either."""
        command = self.start(URL)
        self.answered(command, WHOLE + b"ab")
        self.assert_trouble(command, Trouble.RESET, "(2 bytes) is dropped")
        self.assertEqual(self.files(), {"page.part": PAGE[:4]})
        command = self.start(URL)
        self.answered(command, WHOLE + b"abcde")
        self.assert_trouble(command, Trouble.RESET, "(5 bytes) is in 'page.part'")
        self.assertEqual(self.files(), {"page.part": b"abcde"})

    def test_no_connection(self) -> None:
        """No answer is no reason to lose anything, nor to keep others from it."""
        command = self.start("--continue", URL)
        self.refuse(ConnectionRefusedError())
        self.assert_trouble(command, Trouble.REFUSED)
        self.assertEqual(self.files(), {"page.part": PAGE[:4]})
        self.assertEqual(self.successResultOf(self.go_on(REST + PAGE[4:])), 0)

    def test_error(self) -> None:
        """The page of an error is none of the page."""
        for status in ("503 Busy", "404 Not Found", "302 Found"):
            command = self.go_on(head("Content-Length: 50", status=status) + b"x" * 50)
            self.assert_trouble(command, Trouble.STATUS)
            self.assertEqual(self.files(), {"page.part": PAGE[:4]})
        command = self.start(URL)
        self.answered(command, head("Content-Length: 6", status="503 Busy") + b"Sorry!")
        self.assertEqual(self.successResultOf(command), 0)
        self.assertEqual(self.files(), {"page.part": PAGE[:4], "page": b"Sorry!"})

    def test_too_many(self) -> None:
        """A part without end, or one that is too short, is the server's fault."""
        for body, words in (
            (b"6\r\n456789\r\n1\r\nx\r\n", "more bytes come than its Content-Range has"),
            (b"2\r\n45\r\n0\r\n\r\n", "fewer bytes come than its Content-Range has"),
        ):
            Path("page.part").write_bytes(PAGE[:4])
            chunked = part_of("bytes 4-9/10", "Transfer-Encoding: chunked", length=None)
            command = self.go_on(chunked + body)
            self.assert_trouble(command, Trouble.PROTOCOL, words)
            self.assertTrue(PAGE.startswith(self.files()["page.part"]))

    def test_bad_chunk(self) -> None:
        """What came in place of a chunk is not appended to what is good."""
        chunked = part_of("bytes 4-9/10", "Transfer-Encoding: chunked", length=None)
        command = self.go_on(chunked + b"2\r\n45\r\n<html>")
        self.assert_trouble(command, Trouble.PROTOCOL, "<html>")
        self.assertEqual(self.files(), {"page.part": PAGE[:6]})

    def test_too_large(self) -> None:
        """--max-size is about the whole page."""
        command = self.go_on(REST + PAGE[4:], options=("--max-size", "9"))
        self.assert_trouble(command, Trouble.SIZE, "more than 9 bytes")
        self.assertEqual(self.files(), {"page.part": PAGE[:4]})
        command = self.go_on(REST + PAGE[4:], options=("--max-size", "10"))
        self.assertEqual(self.successResultOf(command), 0)

    def test_two_at_once(self) -> None:
        """The second of two does not even ask."""
        first = self.start("--continue", URL)
        count = len(self.reactor.tcpClients)
        command = self.start("--continue", URL)
        self.assert_trouble(command, Trouble.FILE, "page.part", "another process writes it")
        self.assertEqual(len(self.reactor.tcpClients), count)
        first.cancel()
        self.failureResultOf(first, CancelledError)

    def test_wrong_uses(self) -> None:
        """What makes no sense together is refused."""
        for arguments, words in (
            (("--raw",), "--raw"),
            (("--head",), "leave --head"),
            (("-X", "POST"), "-X"),
            (("-X", "GET", "-d", "a"), "-d"),
            (("-o", "-"), "-o - out"),
            (("-H", "range: bytes=0-"), "Range"),
            (("-H", "If-Range: x"), "If-Range"),
        ):
            with redirect_stderr(StringIO()) as said:
                self.assertRaises(SystemExit, parse_options, ["--continue", *arguments, URL])
            self.assertIn(words, said.getvalue())

    def test_own_coding(self) -> None:
        """An Accept-Encoding of the user's stays alone."""
        options = parse_options(["--continue", "-H", "Accept-Encoding: gzip", URL])
        self.assertEqual(options.headers, [(b"Accept-Encoding", b"gzip")])
