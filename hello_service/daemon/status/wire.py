"""What happens on one connection, recorded while somebody looks.

A protocol that is recorded gets a class, and a transport, that tell of all that it does. One that
is not has nothing of this: to look is what costs, not to be looked at.
"""

from codecs import getincrementaldecoder
from collections import deque
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import directlyProvides, providedBy

from hello_service.daemon.protocol import DaemonProtocol

EVENTS = 250
"""How many events are kept of a connection: the last ones."""

TEXT = 64
"""How many bytes of a read or a write are kept as text, at most."""

_decoder = getincrementaldecoder("utf-8")


class Wire:
    """The events of one connection, in the order in which they happened.

    An event has its kind as C{kind}, the seconds since the connection began as C{at}, and a read or
    a write has C{bytes}, and what they say as C{text}, C{cut} if it says more.

    @ivar number: what the page calls it.
    @ivar whole: whether it was recorded from the connection's beginning on.
    @ivar pins: how many viewers follow it.
    @ivar ended: when the connection was lost.
    @param text: whether to keep what is read and written.
    @param over: called when the connection is lost.
    """

    def __init__(
        self,
        number: int,
        clock: IReactorTime,
        connection: DaemonProtocol,
        whole: bool,
        text: bool,
        over: Callable[["Wire"], object],
    ) -> None:
        self.number = number
        self.connection = connection
        self.whole = whole
        self.pins = 0
        self.ended: float | None = None
        self._clock = clock
        self._text = text
        self._over = over
        self._moved: float | None = None
        self._count = 0
        self._events: deque[dict[str, object]] = deque(maxlen=EVENTS)
        self._untap = _tap(connection, self)
        if whole:
            self.tell("connect")

    def since(self, first: int) -> tuple[int, list[dict[str, object]]]:
        """Return the events from the C{first} on, counted from 0, and the number of the first of
        them: some may be kept no more."""
        kept = self._count - len(self._events)
        start = max(first, kept)
        return start, list(self._events)[start - kept :]

    def quiet(self) -> float | None:
        """Return for how many seconds nothing has been read or written, if that is known."""
        return None if self._moved is None else self._clock.seconds() - self._moved

    def tell(self, kind: str, data: bytes | None = None, **fields: object) -> None:
        """Add an event."""
        now = self._clock.seconds()
        event = {"kind": kind, "at": round(now - self.connection.started, 6), **fields}
        if data is not None:
            self._moved = now
            event["bytes"] = len(data)
            if self._text:
                cut = len(data) > TEXT
                # What is cut has no half of a character at its end, which the peer has not sent.
                event["text"] = _decoder("backslashreplace").decode(data[:TEXT], final=not cut)
                event["cut"] = cut
        self._count += 1
        self._events.append(event)

    def end(self) -> None:
        """Tell that the connection is lost, and record no further."""
        self.ended = self._clock.seconds()
        self.tell("gone", reason=self.connection.reason)
        self.leave()
        self._over(self)

    def leave(self) -> None:
        """Record no further."""
        self._untap()


class _Transport:
    """A protocol's transport, which tells what the protocol does with it."""

    def __init__(self, transport: Any, wire: Wire) -> None:
        vars(self).update(_transport=transport, _wire=wire)
        directlyProvides(self, providedBy(transport))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name.startswith("__"):
            super().__setattr__(name, value)
        else:
            setattr(self._transport, name, value)

    def write(self, data: bytes) -> None:
        if data:
            self._wire.tell("write", data)
        self._transport.write(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def loseWriteConnection(self) -> None:
        self._wire.tell("end")
        self._transport.loseWriteConnection()

    def loseConnection(self) -> None:
        self._wire.tell("close")
        self._transport.loseConnection()

    def abortConnection(self) -> None:
        self._wire.tell("reset")
        self._transport.abortConnection()


class _Telling(DaemonProtocol):
    """What the transport calls of a protocol, and what holds it back, told first."""

    wire: Wire

    def handshakeCompleted(self) -> None:
        self.wire.tell("secured")
        super().handshakeCompleted()

    def dataReceived(self, data: bytes) -> None:
        self.wire.tell("read", data)
        super().dataReceived(data)

    def readConnectionLost(self) -> None:
        self.wire.tell("peer-end")
        super().readConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        wire = self.wire
        super().connectionLost(reason)
        wire.end()

    def pauseProducing(self) -> None:
        self.wire.tell("blocked")
        super().pauseProducing()

    def resumeProducing(self) -> None:
        self.wire.tell("unblocked")
        super().resumeProducing()

    def hold(self) -> None:
        self.wire.tell("held")
        super().hold()

    def release(self) -> None:
        self.wire.tell("released")
        super().release()


@cache
def _telling(protocol: type[DaemonProtocol]) -> type[_Telling]:
    names = {"__module__": protocol.__module__, "__qualname__": protocol.__qualname__}
    return type(protocol.__name__, (_Telling, protocol), names)


def _tap(connection: Any, wire: Wire) -> Callable[[], None]:
    """Have a connection tell a wire; return what ends that."""
    protocol: type[DaemonProtocol] = type(connection)
    transport = connection.transport
    connection.__class__ = _telling(protocol)  # type: ignore[arg-type]  # mypy has no hash for it
    connection.transport = _Transport(transport, wire)
    connection.wire = wire

    def untap() -> None:
        connection.__class__ = protocol
        connection.transport = transport
        del connection.wire

    return untap
