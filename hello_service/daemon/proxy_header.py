"""The header in which a balancer says whose connection it passes on: PROXY protocol, 1 and 2.

The sections are those of https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt.
"""

import re
from dataclasses import dataclass
from socket import AF_INET, AF_INET6, AddressFamily, inet_ntop, inet_pton
from struct import error as StructError
from struct import unpack_from

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress

MOST_OF_1 = 107
"""Bytes of the longest line of version 1, its end included (section 2.1)."""

MOST_OF_2 = 4096
"""Bytes of a header of version 2, as in nginx: its addresses take 232 at most, TLVs the rest."""

_BEGIN_1 = b"PROXY "
_LINE = re.compile(
    rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?"
    rb"|TCP(?P<kind>[46]) (?P<source>[0-9A-Fa-f:.]+) (?P<target>[0-9A-Fa-f:.]+)"
    rb" (?P<port>0|[1-9][0-9]{0,4}) (?P<target_port>0|[1-9][0-9]{0,4}))\r\n"
)

_BEGIN_2 = b"\r\n\r\n\0\r\nQUIT\n"
_LOCAL = 0x20
_PROXY = 0x21
_UNKNOWN = 0x00
_ADDRESSES = {0x11: "!4s4sHH", 0x21: "!16s16sHH", 0x31: "!108s108s"}
"""How addresses are packed for TCP on IPv4 and IPv6, and for UNIX stream sockets."""

_FIXED = 16
_CRC32C = 0x03


class BadHeader(Exception):
    """What is wrong with a header, as a clause."""


@dataclass(frozen=True)
class Header:
    """What a header says.

    @ivar source: the client's address; C{None} if the balancer speaks for itself, as in a check, or
        does not know it.
    @ivar rest: the bytes that came behind the header.
    """

    source: IPv4Address | IPv6Address | UNIXAddress | None
    rest: bytes


class HeaderReader:
    """Reads a header, in pieces of any size; holds no more than `MOST_OF_2` bytes."""

    def __init__(self) -> None:
        self._read = b""

    def feed(self, data: bytes) -> Header | None:
        """Take the next bytes.

        @return: the header; C{None} as long as it is not complete.
        @raises BadHeader: if this cannot become a header.
        """
        self._read += data
        if _BEGIN_2.startswith(self._read[: len(_BEGIN_2)]):
            return self._binary(self._read)
        if _BEGIN_1.startswith(self._read[: len(_BEGIN_1)]):
            return self._line(self._read)
        raise BadHeader("it began with something else")

    def _line(self, read: bytes) -> Header | None:
        line, end, rest = read.partition(b"\n")
        if len(line) >= MOST_OF_1:
            raise BadHeader(f"its line was longer than {MOST_OF_1} bytes")
        return Header(_source_of_line(line + end), rest) if end else None

    def _binary(self, read: bytes) -> Header | None:
        if len(read) > 12 and read[12] not in (_LOCAL, _PROXY):
            raise BadHeader("its version or command is unknown")
        if len(read) > 13 and read[12] == _PROXY and read[13] not in (_UNKNOWN, *_ADDRESSES):
            raise BadHeader("it is not about TCP or a UNIX stream socket")
        if len(read) < _FIXED:
            return None
        size = _FIXED + int.from_bytes(read[14:_FIXED], "big")
        if size > MOST_OF_2:
            raise BadHeader(f"it was longer than {MOST_OF_2} bytes")
        if len(read) < size:
            return None
        known = read[12] == _PROXY and read[13] != _UNKNOWN
        return Header(_source_of_binary(read[:size]) if known else None, read[size:])


def _source_of_line(line: bytes) -> IPv4Address | IPv6Address | None:
    said = _LINE.fullmatch(line)
    if said is None:
        raise BadHeader("its line is not as it must be")
    if said["kind"] is None:
        return None
    family = AF_INET if said["kind"] == b"4" else AF_INET6
    ports = int(said["port"]), int(said["target_port"])
    if max(ports) > 65535:
        raise BadHeader("a port in it is above 65535")
    _normal(family, said["target"])
    return _address(_normal(family, said["source"]), ports[0])


def _normal(family: AddressFamily, text: bytes) -> str:
    """Write an address as the system does."""
    try:
        return inet_ntop(family, inet_pton(family, text.decode("ascii")))
    except OSError:
        raise BadHeader("an address in it is none") from None


def _address(host: str, port: int) -> IPv4Address | IPv6Address:
    kind = IPv6Address if ":" in host else IPv4Address
    return kind("TCP", host, port)


def _source_of_binary(header: bytes) -> IPv4Address | IPv6Address | UNIXAddress:
    kind = header[13]
    try:
        source, target, *ports = unpack_from(_ADDRESSES[kind], header, _FIXED)
    except StructError:
        raise BadHeader("it was too short for its addresses") from None
    _check_tlvs(header, _FIXED + len(source) + len(target) + 2 * len(ports))
    if not ports:
        return UNIXAddress(source.partition(b"\0")[0])
    return _address(inet_ntop(AF_INET if len(source) == 4 else AF_INET6, source), ports[0])


def _check_tlvs(header: bytes, start: int) -> None:
    """Go through the types, lengths and values behind the addresses (section 2.2)."""
    while start < len(header):
        value = start + 3
        end = value + int.from_bytes(header[start + 1 : value], "big")
        if max(value, end) > len(header):
            raise BadHeader("a value behind its addresses was cut off")
        if header[start] == _CRC32C:
            zeroed = header[:value] + bytes(end - value) + header[end:]
            if header[value:end] != crc32c(zeroed).to_bytes(4, "big"):
                raise BadHeader("its checksum is wrong")
        start = end


def crc32c(data: bytes) -> int:
    """Compute Castagnoli's cyclic redundancy check (RFC 3720, appendix B.4)."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _CRC_TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def _crc_of_byte(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ 0x82F63B78 * (value & 1)
    return value


_CRC_TABLE = [_crc_of_byte(byte) for byte in range(256)]
