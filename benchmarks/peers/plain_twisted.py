"""A plain Twisted protocol; given C{lines}, Twisted's LineOnlyReceiver."""

import sys

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.basic import LineOnlyReceiver


class Hello(Protocol):
    def connectionMade(self) -> None:
        self.transport.write(b"Welcome!")

    def dataReceived(self, data: bytes) -> None:
        if data == b"exit":
            self.transport.loseConnection()
        else:
            self.transport.write(b"Hello, " + data + b"!")


class Lines(LineOnlyReceiver):
    delimiter = b"\n"

    def connectionMade(self) -> None:
        self.transport.write(b"Welcome!\r\n")

    def lineReceived(self, line: bytes) -> None:
        self.sendLine(b"Hello, " + line + b"!")


factory = Factory.forProtocol(Lines if "lines" in sys.argv else Hello)
factory.noisy = False
port = reactor.listenTCP(0, factory, backlog=4096, interface="127.0.0.1")
print(port.getHost().port, flush=True)
reactor.run()
