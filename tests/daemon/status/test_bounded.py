import contextlib
import socket
from typing import Any

from twisted.internet import tcp
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.status.bounded import (
    AT_ONCE,
    DEADLINE,
    MOST,
    STAYING,
    BoundedFactory,
    accept_few_at_once,
)


class BoundedFactoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        inner = ServerFactory.forProtocol(Protocol)
        self.factory = BoundedFactory(self.clock, inner)
        self.factory.doStart()

    def connect(self) -> tuple[Any, StringTransport]:
        protocol = self.factory.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        return protocol, transport

    def test_a_connection_has_its_time(self) -> None:
        _, transport = self.connect()
        self.clock.advance(DEADLINE - 0.1)
        self.assertFalse(transport.disconnected)
        self.clock.advance(0.1)
        self.assertTrue(transport.disconnected)

    def test_one_that_is_lost_is_forgotten(self) -> None:
        protocol, _ = self.connect()
        protocol.connectionLost(Failure(ConnectionError()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_oldest_makes_room(self) -> None:
        transports = [self.connect()[1] for _ in range(MOST + 2)]
        gone = [transport.disconnected for transport in transports]
        self.assertEqual(gone, [True] * 2 + [False] * MOST)
        self.assertEqual(len(self.clock.getDelayedCalls()), MOST)

    def test_none_is_left_when_nobody_listens(self) -> None:
        protocol, transport = self.connect()
        self.factory.doStop()
        self.assertTrue(transport.disconnected)
        protocol.connectionLost(Failure(ConnectionError()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_that_stays_has_no_deadline_and_makes_no_room(self) -> None:
        protocol, transport = self.connect()
        self.assertTrue(protocol.stay())
        for _ in range(2 * MOST):
            self.connect()
        self.clock.advance(DEADLINE)
        self.assertFalse(transport.disconnected)
        self.factory.doStop()
        self.assertTrue(transport.disconnected)

    def test_no_more_than_so_many_stay(self) -> None:
        protocols = [self.connect()[0] for _ in range(STAYING + 1)]
        granted = [protocol.stay() for protocol in protocols]
        self.assertEqual(granted, [True] * STAYING + [False])
        protocols[0].connectionLost(Failure(ConnectionError()))
        self.assertTrue(protocols[-1].stay())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class AcceptingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.listening = self.enterContext(socket.create_server(("127.0.0.1", 0)))
        self.listening.setblocking(False)

    def accept(self, port: Any) -> int:
        """Accept as many as there are, or as may be; return how many."""
        accepted = 0
        with contextlib.suppress(BlockingIOError):
            while accepted <= AT_ONCE:
                port.socket.accept()[0].close()
                accepted += 1
        return accepted

    def test_few_in_a_turn(self) -> None:
        port: Any = tcp.Port(0, ServerFactory())
        port.socket = self.listening
        accept_few_at_once(self.clock, port)
        self.assertEqual(port.socket.getsockname(), self.listening.getsockname())
        for _ in range(AT_ONCE + 1):
            self.enterContext(socket.create_connection(self.listening.getsockname()))
        self.assertEqual(self.accept(port), AT_ONCE)
        self.assertEqual(self.accept(port), 0)
        self.clock.advance(0)
        self.assertEqual(self.accept(port), 1)
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_port_that_accepts_in_its_own_way(self) -> None:
        class Port(tcp.Port):
            def doRead(self) -> None:
                """Accept one."""

        port: Any = Port(0, ServerFactory())
        port.socket = self.listening
        accept_few_at_once(self.clock, port)
        self.assertIs(port.socket, self.listening)
