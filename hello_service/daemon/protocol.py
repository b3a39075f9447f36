"""The protocol that a daemon's own one builds on: half-close, backpressure, draining, lingering."""

from collections.abc import Mapping
from fcntl import ioctl
from sys import byteorder, intern
from termios import TIOCOUTQ
from time import time
from typing import Any, ClassVar

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
from hello_service.daemon.connections import Connections
from hello_service.daemon.handshakes import HANDSHAKE, LATE, Handshakes
from hello_service.daemon.probes import ProbesService

LINGER = 2.0
"""Seconds that a peer has to close its side, once it has all of ours; what it still sends is thrown
away. To close with bytes unread would reset the connection and take the last answers along."""


ONE_SEGMENT = 536
"""Bytes that any system takes at once (RFC 9293, section 3.7.1): they are there before a reset."""


def _unsent(transport: Any) -> int:
    """Return how many bytes the peer's system has not taken yet (tcp(7), SIOCOUTQ).

    Where this cannot be told it is 0.
    """
    try:
        return int.from_bytes(ioctl(transport.fileno(), TIOCOUTQ, b"0123"), byteorder)
    except OSError:
        return 0


class IConnection(ITCPTransport, IConsumer, IPushProducer, IFileDescriptor):
    """What a stream transport is to its protocol, in one interface."""


@implementer(IHalfCloseableProtocol, IHandshakeListener, IPushProducer)
class DaemonProtocol(Protocol):
    """One connection, which ends without losing an answer, however it ends.

    A subclass says what it has to in `opened`, `received` and `ended`, answers by `write`, and ends
    the connection by `close`. Nothing is read while the peer does not take its answers.

    @cvar ACCEPTED: what the log says of a new connection.
    @cvar CLOSED: what it says of one that is over.
    @ivar factory: the `DaemonFactory` that has built it.
    @ivar host: the peer's IP address; C{None} where it has none.
    @ivar peer: the peer's address, as text; C{local} is our own.
    @ivar started: when the connection was made, by the clock.
    @ivar bytes_in: how many bytes have been read.
    @ivar bytes_out: how many bytes have been written.
    @ivar in_handshake: whether its TLS handshake is not over.
    @ivar answering: whether an answer is to come that waits for nobody but us, see `hold`.
    @ivar closing: whether nothing more is answered.
    @ivar reason: why it ends, a word for the log; if empty, the log says C{end} or C{lost}.
    @ivar timer: what is to happen later, until then; cancelled if the connection is lost first. It
        is the subclass's from `opened` to `close`, which lingers by it.
    """

    ACCEPTED: ClassVar = "Connection from {peer}."
    CLOSED: ClassVar = "Connection from {peer} closed."

    factory: Any
    transport: IConnection
    local = ""
    started = 0.0
    bytes_in = 0
    bytes_out = 0
    in_handshake = False
    answering = False
    closing = False
    reason = ""
    timer: IDelayedCall | None = None

    _namespace = f"{__name__}.DaemonProtocol"
    _via: Mapping[str, str] = {}
    _tls = False
    _congested = False
    _silent: ProbesService | None = None

    def __init__(
        self,
        clock: IReactorTime,
        peer: IAddress | None,
        connections: Connections[Any],
    ) -> None:
        self.clock = clock
        self.host: str | None = getattr(peer, "host", None)
        self.peer = address_text(peer)
        self._connections = connections

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._namespace = f"{cls.__module__}.{cls.__qualname__}"

    # What a subclass fills in

    def opened(self) -> None:
        """Say the first word, if it is ours. Over TLS, the handshake is done."""

    def received(self, data: bytes) -> None:
        """Take what one read returned."""

    def ended(self) -> None:
        """Write what is still owed: the peer has sent its last byte. The close comes by itself."""

    def flush(self) -> None:
        """Write at once what waits to be written: the connection is about to be closed."""

    def account(self) -> dict[str, object]:
        """Return what the log is to tell of a closed connection besides the usual."""
        return {}

    # What a subclass calls

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self.bytes_out += len(data)
        self.transport.write(data)

    def hold(self) -> None:
        """Read no further until `release`: an answer is under way."""
        self.answering = True
        self.transport.pauseProducing()

    def release(self) -> None:
        """Read on."""
        self.answering = False
        if not self._congested:
            self.transport.resumeProducing()

    def close(self, reason: str = "", peer_is_done: bool = False) -> None:
        """Send what is written and end of stream; close once the peer has closed its side.

        It has `LINGER` for that from when it has taken all of ours; what it sends is thrown away.

        @param reason: a word for the log.
        @param peer_is_done: whether the peer has said that it sends nothing more. Then it is not
            waited for, which is faster, unless more than `ONE_SEGMENT` has been written: part of
            that may be under way yet, and lost if the peer sends all the same.
        """
        if self.closing:
            return
        self.closing = True
        self.answering = False
        self.reason = reason
        self.transport.unregisterProducer()
        if not self._tls and self._loses_nothing(peer_is_done):
            self.transport.loseConnection()
            return
        if self._tls or not self._congested:
            self.transport.resumeProducing()  # to see the peer's own close
        if self._tls:
            self.transport.loseConnection()
        else:
            self.transport.loseWriteConnection()
        self._linger()

    # What the daemon calls and looks at, see connections.py and status/

    @property
    def via(self) -> str | None:
        """The balancer's address, as text, if one has told the peer's."""
        return self._via.get("via")

    @property
    def state(self) -> str:
        """How it is: in its TLS C{handshake}, C{welcomed} if the peer has said nothing yet,
        C{blocked} by a peer that does not read, C{answering}, C{lingering} or C{open}."""
        if self.in_handshake:
            return "handshake"
        if self.closing:
            return "lingering"
        if self._congested:
            return "blocked"
        if self.answering:
            return "answering"
        return "open" if self.bytes_in else "welcomed"

    def drain(self, reason: str) -> None:
        """Send what is owed, without any wait, then close.

        @param reason: a word for the log.
        """
        if self.in_handshake:
            self.abort(reason)
        elif not self.closing:
            self.flush()
            self.close(reason)

    def abort(self, reason: str = "aborted") -> None:
        """Close at once, by a reset."""
        self.closing = True
        self.reason = reason
        self.transport.abortConnection()

    # What the transport calls

    def connectionMade(self) -> None:
        self.started = self.clock.seconds()
        self.local = intern(address_text(self.transport.getHost()))  # the same for most
        self._connections.add(self)
        if via := getattr(self.transport, "via", None):  # see proxied.py
            self._via = {"via": via}
        self._tls = ISSLTransport.providedBy(self.transport)
        if self._tls:
            self.in_handshake = True
            self.timer = self.clock.callLater(HANDSHAKE, self.abort, LATE)
        else:
            self._open()

    def handshakeCompleted(self) -> None:
        """Begin over TLS: sooner, what is said would wait, and congestion stop the handshake."""
        assert self.timer
        self.timer.cancel()
        self.in_handshake = False
        self._open()

    def dataReceived(self, data: bytes) -> None:
        self.bytes_in += len(data)
        if not self.closing:
            self.received(data)

    def readConnectionLost(self) -> None:
        if not self.closing:
            self.ended()
            self.closing = True
            self.transport.unregisterProducer()
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        self.transport.resumeProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.timer and self.timer.active():
            self.timer.cancel()
        if self.in_handshake:
            self._lose_handshake(reason)
            return
        self.reason = self.reason or ("end" if reason.check(ConnectionDone) else "lost")
        if self._silent:
            del self.dataReceived
            self._silent.count += 1
        else:
            self._tell(
                self.CLOSED,
                event="closed", peer=self.peer, local=self.local,
                started=self.started, duration=round(self.clock.seconds() - self.started, 6),
                **self.account(), bytes_in=self.bytes_in, bytes_out=self.bytes_out,
                reason=self.reason,
            )  # fmt: skip
        self._connections.discard(self)

    def pauseProducing(self) -> None:
        self._congested = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self._congested = False
        if not self.answering:
            self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """The connection is lost: C{connectionLost} says so, too."""

    def _open(self) -> None:
        if self._connections.probes is None:
            self._tell_accepted()
        else:
            self._silent = self._connections.probes
            self.dataReceived = self._first_read  # type: ignore[method-assign]
        self.transport.registerProducer(self, True)
        self.opened()

    def _lose_handshake(self, reason: Failure) -> None:
        self._connections.discard(self)
        if not self.closing or self.reason == LATE:
            self.factory.handshakes.count(reason, self.reason == LATE)

    def _loses_nothing(self, peer_is_done: bool) -> bool:
        if peer_is_done and self.bytes_out <= ONE_SEGMENT:
            return True
        return not hasattr(self.transport, "fileno")  # pipes, which are not reset

    def _linger(self) -> None:
        unsent = _unsent(self.transport)
        self.timer = self.clock.callLater(LINGER, self._stop_lingering, unsent)

    def _stop_lingering(self, before: int) -> None:
        if before or _unsent(self.transport):
            self._linger()
        elif self._tls:
            self.transport.abortConnection()
        else:
            self.transport.loseConnection()

    def _first_read(self, data: bytes) -> None:
        """Stand in for C{dataReceived} until the peer has said something: then tell of it."""
        self._silent = None
        del self.dataReceived
        self._tell_accepted()
        self.dataReceived(data)

    def _tell_accepted(self) -> None:
        self._tell(self.ACCEPTED, event="accepted", peer=self.peer, local=self.local)

    def _tell(self, text: str, **fields: object) -> None:
        """Log an event, for a fifth of the time that C{Logger.info} takes."""
        globalLogPublisher(
            {
                "log_level": LogLevel.info,
                "log_namespace": self._namespace,
                "log_format": text,
                "log_time": time(),
                **fields,
                **self._connections.fields,
                **self._via,
            }
        )


class DaemonFactory(ServerFactory):
    """Builds the C{protocol}, a `DaemonProtocol`, for each connection.

    @ivar clock: what times the waits, usually the reactor.
    @ivar connections: those that are open.
    @ivar handshakes: counts those over TLS that do not come so far.
    """

    noisy = False
    protocol: type[DaemonProtocol] = DaemonProtocol

    def __init__(self, clock: IReactorTime) -> None:
        self.clock = clock
        self.connections: Connections[Any] = Connections()
        self.handshakes = Handshakes(clock)

    def startFactory(self) -> None:
        self.handshakes.running = True

    def stopFactory(self) -> None:
        self.handshakes.stop()

    def buildProtocol(self, addr: IAddress | None) -> DaemonProtocol:
        protocol = self.protocol(self.clock, addr, self.connections)
        protocol.factory = self
        return protocol
