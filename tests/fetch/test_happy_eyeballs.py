"""Tests of L{hello_service.fetch.happy_eyeballs}."""

from collections.abc import Sequence
from socket import AF_INET, AF_INET6

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionRefusedError, DNSLookupError, NoRouteError
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from hello_service.address import address_text
from hello_service.fetch.happy_eyeballs import ATTEMPT_DELAY, ConnectObserver, Race
from tests.fetching import V4, V6, FetchTestCase

OTHER_V4 = IPv4Address("TCP", "192.0.2.2", 80)


class Log(ConnectObserver):
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def resolving(self, host: str) -> None:
        self.events.append(f"resolving {host}")

    def resolved(self, addresses: Sequence[IAddress]) -> None:
        self.events.append("resolved " + " ".join(map(address_text, addresses)))

    def connecting(self, address: IAddress) -> None:
        self.events.append(f"connecting {address_text(address)}")

    def failed(self, address: IAddress, reason: Failure) -> None:
        self.events.append(f"failed {address_text(address)}")


class RaceTests(FetchTestCase):
    """Addresses are tried in turn, and beside each other."""

    def race(
        self, host: str = "h", family: object = None, observer: ConnectObserver | None = None
    ) -> Race:
        self.failures: list[Failure] = []
        self.resolved: list[str] = []
        self.protocol = Protocol()
        race = Race(
            self.reactor,
            self.protocol,
            lambda: self.resolved.append(host),
            self.failures.append,
            observer or ConnectObserver(),
            family,  # type: ignore[arg-type]
        )
        race.start(host, 80)
        return race

    def tried(self) -> list[str]:
        return [host for host, *_ in self.reactor.tcpClients]

    def test_address(self) -> None:
        """An address is not resolved."""
        for host in ("192.0.2.1", "2001:db8::1"):
            self.race(host)
            self.assertEqual(self.resolver.asked, [])
            self.assertEqual(self.reactor.tcpClients[-1][:2], (host, 80))
            self.connect()
            self.assertIs(self.peer, self.protocol)
            self.assertEqual(self.resolved, [host])

    def test_name(self) -> None:
        """A name is resolved to all its addresses, and the first is tried."""
        self.race()
        self.assertEqual(self.resolver.asked, [("h", 80, [IPv4Address, IPv6Address])])
        self.resolver.resolve([V4])
        self.connect()
        self.assertIs(self.peer, self.protocol)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_interleaved(self) -> None:
        """The families alternate, each address is tried once."""
        self.race()
        self.resolver.resolve([V4, OTHER_V4, V4, V6])
        self.reactor.pump([ATTEMPT_DELAY] * 9)
        self.assertEqual(self.tried(), [V4.host, V6.host, OTHER_V4.host])

    def test_slow(self) -> None:
        """An address that does not answer is left running beside the next."""
        self.race()
        self.resolver.resolve([V6, V4])
        self.reactor.advance(ATTEMPT_DELAY / 2)
        self.assertEqual(self.tried(), [V6.host])
        self.reactor.advance(ATTEMPT_DELAY / 2)
        self.assertEqual(self.tried(), [V6.host, V4.host])
        self.connect(0)
        self.assertIs(self.peer, self.protocol)
        self.assertTrue(self.reactor.connectors[1]._disconnected)
        self.assertFalse(self.reactor.connectors[0]._disconnected)

    def test_loser(self) -> None:
        """What becomes of the losers is of no interest."""
        self.race()
        self.resolver.resolve([V6, V4])
        self.reactor.advance(ATTEMPT_DELAY)
        self.connect(1)
        self.refuse(ConnectionRefusedError(), 0)
        self.assertEqual(self.failures, [])

    def test_second(self) -> None:
        """A loser that connects all the same gets no protocol, so its connection is closed."""
        self.race()
        self.resolver.resolve([V6, V4])
        self.reactor.advance(ATTEMPT_DELAY)
        self.connect(1)
        self.assertIsNone(self.reactor.tcpClients[0][2].buildProtocol(V6))

    def test_refused(self) -> None:
        """An address that fails makes room for the next at once."""
        log = Log()
        self.race(observer=log)
        self.resolver.resolve([V6, V4])
        self.refuse(NoRouteError())
        self.assertEqual(self.tried(), [V6.host, V4.host])
        self.refuse(ConnectionRefusedError())
        self.assertIsInstance(self.failures[0].value, ConnectionRefusedError)
        self.assertEqual(
            log.events,
            [
                "resolving h",
                "resolved [2001:db8::1]:80 192.0.2.1:80",
                "connecting [2001:db8::1]:80",
                "failed [2001:db8::1]:80",
                "connecting 192.0.2.1:80",
                "failed 192.0.2.1:80",
            ],
        )
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_last_one_running(self) -> None:
        """It has not failed while an attempt is under way."""
        self.race()
        self.resolver.resolve([V6, V4])
        self.reactor.advance(ATTEMPT_DELAY)
        self.refuse(ConnectionRefusedError(), 1)
        self.assertEqual(self.failures, [])
        self.connect(0)
        self.assertIs(self.peer, self.protocol)

    def test_no_address(self) -> None:
        """A name without an address fails."""
        self.race()
        self.resolver.resolve([])
        self.assertIsInstance(self.failures[0].value, DNSLookupError)

    def test_family(self) -> None:
        """Only one family is asked for if that is wanted."""
        self.race(family=AF_INET)
        self.race(family=AF_INET6)
        self.assertEqual(
            [kinds for *_, kinds in self.resolver.asked], [[IPv4Address], [IPv6Address]]
        )
        self.race("2001:db8::1", AF_INET)
        self.assertEqual(self.tried(), [])
        self.assertIsInstance(self.failures[0].value, DNSLookupError)

    def test_cancelled_while_resolving(self) -> None:
        """A race that is cancelled begins nothing."""
        self.race().cancel()
        self.resolver.resolve([V4])
        self.assertEqual(self.tried(), [])
        self.assertEqual(self.failures, [])

    def test_cancelled_while_connecting(self) -> None:
        """A race that is cancelled ends its attempts."""
        race = self.race()
        self.resolver.resolve([V6, V4])
        race.cancel()
        self.assertTrue(self.reactor.connectors[0]._disconnected)
        self.assertIsNone(self.reactor.tcpClients[0][2].buildProtocol(V6))
        self.assertEqual(self.reactor.getDelayedCalls(), [])
