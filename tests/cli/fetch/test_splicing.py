"""Big bodies that the kernel moves into their file, and the same ones on the ordinary way."""

import errno
import gzip
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, BinaryIO, NamedTuple

from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.python.monkey import MonkeyPatcher
from twisted.trial.unittest import TestCase

from hello_service.cli.console import Console, Outlet
from hello_service.cli.fetch.command import Command
from hello_service.cli.fetch.options import parse_options
from hello_service.cli.fetch.progress import Progress
from hello_service.cli.trouble import TroubleError
from hello_service.fetch import RawAgent
from hello_service.fetch.errors import ResponseError, Stalled
from hello_service.fetch.response import RawResponse
from hello_service.fetch.splicing import WORTH
from tests.certificates import certificate_pem
from tests.fetching import V4, FetchTestCase

BODY = os.urandom(5 * WORTH)
PART = len(BODY) // 2

Answer = Callable[[Any, bytes], None]
"""Answers a request over a transport."""


class Server(Protocol):
    """Sends what the test says when a request comes."""

    transport: Any

    def __init__(self, answer: Answer) -> None:
        self.gone: Deferred[None] = Deferred()
        self._answer = answer

    def dataReceived(self, data: bytes) -> None:
        self._answer(self.transport, data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.gone.callback(None)


class ToFile:
    """Takes a body in a file."""

    def __init__(self, file: BinaryIO) -> None:
        self.done: Deferred[ResponseError | None] = Deferred()
        self._file = file

    def data_received(self, data: bytes) -> None:
        self._file.write(data)

    def body_ended(self, error: ResponseError | None) -> None:
        self.done.callback(error)


class Transport(StringTransport, FileDescriptor):  # type: ignore[misc]
    """A transport with the descriptor of a socket."""

    def __init__(self, socket: socket.socket) -> None:
        super().__init__()
        self._socket = socket

    def fileno(self) -> int:
        return self._socket.fileno()


class Outcome(NamedTuple):
    """What a fetch came to.

    @ivar troubles: their sentences.
    @ivar said: on standard error.
    @ivar files: names, with sizes and sums.
    """

    troubles: list[str]
    said: str
    files: dict[str, tuple[int, str]]


def summed(content: bytes) -> tuple[int, str]:
    return len(content), sha256(content).hexdigest()


def answer(body: bytes, *lines: str, length: int = len(BODY), status: str = "200 OK") -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {length}", *lines, "", ""]
    return "\r\n".join(head).encode() + body


def whole(transport: Any, _: bytes) -> None:
    transport.write(answer(BODY))


def a_part(transport: Any, _: bytes) -> None:
    transport.write(answer(BODY[:PART]))


def raising(error: Exception) -> Callable[..., object]:
    """Return a function that fails."""

    def function(*_: object, **__: object) -> None:
        raise error

    return function


class SplicingTestCase(TestCase):
    """Fetches on the reactor of the tests.

    @ivar spliced: how many bytes splice(2) has put into files.
    """

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.spliced = 0
        self.servers: list[Server] = []
        if not hasattr(os, "splice"):
            return
        splice = os.splice

        def counted(source: int, target: int, count: int, **flags: Any) -> int:
            moved = splice(source, target, count, **flags)
            self.spliced += 0 if flags else moved
            return moved

        self.patch(os, "splice", counted)

    def assert_spliced(self) -> None:
        """See that splice(2) was used, for which the transports have to be Twisted's own."""
        of_twisted = type(self.reactor).__module__.startswith("twisted.")
        if of_twisted and hasattr(os, "splice"):
            self.assertGreater(self.spliced, WORTH)

    def listen(self, answer: Answer, tls: Any = None) -> Any:
        """Serve on a free port of loopback."""

        def server() -> Server:
            self.servers.append(Server(answer))
            return self.servers[-1]

        factory = Factory.forProtocol(server)
        if tls:
            return self.reactor.listenSSL(0, factory, tls, interface="127.0.0.1")
        return self.reactor.listenTCP(0, factory, interface="127.0.0.1")

    async def close(self, port: Any) -> None:
        """Wait for the end of all connections."""
        await port.stopListening()
        for server in self.servers:
            await server.gone

    def when_arrived(self, count: int, then: Callable[[], object]) -> None:
        """Do something once so much of each body has arrived."""
        add = Progress.add

        def added(progress: Progress, more: int) -> None:
            add(progress, more)
            if progress._count >= count > progress._count - more:
                self.reactor.callLater(0, then)

        self.patch(Progress, "add", added)

    async def outcome(
        self, answer: Answer, *runs: tuple[str, ...], kept: bytes = b"", tls: Any = None
    ) -> Outcome:
        """Fetch from a server, each time with other options."""
        port = self.listen(answer, tls)
        place = f"127.0.0.1:{port.getHost().port}"
        url = f"http{'s' if tls else ''}://{place}/"
        troubles = []
        with TemporaryDirectory() as name, TemporaryFile() as out, TemporaryFile() as err:
            self.folder = Path(name)
            if kept:
                (self.folder / "page.part").write_bytes(kept)
            console = Console(
                Outlet(self.reactor, out.fileno(), is_terminal=False),
                Outlet(self.reactor, err.fileno(), is_terminal=False),
            )
            for arguments in runs or ((),):
                options = parse_options(["-o", f"{name}/page", *arguments, url])
                command = Command(self.reactor, options, console, lambda url: True)
                self.running = Deferred.fromCoroutine(command.run())
                try:
                    await self.running
                except (TroubleError, CancelledError) as error:
                    troubles.append(str(error).replace(name, "").replace(place, ""))
            await self.close(port)
            err.seek(0)
            said = err.read().decode().replace(name, "").replace(place, "")
            files = {path.name: summed(path.read_bytes()) for path in self.folder.iterdir()}
        return Outcome(troubles, said, files)

    @contextmanager
    def without_splice(self) -> Iterator[None]:
        """Let the system have no splice(2)."""
        splice = os.__dict__.pop("splice", None)
        try:
            yield
        finally:
            if splice:
                os.__dict__["splice"] = splice

    async def both(self, answer: Answer, *runs: tuple[str, ...]) -> Outcome:
        """Fetch with splice(2), and where there is none; return what both come to."""
        spliced = await self.outcome(answer, *runs)
        self.assert_spliced()
        with self.without_splice():
            ordinary = await self.outcome(answer, *runs)
        self.assertEqual(spliced, ordinary)
        return spliced


class BothWaysTests(SplicingTestCase):
    """What comes of a body is the same on both ways."""

    async def test_whole(self) -> None:
        """The page is the body, byte for byte."""
        outcome = await self.both(whole, ("--max-size", str(len(BODY))))
        self.assertEqual((outcome.troubles, outcome.files), ([], {"page": summed(BODY)}))

    async def test_cut_short(self) -> None:
        """What came before the server's close is kept and counted."""

        def cut(transport: Any, _: bytes) -> None:
            a_part(transport, _)
            transport.loseConnection()

        outcome = await self.both(cut)
        self.assertIn(f"{PART} of {len(BODY)} bytes", outcome.troubles[0])
        self.assertEqual(outcome.files, {"page.part": summed(BODY[:PART])})

    async def test_reset(self) -> None:
        """A connection that breaks is told from one that ends."""
        self.when_arrived(PART, lambda: self.servers[-1].transport.abortConnection())
        outcome = await self.both(a_part)
        self.assertIn("broke", outcome.troubles[0])
        self.assertIn(str(PART), outcome.troubles[0])
        self.assertEqual(outcome.files, {"page.part": summed(BODY[:PART])})

    async def test_stalled(self) -> None:
        """A server that falls silent is given up."""
        outcome = await self.both(a_part, ("--timeout", "0.5"))
        self.assertTrue(outcome.troubles[0].startswith("TIMEOUT"), outcome)
        self.assertEqual(outcome.files, {"page.part": summed(BODY[:PART])})

    async def test_interrupted(self) -> None:
        """Ctrl+C leaves what has arrived."""
        self.when_arrived(PART, lambda: self.running.cancel())
        outcome = await self.both(a_part)
        self.assertIn(f"What arrived ({PART} bytes)", outcome.said)
        self.assertEqual(outcome.files, {"page.part": summed(BODY[:PART])})

    async def test_excess(self) -> None:
        """What comes after the end is told, and no part of the page."""
        outcome = await self.both(lambda transport, _: transport.write(answer(BODY + b"more!")))
        self.assertIn("5 bytes", outcome.said)
        self.assertEqual(outcome.files, {"page": summed(BODY)})

    async def test_full(self) -> None:
        """A disk takes what it has room for, and the error is the disk's."""
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, limits)
        resource.setrlimit(resource.RLIMIT_FSIZE, (PART + 1, limits[1]))
        outcome = await self.both(whole)
        self.assertTrue(outcome.troubles[0].startswith("FILE"), outcome)
        self.assertEqual(outcome.files, {"page.part": summed(BODY[: PART + 1])})

    async def test_continue(self) -> None:
        """--continue goes on after what was kept."""

        def some(transport: Any, request: bytes) -> None:
            if b"Range: " in request:
                place = f"Content-Range: bytes {PART}-{len(BODY) - 1}/{len(BODY)}"
                transport.write(answer(BODY[PART:], place, 'ETag: "1"',
                                       length=len(BODY) - PART, status="206 Partial"))  # fmt: skip
            elif transport is self.servers[0].transport:
                transport.write(answer(BODY[:PART], 'ETag: "1"'))
                transport.loseConnection()
            else:
                transport.write(answer(BODY, 'ETag: "1"'))

        outcome = await self.outcome(some, (), ("--continue",))
        self.assert_spliced()
        self.assertEqual((len(outcome.troubles), outcome.files), (1, {"page": summed(BODY)}))


class HandingBackTests(SplicingTestCase):
    """Where the kernel cannot move a body, it comes on the ordinary way."""

    async def assert_whole(self, name: str, replaced: Callable[..., object]) -> None:
        """See that a page comes whole with another function of the system."""

        def answering(transport: Any, request: bytes) -> None:
            whole(transport, request)
            patch.patch()

        patch = MonkeyPatcher((os, name, replaced))
        self.addCleanup(patch.restore)
        outcome = await self.outcome(answering)
        patch.restore()
        self.assertEqual((outcome.troubles, outcome.files), ([], {"page": summed(BODY)}))
        self.assertEqual(self.spliced, 0)

    async def test_unfit(self) -> None:
        """The kernel has no splice(2) for sockets."""
        await self.assert_whole("splice", raising(OSError(errno.EINVAL, "Invalid argument")))

    async def test_unfit_file(self) -> None:
        """The file system has no splice(2): what is in the pipe already is not lost."""
        splice = os.splice

        def to_pipe(source: int, target: int, count: int, **flags: Any) -> int:
            if flags:
                return splice(source, target, count, **flags)
            raise OSError(errno.EINVAL, "Invalid argument")

        await self.assert_whole("splice", to_pipe)

    async def test_no_descriptors(self) -> None:
        """The pipe needs descriptors that there are not."""
        await self.assert_whole("pipe", raising(OSError(errno.EMFILE, "Too many open files")))

    async def test_failing(self) -> None:
        """The reactor gives up on what moves the body, and the transport has it again."""
        await self.assert_whole("splice", raising(ZeroDivisionError()))
        self.assertLessEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_earlier_part(self) -> None:
        """What was kept gives way to more; if it cannot, that is told."""
        kept = bytes(WORTH)
        outcome = await self.outcome(a_part, ("--timeout", "0.5"), kept=kept)
        self.assertEqual(outcome.files, {"page.part": summed(BODY[:PART])})
        self.when_arrived(1, lambda: (self.folder / "page.part.new").unlink())

        def slowly(transport: Any, _: bytes) -> None:
            transport.write(answer(BODY[:100]))
            self.when_arrived(100, lambda: transport.write(BODY[100:]))

        outcome = await self.outcome(slowly, kept=kept)
        self.assertTrue(outcome.troubles[0].startswith("FILE"), outcome)
        self.assert_spliced()

    async def test_somebody_looks(self) -> None:
        """What is traced, reported, unpacked, small or no file goes through our hands."""
        packed = gzip.compress(BODY)

        def gzipped(transport: Any, _: bytes) -> None:
            transport.write(answer(packed, "Content-Encoding: gzip", length=len(packed)))

        small = BODY[:WORTH]
        for send, arguments, size in (
            (whole, ("--trace",), len(BODY)),
            (whole, ("--report", "json"), len(BODY)),
            (gzipped, (), len(BODY)),
            (lambda transport, _: transport.write(answer(small, length=len(small))), (), WORTH),
        ):  # fmt: skip
            outcome = await self.outcome(send, arguments)
            self.assertEqual(outcome.files, {"page": summed(BODY[:size])}, outcome)
        outcome = await self.outcome(whole, ("-o", "-"))
        self.assertEqual((outcome.troubles, outcome.files), ([], {}))
        self.assertEqual(self.spliced, 0)

    async def test_tls(self) -> None:
        """What is encrypted goes through our hands."""
        tls = PrivateCertificate.loadPEM(certificate_pem("localhost")).options()
        outcome = await self.outcome(whole, ("-k",), tls=tls)
        self.assertEqual((outcome.troubles, outcome.files), ([], {"page": summed(BODY)}))
        self.assertEqual(self.spliced, 0)


class PauseTests(SplicingTestCase):
    """L{RawResponse.move_to} without the command."""

    async def test_pause(self) -> None:
        """A pause is one for the kernel, too; what it has not moved comes to the receiver."""
        port = self.listen(whole)
        url = f"http://127.0.0.1:{port.getHost().port}/".encode()
        response: Any = await RawAgent(self.reactor).request(b"GET", url)
        assert isinstance(response, RawResponse)
        moved: list[int] = []

        def pause(count: int) -> None:
            moved.append(count)
            response.pauseProducing()
            response.move_to(file.fileno(), self.fail)
            self.reactor.callLater(0, response.resumeProducing)

        with TemporaryFile(buffering=0) as file:
            receiver = ToFile(file)
            response.deliver_to(receiver)
            response.move_to(file.fileno(), pause)
            self.assertIsNone(await receiver.done)
            file.seek(0)
            self.assertEqual(summed(file.read()), summed(BODY))
        self.assertLessEqual(len(moved), 1)
        self.assertEqual(sum(moved), self.spliced)
        self.assertEqual(response.wire.received, len(BODY))
        await self.close(port)


class WakingTests(FetchTestCase):
    """A body whose socket the test reads when it likes."""

    def setUp(self) -> None:
        super().setUp()
        ours, self.server = socket.socketpair()
        self.addCleanup(self.server.close)
        self.addCleanup(ours.close)
        ours.setblocking(False)
        self.file = self.enterContext(TemporaryFile(buffering=0))
        answered = self.request(read_timeout=10)
        peer: Any = self.reactor.tcpClients[0][2].buildProtocol(V4)
        self.transport = Transport(ours)
        peer.makeConnection(self.transport)
        peer.dataReceived(answer(b""))
        response = self.response(answered)
        self.receiver = ToFile(self.file)
        self.moved: list[int] = []
        response.deliver_to(self.receiver)
        response.move_to(self.file.fileno(), self.moved.append)
        [self.splicing] = self.reactor.getReaders()

    def test_nothing(self) -> None:
        """Who is woken for nothing waits on."""
        self.splicing.doRead()
        self.assertEqual(self.transport.producerState, "paused")
        self.assertEqual((self.reactor.getReaders(), self.moved), ([self.splicing], []))

    def test_timeout(self) -> None:
        """The time to the next read counts from what was moved, too; the end leaves nothing."""
        for _ in range(3):
            self.reactor.advance(9)
            self.server.send(b"hello")
            self.splicing.doRead()
        self.assertNoResult(self.receiver.done)
        self.reactor.pump([10, 0, 0])
        error = self.successResultOf(self.receiver.done)
        assert isinstance(error, Stalled)
        self.assertEqual(error.wire.received, 15)
        self.assertIn("15 of", str(error))
        self.assertEqual((self.reactor.getReaders(), self.moved), ([], [5, 5, 5]))
        self.assertRaises(OSError, os.fstat, self.splicing.fileno())
