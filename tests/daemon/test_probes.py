from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.protocol import DaemonProtocol
from hello_service.daemon.service import DaemonService
from hello_service.daemon.settings import Settings
from tests.connections import EchoFactory, HalfCloseTransport


class QuietProbesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.factory = EchoFactory(self.reactor)
        self.service = DaemonService(self.reactor, self.factory, Settings(quiet_probes=True))
        self.service.startService()
        self.events: Any = self.enterContext(capturedLogs())

    def connect(self) -> DaemonProtocol:
        protocol = self.factory.buildProtocol(None)
        protocol.makeConnection(HalfCloseTransport())
        return protocol

    def probe(self, count: int = 1) -> None:
        """Connect, and leave without a word."""
        for _ in range(count):
            self.lose(self.connect())

    def lose(self, protocol: DaemonProtocol) -> None:
        protocol.connectionLost(Failure(ConnectionDone()))

    def told(self) -> list[str]:
        """What was logged since the last look."""
        told = [str(formatEvent(event)) for event in self.events]
        self.events.clear()
        return told

    def test_those_that_say_nothing_are_counted_once_a_minute(self) -> None:
        self.probe(3)
        self.reactor.advance(59.9)
        self.assertEqual(self.told(), [])
        self.reactor.advance(0.1)
        (event,) = self.events
        self.assertEqual((event["event"], event["count"]), ("probes", 3))
        self.assertEqual(self.told(), ["Connections that said nothing: 3."])
        self.probe()
        self.reactor.advance(60)
        self.assertEqual(self.told(), ["Connections that said nothing: 1."])
        self.reactor.advance(60)
        self.assertEqual(self.told(), [])

    def test_a_conversation_is_told_of_at_its_first_byte(self) -> None:
        protocol = self.connect()
        self.reactor.advance(2)
        self.assertEqual(self.told(), [])
        protocol.dataReceived(b"a")
        self.assertEqual([event["event"] for event in self.events], ["accepted"])
        protocol.dataReceived(b"b")
        self.reactor.advance(3)
        self.lose(protocol)
        accepted, closed = self.events
        self.assertEqual(accepted["event"], "accepted")
        account = {"event": "closed", "started": 0.0, "duration": 5.0, "bytes_in": 2}
        self.assertEqual({name: closed[name] for name in account}, account)
        self.assertEqual(protocol.transport.value(), b"ab")  # type: ignore[attr-defined]

    def test_the_first_byte_may_come_when_the_conversation_is_over(self) -> None:
        protocol = self.connect()
        protocol.close("a-word")
        protocol.dataReceived(b"a")
        self.lose(protocol)
        self.assertEqual([event["event"] for event in self.events], ["accepted", "closed"])

    def test_each_byte_after_the_first_costs_nothing(self) -> None:
        protocol = self.connect()
        protocol.dataReceived(b"a")
        self.assertNotIn("dataReceived", vars(protocol))

    def test_nothing_holds_on_to_those_that_said_nothing(self) -> None:
        protocol = self.connect()
        self.lose(protocol)
        self.assertNotIn("dataReceived", vars(protocol))

    def test_an_end_of_stream_is_no_byte(self) -> None:
        protocol = self.connect()
        protocol.readConnectionLost()
        self.lose(protocol)
        self.assertEqual(self.told(), [])

    def test_a_stop_tells_of_those_that_it_ends(self) -> None:
        self.probe(2)
        protocol = self.connect()
        stopped = self.service.stopService()
        self.told()
        self.lose(protocol)
        self.successResultOf(stopped)
        self.assertEqual(self.told(), ["Connections that said nothing: 3."])

    def test_without_it_all_are_told_of(self) -> None:
        reactor = MemoryReactorClock()
        factory = EchoFactory(reactor)
        DaemonService(reactor, factory, Settings()).startService()
        self.told()
        protocol = factory.buildProtocol(None)
        protocol.makeConnection(HalfCloseTransport())
        self.assertNotIn("dataReceived", vars(protocol))
        self.lose(protocol)
        self.assertEqual([event["event"] for event in self.events], ["accepted", "closed"])
