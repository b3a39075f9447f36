"""Tests of L{hello_service.fetch.exchange} and L{hello_service.fetch.response}."""

import gc
import weakref
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import AlreadyCalledError, CancelledError
from twisted.internet.error import ConnectionDone, ConnectionRefusedError, TimeoutError
from twisted.internet.interfaces import IAddress, IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone, ResponseFailed, readBody
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import UNKNOWN_LENGTH, IClientRequest, IResponse
from zope.interface.verify import verifyObject

from hello_service.fetch import Ending, Observer, ResponseError, Wire
from hello_service.fetch.errors import (
    Abandoned,
    BodyTooLarge,
    ConnectTimeout,
    CutShort,
    HeadTooLong,
    MalformedResponse,
    OutOfTime,
    PeerReset,
    Stalled,
    TooManyInterim,
)
from hello_service.fetch.exchange import LINGER, READ_SIZE
from hello_service.fetch.reader import HEAD_LIMIT, INTERIM_LIMIT
from hello_service.fetch.response import RawResponse
from tests.fetching import LOCAL, V4, Body, FetchTestCase

HEAD = b"HTTP/1.1 200 Fine\r\nX-a: 1\r\nx-A: 2\r\nContent-Length: 5\r\n\r\n"
CLOSED = b"HTTP/1.1 200 OK\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Log(Observer):
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def resolved(self, addresses: Sequence[IAddress]) -> None:
        self.events.append("resolved")

    def connected(self, local: IAddress, peer: IAddress) -> None:
        self.events.append("connected")

    def sent(self, data: bytes) -> None:
        self.events.append(f"sent {len(data)}")

    def received(self, data: bytes) -> None:
        self.events.append(f"received {len(data)}")

    def paused(self) -> None:
        self.events.append("paused")

    def resumed(self) -> None:
        self.events.append("resumed")

    def closing(self) -> None:
        self.events.append("closing")

    def lost(self, reason: Failure) -> None:
        self.events.append("lost")


class ResponseTests(FetchTestCase):
    """What an answer becomes."""

    def test_request(self) -> None:
        """The tutorial's request is sent."""
        self.request()
        transport = self.connect()
        sent = b"GET / HTTP/1.1\r\nHost: 192.0.2.1\r\nConnection: close\r\n\r\n"
        self.assertEqual(transport.value(), sent)

    def test_large_reads(self) -> None:
        """Large reads are asked for where more of a body is to come."""
        self.fetched(HEAD)
        self.assertEqual(vars(self.transport)["bufferSize"], READ_SIZE)
        self.fetched(HEAD + b"hello")
        self.assertNotIn("bufferSize", vars(self.transport))

    def test_response(self) -> None:
        """The response is there with its head, as L{IResponse} wants it."""
        response = self.fetched(HEAD)
        self.assertTrue(verifyObject(IResponse, response))
        self.assertTrue(verifyObject(IPushProducer, response))
        self.assertTrue(verifyObject(IClientRequest, response.request))
        self.assertEqual(
            (response.version, response.code, response.phrase, response.length),
            ((b"HTTP", 1, 1), 200, b"Fine", 5),
        )
        self.assertEqual(response.headers.getRawHeaders(b"x-a"), [b"1", b"2"])
        self.assertEqual(
            (response.request.method, response.request.absoluteURI), (b"GET", b"http://192.0.2.1/")
        )
        other = self.fetched(HEAD)
        response.setPreviousResponse(other)
        self.assertIs(response.previousResponse, other)

    def test_lengths(self) -> None:
        """The length is unknown where only the end of the body tells it."""
        self.assertEqual(self.fetched(CLOSED).length, UNKNOWN_LENGTH)
        self.assertEqual(self.fetched(CHUNKED).length, UNKNOWN_LENGTH)
        self.assertEqual(self.fetched(HEAD, method=b"HEAD").length, 0)
        old = self.fetched(b"HTTP/1.0 304 Not Modified\r\n\r\n")
        self.assertEqual((old.length, old.version), (0, (b"HTTP", 1, 0)))

    def test_body(self) -> None:
        """A body is delivered, before its connection is closed."""
        response = self.fetched(HEAD + b"he", b"llo")
        body = self.body_of(response)
        self.assertEqual(body.data, b"hello")
        body.reasons[0].trap(ResponseDone)
        self.assertTrue(self.transport.disconnecting)
        self.close()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_lingering(self) -> None:
        """A peer that takes no note of our close is not waited for."""
        self.fetched(HEAD + b"hello")
        self.assertTrue(self.transport.disconnecting)
        self.assertFalse(self.transport.disconnected)
        self.reactor.advance(LINGER)
        self.assertTrue(self.transport.disconnected)

    def test_streamed(self) -> None:
        """A body is delivered as it comes, and nothing is kept."""
        response = self.fetched(HEAD)
        body = self.body_of(response)
        self.peer.dataReceived(b"he")
        self.assertEqual(body.pieces, [b"he"])
        self.peer.dataReceived(b"llo")
        self.assertEqual(body.pieces, [b"he", b"llo"])
        body.reasons[0].trap(ResponseDone)

    def test_close(self) -> None:
        """The end of a body that only the close tells is a possible loss for L{IResponse}."""
        response = self.fetched(CLOSED + b"hello")
        body = self.body_of(response, self.close)
        self.assertEqual(body.data, b"hello")
        body.reasons[0].trap(PotentialDataLoss)
        self.assertIs(response.wire.ending, Ending.CLOSE)

    def test_late(self) -> None:
        """A body can be asked for when all is over."""
        response = self.fetched(CLOSED + b"hello")
        self.transport.producerState = "producing"
        self.close()
        self.assertEqual(self.body_of(response).data, b"hello")

    def test_once(self) -> None:
        """A body is delivered once."""
        response = self.fetched(HEAD + b"hello")
        self.body_of(response)
        self.assertRaises(RuntimeError, self.body_of, response)

    def test_freed(self) -> None:
        """What is over is freed at once: the garbage collector would take 8 % of a small page."""
        gc.disable()
        self.addCleanup(gc.enable)
        response = self.fetched(HEAD + b"hello")
        self.body_of(response)
        self.close()
        left = [weakref.ref(self.peer), weakref.ref(response)]
        del self.peer, response
        self.assertEqual([reference() for reference in left], [None, None])

    def test_read_body(self) -> None:
        """C{readBody} reads it."""
        self.assertEqual(self.successResultOf(readBody(self.fetched(HEAD + b"hello"))), b"hello")

    def test_failing_at_the_end(self) -> None:
        """An error of the consumer's is not hidden, whatever it is."""

        class Fails(Body):
            def connectionLost(self, reason: Failure = connectionDone) -> None:
                raise AlreadyCalledError

        response = self.fetched(HEAD)
        response.deliverBody(Fails())
        self.assertRaises(AlreadyCalledError, self.close)


class WireTests(FetchTestCase):
    """What is kept."""

    def test_all(self) -> None:
        """The bytes, the addresses, the times and the ending are kept."""
        hints = b"HTTP/1.1 103 Early Hints\r\n\r\n"
        answer = self.request(uri=b"http://h/a")
        self.resolver.resolve([V4])
        self.connect()
        self.peer.dataReceived(hints + CHUNKED[:9])
        self.peer.dataReceived(CHUNKED[9:] + b"5\r\nhello\r\n")
        response = self.response(answer)
        wire = response.wire
        self.assertIsNone(wire.ending)
        self.assertEqual(wire.received, 5)
        self.body_of(response, lambda: self.peer.dataReceived(b"0\r\nA: b\r\n\r\nmore"))
        self.peer.dataReceived(b"!")
        self.assertEqual(wire.request, b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        self.assertEqual(
            (wire.interim, wire.head, wire.trailers), ([hints], CHUNKED, b"A: b\r\n\r\n")
        )
        self.assertEqual((wire.local, wire.peer), (LOCAL, V4))
        self.assertEqual((response.getHost(), response.getPeer()), (LOCAL, V4))
        self.assertEqual((wire.received, wire.excess), (5, 5))
        self.assertIs(wire.ending, Ending.LAST_CHUNK)
        times = wire.times
        self.assertEqual(
            [
                times.started,
                times.resolved,
                times.connected,
                times.first_byte,
                times.head_complete,
                times.body_complete,
            ],
            [101, 102, 103, 104, 105, 106],
        )
        self.assertIsNone(times.secured)

    def test_head(self) -> None:
        """The head is kept byte by byte."""
        self.assertEqual(self.fetched(HEAD[:30], HEAD[30:]).wire.head, HEAD)

    def test_observer(self) -> None:
        """An observer hears of everything, in order."""
        log = Log()
        answer = self.request(observer=log)
        self.connect()
        self.peer.dataReceived(HEAD)
        self.body_of(self.response(answer), lambda: self.peer.dataReceived(b"hello"))
        self.close()
        self.assertEqual(
            log.events,
            ["resolved", "connected", "sent 54", f"received {len(HEAD)}", "paused", "resumed",
             "received 5", "closing", "lost"],
        )  # fmt: skip


class TroubleTestCase(FetchTestCase):
    """What goes wrong has a name and its numbers, and what had come is kept."""

    def failed(self, kind: type[ResponseError], answer: Any) -> tuple[Any, Wire]:
        """Return the error that a request failed with."""
        error: Any = self.failureResultOf(answer, kind).value
        return error, error.wire

    def broken(self, response: RawResponse, body: Body) -> Any:
        """Return the error that a body ended with."""
        failed: Any = body.reasons[0].value
        self.assertIsInstance(failed, ResponseFailed)
        self.assertIs(failed.response, response)
        error = failed.reasons[0].value
        self.assertIs(error.wire, response.wire)
        return error


class PauseTests(TroubleTestCase):
    """Reading stops when nobody takes what is read."""

    def test_unwanted(self) -> None:
        """Nothing is read until the body is asked for."""
        response = self.fetched(HEAD + b"he")
        self.assertEqual(self.transport.producerState, "paused")
        self.body_of(response)
        self.assertEqual(self.transport.producerState, "producing")

    def test_asked_for_at_once(self) -> None:
        """A connection whose body is asked for at once is not paused."""
        log = Log()
        body = Body()
        answer = self.request(observer=log)
        answer.addCallback(lambda response: response.deliverBody(body))
        self.connect()
        self.peer.dataReceived(HEAD + b"he")
        self.assertEqual(body.data, b"he")
        self.assertNotIn("paused", log.events)

    def test_paused(self) -> None:
        """A consumer that pauses gets nothing, not even what has been read."""
        response = self.fetched(HEAD)
        body = self.body_of(response)
        response.pauseProducing()
        response.pauseProducing()
        self.assertEqual(self.transport.producerState, "paused")
        self.peer.dataReceived(b"hel")
        self.assertEqual(body.data, b"")
        response.resumeProducing()
        self.assertEqual(body.data, b"hel")
        self.assertEqual(self.transport.producerState, "producing")

    def test_resumed_by_an_observer(self) -> None:
        """An observer that is told of the pause may be what the consumer has waited for."""

        class Impatient(Observer):
            response: RawResponse | None = None

            def paused(self) -> None:
                if self.response:
                    self.response.resumeProducing()

        observer = Impatient()
        observer.response = response = self.fetched(HEAD + b"he", observer=observer)
        body = self.body_of(response)
        response.pauseProducing()
        self.assertEqual(self.transport.producerState, "producing")
        self.peer.dataReceived(b"llo")
        self.assertEqual(body.data, b"hello")

    def test_paused_from_the_start(self) -> None:
        """A consumer may pause before anything is delivered, and between two pieces."""

        class Slow(Body):
            transport: Any

            def connectionMade(self) -> None:
                self.transport.pauseProducing()

            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                self.transport.pauseProducing()

        response = self.fetched(CLOSED + b"he")
        self.peer.dataReceived(b"llo")
        self.close()
        body = Slow()
        response.deliverBody(body)
        for data in (b"", b"he", b"hello"):
            self.assertEqual((body.data, body.reasons), (data, []))
            response.resumeProducing()
        self.assertEqual(len(body.reasons), 1)
        response.resumeProducing()
        self.assertEqual(len(body.reasons), 1)

    def test_failing(self) -> None:
        """A connection whose body its consumer cannot take is not left open."""

        class Fails(Body):
            def dataReceived(self, data: bytes) -> None:
                raise ZeroDivisionError

        class FailsAtOnce(Body):
            def connectionMade(self) -> None:
                raise ZeroDivisionError

        for body in (Fails(), FailsAtOnce()):
            response = self.fetched(HEAD + b"he")
            self.assertRaises(ZeroDivisionError, response.deliverBody, body)
            self.assertTrue(self.transport.disconnecting)
            self.assertEqual(body.reasons, [])
            self.reset()
            body.reasons[0].trap(ResponseFailed)

    def test_ended_while_paused(self) -> None:
        """To pause when all has come holds back what is left."""
        response = self.fetched(HEAD)
        body = self.body_of(response)
        response.pauseProducing()
        self.peer.dataReceived(b"hello")
        response.pauseProducing()
        self.assertEqual((body.data, body.reasons), (b"", []))
        response.resumeProducing()
        self.assertEqual((body.data, len(body.reasons)), (b"hello", 1))

    def test_stop(self) -> None:
        """A consumer that stops closes the connection, and is told why there is no more."""
        for stop in ("stopProducing", "loseConnection", "abortConnection"):
            response = self.fetched(HEAD + b"he")
            body = self.body_of(response)
            getattr(response, stop)()
            getattr(response, stop)()
            self.assertTrue(self.transport.disconnecting)
            self.peer.dataReceived(b"l")
            self.assertEqual((body.data, body.reasons), (b"he", []))
            self.reset()
            self.assertIsInstance(self.broken(response, body), Abandoned)
            self.assertEqual((len(body.reasons), response.wire.excess), (1, 0))

    def test_stopped(self) -> None:
        """A response that was given up neither reads on nor stops reading; it is closed once."""
        for before, after in (
            (RawResponse.pauseProducing, RawResponse.resumeProducing),
            (RawResponse.resumeProducing, RawResponse.pauseProducing),
            (RawResponse.resumeProducing, RawResponse.stopProducing),
        ):
            log = Log()
            response = self.fetched(HEAD + b"he", observer=log)
            body = self.body_of(response)
            before(response)
            response.stopProducing()
            state = self.transport.producerState
            del log.events[:]
            after(response)
            self.assertEqual(self.transport.producerState, state)
            self.reset()
            response.resumeProducing()
            self.assertEqual(log.events, ["lost"])
            self.assertIsInstance(self.broken(response, body), Abandoned)

    def test_stop_at_the_end(self) -> None:
        """A consumer that stops when it gets the last piece has stopped."""

        class Hasty(Body):
            transport: Any

            def dataReceived(self, data: bytes) -> None:
                self.transport.abortConnection()

        response = self.fetched(HEAD)
        body = Hasty()
        response.deliverBody(body)
        self.peer.dataReceived(b"hello")
        self.reset()
        self.assertIsInstance(self.broken(response, body), Abandoned)

    def test_stop_after_the_end(self) -> None:
        """To stop when all has come throws the rest away."""
        response = self.fetched(HEAD + b"hello")
        response.abortConnection()
        self.assertEqual(self.body_of(response).data, b"")

    def test_stop_after_trouble(self) -> None:
        """To stop after an error does not hide it."""
        response = self.fetched(HEAD)
        body = self.body_of(response)
        response.pauseProducing()
        self.peer.dataReceived(b"he")
        self.close()
        response.stopProducing()
        self.assertIsInstance(self.broken(response, body), CutShort)

    def test_stop_after_the_whole(self) -> None:
        """To stop after the last piece, before the end is told, loses nothing."""

        class Pausing(Body):
            transport: Any

            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                self.transport.pauseProducing()

        response = self.fetched(HEAD + b"hello")
        body = Pausing()
        response.deliverBody(body)
        self.assertEqual((body.data, body.reasons), (b"hello", []))
        response.stopProducing()
        body.reasons[0].trap(ResponseDone)

    def test_stop_with_the_whole(self) -> None:
        """To stop while the last piece is handed over, which was held, is told its end once."""

        class Stopping(Body):
            transport: Any

            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                self.transport.stopProducing()

        body = Stopping()
        self.fetched(HEAD + b"hello").deliverBody(body)
        self.assertEqual((body.data, len(body.reasons)), (b"hello", 1))
        body.reasons[0].trap(ResponseDone)


class TroubleTests(TroubleTestCase):
    """Trouble with what comes."""

    def test_not_connected(self) -> None:
        """Without a connection, Twisted's own error tells why."""
        answer = self.request()
        self.refuse(ConnectionRefusedError())
        self.failureResultOf(answer, ConnectionRefusedError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_closed_early(self) -> None:
        """A close before or inside the head keeps what there was of it."""
        for piece in (b"", HEAD[:20]):
            answer = self.request()
            self.connect()
            if piece:
                self.peer.dataReceived(piece)
            self.close()
            error, wire = self.failed(CutShort, answer)
            self.assertEqual((wire.head, wire.ending), (piece, Ending.CUT_SHORT))
            self.assertEqual(error.received, len(piece))

    def test_reset(self) -> None:
        """A reset inside the head, or inside a body that the close ends, is no end."""
        answer = self.request()
        self.connect()
        self.reset()
        self.assertIs(self.failed(PeerReset, answer)[1].ending, Ending.RESET)
        response = self.fetched(CLOSED + b"he")
        error = self.broken(response, self.body_of(response, self.reset))
        self.assertIsInstance(error, PeerReset)
        self.assertEqual((error.received, response.wire.ending), (2, Ending.RESET))

    def test_cut_short(self) -> None:
        """A body that is cut short says by how much."""
        response = self.fetched(HEAD + b"he")
        body = self.body_of(response, self.close)
        error = self.broken(response, body)
        self.assertIsInstance(error, CutShort)
        self.assertEqual((error.received, error.expected, body.data), (2, 5, b"he"))
        self.assertIs(response.wire.ending, Ending.CUT_SHORT)

    def test_malformed(self) -> None:
        """A malformed head fails the request, and the connection is dropped."""
        answer = self.request()
        transport = self.connect()
        self.peer.dataReceived(b"HTTP/1.1 200 OK\r\n:\r\n\r\n")
        _, wire = self.failed(MalformedResponse, answer)
        self.assertEqual(wire.head, b"HTTP/1.1 200 OK\r\n:\r\n\r\n")
        self.assertTrue(transport.disconnecting)

    def test_head_kept(self) -> None:
        """Whatever is wrong with a head, what came of it is kept."""
        long = b"HTTP/1.1 200 OK\r\nA: " + b"a" * HEAD_LIMIT
        interim = b"HTTP/1.1 100 Continue\r\n\r\n"
        for kind, data, head in (
            (MalformedResponse, b"SSH-2.0-OpenSSH\r\n", b"SSH-2.0-OpenSSH\r\n"),
            (MalformedResponse, b"HTTP/1.1 200 OK\n", b"HTTP/1.1 200 OK\n"),
            (MalformedResponse, b"HTTP/1.1 2000 OK\r\n\r\nbody", b"HTTP/1.1 2000 OK\r\n\r\n"),
            (HeadTooLong, long, long),
            (TooManyInterim, interim * (INTERIM_LIMIT + 1), interim),
        ):
            answer = self.request()
            self.connect()
            self.peer.dataReceived(data)
            self.assertEqual(self.failed(kind, answer)[1].head, head)

    def test_bad_chunk(self) -> None:
        """A bad chunk ends the body after what was good; what came in its place is kept."""
        response = self.fetched(CHUNKED + b"2\r\nhi\r\nx\r\n")
        body = self.body_of(response)
        error = self.broken(response, body)
        self.assertIsInstance(error, MalformedResponse)
        self.assertEqual((body.data, response.wire.ending), (b"hi", None))
        self.assertEqual(error.wire.rest, b"x\r\n")
        self.assertTrue(self.transport.disconnecting)

    def test_not_chunked(self) -> None:
        """A body that is not chunked is kept at whatever it ends."""
        for end in (self.close, self.reset, lambda: self.reactor.advance(9)):
            response = self.fetched(CHUNKED + b"cafe", read_timeout=9)
            body = self.body_of(response, end)
            self.assertIn("before the first chunk, after 4 bytes", str(self.broken(response, body)))
            self.assertEqual((body.data, response.wire.rest), (b"", b"cafe"))

    def test_last_chunk(self) -> None:
        """A body with its last chunk is whole, and how it ended is kept."""
        response = self.fetched(CHUNKED + b"2\r\nhi\r\n0\r\nA: b\r\n")
        body = self.body_of(response, self.close)
        body.reasons[0].trap(ResponseDone)
        self.assertEqual((body.data, response.wire.trailers), (b"hi", b"A: b\r\n"))
        self.assertIs(response.wire.ending, Ending.CLOSE_AFTER_LAST_CHUNK)

    def test_too_long(self) -> None:
        """A head beyond its limit fails."""
        answer = self.request()
        self.connect()
        self.peer.dataReceived(HEAD[:-2] + b"a" * HEAD_LIMIT)
        self.assertEqual(self.failed(HeadTooLong, answer)[0].limit, HEAD_LIMIT)

    def test_too_large(self) -> None:
        """A body larger than wanted gives its head, then the error."""
        response = self.fetched(HEAD, max_size=4)
        self.assertEqual(self.broken(response, self.body_of(response)).limit, 4)
        response = self.fetched(CLOSED + b"hello", max_size=4)
        body = self.body_of(response)
        self.assertIsInstance(self.broken(response, body), BodyTooLarge)
        self.peer.dataReceived(b"!")
        self.assertEqual((body.data, response.wire.excess), (b"hell", 0))

    def test_cancelled(self) -> None:
        """A request can be cancelled while connecting and while waiting."""
        answer = self.request()
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        self.assertTrue(self.reactor.connectors[0]._disconnected)
        answer = self.request()
        transport = self.connect()
        self.peer.dataReceived(HEAD[:9])
        answer.cancel()
        error: Any = self.failureResultOf(answer, CancelledError).value
        self.assertEqual(error.wire.head, HEAD[:9])
        self.assertTrue(transport.disconnecting)
        self.peer.dataReceived(HEAD[9:])
        self.reset()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_connected_late(self) -> None:
        """A connection that is made after the request was given up is closed, unused."""
        log = Log()
        answer = self.request(observer=log)
        factory: Any = self.reactor.tcpClients[-1][2]
        protocol = factory.buildProtocol(V4)
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        transport = StringTransport(LOCAL, V4)
        protocol.makeConnection(transport)
        self.assertEqual((transport.value(), transport.disconnected), (b"", True))
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertNotIn("connected", log.events)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class TimeTests(TroubleTestCase):
    """Limits of time, each with its own error."""

    def test_connect(self) -> None:
        """A connection that is not made in time fails; a name counts in."""
        answer = self.request(uri=b"http://h/", connect_timeout=3)
        self.reactor.advance(2)
        self.resolver.resolve([V4])
        self.reactor.advance(0.9)
        self.assertNoResult(answer)
        self.reactor.advance(0.1)
        error, wire = self.failed(ConnectTimeout, answer)
        self.assertEqual(str(error), "no connection was made within 3 seconds")
        self.assertIsInstance(error, TimeoutError)
        self.assertEqual((error.seconds, wire.times.resolved), (3, 102))
        self.assertTrue(self.reactor.connectors[0]._disconnected)

    def test_stalled_head(self) -> None:
        """A server that connects and says nothing fails in time."""
        answer = self.request(read_timeout=3, connect_timeout=9)
        self.reactor.advance(1)
        self.connect()
        self.peer.dataReceived(HEAD[:20])
        self.reactor.advance(3)
        error, wire = self.failed(Stalled, answer)
        self.assertEqual((error.seconds, error.received, wire.head), (3, 20, HEAD[:20]))
        self.assertIn("inside the head, after 20 bytes", str(error))

    def test_late_clock(self) -> None:
        """What waits to be read when the process has been stopped for long is read."""
        answer = self.request(read_timeout=5)
        self.connect()
        self.reactor.callLater(5, lambda: self.peer.dataReceived(HEAD))
        self.reactor.advance(5)
        self.assertEqual(self.response(answer).code, 200)

    def test_stalled_body(self) -> None:
        """Each read begins the time anew."""
        response = self.fetched(HEAD, read_timeout=3)
        body = self.body_of(response)
        for _ in range(4):
            self.reactor.advance(2)
            self.peer.dataReceived(b"x")
        self.reactor.pump([1, 1])
        self.assertEqual(body.reasons, [])
        self.reactor.advance(1)
        error = self.broken(response, body)
        self.assertIsInstance(error, Stalled)
        self.assertEqual((error.seconds, error.received, error.expected), (3, 4, 5))

    def test_paused(self) -> None:
        """While the consumer pauses, the server is not to blame."""
        response = self.fetched(HEAD, read_timeout=3)
        body = self.body_of(response)
        response.pauseProducing()
        self.reactor.pump([2] * 5)
        response.resumeProducing()
        self.reactor.advance(2.5)
        self.assertEqual(body.reasons, [])
        self.reactor.advance(0.5)
        self.assertIsInstance(self.broken(response, body), Stalled)

    def test_unwanted(self) -> None:
        """A response whose body nobody takes does not stay for ever."""
        response = self.fetched(HEAD + b"he", read_timeout=3)
        self.reactor.advance(3)
        self.assertTrue(self.transport.disconnected)
        body = self.body_of(response)
        self.assertEqual(body.data, b"he")
        self.assertIsInstance(self.broken(response, body), Stalled)

    def test_whole(self) -> None:
        """All of it has a limit, which reading does not put off."""
        response = self.fetched(HEAD, timeout=5)
        body = self.body_of(response)
        for _ in range(4):
            self.reactor.advance(1)
            self.peer.dataReceived(b"x")
        self.reactor.advance(1)
        error = self.broken(response, body)
        self.assertIsInstance(error, OutOfTime)
        self.assertEqual((error.seconds, error.received), (5, 4))

    def test_whole_while_connecting(self) -> None:
        """All of it includes the connection."""
        answer = self.request(timeout=2, connect_timeout=None)
        self.reactor.advance(2)
        self.assertEqual(self.failed(OutOfTime, answer)[0].seconds, 2)
        self.assertTrue(self.reactor.connectors[0]._disconnected)

    def test_none(self) -> None:
        """Without limits there is no timer."""
        self.request(connect_timeout=None, read_timeout=None)
        self.connect()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
