"""What a connection of the uvloop reactor does for its protocol."""

import select
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import twisted.test
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableDescriptor,
    ILoggingContext,
    IPushProducer,
    ISSLTransport,
    ISystemHandle,
    ITCPTransport,
    ITLSTransport,
)
from twisted.internet.protocol import (
    ClientFactory,
    Factory,
    connectionDone,
)
from twisted.internet.ssl import CertificateOptions, PrivateCertificate
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from hello_service.uvloop_reactor.reactor import UvloopReactor
from tests.processes import PATIENCE
from tests.uvloop_reactor.conversing import MUCH, HalfPeer, Peer, Producer, ReactorTestCase


class ConnectionTests(ReactorTestCase):
    def test_interfaces(self) -> None:
        def made(server: Peer, reactor: UvloopReactor) -> None:
            for interface in (
                ITCPTransport,
                ITLSTransport,
                IHalfCloseableDescriptor,
                IConsumer,
                IPushProducer,
                ISystemHandle,
                ILoggingContext,
            ):
                verifyObject(interface, server.transport)
            server.transport.loseConnection()

        self.converse(made)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_addresses_and_names(self) -> None:
        seen: list[Any] = []

        def made(server: Peer, reactor: UvloopReactor) -> None:
            seen.extend([server.transport.getHost(), server.transport.getPeer()])
            seen.extend([repr(server.transport), server.transport.logPrefix()])
            server.transport.loseConnection()

        for interface, kind in (("127.0.0.1", IPv4Address), ("::1", IPv6Address)):
            with self.subTest(interface):
                self.setUp()
                seen.clear()
                self.converse(made, interface=interface)
                host, peer, text, prefix = seen
                self.assertIsInstance(host, kind)
                self.assertIsInstance(peer, kind)
                self.assertEqual((host.host, peer.host), (interface, interface))
                self.assertEqual(text, f"<Peer #0 on {host.port}>")
                self.assertEqual(prefix, f"Peer,0,{interface}")

    def test_options_of_the_socket(self) -> None:
        def made(server: Peer, reactor: UvloopReactor) -> None:
            transport = server.transport
            self.assertTrue(transport.getTcpNoDelay())
            transport.setTcpNoDelay(False)
            self.assertFalse(transport.getTcpNoDelay())
            self.assertFalse(transport.getTcpKeepAlive())
            transport.setTcpKeepAlive(True)
            self.assertTrue(transport.getTcpKeepAlive())
            self.assertEqual(transport.getHandle().fileno(), transport.fileno())
            transport.socket.close()

        server, _ = self.converse(made)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertIsInstance(server.reason.value, ConnectionDone)

    def test_a_protocol_may_be_replaced(self) -> None:
        def made(server: Peer, reactor: UvloopReactor) -> None:
            second = self.second = Peer(self.ended)
            second.makeConnection(server.transport)
            server.transport.protocol = second

        server, _ = self.converse(
            made, lambda client: (client.transport.write(b"hi"), client.transport.loseConnection())
        )
        self.assertEqual((server.received, self.second.received), (b"", b"hi"))
        assert self.second.reason is not None
        self.assertIsInstance(self.second.reason.value, ConnectionDone)

    def test_reads_may_be_short(self) -> None:
        reads: list[int] = []

        def made(server: Peer, reactor: UvloopReactor) -> None:
            self.assertEqual(server.transport.bufferSize, 65536)
            server.transport.bufferSize = 10
            self.assertEqual(server.transport.bufferSize, 10)
            server.dataReceived = lambda data: reads.append(len(data))  # type: ignore[method-assign]

        self.converse(
            made,
            lambda client: (client.transport.write(b"x" * 95), client.transport.loseConnection()),
        )
        self.assertEqual((sum(reads), max(reads)), (95, 10))

    def test_what_is_written_after_the_end_is_discarded(self) -> None:
        def made(server: Peer, reactor: UvloopReactor) -> None:
            server.transport.loseConnection()
            server.transport.loseConnection()
            reactor.callLater(0.01, after)

        def after() -> None:
            transport = self.server.transport
            transport.write(b"late")
            transport.writeSequence([b"la", b"te"])
            transport.loseConnection()
            transport.abortConnection()
            transport.loseWriteConnection()
            transport.pauseProducing()
            transport.resumeProducing()
            transport.unregisterProducer()
            producer = Producer(transport, 0)
            transport.registerProducer(producer, True)
            self.assertEqual(producer.calls, ["stop"])
            self.ended()

        self.running = 3
        _, client = self.converse(made)
        self.assertEqual(client.received, b"")

    def test_only_bytes_are_sent(self) -> None:
        def made(server: Peer, reactor: UvloopReactor) -> None:
            with self.assertRaises(TypeError):
                server.transport.write("text")
            with self.assertRaises(TypeError):
                server.transport.writeSequence(["text"])
            server.transport.writeSequence([b"a", b"b"])
            server.transport.stopProducing()

        _, client = self.converse(made)
        self.assertEqual(client.received, b"ab")
        self.assertEqual(self.flushLoggedErrors(), [])


class EndingTests(ReactorTestCase):
    client_class = HalfPeer

    def test_queued_bytes_are_sent_before_the_close(self) -> None:
        _, client = self.converse(
            lambda server, _: (server.transport.write(MUCH), server.transport.loseConnection()),
            lambda client: setattr(client, "readConnectionLost", client.transport.loseConnection),
        )
        self.assertEqual(client.received, MUCH)

    def test_abort(self) -> None:
        def made(server: Peer, reactor: UvloopReactor) -> None:
            server.dataReceived = abort  # type: ignore[method-assign]

        def abort(data: bytes) -> None:
            self.server.transport.write(MUCH)
            self.server.transport.abortConnection()
            self.server.transport.abortConnection()

        server, client = self.converse(made, lambda client: client.transport.write(b"hi"))
        self.assertIsInstance(server.reason.value, ConnectionAborted)
        self.assertIsInstance(client.reason.value, ConnectionLost)

    def test_the_peer_aborts(self) -> None:
        server, _ = self.converse(
            lambda server, _: server.transport.write(b"hi"),
            lambda client: setattr(
                client, "dataReceived", lambda _: client.transport.abortConnection()
            ),
        )
        self.assertIsInstance(server.reason.value, ConnectionLost)

    def test_shutdown_tells_what_is_open(self) -> None:
        server, _ = self.converse(lambda _, reactor: reactor.callLater(0, reactor.stop))
        self.assertIsInstance(server.reason.value, ConnectionLost)
        self.assertEqual(self.reactor.removeAll(), [])

    def test_gone_before_it_is_accepted(self) -> None:
        factory = Factory()
        server = self.server_class(self.ended)
        factory.buildProtocol = lambda addr: server  # type: ignore[method-assign]
        port = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
        client = socket.create_connection(("127.0.0.1", port.getHost().port))  # type: ignore[attr-defined]
        host, number = client.getsockname()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        self.running = 1
        self.run_reactor()
        assert server.reason is not None
        self.assertIsInstance(server.reason.value, ConnectionLost)
        self.assertEqual(server.transport.getPeer(), IPv4Address("TCP", host, number))
        self.assertEqual(self.flushLoggedErrors(), [])


class HalfCloseTests(ReactorTestCase):
    server_class = client_class = HalfPeer

    def test_each_half(self) -> None:
        def made(server: HalfPeer, reactor: UvloopReactor) -> None:
            server.readConnectionLost = read_lost  # type: ignore[method-assign]
            server.writeConnectionLost = write_lost  # type: ignore[method-assign]

        def write_lost() -> None:
            self.server.transport.write(b"too late")
            self.server.transport.loseConnection()

        def read_lost() -> None:
            self.server.transport.write(MUCH)
            self.server.transport.resumeProducing()
            self.server.transport.loseWriteConnection()
            self.server.transport.loseWriteConnection()
            self.server.transport.write(b"!")
            self.server.transport.loseWriteConnection()
            self.server.transport.write(b"?")

        def client_made(client: HalfPeer) -> None:
            client.readConnectionLost = client.transport.loseConnection  # type: ignore[method-assign]
            client.transport.write(b"hi")
            client.transport.loseWriteConnection()

        server, client = self.converse(made, client_made)
        self.assertEqual((server.received, client.received), (b"hi", MUCH + b"!?"))
        self.assertEqual(client.halves, ("write",))

    def test_a_producer_after_the_end_of_stream(self) -> None:
        told: list[Any] = []

        def made(server: HalfPeer, reactor: UvloopReactor) -> None:
            server.transport.loseWriteConnection()
            server.writeConnectionLost = ended  # type: ignore[method-assign]

        def ended() -> None:
            told.append(self.server)
            transport = self.server.transport
            self.producer = Producer(transport, 1, b"late")
            transport.registerProducer(self.producer, False)
            transport.write(b"late")
            transport.unregisterProducer()
            transport.write(b"late")

        _, client = self.converse(
            made,
            lambda client: setattr(client, "readConnectionLost", client.transport.abortConnection),
        )
        self.assertEqual((self.producer.calls, client.received), (["resume"], b""))
        self.assertEqual(told, [self.server])

    def test_nothing_queued(self) -> None:
        server, client = self.converse(
            lambda server, _: server.transport.loseWriteConnection(),
            lambda client: setattr(client, "readConnectionLost", client.transport.abortConnection),
        )
        self.assertEqual(server.halves, ("write",))
        self.assertIsInstance(client.reason.value, ConnectionAborted)

    def test_lost_meanwhile(self) -> None:
        def made(server: HalfPeer, reactor: UvloopReactor) -> None:
            server.dataReceived = abort  # type: ignore[method-assign]

        def abort(data: bytes) -> None:
            self.server.transport.loseWriteConnection()
            self.server.transport.connectionLost(connectionDone)

        def client_made(client: HalfPeer) -> None:
            client.readConnectionLost = client.transport.loseConnection  # type: ignore[method-assign]
            client.transport.write(b"hi")

        server, _ = self.converse(made, client_made)
        self.assertEqual(server.halves, ())


class OneHalfTests(ReactorTestCase):
    def test_a_protocol_that_knows_no_halves(self) -> None:
        server, client = self.converse(lambda server, _: server.transport.loseWriteConnection())
        self.assertIsInstance(server.reason.value, ConnectionDone)
        self.assertIsInstance(client.reason.value, ConnectionDone)


class PausedReadTests(ReactorTestCase):
    server_class = HalfPeer

    def paused(self, client_made: Callable[[Any], object], sized: bool = False) -> Any:
        """Pause the server from the start, resume it later, and see nothing come in between."""

        def made(server: HalfPeer, reactor: UvloopReactor) -> None:
            server.transport.pauseProducing()
            self.assertNotIn(server.transport, reactor.getReaders())
            server.readConnectionLost = server.transport.loseConnection  # type: ignore[method-assign]
            reactor.callLater(0.1, resume)

        def resume() -> None:
            transport = self.server.transport
            self.assertEqual(self.server.received, b"")
            if sized:
                transport.bufferSize = 10
            transport.resumeProducing()
            transport.resumeProducing()
            self.assertIn(transport, self.reactor.getReaders())

        return self.converse(made, client_made)[0]

    def test_bytes_and_end_wait(self) -> None:
        server = self.paused(
            lambda client: (client.transport.write(b"hi"), client.transport.loseConnection())
        )
        self.assertEqual(server.received, b"hi")

    def test_end_waits(self) -> None:
        server = self.paused(lambda client: client.transport.loseConnection())
        self.assertEqual(server.received, b"")

    def test_more_follows(self) -> None:
        def more(client: Peer) -> None:
            client.transport.write(b"hi")
            self.reactor.callLater(0.2, client.transport.write, b"x" * 95)
            self.reactor.callLater(0.2, client.transport.loseConnection)

        server = self.paused(more, sized=True)
        self.assertEqual(server.received, b"hi" + b"x" * 95)

    def test_paused_again_by_what_came(self) -> None:
        def pause(data: bytes) -> None:
            self.server.received += data
            del self.server.dataReceived
            self.server.transport.pauseProducing()
            self.client.transport.write(b" there")
            self.client.transport.loseConnection()
            self.reactor.callLater(0.1, read_on)

        def read_on() -> None:
            self.server.received += b", then"
            self.server.transport.resumeProducing()

        def made(client: Peer) -> None:
            self.server.dataReceived = pause  # type: ignore[method-assign]
            client.transport.write(b"hi")

        self.assertEqual(self.paused(made).received, b"hi, then there")

    def test_resumed_in_the_poll_in_which_bytes_come(self) -> None:
        """Two descriptors are ready when the loop looks, that which resumes before the other."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        self.reactor.loop.add_reader(ours, lambda: resume())

        def made(server: HalfPeer, reactor: UvloopReactor) -> None:
            server.transport.pauseProducing()
            server.readConnectionLost = server.transport.loseConnection  # type: ignore[method-assign]
            reactor.loop.call_soon(make_both_ready)

        def make_both_ready() -> None:
            theirs.send(b"resume")
            peer.sendall(b"hi")
            peer.shutdown(socket.SHUT_WR)
            for descriptor in (ours.fileno(), self.server.transport.fileno()):
                self.assertTrue(select.select([descriptor], [], [], PATIENCE)[0])

        def resume() -> None:
            self.reactor.loop.remove_reader(ours)
            self.assertEqual(self.server.received, b"")
            self.server.transport.resumeProducing()

        self.server = server = HalfPeer(self.ended)
        server.connectionMade = lambda: made(server, self.reactor)  # type: ignore[method-assign]
        factory = Factory()
        factory.buildProtocol = lambda addr: server  # type: ignore[method-assign]
        port = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
        peer = socket.create_connection(("127.0.0.1", port.getHost().port))  # type: ignore[attr-defined]
        self.addCleanup(peer.close)
        self.running = 1
        self.run_reactor()
        self.assertEqual(server.received, b"hi")

    def test_aborted_while_paused(self) -> None:
        def made(server: HalfPeer, reactor: UvloopReactor) -> None:
            server.transport.pauseProducing()
            reactor.callLater(0.1, abort)

        def abort() -> None:
            self.server.transport.resumeProducing()
            self.server.transport.abortConnection()

        server, _ = self.converse(made, lambda client: client.transport.write(b"hi"))
        self.assertEqual(server.received, b"")


class ProducerTests(ReactorTestCase):
    def produce(self, streaming: bool, finish: str, pieces: int = 2) -> Any:
        """Have a producer produce, having asked for the end at once."""

        def made(server: Peer, reactor: UvloopReactor) -> None:
            transport = server.transport
            self.producer = Producer(transport, pieces)
            transport.registerProducer(self.producer, streaming)
            with self.assertRaises(RuntimeError):
                transport.registerProducer(self.producer, streaming)
            if streaming:
                transport.write(MUCH)
            getattr(transport, finish)()

        def client_made(client: Peer) -> None:
            client.transport.bufferSize = 2**20

        return self.converse(made, client_made)[1]

    def test_close_waits_for_a_paused_producer(self) -> None:
        client = self.produce(streaming=True, finish="loseConnection")
        self.assertEqual(len(client.received), 3 * len(MUCH))
        self.assertEqual(self.producer.calls[:3], ["pause", "resume", "pause"])

    def test_half_close_waits_for_a_paused_producer(self) -> None:
        client = self.produce(streaming=True, finish="loseWriteConnection")
        self.assertEqual(len(client.received), 3 * len(MUCH))

    def test_close_waits_for_a_pull_producer(self) -> None:
        client = self.produce(streaming=False, finish="loseConnection", pieces=3)
        self.assertEqual(len(client.received), 3 * len(MUCH))
        self.assertEqual(self.producer.calls, ["resume"] * 4)

    def test_half_close_waits_for_a_pull_producer(self) -> None:
        client = self.produce(streaming=False, finish="loseWriteConnection", pieces=3)
        self.assertEqual(len(client.received), 3 * len(MUCH))

    def test_a_pull_producer_of_small_pieces(self) -> None:
        for finish in ("loseConnection", "loseWriteConnection"):
            with self.subTest(finish):
                self.setUp()

                def made(server: Peer, reactor: UvloopReactor, finish: str = finish) -> None:
                    producer = Producer(server.transport, 1000, b"xy")
                    server.transport.registerProducer(producer, False)
                    getattr(server.transport, finish)()

                _, client = self.converse(made)
                self.assertEqual(client.received, b"xy" * 1000)

    def test_a_pull_producer_that_writes_twice_is_asked_once(self) -> None:
        class Twice(Producer):
            def resumeProducing(self) -> None:
                self.transport.reactor.loop.call_soon(self.calls.append, "turn")
                if self.pieces:
                    self.transport.write(b"-")
                super().resumeProducing()

        def made(server: Peer, reactor: UvloopReactor) -> None:
            self.producer = Twice(server.transport, 3, b"+")
            server.transport.registerProducer(self.producer, False)
            server.transport.loseConnection()

        _, client = self.converse(made)
        self.assertEqual(client.received, b"-+" * 3)
        self.assertEqual(self.producer.calls, ["resume", "turn"] * 4)

    def test_registered_when_much_is_queued(self) -> None:
        def made(server: Peer, reactor: UvloopReactor) -> None:
            server.transport.write(MUCH)
            self.producer = Producer(server.transport, 0)
            server.transport.registerProducer(self.producer, True)
            server.transport.loseConnection()

        self.converse(made)
        self.assertEqual(self.producer.calls, ["pause", "resume"])

    def test_stopped_with_the_connection(self) -> None:
        def made(server: Peer, reactor: UvloopReactor) -> None:
            self.producer = Producer(server.transport, 0)
            server.transport.registerProducer(self.producer, True)
            server.transport.abortConnection()

        self.converse(made)
        self.assertEqual(self.producer.calls, ["stop"])

    def test_pull_producer_gone_before_it_is_asked_again(self) -> None:
        def made(server: Peer, reactor: UvloopReactor) -> None:
            server.transport.registerProducer(Producer(server.transport, 1, b"xy"), False)
            server.transport.unregisterProducer()
            server.transport.loseConnection()

        _, client = self.converse(made)
        self.assertEqual(client.received, b"xy")


class ErrorTests(ReactorTestCase):
    """A protocol's error is logged, and is the reason why the connection is lost."""

    server_class = HalfPeer

    def failing(self, name: str, client_made: Callable[[Any], object]) -> None:
        def made(server: HalfPeer, reactor: UvloopReactor) -> None:
            setattr(server, name, lambda *_: 1 / 0)
            if name == "connectionMade":
                raise ZeroDivisionError
            if name == "writeConnectionLost":
                server.transport.loseWriteConnection()
            if name in ("pauseProducing", "resumeProducing"):
                producer = Producer(server.transport, 0)
                setattr(producer, name, lambda: 1 / 0)
                server.transport.registerProducer(producer, True)
                server.transport.write(MUCH)

        server, _ = self.converse(made, client_made)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIsInstance(server.reason.value, ZeroDivisionError)

    def test_each_method(self) -> None:
        for name in (
            "connectionMade",
            "dataReceived",
            "writeConnectionLost",
            "pauseProducing",
            "resumeProducing",
        ):
            with self.subTest(name):
                self.setUp()
                self.failing(name, lambda client: client.transport.write(b"hi"))

    def test_read_connection_lost(self) -> None:
        self.failing("readConnectionLost", lambda client: client.transport.loseWriteConnection())

    def test_build_protocol(self) -> None:
        for built in (lambda addr: None, lambda addr: 1 / 0):
            with self.subTest(built):
                self.setUp()
                self.running = 1
                factory, client_factory = Factory(), ClientFactory()
                factory.buildProtocol = built  # type: ignore[assignment, method-assign]
                client = Peer(self.ended)
                client_factory.buildProtocol = lambda addr, client=client: client  # type: ignore[method-assign, misc]
                port = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
                self.reactor.connectTCP("127.0.0.1", port.getHost().port, client_factory)  # type: ignore[attr-defined]
                self.run_reactor()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_of_the_loop(self) -> None:
        loop = self.reactor.loop
        loop.call_soon(lambda: 1 / 0)
        loop.call_soon(loop.call_exception_handler, {"message": "odd"})
        self.reactor.callLater(0, self.reactor.stop)
        self.run_reactor()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class LossErrorTests(ReactorTestCase):
    """An error of what is told that the connection is lost is logged once, and ends there."""

    def test_in_connection_lost(self) -> None:
        def lost(reason: Failure = connectionDone) -> None:
            self.ended()
            raise OSError

        def on_server(method: str) -> Any:
            return lambda server, _: getattr(server.transport, method)()

        def on_client(method: str) -> Any:
            return lambda client: getattr(client.transport, method)()

        for made, client_made in (
            (on_server("loseConnection"), lambda client: None),
            (on_server("abortConnection"), lambda client: None),
            (lambda *_: None, on_client("loseConnection")),
            (lambda *_: None, on_client("abortConnection")),
        ):
            with self.subTest(made):
                self.setUp()

                def failing(server: Peer, reactor: UvloopReactor, made: Any = made) -> None:
                    server.connectionLost = lost  # type: ignore[method-assign]
                    made(server, reactor)

                self.converse(failing, client_made)
                self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
                self.assertNotIn(self.server.transport, self.reactor.served)

    def test_a_producer_that_fails_to_stop(self) -> None:
        def made(server: Peer, reactor: UvloopReactor) -> None:
            producer = Producer(server.transport, 0)
            producer.stopProducing = lambda: 1 / 0  # type: ignore[method-assign, assignment]
            server.transport.registerProducer(producer, True)
            server.transport.abortConnection()

        server, _ = self.converse(made)
        self.assertIsInstance(server.reason.value, ConnectionAborted)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class TLSTests(ReactorTestCase):
    def setUp(self) -> None:
        super().setUp()
        certificate = Path(twisted.test.__path__[0], "server.pem")
        self.options = PrivateCertificate.loadPEM(certificate.read_bytes()).options()

    def start(self, with_producer: bool) -> Any:
        def made(server: Peer, reactor: UvloopReactor) -> None:
            transport = server.transport
            if with_producer:
                transport.registerProducer(Producer(transport, 0), True)
            transport.startTLS(self.options)
            self.assertTrue(ISSLTransport.providedBy(transport))
            transport.write(b"se")
            transport.writeSequence([b"cr", b"et"])
            if with_producer:
                transport.unregisterProducer()

        def client_made(client: Peer) -> None:
            client.transport.startTLS(CertificateOptions())
            client.transport.write(b"hi")
            client.dataReceived = received  # type: ignore[method-assign]

        def received(data: bytes) -> None:
            client = self.client
            client.received += data
            if len(client.received) == len(b"secret"):
                client.transport.loseConnection()

        return self.converse(made, client_made)

    def test_start_tls(self) -> None:
        for with_producer in (False, True):
            with self.subTest(with_producer):
                self.running = 2
                if with_producer:
                    self.setUp()
                server, client = self.start(with_producer)
                self.assertEqual((server.received, client.received), (b"hi", b"secret"))
                server.transport.write(b"late")
                server.transport.loseConnection()
