from tempfile import TemporaryFile
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from hello_service.conversation import Framing
from hello_service.daemon.status.wire import EVENTS, TEXT, Wire
from hello_service.server import HelloFactory, HelloProtocol


class Transport(StringTransport):
    aborted = False
    bufferSize = 65536
    producer: Any

    def loseWriteConnection(self) -> None:
        """End of stream."""

    def abortConnection(self) -> None:
        self.aborted = True


class TLSTransport(Transport):
    def __init__(self) -> None:
        super().__init__()
        directlyProvides(self, ISSLTransport)


class WireTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.over: list[Wire] = []

    def connect(
        self, transport: Transport | None = None, text: bool = True, delay: float = 0.0
    ) -> tuple[HelloProtocol, Transport, Wire]:
        """Connect a protocol that is recorded from the beginning."""
        factory = HelloFactory(self.clock, Framing.STREAM, delay)
        wires: list[Wire] = []
        factory.connections.tell_opened(
            lambda one: wires.append(Wire(7, self.clock, one, True, text, self.over.append))
        )
        transport = transport or Transport()
        protocol = factory.buildProtocol(None)
        protocol.makeConnection(transport)
        return protocol, transport, wires[0]

    def told(self, wire: Wire) -> list[tuple[object, ...]]:
        """Return the kinds of events, with their bytes where there are any."""
        return [
            (event["kind"], event["text"]) if "text" in event else (event["kind"],)
            for event in wire.since(0)[1]
        ]

    def test_a_conversation(self) -> None:
        protocol, transport, wire = self.connect()
        self.clock.advance(0.5)
        protocol.dataReceived(b"Michael")
        protocol.dataReceived(b"exit")
        protocol.connectionLost(connectionDone)
        self.assertEqual(
            self.told(wire),
            [("connect",), ("write", "Welcome!"), ("read", "Michael"), ("write", "Hello, Michael!"),
             ("read", "exit"), ("close",), ("gone",)],
        )  # fmt: skip
        self.assertEqual(transport.value(), b"Welcome!Hello, Michael!")
        self.assertEqual(
            wire.since(2)[1][:2],
            [
                {"kind": "read", "at": 0.5, "bytes": 7, "text": "Michael", "cut": False},
                {"kind": "write", "at": 0.5, "bytes": 15, "text": "Hello, Michael!", "cut": False},
            ],
        )
        self.assertEqual(wire.since(6)[1], [{"kind": "gone", "at": 0.5, "reason": "exit"}])
        self.assertEqual((self.over, wire.ended), ([wire], 0.5))

    def test_half_close(self) -> None:
        protocol, _, wire = self.connect()
        protocol.dataReceived(b"Tracy")
        protocol.readConnectionLost()
        protocol.connectionLost(connectionDone)
        self.assertEqual(self.told(wire)[-3:], [("peer-end",), ("close",), ("gone",)])

    def test_the_daemons_half_close(self) -> None:
        protocol, _, wire = self.connect()
        log = self.enterContext(TemporaryFile())  # of which no queue can be told
        protocol.transport.fileno = log.fileno  # type: ignore[method-assign]
        protocol.drain("shutdown")
        self.clock.advance(2)
        self.assertEqual(self.told(wire)[-2:], [("end",), ("close",)])

    def test_reset(self) -> None:
        protocol, transport, wire = self.connect()
        protocol.abort("late")
        protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.told(wire)[-2:], [("reset",), ("gone",)])
        self.assertEqual(wire.since(0)[1][-1]["reason"], "late")
        self.assertTrue(transport.aborted)

    def test_a_peer_that_does_not_read(self) -> None:
        protocol, transport, wire = self.connect()
        transport.producer.pauseProducing()
        self.assertEqual((protocol.state, transport.producerState), ("blocked", "paused"))
        transport.producer.resumeProducing()
        self.assertEqual(protocol.state, "welcomed")
        self.assertEqual(self.told(wire)[-2:], [("blocked",), ("unblocked",)])

    def test_a_delay(self) -> None:
        protocol, transport, wire = self.connect(delay=1.0)
        self.assertEqual(transport.bufferSize, 1024)
        protocol.dataReceived(b"Sarah")
        self.clock.advance(1)
        self.assertEqual(
            self.told(wire)[2:],
            [("read", "Sarah"), ("held",), ("write", "Hello, Sarah!"), ("released",)],
        )

    def test_tls(self) -> None:
        protocol, _, wire = self.connect(TLSTransport())
        self.assertEqual(protocol.state, "handshake")
        protocol.handshakeCompleted()
        self.assertEqual(self.told(wire), [("connect",), ("secured",), ("write", "Welcome!")])
        protocol.connectionLost(connectionDone)

    def test_a_handshake_that_is_lost(self) -> None:
        protocol, _, wire = self.connect(TLSTransport())
        protocol.connectionLost(connectionDone)
        self.assertEqual(self.told(wire), [("connect",), ("gone",)])

    def test_lengths_alone(self) -> None:
        protocol, _, wire = self.connect(text=False)
        protocol.dataReceived(b"secret")
        self.assertEqual(wire.since(2)[1][0], {"kind": "read", "at": 0.0, "bytes": 6})

    def test_no_character_is_cut(self) -> None:
        protocol, _, wire = self.connect()
        protocol.dataReceived("你".encode() * TEXT)
        protocol.dataReceived("你".encode()[:2])
        read, _, half = wire.since(2)[1][:3]
        self.assertEqual((read["text"], read["cut"]), ("你" * (TEXT // 3), True))
        self.assertEqual((half["text"], half["cut"]), ("\\xe4\\xbd", False))

    def test_a_long_text_is_cut(self) -> None:
        protocol, _, wire = self.connect()
        protocol.dataReceived(b"a" * TEXT)
        protocol.dataReceived(b"\xff" + b"b" * TEXT)
        exact, _, cut = wire.since(2)[1][:3]
        self.assertEqual((exact["text"], exact["cut"]), ("a" * TEXT, False))
        self.assertEqual(
            (cut["text"], cut["cut"], cut["bytes"]), ("\\xff" + "b" * (TEXT - 1), True, TEXT + 1)
        )

    def test_several_pieces_are_one_write(self) -> None:
        protocol, transport, wire = self.connect()
        protocol.transport.writeSequence([b"a", b"b"])
        protocol.transport.write(b"")
        self.assertEqual(self.told(wire)[2:], [("write", "ab")])
        self.assertEqual(transport.value(), b"Welcome!ab")

    def test_no_more_than_the_last_events_are_kept(self) -> None:
        protocol, _, wire = self.connect()
        for _ in range(EVENTS):
            protocol.dataReceived(b"x")
        first, events = wire.since(0)
        self.assertEqual((first, len(events)), (2 + EVENTS, EVENTS))
        self.assertEqual(wire.since(first + EVENTS - 1), (first + EVENTS - 1, events[-1:]))
        self.assertEqual(wire.since(first + EVENTS), (first + EVENTS, []))

    def test_quiet(self) -> None:
        protocol, _, wire = self.connect(TLSTransport())
        self.assertIsNone(wire.quiet())
        protocol.handshakeCompleted()
        self.clock.advance(3)
        self.assertEqual(wire.quiet(), 3)
        protocol.connectionLost(connectionDone)

    def test_nothing_is_left(self) -> None:
        protocol, transport, wire = self.connect()
        wire.leave()
        self.assertIs(type(protocol), HelloProtocol)
        self.assertIs(protocol.transport, transport)
        protocol.dataReceived(b"Michael")
        protocol.connectionLost(connectionDone)
        self.assertEqual(len(wire.since(0)[1]), 2)
        self.assertEqual(self.over, [])

    def test_the_log_calls_it_what_it_is(self) -> None:
        protocol, _, _ = self.connect()
        self.assertEqual(protocol._namespace, "hello_service.server.HelloProtocol")
        self.assertIsNot(type(protocol), HelloProtocol)
