"""The tutorial's server (its step 2) as a Twisted protocol and its factory."""

from collections.abc import MutableSet
from contextlib import suppress
from fcntl import ioctl
from sys import byteorder, intern
from termios import TIOCOUTQ
from time import time

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IDelayedCall,
    IFileDescriptor,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.logger import LogLevel, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from hello_service.address import address_text
from hello_service.conversation import READ_SIZE, Conversation, Framing

__all__ = ["Framing", "HelloFactory", "HelloProtocol"]


def _tell(text: str, **fields: object) -> None:
    """Log an event of a connection, for a fifth of the time that C{Logger.info} takes."""
    globalLogPublisher(
        {
            "log_level": LogLevel.info,
            "log_namespace": "hello_service.server.HelloProtocol",
            "log_format": text,
            "log_time": time(),
            **fields,
        }
    )


LINGER = 2.0
"""Seconds that a peer has to close its side, once it has all of ours; what it still sends is thrown
away. To close with bytes unread would reset the connection and take the last answers along."""


def _unsent(descriptor: int) -> int:
    """Return how many bytes the peer's system has not taken yet (tcp(7), SIOCOUTQ).

    Where this cannot be told it is 0.
    """
    with suppress(OSError):
        return int.from_bytes(ioctl(descriptor, TIOCOUTQ, bytes(4)), byteorder)
    return 0


class IConnection(ITCPTransport, IConsumer, IPushProducer, IFileDescriptor):
    """What a stream transport is to its protocol, in one interface."""


@implementer(IHalfCloseableProtocol, IHandshakeListener, IPushProducer)
class HelloProtocol(Protocol):
    """Holds one conversation, and reads no further while the peer does not read its answers.

    It is its transport's push producer: the answers are produced from what is read.

    @ivar host: the peer's IP address; C{None} where it has none.
    @ivar started: when the connection was made, by the clock.
    @ivar bytes_in: how many bytes have been read.
    @ivar bytes_out: how many bytes have been written.
    """

    transport: IConnection
    started = 0.0
    bytes_in = 0
    bytes_out = 0

    def __init__(
        self,
        clock: IReactorTime,
        conversation: Conversation,
        delay: float,
        peer: IAddress | None,
        connections: "MutableSet[HelloProtocol]",
    ) -> None:
        self._clock = clock
        self._conversation = conversation
        self._delay = delay
        self.host: str | None = getattr(peer, "host", None)
        self._peer = address_text(peer)
        self._local = ""
        self._connections = connections
        self._tls = False
        self._congested = False
        self._unanswered = b""
        self._timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        self.started = self._clock.seconds()
        self._local = intern(address_text(self.transport.getHost()))  # the same for most
        self._connections.add(self)
        _tell(
            "Accept new connection from {peer}...",
            event="accepted", peer=self._peer, local=self._local,
        )  # fmt: skip
        if self._delay:
            self.transport.bufferSize = READ_SIZE  # type: ignore[attr-defined]
        self._tls = ISSLTransport.providedBy(self.transport)
        if not self._tls:
            self._greet()

    def handshakeCompleted(self) -> None:
        """Greet over TLS: sooner, the greeting would wait, and congestion stop the handshake."""
        self._greet()

    def dataReceived(self, data: bytes) -> None:
        self.bytes_in += len(data)
        conversation = self._conversation
        if conversation.finished:  # the peer lingers
            return
        if self._delay:
            self._answer_later(data)
            return
        if answers := conversation.feed(data):
            self.bytes_out += len(answers)
            self.transport.write(answers)
        if conversation.finished:
            self._close()

    def readConnectionLost(self) -> None:
        if not self._conversation.finished:
            self._write(self._conversation.end())
            self.transport.unregisterProducer()
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        self._linger()
        self.transport.resumeProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._timer and self._timer.active():
            self._timer.cancel()
        conversation = self._conversation
        _tell(
            "Connection from {peer} closed.",
            event="closed", peer=self._peer, local=self._local,
            started=self.started, duration=round(self._clock.seconds() - self.started, 6),
            messages=conversation.messages, bytes_in=self.bytes_in, bytes_out=self.bytes_out,
            reason=conversation.reason or ("end" if reason.check(ConnectionDone) else "lost"),
        )  # fmt: skip
        self._connections.discard(self)

    @property
    def answering(self) -> bool:
        """Whether an answer is to come that waits for nobody but us."""
        return bool(self._unanswered)

    def drain(self, reason: str) -> None:
        """Send what is owed, without any wait, then close.

        @param reason: a word for the log.
        """
        if not self.bytes_out:  # in its TLS handshake: not even greeted
            self.abort(reason)
            return
        if self._unanswered and self._timer:
            self._timer.cancel()
            self._answer_now()
        if not self._conversation.finished:
            self._conversation.break_off(reason)
            self._close()

    def abort(self, reason: str = "aborted") -> None:
        """Close at once, by a reset."""
        self._conversation.break_off(reason)
        self.transport.abortConnection()

    def pauseProducing(self) -> None:
        self._congested = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self._congested = False
        if not self._unanswered:
            self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """The connection is lost: C{connectionLost} says so, too."""

    def _greet(self) -> None:
        self.transport.registerProducer(self, True)
        self._write(self._conversation.greeting)

    def _write(self, data: bytes) -> None:
        self.bytes_out += len(data)
        self.transport.write(data)

    def _answer_later(self, data: bytes) -> None:
        if not self._unanswered:
            self.transport.pauseProducing()
            self._timer = self._clock.callLater(self._delay, self._answer_now)
        self._unanswered += data  # TLS delivers while paused what it has already read

    def _answer_now(self) -> None:
        data, self._unanswered = self._unanswered, b""
        self._write(self._conversation.feed(data))
        if self._conversation.finished:
            self._close()
        elif not self._congested:
            self.transport.resumeProducing()

    def _close(self) -> None:
        self.transport.unregisterProducer()
        if self._tls:
            self.transport.resumeProducing()  # to see the peer's own close
            self.transport.loseConnection()
            self._linger()
        elif self._conversation.cut_short:
            self.transport.pauseProducing()
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()

    def _linger(self) -> None:
        unsent = _unsent(self.transport.fileno())
        self._timer = self._clock.callLater(LINGER, self._stop_lingering, unsent)

    def _stop_lingering(self, before: int) -> None:
        if before or _unsent(self.transport.fileno()):
            self._linger()
        elif self._tls:
            self.transport.abortConnection()
        else:
            self.transport.loseConnection()


class HelloFactory(ServerFactory):
    """Builds a `HelloProtocol` for each connection.

    @param clock: what times the waits, usually the reactor.
    @param framing: what a message is.
    @param delay: seconds between reading and answering; the tutorial's server waits 1.
    @param connections: has every protocol in it while that is connected.
    """

    noisy = False

    def __init__(
        self,
        clock: IReactorTime,
        framing: Framing = Framing.AUTO,
        delay: float = 0.0,
        connections: MutableSet[HelloProtocol] | None = None,
    ) -> None:
        self._clock = clock
        self._framing = framing
        self._delay = delay
        self._connections = set() if connections is None else connections

    def buildProtocol(self, addr: IAddress | None) -> HelloProtocol:
        conversation = Conversation(self._framing)
        return HelloProtocol(self._clock, conversation, self._delay, addr, self._connections)
