"""A Twisted transport that leaves the work to a uvloop transport.

The hot path saves a call: as long as a connection may be written to, its C{write} is the uvloop
transport's own method.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IFileDescriptor,
    IHalfCloseableDescriptor,
    IHalfCloseableProtocol,
    ILoggingContext,
    IPushProducer,
    ISSLTransport,
    ISystemHandle,
    ITCPTransport,
    ITLSTransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer

from hello_service.uvloop_reactor.reads import HeldReads, SizedReads
from hello_service.uvloop_reactor.sockets import SocketFacts

_DONE = Failure(ConnectionDone())
_LOST = Failure(ConnectionLost())
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger
_BY_TLS = (
    "write",
    "loseConnection",
    "registerProducer",
    "unregisterProducer",
    "getHandle",
    "getPeerCertificate",
)


def _discard(data: bytes) -> None:
    pass


class Server(Protocol):
    """What a connection needs of the reactor that serves it.

    @ivar served: what the reactor closes at shutdown; a connection is in it while it is open.
    """

    loop: asyncio.AbstractEventLoop
    served: set[Any]


@implementer(
    ITCPTransport,
    ITLSTransport,
    IFileDescriptor,
    IHalfCloseableDescriptor,
    IConsumer,
    IPushProducer,
    ISystemHandle,
    ILoggingContext,
)
class Connection(SocketFacts, asyncio.Protocol):
    """One accepted connection: an asyncio protocol below, a Twisted transport above.

    @ivar protocol: receives what comes in, until the connection is lost; it may be replaced.
    @param peer: the name of the client's socket.
    @param sessionno: how many connections its port has accepted before.
    """

    # What an open connection has. The rest is the class's until it changes, for which Python makes
    # a dictionary.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_kind",
        "_peer",
        "_prefix",
        "_transport",
        "connected",
        "producer",
        "protocol",
        "reactor",
        "sessionno",
        "streamingProducer",
        "write",
    )

    _log = Logger()

    TLS = False
    disconnected = 0
    disconnecting = 0
    producerPaused = False

    reading = True

    _buffer_size = 2**16
    _sized: SizedReads | None = None
    _held: HeldReads | None = None
    _below: Any = None
    _half_closing = False
    _write_ended = False
    _ended = False
    _full = False
    _pulling = False
    _reason: Failure | None = None

    protocol: Any
    producer: Any
    write: Callable[[bytes], None]

    def __init__(
        self, protocol: Any, peer: tuple[Any, ...] | None, sessionno: int, reactor: Server
    ) -> None:
        self.protocol = protocol
        self._peer = peer
        self.sessionno = sessionno
        self.reactor = reactor
        self._kind = type(protocol).__name__
        self._prefix = protocol.logPrefix() if hasattr(protocol, "logPrefix") else self._kind
        self.connected = 0
        self.producer = None
        self.streamingProducer = False

    def __repr__(self) -> str:
        return f"<{self._kind} #{self.sessionno} on {self.getHost().port}>"

    # What uvloop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect the protocol."""
        self._transport = transport
        if transport.get_extra_info("peername"):  # none if the connection is lost already
            self._peer = None
        self.connected = 1
        self.reactor.served.add(self)
        self.write = transport.write  # type: ignore[attr-defined]
        try:
            self.protocol.makeConnection(self)
        except BaseException:
            self._fail()
        if not self.reading:  # uvloop starts to read after this, whatever has been asked for
            self._held = HeldReads(self, self._transport)
            self._transport.set_protocol(self._held)

    def data_received(self, data: bytes) -> None:
        """Hand on what was read."""
        try:
            self.protocol.dataReceived(data)
        except BaseException:
            self._fail()

    def eof_received(self) -> bool:
        """Report the end of stream; the connection of most protocols ends by it."""
        self.readConnectionLost(_DONE)
        return True

    def pause_writing(self) -> None:
        """Pause the producer: more is queued than the limit."""
        self._full = True
        if self.streamingProducer:
            self._pause_producer()

    def resume_writing(self) -> None:
        """Resume the producer, or do what has waited for the queue to empty."""
        self._full = False
        if self._awaits_producer():
            self._resume_producer()
        if self._half_closing:
            self.reactor.loop.call_soon(self._half_close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report that the connection is lost, and why."""
        self.connectionLost(self._reason or (_LOST if exc else _DONE))

    # ITransport

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send several pieces."""
        try:
            joined = b"".join(data)
        except TypeError:
            raise TypeError("Data must be bytes") from None
        self.write(joined)

    def loseConnection(self) -> None:
        """Close once everything queued is sent and the producer, if it is to go on, is done."""
        if self.connected and not self.disconnecting:
            if self._write_ended:
                self.connectionLost(_DONE)
                return
            self.disconnecting = 1
            self.reading = False
            if self._awaits_producer():
                self._transport.pause_reading()
            else:
                self._transport.close()

    # ITCPTransport

    def loseWriteConnection(self) -> None:
        """Send end of stream once everything is sent, and what is written until then, too."""
        if self.connected and not self._half_closing:
            self._half_closing = True
            self.reactor.loop.call_soon(self._half_close)

    def abortConnection(self) -> None:
        """Close at once, by a reset."""
        if self.connected and not self._reason:
            self._reason = Failure(ConnectionAborted())
            self.pauseProducing()
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._transport.abort()

    # ITLSTransport

    def startTLS(self, contextFactory: Any, normal: bool = True) -> None:
        """Speak TLS from now on.

        @param normal: false to be the client of the handshake.
        """
        from twisted.protocols.tls import TLSMemoryBIOFactory

        producer, streaming = self.producer, self.streamingProducer
        if producer is not None:
            self.unregisterProducer()
        factory = TLSMemoryBIOFactory(
            contextFactory,
            not normal,
            None,  # type: ignore[arg-type]
            self.reactor,  # type: ignore[arg-type]
        )
        self._below = _BelowTLS(self)
        self.protocol = tls = factory.protocol(factory, self.protocol, False)
        for name in _BY_TLS:
            setattr(self, name, getattr(tls, name))
        directlyProvides(self, ISSLTransport)
        self.TLS = True
        tls.makeConnection(self._below)
        if producer is not None:
            self.registerProducer(producer, streaming)

    # IConsumer

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Pace a producer by what the peer takes.

        @raises RuntimeError: if there is one already.
        """
        if self.producer is not None:
            raise RuntimeError(f"{producer!r} cannot produce: {self.producer!r} does so already.")
        if self.disconnected:
            producer.stopProducing()
            return
        self.producer, self.streamingProducer = producer, streaming
        if not streaming:
            self._transport.set_write_buffer_limits(0)
            self._send_by(_discard if self._write_ended else self._send_and_pull)
            producer.resumeProducing()
            self._pull_soon()  # if not for what it wrote, for what had been written before
        elif self._full:
            self._pause_producer()

    def unregisterProducer(self) -> None:
        """Forget the producer, and close if that has waited for it."""
        if self.connected and self.producer is not None and not self.streamingProducer:
            self._send_by(_discard if self._write_ended else self._transport.write)
            self._transport.set_write_buffer_limits(self._buffer_size)
        self.producer, self.streamingProducer, self.producerPaused = None, False, False
        if self.connected:
            if self.disconnecting:
                self._transport.close()
            elif self._half_closing:
                self.reactor.loop.call_soon(self._half_close)

    def stopConsuming(self) -> None:
        """Forget the producer and close."""
        self.unregisterProducer()
        self.loseConnection()

    # IPushProducer

    def pauseProducing(self) -> None:
        """Read no further."""
        self.reading = False
        self._transport.pause_reading()

    def resumeProducing(self) -> None:
        """Read on."""
        if self.connected and not self.disconnecting and not self._ended:
            self.reading = True
            if self._held is None:
                self._transport.resume_reading()
            else:
                self.reactor.loop.call_soon(self._release)

    startReading = resumeProducing
    stopReading = pauseProducing

    def stopProducing(self) -> None:
        """Close, as C{loseConnection} does."""
        self.loseConnection()

    # IHalfCloseableDescriptor

    def readConnectionLost(self, reason: Failure) -> None:
        """Tell the protocol of the end of stream, or lose the connection by it."""
        self._ended = True
        half_closeable = IHalfCloseableProtocol(self.protocol, None)
        if half_closeable is None:
            self.connectionLost(reason)
            return
        try:
            half_closeable.readConnectionLost()
        except BaseException:
            self._fail()

    def writeConnectionLost(self, reason: Failure) -> None:
        """Tell the protocol that its end of stream is sent."""
        half_closeable = IHalfCloseableProtocol(self.protocol, None)
        if half_closeable is not None:
            try:
                half_closeable.writeConnectionLost()
            except BaseException:
                self._fail()

    def connectionLost(self, reason: Failure) -> None:
        """Close at once and tell the protocol why."""
        if not self.connected:
            return
        self.connected, self.disconnected = 0, 1
        self.reactor.served.discard(self)
        self._send_by(_discard)
        self._transport.abort()
        producer, self.producer = self.producer, None
        protocol = self.protocol
        del self.protocol
        if producer is not None:
            try:
                producer.stopProducing()
            except BaseException:
                self._log_error()
        try:
            protocol.connectionLost(reason)
        except BaseException:
            self._log_error()

    # ISystemHandle, ILoggingContext

    @property
    def logstr(self) -> str:
        """What names the connection in a log."""
        return f"{self._prefix},{self.sessionno},{self.getPeer().host}"

    def logPrefix(self) -> str:
        """Return what names the connection in a log."""
        return self.logstr

    @property
    def bufferSize(self) -> int:
        """How many bytes to read at once, at most, and to queue until the producer is paused."""
        return self._buffer_size

    @bufferSize.setter
    def bufferSize(self, size: int) -> None:
        self._buffer_size = size
        self._sized = SizedReads(self, size)
        if self._held is None:
            self._transport.set_protocol(self._sized)
        self._transport.set_write_buffer_limits(size)

    def _release(self) -> None:
        held = self._held
        if held is not None and self.reading and self.connected:
            self._held = None
            self._transport.set_protocol(self._sized or self)
            if held.data:
                self.data_received(held.data)
            if held.ended:
                self.eof_received()
            elif self.reading:
                self._transport.resume_reading()

    def _send_by(self, send: Callable[[bytes], None]) -> None:
        (self._below or self).write = send

    def _send_and_pull(self, data: bytes) -> None:
        self._transport.write(data)
        self._pull_soon()

    def _pull_soon(self) -> None:
        if not self._full and not self._pulling:
            self._pulling = True
            self.reactor.loop.call_soon(self._pull)

    def _pull(self) -> None:
        self._pulling = False
        if not self._full and self.producer is not None and not self.streamingProducer:
            self._resume_producer()

    def _awaits_producer(self) -> bool:
        # A producer that writes as it likes is not waited for, as on Twisted's transports.
        return self.producer is not None and (not self.streamingProducer or self.producerPaused)

    def _pause_producer(self) -> None:
        self.producerPaused = True
        try:
            self.producer.pauseProducing()
        except BaseException:
            self._fail()

    def _resume_producer(self) -> None:
        self.producerPaused = False
        try:
            self.producer.resumeProducing()
        except BaseException:
            self._fail()

    def _half_close(self) -> None:
        if self.disconnecting or self._transport.is_closing() or self._write_ended:
            return
        if self._transport.get_write_buffer_size():
            self._transport.set_write_buffer_limits(0)  # to be told once all is sent
        elif not self._awaits_producer():
            self._write_ended = True
            self._send_by(_discard)
            self._transport.write_eof()
            self.writeConnectionLost(_DONE)

    def _fail(self) -> None:
        self._reason = self._log_error()
        self._transport.abort()

    def _log_error(self) -> Failure:
        failure = Failure()
        self._log.failure("Unhandled error in {connection}", failure, connection=self)
        return failure


class _BelowTLS:
    """The connection as it was before C{startTLS}, for TLS to speak on."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.write = connection.write
        self.loseConnection = connection.loseConnection
        self.registerProducer = connection.registerProducer
        self.unregisterProducer = connection.unregisterProducer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)
