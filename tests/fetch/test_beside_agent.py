"""What code written for Twisted's C{Agent} meets, there and with L{RawAgent}."""

from collections.abc import Callable, Iterator
from typing import Any

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
    ResponseFailed,
    ResponseNeverReceived,
    readBody,
)
from twisted.web.iweb import IResponse

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
from tests.fetching import LOCAL, V4, Endpoints

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


class Request:
    """One request by an agent; the test is the network and the server."""

    def __init__(self, make_agent: Callable[[Any, Endpoints], Any]) -> None:
        self.reactor = MemoryReactorClock()
        endpoint = TCP4ClientEndpoint(self.reactor, V4.host, V4.port)
        agent = make_agent(self.reactor, Endpoints(endpoint))
        self.answer: Deferred[IResponse] = agent.request(b"GET", b"http://192.0.2.1/")
        self.factory: Any = self.reactor.tcpClients[0][2]

    def refuse(self, reason: Exception) -> None:
        self.factory.clientConnectionFailed(None, Failure(reason))

    def connect(self, *pieces: bytes) -> None:
        self.peer: Any = self.factory.buildProtocol(V4)
        self.transport = StringTransport(LOCAL, V4)
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
