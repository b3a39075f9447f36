"""The asyncio reactor on a uvloop loop, which also serves TCP connections.

Twisted's own transports cost two thirds of a short message's time. Here uvloop's take their place
for TCP, in servers and clients; everything else is the asyncio reactor's. What differs from
Twisted's: TCP_NODELAY is on, a read brings up to 256,000 bytes unless C{bufferSize} is set,
and C{twisted.python.log} messages do not name the connection.
"""

import asyncio
import signal
import socket
import sys
from typing import Any, cast

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.interfaces import IConnector, IListeningPort, IProtocolFactory
from twisted.internet.main import installReactor
from twisted.internet.process import reapAllProcesses
from twisted.logger import Logger
from twisted.python.failure import Failure

from hello_service.uvloop_reactor.connector import Connector
from hello_service.uvloop_reactor.polls import PollingLoop
from hello_service.uvloop_reactor.port import Port


def install() -> None:
    """Make this the program's reactor; without uvloop, end the program with a sentence."""
    try:
        import uvloop
    except ImportError:
        package = __name__.partition(".")[0]
        sys.exit(f"The uvloop reactor needs uvloop: `pip install '{package}[uvloop]'` brings it.")
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    installReactor(UvloopReactor(loop))


class UvloopReactor(AsyncioSelectorReactor):
    """Serves TCP connections by uvloop's transports.

    @param loop: a uvloop loop that no other reactor uses.
    """

    _log = Logger()

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.served: set[Any] = set()
        super().__init__(cast(asyncio.AbstractEventLoop, PollingLoop(loop)))
        loop.set_exception_handler(self._report)

    def run(self, installSignalHandlers: bool = True) -> None:
        """Run until C{stop} is called."""
        if installSignalHandlers:
            self.callWhenRunning(self._watch_children)
        super().run(installSignalHandlers)  # type: ignore[no-untyped-call]

    def iterate(self, delay: float = 0.0) -> None:
        """Do what is due, and go on for a time.

        @param delay: that time, in seconds; all of it passes, even if something happens sooner.
        """
        if delay:
            self.loop.call_later(delay, self.loop.stop)
        else:
            self.loop.stop()  # after one turn
        self.loop.run_forever()

    def _watch_children(self) -> None:
        # A running uvloop takes over the wake-up descriptor through which Twisted would learn of
        # SIGCHLD, but it has Python's signal handlers called at once.
        def reap(*_: object) -> None:
            self.callFromThread(reapAllProcesses)  # type: ignore[no-untyped-call]

        signal.signal(signal.SIGCHLD, reap)
        reapAllProcesses()

    def listenTCP(
        self, port: Any, factory: IProtocolFactory, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """Listen on a port.

        @param port: a number, or what C{twisted.internet.tcp.makeBinding} returns.
        """
        listening = Port(port, factory, backlog, interface, self)
        listening.startListening()
        return listening

    def adoptStreamPort(
        self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory
    ) -> IListeningPort:
        """Listen on a copy of a descriptor that listens already."""
        if addressFamily not in (socket.AF_INET, socket.AF_INET6):
            return super().adoptStreamPort(  # type: ignore[no-any-return, no-untyped-call]
                fileDescriptor, addressFamily, factory
            )
        # This is what Twisted does with its own class; there is no public way to give a port a
        # listening socket.
        adopted: Port = Port._fromListeningDescriptor(  # type: ignore[no-untyped-call]
            self, fileDescriptor, addressFamily, factory
        )
        adopted.startListening()
        return adopted

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30.0,
        bindAddress: Any = None,
    ) -> IConnector:
        """Connect to a port.

        @param timeout: in seconds.
        @param bindAddress: where from: a host and a port, or what
            C{twisted.internet.tcp.makeBinding} returns.
        """
        connector = Connector(host, port, factory, timeout, bindAddress, self)
        connector.connect()
        return connector

    def getReaders(self) -> list[Any]:
        """Return what is being read from, the ports that accept included."""
        readers: list[Any] = super().getReaders()  # type: ignore[no-untyped-call]
        return readers + [served for served in self.served if served.reading]

    def removeAll(self) -> list[Any]:
        """Forget all that is open and return it; at shutdown each is told that it is lost."""
        served = list(self.served)
        self.served.clear()
        removed: list[Any] = super().removeAll()  # type: ignore[no-untyped-call]
        return removed + served

    def _report(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error:
            self._log.failure("{message}", Failure(error), message=context["message"])
        else:
            self._log.error("{message}", message=context["message"])
