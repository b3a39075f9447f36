"""How a port of the uvloop reactor accepts connections."""

import socket
import tempfile
from typing import Any

from twisted.internet.protocol import (
    Factory,
    Protocol,
)

from tests.uvloop_reactor.conversing import PATIENCE, ReactorTestCase


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

    def factory(self) -> Any:
        class Echo(Protocol):
            transport: Any

            def dataReceived(self, data: bytes) -> None:
                self.transport.write(data)

        return Factory.forProtocol(Echo)

    def test_accepting_may_pause(self) -> None:
        port: Any = self.reactor.listenTCP(0, self.factory(), interface="127.0.0.1")
        self.assertIn(port, self.reactor.getReaders())
        port.pauseProducing()
        self.assertNotIn(port, self.reactor.getReaders())
        port.stopReading()
        port.resumeProducing()
        port.startReading()
        self.talk(port)

    def test_a_listening_descriptor(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            port = self.reactor.adoptStreamPort(listening.fileno(), socket.AF_INET, self.factory())
        self.talk(port)

    def test_a_listening_unix_descriptor(self) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory())
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(f"{folder}/socket")
            listening.listen()
            listening.setblocking(False)
            port = self.reactor.adoptStreamPort(listening.fileno(), socket.AF_UNIX, self.factory())
        self.assertNotIsInstance(port, type(self.reactor.listenTCP(0, self.factory())))
        self.reactor.callLater(0, self.reactor.stop)
        self.run_reactor()
