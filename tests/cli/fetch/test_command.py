"""Tests of the command C{hello-fetch}."""

import errno
import gzip
import os
import sys
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from socket import AF_INET, AF_INET6
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, BinaryIO

import tqdm
from OpenSSL import SSL
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost, ConnectionRefusedError, NoRouteError
from twisted.python.failure import Failure

from hello_service.cli.console import Console, Outlet
from hello_service.cli.fetch import page
from hello_service.cli.fetch.body import Data
from hello_service.cli.fetch.command import Command
from hello_service.cli.fetch.option_groups import option_parser
from hello_service.cli.fetch.options import Options, parse_options
from hello_service.cli.fetch.progress import PATIENCE
from hello_service.cli.fetch.receiving import HELD, TURN
from hello_service.cli.fetch.redirects import FOLLOWED, REDIRECT_LIMIT
from hello_service.cli.fetch.trace import SHOWN
from hello_service.cli.trouble import Trouble, TroubleError
from hello_service.fetch.coding import CODINGS_LIMIT, PIECE
from tests.fetching import V4, FetchTestCase

URL = "http://192.0.2.1/page"


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


class CommandTestCase(FetchTestCase):
    """The command, in a folder of its own."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        before = Path.cwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, before)
        self.out: BinaryIO = self.enterContext(TemporaryFile())
        self.err: BinaryIO = self.enterContext(TemporaryFile())
        self.opened: list[str] = []
        self.has_browser = True

    def start(self, *arguments: str, terminal: bool = False) -> Deferred[int]:
        """Begin, up to the connection."""
        console = Console(
            Outlet(self.reactor, self.out.fileno(), is_terminal=terminal),
            Outlet(self.reactor, self.err.fileno(), is_terminal=terminal),
        )
        command = Command(self.reactor, parse_options(arguments), console, self.open_page)
        return Deferred.fromCoroutine(command.run())

    def open_page(self, url: str) -> bool:
        self.opened.append(url)
        return self.has_browser

    def printed(self) -> bytes:
        self.out.seek(0)
        return self.out.read()

    def said(self) -> str:
        self.err.seek(0)
        return self.err.read().decode()

    def pipe(self) -> tuple[int, BinaryIO]:
        """Make a pipe; return a descriptor to read from, and a stream to write to."""
        reader, writer = os.pipe()
        return reader, self.enterContext(open(writer, "wb", buffering=0))

    def answered(self, command: Deferred[int], *pieces: bytes, close: bool = True) -> None:
        """Answer the connection that was begun last."""
        self.transport = self.connect()
        for piece in pieces:
            self.peer.dataReceived(piece)
        if close:
            self.close()

    def fetch_page(self, *arguments: str, answer: bytes, **console: Any) -> None:
        """Fetch a page that arrives."""
        command = self.start(*(arguments or (URL,)), **console)
        self.answered(command, answer)
        self.assertEqual(self.successResultOf(command), 0)

    def assert_trouble(self, command: Deferred[int], trouble: Trouble, *words: str) -> None:
        error = self.failureResultOf(command, TroubleError).value
        self.assertIs(error.trouble, trouble)
        self.assertTrue(str(error).startswith(f"{trouble.name}: "))
        self.assertRegex(str(error), r"[.]\Z")
        for word in words:
            self.assertIn(word, str(error))

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in Path.cwd().iterdir()}


PAGE = head("Content-Length: 5") + b"hello"


class SavingTests(CommandTestCase):
    """Where head and body go."""

    def test_page(self) -> None:
        """The head is printed as it came, the body is saved under the URL's name."""
        self.fetch_page(answer=PAGE)
        self.assertEqual(self.files(), {"page": b"hello"})
        self.assertEqual(self.printed(), PAGE[:-5])
        self.assertEqual(self.said(), "hello-fetch: saved 5 bytes as 'page'.\n")

    def test_host(self) -> None:
        """A host alone is enough; its page is index.html."""
        self.fetch_page("192.0.2.1", answer=PAGE)
        self.assertEqual(self.files(), {"index.html": b"hello"})

    def test_output(self) -> None:
        """-o names the file, --quiet says nothing."""
        self.fetch_page("-o", "x", "--quiet", URL, answer=PAGE)
        self.assertEqual(self.files(), {"x": b"hello"})
        self.assertEqual(self.said(), "")

    def test_standard_output(self) -> None:
        """With -o - the body goes to standard output, the head to standard error."""
        self.fetch_page("-o", "-", URL, answer=PAGE)
        self.assertEqual(self.files(), {})
        self.assertEqual(self.printed(), b"hello")
        self.assertEqual(self.said(), PAGE[:-5].decode().replace("\r\n", "\n"))

    def test_head(self) -> None:
        """--head asks for the head, and saves nothing."""
        self.fetch_page("--head", URL, answer=PAGE[:-5])
        self.assertIn(b"HEAD /page", self.transport.value())
        self.assertEqual(self.files(), {})

    def test_interim(self) -> None:
        """Interim heads are printed, too."""
        hints = head(status="103 Early Hints")
        self.fetch_page(answer=hints + PAGE)
        self.assertEqual(self.printed(), hints + PAGE[:-5])

    def test_terminal(self) -> None:
        """On a terminal, a head cannot do anything."""
        self.fetch_page(answer=head("A: \x1b[31m\x9b", "Content-Length: 0"), terminal=True)
        self.assertIn(b"A: \\x1b[31m\\x9b\n", self.printed())

    def test_browser(self) -> None:
        """--open opens what was saved."""
        self.fetch_page("--open", URL, answer=PAGE)
        self.assertEqual(self.opened, [(Path.cwd() / "page").as_uri()])

    def test_no_browser(self) -> None:
        """Where no browser can be opened, the file is named."""
        self.has_browser = False
        self.fetch_page("--open", "--quiet", URL, answer=PAGE)
        self.assertIn(f"open {Path('page').absolute().as_uri()} yourself", self.said())

    def test_method(self) -> None:
        """-X asks in another way; after HEAD there is nothing to save."""
        self.fetch_page("-X", "DELETE", URL, answer=PAGE)
        self.assertIn(b"DELETE /page", self.transport.value())
        self.fetch_page("-X", "HEAD", "-o", "x", URL, answer=PAGE[:-5])
        self.assertEqual(self.files(), {"page": b"hello"})

    def test_login(self) -> None:
        """-u is sent, and not shown."""
        self.fetch_page("-u", "u:secret", "--trace", URL, answer=PAGE)
        self.assertIn(b"\r\nAuthorization: Basic dTpzZWNyZXQ=\r\n", self.transport.value())
        self.assertIn("Basic *", self.said())
        for word in ("secret", "dTpz", b"dTpz".hex(" ")):
            self.assertNotIn(word, self.said())

    def test_headers(self) -> None:
        """-H sends headers in their order and case."""
        self.fetch_page("-H", "x-B: 1", "-H", "X-a:2", URL, answer=PAGE)
        self.assertIn(b"x-B: 1\r\nX-a: 2\r\n\r\n", self.transport.value())

    def test_trace(self) -> None:
        """--trace shows the socket's events."""
        self.fetch_page("--trace", URL, answer=PAGE)
        self.assertIn(" ms  connecting to 192.0.2.1:80\n", self.said())
        self.assertIn("48 54 54 50", self.said())

    def test_families(self) -> None:
        """-4 and -6 restrict what a name stands for."""
        for flag, kind in (("-4", IPv4Address), ("-6", IPv6Address)):
            self.start(flag, "http://h/")
            self.assertEqual(self.resolver.asked[-1][2], [kind])


class CodingTests(CommandTestCase):
    """What is undone."""

    BODY = gzip.compress(b"hello")
    CODED = head("Transfer-Encoding: chunked", "Content-Encoding: gzip")
    CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)

    def test_browsers_view(self) -> None:
        """By default the page is saved as a browser would have it."""
        self.fetch_page(answer=self.CODED + self.CHUNKS)
        self.assertEqual(self.files(), {"page": b"hello"})

    def test_no_decompress(self) -> None:
        """--no-decompress keeps the coding, not the chunks."""
        self.fetch_page("--no-decompress", URL, answer=self.CODED + self.CHUNKS)
        self.assertEqual(self.files(), {"page": self.BODY})

    def test_raw(self) -> None:
        """--raw keeps all."""
        self.fetch_page("--raw", URL, answer=self.CODED + self.CHUNKS + b"more")
        self.assertEqual(self.files(), {"page": self.CHUNKS})

    def test_unknown(self) -> None:
        """A coding that is not known is kept, and said."""
        self.fetch_page(answer=head("Content-Encoding: br", "Content-Length: 5") + b"hello")
        self.assertEqual(self.files(), {"page": b"hello"})
        self.assertIn("saved as br", self.said())

    def test_bad(self) -> None:
        """What is not in its coding is an error with a way out."""
        command = self.start(URL)
        self.answered(command, head("Content-Encoding: gzip", "Content-Length: 5") + b"hello")
        self.assert_trouble(command, Trouble.PROTOCOL, "not gzip", "--no-decompress", "page.part")
        self.assertEqual(self.files(), {"page.part": b"hello"})

    def test_bad_in_pieces(self) -> None:
        """What arrived is kept as it came if nothing could be made of it."""
        command = self.start(URL)
        self.answered(command, head("Content-Encoding: gzip") + self.BODY[:5], b"\0", b"xy" * 40000)
        self.assert_trouble(command, Trouble.PROTOCOL, "page.part")
        self.assertEqual(self.files()["page.part"], (self.BODY[:5] + b"\0" + b"xy" * 40000)[:HELD])

    def test_damaged(self) -> None:
        """What was undone before the damage is kept, and not what is coded."""
        page = os.urandom(300_000)
        coded = gzip.compress(page)[:-8] + b"not them"
        command = self.start(URL)
        self.answered(command, head("Content-Encoding: gzip") + coded[:200_000], coded[200_000:])
        self.assert_trouble(command, Trouble.PROTOCOL, "page.part")
        self.assertTrue(page.startswith(self.files()["page.part"]))

    def test_no_chunks(self) -> None:
        """A body that is not in the chunks that its head announces is kept as it came."""
        for body in (b"<html>", b"5\r\nhello<html>", b"5\r\nhello\r\n<html>"):
            command = self.start(URL)
            self.answered(command, head("Transfer-Encoding: chunked") + body, close=False)
            self.assert_trouble(command, Trouble.PROTOCOL, " '<html>", "page.part")
            kept = self.files()["page.part"]
            self.assertTrue(kept.endswith(b"<html>"), kept)
            self.assertEqual(kept.startswith(b"hello"), b"hello" in body)

    def test_interrupted_before_a_chunk(self) -> None:
        """What is given up in the middle of a chunk's size is not gone on with."""
        command = self.start(URL)
        self.answered(command, head("Transfer-Encoding: chunked") + b"5", close=False)
        command.cancel()
        self.failureResultOf(command, CancelledError)
        self.close()
        self.assertEqual(self.files(), {})

    def test_packed(self) -> None:
        """What is named as packed stays so, and this is said; -o - goes by the URL."""
        coded = head("Content-Encoding: gzip") + self.BODY
        self.fetch_page("http://192.0.2.1/x.tar.gz", answer=coded)
        self.assertEqual(self.files(), {"x.tar.gz": self.BODY})
        self.assertIn("stays packed, as its name says", self.said())
        self.fetch_page("-o", "x", "http://192.0.2.1/x.tar.gz", answer=coded)
        self.assertEqual(self.files()["x"], b"hello")
        self.fetch_page("-o", "-", "http://192.0.2.1/x.tar.gz", answer=coded)
        self.assertTrue(self.printed().endswith(self.BODY))

    def test_packed_after_a_redirect(self) -> None:
        """-o - goes by the URL that redirects have led to."""
        command = self.start("--follow", "-o", "-", URL)
        moved = head("Location: /x.tar.gz", status="302 Found")
        self.answered(command, moved, close=False)
        self.answered(command, head("Content-Encoding: gzip") + self.BODY)
        self.assertTrue(self.printed().endswith(self.BODY))

    def test_bad_later(self) -> None:
        """A coding that breaks while the body comes ends the connection."""
        command = self.start(URL)
        self.answered(command, head("Content-Encoding: gzip") + self.BODY[:-8], close=False)
        self.peer.dataReceived(b"wrong ends")
        self.assertTrue(self.transport.disconnecting)
        self.reset()
        self.assert_trouble(command, Trouble.PROTOCOL)

    def test_cut(self) -> None:
        """A coding that ends too early is an error; what it stood for stays."""
        command = self.start(URL)
        self.answered(command, head("Content-Encoding: gzip") + self.BODY[:-1])
        self.assert_trouble(command, Trouble.PROTOCOL, "ends too early", "'page.part'")
        self.assertEqual(self.files(), {"page.part": b"hello"})

    def test_too_many(self) -> None:
        """Codings one upon the other are refused at once."""
        command = self.start(URL)
        coded = head(f"Content-Encoding: {', '.join(['gzip'] * (CODINGS_LIMIT + 1))}")
        self.answered(command, coded, close=False)
        self.assert_trouble(command, Trouble.PROTOCOL, "coded 6 times", "--no-decompress")
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.files(), {})

    def test_bomb(self) -> None:
        """--max-size counts what is saved, too."""
        command = self.start("--max-size", "1000", URL)
        bomb = gzip.compress(bytes(100_000))
        self.assertLess(len(bomb), 1000)
        self.answered(command, head("Content-Encoding: gzip") + bomb)
        self.assert_trouble(command, Trouble.SIZE, "1000 bytes", "--max-size", "'page.part'")
        self.assertEqual(self.files(), {"page.part": bytes(1000)})

    def test_exactly_as_large(self) -> None:
        """A page of just --max-size bytes is whole; a byte more is too many."""
        for size in (1000, PIECE):
            for more in (0, 1):
                page = bytes(size + more)
                command = self.start("--max-size", str(size), URL)
                self.answered(command, head("Content-Encoding: gzip") + gzip.compress(page))
                if more:
                    self.assert_trouble(command, Trouble.SIZE)
                    self.assertEqual(self.files(), {"page": page[:size], "page.part": page[:size]})
                else:
                    self.assertEqual(self.successResultOf(command), 0)

    def bomb(self) -> Deferred[int]:
        """Begin to receive what takes several turns of the reactor to save."""
        command = self.start(URL)
        bomb = gzip.compress(bytes(2 * TURN * PIECE + 5))
        self.answered(command, head("Content-Encoding: gzip") + bomb, close=False)
        self.assertEqual(self.transport.producerState, "paused")
        self.assertEqual(Path("page.part").stat().st_size, TURN * PIECE)
        return command

    def test_turns(self) -> None:
        """What becomes of few bytes is saved in turns, and nothing is read meanwhile."""
        command = self.bomb()
        self.reactor.pump([0, 0])
        self.assertEqual(self.transport.producerState, "producing")
        self.close()
        self.assertEqual(self.successResultOf(command), 0)
        self.assertEqual(Path("page").stat().st_size, 2 * TURN * PIECE + 5)

    def test_interrupted_between_turns(self) -> None:
        """What is given up is not gone on with."""
        command = self.bomb()
        command.cancel()
        self.failureResultOf(command, CancelledError)
        self.reactor.advance(0)
        self.assertEqual(Path("page.part").stat().st_size, TURN * PIECE)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class PipeTests(CommandTestCase):
    """Saving into a pipe that takes its time."""

    def setUp(self) -> None:
        super().setUp()
        self.reader, self.out = self.pipe()
        self.addCleanup(os.close, self.reader)
        self.page = os.urandom(500_000)
        self.command = self.start("-o", "-", "--timeout", "5", URL)
        begin = head("Content-Length: 500000") + self.page[:400_000]
        self.answered(self.command, begin, close=False)
        self.reactor.pump([0] * 100)

    def writer(self) -> Any:
        (writer,) = self.reactor.writers
        return writer

    def test_full(self) -> None:
        """Nothing is read while the pipe is full, and no time runs out."""
        self.assertEqual(self.transport.producerState, "paused")
        self.assertTrue(os.path.sameopenfile(self.writer().fileno(), self.out.fileno()))
        self.assertEqual(self.writer().logPrefix(), "output")
        self.reactor.advance(60)
        self.assertNoResult(self.command)
        received = b""
        while len(received) < len(self.page):
            received += os.read(self.reader, 65536)
            if self.reactor.writers:
                self.writer().doWrite()
            self.reactor.pump([0] * 100)
            if len(received) == 400_000:
                self.assertEqual(self.transport.producerState, "producing")
                self.peer.dataReceived(self.page[400_000:])
                self.reactor.pump([0] * 100)
        self.assertEqual(received, self.page)
        self.assertEqual(self.reactor.writers, set())
        self.assertEqual(self.successResultOf(self.command), 0)

    def test_interrupted(self) -> None:
        """Ctrl+C waits for nobody."""
        self.command.cancel()
        self.failureResultOf(self.command, CancelledError)
        self.assertEqual(self.reactor.writers, set())

    def test_reader_gone(self) -> None:
        """The reactor may tell of a broken pipe as of a lost connection."""
        os.close(self.reader)
        self.reader = os.open(os.devnull, os.O_RDONLY)
        self.writer().connectionLost(Failure(ConnectionLost()))
        self.reset()
        self.failureResultOf(self.command, BrokenPipeError)


class RedirectTests(CommandTestCase):
    """Pages that are elsewhere."""

    MOVED = head("Location: https://192.0.2.1/", "Content-Length: 2", status="302 Found")

    def test_explained(self) -> None:
        """Without --follow, a redirect is a page, and is explained."""
        self.fetch_page("-q", URL, answer=self.MOVED + b"hi")
        self.assertEqual(self.files(), {})
        self.assertEqual(
            self.said(),
            "hello-fetch: 302 means that the page is at https://192.0.2.1/: add --follow to go"
            " there; nothing is saved.\n",
        )

    def test_explained_without_a_page(self) -> None:
        """What --follow would not do is not proposed."""
        self.fetch_page(answer=head("Location: mailto:me", status="302 Found"))
        self.assertIn("'mailto:me', which is no page", self.said())
        self.assertNotIn("--follow", self.said())

    def test_head(self) -> None:
        """--head saves nothing anyway, and explains alike."""
        self.fetch_page("--head", URL, answer=self.MOVED)
        self.assertIn("add --follow to go there.\n", self.said())
        self.fetch_page("--head", URL, answer=head(status="304 Not Modified"))
        self.assertIn("your headers name.\n", self.said())

    def test_printed(self) -> None:
        """On standard output nothing is replaced: what comes with a redirect is shown."""
        Path("-").write_bytes(b"no output")
        self.fetch_page("-o", "-", URL, answer=self.MOVED + b"hi")
        self.assertEqual(self.printed(), b"hi")
        self.assertIn("302 means", self.said())
        self.assertIn("; nothing is saved.\n", self.said())

    def test_failed(self) -> None:
        """--fail takes a redirect that is not followed for a failure, but not 304."""
        command = self.start("--fail", URL)
        self.answered(command, self.MOVED, close=False)
        self.assert_trouble(command, Trouble.STATUS, "add --follow to go there; nothing is saved")
        self.fetch_page("--fail", URL, answer=head(status="304 Not Modified"))

    def follow(self, *targets: str, arguments: tuple[str, ...] = ()) -> Deferred[int]:
        command = self.start("--follow", *arguments, URL)
        for target in targets:
            self.answered(command, head(f"Location: {target}", status="302 Found"), close=False)
            self.assertTrue(self.transport.disconnecting)
        return command

    def test_two_places(self) -> None:
        """Of two places none is guessed."""
        answer = head("Location: /a", "Location: /b", status="302 Found")
        command = self.start("--follow", URL)
        self.answered(command, answer, close=False)
        self.assert_trouble(command, Trouble.PROTOCOL, "/a and /b")

    def test_host(self) -> None:
        """A Host of the user's is for the first origin alone."""
        command = self.follow("/b", "//192.0.2.2/", arguments=("-H", "Host: inner"))
        self.answered(command, PAGE)
        self.assertIn(b"Host: 192.0.2.2\r\n", self.transport.value())

    def test_followed(self) -> None:
        """With --follow, each head is shown, and the last page saved."""
        command = self.follow("/a", "//192.0.2.2/b/", "c?d")
        self.answered(command, PAGE)
        self.assertEqual(self.successResultOf(command), 0)
        self.assertEqual(self.files(), {"page": b"hello"})
        self.assertEqual(self.printed().count(b"HTTP/1.1 302"), 3)
        self.assertIn(b"GET /b/c?d HTTP/1.1\r\nHost: 192.0.2.2\r\n", self.transport.value())

    def test_secrets(self) -> None:
        """Secrets stay with the origin that they were meant for."""
        secret = ("-u", "u:p", "-H", "A: b")
        command = self.follow("/a", arguments=secret)
        self.answered(command, PAGE)
        self.assertIn(b"Authorization", self.transport.value())
        command = self.follow("http://192.0.2.1:81/", arguments=secret)
        self.answered(command, PAGE)
        self.assertNotIn(b"Authorization", self.transport.value())
        self.assertIn(b"A: b", self.transport.value())

    def test_bytes(self) -> None:
        """Bytes that cannot stand in a URL are taken for what they are."""
        for location, target in (
            (b"/caf\xe9", b"/caf%E9"),
            ("/caf\u00e9".encode(), b"/caf%C3%A9"),
            (b"/a b", b"/a%20b"),
        ):
            command = self.start("--follow", URL)
            moved = b"HTTP/1.1 302 Found\r\nLocation: %b\r\n\r\n" % location
            self.answered(command, moved, close=False)
            self.answered(command, PAGE)
            self.assertTrue(self.transport.value().startswith(b"GET %b HTTP" % target))

    def test_who_is_to_blame(self) -> None:
        """What goes wrong with the last page is told of the last place."""
        command = self.follow("//192.0.2.2/")
        self.answered(command, PAGE[:-2])
        self.assert_trouble(command, Trouble.RESET, "192.0.2.2: ")

    def test_circle(self) -> None:
        """A circle ends."""
        Path("page").write_bytes(b"old")
        command = self.follow(*["/page"] * REDIRECT_LIMIT)
        self.assertNoResult(command)
        self.answered(command, self.MOVED, close=False)
        sentence = str(self.failureResultOf(command, TroubleError).value)
        self.assertIn(f"more than {REDIRECT_LIMIT} redirects", sentence)
        self.assertIn("'page' is left as it was", sentence)

    def test_limit(self) -> None:
        """As many redirects are followed as the limit says."""
        command = self.follow(*["/page"] * REDIRECT_LIMIT)
        self.answered(command, PAGE)
        self.assertEqual(self.successResultOf(command), 0)

    def test_cookies(self) -> None:
        """A cookie that a redirect sets goes along, and is seen in the head that is sent."""
        command = self.start("--follow", "--trace", "-H", "Cookie: mine=1", URL)
        cookie = head("Location: /in", "Set-Cookie: a=b; Path=/", status="302 Found")
        self.answered(command, cookie, close=False)
        self.answered(command, head("Location: //192.0.2.2/", status="302 Found"), close=False)
        self.assertIn(b"\r\nCookie: mine=1; a=b\r\n", self.transport.value())
        self.assertIn("mine=1; a=b", "".join(line[61:] for line in self.said().splitlines()))
        self.answered(command, PAGE)
        self.assertNotIn(b"Cookie", self.transport.value())
        self.assertEqual(self.successResultOf(command), 0)

    def test_other_host(self) -> None:
        """Two slashes where one was meant name a host, which DNS does not know."""
        command = self.follow("//page/")
        self.resolver.resolve([])
        self.assert_trouble(
            command, Trouble.DNS, "'//page/' names another host, page, as it begins"
        )
        command = self.follow("http://page/")
        self.resolver.resolve([])
        sentence = str(self.failureResultOf(command, TroubleError).value)
        self.assertNotIn("slashes", sentence)

    def test_nowhere(self) -> None:
        """A redirect to what is no page is an error."""
        command = self.follow("mailto:me")
        self.assert_trouble(command, Trouble.PROTOCOL, "mailto:me")


class TroubleTests(CommandTestCase):
    """What goes wrong: a word, a sentence, a status, and what is left."""

    def test_dns(self) -> None:
        """A name without an address."""
        command = self.start("http://h/")
        self.resolver.resolve([])
        self.assert_trouble(command, Trouble.DNS, "h: ")

    def test_refused(self) -> None:
        """Nobody listens."""
        command = self.start(URL)
        self.refuse(ConnectionRefusedError())
        self.assert_trouble(command, Trouble.REFUSED, "192.0.2.1 refused")
        self.assertEqual(self.files(), {})

    def test_unreachable(self) -> None:
        """No way there."""
        command = self.start(URL)
        self.refuse(NoRouteError())
        self.assert_trouble(command, Trouble.UNREACHABLE)

    def test_timeout(self) -> None:
        """No connection, no answer, no more of the body in time."""
        command = self.start("--timeout", "2", URL)
        self.reactor.advance(2)
        self.assert_trouble(command, Trouble.TIMEOUT, "2 seconds", "--timeout")
        command = self.start("--timeout", "2", URL)
        self.answered(command, head() + b"hel", close=False)
        self.reactor.advance(2)
        self.assert_trouble(command, Trouble.TIMEOUT, "2 seconds", "3 bytes", "'page.part'")
        self.assertEqual(self.files(), {"page.part": b"hel"})

    def test_reset(self) -> None:
        """A body that is cut short stays beside its place."""
        Path("page").write_bytes(b"old")
        command = self.start(URL)
        self.answered(command, PAGE[:-2])
        self.assert_trouble(command, Trouble.RESET, "3 of 5 bytes", "(3 bytes) is in 'page.part'")
        self.assertEqual(self.files(), {"page": b"old", "page.part": b"hel"})

    def test_closed_without_a_word(self) -> None:
        """It may be a port for TLS, if it is not the one for http."""
        for url, told in (("http://192.0.2.1:8443/", True), (URL, False)):
            command = self.start(url)
            self.answered(command)
            sentence = str(self.failureResultOf(command, TroubleError).value)
            self.assertEqual("or ask for https://, if" in sentence, told)

    def test_protocol(self) -> None:
        """What is no HTTP."""
        for banner, words in (
            (b"SSH-2.0-x\r\n", "begins with 'SSH-2.0-x' and looks like SSH: check the port."),
            (b"220 mail\r\n250 ok\r\n", "begins with '220 mail' and looks like SMTP or FTP"),
            (b"\x15\x03\x01", "ask for https://"),
            (b"junk\x1b", "begins with 'junk\\x1b': check the port"),
            (b"\r\nHTTP/1.1 200 OK\r\n\r\n", "begins with an empty line: check the port"),
        ):
            command = self.start(URL)
            self.answered(command, banner, close=False)
            self.assert_trouble(command, Trouble.PROTOCOL, "this is not HTTP", words)
            self.assertTrue(self.printed().endswith(banner))

    def test_refused_head(self) -> None:
        """What came of a head that is refused is shown."""
        refused = head("A: b", "Content-Length: x")
        command = self.start(URL)
        self.answered(command, head(status="103 Early") + refused, close=False)
        self.assert_trouble(command, Trouble.PROTOCOL, "Content-Length", "server's fault")
        self.assertEqual(self.printed(), head(status="103 Early") + refused)

    def test_names_as_they_came(self) -> None:
        """A header that is refused is named as the server wrote it."""
        command = self.start(URL)
        self.answered(command, head("X Y: 1"), close=False)
        self.assert_trouble(command, Trouble.PROTOCOL, "'X Y'")

    def test_part_of_a_head(self) -> None:
        """What came of a head that is never whole is shown; a sentence begins a line."""
        command = self.start(URL, terminal=True)
        self.answered(command, b"HTTP/1.1 200 OK\r\nA: b\r\nB")
        self.assert_trouble(command, Trouble.RESET, "inside the head")
        self.assertEqual(self.printed(), b"HTTP/1.1 200 OK\nA: b\nB\n")

    def shake_hands(self) -> Deferred[int]:
        """Begin to fetch by https; return the command, C{self.peer} being in the handshake."""
        command = self.start("https://192.0.2.1/")
        factory: Any = self.reactor.tcpClients[-1][2]
        self.peer = factory.buildProtocol(V4)
        self.peer.transport = object()
        self.peer._connected = True
        return command

    def test_tls(self) -> None:
        """No TLS."""
        command = self.shake_hands()
        error = SSL.Error([("SSL routines", "", "wrong version number")])
        self.peer.connectionLost(Failure(error))
        self.assert_trouble(command, Trouble.TLS, "192.0.2.1", "ask for http://")

    def test_handshake_cut(self) -> None:
        """The connection ends before TLS is agreed on: the peer or the network, not TLS."""
        command = self.shake_hands()
        self.reset()
        self.assert_trouble(command, Trouble.RESET, "during the TLS handshake", "try again")

    def test_size(self) -> None:
        """More than is wanted."""
        command = self.start("--max-size", "4", URL)
        self.answered(command, PAGE, close=False)
        self.assert_trouble(command, Trouble.SIZE, "more than 4 bytes", "--max-size")
        self.assertEqual(self.files(), {})

    def test_status(self) -> None:
        """--fail takes 4xx and 5xx for failures; without it they are pages."""
        for status, words in (("404 Not \x80", "check the URL"), ("500 Oops", "try again later")):
            command = self.start("--fail", URL)
            self.answered(command, head("Content-Length: 5", status=status), close=False)
            self.assert_trouble(command, Trouble.STATUS, status[:3], words)
            self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.files(), {})
        self.fetch_page(answer=head("Content-Length: 2", status="404 Not Found") + b"no")
        self.assertEqual(self.files(), {"page": b"no"})

    def test_file(self) -> None:
        """A place that cannot be written to."""
        command = self.start("-o", "no/page", URL)
        self.answered(command, PAGE[:-5], close=False)
        self.assertTrue(self.transport.disconnecting)
        self.assert_trouble(command, Trouble.FILE, "'no/page.part'", "-o")

    def test_fifo_without_a_reader(self) -> None:
        """What the system calls a missing device or address is a missing reader."""
        os.mkfifo("page")
        command = self.start(URL)
        self.answered(command, PAGE, close=False)
        self.assert_trouble(command, Trouble.FILE, "'page' cannot be written (nobody reads it)")

    def test_output(self) -> None:
        """Standard output that cannot be written is named so."""
        self.out = self.enterContext(open("/dev/full", "wb", buffering=0))
        command = self.start("-o", "-", URL)
        self.answered(command, PAGE, close=False)
        self.assert_trouble(command, Trouble.FILE, "the output cannot be written")

    def test_head_that_cannot_be_printed(self) -> None:
        """A full disk under the head is told before the body is waited for."""
        self.out = self.enterContext(open("/dev/full", "wb", buffering=0))
        command = self.start(URL)
        self.answered(command, PAGE[:-2], close=False)
        self.assertEqual(self.failureResultOf(command, OSError).value.errno, errno.ENOSPC)
        self.assertEqual(self.files(), {})

    def test_few_descriptors(self) -> None:
        """A file that cannot be opened for want of descriptors is told so."""

        def fail(*_: object, **__: object) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        self.patch(page, "place_at", fail)
        command = self.start(URL)
        self.answered(command, PAGE, close=False)
        self.assert_trouble(command, Trouble.FILE, "'page'", "raise the limit, with ulimit -n 64.")

    def test_other_family(self) -> None:
        """An address has one family."""
        for option, url in (("-6", URL), ("-6", "192.0.2.1:81"), ("-4", "[2001:db8::1]:81")):
            self.assert_trouble(self.start(option, url), Trouble.DNS, "-4 and -6")

    def test_full(self) -> None:
        """A file system that is full."""
        if not os.path.exists("/dev/full"):
            self.skipTest("there is no /dev/full here")
        command = self.start("-o", "/dev/full", URL)
        self.answered(command, PAGE, close=False)
        self.assert_trouble(command, Trouble.FILE, "'/dev/full'", "No space left")

    def test_interrupted(self) -> None:
        """Ctrl+C says what is left, if something is."""
        command = self.start(URL)
        command.cancel()
        self.failureResultOf(command, CancelledError)
        self.assertEqual(self.said(), "")
        command = self.start(URL)
        self.answered(command, PAGE[:-2], close=False)
        command.cancel()
        self.failureResultOf(command, CancelledError)
        self.assertIn("3 bytes) is in 'page.part'", self.said())

    def test_no_name_for_tls(self) -> None:
        """An address in an odd spelling, which no certificate is for; also behind a redirect."""
        command = self.start("https://0x7f.1/")
        self.assert_trouble(command, Trouble.TLS, "'0x7f.1' is a number", "like 127.0.0.1")
        command = self.start("--follow", URL)
        self.answered(command, b"HTTP/1.1 302 Found\r\nLocation: https://0/\r\n\r\n")
        self.assert_trouble(command, Trouble.TLS, "'0' is a number", "like 127.0.0.1")

    def test_broken_pipe(self) -> None:
        """Nobody reads."""

        reader, self.out = self.pipe()
        os.close(reader)
        command = self.start("-o", "-", URL)
        self.answered(command, PAGE)
        self.failureResultOf(command, BrokenPipeError)


class NoPageTests(CommandTestCase):
    """Answers without a page of their own leave the file that is there alone."""

    def setUp(self) -> None:
        super().setUp()
        Path("page").write_bytes(b"old")

    def assert_untouched(self, sentence: str) -> None:
        self.assertEqual(self.files(), {"page": b"old"})
        self.assertIn("'page' is left as it was.", sentence)

    def test_empty(self) -> None:
        """204, 205 and 304 are no failure, and are told."""
        for status in ("204 No Content", "205 Reset Content", "304 Not Modified"):
            for arguments in ((URL,), ("--fail", URL), ("--follow", URL)):
                self.fetch_page(*arguments, answer=head("Content-Length: 0", status=status))
                sentence = self.said().splitlines()[-1]
                self.assertTrue(sentence.startswith(f"hello-fetch: {status[:3]} means"))
                self.assert_untouched(sentence)

    def test_quiet(self) -> None:
        """--quiet leaves out what is no surprise, and not that a redirect is not followed."""
        self.fetch_page("-q", URL, answer=head(status="304 Not Modified"))
        self.assertEqual(self.said(), "")
        self.fetch_page("-q", URL, answer=head("Location: /a", status="302 Found"))
        self.assert_untouched(self.said())

    def test_redirects(self) -> None:
        """Nor is any redirect that is not followed, whatever its status and its Location."""
        for location in ((), ("Location: ",), ("Location: #a",), ("Location: /a",)):
            for code in range(300, 400):
                if code == 304:
                    continue
                answer = head(*location, "Content-Length: 2", status=f"{code} X") + b"hi"
                self.fetch_page(answer=answer)
                self.assert_untouched(self.said().splitlines()[-1])
                if code not in FOLLOWED:
                    self.fetch_page("--follow", URL, answer=answer)
                    self.assert_untouched(self.said().splitlines()[-1])

    def test_redirects_that_lead_nowhere(self) -> None:
        """A redirect that was to be followed, and leads nowhere, is a failure."""
        for location in ((), ("Location: ",), ("Location: #a",)):
            for code in FOLLOWED:
                command = self.start("--follow", URL)
                self.answered(command, head(*location, status=f"{code} X") + b"hi", close=False)
                self.assertTrue(self.transport.disconnecting)
                error = self.failureResultOf(command, TroubleError).value
                self.assertIs(error.trouble, Trouble.PROTOCOL)
                self.assert_untouched(str(error))

    def test_interim(self) -> None:
        """An interim answer that nothing follows is no page, nor is a switch of protocols."""
        for status, trouble in (("100 Continue", Trouble.RESET), ("101 X", Trouble.PROTOCOL)):
            command = self.start(URL)
            self.answered(command, head(status=status))
            self.assert_trouble(command, trouble)
            self.assertEqual(self.files(), {"page": b"old"})


class BodyTests(CommandTestCase):
    """A body on its way."""

    def test_sent(self) -> None:
        """It follows the head; of a big one --trace shows the beginning."""
        self.fetch_page("--trace", "-d", "a" * (SHOWN + 5), URL, answer=PAGE)
        self.assertIn(b"POST /page HTTP/1.1", self.transport.value())
        self.assertIn(b"Content-Length: 4101\r\n", self.transport.value())
        self.assertTrue(self.transport.value().endswith(b"\r\n\r\n" + b"a" * (SHOWN + 5)))
        self.assertIn("> sent 4101 bytes, 5 of them not shown: --trace-all", self.said())
        self.assertIn("> 000ff0  61 61", self.said())
        self.assertNotIn("> 001000", self.said())

    def file_command(self) -> Deferred[int]:
        Path("file").write_bytes(b"0123456789")
        command = self.start("-d", "@file", URL)
        self.transport = self.connect()
        return command

    def read_more(self) -> None:
        for reader in list(self.reactor.getReaders()):
            reader.doRead()

    def test_file_cut(self) -> None:
        """A file that became shorter is told of."""
        command = self.file_command()
        Path("file").write_bytes(b"01234")
        self.read_more()
        self.read_more()
        self.assert_trouble(command, Trouble.FILE, "became shorter while it was sent")

    def test_file_broken(self) -> None:
        """So is one that cannot be read on."""
        command = self.file_command()
        (reader,) = self.reactor.getReaders()
        folder = os.open(".", os.O_RDONLY)
        os.dup2(folder, reader.fileno())
        os.close(folder)
        self.read_more()
        self.assert_trouble(command, Trouble.FILE, "cannot be read on (Is a directory)")

    def test_redirect(self) -> None:
        """A pipe that would have to be sent again leaves what is there alone."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        os.close(writer)
        Path("page").write_bytes(b"old")
        command = self.start("-L", "-d", f"@/dev/fd/{reader}", URL)
        self.transport = self.connect()
        self.read_more()
        self.peer.dataReceived(head("Location: /b", "Content-Length: 0", status="307 Again"))
        self.assert_trouble(command, Trouble.PROTOCOL, "307 asks to send", "'page' is left as it")


class StatusTests(CommandTestCase):
    """What is said about 4xx and 5xx."""

    DENIED = head("WWW-Authenticate: Basic", "Content-Length: 2", status="401 Who") + b"no"
    HINT = "401 wants to know who asks: write -u USER."

    def test_hint(self) -> None:
        """What to do comes after the page, and not with --quiet."""
        self.fetch_page(answer=self.DENIED)
        self.assertTrue(self.said().endswith(f"'page'.\nhello-fetch: {self.HINT}\n"))
        self.fetch_page("-I", URL, answer=self.DENIED[:-2])
        self.assertEqual(self.said().count(self.HINT), 2)
        self.fetch_page("-q", URL, answer=self.DENIED)
        self.assertEqual(self.said().count(self.HINT), 2)

    def test_failed(self) -> None:
        """With --fail it is what has failed."""
        command = self.start("--fail", URL)
        self.answered(command, self.DENIED, close=False)
        self.assert_trouble(command, Trouble.STATUS, self.HINT)

    def test_after_a_redirect(self) -> None:
        """A login that did not go along is told of."""
        command = self.start("-L", "-u", "u:p", URL)
        self.answered(command, head("Location: http://192.0.2.2/", status="302 X"), close=False)
        self.answered(command, self.DENIED)
        self.assertEqual(self.successResultOf(command), 0)
        self.assertIn("yours is for http://192.0.2.1:80 alone", self.said())


class ExcessTests(CommandTestCase):
    """Bytes beyond the end of the page."""

    def test_length(self) -> None:
        """More than Content-Length announced: why is my page cut?"""
        self.fetch_page(answer=PAGE + b"more")
        self.assertEqual(self.files(), {"page": b"hello"})
        self.assertIn("hello-fetch: 4 bytes more came than the head announced", self.said())

    def test_chunks(self) -> None:
        """More than the chunks."""
        self.fetch_page(answer=head("Transfer-Encoding: chunked") + b"0\r\n\r\nmore")
        self.assertIn("4 bytes more came after the last chunk", self.said())

    def test_no_body(self) -> None:
        """More than the head, of an answer that has nothing else."""
        for status in ("204 No Content", "304 Not Modified"):
            self.fetch_page(answer=head(status=status) + b"more")
            self.assertIn("4 bytes more came after the head", self.said())
        self.fetch_page("--head", URL, answer=PAGE)
        self.assertIn("5 bytes more came after the head", self.said())

    def test_trace(self) -> None:
        """A trace has it as an event, whatever --quiet says."""
        self.fetch_page("-q", "--trace", URL, answer=PAGE + b"more")
        self.assertIn(" ms  4 bytes more came", self.said())
        self.assertNotIn("hello-fetch: ", self.said())

    def test_none(self) -> None:
        """Else nothing is said."""
        self.fetch_page(answer=PAGE)
        self.assertNotIn("more", self.said())


class FullConsoleTests(CommandTestCase):
    """What is said into a pipe that nobody reads."""

    def setUp(self) -> None:
        super().setUp()
        self.reader, self.err = self.pipe()
        self.addCleanup(os.close, self.reader)
        os.set_blocking(self.reader, False)
        os.set_blocking(self.err.fileno(), False)
        while self.err.write(bytes(4096)):
            pass

    def drain(self) -> bytes:
        """Read all that there is, and all that follows."""
        received = b""
        while True:
            for writer in self.reactor.getWriters():
                writer.doWrite()
            try:
                received += os.read(self.reader, 65536)
            except BlockingIOError:
                return received.lstrip(b"\0")

    def test_order(self) -> None:
        """The head comes before the body, and the body waits until it is read."""
        self.out = self.err
        command = self.start("-o", "-", URL)
        self.answered(command, PAGE)
        self.assertNoResult(command)
        self.assertEqual(self.drain(), PAGE.replace(b"\r\n", b"\n"))
        self.assertEqual(self.successResultOf(command), 0)

    def test_trace(self) -> None:
        """Nothing is read beyond what the reader of a trace has read."""
        command = self.start("--trace-all", URL)
        self.answered(command, head("Content-Length: 10"), close=False)
        self.assertEqual(self.transport.producerState, "producing")
        self.peer.dataReceived(b"bbbbb")
        self.assertEqual(self.transport.producerState, "paused")
        self.assertEqual(self.files(), {"page.part": b""})
        self.assertIn(b"62 62 62 62 62 ", self.drain())
        self.assertEqual(self.transport.producerState, "producing")
        self.assertEqual(self.files(), {"page.part": b"bbbbb"})
        self.peer.dataReceived(b"ccccc")
        self.close()
        self.assertEqual(self.successResultOf(command), 0)

    def test_interrupted(self) -> None:
        """Ctrl+C waits for nobody."""
        command = self.start("--trace", URL)
        self.answered(command, PAGE, close=False)
        command.cancel()
        self.failureResultOf(command, CancelledError)
        self.drain()
        self.assertEqual(self.files(), {})

    def test_last_words(self) -> None:
        """A command is not over before its last words are read."""
        command = self.start(URL)
        self.answered(command, PAGE)
        self.assertEqual(self.files(), {"page": b"hello"})
        self.assertNoResult(command)
        self.assertIn(b"saved 5 bytes", self.drain())
        self.assertEqual(self.successResultOf(command), 0)


class ProgressTests(CommandTestCase):
    """A bar for bodies that take their time."""

    def slow(self, *arguments: str, terminal: bool = True) -> str:
        self.err = self.enterContext(TemporaryFile())
        command = self.start(*arguments, URL, terminal=terminal)
        self.answered(command, head("Content-Length: 6") + b"he", close=False)
        self.peer.dataReceived(b"l")
        self.reactor.advance(PATIENCE)
        self.peer.dataReceived(b"lo")
        self.peer.dataReceived(b"!")
        self.assertEqual(self.successResultOf(command), 0)
        self.close()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        return self.said()

    def test_shown(self) -> None:
        """It is shown on a terminal, after a second, which counts."""
        shown = self.slow()
        self.assertIn("6.00/6.00", shown)
        self.assertNotIn("[00:00<", shown)

    def test_clock(self) -> None:
        """Its second starts with the body, however long the server thinks after the head."""
        command = self.start(URL, terminal=True)
        self.answered(command, head("Content-Length: 6"), close=False)
        self.reactor.advance(PATIENCE)
        self.peer.dataReceived(b"hel")
        self.reactor.advance(PATIENCE / 2)
        self.peer.dataReceived(b"lo!")
        self.close()
        self.assertEqual(self.successResultOf(command), 0)
        self.assertNotIn("6.00", self.said())

    def test_not_shown(self) -> None:
        """It is not shown elsewhere, nor if it is not wanted."""
        self.assertNotIn("6.00", self.slow(terminal=False))
        self.assertEqual(self.slow("--quiet"), "")

    def test_beside_the_page(self) -> None:
        """It does not stand in the way of a page that is shown on the terminal, too."""
        self.assertNotIn("6.00", self.slow("-o", "-"))

    def test_interrupted(self) -> None:
        """It ends before the next word is said."""
        command = self.start(URL, terminal=True)
        self.answered(command, head("Content-Length: 6") + b"he", close=False)
        self.reactor.advance(PATIENCE)
        command.cancel()
        self.failureResultOf(command, CancelledError)
        self.assertTrue(self.said().endswith("\nhello-fetch: What arrived (2 bytes) is in"
                                                     " 'page.part'.\n"))  # fmt: skip

    def test_not_installed(self) -> None:
        """It is not shown where tqdm is missing."""
        modules: dict[str, Any] = sys.modules
        modules["tqdm"], here = None, tqdm
        self.addCleanup(modules.__setitem__, "tqdm", here)
        self.assertNotIn("6.00", self.slow())


class OptionsTests(CommandTestCase):
    """What the command can be told."""

    def parse(self, *arguments: str) -> Options:
        return parse_options(arguments)

    def test_defaults(self) -> None:
        """A URL is all that it needs."""
        options = self.parse("h:81")
        self.assertEqual((options.url, options.timeout), ("http://h:81", 30))
        self.assertEqual((options.family, options.max_size, options.headers), (None, None, []))
        self.assertEqual(self.parse("h:81/a?b=c://d").url, "http://h:81/a?b=c://d")
        self.assertEqual(self.parse("-4", "h").family, AF_INET)
        self.assertEqual(self.parse("-6", "h").family, AF_INET6)

    def test_help(self) -> None:
        """It stands in groups, and fits a terminal."""
        self.patch(os, "environ", {**os.environ, "COLUMNS": "80"})
        shown = option_parser().format_help()
        self.assertLessEqual(max(map(len, shown.splitlines())), 80)
        for group in ("the request", "where it goes", "the answer", "what is saved"):
            self.assertIn(f"\n\n{group}", shown)

    def test_short_forms(self) -> None:
        """The letters that curl has for them may be joined."""
        options = self.parse("-ILfv", "h")
        self.assertEqual((options.head, options.follow), (True, True))
        self.assertEqual((options.fail, options.trace), (True, True))

    def test_method(self) -> None:
        """GET, or what -I, -d and -X say."""
        for arguments, method in (
            ((), b"GET"),
            (("-I",), b"HEAD"),
            (("-d", ""), b"POST"),
            (("-X", "get"), b"get"),
            (("-X", "PUT", "-d", "x"), b"PUT"),
            (("-I", "-X", "HEAD"), b"HEAD"),
        ):
            options = self.parse(*arguments, "h")
            self.assertEqual((options.method, options.head), (method, method == b"HEAD"))
        self.assertTrue(self.parse("-X", "HEAD", "h").head)

    def test_data(self) -> None:
        """A body is a form's, unless a header says otherwise."""
        form = (b"Content-Type", b"application/x-www-form-urlencoded")
        options = self.parse("-d", "a=b", "-d", "c=d", "h")
        self.assertEqual((options.body, options.headers), (Data(b"a=b&c=d"), [form]))
        options = self.parse("-d", "{}", "-H", "content-type: application/json", "h")
        self.assertEqual(options.headers, [(b"content-type", b"application/json")])

    def test_login(self) -> None:
        """-u logs in; a password that is left out is asked for."""
        login = [(b"Authorization", b"Basic dTpw")]
        self.assertEqual(self.parse("-u", "u:p", "h").headers, login)
        self.assertEqual(parse_options(["-u", "u", "h"], lambda prompt: "p").headers, login)

    def test_trace_all(self) -> None:
        """--trace-all traces, too."""
        self.assertTrue(self.parse("--trace-all", "h").trace)

    def test_wrong(self) -> None:
        """What is wrong is one sentence, with status 2."""
        for arguments, words in (
            ((), "URL-or-HOST"),
            (("h", "i"), "'h' is taken for the URL, and 'i' is one more"),
            (("--trace", "-", "h"), "'-' is taken for the URL, and 'h' is one more"),
            (("http://h:x/",), "HOST:PORT"),
            (("ftp://h/",), "use http: or https:"),
            (("http:/h/",), "is not a URL"),
            (("-4", "-6", "h"), "not allowed"),
            (("--timeout", "x", "h"), "number of seconds"),
            (("--max-size", "1k", "h"), "whole number"),
            (("-H", "x", "h"), "NAME: VALUE"),
            (("-H", ": x", "h"), "NAME: VALUE"),
            (("-H", "a b: x", "h"), "error: 'a b' is not a header name"),
            (("-H", "\udcff: x", "h"), "not a header name"),
            (("-H", "a: x\r\nb: c", "h"), "control character"),
            (("-H", "Content-Length: 5", "h"), "announces a body"),
            (("-H", "Content-Length: 5", "-d", "x", "h"), "announces another body"),
            (("--open", "-o", "-", "h"), "--open"),
            (("-o", "folder/", "h"), "a file, not a folder"),
            (("http:////h",), "after exactly two slashes"),
            (("--open", "--head", "h"), "--open"),
            (("--open", "-X", "HEAD", "h"), "--open"),
            (("-I", "-d", "x", "h"), "--head asks for a head"),
            (("-I", "-X", "GET", "h"), "--head asks for a head"),
            (("-X", "A B", "h"), "error: 'A B' is not a method"),
            (("-X", "", "h"), "is not a method"),
            (("-X", "CONNECT", "h"), "opens a tunnel"),
            (("-d", "@missing", "h"), "'missing' cannot be read"),
            (("-d", "@a", "-d", "b", "h"), "give it once"),
            (("-u", "a:b", "-H", "authorization: x", "h"), "leave -u out, or the header"),
            (("-u", "a\x7f:b", "h"), "control characters"),
            (("http://user:pw@h/",), "write them with -u"),
        ):
            err = StringIO()
            with redirect_stderr(err):
                error = self.assertRaises(SystemExit, self.parse, *arguments)
            self.assertEqual(error.code, 2)
            self.assertIn(words, err.getvalue())
