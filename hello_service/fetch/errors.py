"""Why a fetch has no whole response: each exception says so in a sentence without its capital."""

from twisted.internet.error import TimeoutError


class ResponseError(Exception):
    """What was received is no response, or not the whole of it; the message is one sentence.

    @ivar wire: what was on the wire until then, set by whoever did the I/O.
    """

    wire: object = None


class MalformedResponse(ResponseError):
    """The peer broke the grammar of HTTP/1.1, or left open what it means."""


class LimitExceeded(ResponseError):
    """Something is larger than it may be.

    @ivar limit: the number that was exceeded.
    """

    _sentence = ""

    def __init__(self, limit: int) -> None:
        super().__init__(self._sentence.format(limit))
        self.limit = limit


class HeadTooLong(LimitExceeded):
    """A head has more than `HEAD_LIMIT` bytes."""

    _sentence = "the head has more than {} bytes"


class TooManyInterim(LimitExceeded):
    """More than `INTERIM_LIMIT` interim heads came."""

    _sentence = "more than {} interim (1xx) heads came before the response"


class ChunkLineTooLong(LimitExceeded):
    """A chunk-size line has more than `CHUNK_LINE_LIMIT` bytes."""

    _sentence = "a chunk-size line has more than {} bytes"


class TrailersTooLong(LimitExceeded):
    """The trailer section has more than `TRAILERS_LIMIT` bytes."""

    _sentence = "the trailers have more than {} bytes"


class BodyTooLarge(LimitExceeded):
    """The body has more bytes than the caller wanted."""

    _sentence = "the body has more than {} bytes"


class Unfinished(ResponseError):
    """The response was not whole when it ended, or was ended.

    @ivar received: bytes of the body, or of the head if that is not whole, that came.
    @ivar expected: bytes of the body that the head announced, or C{None}.
    """

    def __init__(self, what: str, part: str, received: int, expected: int | None) -> None:
        of = "" if expected is None else f" of {expected}"
        after = f", after {received}{of} bytes" if received or of else ""
        super().__init__(f"{what} {part}{after}")
        self.received = received
        self.expected = expected


class CutShort(Unfinished):
    """The stream ended too early."""

    _what = "the connection was closed"

    def __init__(self, part: str, received: int, expected: int | None) -> None:
        super().__init__(self._what, part, received, expected)


class PeerReset(CutShort):
    """The connection broke: a reset, or TLS that ends without saying so."""

    _what = "the connection broke"


class HandshakeCut(PeerReset):
    """The connection ended during the TLS handshake."""

    def __init__(self) -> None:
        super().__init__("during the TLS handshake", 0, None)


class Stalled(Unfinished):
    """Nothing came for too long.

    @ivar seconds: how long was waited.
    """

    def __init__(self, seconds: float, part: str, received: int, expected: int | None) -> None:
        super().__init__(f"nothing came for {seconds:g} seconds", part, received, expected)
        self.seconds = seconds


class OutOfTime(Unfinished):
    """The whole took too long.

    @ivar seconds: how long it was given.
    """

    def __init__(self, seconds: float, part: str, received: int, expected: int | None) -> None:
        super().__init__(f"{seconds:g} seconds were over", part, received, expected)
        self.seconds = seconds


class ConnectTimeout(ResponseError, TimeoutError):
    """No connection was made in time; for who catches Twisted's, one of these, too.

    @ivar seconds: how long was waited.
    """

    def __init__(self, seconds: float) -> None:
        TimeoutError.__init__(self, string=f"no connection was made within {seconds:g} seconds")
        self.seconds = seconds

    def __str__(self) -> str:
        return str(self.args[0])


class Abandoned(ResponseError):
    """Who asked for the response gave it up."""


class TLSFailed(ResponseError):
    """There is no TLS with the host: the message says why, and what to do next."""
