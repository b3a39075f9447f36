from collections.abc import Sequence
from typing import Any, cast

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hello_service.daemon.balancers import balancers
from hello_service.daemon.limits import LimitedFactory
from hello_service.daemon.protocol import DaemonFactory, DaemonProtocol
from hello_service.daemon.proxied import DEADLINE, ProxiedFactory
from hello_service.daemon.status.counters import Counters
from hello_service.daemon.sweep import SweepService
from tests.connections import HalfCloseTransport
from tests.proxy_headers import HEADER1, HEADER2, LOCAL, UNIX, UNSPECIFIED, version2
from tests.splits import splits

BALANCER = IPv4Address("TCP", "10.0.0.1", 4321)
CLIENT = IPv4Address("TCP", "192.0.2.1", 1234)
STRANGER = IPv4Address("TCP", "198.51.100.1", 1)
REFUSED = (
    "Connections refused: 1, for they did not begin with a valid PROXY header; the last, from"
    " 10.0.0.1:4321: {}."
)


class Greeting(DaemonProtocol):
    """Greets, then writes what it reads."""

    def opened(self) -> None:
        self.write(b"Welcome!")

    def received(self, data: bytes) -> None:
        self.write(data)


class GreetingFactory(DaemonFactory):
    protocol = Greeting


class Wire(HalfCloseTransport):
    """A transport that delivers to its C{protocol}, which may be replaced."""

    protocol: Any

    def __init__(self, factory: IProtocolFactory, peer: IAddress = BALANCER) -> None:
        super().__init__()
        self.peerAddr = peer
        self.protocol = factory.buildProtocol(peer)
        self.protocol.makeConnection(self)

    def feed(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.protocol.dataReceived(piece)

    def end(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))


class ProxiedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.greeting = GreetingFactory(self.clock)
        self.connections = self.greeting.connections
        self.factory = self.proxied()

    def proxied(self, trusted: str = "10.0.0.0/8", **limits: int) -> ProxiedFactory:
        limited = LimitedFactory(self.clock, self.greeting, self.connections, **limits)
        return ProxiedFactory(self.clock, limited, balancers(trusted), limited)

    def refusals(self, events: Sequence[LogEvent]) -> list[str]:
        return [formatEvent(event) for event in events if event.get("event") == "refused"]

    def test_is_a_factory_that_starts_and_stops_the_other(self) -> None:
        verifyObject(IProtocolFactory, self.factory)
        self.factory.doStart()
        self.assertEqual(self.greeting.numPorts, 1)
        self.factory.doStop()
        self.assertEqual(self.greeting.numPorts, 0)

    def test_it_counts_as_one_connection(self) -> None:
        counters = Counters(self.clock, self.connections)
        wire = Wire(self.factory)
        self.assertEqual((counters.totals().open, counters.totals().accepted), (1, 1))
        wire.feed(HEADER1)
        self.assertEqual((counters.totals().open, counters.totals().accepted), (1, 1))
        wire.end()
        self.assertEqual((counters.totals().closed, counters.totals().accepted), (1, 1))

    def test_nothing_is_said_before_the_header(self) -> None:
        for header in (HEADER1, HEADER2):
            for pieces in splits(header + b"Michael"):
                wire = Wire(self.factory)
                self.assertEqual(wire.value(), b"")
                wire.feed(*pieces)
                self.assertEqual(wire.value(), b"Welcome!Michael")
                wire.end()
        self.assertEqual((len(self.connections), self.clock.getDelayedCalls()), (0, []))

    def test_the_protocol_sees_the_client(self) -> None:
        with capturedLogs() as events:
            wire = Wire(self.factory)
            local = wire.getHost()
            wire.feed(HEADER1)
            self.assertEqual((wire.getPeer(), wire.getHost()), (CLIENT, local))
            self.assertEqual(wire.protocol.host, CLIENT.host)
            self.assertEqual(wire.protocol.via, "10.0.0.1:4321")
            wire.end()
        for event in events:
            self.assertEqual((event["peer"], event["via"]), ("192.0.2.1:1234", "10.0.0.1:4321"))
        self.assertEqual([event["event"] for event in events], ["accepted", "closed"])

    def test_a_client_of_a_unix_socket(self) -> None:
        wire = Wire(self.factory)
        wire.feed(version2(UNIX, b"/run/client".ljust(216, b"\0")))
        self.assertEqual(wire.getPeer(), UNIXAddress(b"/run/client"))
        self.assertEqual(wire.value(), b"Welcome!")

    def test_a_balancer_that_speaks_for_itself_keeps_its_address(self) -> None:
        for header in (b"PROXY UNKNOWN\r\n", version2(UNSPECIFIED, b""),
                       version2(UNSPECIFIED, b"", LOCAL)):  # fmt: skip
            with capturedLogs() as events:
                wire = Wire(self.factory)
                wire.feed(header)
                wire.end()
            self.assertEqual(wire.getPeer(), BALANCER)
            self.assertEqual({event["peer"] for event in events}, {"10.0.0.1:4321"})
            self.assertFalse([event for event in events if "via" in event])

    def test_who_is_no_balancer_is_greeted_at_once_and_believed_nothing(self) -> None:
        wire = Wire(self.factory, STRANGER)
        self.assertEqual(wire.value(), b"Welcome!")
        wire.feed(HEADER1)
        self.assertEqual((wire.value(), wire.getPeer()), (b"Welcome!" + HEADER1, STRANGER))

    def test_a_unix_socket(self) -> None:
        peer = cast(IAddress, UNIXAddress(b""))
        self.assertEqual(Wire(self.factory, peer).value(), b"Welcome!")
        wire = Wire(self.proxied("unix"), peer)
        self.assertEqual(wire.value(), b"")
        wire.feed(HEADER2)
        self.assertEqual((wire.value(), wire.getPeer()), (b"Welcome!", CLIENT))

    def test_a_bad_header(self) -> None:
        with capturedLogs() as events:
            wire = Wire(self.factory)
            wire.feed(b"PROXY TCP4 nonsense\r\n")
        self.assertEqual((wire.disconnected, wire.value()), (True, b""))
        self.assertEqual(self.refusals(events), [REFUSED.format("its line is not as it must be")])
        self.assertEqual([(event["limit"], event["via"]) for event in events],
                         [("proxy", "10.0.0.1:4321")])  # fmt: skip
        wire.end()
        self.assertEqual(len(self.connections), 0)

    def test_bad_headers_are_told_once_a_second(self) -> None:
        with capturedLogs() as events:
            for _ in range(5):
                Wire(self.factory).feed(b"Michael")
            self.assertEqual([event["count"] for event in events], [1])
            self.clock.advance(1)
        self.assertEqual([event["count"] for event in events], [1, 4])

    def test_a_header_that_does_not_come(self) -> None:
        for start in (b"", HEADER1[:-1]):
            with capturedLogs() as events:
                wire = Wire(self.factory)
                wire.feed(start)
                self.clock.advance(DEADLINE - 0.1)
                self.assertFalse(wire.disconnected)
                self.clock.advance(0.1)
                self.assertTrue(wire.disconnected)
                wire.end()
            why = "it was not there after 3 seconds"
            self.assertEqual(self.refusals(events), [REFUSED.format(why)])
            self.clock.advance(2)

    def test_a_header_that_is_cut_off(self) -> None:
        with capturedLogs() as events:
            wire = Wire(self.factory)
            wire.feed(HEADER2[:-1])
            wire.end()
        why = "the connection ended within it"
        self.assertEqual(self.refusals(events), [REFUSED.format(why)])
        self.assertEqual(len(self.connections), 0)

    def test_a_check_of_the_port_is_no_fault(self) -> None:
        with capturedLogs() as events:
            Wire(self.factory).end()
        self.assertEqual((events, self.clock.getDelayedCalls()), ([], []))

    def test_those_that_wait_are_counted(self) -> None:
        factory = self.proxied(maximum=2)
        waiting = [Wire(factory) for _ in range(2)]
        self.assertEqual(len(self.connections), 2)
        self.assertTrue(Wire(factory).disconnected)
        self.assertTrue(Wire(factory, STRANGER).disconnected)
        for wire in waiting:
            wire.feed(HEADER1)
            self.assertEqual(wire.value(), b"Welcome!")
        self.assertTrue(Wire(factory).disconnected)
        waiting[0].end()
        self.assertFalse(Wire(factory).disconnected)

    def test_clients_are_counted_and_not_their_balancer(self) -> None:
        factory = self.proxied(per_host=1)
        wires = [Wire(factory) for _ in range(3)]
        for wire, header in zip(wires, (HEADER1, HEADER2, HEADER1.replace(b".1 ", b".3 ")),
                                strict=True):  # fmt: skip
            wire.feed(header)
        self.assertEqual([wire.disconnected for wire in wires], [False, True, False])
        self.assertEqual(wires[1].value(), b"")

    def test_what_follows_the_header_of_one_that_is_refused_is_ignored(self) -> None:
        factory = self.proxied(per_host=1)
        Wire(factory).feed(HEADER1)
        wire = Wire(factory)
        wire.feed(HEADER1 + b"Michael")
        self.assertEqual((wire.disconnected, wire.value()), (True, b""))

    def test_it_drains(self) -> None:
        wire = Wire(self.factory)
        wire.feed(HEADER1[:5])
        emptied = self.connections.emptied()
        with capturedLogs() as events:
            for connection in self.connections:
                connection.drain("shutdown")
            self.assertEqual((wire.disconnecting, wire.disconnected), (True, False))
            wire.end()
        self.successResultOf(emptied)
        self.assertEqual((events, self.clock.getDelayedCalls()), ([], []))

    def test_it_is_aborted(self) -> None:
        wire = Wire(self.factory)
        for connection in self.connections:
            connection.abort()
        wire.end()
        self.assertTrue(wire.disconnected)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_it_is_swept(self) -> None:
        service = SweepService(self.clock, self.connections, 1.0, None)
        service.startService()
        wire = Wire(self.factory)
        self.clock.pump([0.25] * 5)
        self.assertTrue(wire.disconnecting)
        self.successResultOf(service.stopService())

    def test_a_factory_that_builds_nothing(self) -> None:
        class Nothing(Factory):
            def buildProtocol(self, addr: IAddress | None) -> None:
                return None

        limited = LimitedFactory(self.clock, self.greeting, self.connections)
        wire = Wire(ProxiedFactory(self.clock, limited, balancers("10.0.0.1"), Nothing()))
        wire.feed(HEADER1)
        self.assertTrue(wire.disconnected)
