from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from hello_service.address import address_text


class AddressTextTests(SynchronousTestCase):
    def test_every_kind(self) -> None:
        for address, text in (
            (IPv4Address("TCP", "127.0.0.1", 9999), "127.0.0.1:9999"),
            (IPv6Address("TCP", "::1", 9999), "[::1]:9999"),
            (IPv6Address("TCP", "fe80::1%eth0", 9999), "[fe80::1%eth0]:9999"),
            (UNIXAddress(b"/run/hello"), "unix:'/run/hello'"),
            (UNIXAddress(b"/run/\x1b[2J\n\xff"), r"unix:'/run/\x1b[2J\n\udcff'"),
            (UNIXAddress(None), "unix:"),
            (None, "None"),
        ):
            self.assertEqual(address_text(address), text)
