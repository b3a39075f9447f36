"""Writes the header by which a balancer says whose connection it passes on: PROXY protocol.

The sections are those of https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt.
"""

import ipaddress
from struct import pack
from typing import NamedTuple

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED = 0x00
_TCP = {4: 0x11, 6: 0x21}


def version_1(source: IAddress, destination: IAddress) -> bytes:
    """Write a line (section 2.1): C{UNKNOWN} for anything but TCP."""
    ends = _tcp_ends(source, destination)
    if ends is None:
        return b"PROXY UNKNOWN\r\n"
    here, there, ports = ends
    return f"PROXY TCP{here.version} {here} {there} {ports[0]} {ports[1]}\r\n".encode()


def version_2(source: IAddress, destination: IAddress) -> bytes:
    """Write the binary header (section 2.2), without TLVs.

    For anything but TCP it is C{LOCAL}, without addresses: those of UNIX sockets take 216 bytes,
    and nginx takes 107 at most before TLS.
    """
    ends = _tcp_ends(source, destination)
    if ends is None:
        return _SIGNATURE + pack("!BBH", _LOCAL, _UNSPECIFIED, 0)
    here, there, ports = ends
    body = here.packed + there.packed + pack("!HH", *ports)
    return _SIGNATURE + pack("!BBH", _PROXY, _TCP[here.version], len(body)) + body


class _Ends(NamedTuple):
    here: ipaddress.IPv4Address | ipaddress.IPv6Address
    there: ipaddress.IPv4Address | ipaddress.IPv6Address
    ports: tuple[int, int]


def _tcp_ends(source: IAddress, destination: IAddress) -> _Ends | None:
    """Return the addresses of a TCP connection, without scopes, which mean nothing elsewhere."""
    match source, destination:
        case (
            (IPv4Address(host=str(a), port=int(b)), IPv4Address(host=str(c), port=int(d)))
            | (IPv6Address(host=str(a), port=int(b)), IPv6Address(host=str(c), port=int(d)))
        ):  # fmt: skip
            here, there = (ipaddress.ip_address(host.partition("%")[0]) for host in (a, c))
            return _Ends(here, there, (b, d))
    return None
