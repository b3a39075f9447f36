"""Tests of the command C{hello-fetch}."""

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

from hello_service.cli.fetch import REDIRECT_LIMIT, Command, Console
from hello_service.cli.fetch_options import Options, parse_options
from hello_service.cli.receiving import PATIENCE, TURN
from hello_service.cli.trouble import Trouble, TroubleError
from hello_service.fetch.coding import CODINGS_LIMIT, PIECE
from tests.fetching import V4, FetchTestCase

URL = "http://192.0.2.1/page"


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


class Terminal(StringIO):
    """A terminal's standard error."""

    def isatty(self) -> bool:
        return True


class CommandTestCase(FetchTestCase):
    """The command, in a folder of its own."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        before = Path.cwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, before)
        self.out: BinaryIO = self.enterContext(TemporaryFile())
        self.err = StringIO()
        self.opened: list[str] = []
        self.has_browser = True

    def start(self, *arguments: str, terminal: bool = False) -> Deferred[int]:
        """Begin, up to the connection."""
        console = Console(self.out, self.err, terminal, terminal, self.open_page)
        options = parse_options(arguments)
        return Deferred.fromCoroutine(Command(self.reactor, options, console).run())

    def open_page(self, url: str) -> bool:
        self.opened.append(url)
        return self.has_browser

    def printed(self) -> bytes:
        self.out.seek(0)
        return self.out.read()

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
        self.assertEqual(self.err.getvalue(), "hello-fetch: saved 5 bytes as 'page'.\n")

    def test_host(self) -> None:
        """A host alone is enough; its page is index.html."""
        self.fetch_page("192.0.2.1", answer=PAGE)
        self.assertEqual(self.files(), {"index.html": b"hello"})

    def test_output(self) -> None:
        """-o names the file, --quiet says nothing."""
        self.fetch_page("-o", "x", "--quiet", URL, answer=PAGE)
        self.assertEqual(self.files(), {"x": b"hello"})
        self.assertEqual(self.err.getvalue(), "")

    def test_standard_output(self) -> None:
        """With -o - the body goes to standard output, the head to standard error."""
        self.fetch_page("-o", "-", URL, answer=PAGE)
        self.assertEqual(self.files(), {})
        self.assertEqual(self.printed(), b"hello")
        self.assertEqual(self.err.getvalue(), PAGE[:-5].decode().replace("\r\n", "\n"))

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
        self.assertIn(f"open {Path('page').absolute().as_uri()} yourself", self.err.getvalue())

    def test_headers(self) -> None:
        """-H sends headers in their order and case."""
        self.fetch_page("-H", "x-B: 1", "-H", "X-a:2", URL, answer=PAGE)
        self.assertIn(b"x-B: 1\r\nX-a: 2\r\n\r\n", self.transport.value())

    def test_trace(self) -> None:
        """--trace shows the socket's events."""
        self.fetch_page("--trace", URL, answer=PAGE)
        self.assertIn(" ms  connecting to 192.0.2.1:80\n", self.err.getvalue())
        self.assertIn("48 54 54 50", self.err.getvalue())

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
        self.assertIn("saved as br", self.err.getvalue())

    def test_bad(self) -> None:
        """What is not in its coding is an error with a way out."""
        command = self.start(URL)
        self.answered(command, head("Content-Encoding: gzip", "Content-Length: 5") + b"hello")
        self.assert_trouble(command, Trouble.PROTOCOL, "not gzip", "--no-decompress")
        self.assertEqual(self.files(), {})

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
        self.fetch_page(answer=self.MOVED + b"hi")
        self.assertEqual(self.files(), {"page": b"hi"})
        self.assertIn("302 means", self.err.getvalue())
        self.assertIn("https://192.0.2.1/: --follow", self.err.getvalue())

    def test_explained_without_a_page(self) -> None:
        """What --follow would not do is not proposed."""
        for location in ("mailto:me", "http://[", "http://a..b/", "http://h/\x1b"):
            self.fetch_page(answer=head(f"Location: {location}", status="302 Found"))
            self.assertIn("elsewhere, but Location in the head names none", self.err.getvalue())
            self.assertNotIn("\x1b", self.err.getvalue())

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
        secret = ("-H", "Authorization: x", "-H", "A: b")
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
        command = self.follow(*["/page"] * REDIRECT_LIMIT)
        self.assert_trouble(command, Trouble.PROTOCOL, f"more than {REDIRECT_LIMIT}")

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

    def test_protocol(self) -> None:
        """What is no HTTP."""
        command = self.start(URL)
        self.answered(command, b"SSH-2.0-x\r\n", close=False)
        self.assert_trouble(command, Trouble.PROTOCOL, "SSH", "--trace")

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

    def test_output(self) -> None:
        """Standard output that cannot be written is named so."""
        self.out = self.enterContext(open("/dev/full", "wb", buffering=0))
        command = self.start("-o", "-", URL)
        self.answered(command, PAGE, close=False)
        self.assert_trouble(command, Trouble.FILE, "the output cannot be written")

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
        self.assertEqual(self.err.getvalue(), "")
        command = self.start(URL)
        self.answered(command, PAGE[:-2], close=False)
        command.cancel()
        self.failureResultOf(command, CancelledError)
        self.assertIn("3 bytes) is in 'page.part'", self.err.getvalue())

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


class ProgressTests(CommandTestCase):
    """A bar for bodies that take their time."""

    def slow(self, *arguments: str, terminal: bool = True) -> str:
        self.err = Terminal()
        command = self.start(*arguments, URL, terminal=terminal)
        self.answered(command, head("Content-Length: 6") + b"he", close=False)
        self.peer.dataReceived(b"l")
        self.reactor.advance(PATIENCE)
        self.peer.dataReceived(b"lo")
        self.peer.dataReceived(b"!")
        self.assertEqual(self.successResultOf(command), 0)
        self.close()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        return self.err.getvalue()

    def test_shown(self) -> None:
        """It is shown on a terminal, after a second."""
        self.assertIn("6.00/6.00", self.slow())

    def test_not_shown(self) -> None:
        """It is not shown elsewhere, nor if it is not wanted."""
        self.assertNotIn("6.00", self.slow(terminal=False))
        self.assertEqual(self.slow("--quiet"), "")

    def test_beside_the_page(self) -> None:
        """It does not stand in the way of a page that is shown on the terminal, too."""
        self.assertNotIn("6.00", self.slow("-o", "-"))

    def test_interrupted(self) -> None:
        """It ends before the next word is said."""
        self.err = Terminal()
        command = self.start(URL, terminal=True)
        self.answered(command, head("Content-Length: 6") + b"he", close=False)
        self.reactor.advance(PATIENCE)
        command.cancel()
        self.failureResultOf(command, CancelledError)
        self.assertTrue(self.err.getvalue().endswith("\nhello-fetch: What arrived (2 bytes) is in"
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

    def test_wrong(self) -> None:
        """What is wrong is one sentence, with status 2."""
        for arguments, words in (
            ((), "URL-or-HOST"),
            (("h", "i"), "unrecognized"),
            (("http://h:x/",), "HOST:PORT"),
            (("ftp://h/",), "use http: or https:"),
            (("http:/h/",), "is not a URL"),
            (("-4", "-6", "h"), "not allowed"),
            (("--timeout", "x", "h"), "number of seconds"),
            (("--max-size", "1k", "h"), "whole number"),
            (("-H", "x", "h"), "NAME: VALUE"),
            (("-H", ": x", "h"), "NAME: VALUE"),
            (("-H", "a b: x", "h"), "not a header name"),
            (("-H", "\udcff: x", "h"), "not a header name"),
            (("-H", "a: x\r\nb: c", "h"), "control character"),
            (("-H", "Content-Length: 5", "h"), "announces a body"),
            (("--open", "-o", "-", "h"), "--open"),
            (("-o", "folder/", "h"), "a file, not a folder"),
            (("--open", "--head", "h"), "--open"),
        ):
            err = StringIO()
            with redirect_stderr(err):
                error = self.assertRaises(SystemExit, self.parse, *arguments)
            self.assertEqual(error.code, 2)
            self.assertIn(words, err.getvalue())
