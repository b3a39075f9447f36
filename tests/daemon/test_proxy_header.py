from ipaddress import AddressValueError
from ipaddress import IPv4Address as IPv4
from ipaddress import IPv6Address as IPv6
from struct import pack

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.proxy_header import (
    MOST_OF_1,
    MOST_OF_2,
    BadHeader,
    Header,
    HeaderReader,
    crc32c,
)
from tests.proxy_headers import (
    ADDRESSES4,
    ADDRESSES6,
    HEADER1,
    HEADER2,
    LOCAL,
    SIGNATURE,
    TCP4,
    TCP6,
    UDP4,
    UNIX,
    UNSPECIFIED,
    tlv,
    version2,
)
from tests.splits import splits

CLIENT4 = IPv4Address("TCP", "192.0.2.1", 1234)
CLIENT6 = IPv6Address("TCP", "2001:db8::1", 1234)
TAIL = b"Michael\r\n"


def read(pieces: list[bytes]) -> Header | str | None:
    """Feed pieces until the header is there; return it with all that follows, or what is wrong."""
    reader = HeaderReader()
    for place, piece in enumerate(pieces):
        try:
            header = reader.feed(piece)
        except BadHeader as error:
            return str(error)
        if header:
            return Header(header.source, header.rest + b"".join(pieces[place + 1 :]))
    return None


def with_checksum(header: bytes) -> bytes:
    """Fill in the checksum of a header that ends in an empty one."""
    return header[:-4] + crc32c(header).to_bytes(4, "big")


class HeaderReaderTests(SynchronousTestCase):
    def assert_read(self, header: bytes, source: IAddress | None) -> None:
        """See a header read, however it is cut, with what follows it and without."""
        for rest in (b"", TAIL):
            for pieces in splits(header + rest):
                self.assertEqual(read(pieces), Header(source, rest), pieces)  # type: ignore[arg-type]
        for size in range(len(header)):
            self.assertIsNone(read([header[:size]]))

    def assert_bad(self, header: bytes, why: str) -> None:
        """See a header refused, whole, with what follows and byte by byte."""
        for pieces in ([header], [header + TAIL], [bytes([byte]) for byte in header]):
            self.assertEqual(read(pieces), why, header)

    def test_version_1(self) -> None:
        self.assert_read(HEADER1, CLIENT4)
        self.assert_read(b"PROXY TCP6 2001:db8::1 ::1 1234 9999\r\n", CLIENT6)
        self.assert_read(b"PROXY TCP6 2001:0DB8:0:0:0:0:0:1 ::1 1234 9999\r\n", CLIENT6)
        mapped = IPv6Address("TCP", "::ffff:192.0.2.1", 0)
        self.assert_read(b"PROXY TCP6 ::ffff:192.0.2.1 ::1 0 65535\r\n", mapped)

    def test_version_1_without_addresses(self) -> None:
        self.assert_read(b"PROXY UNKNOWN\r\n", None)
        self.assert_read(b"PROXY UNKNOWN ffff::1 \0\xff 65535 65535\r\n", None)
        longest = b"PROXY UNKNOWN " + b"x" * (MOST_OF_1 - 16) + b"\r\n"
        self.assertEqual(len(longest), 107)
        self.assert_read(longest, None)

    def test_bad_lines(self) -> None:
        for line in (
            b"PROXY \r\n",
            b"PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY UNKNOWNS\r\n",
            b"PROXY UNKNOWN\n",
            b"PROXY UNKNOWN a\rb\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
            b"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1_0 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 \xb2\r\n",
            b"PROXY TCP4 localhost 192.0.2.2 1 2\r\n",
            b"PROXY TCP6 fe80::1%lo ::1 1 2\r\n",
        ):
            self.assert_bad(line, "its line is not as it must be")

    def test_bad_numbers(self) -> None:
        for ports in (b"65536 1", b"1 99999"):
            line = b"PROXY TCP4 192.0.2.1 192.0.2.2 %b\r\n" % ports
            self.assert_bad(line, "a port in it is above 65535")
        for kind, addresses in (
            (b"4", b"192.0.2.1 ::1"),
            (b"4", b"::1 192.0.2.1"),
            (b"4", b"192.0.2 192.0.2.2"),
            (b"4", b"192.0.2.01 192.0.2.2"),
            (b"4", b"192.0.2.256 192.0.2.2"),
            (b"6", b"192.0.2.1 ::1"),
            (b"6", b"::1 1::2::3"),
            (b"6", b"12345:: ::1"),
        ):
            line = b"PROXY TCP%b %b 1 2\r\n" % (kind, addresses)
            self.assert_bad(line, "an address in it is none")

    def test_version_2(self) -> None:
        self.assert_read(HEADER2, CLIENT4)
        self.assert_read(version2(TCP6, ADDRESSES6), CLIENT6)

    def test_version_2_of_a_unix_socket(self) -> None:
        named = version2(UNIX, b"/run/client".ljust(108, b"\0") + bytes(108))
        self.assertEqual(read([named + TAIL]), Header(UNIXAddress(b"/run/client"), TAIL))
        self.assertEqual(read([version2(UNIX, bytes(216))]), Header(UNIXAddress(b""), b""))

    def test_version_2_without_addresses(self) -> None:
        self.assert_read(version2(UNSPECIFIED, b""), None)
        self.assert_read(version2(UNSPECIFIED, b"whatever"), None)
        for kind, body in ((UNSPECIFIED, b""), (TCP4, ADDRESSES4), (TCP4, b"x"), (0xFF, b"abc")):
            self.assert_read(version2(kind, body, LOCAL), None)

    def test_values_behind_the_addresses(self) -> None:
        more = tlv(0x01, b"h2") + tlv(0x04, b"") + tlv(0xE0, b"\0" * 30)
        self.assert_read(version2(TCP4, ADDRESSES4 + more), CLIENT4)
        self.assert_read(version2(TCP6, ADDRESSES6 + more), CLIENT6)
        fill = MOST_OF_2 - 16 - len(ADDRESSES4) - 3
        largest = version2(TCP4, ADDRESSES4 + tlv(0x04, bytes(fill)))
        self.assertEqual((len(largest), read([largest])), (MOST_OF_2, Header(CLIENT4, b"")))

    def test_a_checksum(self) -> None:
        self.assertEqual(crc32c(b"123456789"), 0xE3069283)
        header = with_checksum(version2(TCP4, ADDRESSES4 + tlv(0x04, b"") + tlv(0x03, bytes(4))))
        self.assert_read(header, CLIENT4)
        for place in (16, 27, len(header) - 1):
            changed = bytearray(header)
            changed[place] ^= 1
            self.assert_bad(bytes(changed), "its checksum is wrong")
        for size in (0, 3, 5):
            self.assert_bad(version2(TCP4, ADDRESSES4 + tlv(0x03, bytes(size))),
                            "its checksum is wrong")  # fmt: skip

    def test_bad_version_2(self) -> None:
        for command in (0x00, 0x10, 0x11, 0x22, 0x2F, 0x31):
            self.assert_bad(
                version2(TCP4, ADDRESSES4, command), "its version or command is unknown"
            )
        for kind in (UDP4, 0x10, 0x01, 0x13, 0x22, 0x32, 0x41):
            self.assert_bad(
                version2(kind, ADDRESSES4), "it is not about TCP or a UNIX stream socket"
            )
        for kind, body in ((TCP4, ADDRESSES4[:-1]), (TCP6, ADDRESSES6[:-1]), (UNIX, bytes(215))):
            self.assertEqual(read([version2(kind, body)]), "it was too short for its addresses")
        for cut in (b"\1", b"\1\0", b"\1\0\1", b"\1\0\0\1"):
            header = version2(TCP4, ADDRESSES4 + cut)
            self.assert_bad(header, "a value behind its addresses was cut off")

    def test_what_is_no_header(self) -> None:
        for data in (
            b"Michael",
            b"\r\n\r\n\0\r\nQUIX",
            b"PROXX",
            b"\x16\x03\x01\x02\0",
            b"PROXY\tT",
        ):
            self.assert_bad(data, "it began with something else")
        self.assertIsNone(read([b""]))

    def test_it_holds_no_more_than_it_must(self) -> None:
        line = b"PROXY UNKNOWN ".ljust(MOST_OF_1, b"x")
        self.assertIsNone(read([line[:-1]]))
        self.assert_bad(line, "its line was longer than 107 bytes")
        self.assert_bad(line[:-2] + b"\r\r\n", "its line was longer than 107 bytes")
        for size in (MOST_OF_2 - 15, 65535):
            start = SIGNATURE + pack("!BBH", 0x21, TCP4, size)
            self.assert_bad(start, "it was longer than 4096 bytes")

    # What nobody thought of

    @settings(deadline=None)
    @given(st.lists(st.binary(max_size=40)))
    def test_any_bytes_are_a_header_or_bad(self, pieces: list[bytes]) -> None:
        read(pieces)

    @settings(max_examples=300, deadline=None)
    @given(st.data())
    def test_a_header_with_a_fault_is_only_taken_if_it_is_one(self, data: st.DataObject) -> None:
        whole = data.draw(
            st.sampled_from(
                [
                    HEADER1,
                    b"PROXY TCP6 2001:db8::1 ::1 1234 9999\r\n",
                    b"PROXY UNKNOWN\r\n",
                    HEADER2,
                    version2(TCP6, ADDRESSES6 + tlv(4, b"abc")),
                    version2(UNSPECIFIED, b"", LOCAL),
                ]
            )
        )
        start = data.draw(st.integers(0, len(whole)))
        end = data.draw(st.integers(start, min(start + 3, len(whole))))
        byte = st.sampled_from(b" \r\n\0.:0159afA+-_%\x11\x20\x21\xff") | st.integers(0, 255)
        changed = whole[:start] + bytes(data.draw(st.lists(byte, max_size=3))) + whole[end:]
        place = data.draw(st.integers(0, len(changed)))
        found = read([changed])
        self.assertEqual(found, read([changed[:place], changed[place:]]))
        self.assertEqual(found, read([bytes([byte]) for byte in changed]))
        if isinstance(found, Header):
            header = changed[: len(changed) - len(found.rest)]
            self.assertTrue(is_line(header) or is_binary(header), header)


def is_line(header: bytes) -> bool:
    """Judge a header by section 2.1, in another way."""
    if not header.endswith(b"\r\n") or len(header) > 107 or b"\n" in header[:-2]:
        return False
    match header[:-2].split(b" "):
        case [b"PROXY", b"UNKNOWN", *_]:
            return True
        case [b"PROXY", (b"TCP4" | b"TCP6") as kind, source, target, *ports] if len(ports) == 2:
            read_address = IPv4 if kind == b"TCP4" else IPv6
            try:
                read_address(source.decode()), read_address(target.decode())
            except (AddressValueError, UnicodeDecodeError):
                return False
            return b"%" not in header and all(
                port in {b"%d" % number for number in range(65536)} for port in ports
            )
    return False


def is_binary(header: bytes) -> bool:
    """Judge a header by section 2.2, in another way."""
    body = header[16:]
    if header[:12] != SIGNATURE or int.from_bytes(header[14:16], "big") != len(body):
        return False
    if header[12] == LOCAL or header[12:14] == b"\x21\0":
        return True
    size = {b"\x21\x11": 12, b"\x21\x21": 36, b"\x21\x31": 216}.get(header[12:14])
    if size is None or len(body) < size:
        return False
    body = body[size:]
    while body:
        body, before = body[3 + int.from_bytes(body[1:3], "big") :], body
        if len(before) < 3 or len(before) - len(body) != 3 + int.from_bytes(before[1:3], "big"):
            return False
    return True
