"""The words and exit statuses in which both commands say what went wrong."""

import errno
import os
from enum import Enum

from twisted.internet import defer, error

from hello_service import ERRORS_PAGE


class Trouble(Enum):
    """What went wrong: the name is a word that scripts can rely on, the value the exit status."""

    DNS = 3
    """The host's name has no address."""
    REFUSED = 4
    """The host is there, and nothing listens at that place."""
    UNREACHABLE = 5
    """No connection can be made to there from here."""
    TIMEOUT = 6
    """Nothing came for too long."""
    RESET = 7
    """The peer closed or reset the connection before its time."""
    PROTOCOL = 8
    """The peer sent what it should not."""
    TLS = 9
    """No TLS that both ends accept could be agreed on."""
    STATUS = 10
    """The server answered with 4xx or 5xx, and the caller wanted that to be a failure."""
    FILE = 11
    """What arrived, or what is said about it, cannot be written where it should be."""
    SIZE = 12
    """There is more of it than the caller wanted."""


class TroubleError(Exception):
    """A `Trouble` and one sentence about it, with what to do next; it names the page with more."""

    def __init__(self, trouble: Trouble, sentence: str) -> None:
        word = trouble.name
        super().__init__(f"{word}: {sentence} See {ERRORS_PAGE}#{word.lower()}.")
        self.trouble = trouble
        self.sentence = sentence


class HandshakeUnfinished(defer.CancelledError):
    """The attempt was given up during the TLS handshake."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self._place = place

    def timed_out(self, seconds: float) -> TroubleError:
        """Put into words that it took too long."""
        return TroubleError(
            Trouble.TIMEOUT,
            f"{self._place} did not finish the TLS handshake within {seconds:g} seconds: look into"
            " its log, or give it more with --timeout.",
        )


def output_trouble(error: OSError) -> TroubleError:
    """Put into words that standard output or standard error cannot be written."""
    return TroubleError(
        Trouble.FILE, f"the output cannot be written ({error.strerror}): make room for it."
    )


def connect_trouble(failure: BaseException, place: str, seconds: float) -> TroubleError:
    """Put into words why no connection to a place was made.

    @param failure: what an L{IStreamClientEndpoint} or L{Deferred.addTimeout} failed with.
    @param seconds: the time that the attempt was given.
    """
    match failure:
        case error.DNSLookupError() | error.UnknownHostError() | ValueError():
            return TroubleError(
                Trouble.DNS, f"{place}: this name has no address: check its spelling and your DNS."
            )
        case error.TimeoutError() | error.TCPTimedOutError() | defer.TimeoutError():
            return TroubleError(
                Trouble.TIMEOUT,
                f"{place} did not answer within {seconds:g} seconds: check that it is up and that"
                " no firewall drops the packets, or give it more with --timeout.",
            )
        case error.ConnectionRefusedError() | error.ConnectError(osError=errno.ENOENT):
            return TroubleError(
                Trouble.REFUSED,
                f"{place} refused: nothing listens there; start the server, or check the address.",
            )
        case error.ConnectError(osError=errno.ECONNRESET):
            return TroubleError(
                Trouble.RESET,
                f"{place} reset the connection at once: it may have too many; look into its log.",
            )
        case (
            error.ConnectError(osError=errno.EMFILE | errno.ENFILE)
            | OSError(errno=errno.EMFILE | errno.ENFILE)
        ):
            return TroubleError(
                Trouble.UNREACHABLE,
                f"{place} cannot be reached, as too few files may be open here: raise the limit,"
                " with ulimit -n 64.",
            )
        case OverflowError():
            return TroubleError(
                Trouble.UNREACHABLE, f"{place} has no such port: ports are 1 to 65535."
            )
    return TroubleError(
        Trouble.UNREACHABLE,
        f"{place} cannot be reached ({connect_reason(failure)}): check the address and this"
        " machine's network.",
    )


def connect_reason(failure: BaseException | None) -> str:
    """Say why an attempt to connect failed: in the system's words, where those are known."""
    number = getattr(failure, "osError", None)
    return os.strerror(number) if number else str(failure).rstrip(".")
