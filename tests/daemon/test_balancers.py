from typing import cast

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.balancers import Balancers, balancers
from hello_service.values import BadValue


def trusts(trusted: Balancers, host: str) -> bool:
    kind = IPv6Address if ":" in host else IPv4Address
    return kind("TCP", host, 1) in trusted


class BalancersTests(SynchronousTestCase):
    def test_networks(self) -> None:
        trusted = balancers("10.0.0.0/8, 192.0.2.7,fd00::/8")
        for host in ("10.0.0.0", "10.255.1.2", "192.0.2.7", "::ffff:10.1.2.3", "fd12::1%eth0"):
            self.assertTrue(trusts(trusted, host), host)
        for host in ("11.0.0.1", "192.0.2.8", "::ffff:11.0.0.1", "::10.0.0.1", "fe80::1"):
            self.assertFalse(trusts(trusted, host), host)

    def test_all_there_is(self) -> None:
        self.assertTrue(trusts(balancers("0.0.0.0/0"), "192.0.2.1"))
        self.assertFalse(trusts(balancers("0.0.0.0/0"), "2001:db8::1"))

    def test_unix(self) -> None:
        peer = cast(IAddress, UNIXAddress(b""))
        self.assertIn(peer, balancers("unix"))
        self.assertNotIn(peer, balancers("0.0.0.0/0,::/0"))
        self.assertFalse(trusts(balancers("unix"), "127.0.0.1"))

    def test_what_has_no_address(self) -> None:
        self.assertNotIn(cast(IAddress, object()), balancers("0.0.0.0/0,::/0,unix"))

    def test_wrong_values(self) -> None:
        for text in ("", "10.0.0.0/8,", "localhost", "10.0.0.0/33", "10.0.0", "fe80::1%lo",
                     "10.0.0.0/255.0.0.0", "10.0.0.0/", "UNIX", "10.0.0.0/8 fd00::/8"):  # fmt: skip
            error = self.assertRaises(BadValue, balancers, text)
            self.assertRegex(str(error), r"'.*' is no address or network: write .* unix\.")

    def test_an_address_within_a_network(self) -> None:
        error = self.assertRaises(BadValue, balancers, "10.1.2.3/8")
        self.assertEqual(
            str(error), "'10.1.2.3/8' is an address within a network: write 10.0.0.0/8 for that."
        )
