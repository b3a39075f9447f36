"""What C{--report} tells of one request and its answer; docs/report.schema.json has the names."""

import re
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from hello_service.cli.fetch.redacting import is_head
from hello_service.cli.trouble import connect_reason
from hello_service.fetch.errors import ResponseError
from hello_service.fetch.head import Head, parse_head, unfolded
from hello_service.fetch.negotiated import Negotiated
from hello_service.fetch.wire import Wire

CERTIFICATES = 10
"""Certificates of a chain that are told."""

NAMES = 100
"""Names in each of them that are told."""

TIMES = ("started", "resolved", "connected", "secured", "sent", "first_byte", "head", "body")

_SECRET = re.compile(rb"(?im)^(authorization|cookie|proxy-authorization):[^\r\n]*")

Told = dict[str, Any]
"""What can be written as JSON."""


class ExchangeRecord:
    """One request, as far as it has come.

    @ivar wire: what was on the wire, once that is known.
    """

    def __init__(self, method: bytes, url: bytes, clock: Callable[[], float]) -> None:
        """
        @param clock: seconds since the start of the command.
        """
        self.wire: Wire | None = None
        self._method = _text(method)
        self._url = url.decode()
        self._clock = clock
        self._head: str | None = None
        self._attempts: list[Told] = []
        self._ends: Told = {"local": None, "peer": None}
        self._tls: Told | None = None
        self._times: dict[str, float | None] = dict.fromkeys(TIMES)
        self.note("started")

    def note(self, what: str) -> None:
        """Take the time of the first such event."""
        if self._times[what] is None:
            self._times[what] = self._clock()

    def sent(self, data: bytes) -> None:
        """Take the head of the request, which is sent first but for a PROXY header."""
        if self._head is None and is_head(data):
            self.note("sent")
            head = data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            self._head = _text(_SECRET.sub(rb"\1: ***", head))

    def connecting(self, address: IAddress) -> None:
        """Take the beginning of an attempt."""
        attempt = {"began": self._clock(), "ended": None, "won": False, "error": None}
        self._attempts.append(told_address(address) | attempt)

    def failed(self, address: IAddress, reason: BaseException | None) -> None:
        """Take the failure of an attempt."""
        self._end_attempt(address).update(error=connect_reason(reason))

    def connected(self, local: IAddress, peer: IAddress) -> None:
        """Take the attempt that has won."""
        self.note("connected")
        self._end_attempt(peer).update(won=True)
        self._ends = {"local": told_address(local), "peer": told_address(peer)}

    def _end_attempt(self, address: IAddress) -> Told:
        told = told_address(address)
        running = [each for each in self._attempts if each["ended"] is None]
        # A peer may be written otherwise than the address that was tried.
        attempt = next((each for each in running if told.items() <= each.items()), running[-1])
        attempt.update(ended=self._clock())
        return attempt

    def negotiated(self, tls: Negotiated) -> None:
        """Take what a handshake came to, whether or not it is trusted."""
        self._tls = {
            "protocol": tls.protocol,
            "cipher": tls.cipher,
            "alpn": tls.alpn,
            "chain": [
                {
                    "subject": shown.subject,
                    "issuer": shown.issuer,
                    "names": [*shown.names[:NAMES]],
                    "begins": shown.begins and shown.begins.isoformat(),
                    "ends": shown.ends and shown.ends.isoformat(),
                }
                for shown in tls.chain[:CERTIFICATES]
            ],
        }

    def told(self, clock_began: float) -> Told:
        """Return all of it.

        @param clock_began: what C{Settings.monotonic} said at the start of the command.
        """
        wire = self.wire
        if wire:
            for name, moment in (
                ("first_byte", wire.times.first_byte),
                ("head", wire.times.head_complete),
                ("body", wire.times.body_complete),
            ):
                self._times[name] = None if moment is None else round(moment - clock_began, 6)
        request = {
            "method": self._method,
            "url": self._url,
            "head": self._head,
            "body": wire.sent if wire else 0,
        }
        return {
            "request": request,
            "addresses": self._attempts,
            **self._ends,
            "tls": self._tls,
            "times": self._times,
            "response": _told_response(wire, self._method) if wire and wire.head else None,
        }


NO_EXCHANGE: Told = {
    "request": None,
    "addresses": [],
    "local": None,
    "peer": None,
    "tls": None,
    "times": dict.fromkeys(TIMES),
    "response": None,
}
"""What is told if nothing was asked for."""


def _told_response(wire: Wire, method: str) -> Told:
    head = _sound_head(wire.head)
    return {
        "version": head and _text(head.version),
        "status": head and head.status,
        "reason": head and _text(head.reason),
        "headers": _pairs(wire.head) if head else [],
        "raw": _text(wire.head),
        "interim": [parse_head(raw).status for raw in wire.interim],
        "framing": head and _framing(head, method),
        "length": int(length) if head and (length := head.first(b"content-length")) else None,
        "ending": wire.ending and wire.ending.name.lower(),
        "trailers": _text(wire.trailers),
        "body": wire.received,
        "excess": wire.excess,
    }


def _sound_head(raw: bytes) -> Head | None:
    """Return what a head says, unless it is not whole or breaks the grammar."""
    if not raw.endswith(b"\r\n\r\n"):
        return None
    try:
        return parse_head(raw)
    except ResponseError:
        return None


def _pairs(raw: bytes) -> list[list[str]]:
    """Return the names, in their own case, and the values of the fields of a sound head."""
    fields = [line.split(b":", 1) for line in unfolded(raw[:-4].split(b"\r\n")[1:])]
    return [[_text(name), _text(value.strip(b" \t"))] for name, value in fields]


def _framing(head: Head, method: str) -> str:
    if method == "HEAD" or head.status in (204, 304):
        return "none"
    if head.first(b"transfer-encoding") is not None:
        return "chunked"
    return "close" if head.first(b"content-length") is None else "length"


def told_address(address: IAddress) -> Told:
    """Tell where an end of a connection is."""
    match address:
        case IPv4Address() | IPv6Address():
            return {"ip": address.host, "port": address.port}
        case UNIXAddress(name=bytes(name)):
            return {"path": name.decode(errors="surrogateescape")}
    return {"path": ""}


def _text(data: bytes) -> str:
    """Make each byte a character (Latin-1), so that none is lost."""
    return data.decode("latin-1")
