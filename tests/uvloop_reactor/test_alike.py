"""One protocol on Twisted's epoll reactor and on ours: both tell it, and do for it, the same."""

import re
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import twisted.internet.reactor
import twisted.test
from twisted.internet.interfaces import (
    IConsumer,
    IFileDescriptor,
    IHalfCloseableDescriptor,
    ILoggingContext,
    IPushProducer,
    ISSLTransport,
    ISystemHandle,
    ITCPTransport,
    ITLSTransport,
    ITransport,
)
from twisted.internet.ssl import CertificateOptions, PrivateCertificate
from twisted.python.failure import Failure

from tests.uvloop_reactor.conversing import MUCH, HalfPeer, Producer, ReactorTestCase

INTERFACES = (
    ITransport,
    ITCPTransport,
    ITLSTransport,
    IConsumer,
    IPushProducer,
    IFileDescriptor,
    IHalfCloseableDescriptor,
    ISystemHandle,
    ILoggingContext,
)


def facts(transport: Any) -> list[object]:
    """Return what a transport says of itself, but for the numbers of port and descriptor."""
    return [
        repr([transport.connected, transport.disconnected, transport.disconnecting]),
        [transport.producer, transport.streamingProducer, transport.TLS, transport.sessionno],
        [interface.providedBy(transport) for interface in INTERFACES],
        [hasattr(transport, name) for name in ("protocol", "socket")],
        [transport.logPrefix(), transport.logstr, re.sub(r"\d+>", "PORT>", repr(transport))],
        [type(transport.getPeer()), transport.fileno() == -1],
        [type(transport.client), transport.client[0], transport.hostname],
    ]


def close_at_end(client: Any) -> None:
    """Have a client close when the server has sent all that it will send."""
    client.readConnectionLost = client.transport.loseConnection


class AlikeTests(ReactorTestCase):
    server_class = client_class = HalfPeer

    def alike(
        self,
        made: Callable[[Any], object],
        client_made: Callable[[Any], object] = lambda client: None,
    ) -> list[object]:
        """See that both reactors lead to the same notes, reasons, bytes and logged errors."""
        outcomes = []
        for make in (self.epoll_reactor, self.uvloop_reactor):
            self.reactor, self.running = make(), 2
            self.notes: list[object] = []
            for peer in self.converse(lambda server, _: made(server), client_made):
                self.notes += [type(peer.reason.value), bytes(peer.received), peer.halves]
            self.notes += [error.type for error in self.flushLoggedErrors()]
            outcomes.append(self.notes)
        self.assertEqual(*outcomes)
        return self.notes

    def note_when_lost(self, server: Any, *do: Callable[[Any], object]) -> None:
        """Note what the transport says in connectionLost and later, and what doing things does."""
        lost = server.connectionLost

        def note(reason: Failure) -> None:
            self.notes.append(facts(server.transport))
            self.running += 1
            self.reactor.callLater(0.01, later)
            lost(reason)

        def later() -> None:
            for one in do:
                one(server.transport)
            self.notes.append(facts(server.transport))
            self.ended()

        server.connectionLost = note

    def test_what_a_transport_says(self) -> None:
        def made(server: Any) -> None:
            self.notes.append(facts(server.transport))
            self.note_when_lost(server)
            server.transport.loseConnection()
            self.notes.append(facts(server.transport))

        self.alike(
            made,
            close_at_end,
        )

    def test_a_log_prefix_of_its_own(self) -> None:
        self.patch(HalfPeer, "logPrefix", lambda peer: "a peer")

        def made(server: Any) -> None:
            self.note_when_lost(server)
            server.transport.abortConnection()

        self.assertIn("a peer,0,127.0.0.1", repr(self.alike(made)))

    def test_what_is_done_after_the_loss(self) -> None:
        producer = Producer(None, 0)

        def made(server: Any) -> None:
            producer.calls.clear()
            self.note_when_lost(
                server,
                lambda transport: transport.write(b"late"),
                lambda transport: transport.writeSequence([b"la", b"te"]),
                lambda transport: transport.loseConnection(),
                lambda transport: transport.abortConnection(),
                lambda transport: transport.pauseProducing(),
                lambda transport: transport.resumeProducing(),
                lambda transport: transport.stopProducing(),
                lambda transport: transport.registerProducer(producer, True),
                lambda transport: transport.unregisterProducer(),
                lambda transport: transport.connectionLost(Failure(ZeroDivisionError())),
                lambda transport: self.notes.append(list(producer.calls)),
                lambda transport: self.assertRaises(AttributeError, transport.getHandle),
                lambda transport: self.assertRaises(AttributeError, transport.getTcpNoDelay),
            )
            server.transport.abortConnection()

        self.alike(made)

    def test_only_bytes_are_written(self) -> None:
        def made(server: Any) -> None:
            transport = server.transport
            self.assertRaises(TypeError, transport.write, "text")
            self.assertRaises(TypeError, transport.writeSequence, ["text"])
            transport.write(b"")
            transport.writeSequence([])
            transport.writeSequence([b"a", b"", b"b"])
            transport.loseConnection()

        self.alike(made, close_at_end)

    def test_all_that_is_written_before_the_end_is_sent(self) -> None:
        def made(server: Any) -> None:
            transport = server.transport
            server.writeConnectionLost = transport.loseConnection
            for piece in (b"hi", b" there", MUCH):
                transport.write(piece)
                transport.loseWriteConnection()
            transport.write(b"!")

        self.alike(made, close_at_end)

    def test_each_half_ends(self) -> None:
        def made(server: Any) -> None:
            server.readConnectionLost = lambda: read_lost(server)

        def read_lost(server: Any) -> None:
            self.notes.append("read")
            server.transport.loseWriteConnection()
            server.transport.write(b"hi")
            server.writeConnectionLost = lambda: write_lost(server)

        def write_lost(server: Any) -> None:
            self.notes.append("write")
            server.transport.write(b"late")
            server.transport.loseConnection()

        def client_made(client: Any) -> None:
            close_at_end(client)
            client.transport.loseWriteConnection()

        self.alike(made, client_made)

    def test_closed_while_half_closing(self) -> None:
        for end in ("loseConnection", "abortConnection"):
            with self.subTest(end):

                def made(server: Any, end: str = end) -> None:
                    server.transport.loseWriteConnection()
                    getattr(server.transport, end)()

                self.alike(
                    made,
                    lambda client: setattr(
                        client, "readConnectionLost", client.transport.loseConnection
                    ),
                )

    def test_reading_may_pause(self) -> None:
        def made(server: Any) -> None:
            server.dataReceived = lambda data: received(server, data)

        def received(server: Any, data: bytes) -> None:
            self.notes.append(data)
            server.transport.pauseProducing()
            self.client.transport.write(b"more")
            self.client.transport.loseConnection()
            del server.dataReceived
            server.readConnectionLost = server.transport.loseConnection
            self.reactor.callLater(0.1, read_on, server)

        def read_on(server: Any) -> None:
            self.notes.append(server.received)
            server.transport.resumeProducing()

        self.alike(made, lambda client: client.transport.write(b"some"))

    def test_producers(self) -> None:
        for streaming in (True, False):
            with self.subTest(streaming):

                def made(server: Any, streaming: bool = streaming) -> None:
                    producer = Producer(server.transport, 2, MUCH)
                    server.transport.registerProducer(producer, streaming)
                    self.assertRaises(
                        RuntimeError, server.transport.registerProducer, producer, True
                    )
                    self.notes.append(producer.calls)
                    if streaming:
                        server.transport.write(MUCH)
                    server.transport.loseConnection()

                self.alike(
                    made,
                    lambda client: setattr(
                        client, "readConnectionLost", client.transport.loseConnection
                    ),
                )

    def test_a_producer_is_stopped(self) -> None:
        def made(server: Any) -> None:
            producer = Producer(server.transport, 0)
            server.transport.registerProducer(producer, True)
            self.notes.append(producer.calls)
            server.transport.abortConnection()

        self.alike(made)

    def test_lost_at_once_when_the_end_is_sent_already(self) -> None:
        def made(server: Any) -> None:
            server.transport.loseWriteConnection()
            server.writeConnectionLost = lambda: write_lost(server)

        def write_lost(server: Any) -> None:
            self.note_when_lost(server)
            server.transport.loseConnection()
            self.notes.append("after loseConnection")

        self.alike(made, close_at_end)

    def test_ends_that_follow_one_another(self) -> None:
        for ends in permutations(("loseConnection", "abortConnection", "stopConsuming"), 2):
            with self.subTest(ends):

                def made(server: Any, ends: tuple[str, str] = ends) -> None:
                    self.note_when_lost(server)
                    for end in ends:
                        getattr(server.transport, end)()
                        self.notes.append(facts(server.transport))

                self.alike(made, close_at_end)

    def test_a_consumer_stops(self) -> None:
        def made(server: Any) -> None:
            producer = Producer(server.transport, 0)
            server.transport.registerProducer(producer, True)
            server.transport.write(MUCH)
            server.transport.stopConsuming()
            self.notes.append([server.transport.producer, server.transport.disconnecting])

        self.alike(made, close_at_end)

    def test_a_producer_that_fails_at_once(self) -> None:
        def made(server: Any) -> None:
            producer = Producer(server.transport, 0)
            producer.resumeProducing = lambda: 1 / 0  # type: ignore[method-assign, assignment]
            self.assertRaises(ZeroDivisionError, server.transport.registerProducer, producer, False)
            self.notes.append(server.transport.producer is producer)
            server.transport.unregisterProducer()
            server.transport.loseConnection()

        self.alike(made, close_at_end)

    def test_reads_may_be_short(self) -> None:
        def made(server: Any) -> None:
            self.notes.append(server.transport.bufferSize)
            server.transport.bufferSize = 10
            self.notes.append(server.transport.bufferSize)
            server.readConnectionLost = server.transport.loseConnection
            server.dataReceived = lambda data: self.notes.append(len(data) <= 10)

        def client_made(client: Any) -> None:
            close_at_end(client)
            client.transport.write(b"x" * 40)
            client.transport.loseWriteConnection()

        self.alike(made, client_made)

    def start_tls(self, peer: Any, options: Any) -> None:
        self.patch(twisted.internet, "reactor", self.reactor)  # Twisted's TLS takes that one
        peer.transport.startTLS(options)

    def server_options(self) -> CertificateOptions:
        certificate = Path(twisted.test.__path__[0], "server.pem")
        options: CertificateOptions = PrivateCertificate.loadPEM(certificate.read_bytes()).options()
        return options

    def test_tls_whose_wire_is_closed_for_writing(self) -> None:
        def made(server: Any) -> None:
            self.start_tls(server, self.server_options())
            server.dataReceived = lambda data: received(server)

        def received(server: Any) -> None:
            self.note_when_lost(server)
            server.transport.loseWriteConnection()
            self.reactor.callLater(0.1, server.transport.write, b"late")
            self.reactor.callLater(0.2, server.transport.loseConnection)

        def client_made(client: Any) -> None:
            self.start_tls(client, CertificateOptions())
            client.transport.write(b"hi")

        self.alike(made, client_made)

    def test_tls(self) -> None:
        def said(transport: Any) -> list[object]:
            return [
                ISSLTransport.providedBy(transport),
                transport.TLS,
                type(transport.getHandle()),
                type(transport.getPeerCertificate()),
                transport.fileno() == -1,
                transport.getTcpKeepAlive(),
            ]

        def made(server: Any) -> None:
            self.start_tls(server, self.server_options())
            self.notes.append(said(server.transport))
            server.dataReceived = lambda data: received(server, data)

        def received(server: Any, data: bytes) -> None:
            self.notes.append(data)
            server.transport.writeSequence([b"sec", b"ret"])
            server.transport.stopProducing()
            self.note_when_lost(
                server,
                lambda transport: transport.write(b"late"),
                lambda transport: transport.writeSequence([b"late"]),
                lambda transport: transport.loseConnection(),
                lambda transport: transport.abortConnection(),
            )

        def client_made(client: Any) -> None:
            self.start_tls(client, CertificateOptions())
            self.notes.append(said(client.transport))
            client.transport.write(b"hi")

        self.assertIn(b"hi", self.alike(made, client_made))

    def test_errors(self) -> None:
        """What a protocol raises is logged, and ends the connection where it is told more."""
        for name, also in (
            ("dataReceived", ""),
            ("readConnectionLost", ""),
            ("writeConnectionLost", "loseWriteConnection"),
            ("connectionLost", "loseConnection"),
            ("connectionLost", "abortConnection"),
            ("connectionLost", ""),
        ):
            with self.subTest(name=name, also=also):

                def made(server: Any, name: str = name, also: str = also) -> None:
                    server.readConnectionLost = server.transport.loseConnection
                    if name == "connectionLost":
                        self.note_when_lost(server)
                    told = getattr(server, name)
                    setattr(server, name, lambda *reason: failing(told, *reason))
                    if also:
                        getattr(server.transport, also)()

                def failing(told: Any, *reason: object) -> None:
                    told(*reason)
                    raise OSError

                def client_made(client: Any, also: str = also) -> None:
                    close_at_end(client)
                    if not also:
                        client.transport.write(b"hi")
                        client.transport.loseWriteConnection()

                self.assertEqual(
                    self.alike(made, client_made).count(OSError), 1 + (name != "connectionLost")
                )
