import resource
from typing import cast

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.interfaces import IAddress, ILoggingContext, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hello_service.daemon.connections import Connections
from hello_service.daemon.limits import (
    RESERVE,
    ExhaustionService,
    LimitedFactory,
    Refusal,
    raise_descriptor_limit,
)
from hello_service.daemon.listening import ListeningService
from tests.connections import FakeConnection
from tests.daemon.test_accepting import Descriptors

PEER = IPv4Address("TCP", "192.0.2.1", 1)


class RaiseDescriptorLimitTests(SynchronousTestCase):
    def setUp(self) -> None:
        soft, self.hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, self.hard))

    def test_soft_becomes_hard(self) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, self.hard))
        self.assertEqual(raise_descriptor_limit(), self.hard - RESERVE)
        self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE), (self.hard, self.hard))


class LimitedFactoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.connections: Connections[FakeConnection] = Connections()
        self.factory = Factory.forProtocol(Protocol)
        self.factory.noisy = False

    def limited(self, maximum: int | None = None, per_host: int | None = None) -> LimitedFactory:
        return LimitedFactory(self.clock, self.factory, self.connections, maximum, per_host)

    def connect(self, factory: LimitedFactory, address: IAddress = PEER) -> bool:
        """Connect; tell whether it is let in."""
        protocol = factory.buildProtocol(address)
        if isinstance(protocol, Refusal):
            transport = StringTransport()
            protocol.makeConnection(transport)
            self.assertTrue(transport.disconnected)
            return False
        self.assertIsInstance(protocol, Protocol)
        FakeConnection(self.connections, getattr(address, "host", None))
        return True

    def test_is_the_factory_but_for_its_limits(self) -> None:
        factory = self.limited()
        verifyObject(IProtocolFactory, factory)
        verifyObject(ILoggingContext, factory)
        self.assertEqual(factory.logPrefix(), "Factory")
        factory.doStart()
        self.assertEqual(self.factory.numPorts, 1)
        factory.doStop()
        self.assertEqual(self.factory.numPorts, 0)

    def test_unlimited(self) -> None:
        factory = self.limited()
        self.assertTrue(all(self.connect(factory) for _ in range(100)))

    def test_a_maximum(self) -> None:
        factory = self.limited(maximum=2)
        self.assertEqual([self.connect(factory) for _ in range(4)], [True, True, False, False])
        next(iter(self.connections)).end()
        self.assertEqual([self.connect(factory) for _ in range(2)], [True, False])

    def test_a_maximum_for_each_host(self) -> None:
        factory = self.limited(per_host=1)
        hosts = ("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.2")
        addresses = [IPv4Address("TCP", host, port) for port, host in enumerate(hosts)]
        let_in = [self.connect(factory, address) for address in addresses]
        self.assertEqual(let_in, [True, False, True, False])

    def test_what_has_no_host_is_not_limited_by_it(self) -> None:
        factory = self.limited(per_host=1)
        address = cast(IAddress, UNIXAddress(b"/run/hello"))
        self.assertTrue(all(self.connect(factory, address) for _ in range(3)))

    def test_the_log_tells_once_a_second(self) -> None:
        factory = self.limited(maximum=2, per_host=1)
        other = IPv4Address("TCP", "192.0.2.2", 1)

        def told() -> list[str]:
            with capturedLogs() as events:
                self.clock.advance(1)
            return [formatEvent(event) for event in events]

        with capturedLogs() as events:
            for _ in range(3):
                self.connect(factory)
            for _ in range(3):
                self.connect(factory, other)
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["Connections refused: 1, for their hosts have 1 each already."],
        )
        self.assertEqual(
            told(),
            [
                "Connections refused: 1, for their hosts have 1 each already.",
                "Connections refused: 2, for there are 2 already.",
            ],
        )
        self.assertEqual(told(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        with capturedLogs() as events:
            self.connect(factory)
        self.assertEqual([event["count"] for event in events], [1])

    def test_the_log_tells_of_all(self) -> None:
        factory = self.limited(maximum=0)
        with capturedLogs() as events:
            for _ in range(3):
                self.connect(factory)
            factory.doStop()
            factory.doStop()
        self.assertEqual([event["count"] for event in events], [1, 2])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class NotedListening(ListeningService):
    """Notes what it is told."""

    def __init__(self) -> None:
        super().__init__([], Factory(), lambda port: None)
        self.told: list[str] = []

    def pause(self) -> None:
        self.told.append("pause")
        self.paused = 2

    def resume(self) -> None:
        self.told.append("resume")
        self.paused = 0


class ExhaustionServiceTests(Descriptors):
    def test_has_connections_wait_while_no_descriptor_is_left(self) -> None:
        clock = Clock()
        listening = NotedListening()
        service = ExhaustionService(clock, listening)
        service.startService()
        with capturedLogs() as events:
            clock.advance(1)
            self.leave(0)
            clock.pump([1, 1])
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft + 2, hard))  # not one for each
            clock.advance(1)
            self.leave_all()
            clock.pump([1, 1])
        self.assertEqual(listening.told, ["pause", "pause", "pause", "resume"])
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["Accepting no connections: Too many open files.", "Accepting connections again."],
        )
        self.successResultOf(service.stopService())

    def test_resumes_what_has_paused_by_itself_without_a_word(self) -> None:
        clock = Clock()
        listening = NotedListening()
        service = ExhaustionService(clock, listening)
        service.startService()
        with capturedLogs() as events:
            listening.paused = 2
            clock.pump([1, 1])
        self.assertEqual((listening.told, events), (["resume"], []))
        self.successResultOf(service.stopService())

    def test_says_nothing_more_once_there_is_no_port(self) -> None:
        clock = Clock()
        listening = NotedListening()
        service = ExhaustionService(clock, listening)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        with capturedLogs() as events:
            service.startService()
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            listening.paused = 0  # as it is once the daemon drains
            clock.advance(1)
        self.assertEqual(listening.told, ["pause"])
        self.assertEqual([event["event"] for event in events], ["exhausted"])
        self.successResultOf(service.stopService())
