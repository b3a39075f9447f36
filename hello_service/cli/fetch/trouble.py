"""What can go wrong with a fetch, in the words and statuses of both commands."""

import errno
import re

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.error import DNSLookupError
from twisted.python.failure import Failure

from hello_service.cli.escaping import escaped
from hello_service.cli.trouble import Trouble, TroubleError, connect_trouble, output_trouble
from hello_service.fetch.coding import BadCoding
from hello_service.fetch.errors import (
    BodyFailed,
    BodyTooLarge,
    ConnectTimeout,
    CutShort,
    MalformedResponse,
    OutOfTime,
    ResponseError,
    Stalled,
    TLSFailed,
)
from hello_service.fetch.reader import Ending
from hello_service.fetch.request import PORTS, NoTLS, Place, parse_url
from hello_service.fetch.response import RawResponse
from hello_service.fetch.way import Way
from hello_service.fetch.wire import Wire

_STRANGERS = (
    (b"SSH-", "SSH: check the port"),
    (b"220", "SMTP or FTP: check the port"),
    (b"+OK", "POP3: check the port"),
    (b"* OK", "IMAP: check the port"),
    (b"RFB ", "VNC: check the port"),
    (b"Welcome!", "a hello server: greet it with hello-client"),
    (b"\x15\x03", "TLS: ask for https://"),
    (b"<", "a page without a head: check the port"),
)
"""How what is not HTTP begins, and what to do about it."""

_NO_OPENING = "or leave --proxy-header out, if the server expects none"

_LITERAL = re.compile(r"""(?<!\S)b('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")

_BEGINNING = 60
"""Bytes that are quoted of it."""


def fetch_trouble(error: BaseException, place: Place, way: Way, seconds: float) -> TroubleError:
    """Put into words why a request to a place has no response, or its body is not whole.

    @param way: how the connection to it was to be made.
    @param seconds: the time that was given to connect.
    """
    usual = way == Way(place.host, place.port, opening=way.opening)
    end = place.authority if usual else str(way)
    match error:
        case DNSLookupError() if isIPAddress(way.host) or isIPv6Address(way.host):
            return TroubleError(
                Trouble.DNS, f"{way.host} is an address of the other family: leave -4 and -6 out."
            )
        case NoTLS():
            return TroubleError(Trouble.TLS, f"{error}.")
        case BadCoding():
            return TroubleError(
                Trouble.PROTOCOL,
                f"{place.authority}: {error}: --no-decompress saves it as it came.",
            )
        case ConnectTimeout():
            return connect_trouble(error, end, seconds)
        case ResponseError():
            return _response_trouble(error, place)
    return connect_trouble(error, end, seconds)


def time_trouble(url: str, seconds: float) -> TroubleError:
    """Put into words that all of it took too long."""
    return TroubleError(
        Trouble.TIMEOUT,
        f"{parse_url(url).authority}: it was not done after {seconds:g} seconds: give it more with"
        " --max-time; --trace shows how far it got.",
    )


def _response_trouble(error: ResponseError, asked: Place) -> TroubleError:
    place = asked.authority
    match error:
        case BodyFailed(reason=None):
            return TroubleError(
                Trouble.FILE,
                "the file of -d became shorter while it was sent: try again when nobody writes it.",
            )
        case BodyFailed(reason=Failure(value=OSError(strerror=str(reason)))):
            return TroubleError(
                Trouble.FILE, f"the file of -d cannot be read on ({reason}): check it, try again."
            )
        case TLSFailed(wire=Wire(opening=opening, tls=None)) if opening:
            return TroubleError(Trouble.TLS, f"{place}: {error}, {_NO_OPENING}.")
        case TLSFailed():
            return TroubleError(Trouble.TLS, f"{place}: {error}.")
        case Stalled() | OutOfTime():
            advice = "try again, or give it more with --timeout"
            return TroubleError(Trouble.TIMEOUT, f"{place}: {error}: {advice}.")
        case CutShort():
            advice = "try again; --trace shows what came"
            if error.wire.opening and error.wire.times.first_byte is None:
                advice = f"try again, {_NO_OPENING}"
            elif may_want_tls(asked) and error.wire.times.first_byte is None:
                advice = "try again, or ask for https://, if this port is one for TLS"
            return TroubleError(Trouble.RESET, f"{place}: {error}: {advice}.")
        case BodyTooLarge():
            return TroubleError(Trouble.SIZE, f"{place}: {error}: --max-size sets how many it may.")
        case MalformedResponse(wire=Wire(head=head)) if head and not head.startswith(b"HTTP/"):
            looks = [looks for start, looks in _STRANGERS if head.startswith(start)]
            advice = f" and looks like {looks[0]}" if looks else ": check the port"
            line = escaped(head[:_BEGINNING]).partition("\n")[0]
            begin = f"'{line}'" if line else "an empty line"
            return TroubleError(
                Trouble.PROTOCOL,
                f"{place}: this is not HTTP: it begins with {begin}{advice}.",
            )
    advice = "this is the server's fault; --trace shows what came"
    return TroubleError(Trouble.PROTOCOL, f"{place}: {unmarked(str(error))}: {advice}.")


def may_want_tls(place: Place) -> bool:
    """Whether a refusal may come from a port for TLS that was spoken to without."""
    return place.scheme == "http" and place.port != PORTS["http"]


def unmarked(sentence: str) -> str:
    """Quote bytes as text: the mark that Python puts before them is for programmers."""
    return _LITERAL.sub(r"\1", sentence)


def status_trouble(response: RawResponse, why: str) -> TroubleError:
    """Put into words that the server answered with a status that is a failure.

    @param why: what is known about that: a sentence without full stop, or nothing.
    """
    if why:
        return TroubleError(Trouble.STATUS, f"{why}.")
    whose = "the request: check the URL" if response.code < 500 else "the server: try again later"
    reason = escaped(response.phrase).replace("\n", " ")
    return TroubleError(
        Trouble.STATUS, f"the answer is {response.code} {reason}, which is about {whose}."
    )


def file_trouble(name: str, error: OSError) -> TroubleError:
    """Put into words why the body cannot be written."""
    if name == "-":
        return output_trouble(error)
    advice = "choose another with -o"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        advice = "raise the limit, with ulimit -n 64"
    reason = "nobody reads it" if error.errno == errno.ENXIO else error.strerror
    place = str(error.filename or name)
    return TroubleError(Trouble.FILE, f"{place!r} cannot be written ({reason}): {advice}.")


def excess(response: RawResponse) -> str:
    """Say that more came than the page, if so: a sentence without full stop."""
    more = response.wire.excess
    if not more:
        return ""
    if response.request.method == b"HEAD" or response.code in (204, 304):
        return (
            f"{more} bytes more came after the head of an answer without a body: they are dropped"
        )
    if response.wire.ending is Ending.LENGTH:
        return (
            f"{more} bytes more came than the head announced: the page is cut there, as the"
            " server's Content-Length is wrong"
        )
    return f"{more} bytes more came after the last chunk: they are no part of the page"
