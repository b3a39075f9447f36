"""Bodies that are sent to real servers, over real sockets on loopback."""

import io
import itertools
import re
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.task import cooperate
from twisted.python.failure import Failure
from twisted.web.client import FileBodyProducer, readBody
from twisted.web.iweb import UNKNOWN_LENGTH
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from hello_service.fetch import RawAgent, Settings
from hello_service.fetch.errors import CutShort, NotTaken
from hello_service.fetch.response import RawResponse
from tests.certificates import certificate_pem
from tests.fetch.test_peers import BIG, NginxTestCase, PeerTestCase, Trust
from tests.fetching import Producer


class Endless(Producer):
    """Writes until it is stopped, as fast as it may."""

    PIECE = b"a" * 64 * 1024

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        write: Any = consumer.write
        self.task: Any = cooperate(write(self.PIECE) for _ in itertools.count())
        return super().startProducing(consumer)

    def pauseProducing(self) -> None:
        super().pauseProducing()
        self.task.pause()

    def resumeProducing(self) -> None:
        super().resumeProducing()
        self.task.resume()

    def stopProducing(self) -> None:
        super().stopProducing()
        self.task.stop()


def producer(data: bytes, length: Any = None) -> FileBodyProducer:
    """Return one that sends some bytes."""
    body = FileBodyProducer(io.BytesIO(data))
    if length is not None:
        body.length = length
    return body


class SendingTestCase(PeerTestCase):
    """Requests with a body, on the real reactor."""

    async def send(self, uri: str, body: Any, method: bytes = b"POST") -> tuple[RawResponse, bytes]:
        response = cast(RawResponse, await self.agent.request(method, uri.encode(), None, body))
        return response, await readBody(response)


class NginxSendingTests(SendingTestCase, NginxTestCase):
    """nginx, which takes files and refuses what is too large."""

    async def test_put(self) -> None:
        """A file of many reads arrives, with its length and in chunks."""
        url = await self.serve("location / { dav_methods PUT; client_max_body_size 0; }")
        for length in (None, UNKNOWN_LENGTH):
            response, _ = await self.send(f"{url}big", producer(BIG, length), b"PUT")
            self.assertEqual((response.code, response.wire.sent), (201, len(BIG)))
            saved = self.folder / "big"
            self.assertEqual(saved.read_bytes(), BIG)
            saved.unlink()

    async def test_too_large(self) -> None:
        """The answer to a body that is too large comes, and the body goes no further."""
        url = await self.serve("location / { dav_methods PUT; client_max_body_size 1k; }")
        for length in (1 << 40, UNKNOWN_LENGTH):
            body = Endless(length)
            response, page = await self.send(f"{url}big", body, b"PUT")
            self.assertEqual(response.code, 413)
            self.assertIn(b"413", page)
            self.assertEqual(body.told[-1], "stop")
            self.assertEqual(body.told.count("stop"), 1)


class NodeSendingTests(SendingTestCase):
    """node, which answers while it is asked."""

    SERVER = """
        const server = require("http").createServer((request, response) => {
            response.writeHead(200, { "X-Length": request.headers["content-length"] || "none" });
            request.pipe(response);
        });
        server.listen(0, "127.0.0.1", () => console.log(server.address().port));
    """

    async def test_echo(self) -> None:
        """What comes back while the body is sent is what was sent."""
        _, line = await self.start("node", "-e", self.SERVER)
        for method, length, said in (
            (b"POST", None, str(len(BIG))),
            (b"POST", UNKNOWN_LENGTH, "none"),
            (b"DELETE", None, str(len(BIG))),
        ):
            url = f"http://localhost:{line.strip()}/"
            response, body = await self.send(url, producer(BIG, length), method)
            self.assertEqual((len(body), body == BIG), (len(BIG), True))
            self.assertEqual(response.headers.getRawHeaders("X-Length"), [said])
            self.assertEqual(response.wire.sent, len(BIG))


class Echo(Resource):
    """Gives back what it got, once it has all."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        request.setHeader(b"x-method", request.method)
        return cast(bytes, cast(Any, request).content.read())


class SiteSendingTests(SendingTestCase):
    """Twisted's own server."""

    async def test_methods(self) -> None:
        """GET may have a body, and HEAD; so may methods that nobody knows."""
        url = f"http://127.0.0.1:{self.listen(Site(Echo()))}/"
        for method in (b"GET", b"HEAD", b"POST", b"QUERY"):
            for length in (None, UNKNOWN_LENGTH):
                response, body = await self.send(url, producer(b"hello", length), method)
                self.assertEqual(body, b"" if method == b"HEAD" else b"hello")
                self.assertEqual(response.headers.getRawHeaders("x-method"), [method.decode()])

    async def test_nothing(self) -> None:
        """A body of no bytes arrives as such."""
        url = f"http://127.0.0.1:{self.listen(Site(Echo()))}/"
        for length in (None, UNKNOWN_LENGTH):
            self.assertEqual((await self.send(url, producer(b"", length)))[1], b"")

    async def test_tls(self) -> None:
        """A large body goes over TLS, and comes back."""
        pem = certificate_pem("localhost")
        trust = cast(Any, Trust(pem))
        self.agent = RawAgent(self.reactor, policy_for_https=trust)
        port = self.listen(Site(Echo()), PrivateCertificate.loadPEM(pem).options())
        for length in (None, UNKNOWN_LENGTH):
            response, body = await self.send(f"https://localhost:{port}/", producer(BIG, length))
            self.assertEqual((response.code, len(body), body == BIG), (200, len(BIG), True))


class Peer(Protocol):
    """A server of the test's own.

    @ivar lost: fires when the connection is.
    """

    transport: Any

    def __init__(self, factory: "Peers") -> None:
        self.factory: Any = factory

    def connectionMade(self) -> None:
        if self.factory.deaf:
            self.transport.pauseProducing()

    def dataReceived(self, data: bytes) -> None:
        self.factory.received += len(data)
        self.factory.answer(self.transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.lost.callback(None)


class Peers(Factory):
    """Answers what it gets as the test says."""

    def __init__(self, answer: Any = lambda transport: None, deaf: bool = False) -> None:
        self.answer = answer
        self.deaf = deaf
        self.received = 0
        self.lost: Deferred[None] = Deferred()

    def buildProtocol(self, addr: Any) -> Any:
        self.latest = Peer(self)
        return self.latest


class SocketTests(SendingTestCase):
    """Servers that behave badly."""

    async def failing(self, peers: Peers, body: Any, kind: Any) -> Any:
        """Return the error that a request fails with."""
        url = b"http://127.0.0.1:%d/" % self.listen(peers)
        error = await self.assertFailure(self.agent.request(b"POST", url, None, body), kind)
        self.assertEqual(body.told.count("stop"), 1)
        return error

    async def test_closed(self) -> None:
        """A server that closes, or resets, ends the body."""
        for end in (
            lambda transport: transport.loseConnection(),
            lambda transport: transport.abortConnection(),
        ):
            for length in (1 << 40, UNKNOWN_LENGTH):
                peers = Peers(end)
                error = await self.failing(peers, Endless(length), CutShort)
                self.assertIn("while the body was sent, after", str(error))
                await peers.lost

    async def test_refused(self) -> None:
        """A refusal arrives although the server closes with bytes unread, which is a reset."""

        def refuse(transport: Any) -> None:
            transport.pauseProducing()
            transport.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge")
            transport.loseConnection()

        for length in (1 << 40, UNKNOWN_LENGTH):
            peers, body = Peers(refuse), Endless(length)
            url = f"http://127.0.0.1:{self.listen(peers)}/"
            response, page = await self.send(url, body)
            self.assertEqual((response.code, page), (413, b"large"))
            self.assertEqual(body.told.count("stop"), 1)
            await peers.lost

    async def test_deaf(self) -> None:
        """A server that reads nothing is given no more than its connection holds, and a time."""
        self.agent = RawAgent(self.reactor, Settings(read_timeout=0.3))
        peers = Peers(deaf=True)
        error = await self.failing(peers, Endless(1 << 40), NotTaken)
        self.assertLess(error.wire.sent, 64 << 20)
        self.assertEqual(len(error.wire.request.partition(b"\r\n\r\n")[2]), 64 << 10)
        peers.latest.transport.resumeProducing()
        await peers.lost

    async def test_early(self) -> None:
        """A server that answers in the middle, without an error, gets the rest."""
        answers = iter([b"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nhello"])
        peers = Peers(lambda transport: transport.write(next(answers, b"")))
        url = f"http://127.0.0.1:{self.listen(peers)}/"
        response, body = await self.send(url, producer(BIG))
        self.assertEqual((response.code, body), (202, b"hello"))
        await peers.lost
        head = re.match(rb".*?\r\n\r\n", response.wire.request, re.DOTALL)
        assert head
        self.assertEqual(peers.received, len(head[0]) + len(BIG))
