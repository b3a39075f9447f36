"""How a port of the uvloop reactor accepts connections."""

import os
import resource
import socket
import struct
import subprocess
import sys
import tempfile
from threading import Timer
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.protocols.wire import Echo
from twisted.trial.unittest import SynchronousTestCase

from hello_service.uvloop_reactor.port import QUIET, RETRY, Port
from tests.processes import PATIENCE
from tests.uvloop_reactor.conversing import ReactorTestCase


def backlog(listening: Any) -> int:
    """Return how many connections may wait for a listening socket (tcp(7), TCP_INFO)."""
    information = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
    most: int = struct.unpack("8B6I", information)[-1]  # tcpi_sacked, which means this here
    return most


class PortTests(ReactorTestCase):
    def talk(self, port: Any) -> None:
        """See that a port serves C{Echo}."""
        received: list[bytes] = []

        def talk(number: int) -> None:
            with socket.create_connection(("127.0.0.1", number), PATIENCE) as client:
                client.sendall(b"hi")
                received.append(client.recv(10))
            self.reactor.callFromThread(self.reactor.stop)

        self.reactor.callInThread(talk, port.getHost().port)
        self.run_reactor()
        self.assertEqual(received, [b"hi"])

    def test_accepting_may_pause(self) -> None:
        port: Any = self.reactor.listenTCP(0, Factory.forProtocol(Echo), interface="127.0.0.1")
        self.assertIn(port, self.reactor.getReaders())
        port.pauseProducing()
        self.assertNotIn(port, self.reactor.getReaders())
        port.stopReading()
        port.resumeProducing()
        port.startReading()
        self.talk(port)

    def test_connections_are_numbered(self) -> None:
        class Numbered(Protocol):
            transport: Any

            def connectionMade(self) -> None:
                self.transport.write(b"%d" % self.transport.sessionno)
                self.transport.loseConnection()

        port: Any = self.reactor.listenTCP(0, Factory.forProtocol(Numbered), interface="127.0.0.1")
        clients = [
            self.enterContext(socket.create_connection(port.socket.getsockname(), PATIENCE))
            for _ in range(3)
        ]
        self.reactor.callInThread(self.read, clients)
        self.run_reactor()
        self.assertEqual(self.numbers, [b"0", b"1", b"2"])

    def read(self, clients: list[socket.socket]) -> None:
        self.numbers = [client.recv(10) for client in clients]
        self.reactor.callFromThread(self.reactor.stop)

    def test_the_backlog(self) -> None:
        port: Any = self.reactor.listenTCP(0, Factory(), 7, "127.0.0.1")
        self.addCleanup(port.socket.close)
        self.assertEqual(backlog(port.socket), 7)

    def test_a_listening_descriptor(self) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=7) as listening:
            listening.setblocking(False)
            port: Any = self.reactor.adoptStreamPort(
                listening.fileno(), socket.AF_INET, Factory.forProtocol(Echo)
            )
        self.assertEqual(backlog(port.socket), 7)
        self.talk(port)

    def test_a_listening_unix_descriptor(self) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory())
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(f"{folder}/socket")
            listening.listen()
            listening.setblocking(False)
            port = self.reactor.adoptStreamPort(listening.fileno(), socket.AF_UNIX, Factory())
        self.assertNotIsInstance(port, Port)
        self.reactor.callLater(0, self.reactor.stop)
        self.run_reactor()


class Polls:
    """A loop that calls nothing back.

    @ivar readers: what is to be read.
    """

    def __init__(self) -> None:
        self.readers: list[Any] = []

    def add_reader(self, reader: Any, callback: Any) -> None:
        self.readers.append(reader)

    def remove_reader(self, reader: Any) -> None:
        self.readers.remove(reader)


class PollingClock(Clock):
    """As much of the reactor as a port needs that accepts nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = Polls()
        self.served: set[Any] = set()


class ExhaustionTests(SynchronousTestCase):
    """What a port does that cannot accept, for want of descriptors."""

    def setUp(self) -> None:
        self.reactor = PollingClock()
        self.port: Any = Port(0, Factory(), 50, "127.0.0.1", self.reactor)
        self.port.startListening()
        self.addCleanup(self.port.socket.close)
        client = self.enterContext(socket.socket())
        client.connect(self.port.socket.getsockname())

    def fail_to_accept(self) -> list[str]:
        """Have the port accept when there is no descriptor left; return what it logs."""
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = os.open(os.devnull, os.O_RDONLY)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
        try:
            with capturedLogs() as events:
                self.port.doRead()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        self.assertEqual({event["log_level"] for event in events} - {LogLevel.error}, set())
        return [str(event["why"]) for event in events]

    def test_it_waits_and_tries_again(self) -> None:
        self.fail_to_accept()
        self.assertEqual(self.reactor.loop.readers, [])
        self.assertIn(self.port, self.reactor.served)
        self.reactor.advance(RETRY)
        self.assertEqual(self.reactor.loop.readers, [self.port.socket])

    def test_it_is_logged_once(self) -> None:
        self.assertEqual(self.fail_to_accept(), ["Too many open files"])
        for _ in range(3):
            self.reactor.advance(QUIET)
            self.assertEqual(self.fail_to_accept(), [])
        self.reactor.advance(QUIET + RETRY)
        self.assertEqual(self.fail_to_accept(), ["Too many open files"])

    def test_stopped_while_it_waits(self) -> None:
        self.fail_to_accept()
        self.port.stopReading()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual((self.reactor.loop.readers, self.reactor.served), ([], set()))

    def test_started_while_it_waits(self) -> None:
        self.fail_to_accept()
        self.port.startReading()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.reactor.loop.readers, [self.port.socket])

    def test_nobody_is_left_to_accept(self) -> None:
        accepted, _ = self.port.socket.accept()
        accepted.close()
        with capturedLogs() as events:
            self.port.doRead()
        self.assertEqual((events, self.reactor.loop.readers), ([], [self.port.socket]))


class BurstTests(SynchronousTestCase):
    def test_a_burst_with_few_descriptors(self) -> None:
        """More clients than a process may have descriptors connect at once; all are served."""
        with subprocess.Popen(
            [sys.executable, "-m", "tests.uvloop_reactor.few_descriptors"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            late = Timer(PATIENCE, process.kill)
            late.start()
            self.addCleanup(late.cancel)
            self.addCleanup(process.kill)
            assert process.stdout is not None
            port = int(process.stdout.readline())
            clients = [
                self.enterContext(socket.create_connection(("127.0.0.1", port), PATIENCE))
                for _ in range(100)
            ]
            logged = ""
            while "Too many open files" not in logged:
                self.assertIsNone(process.poll(), logged)
                logged += process.stdout.readline()
            for client in clients:
                client.sendall(b"hi")
            answers = []
            for client in clients:
                answers.append(client.recv(10))
                client.close()
            process.terminate()
            logged += process.stdout.read()
        self.assertEqual(answers, [b"hi"] * 100)
        self.assertEqual(logged.count("Too many open files"), 1, logged)
        self.assertNotIn("Traceback", logged)
