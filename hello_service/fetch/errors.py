"""Why a fetch has no whole response: each message is a sentence without its capital and stop."""

from functools import cache
from typing import Any, cast

from twisted.internet.defer import CancelledError
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
    """The exchange ended, or was ended, before the response was whole.

    @ivar received: bytes that came of the body, or of the head if that is not whole; if it ended
        while we sent a body, bytes that went out of that.
    @ivar expected: bytes of the body that its head announced, or C{None}.
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

    _what = "nothing came for {:g} seconds"

    def __init__(self, seconds: float, part: str, received: int, expected: int | None) -> None:
        super().__init__(self._what.format(seconds), part, received, expected)
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


class Cancelled(ResponseError, CancelledError):
    """The caller gave the request up; it is also Twisted's error for that."""

    def __init__(self) -> None:
        super().__init__("the request was cancelled")


class NotTaken(Stalled):
    """The peer takes no more of the body that we send."""

    _what = "the server took nothing for {:g} seconds"


class BodyFailed(ResponseError):
    """The body to send is not what its producer announced, or broke off; all of it never went out.

    @ivar reason: what the producer failed with, C{None} if it wrote too much or too little.
    """

    reason: Failure | None = None

    @classmethod
    def too_long(cls, length: int) -> "BodyFailed":
        """Say that more than C{length} bytes were written."""
        return cls(
            f"the body to send has more than the {length} bytes that its producer announced:"
            " correct the producer's length"
        )

    @classmethod
    def too_short(cls, sent: int, length: int | None) -> "BodyFailed":
        """Say that only C{sent} of C{length} bytes were written."""
        return cls(
            f"the body to send ended after {sent} of the {length} bytes that its producer"
            " announced: correct the producer's length"
        )

    @classmethod
    def broken(cls, sent: int, reason: Failure) -> "BodyFailed":
        """Say that its producer failed after C{sent} bytes."""
        error = cls(
            f"the body to send broke off after {sent} bytes: reasons has its producer's error"
        )
        error.reason, error.__cause__ = reason, reason.value
        return error


class Abandoned(ResponseError):
    """The consumer of the body gave it up."""

    def __init__(self) -> None:
        super().__init__("the rest of the body was not wanted")


class TLSFailed(ResponseError):
    """There is no TLS with the host: the message says why, and what to do next."""


def as_agent_fails(error: ResponseError, heard: bool, sending: bool) -> ResponseError:
    """Make an error of a request one that code written for Twisted's C{Agent} catches, too.

    @param heard: whether a byte of the response came.
    @param sending: whether the request's body was still on its way.
    @return: a copy that is C{ResponseFailed}, C{ResponseNeverReceived} if no byte came,
        C{RequestTransmissionFailed} if the body was cut, or C{RequestGenerationFailed} if its
        producer is to blame, as well; its C{reasons} are the error, or what the producer failed
        with. L{Cancelled} and L{ConnectTimeout} are Twisted's errors already.
    """
    if isinstance(error, Cancelled | ConnectTimeout):
        return error
    reason = error.reason if isinstance(error, BodyFailed) else None
    kind = _both(type(error), heard, sending)  # type: ignore[arg-type]  # a class can be hashed
    both = cast(Any, kind.__new__(kind, *error.args))
    vars(both).update(vars(error), reasons=[reason or Failure(error)], response=None)
    return cast(ResponseError, both)


@cache
def _both(ours: type[ResponseError], heard: bool, sending: bool) -> type[ResponseError]:
    # To import these takes 20 ms, which a fetch that succeeds does not need.
    from twisted.web import client

    theirs: type[Exception] = client.ResponseNeverReceived
    if issubclass(ours, BodyFailed):
        theirs = client.RequestGenerationFailed
    elif sending and issubclass(ours, Unfinished | TLSFailed):
        theirs = client.RequestTransmissionFailed
    elif heard:
        theirs = client.ResponseFailed
    return type(ours.__name__, (ours, theirs), {"__module__": ours.__module__})
