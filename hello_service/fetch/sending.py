"""Sends the body of a request: takes it from its producer, frames it and counts it."""

import sys
from collections.abc import Callable
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IConsumer, IPushProducer, ITCPTransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from hello_service.fetch.errors import BodyFailed
from hello_service.fetch.request import InvalidRequest
from hello_service.fetch.wire import Observer, Wire

BODY_KEPT = 64 * 1024
"""Bytes of a body, chunk sizes included, that L{Wire.request} keeps: memory has to have a limit."""

_NO_PRODUCER = (
    "the body has to be an IBodyProducer whose length is a number or UNKNOWN_LENGTH, and is of"
    " type {}: to send bytes, write FileBodyProducer(BytesIO(b'...'))"
)

_log = Logger()


@implementer(IConsumer, IPushProducer)
class Sending:
    """One body on its way, in chunks if its producer does not know its length.

    To the body's producer it is the consumer, to the connection it is the producer.

    @ivar header: how the head of the request announces the body (RFC 9112, section 6).
    @ivar whole: all of the body was handed to the connection.
    @ivar over: nothing more of it is sent, whole or not.
    @ivar paused: the connection has as much as it can hold, and the peer has to take some of it.
    """

    def __init__(self, producer: IBodyProducer) -> None:
        """
        @raises InvalidRequest: if it is no producer, or its length is none.
        """
        self.length: int | None = None
        match getattr(producer, "length", None):
            case int(length) if length >= 0:
                self.length = length
                self.header = (b"Content-Length", b"%d" % length)
            case unknown if unknown == UNKNOWN_LENGTH:
                self.header = (b"Transfer-Encoding", b"chunked")
            case _:
                raise InvalidRequest(_NO_PRODUCER.format(type(producer).__name__))
        self.whole = self.over = self.paused = False
        self._producer = producer
        self._producing = self._ended = False
        self._queued = 0

    def start(
        self,
        transport: Any,
        wire: Wire,
        observer: Observer,
        on_flow: Callable[[], None],
        on_end: Callable[[BodyFailed | None], None],
    ) -> None:
        """Send the body, after the head.

        @param on_flow: called whenever the connection cannot hold more, and when it can again.
        @param on_end: called once, unless it is stopped: with C{None} when the body is whole.
        """
        self._transport, self._wire, self._observer = transport, wire, observer
        self._on_flow, self._on_end = on_flow, on_end
        self._room = BODY_KEPT
        self.whole = self.length == 0
        if ITCPTransport.providedBy(transport):
            # The head is a small segment, whose ACK the body would have to wait for.
            transport.setTcpNoDelay(True)
        transport.registerProducer(self, True)
        if self.over:
            return
        paused, self._producing = self.paused, True
        done = maybeDeferred(self._producer.startProducing, self)
        if paused:
            self.pauseProducing()
        done.addCallbacks(self._produced, self._failed)

    @property
    def under_way(self) -> bool:
        """Whether a part of it has yet to be handed to the connection, and will be."""
        return self._producing and not (self.whole or self.over)

    def draining(self) -> bool:
        """Say whether the peer took some of what the kernel holds since this was asked last."""
        before = self._queued
        self._queued = _queued(self._transport) if self._producing else 0
        return self._queued != before

    def stop(self) -> None:
        """Send nothing more, and stop the producer; once is enough."""
        if self.over:
            return
        self.over = True
        if self._producing:
            self._transport.unregisterProducer()
            with _log.failuresHandled("while stopping the producer of a request's body:"):
                self._producer.stopProducing()

    # IConsumer

    def write(self, data: bytes) -> None:
        """Send the next bytes; those of a producer that was stopped are dropped.

        @raises RuntimeError: if the Deferred of C{startProducing} has fired already.
        """
        if self._ended:
            raise RuntimeError("a producer fires its Deferred once it has written everything")
        if self.over or not data:  # an empty chunk would be the last one
            return
        sent = self._wire.sent + len(data)
        if self.length is None:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        elif sent > self.length:
            self.stop()
            self._on_end(BodyFailed.too_long(self.length))
            return
        self._wire.sent = sent
        self.whole = sent == self.length
        self._put(data)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Raise: the producer is the one that the request was given."""
        raise RuntimeError("a request's body has one producer, which need not be registered")

    def unregisterProducer(self) -> None:
        """Do nothing: the Deferred of C{startProducing} tells the end."""

    # IPushProducer

    def pauseProducing(self) -> None:
        self.paused = True
        self._on_flow()
        if self._producing:
            self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        self.paused = False
        self._on_flow()
        self._producer.resumeProducing()

    def stopProducing(self) -> None:
        self.stop()

    def _put(self, data: bytes) -> None:
        if self._room:
            kept = data[: self._room]
            self._room -= len(kept)
            self._wire.request += kept
        self._transport.write(data)
        self._observer.sent(data)

    def _produced(self, _: object) -> None:
        if self.over:
            return
        self.over = self._ended = True
        if self.length is None:
            self.whole = True
            self._put(b"0\r\n\r\n")
        self._transport.unregisterProducer()
        if self.whole:
            self._on_end(None)
        else:
            self._on_end(BodyFailed.too_short(self._wire.sent, self.length))

    def _failed(self, reason: Failure) -> None:
        if not self.over:
            self.over = True
            self._transport.unregisterProducer()
            self._on_end(BodyFailed.broken(self._wire.sent, reason))


def _queued(transport: Any) -> int:
    """Return how many bytes the kernel has and the peer has not: SIOCOUTQ of tcp(7).

    It is 0 where the kernel does not say.
    """
    try:
        return int.from_bytes(ioctl(transport.fileno(), TIOCOUTQ, bytes(4)), sys.byteorder)
    except (AttributeError, OSError):
        return 0
