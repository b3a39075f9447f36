"""Writes an HTTP/1.1 request, without I/O: a URL and headers in, the bytes for the wire out."""

import re
from functools import lru_cache
from typing import NamedTuple

PORTS = {"http": 80, "https": 443}

PRINTABLE = bytes(range(0x21, 0x7F)).decode()
"""The characters of ASCII that are seen."""

TOKEN = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
"""A method, or the name of a header (RFC 9110, section 5.6.2)."""

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<target>[^#]*)(?:#.*)?"
)
_AUTHORITY = re.compile(
    r"(?:\[(?P<literal>[^\]]*)\]|(?P<name>[^:\[\]]+))(?::(?P<port>[0-9]{0,5}))?"
)
_NAME = re.compile(r"(?=.{1,254}\Z)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_FRAMING = (b"content-length", b"transfer-encoding")
_WITH_LENGTH = (b"POST", b"PUT", b"PATCH")


class InvalidRequest(ValueError):
    """The request cannot be sent as it is; the message is one sentence."""


class NoTLS(InvalidRequest):
    """TLS cannot even be tried; the message is one sentence."""


class Place(NamedTuple):
    """Where a URL leads.

    @ivar scheme: C{http} or C{https}.
    @ivar host: a name in ASCII, or an address without brackets.
    @ivar authority: what the Host header says: the port only where it is not the default.
    @ivar target: path and query, in ASCII, at least C{/}.
    """

    scheme: str
    host: str
    port: int
    authority: str
    target: str


@lru_cache
def parse_url(url: str) -> Place:
    """Read an absolute URL of HTTP; names are turned to ASCII by IDNA, paths by UTF-8.

    @raises InvalidRequest: with what is wrong, and what to write instead.
    """
    try:
        url.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(f"{url!r} is not UTF-8: write such bytes as %XX") from None
    if control := _CONTROL.search(url):
        raise InvalidRequest(
            f"the URL contains {control[0]!r}: write such a character as %{ord(control[0]):02X}"
        )
    match = _URL.fullmatch(url)
    if not match:
        raise InvalidRequest(f"{url!r} is not a URL: write one like http://example.com/page")
    scheme = match["scheme"].lower()
    if scheme not in PORTS:
        raise InvalidRequest(f"{scheme}: is not a scheme to fetch from: use http: or https:")
    if "@" in match["authority"]:
        raise InvalidRequest(
            "a user name and password in a URL are not sent: give an Authorization header"
        )
    authority = _AUTHORITY.fullmatch(match["authority"])
    if not authority:
        raise InvalidRequest(f"{match['authority']!r} is not HOST or HOST:PORT")
    literal = authority["literal"]
    host = _name(authority["name"]) if literal is None else _address(literal)
    port = int(authority["port"] or PORTS[scheme])
    if not 0 < port < 65536:
        raise InvalidRequest(f"{port} is not a port: ports are 1 to 65535")
    shown = host if literal is None else f"[{host}]"
    if port != PORTS[scheme]:
        shown += f":{port}"
    target = match["target"]
    if not target.isascii():
        from urllib.parse import quote

        target = quote(target, safe=PRINTABLE)
    return Place(scheme, host, port, shown, target if target[:1] == "/" else f"/{target}")


def ascii_name(name: str) -> str:
    """Return a host's name in ASCII, as IDNA has it.

    @raises InvalidRequest: if it cannot be written so.
    """
    if name.isascii():
        return name
    import idna

    try:
        return idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        raise InvalidRequest(f"{name!r} is not a host name: check its spelling") from None


def _name(name: str) -> str:
    name = ascii_name(name)
    if not _NAME.fullmatch(name):
        raise InvalidRequest(f"{name!r} is not a host name: check its spelling")
    return name


def _address(literal: str) -> str:
    from ipaddress import AddressValueError, IPv6Address

    try:
        address = IPv6Address(literal)
    except AddressValueError:
        raise InvalidRequest(f"{literal!r} is not an IPv6 address: check its spelling") from None
    if address.scope_id:
        raise InvalidRequest(f"{literal!r} names a network interface, which a URL cannot")
    return literal


@lru_cache
def request_bytes(
    place: Place,
    method: bytes,
    headers: tuple[tuple[bytes, bytes], ...],
    framing: tuple[bytes, bytes] | None = None,
) -> bytes:
    """Write the request: C{Host}, C{Connection: close}, then the headers in their order and case.

    The caller's own Host takes the place of ours: the first line of the head (RFC 9110, section
    7.2). Of another default the caller's own replaces ours, where it stands in the headers.

    @param framing: the header that announces a body, C{None} for a request without one.
    @raises InvalidRequest: if the method or a header cannot stand on the wire, or announces
        another body than that.
    """
    if not TOKEN.fullmatch(method):
        raise InvalidRequest(f"{method!r} is not a method: write one like GET")
    if method == b"CONNECT":
        raise InvalidRequest("CONNECT opens a tunnel and fetches nothing: use another method")
    defaults = {b"connection": (b"Connection", b"close")}
    announced = framing or (b"Content-Length", b"0")
    if framing or method in _WITH_LENGTH:  # RFC 9110, section 8.6
        defaults[announced[0].lower()] = announced
    names = [name.lower() for name, _ in headers]
    for single in (b"host", *_FRAMING):  # RFC 9112, section 3.2
        if names.count(single) > 1:
            raise InvalidRequest(f"there are two {single.decode()} headers: leave one out")
    for name, value in headers:
        lowered = name.lower()
        if not TOKEN.fullmatch(name):
            raise InvalidRequest(f"{name!r} is not a header name: letters, digits and -")
        if not _VALUE.fullmatch(value):
            raise InvalidRequest(f"the value of {name.decode()} contains a control character")
        if lowered in _FRAMING and (lowered, value) != (announced[0].lower(), announced[1]):
            what = "another body than is sent" if framing else "a body, and none is sent"
            raise InvalidRequest(f"{name.decode()} announces {what}: leave it out")
        defaults.pop(lowered, None)
    hosts = [header for header in headers if header[0].lower() == b"host"]
    others = [header for header in headers if header not in hosts]
    hosts = hosts or [(b"Host", place.authority.encode())]
    lines = [b"%b %b HTTP/1.1" % (method, place.target.encode())]
    lines += [b"%b: %b" % header for header in (*hosts, *defaults.values(), *others)]
    return b"\r\n".join((*lines, b"", b""))
