import socket

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
    ISSLTransport,
)
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.protocols.policies import WrappingFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides
from zope.interface.verify import verifyObject

from hello_service.daemon.protocol import LINGER, ONE_SEGMENT, DaemonFactory, DaemonProtocol
from tests.connections import HalfCloseTransport

PEER = IPv4Address("TCP", "127.0.0.1", 54321)


class Noted(DaemonProtocol):
    """Notes what it is told; says C{hello}, C{bye} at the end of stream, C{rest} if it flushes."""

    def opened(self) -> None:
        self.told: list[bytes] = []
        self.write(b"hello")

    def received(self, data: bytes) -> None:
        self.told.append(data)

    def ended(self) -> None:
        self.write(b"bye")

    def flush(self) -> None:
        self.write(b"rest")


class NotedFactory(DaemonFactory):
    protocol = Noted


class ProtocolTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.factory = NotedFactory(self.clock)
        self.protocol, self.transport = self.connect()

    def connect(self, tls: bool = False) -> tuple[Noted, HalfCloseTransport]:
        protocol = self.factory.buildProtocol(PEER)
        assert isinstance(protocol, Noted)
        transport = HalfCloseTransport()
        if tls:
            alsoProvides(transport, ISSLTransport)
        protocol.makeConnection(transport)
        return protocol, transport

    def lose(self, protocol: DaemonProtocol, error: Exception) -> str:
        """Lose a connection; return the reason that is logged."""
        with capturedLogs() as events:
            protocol.connectionLost(Failure(error))
        (event,) = events
        reason: str = event["reason"]
        return reason


class DaemonProtocolTests(ProtocolTestCase):
    def test_interfaces(self) -> None:
        for interface in (IHalfCloseableProtocol, IHandshakeListener, IPushProducer):
            verifyObject(interface, self.protocol)

    def test_one_that_says_nothing(self) -> None:
        protocol = DaemonFactory(self.clock).buildProtocol(PEER)
        transport = HalfCloseTransport()
        with capturedLogs() as events:
            protocol.makeConnection(transport)
            protocol.dataReceived(b"a")
            protocol.readConnectionLost()
            protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(transport.value(), b"")
        self.assertTrue(transport.disconnecting)
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["Connection from 127.0.0.1:54321.", "Connection from 127.0.0.1:54321 closed."],
        )
        self.assertEqual(events[0]["log_namespace"], "hello_service.daemon.protocol.DaemonProtocol")

    def test_what_it_knows_of_its_connection(self) -> None:
        self.clock.advance(3)
        protocol, _ = self.connect()
        protocol.dataReceived(b"four")
        self.assertEqual((protocol.host, protocol.started), ("127.0.0.1", 3.0))
        self.assertEqual((protocol.bytes_in, protocol.bytes_out), (4, 5))
        self.assertEqual((protocol.peer, protocol.via), ("127.0.0.1:54321", None))
        self.assertIsNone(self.factory.buildProtocol(UNIXAddress(b"/run/x")).host)

    def test_knows_its_factory(self) -> None:
        self.assertIs(self.protocol.factory, self.factory)

    def test_is_known_while_it_is_connected(self) -> None:
        self.assertEqual(set(self.factory.connections), {self.protocol})
        self.lose(self.protocol, ConnectionDone())
        self.assertEqual(set(self.factory.connections), set())

    def test_the_log(self) -> None:
        self.protocol.dataReceived(b"a")
        self.clock.advance(1.5)
        with capturedLogs() as events:
            self.protocol.connectionLost(Failure(ConnectionLost()))
        (event,) = events
        account = {
            "event": "closed",
            "peer": "127.0.0.1:54321",
            "local": "10.0.0.1:12345",
            "started": 0.0,
            "duration": 1.5,
            "bytes_in": 1,
            "bytes_out": 5,
            "reason": "lost",
            "log_namespace": f"{__name__}.Noted",
        }
        self.assertEqual({name: event[name] for name in account}, account)

    def test_reasons(self) -> None:
        protocols = [self.connect()[0] for _ in range(4)]
        protocols[1].close("a-word")
        protocols[2].readConnectionLost()
        protocols[3].abort()
        self.assertEqual(
            [self.lose(protocol, ConnectionDone()) for protocol in protocols],
            ["end", "a-word", "end", "aborted"],
        )
        self.assertEqual(self.lose(self.protocol, ConnectionLost()), "lost")

    def test_the_end_of_stream_is_answered(self) -> None:
        self.protocol.readConnectionLost()
        self.assertEqual(self.transport.value(), b"hellobye")
        self.assertIsNone(self.transport.producer)
        self.assertTrue(self.transport.disconnecting)

    def test_over_tls_it_begins_after_the_handshake(self) -> None:
        protocol, transport = self.connect(tls=True)
        self.assertEqual(transport.value(), b"")
        self.assertIsNone(transport.producer)
        protocol.handshakeCompleted()
        self.assertEqual(transport.value(), b"hello")
        self.assertIs(transport.producer, protocol)


class PacingTests(ProtocolTestCase):
    def assert_reads(self, reads: bool) -> None:
        self.assertEqual(self.transport.producerState, "producing" if reads else "paused")

    def test_a_peer_that_does_not_read_is_not_read_from(self) -> None:
        self.assertIs(self.transport.producer, self.protocol)
        self.protocol.pauseProducing()
        self.assert_reads(False)
        self.protocol.resumeProducing()
        self.assert_reads(True)
        self.protocol.stopProducing()

    def test_held_while_an_answer_is_under_way(self) -> None:
        self.protocol.hold()
        self.assertTrue(self.protocol.answering)
        self.assertEqual(self.protocol.state, "answering")
        self.assert_reads(False)
        self.protocol.release()
        self.assertFalse(self.protocol.answering)
        self.assert_reads(True)

    def test_held_and_congested(self) -> None:
        for last, other in (
            (self.protocol.release, self.protocol.resumeProducing),
            (self.protocol.resumeProducing, self.protocol.release),
        ):
            self.protocol.hold()
            self.protocol.pauseProducing()
            other()
            self.assert_reads(False)
            last()
            self.assert_reads(True)


class CloseTests(ProtocolTestCase):
    """To close while the peer still sends would reset the connection, and its last answer."""

    def test_half_closes_and_throws_away(self) -> None:
        self.protocol.close("done")
        self.assertTrue(self.transport.half_closed)
        self.assertFalse(self.transport.disconnecting)
        self.assertEqual(self.transport.producerState, "producing")
        self.assertIsNone(self.transport.producer)
        self.protocol.dataReceived(b"x")
        self.assertEqual((self.protocol.told, self.protocol.bytes_in), ([], 1))

    def test_closes_at_once_after_the_peer(self) -> None:
        self.protocol.close("done")
        self.protocol.readConnectionLost()
        self.assertEqual(self.transport.value(), b"hello")
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.lose(self.protocol, ConnectionDone()), "done")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_first_reason_counts(self) -> None:
        self.protocol.close("one")
        self.protocol.close("other")
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.assertEqual(self.lose(self.protocol, ConnectionDone()), "one")

    def test_ends_the_hold(self) -> None:
        self.protocol.hold()
        self.protocol.close()
        self.assertFalse(self.protocol.answering)
        self.assertEqual(self.transport.producerState, "producing")

    def test_a_congested_peer_is_read_from_once_it_has_all(self) -> None:
        self.protocol.pauseProducing()
        self.protocol.close()
        self.assertEqual(self.transport.producerState, "paused")
        self.protocol.writeConnectionLost()
        self.assertEqual(self.transport.producerState, "producing")

    def test_a_transport_that_tells_nothing_of_its_half_close(self) -> None:
        for congested in (False, True):
            protocol, transport = self.connect()
            if congested:
                protocol.pauseProducing()
            protocol.close()
            self.clock.advance(LINGER - 0.1)
            self.assertFalse(transport.disconnecting)
            self.clock.advance(0.1)
            self.assertTrue(transport.disconnecting)

    def test_pipes_are_closed_at_once(self) -> None:
        transport = StringTransport()
        self.factory.buildProtocol(PEER).makeConnection(transport)
        for protocol in set(self.factory.connections) - {self.protocol}:
            protocol.close()
        self.assertTrue(transport.disconnecting)

    def test_gives_the_peer_some_time_once_it_has_all(self) -> None:
        one, other = (self.enterContext(end) for end in socket.socketpair())
        self.transport.fileno = one.fileno  # type: ignore[method-assign]
        one.send(b"on its way")
        self.protocol.close()
        self.clock.pump([LINGER] * 5)
        self.assertFalse(self.transport.disconnecting)
        other.recv(99)
        self.clock.advance(LINGER)
        self.clock.advance(LINGER - 0.1)
        self.assertFalse(self.transport.disconnecting)
        self.clock.advance(0.1)
        self.assertTrue(self.transport.disconnecting)

    def test_over_tls(self) -> None:
        protocol, transport = self.connect(tls=True)
        protocol.handshakeCompleted()
        protocol.pauseProducing()
        protocol.close("done", peer_is_done=True)
        self.assertFalse(transport.half_closed)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(transport.producerState, "producing")
        self.clock.advance(LINGER - 0.1)
        self.assertFalse(transport.disconnected)
        self.clock.advance(0.1)
        self.assertTrue(transport.disconnected)
        self.assertEqual(self.lose(protocol, ConnectionAborted()), "done")


class PeerIsDoneTests(ProtocolTestCase):
    def waits(self) -> bool:
        """Close after the peer's last word; return whether it waits for the peer's close."""
        self.protocol.close("done", peer_is_done=True)
        self.assertNotEqual(self.transport.half_closed, self.transport.disconnecting)
        self.assertIsNone(self.transport.producer)
        self.assertEqual(len(self.clock.getDelayedCalls()), self.transport.half_closed)
        return self.transport.half_closed

    def test_as_much_as_any_peer_takes_at_once(self) -> None:
        self.protocol.write(bytes(ONE_SEGMENT - 5))
        self.assertFalse(self.waits())

    def test_more_may_be_under_way(self) -> None:
        self.protocol.write(bytes(ONE_SEGMENT - 4))
        self.assertTrue(self.waits())


class DrainTests(ProtocolTestCase):
    def test_flushes_and_closes(self) -> None:
        self.protocol.drain("shutdown")
        self.assertEqual(self.transport.value(), b"hellorest")
        self.assertTrue(self.transport.half_closed)
        self.assertEqual(self.lose(self.protocol, ConnectionDone()), "shutdown")

    def test_one_that_ends_already_is_left_alone(self) -> None:
        self.protocol.close()
        self.protocol.drain("shutdown")
        self.assertEqual(self.transport.value(), b"hello")
        self.assertEqual(self.lose(self.protocol, ConnectionDone()), "end")
        protocol, transport = self.connect()
        protocol.readConnectionLost()
        protocol.drain("shutdown")
        self.assertEqual(transport.value(), b"hellobye")
        self.assertFalse(transport.half_closed)
        self.assertEqual(self.lose(protocol, ConnectionDone()), "end")

    def test_one_that_has_said_nothing_is_drained_all_the_same(self) -> None:
        protocol = DaemonFactory(self.clock).buildProtocol(PEER)
        transport = HalfCloseTransport()
        protocol.makeConnection(transport)
        protocol.drain("shutdown")
        self.assertTrue(transport.half_closed)

    def test_aborted(self) -> None:
        self.protocol.drain("shutdown")
        self.protocol.abort()
        self.assertTrue(self.transport.disconnected)
        self.assertEqual(self.lose(self.protocol, ConnectionAborted()), "aborted")

    def test_what_comes_after_an_abort(self) -> None:
        self.protocol.abort()
        self.protocol.dataReceived(b"x")
        self.assertEqual(self.protocol.told, [])

    def test_in_its_tls_handshake(self) -> None:
        protocol, transport = self.connect(tls=True)
        self.assertIn(protocol, self.factory.connections)
        protocol.drain("idle")
        self.assertTrue(transport.disconnected)
        with capturedLogs() as events:
            protocol.connectionLost(Failure(ConnectionAborted()))
        self.assertEqual(events, [])
        self.assertNotIn(protocol, self.factory.connections)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class WrappedTests(ProtocolTestCase):
    """Wrapped by a protocol of Twisted's, which passes on no C{writeConnectionLost}."""

    def test_ends_by_itself(self) -> None:
        transport = HalfCloseTransport()
        wrapper = WrappingFactory(self.factory).buildProtocol(PEER)
        assert isinstance(wrapper, Protocol)
        wrapper.makeConnection(transport)
        self.assertFalse(IHalfCloseableProtocol.providedBy(wrapper))
        (protocol,) = set(self.factory.connections) - {self.protocol}
        protocol.close("done")
        self.assertTrue(transport.half_closed)
        self.clock.advance(LINGER)
        self.assertTrue(transport.disconnecting)
