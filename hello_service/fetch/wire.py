"""What a fetch keeps of the wire, and an observer that watches it happen."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from hello_service.fetch.happy_eyeballs import ConnectObserver
from hello_service.fetch.negotiated import Negotiated
from hello_service.fetch.reader import Ending


@dataclass(eq=False, slots=True)
class Times:
    """When things happened: seconds of a monotonic clock, C{None} for what has not.

    @ivar started: the request was asked for.
    @ivar resolved: the addresses of the host were known.
    @ivar connected: the connection was made.
    @ivar secured: TLS was agreed on.
    @ivar first_byte: something of the answer came.
    @ivar head_complete: the head was whole.
    @ivar body_complete: the body was whole.
    """

    started: float
    resolved: float | None = None
    connected: float | None = None
    secured: float | None = None
    first_byte: float | None = None
    head_complete: float | None = None
    body_complete: float | None = None


@dataclass(eq=False, slots=True)
class Wire:
    """What was on the wire, as far as it has come.

    @ivar request: the request as sent; of its body the first 64 KiB, chunk sizes included.
    @ivar sent: number of bytes of its body that were sent, without the framing of chunks.
    @ivar times: when things happened.
    @ivar local: our end's address, once connected.
    @ivar peer: the other end's.
    @ivar interim: the interim (1xx) heads as received.
    @ivar head: the head as received; if it was refused or never whole, what came of it.
    @ivar trailers: the trailer section as received, with its empty line if that came.
    @ivar received: number of bytes of the body, without the framing of chunks.
    @ivar rest: bytes of a body that claims to be chunked and is not, from the first that made no
        chunk; no consumer of the body gets them.
    @ivar excess: number of bytes that came after the end of the response.
    @ivar ending: how the body ended, C{None} while it has not.
    @ivar opening: what was sent before the request, below TLS.
    @ivar tls: what the TLS handshake came to; C{None} without one, or if no certificate came.
    """

    request: bytes
    times: Times
    sent: int = 0
    local: IAddress | None = None
    peer: IAddress | None = None
    interim: Sequence[bytes] = field(default_factory=tuple)
    head: bytes = b""
    trailers: bytes = b""
    received: int = 0
    rest: bytes = b""
    excess: int = 0
    ending: Ending | None = None
    opening: bytes = b""
    tls: Negotiated | None = None


class Observer(ConnectObserver):
    """Hears of everything that happens to a connection; does nothing with it."""

    def connected(self, local: IAddress, peer: IAddress) -> None:
        """The connection is made."""

    def negotiated(self, tls: Negotiated) -> None:
        """The server has shown its certificates, which may be refused yet."""

    def secured(self) -> None:
        """TLS is agreed on; what is sent and received is seen in the clear."""

    def sent(self, data: bytes) -> None:
        """Bytes were handed to the connection."""

    def received(self, data: bytes) -> None:
        """Bytes came."""

    def paused(self) -> None:
        """Reading stops, because the consumer of the body wants it."""

    def resumed(self) -> None:
        """Reading goes on."""

    def closing(self) -> None:
        """We close the connection."""

    def lost(self, reason: Failure) -> None:
        """The connection is gone: the peer's end of stream, a reset, or our closing."""
