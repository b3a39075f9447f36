"""PROXY headers for tests, as the specification builds them."""

from struct import pack

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
UNSPECIFIED, TCP4, UDP4, TCP6, UNIX = 0x00, 0x11, 0x12, 0x21, 0x31

ADDRESSES4 = bytes([192, 0, 2, 1, 192, 0, 2, 2]) + pack("!HH", 1234, 9999)
ADDRESSES6 = b"\x20\x01\x0d\xb8" + bytes(11) + b"\x01" + bytes(15) + b"\x01" + ADDRESSES4[8:]


def version2(kind: int, body: bytes, command: int = PROXY) -> bytes:
    """Build a header of version 2."""
    return SIGNATURE + pack("!BBH", command, kind, len(body)) + body


def tlv(kind: int, value: bytes) -> bytes:
    """Build a type, a length and a value."""
    return pack("!BH", kind, len(value)) + value


HEADER1 = b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 9999\r\n"
HEADER2 = version2(TCP4, ADDRESSES4)
