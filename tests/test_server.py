import socket

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
    ISSLTransport,
)
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides
from zope.interface.verify import verifyObject

from hello_service.conversation import LINE_TOO_LONG, READ_SIZE, Framing
from hello_service.daemon.protocol import LINGER
from hello_service.server import HelloFactory, HelloProtocol
from tests.connections import HalfCloseTransport

PEER = IPv4Address("TCP", "127.0.0.1", 54321)


class ServerTestCase(SynchronousTestCase):
    framing = Framing.AUTO
    delay = 0.0

    def setUp(self) -> None:
        self.clock = Clock()
        self.protocol = HelloFactory(self.clock, self.framing, self.delay).buildProtocol(PEER)
        self.transport = HalfCloseTransport()
        self.protocol.makeConnection(self.transport)

    def sent(self) -> bytes:
        """What has been sent since the last look."""
        sent: bytes = self.transport.value()
        self.transport.clear()
        return sent


class HelloProtocolTests(ServerTestCase):
    def test_interfaces(self) -> None:
        verifyObject(IHalfCloseableProtocol, self.protocol)
        verifyObject(IHandshakeListener, self.protocol)
        verifyObject(IPushProducer, self.protocol)

    def test_the_conversation_of_the_tutorial(self) -> None:
        self.assertEqual(self.sent(), b"Welcome!")
        for name in (b"Michael", b"Tracy", b"Sarah"):
            self.protocol.dataReceived(name)
            self.assertEqual(self.sent(), b"Hello, " + name + b"!")
        self.protocol.dataReceived(b"exit")
        self.assertEqual(self.sent(), b"")
        self.assertTrue(self.transport.disconnecting)
        self.assertIsNone(self.transport.producer)

    def test_the_answers_to_one_read_leave_in_one_write(self) -> None:
        self.protocol.dataReceived(b"a\nb\nexit\n")
        self.assertEqual(self.transport.writes, [b"Welcome!", b"Hello, a!\nHello, b!\n"])

    def test_half_close_is_answered(self) -> None:
        self.protocol.dataReceived(b"a\n")
        self.protocol.dataReceived(b"b")
        self.protocol.readConnectionLost()
        self.assertEqual(self.sent(), b"Welcome!Hello, a!\nHello, b!")
        self.assertTrue(self.transport.disconnecting)
        self.assertIsNone(self.transport.producer)

    def test_a_peer_that_does_not_read_is_not_read_from(self) -> None:
        self.assertIs(self.transport.producer, self.protocol)
        self.assertTrue(self.transport.streaming)
        self.protocol.pauseProducing()
        self.assertEqual(self.transport.producerState, "paused")
        self.protocol.resumeProducing()
        self.assertEqual(self.transport.producerState, "producing")

    def test_a_lost_peer(self) -> None:
        self.protocol.stopProducing()
        self.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.sent(), b"Welcome!")
        self.assertFalse(self.transport.disconnecting)
        self.assertFalse(self.transport.disconnected)

    def test_log(self) -> None:
        protocol = HelloFactory(self.clock).buildProtocol(PEER)
        with capturedLogs() as events:
            protocol.makeConnection(StringTransport())
            self.clock.advance(1.5)
            protocol.dataReceived(b"\x1b[2Jevil\n")
            protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(
            [formatEvent(event) for event in events],
            [
                "Accept new connection from 127.0.0.1:54321...",
                "Connection from 127.0.0.1:54321 closed.",
            ],
        )
        addresses = {"peer": "127.0.0.1:54321", "local": "10.0.0.1:12345"}
        accounts: tuple[dict[str, object], ...] = (
            {"event": "accepted", **addresses},
            {
                "event": "closed",
                **addresses,
                "started": 0.0,
                "duration": 1.5,
                "messages": 1,
                "bytes_in": 9,
                "bytes_out": len(b"Welcome!Hello, \x1b[2Jevil!\n"),
                "reason": "end",
            },
        )
        for event, account in zip(events, accounts, strict=True):
            self.assertEqual({name: event[name] for name in account}, account)

    def reason(self, *data: bytes, error: Exception, end: bool = False) -> str:
        """Lose a connection; return the reason that is logged."""
        protocol = HelloFactory(self.clock).buildProtocol(PEER)
        protocol.makeConnection(HalfCloseTransport())
        for read in data:
            protocol.dataReceived(read)
        if end:
            protocol.readConnectionLost()
        with capturedLogs() as events:
            protocol.connectionLost(Failure(error))
        reason: str = events[0]["reason"]
        return reason

    def test_reasons(self) -> None:
        self.assertEqual(self.reason(b"exit", error=ConnectionDone()), "exit")
        self.assertEqual(self.reason(b"exit", error=ConnectionLost()), "exit")
        self.assertEqual(self.reason(b"x" * 2000 + b"\n", error=ConnectionDone()), "too-long")
        by_its_cr = (b"a\n", b"x" * READ_SIZE + b"\r")
        self.assertEqual(self.reason(*by_its_cr, error=ConnectionDone(), end=True), "too-long")
        self.assertEqual(self.reason(b"a", error=ConnectionDone(), end=True), "end")
        self.assertEqual(self.reason(b"a", error=ConnectionDone()), "end")
        self.assertEqual(self.reason(b"a", error=ConnectionLost()), "lost")

    def test_the_factory_is_quiet(self) -> None:
        self.assertFalse(HelloFactory(self.clock).noisy)


class LingerTests(ServerTestCase):
    """To close while the peer still sends would reset the connection, and its last answer."""

    framing = Framing.LINE

    def setUp(self) -> None:
        super().setUp()
        self.protocol.pauseProducing()
        self.protocol.dataReceived(b"x" * (READ_SIZE + 1))

    def test_while_the_peer_is_cut_short_in_a_wait(self) -> None:
        protocol = HelloFactory(self.clock, Framing.LINE, 1.0).buildProtocol(PEER)
        transport = HalfCloseTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(b"exit\nmore\n")
        self.clock.advance(1)
        self.assertTrue(transport.half_closed)
        protocol.writeConnectionLost()
        self.assertEqual(transport.producerState, "producing")
        protocol.dataReceived(b"still more\n")
        self.clock.advance(1)
        self.assertEqual(transport.value(), b"Welcome!\r\n")

    def test_half_closes_and_throws_away(self) -> None:
        self.assertTrue(self.transport.half_closed)
        self.assertFalse(self.transport.disconnecting)
        self.assertEqual(self.sent(), b"Welcome!\r\n" + LINE_TOO_LONG)
        self.assertEqual(self.transport.producerState, "paused")
        self.protocol.writeConnectionLost()
        self.assertEqual(self.transport.producerState, "producing")
        self.protocol.dataReceived(b"x" * 70000)
        self.assertEqual(self.sent(), b"")

    def test_closes_after_the_peer(self) -> None:
        self.protocol.writeConnectionLost()
        self.protocol.readConnectionLost()
        self.assertTrue(self.transport.disconnecting)
        self.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_reads_nothing_from_a_peer_that_does_not_read_its_last_answer(self) -> None:
        self.clock.advance(10 * LINGER)
        self.assertEqual(self.transport.producerState, "paused")
        self.assertFalse(self.transport.disconnected)

    def test_gives_the_peer_some_time_once_it_has_all(self) -> None:
        one, other = (self.enterContext(end) for end in socket.socketpair())
        self.transport.fileno = one.fileno  # type: ignore[method-assign]
        self.protocol.writeConnectionLost()
        one.send(b"on its way")
        self.clock.pump([LINGER] * 5)
        self.assertFalse(self.transport.disconnecting)
        other.recv(99)
        self.clock.advance(LINGER)
        self.clock.advance(LINGER - 0.1)
        self.assertFalse(self.transport.disconnecting)
        self.clock.advance(0.1)
        self.assertTrue(self.transport.disconnecting)
        self.assertFalse(self.transport.disconnected)
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def test_where_the_system_cannot_tell_what_is_under_way(self) -> None:
        self.protocol.writeConnectionLost()
        self.clock.advance(LINGER)
        self.assertTrue(self.transport.disconnecting)

    def test_tls_is_greeted_after_its_handshake_and_waits_for_the_peers_close(self) -> None:
        protocol = HelloFactory(self.clock, Framing.LINE).buildProtocol(PEER)
        transport = HalfCloseTransport()
        alsoProvides(transport, ISSLTransport)
        protocol.makeConnection(transport)
        self.assertEqual(transport.value(), b"")
        protocol.handshakeCompleted()
        self.assertEqual(transport.value(), b"Welcome!\r\n")
        protocol.dataReceived(b"exit\nmore\n")
        self.assertFalse(transport.half_closed)
        self.assertTrue(transport.disconnecting)
        self.clock.advance(LINGER - 0.1)
        self.assertFalse(transport.disconnected)
        self.clock.advance(0.1)
        self.assertTrue(transport.disconnected)
        protocol.connectionLost(Failure(ConnectionAborted()))


class DrainTests(ServerTestCase):
    def close(self) -> str:
        """Lose the connection; return the reason that is logged."""
        with capturedLogs() as events:
            self.protocol.connectionLost(Failure(ConnectionDone()))
        reason: str = events[0]["reason"]
        return reason

    def test_ends_as_one_that_is_cut_short(self) -> None:
        self.protocol.dataReceived(b"Michael")
        self.protocol.drain("shutdown")
        self.assertEqual(self.sent(), b"Welcome!Hello, Michael!")
        self.assertTrue(self.transport.half_closed)
        self.assertFalse(self.transport.disconnecting)
        self.protocol.dataReceived(b"Tracy")
        self.assertEqual(self.sent(), b"")
        self.assertEqual(self.close(), "shutdown")

    def test_one_that_ends_already_is_left_alone(self) -> None:
        self.protocol.dataReceived(b"exit")
        self.protocol.drain("idle")
        self.assertFalse(self.transport.half_closed)
        self.assertEqual(self.close(), "exit")

    def test_aborted(self) -> None:
        self.protocol.drain("shutdown")
        self.protocol.abort()
        self.assertTrue(self.transport.disconnected)
        self.assertEqual(self.close(), "aborted")

    def test_in_its_tls_handshake(self) -> None:
        protocol = HelloFactory(self.clock).buildProtocol(PEER)
        transport = HalfCloseTransport()
        alsoProvides(transport, ISSLTransport)
        protocol.makeConnection(transport)
        protocol.drain("idle")
        self.assertTrue(transport.disconnected)
        protocol.connectionLost(Failure(ConnectionAborted()))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class DelayTests(ServerTestCase):
    delay = 1.0

    def test_drained_during_the_wait(self) -> None:
        self.protocol.dataReceived(b"Michael")
        self.protocol.drain("shutdown")
        self.assertEqual(self.sent(), b"Welcome!Hello, Michael!")
        self.assertTrue(self.transport.half_closed)
        self.assertEqual([call.getTime() for call in self.clock.getDelayedCalls()], [LINGER])

    def test_drained_after_the_wait(self) -> None:
        self.protocol.dataReceived(b"Michael")
        self.clock.advance(1)
        self.protocol.drain("shutdown")
        self.assertEqual(self.sent(), b"Welcome!Hello, Michael!")
        self.assertTrue(self.transport.half_closed)

    def test_drained_during_the_wait_before_exit(self) -> None:
        self.protocol.dataReceived(b"exit")
        self.protocol.drain("shutdown")
        self.assertFalse(self.transport.half_closed)
        self.assertTrue(self.transport.disconnecting)

    def test_greets_at_once(self) -> None:
        self.assertEqual(self.sent(), b"Welcome!")

    def test_reads_1024_bytes_at_once(self) -> None:
        self.assertEqual(self.transport.bufferSize, READ_SIZE)

    def test_nothing_is_read_during_the_wait(self) -> None:
        self.sent()
        self.protocol.dataReceived(b"Michael")
        self.assertEqual(self.transport.producerState, "paused")
        self.clock.advance(0.9)
        self.assertEqual(self.sent(), b"")
        self.clock.advance(0.1)
        self.assertEqual(self.sent(), b"Hello, Michael!")
        self.assertEqual(self.transport.producerState, "producing")

    def test_exit_waits_too(self) -> None:
        self.protocol.dataReceived(b"exit")
        self.assertFalse(self.transport.disconnecting)
        self.clock.advance(1)
        self.assertTrue(self.transport.disconnecting)

    def test_what_a_paused_transport_delivers_all_the_same(self) -> None:
        self.sent()
        self.protocol.dataReceived(b"Tracy")
        self.clock.advance(0.5)
        self.protocol.dataReceived(b"Sarah")
        self.clock.advance(0.5)
        self.assertEqual(self.sent(), b"Hello, TracySarah!")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_congestion_during_the_wait(self) -> None:
        self.protocol.dataReceived(b"Michael")
        self.protocol.pauseProducing()
        self.protocol.resumeProducing()
        self.assertEqual(self.transport.producerState, "paused")
        self.clock.advance(1)
        self.assertEqual(self.transport.producerState, "producing")

    def test_the_wait_ends_in_congestion(self) -> None:
        self.protocol.dataReceived(b"Michael")
        self.protocol.pauseProducing()
        self.clock.advance(1)
        self.assertEqual(self.transport.producerState, "paused")
        self.protocol.resumeProducing()
        self.assertEqual(self.transport.producerState, "producing")

    def test_the_peer_is_lost_during_the_wait(self) -> None:
        self.protocol.dataReceived(b"Michael")
        self.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class FactoryTests(SynchronousTestCase):
    def test_builds_a_protocol_for_each_connection(self) -> None:
        factory = HelloFactory(Clock())
        first, second = factory.buildProtocol(PEER), factory.buildProtocol(PEER)
        self.assertIsInstance(first, HelloProtocol)
        self.assertIsNot(first, second)

    def test_knows_what_is_connected(self) -> None:
        factory = HelloFactory(Clock())
        protocol = factory.buildProtocol(PEER)
        self.assertEqual(set(factory.connections), set())
        protocol.makeConnection(StringTransport())
        self.assertEqual(set(factory.connections), {protocol})
        self.assertEqual(protocol.host, "127.0.0.1")
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(set(factory.connections), set())

    def test_a_peer_without_an_ip_address(self) -> None:
        self.assertIsNone(HelloFactory(Clock()).buildProtocol(UNIXAddress(b"/run/hello")).host)
