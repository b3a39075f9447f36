"""What code written for Twisted's C{Agent} meets, there and with L{RawAgent}."""

from collections.abc import Callable, Iterator
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.error import TimeoutError as ConnectTimedOut
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import (
    Agent,
    PartialDownloadError,
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
    readBody,
)
from twisted.web.iweb import UNKNOWN_LENGTH, IResponse

from hello_service.fetch import RawAgent, ResponseError, Settings
from hello_service.fetch.errors import (
    ConnectTimeout,
    CutShort,
    HeadTooLong,
    MalformedResponse,
    OutOfTime,
    PeerReset,
    Stalled,
)
from hello_service.fetch.reader import HEAD_LIMIT
from tests.fetching import LOCAL, V4, Endpoints, Producer

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


class Request:
    """One request by an agent; the test is the network and the server."""

    def __init__(
        self, make_agent: Callable[[Any, Endpoints], Any], producer: Producer | None = None
    ) -> None:
        self.reactor = MemoryReactorClock()
        endpoint = TCP4ClientEndpoint(self.reactor, V4.host, V4.port)
        agent = make_agent(self.reactor, Endpoints(endpoint))
        self.producer: Any = producer
        self.answer: Deferred[IResponse] = agent.request(
            b"POST" if producer else b"GET", b"http://192.0.2.1/", None, producer
        )
        self.factory: Any = self.reactor.tcpClients[0][2]

    def refuse(self, reason: Exception) -> None:
        self.factory.clientConnectionFailed(None, Failure(reason))

    def connect(self, *pieces: bytes) -> None:
        self.peer: Any = self.factory.buildProtocol(V4)
        self.transport: Any = StringTransport(LOCAL, V4)
        self.peer.makeConnection(self.transport)
        for piece in pieces:
            self.peer.dataReceived(piece)

    def lose(self, reason: Exception) -> None:
        self.peer.connectionLost(Failure(reason))


def by_agent(reactor: Any, endpoints: Endpoints) -> Any:
    return Agent.usingEndpointFactory(reactor, endpoints)


def by_raw_agent(reactor: Any, endpoints: Endpoints) -> Any:
    settings = Settings(connect_timeout=30, read_timeout=30)
    return RawAgent(reactor, settings, endpoint_factory=endpoints)


class BesideAgentTests(SynchronousTestCase):
    """What is caught from C{Agent} is caught from L{RawAgent}."""

    def both(self) -> Iterator[Request]:
        for make_agent in (by_agent, by_raw_agent):
            yield Request(make_agent)

    def test_not_connected(self) -> None:
        """Without a connection, both fail with Twisted's own errors."""
        for error in (ConnectionRefusedError(), ConnectTimedOut()):
            for request in self.both():
                request.refuse(error)
                self.assertIs(self.failureResultOf(request.answer).value, error)

    def test_never_received(self) -> None:
        """A connection that ends before a byte came is C{ResponseNeverReceived}."""
        for reason in (ConnectionDone(), ConnectionLost()):
            for request in self.both():
                request.connect()
                request.lose(reason)
                failure = self.failureResultOf(request.answer, ResponseNeverReceived)
                self.assertIsInstance(failure.value.reasons[0], Failure)

    def test_failed(self) -> None:
        """An answer that is not HTTP, or ends inside its head, is C{ResponseFailed}."""
        for pieces in ([b"SSH-2.0-OpenSSH\r\n"], [HEAD[:-2]]):
            for request in self.both():
                request.connect(*pieces)
                request.lose(ConnectionDone())
                failure = self.failureResultOf(request.answer, ResponseFailed)
                self.assertIsInstance(failure.value.reasons[0], Failure)
                self.assertIsNone(failure.value.response)

    def test_body_failed(self) -> None:
        """A body that is cut short is C{ResponseFailed}, which has the response."""
        for request in self.both():
            request.connect(HEAD + b"he")
            response = self.successResultOf(request.answer)
            body = readBody(response)
            request.lose(ConnectionDone())
            failure = self.failureResultOf(body, ResponseFailed)
            self.assertIs(failure.value.response, response)

    def test_close(self) -> None:
        """A body that only the close delimits is C{PartialDownloadError} for C{readBody}."""
        for request in self.both():
            request.connect(b"HTTP/1.1 200 OK\r\n\r\nhello")
            body = readBody(self.successResultOf(request.answer))
            request.lose(ConnectionDone())
            failure = self.failureResultOf(body, PartialDownloadError)
            self.assertEqual(failure.value.response, b"hello")

    def test_body_cancelled(self) -> None:
        """C{readBody} that is cancelled fails with C{CancelledError}; we close the connection."""
        for request in self.both():
            request.connect(HEAD + b"he")
            body = readBody(self.successResultOf(request.answer))
            body.cancel()
            self.failureResultOf(body, CancelledError)
        self.assertTrue(request.transport.disconnected)
        request.lose(ConnectionLost())
        # Agent's has no way to close the connection, and warns of it.
        self.assertEqual(len(self.flushWarnings()), 1)

    def test_body_timed_out(self) -> None:
        """C{readBody} that takes too long fails with C{TimeoutError}; we close the connection."""
        for request in self.both():
            request.connect(HEAD + b"he")
            body = readBody(self.successResultOf(request.answer)).addTimeout(3, request.reactor)
            request.reactor.advance(3)
            self.failureResultOf(body, TimeoutError)
        self.assertTrue(request.transport.disconnected)
        request.lose(ConnectionLost())
        self.assertEqual(len(self.flushWarnings()), 1)

    def test_cancelled(self) -> None:
        """A request that is cancelled says so: Agent's error has it as its reason, ours is it."""
        for request in self.both():
            request.connect()
            request.answer.cancel()
            error: Any = self.failureResultOf(request.answer).value
            reason = error.reasons[0].value if isinstance(error, ResponseNeverReceived) else error
            self.assertIsInstance(reason, CancelledError)
            self.assertTrue(request.transport.disconnected)


class BodyTests(SynchronousTestCase):
    """Bodies are sent as C{Agent} sends them, and their trouble is told as C{Agent} tells it."""

    def both(self, length: Any = UNKNOWN_LENGTH) -> Iterator[Request]:
        """Give requests that are sending a body; the head is on the wire."""
        for make_agent in (by_agent, by_raw_agent):
            request = Request(make_agent, Producer(length))
            request.connect()
            yield request

    def body(self, request: Request) -> bytes:
        head, _, body = cast(bytes, request.transport.value()).partition(b"\r\n\r\n")
        self.headers.append(sorted(head.lower().splitlines()))
        return body

    def setUp(self) -> None:
        self.headers: list[list[bytes]] = []

    def failed(self, request: Request, kind: type[Exception]) -> Any:
        """Return the reason that a request failed for."""
        error: Any = self.failureResultOf(request.answer, kind).value
        (reason,) = error.reasons
        return reason.value

    def test_sent(self) -> None:
        """The same goes out, whole."""
        for length, body in (
            (5, b"hello"),
            (UNKNOWN_LENGTH, b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
        ):
            for request in self.both(length):
                for piece in (b"he", b"llo"):
                    request.producer.consumer.write(piece)
                request.transport.producer.pauseProducing()
                request.transport.producer.resumeProducing()
                request.producer.done.callback(None)
                self.assertIsNone(request.transport.producer)
                self.assertEqual(self.body(request), body)
                request.peer.dataReceived(HEAD + b"hello")
                self.assertEqual(self.successResultOf(request.answer).code, 200)
                self.assertEqual(request.producer.told, ["start", "pause", "resume"])
            theirs, ours = self.headers[-2:]
            self.assertEqual(ours, theirs)

    def test_producer_failed(self) -> None:
        """A producer that fails is C{RequestGenerationFailed}, with its error as the reason."""
        for length in (5, UNKNOWN_LENGTH):
            for request in self.both(length):
                request.producer.done.errback(ZeroDivisionError())
                reason = self.failed(request, RequestGenerationFailed)
                self.assertIsInstance(reason, ZeroDivisionError)
                self.assertEqual(request.producer.told, ["start"])
                self.assertTrue(request.transport.disconnected)

    def test_too_long(self) -> None:
        """So is one that writes too much, of which nothing goes out."""
        for request in self.both(5):
            for piece in (b"he", b"llo!"):
                request.producer.consumer.write(piece)
            self.failed(request, RequestGenerationFailed)
            self.assertEqual(
                (self.body(request), request.producer.told), (b"he", ["start", "stop"])
            )
            self.assertTrue(request.transport.disconnected)

    def test_too_short(self) -> None:
        """So is one that writes too little."""
        for request in self.both(5):
            request.producer.consumer.write(b"he")
            request.producer.done.callback(None)
            self.failed(request, RequestGenerationFailed)
            self.assertEqual(request.producer.told, ["start"])
            self.assertTrue(request.transport.disconnected)

    def test_lost(self) -> None:
        """A connection that ends while a body is sent is C{RequestTransmissionFailed}."""
        for reason in (ConnectionDone(), ConnectionLost()):
            for received in (b"", HEAD[:9]):
                for request in self.both(5):
                    if received:
                        request.peer.dataReceived(received)
                    request.lose(reason)
                    self.failed(request, RequestTransmissionFailed)
                    self.assertEqual(request.producer.told, ["start", "stop"])

    def test_lost_after_all(self) -> None:
        """Once the body is sent, it is C{ResponseNeverReceived}."""
        for request in self.both(0):
            request.producer.done.callback(None)
            request.lose(ConnectionDone())
            self.failed(request, ResponseNeverReceived)

    def test_early(self) -> None:
        """A response that is whole before the body is delivered, and the rest is sent."""
        for request in self.both():
            request.peer.dataReceived(HEAD + b"hello")
            self.assertEqual(
                self.successResultOf(readBody(self.successResultOf(request.answer))), b"hello"
            )
            request.producer.consumer.write(b"hi")
            request.producer.done.callback(None)
            self.assertEqual(self.body(request), b"2\r\nhi\r\n0\r\n\r\n")
            self.assertEqual(request.producer.told, ["start"])

    def test_cancelled(self) -> None:
        """Agent cancels the producer's Deferred, we stop it; each fails as it does elsewhere."""
        agent, ours = self.both(5)
        for request in (agent, ours):
            request.answer.cancel()
            self.assertTrue(request.transport.disconnected)
        self.assertIsInstance(self.failed(agent, RequestGenerationFailed), CancelledError)
        self.failureResultOf(ours.answer, CancelledError)
        self.assertEqual((agent.producer.told, ours.producer.told), (["start"], ["start", "stop"]))


class OwnErrorsTests(SynchronousTestCase):
    """Errors of ours are those of C{Agent} as well, and lose nothing by it."""

    def failed(self, kind: type[ResponseError], theirs: type[Exception], request: Request) -> Any:
        """Return the error of a request, of both kinds; its reason is it again, of our kind."""
        error: Any = self.failureResultOf(request.answer, kind).value
        self.assertIsInstance(error, theirs)
        self.assertEqual(type(error).__name__, kind.__name__)
        (reason,) = error.reasons
        self.assertIs(type(reason.value), kind)
        self.assertEqual(str(error), str(reason.value))
        self.assertIs(error.wire, reason.value.wire)
        self.assertIsNotNone(error.wire)
        return error

    def test_cut_short(self) -> None:
        """The numbers are there."""
        request = Request(by_raw_agent)
        request.connect()
        request.lose(ConnectionDone())
        self.failed(CutShort, ResponseNeverReceived, request)
        request = Request(by_raw_agent)
        request.connect(HEAD[:7])
        request.lose(ConnectionLost())
        error = self.failed(PeerReset, ResponseFailed, request)
        self.assertNotIsInstance(error, ResponseNeverReceived)
        self.assertEqual((error.received, error.wire.head), (7, HEAD[:7]))
        self.assertEqual(str(error), "the connection broke inside the head, after 7 bytes")

    def test_malformed(self) -> None:
        """So are the limits."""
        for kind, data in (
            (MalformedResponse, b"SSH"),
            (HeadTooLong, HEAD[:-2] + b"a" * HEAD_LIMIT),
        ):
            request = Request(by_raw_agent)
            request.connect(data)
            error = self.failed(kind, ResponseFailed, request)
            self.assertEqual(error.wire.head, data)
        self.assertEqual(error.limit, HEAD_LIMIT)

    def test_stalled(self) -> None:
        """And the times."""
        request = Request(by_raw_agent)
        request.connect()
        request.reactor.advance(30)
        self.assertEqual(self.failed(Stalled, ResponseNeverReceived, request).seconds, 30)
        request = Request(
            lambda reactor, endpoints: RawAgent(
                reactor, Settings(timeout=9), endpoint_factory=endpoints
            )
        )
        request.connect(HEAD[:7])
        request.reactor.advance(9)
        self.assertEqual(self.failed(OutOfTime, ResponseFailed, request).seconds, 9)

    def test_not_connected(self) -> None:
        """The time to connect is over with Twisted's own error."""
        request = Request(by_raw_agent)
        request.reactor.advance(30)
        error = self.failureResultOf(request.answer, ConnectTimeout).value
        self.assertIsInstance(error, ConnectTimedOut)
        self.assertNotIsInstance(error, ResponseFailed)
