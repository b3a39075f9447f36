"""A TCP port that accepts connections itself and has uvloop's transports serve them.

uvloop's own server would close every connection that waits to be accepted once no descriptor is
left (libuv's C{uv__emfile_trick}). Here they go on waiting in the backlog.
"""

from math import inf
from typing import Any

from twisted.internet import tcp
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from hello_service.uvloop_reactor.serving import serve
from hello_service.uvloop_reactor.sockets import socket_address
from hello_service.uvloop_reactor.transport import Connection

RETRY = 0.1
"""Seconds until a port tries again after it could not accept."""

QUIET = 60.0
"""Seconds without a failure after which the next one is logged again."""


class _Accepted(Connection):
    """An accepted connection, which has no protocol until uvloop serves it.

    Only then the factory is asked for one, so that C{connectionMade} follows C{buildProtocol}
    before anything else is called, as on Twisted's reactors.
    """

    __slots__ = ("_port",)

    def __init__(self, port: Any, peer: tuple[Any, ...]) -> None:
        self._port = port
        self._peer = peer
        self.connected = 0

    def connection_made(self, transport: Any) -> None:
        """Connect a protocol of the factory's, which may not want to."""
        port = self._port
        del self._port
        protocol = port.build_protocol(self._peer)
        if protocol is None:
            transport.abort()
            return
        super().__init__(protocol, self._peer, port.sessionno, port.reactor)
        port.sessionno += 1
        super().connection_made(transport)


class Port(tcp.Port):
    """Has uvloop serve its connections, and is a Twisted port in all else."""

    _log = Logger()

    reactor: Any
    factory: Any
    socket: Any
    reading = False
    _retry: IDelayedCall | None = None
    _failed = -inf

    def startReading(self) -> None:
        """Accept connections."""
        if not self.reading:
            self.stopReading()
            self.reading = True
            self.reactor.served.add(self)
            self.reactor.loop.add_reader(self.socket, self.doRead)

    def stopReading(self) -> None:
        """Accept no more connections; what is connected stays so."""
        self._pause()
        self.reactor.served.discard(self)
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def doRead(self) -> None:
        """Accept one connection; if that fails, leave those that wait for a moment."""
        try:
            descriptor, name = self.socket._accept()  # accept() makes a socket.socket of it
        except (BlockingIOError, ConnectionAbortedError, PermissionError):
            return  # another process was faster, or the connection is gone
        except OSError as error:
            self._wait(error)
            return
        serve(self.reactor.loop, _Accepted(self, name), descriptor)

    def build_protocol(self, peer: tuple[Any, ...]) -> Any:
        """Return a protocol of the factory's; None if it has none for this peer, or fails."""
        try:
            return self.factory.buildProtocol(socket_address(peer))
        except BaseException:
            self._log.failure("Unhandled error in {factory}", factory=self.factory)
            return None

    def _pause(self) -> None:
        if self.reading:
            self.reading = False
            self.reactor.loop.remove_reader(self.socket)

    def _wait(self, error: OSError) -> None:
        self._pause()
        self._retry = self.reactor.callLater(RETRY, self._try_again)
        before, self._failed = self._failed, self.reactor.seconds()
        if self._failed - before > QUIET:
            self._log.error(
                "Connections to port {port} wait, for none can be accepted: {why}.",
                port=self._realPortNumber,
                why=error.strerror,
            )

    def _try_again(self) -> None:
        self._retry = None
        self.startReading()
