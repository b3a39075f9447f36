"""What can go wrong with a fetch, in the words and statuses of both commands."""

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.error import DNSLookupError

from hello_service.cli.showing import escaped
from hello_service.cli.trouble import Trouble, TroubleError, connect_trouble, output_trouble
from hello_service.fetch.coding import BadCoding
from hello_service.fetch.errors import (
    BodyTooLarge,
    ConnectTimeout,
    CutShort,
    OutOfTime,
    ResponseError,
    Stalled,
    TLSFailed,
)
from hello_service.fetch.request import NoTLS, Place
from hello_service.fetch.response import RawResponse


def fetch_trouble(error: BaseException, place: Place, seconds: float) -> TroubleError:
    """Put into words why a request to a place has no response, or its body is not whole.

    @param seconds: the time that was given to connect.
    """
    match error:
        case DNSLookupError() if isIPAddress(place.host) or isIPv6Address(place.host):
            return TroubleError(
                Trouble.DNS, f"{place.host} is an address of the other family: leave -4 and -6 out."
            )
        case NoTLS():
            return TroubleError(Trouble.TLS, f"{error}.")
        case BadCoding():
            return TroubleError(
                Trouble.PROTOCOL,
                f"{place.authority}: {error}: --no-decompress saves it as it came.",
            )
        case ConnectTimeout():
            return connect_trouble(error, place.authority, seconds)
        case ResponseError():
            return _response_trouble(error, place.authority)
    return connect_trouble(error, place.authority, seconds)


def _response_trouble(error: ResponseError, place: str) -> TroubleError:
    match error:
        case TLSFailed():
            return TroubleError(Trouble.TLS, f"{place}: {error}.")
        case Stalled() | OutOfTime():
            advice = "try again, or give it more with --timeout"
            return TroubleError(Trouble.TIMEOUT, f"{place}: {error}: {advice}.")
        case CutShort():
            advice = "try again; --trace shows what came"
            return TroubleError(Trouble.RESET, f"{place}: {error}: {advice}.")
        case BodyTooLarge():
            return TroubleError(Trouble.SIZE, f"{place}: {error}: --max-size sets how many it may.")
    advice = "this is the server's fault; --trace shows what came"
    return TroubleError(Trouble.PROTOCOL, f"{place}: {error}: {advice}.")


def status_trouble(response: RawResponse) -> TroubleError:
    """Put into words that the server answered with 4xx or 5xx."""
    whose = "the request: check the URL" if response.code < 500 else "the server: try again later"
    reason = escaped(response.phrase).replace("\n", " ")
    return TroubleError(
        Trouble.STATUS, f"the answer is {response.code} {reason}, which is about {whose}."
    )


def file_trouble(name: str, error: OSError) -> TroubleError:
    """Put into words why the body cannot be written."""
    if name == "-":
        return output_trouble(error)
    place = error.filename or name
    return TroubleError(
        Trouble.FILE,
        f"{str(place)!r} cannot be written ({error.strerror}): choose another with -o.",
    )
