"""Tests of L{hello_service.fetch.proxy_header}."""

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.proxy_header import HeaderReader
from hello_service.fetch.proxy_header import version_1, version_2
from tests.proxy_headers import (
    ADDRESSES6,
    HEADER1,
    HEADER2,
    LOCAL,
    TCP6,
    UNSPECIFIED,
    version2,
)

SOURCE4, TARGET4 = IPv4Address("TCP", "192.0.2.1", 1234), IPv4Address("TCP", "192.0.2.2", 9999)
SOURCE6, TARGET6 = IPv6Address("TCP", "2001:db8::1", 1234), IPv6Address("TCP", "::1", 9999)
NAMED, UNNAMED = UNIXAddress("/run/hello.sock"), UNIXAddress(None)


class HeaderTests(SynchronousTestCase):
    """What is written is what the specification has, and what the daemon reads."""

    def test_version_1(self) -> None:
        """A line for TCP, and one that says nothing for all else."""
        self.assertEqual(version_1(SOURCE4, TARGET4), HEADER1)
        self.assertEqual(version_1(SOURCE6, TARGET6), b"PROXY TCP6 2001:db8::1 ::1 1234 9999\r\n")
        for ends in ((UNNAMED, NAMED), (SOURCE4, TARGET6)):
            self.assertEqual(version_1(*ends), b"PROXY UNKNOWN\r\n")

    def test_version_2(self) -> None:
        """A block for TCP, and one without addresses for all else."""
        self.assertEqual(version_2(SOURCE4, TARGET4), HEADER2)
        self.assertEqual(version_2(SOURCE6, TARGET6), version2(TCP6, ADDRESSES6))
        nothing = version2(UNSPECIFIED, b"", LOCAL)
        for ends in ((UNNAMED, NAMED), (SOURCE4, TARGET6)):
            self.assertEqual(version_2(*ends), nothing)

    def test_scope(self) -> None:
        """The interface of a link-local address means nothing to the other end."""
        scoped = IPv6Address("TCP", "fe80::1%eth0", 1234)
        self.assertEqual(version_1(scoped, TARGET6), b"PROXY TCP6 fe80::1 ::1 1234 9999\r\n")
        self.assertEqual(len(version_2(scoped, TARGET6)), 52)

    def test_read_again(self) -> None:
        """The daemon reads who we said we were."""
        for write in (version_1, version_2):
            for source, target, read in (
                (SOURCE4, TARGET4, SOURCE4),
                (SOURCE6, TARGET6, SOURCE6),
                (UNNAMED, NAMED, None),
            ):
                header = HeaderReader().feed(write(source, target) + b"rest")
                assert header
                self.assertEqual((header.source, header.rest), (read, b"rest"))
