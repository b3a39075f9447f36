"""Tests of L{hello_service.fetch.sending}: the bodies of requests."""

import io
from collections.abc import Callable
from socket import socketpair
from typing import Any, cast

from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import (
    IConsumer,
    IPushProducer,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.task import Cooperator
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.client import (
    FileBodyProducer,
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseDone,
    ResponseFailed,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IResponse
from zope.interface import directlyProvides
from zope.interface.verify import verifyObject

from hello_service.fetch import Ending, InvalidRequest, WireHeaders
from hello_service.fetch.errors import (
    BodyFailed,
    CutShort,
    MalformedResponse,
    NotTaken,
    OutOfTime,
    PeerReset,
    Stalled,
    TLSFailed,
)
from hello_service.fetch.exchange import LINGER
from hello_service.fetch.sending import BODY_KEPT, Sending
from tests.certificates import dns, issue
from tests.fetch.test_exchange import HEAD, Log
from tests.fetching import LOCAL, V4, Endpoints, FetchTestCase, Producer

REFUSED = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\n"
EARLY = b"HTTP/1.1 299 OK\r\nContent-Length: 5\r\n\r\n"


class AtOnce(Producer):
    """Writes all that it has before it is asked twice."""

    def __init__(self, length: Any, *pieces: bytes) -> None:
        super().__init__(length)
        self.pieces = pieces
        self.done.callback(None)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        for piece in self.pieces:
            consumer.write(piece)
        return super().startProducing(consumer)


class Delaying(StringTransport):
    """A transport that says whether it sends small segments at once."""

    no_delay = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled


class Secured(Delaying):
    """A transport whose TLS is that of the host C{h}; the test says when it is agreed on."""

    def __init__(self) -> None:
        super().__init__(LOCAL, V4)
        directlyProvides(self, ISSLTransport)

    def getHandle(self) -> Any:
        return self

    def get_peer_finished(self) -> None:
        return None

    def get_peer_cert_chain(self) -> None:
        return None

    def getPeerCertificate(self) -> X509:
        return X509.from_cryptography(issue(dns("h")).certificate)


class SendingTestCase(FetchTestCase):
    """Requests with a body, over a connection that the test holds."""

    transport: Any

    def send(
        self,
        producer: Any,
        method: bytes = b"POST",
        headers: Headers | None = None,
        **settings: Any,
    ) -> Deferred[IResponse]:
        agent = self.agent(**settings)
        return agent.request(method, b"http://192.0.2.1/", headers, producer)

    def accept(self, transport: StringTransport) -> None:
        """Let the latest attempt succeed, over a transport of the test's."""
        factory: Any = self.reactor.tcpClients[-1][2]
        self.peer = factory.buildProtocol(V4)
        self.peer.makeConnection(transport)

    def sending(self, length: Any = UNKNOWN_LENGTH, **settings: Any) -> Deferred[IResponse]:
        """Begin to send a body of C{self.producer}; the head of the request is on the wire."""
        self.producer = Producer(length)
        answer = self.send(self.producer, **settings)
        self.transport = self.connect()
        self.head = self.transport.value()
        self.assertEqual(self.producer.told, ["start"])
        return answer

    @property
    def body(self) -> bytes:
        """What is on the wire after the head."""
        return cast(bytes, self.transport.value()[len(self.head) :])

    def write(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.producer.consumer.write(piece)

    def failed(self, answer: Deferred[IResponse], *kinds: Any) -> Any:
        """Return the error that a request failed with, which is of all these kinds."""
        error = self.failureResultOf(answer).value
        for kind in kinds:
            self.assertIsInstance(error, kind)
        return error


class FramingTests(SendingTestCase):
    """How a body stands on the wire."""

    def sent(self, producer: Any, *headers: tuple[bytes, bytes], method: bytes = b"POST") -> bytes:
        """Return what is sent, without the first two lines."""
        self.send(producer, method, WireHeaders(headers))
        value: bytes = self.connect().value()
        start, host, rest = value.split(b"\r\n", 2)
        self.assertEqual((start, host), (method + b" / HTTP/1.1", b"Host: 192.0.2.1"))
        return rest

    def test_length(self) -> None:
        """A body whose length is known is announced by it."""
        self.assertEqual(
            self.sent(AtOnce(5, b"he", b"", b"llo")),
            b"Connection: close\r\nContent-Length: 5\r\n\r\nhello",
        )

    def test_chunks(self) -> None:
        """Any other comes in chunks; what is empty makes none, as that would be the last."""
        self.assertEqual(
            self.sent(AtOnce(UNKNOWN_LENGTH, b"hello, hello, hello", b"", b"h")),
            b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"13\r\nhello, hello, hello\r\n1\r\nh\r\n0\r\n\r\n",
        )

    def test_empty(self) -> None:
        """A body of no bytes is one, which says so."""
        length, chunked = b"Content-Length: 0\r\n\r\n", b"chunked\r\n\r\n0\r\n\r\n"
        for method in (b"POST", b"GET"):
            self.assertTrue(self.sent(AtOnce(0), method=method).endswith(length))
            self.assertTrue(self.sent(AtOnce(UNKNOWN_LENGTH), method=method).endswith(chunked))

    def test_any_method(self) -> None:
        """Whatever the method, a body is sent, and no C{Expect} before it."""
        for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"QUERY"):
            sent = self.sent(AtOnce(2, b"hi"), method=method)
            self.assertEqual(sent, b"Connection: close\r\nContent-Length: 2\r\n\r\nhi")

    def test_own_headers(self) -> None:
        """What the caller's headers say of the body is sent as they say it, if it is so."""
        self.assertEqual(
            self.sent(AtOnce(2, b"hi"), (b"A", b"b"), (b"content-length", b"2"), (b"C", b"d")),
            b"Connection: close\r\nA: b\r\ncontent-length: 2\r\nC: d\r\n\r\nhi",
        )
        self.assertEqual(
            self.sent(AtOnce(UNKNOWN_LENGTH), (b"transfer-encoding", b"chunked")),
            b"Connection: close\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        )

    def test_other_headers(self) -> None:
        """A header that announces another body fails the request before it connects."""
        for length, headers in (
            (2, [(b"Content-Length", b"3")]),
            (2, [(b"Content-Length", b"2"), (b"Content-Length", b"2")]),
            (2, [(b"Transfer-Encoding", b"chunked")]),
            (0, [(b"Content-Length", b"00")]),
            (UNKNOWN_LENGTH, [(b"Content-Length", b"2")]),
            (UNKNOWN_LENGTH, [(b"Transfer-Encoding", b"gzip, chunked")]),
            (UNKNOWN_LENGTH, [(b"Transfer-Encoding", b"chunked")] * 2),
        ):
            answer = self.send(Producer(length), headers=WireHeaders(headers))
            self.assertIn("leave", str(self.failed(answer, InvalidRequest)))
        self.assertEqual(self.reactor.tcpClients, [])

    def test_no_producer(self) -> None:
        """What produces no body is refused with a sentence."""
        for producer in (b"hello", Producer(None), Producer(-1), Producer("5"), Producer(b"5")):
            words = str(self.failed(self.send(producer), InvalidRequest))
            self.assertIn(f"of type {type(producer).__name__}: to send bytes, write File", words)


class ProducerTests(SendingTestCase):
    """How a body and its connection get along."""

    def test_interfaces(self) -> None:
        """A body consumes what its producer writes, and produces it for the connection."""
        sending = Sending(Producer())
        self.assertTrue(verifyObject(IConsumer, sending))
        self.assertTrue(verifyObject(IPushProducer, sending))

    def test_registered(self) -> None:
        """The connection may pause and resume the producer until the body is whole."""
        self.sending()
        self.assertTrue(self.transport.streaming)
        self.transport.producer.pauseProducing()
        self.transport.producer.resumeProducing()
        self.producer.done.callback(None)
        self.assertEqual(self.producer.told, ["start", "pause", "resume"])
        self.assertIsNone(self.transport.producer)

    def test_register_again(self) -> None:
        """A producer that registers itself is wrong, and that it unregisters ends nothing."""
        answer = self.sending()
        consumer = self.producer.consumer
        self.assertRaises(RuntimeError, consumer.registerProducer, self.producer, True)
        consumer.unregisterProducer()
        self.write(b"hi")
        self.assertEqual(self.body, b"2\r\nhi\r\n")
        self.assertNoResult(answer)

    def test_paused_before_it_starts(self) -> None:
        """A connection that is full of the head pauses the producer once that has started."""

        class Full(StringTransport):
            def registerProducer(self, producer: Any, streaming: bool) -> None:
                super().registerProducer(producer, streaming)
                producer.pauseProducing()

        producer = Producer()
        self.send(producer)
        self.accept(Full(LOCAL, V4))
        self.assertEqual(producer.told, ["start", "pause"])

    def test_lost_before_it_starts(self) -> None:
        """A connection that is gone before the body starts never starts it."""

        class Gone(StringTransport):
            def registerProducer(self, producer: Any, streaming: bool) -> None:
                producer.stopProducing()

        producer = Producer(5)
        answer = self.send(producer)
        self.accept(Gone(LOCAL, V4))
        self.close()
        self.failed(answer, CutShort, RequestTransmissionFailed)
        self.assertEqual(producer.told, [])

    def test_no_delay(self) -> None:
        """A TCP connection sends the body without waiting for the ACK of the head."""

        for producer in (Producer(), None):
            self.send(producer)
            transport = Delaying(LOCAL, V4)
            directlyProvides(transport, ITCPTransport)
            self.accept(transport)
            self.assertIs(transport.no_delay, producer is not None)

    def test_file(self) -> None:
        """Twisted's own producer of files is understood."""
        turns: list[Callable[[], None]] = []
        schedule: Any = lambda turn: turns.append(turn)  # noqa: E731
        file = io.BytesIO(b"hello " * 3)
        producer = FileBodyProducer(file, Cooperator(lambda: lambda: False, schedule), 7)
        answer = self.send(producer)
        self.transport = self.connect()
        while turns:
            turns.pop()()
        self.assertTrue(self.transport.value().endswith(b"\r\n\r\nhello hello hello "))
        self.assertTrue(file.closed)
        self.peer.dataReceived(HEAD)
        self.assertEqual(self.response(answer).code, 200)

    def test_failing_to_stop(self) -> None:
        """A producer that cannot be stopped is logged, and changes nothing else."""

        class Stubborn(Producer):
            def stopProducing(self) -> None:
                raise ZeroDivisionError

        answer = self.send(Stubborn())
        self.connect()
        self.close()
        self.failed(answer, CutShort)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_not_connected(self) -> None:
        """A producer without a connection hears of nothing, as with C{Agent}."""
        producer = Producer()
        answer = self.send(producer)
        answer.cancel()
        self.failed(answer, CancelledError)
        self.assertEqual(producer.told, [])


class WireTests(SendingTestCase):
    """What is kept of a body."""

    def test_request(self) -> None:
        """The request is kept with its body, and the bytes of that are counted."""
        log = Log()
        answer = self.sending(observer=log)
        self.write(b"hello", b"hi")
        self.producer.done.callback(None)
        self.peer.dataReceived(HEAD)
        wire = self.response(answer).wire
        self.assertEqual(wire.request, self.head + b"5\r\nhello\r\n2\r\nhi\r\n0\r\n\r\n")
        self.assertEqual((wire.request, wire.sent), (self.transport.value(), 7))
        self.assertEqual(log.events[2:6], [f"sent {len(self.head)}", "sent 10", "sent 7", "sent 5"])

    def test_limit(self) -> None:
        """Of a large body the beginning is kept, and all of it counted."""
        answer = self.sending(BODY_KEPT * 3)
        for piece in (b"a" * 5, b"b" * (BODY_KEPT - 8), b"c" * 6, b"d" * (2 * BODY_KEPT - 3)):
            self.write(piece)
        self.producer.done.callback(None)
        self.peer.dataReceived(HEAD)
        wire = self.response(answer).wire
        kept = b"a" * 5 + b"b" * (BODY_KEPT - 8) + b"c" * 3
        self.assertEqual((wire.request, wire.sent), (self.head + kept, BODY_KEPT * 3))

    def test_none(self) -> None:
        """Without a body, there is none."""
        self.assertEqual(self.fetched(HEAD).wire.sent, 0)


class FaultyProducerTests(SendingTestCase):
    """Producers that do not keep their word."""

    def test_too_long(self) -> None:
        """Nothing goes out of the piece that makes a body too long, nor after it."""
        answer = self.sending(5)
        self.write(b"hel", b"lo!", b"!")
        error = self.failed(answer, BodyFailed, RequestGenerationFailed)
        self.assertEqual(
            str(error),
            "the body to send has more than the 5 bytes that its producer announced:"
            " correct the producer's length",
        )
        self.assertEqual((self.body, error.wire.sent), (b"hel", 3))
        self.assertEqual(self.producer.told, ["start", "stop"])
        self.assertTrue(self.transport.disconnected)
        self.assertIsInstance(error.reasons[0].value, BodyFailed)

    def test_too_long_at_once(self) -> None:
        """That is so while it starts, too."""
        producer = AtOnce(2, b"hello")
        answer = self.send(producer)
        self.assertTrue(self.connect().value().endswith(b"\r\n\r\n"))
        self.failed(answer, BodyFailed)
        self.assertEqual(producer.told, ["stop", "start"])

    def test_too_short(self) -> None:
        """A body that ends too early is an error, and the connection is dropped."""
        answer = self.sending(5)
        self.write(b"hel")
        self.producer.done.callback(None)
        error = self.failed(answer, BodyFailed, RequestGenerationFailed)
        self.assertIn("ended after 3 of the 5 bytes", str(error))
        self.assertTrue(self.transport.disconnected)
        self.assertEqual(self.producer.told, ["start"])

    def test_failing(self) -> None:
        """What a producer fails with is the reason of the error."""
        for length, done in ((5, b"h"), (UNKNOWN_LENGTH, b"1\r\nh\r\n")):
            answer = self.sending(length)
            self.write(b"h")
            self.producer.done.errback(ZeroDivisionError())
            error = self.failed(answer, BodyFailed, RequestGenerationFailed)
            self.assertEqual(
                str(error),
                "the body to send broke off after 1 bytes: reasons has its producer's error",
            )
            self.assertIsInstance(error.reasons[0].value, ZeroDivisionError)
            self.assertEqual((self.body, self.transport.disconnected), (done, True))
            self.assertEqual(self.producer.told, ["start"])
            self.write(b"more")
            self.assertEqual(self.body, done)

    def test_failing_to_start(self) -> None:
        """A producer that raises fails the request."""

        class Raises(Producer):
            def startProducing(self, consumer: IConsumer) -> Deferred[None]:
                raise ZeroDivisionError

        answer = self.send(Raises())
        self.connect()
        error = self.failed(answer, BodyFailed, RequestGenerationFailed)
        self.assertIsInstance(error.reason.value, ZeroDivisionError)

    def test_failing_after_all(self) -> None:
        """A producer that has written everything and then fails has failed."""
        answer = self.sending(2)
        self.write(b"hi")
        self.producer.done.errback(ZeroDivisionError())
        self.failed(answer, BodyFailed)

    def test_failing_during_the_response(self) -> None:
        """If the response has begun, it ends with that error."""
        answer = self.sending()
        self.peer.dataReceived(EARLY + b"he")
        body = self.body_of(self.response(answer))
        self.producer.done.errback(ZeroDivisionError())
        failed: Any = body.reasons[0].value
        self.assertIsInstance(failed, ResponseFailed)
        self.assertIsInstance(failed.reasons[0].value, BodyFailed)
        self.assertTrue(self.transport.disconnected)

    def test_ended(self) -> None:
        """A producer that goes on after it has said that this is all is told so."""
        for length, sent in ((0, b""), (UNKNOWN_LENGTH, b"0\r\n\r\n")):
            answer = self.sending(length)
            self.producer.done.callback(None)
            self.assertRaises(RuntimeError, self.write, b"more")
            self.assertEqual(self.body, sent)
            self.assertNoResult(answer)

    def test_late(self) -> None:
        """What a producer does after it was stopped or has ended changes nothing."""
        answer = self.sending(5)
        answer.cancel()
        self.failed(answer, CancelledError)
        self.write(b"hi")
        self.producer.done.callback(None)
        self.assertEqual(self.body, b"")
        self.sending(5).addErrback(lambda _: None)
        self.reset()
        self.producer.done.errback(ZeroDivisionError())
        self.assertEqual(self.producer.told, ["start", "stop"])


class EarlyTests(SendingTestCase):
    """Servers that answer before the body is sent."""

    def test_refused(self) -> None:
        """An error stops the body, and its response is delivered."""
        answer = self.sending(10)
        self.write(b"hel")
        self.peer.dataReceived(REFUSED)
        self.write(b"lo")
        response = self.response(answer)
        self.assertEqual((response.code, response.wire.sent), (413, 3))
        self.assertEqual(self.producer.told, ["start", "stop"])
        self.assertIsNone(self.transport.producer)
        self.assertFalse(self.transport.disconnecting)
        body = self.body_of(response, lambda: self.peer.dataReceived(b"large"))
        self.assertEqual((body.data, self.body), (b"large", b"hel"))
        body.reasons[0].trap(ResponseDone)
        self.assertTrue(self.transport.disconnecting)
        self.reset()
        self.assertEqual(self.producer.told, ["start", "stop"])

    def test_refused_whole(self) -> None:
        """So it is when the response comes at once."""
        answer = self.sending(10)
        self.peer.dataReceived(REFUSED + b"large")
        self.assertEqual(self.body_of(self.response(answer)).data, b"large")
        self.assertEqual(self.producer.told, ["start", "stop"])
        self.assertTrue(self.transport.disconnecting)
        self.reactor.advance(LINGER)
        self.assertTrue(self.transport.disconnected)

    def test_elsewhere(self) -> None:
        """A redirect stops the body: whoever follows it begins anew."""
        answer = self.sending(10)
        self.write(b"hel")
        self.peer.dataReceived(b"HTTP/1.1 300 Multiple Choices\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual((self.response(answer).code, self.body), (300, b"hel"))
        self.assertEqual(self.producer.told, ["start", "stop"])
        self.assertTrue(self.transport.disconnecting)

    def test_interim(self) -> None:
        """An interim head stops nothing."""
        answer = self.sending()
        self.peer.dataReceived(b"HTTP/1.1 102 Processing\r\n\r\n")
        self.write(b"hi")
        self.assertEqual(self.body, b"2\r\nhi\r\n")
        self.assertNoResult(answer)

    def test_echo(self) -> None:
        """A response that is no error is delivered while the body is sent."""
        answer = self.sending()
        self.write(b"he")
        self.peer.dataReceived(EARLY + b"he")
        body = self.body_of(self.response(answer))
        self.write(b"llo")
        self.producer.done.callback(None)
        self.peer.dataReceived(b"llo")
        self.assertEqual((body.data, self.body), (b"hello", b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"))
        self.assertEqual(self.producer.told, ["start"])
        self.assertTrue(self.transport.disconnecting)

    def test_whole(self) -> None:
        """Who answers early without an error gets the rest, and then the close."""
        answer = self.sending()
        self.write(b"he")
        self.peer.dataReceived(EARLY + b"hello")
        response = self.response(answer)
        self.assertEqual(self.body_of(response).data, b"hello")
        self.peer.dataReceived(b"more")
        self.assertEqual((response.wire.excess, response.wire.ending), (4, Ending.LENGTH))
        self.assertFalse(self.transport.disconnecting)
        self.write(b"llo")
        self.producer.done.callback(None)
        self.assertEqual(self.body, b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")
        self.assertTrue(self.transport.disconnecting)
        self.assertFalse(self.transport.disconnected)

    def test_whole_but_not_done(self) -> None:
        """When all bytes of a body are out, its producer need not say so."""
        answer = self.sending(2)
        self.write(b"hi")
        self.peer.dataReceived(EARLY + b"hello")
        self.response(answer)
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.producer.told, ["start", "stop"])

    def test_whole_then_trouble(self) -> None:
        """What goes wrong with the rest closes the connection, and spoils no response."""
        for trouble, stops in (
            (lambda: self.producer.done.errback(ZeroDivisionError()), 0),
            (self.stall, 1),
            (self.reset, 1),
        ):
            answer = self.sending(10, read_timeout=3)
            self.peer.dataReceived(EARLY + b"hello")
            body = self.body_of(self.response(answer))
            trouble()
            body.reasons[0].trap(ResponseDone)
            self.assertEqual(self.reactor.getDelayedCalls(), [])
            self.assertEqual(self.producer.told.count("stop"), stops)

    def stall(self) -> None:
        self.transport.producer.pauseProducing()
        self.reactor.advance(3)
        self.assertTrue(self.transport.disconnected)

    def test_given_up(self) -> None:
        """Who gives up a response that comes early stops the body as well."""
        answer = self.sending()
        self.peer.dataReceived(EARLY)
        self.response(answer).abortConnection()
        self.assertEqual(self.producer.told, ["start", "stop"])
        self.assertTrue(self.transport.disconnected)


class LostTests(SendingTestCase):
    """Servers that go away while a body is sent."""

    def test_closed(self) -> None:
        """A close or a reset stops the producer once, and says how much had been sent."""
        for lose, kind, length, words in (
            (
                self.close,
                CutShort,
                10,
                "the connection was closed while the body was sent, after 3 of 10 bytes",
            ),
            (
                self.reset,
                PeerReset,
                UNKNOWN_LENGTH,
                "the connection broke while the body was sent, after 3 bytes",
            ),
        ):
            answer = self.sending(length)
            self.write(b"hel")
            self.transport.producer.stopProducing()  # as connections do before they are lost
            lose()
            error = self.failed(answer, kind, RequestTransmissionFailed)
            self.assertEqual((str(error), error.received), (words, 3))
            self.assertIs(type(error.reasons[0].value), kind)
            self.assertEqual(self.producer.told, ["start", "stop"])
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_head(self) -> None:
        """If a part of a head had come, that is what is cut."""
        answer = self.sending()
        self.peer.dataReceived(HEAD[:9])
        self.close()
        error = self.failed(answer, CutShort, RequestTransmissionFailed)
        self.assertEqual((error.received, error.wire.head), (9, HEAD[:9]))
        self.assertIn("inside the head", str(error))

    def test_after_all(self) -> None:
        """Once the body is sent, it is the response that is missing."""
        for length in (2, UNKNOWN_LENGTH):
            answer = self.sending(length)
            self.write(b"hi")
            self.producer.done.callback(None)
            self.close()
            error = self.failed(answer, CutShort, ResponseFailed)
            self.assertIn("before the response", str(error))

    def test_malformed(self) -> None:
        """What is no response stops the body."""
        answer = self.sending()
        self.peer.dataReceived(b"SSH-2.0-OpenSSH\r\n")
        self.failed(answer, MalformedResponse, ResponseFailed)
        self.assertEqual(self.producer.told, ["start", "stop"])
        self.assertTrue(self.transport.disconnected)

    def test_cancelled(self) -> None:
        """A request that is cancelled stops its producer."""
        answer = self.sending()
        answer.cancel()
        self.failed(answer, CancelledError)
        self.assertEqual(self.producer.told, ["start", "stop"])
        self.assertTrue(self.transport.disconnected)
        self.reset()
        self.assertEqual(self.producer.told, ["start", "stop"])


class TimeTests(SendingTestCase):
    """How long a body may take."""

    def test_slow_producer(self) -> None:
        """While the connection takes what there is, the producer has any time."""
        answer = self.sending(read_timeout=3)
        self.reactor.pump([2] * 5)
        self.transport.producer.pauseProducing()
        self.reactor.advance(2)
        self.transport.producer.resumeProducing()
        self.reactor.pump([2] * 6)
        self.assertNoResult(answer)
        self.producer.done.callback(None)
        self.reactor.advance(2.5)
        self.assertNoResult(answer)
        self.reactor.advance(0.5)
        self.assertNotIsInstance(self.failed(answer, Stalled, ResponseFailed), NotTaken)

    def test_not_taken(self) -> None:
        """A peer that takes nothing has the time that it has to send something."""
        answer = self.sending(10, read_timeout=3)
        self.write(b"hello")
        self.reactor.pump([1] * 4)
        self.transport.producer.pauseProducing()
        self.reactor.advance(2)
        self.transport.producer.resumeProducing()
        self.transport.producer.pauseProducing()
        self.reactor.advance(2.5)
        self.assertNoResult(answer)
        self.reactor.advance(0.5)
        error = self.failed(answer, NotTaken, Stalled, RequestTransmissionFailed)
        self.assertEqual(
            str(error),
            "the server took nothing for 3 seconds while the body was sent, after 5 of 10 bytes",
        )
        self.assertEqual(self.producer.told[-1], "stop")
        self.assertTrue(self.transport.disconnected)

    def test_draining(self) -> None:
        """What is sent and not yet taken has its time, as long as the peer takes some of it."""
        ours, theirs = socketpair()
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        answer = self.sending(5, read_timeout=3)
        self.transport.fileno = ours.fileno
        self.write(b"hello")
        for piece in (b"he", b"llo"):
            ours.send(piece)
        for _ in range(2):
            self.reactor.advance(3)
            self.assertNoResult(answer)
            theirs.recv(1)
            theirs.recv(2)
        self.reactor.advance(3)
        self.assertNoResult(answer)
        self.reactor.advance(3)
        self.assertNotIsInstance(self.failed(answer, Stalled), NotTaken)

    def test_not_draining(self) -> None:
        """So it has no more once the peer takes none."""
        ours, theirs = socketpair()
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        answer = self.sending(10, read_timeout=3)
        self.transport.fileno = ours.fileno
        self.transport.producer.pauseProducing()
        ours.send(b"hello")
        self.reactor.advance(3)
        self.assertNoResult(answer)
        self.reactor.advance(3)
        self.failed(answer, NotTaken)

    def test_never_done(self) -> None:
        """A producer that has written all and does not say so holds up nothing."""
        answer = self.sending(2, read_timeout=3)
        self.write(b"hi")
        self.reactor.advance(3)
        self.failed(answer, Stalled, ResponseFailed)

    def test_handshake(self) -> None:
        """The time of a TLS handshake is its own."""
        answer = self.send_secured(Secured(), read_timeout=3)
        self.reactor.advance(3)
        self.assertIn("during the TLS handshake", str(self.failed(answer, Stalled)))
        self.assertEqual(self.producer.told, [])

    def send_secured(self, transport: Any, **settings: Any) -> Deferred[IResponse]:
        self.producer = Producer()
        endpoints = Endpoints(TCP4ClientEndpoint(self.reactor, "192.0.2.1", 443))
        agent = self.agent(endpoints, **settings)
        answer = agent.request(b"POST", b"https://h/", None, self.producer)
        self.accept(transport)
        return answer

    def test_tls(self) -> None:
        """What goes wrong with TLS while a body is sent is told as what goes wrong with that."""
        answer = self.send_secured(Secured())
        self.peer._wrappedProtocol.handshakeCompleted()
        self.assertEqual(self.producer.told, ["start"])
        self.peer.connectionLost(Failure(SSL.Error([("", "", "an alert")])))
        self.failed(answer, TLSFailed, RequestTransmissionFailed)

    def test_in_all(self) -> None:
        """All of it has a limit."""
        answer = self.sending(timeout=3)
        self.reactor.advance(3)
        error = self.failed(answer, OutOfTime, RequestTransmissionFailed)
        self.assertEqual(str(error), "3 seconds were over while the body was sent")
        self.assertEqual(cast(Any, error).wire.sent, 0)
