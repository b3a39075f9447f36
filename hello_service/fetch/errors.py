"""Why a fetch has no whole response: each message is a sentence without its capital and stop."""

from functools import cache
from typing import Any, cast

from twisted.internet.error import TimeoutError
from twisted.python.failure import Failure


class ResponseError(Exception):
    """What came is no response, or not the whole of one.

    @ivar wire: the L{Wire}, with what had come until then; whoever does the I/O sets it.
    """

    wire: Any = None


class MalformedResponse(ResponseError):
    """The peer broke the grammar of HTTP/1.1, or sent what can be read in two ways."""


class LimitExceeded(ResponseError):
    """A part of the response is larger than it may be.

    @ivar limit: the limit that it exceeds.
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
    """The response ended, or was ended, before it was whole.

    @ivar received: bytes that came of the body, or of the head if that is not whole.
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

    @ivar seconds: how long the agent waited.
    """

    def __init__(self, seconds: float, part: str, received: int, expected: int | None) -> None:
        super().__init__(f"nothing came for {seconds:g} seconds", part, received, expected)
        self.seconds = seconds


class OutOfTime(Unfinished):
    """The whole exchange took too long.

    @ivar seconds: how long it was given.
    """

    def __init__(self, seconds: float, part: str, received: int, expected: int | None) -> None:
        super().__init__(f"{seconds:g} seconds were over", part, received, expected)
        self.seconds = seconds


class ConnectTimeout(ResponseError, TimeoutError):
    """No connection was made in time; it is also Twisted's error for that.

    @ivar seconds: how long the agent waited.
    """

    def __init__(self, seconds: float) -> None:
        TimeoutError.__init__(self, string=f"no connection was made within {seconds:g} seconds")
        self.seconds = seconds

    def __str__(self) -> str:
        return str(self.args[0])


class Abandoned(ResponseError):
    """The consumer of the body gave it up."""

    def __init__(self) -> None:
        super().__init__("the rest of the body was not wanted")


class TLSFailed(ResponseError):
    """There is no TLS with the host: the message says why, and what to do next."""


def as_agent_fails(error: ResponseError, heard: bool) -> ResponseError:
    """Make an error of a request one that code written for Twisted's C{Agent} catches, too.

    @param heard: whether a byte of the response came.
    @return: a copy that is C{ResponseFailed}, or C{ResponseNeverReceived} if none came, as well;
        its C{reasons} are the error. A L{ConnectTimeout} is what C{Agent} fails with already.
    """
    if isinstance(error, ConnectTimeout):
        return error
    kind = _both(type(error), heard)  # type: ignore[arg-type]  # a class can be hashed
    both = cast(Any, kind.__new__(kind, *error.args))
    vars(both).update(vars(error), reasons=[Failure(error)], response=None)
    return cast(ResponseError, both)


@cache
def _both(ours: type[ResponseError], heard: bool) -> type[ResponseError]:
    # To import these takes 20 ms, which a fetch that succeeds does not need.
    from twisted.web.client import ResponseFailed, ResponseNeverReceived

    theirs = ResponseFailed if heard else ResponseNeverReceived
    return type(ours.__name__, (ours, theirs), {"__module__": ours.__module__})
