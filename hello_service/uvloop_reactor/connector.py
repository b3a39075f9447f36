"""Outgoing TCP connections: Twisted's connector, our own connecting, uvloop's transport."""

import errno
import os
import socket
from collections.abc import Callable
from socket import SocketType
from typing import Any

from twisted.internet import tcp
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.error import (
    ConnectBindError,
    ConnectError,
    TimeoutError,
    getConnectError,
)
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from hello_service.uvloop_reactor.serving import serve
from hello_service.uvloop_reactor.sockets import Address, socket_address
from hello_service.uvloop_reactor.transport import Connection

_PENDING = (errno.EINPROGRESS, errno.EALREADY)


class Connector(tcp.Connector):
    """Twisted's connector, but for how it connects."""

    timeoutID: Any

    def connect(self) -> None:
        """Start to connect.

        @raises RuntimeError: if it does so, or is connected, already.
        """
        if self.state != "disconnected":
            raise RuntimeError(f"This cannot connect, for it is {self.state}.")
        self.state = "connecting"
        if not self.factoryStarted:
            self.factory.doStart()
            self.factoryStarted = 1
        self.transport: Any = Client(self)
        self.factory.startedConnecting(self)

    def limit(self, give_up: Callable[[TimeoutError], object]) -> None:
        """Count the timeout from now on; a connection that is made at once needs no timer."""
        if self.timeout is not None and self.timeoutID is None:
            self.timeoutID = self.reactor.callLater(self.timeout, give_up, TimeoutError())


class Client(Connection):
    """An outgoing connection, from the attempt to make it until it is lost.

    @ivar addr: where to connect to, as a socket's C{connect} takes it; its first element may be
        a name.
    """

    _log = Logger()

    reactor: Any

    connected = 0
    producer = None
    streamingProducer = False

    _prefix = ""
    _handle: SocketType | None = None
    _polled = False

    def __init__(self, connector: Any) -> None:
        self.connector = connector
        self.reactor = connector.reactor
        self.addr = _numeric(connector.host, connector.port)
        try:
            self._handle = _open(self.addr, connector.bindAddress)
        except OSError as error:
            why = ConnectBindError(error.errno, error.strerror)
            self.reactor.loop.call_soon(self.failIfNotConnected, why)
        else:
            self.reactor.loop.call_soon(self._resolve)

    def __repr__(self) -> str:
        return f"<{self.__class__} to {self.addr} at {id(self):x}>"

    def failIfNotConnected(self, error: Any) -> None:
        """Give up, unless the connection is made, and tell the connector why.

        @param error: an exception or a failure.
        """
        if self.connected or self.disconnected:
            return
        self.disconnected = 1
        self.reactor.served.discard(self)
        if self._handle is not None:
            self._poll_no_more(self._handle)
            self._handle.close()
            self._handle = None
        self.connector.connectionFailed(Failure(error))

    def connection_made(self, transport: Any) -> None:
        """Connect a protocol of the factory's, which may not want to."""
        if self.disconnected:
            transport.abort()
            return
        try:
            protocol = self.connector.buildProtocol(self._peer_address)
        except BaseException:
            failure = Failure()
            self._log.failure("Unhandled error in {connection}", failure, connection=self)
            transport.abort()
            self.failIfNotConnected(ConnectError(string=failure))
            return
        super().__init__(protocol or Protocol(), self._peer, 0, self.reactor)
        super().connection_made(transport)
        if protocol is None:
            self.loseConnection()
        # As on Twisted's reactors, what was to be called with no delay comes before the first read.
        self.reactor.runUntilCurrent()

    def connectionLost(self, reason: Failure) -> None:
        """Close at once and tell the protocol and the connector why."""
        if self.connected:
            super().connectionLost(reason)
            self.connector.connectionLost(reason)
        else:
            self.failIfNotConnected(ConnectError(string=reason))

    def startTLS(self, contextFactory: Any, normal: bool = True) -> None:
        """Speak TLS from now on.

        @param normal: false to be the server of the handshake.
        """
        super().startTLS(contextFactory, not normal)

    def getPeer(self) -> Address:
        """Return the address that is connected to."""
        return self._peer_address

    @property
    def socket(self) -> Any:
        """The socket; while connecting, one whose options may be set."""
        return self._handle or super().socket

    @property
    def logstr(self) -> str:
        """What names the connection in a log."""
        return f"{self._prefix},client" if self._prefix else "Uninitialized"

    def _resolve(self) -> None:
        if isIPAddress(self.addr[0]) or len(self.addr) == 4:
            self._connect(self.addr)
            return
        self.connector.limit(self.failIfNotConnected)
        resolving = self.reactor.resolve(self.addr[0])
        resolving.addCallback(lambda host: self._connect((host, self.addr[1])))
        resolving.addErrback(self.failIfNotConnected)

    def _connect(self, address: tuple[Any, ...]) -> None:
        if self._handle is None:  # stopped meanwhile
            return
        self.reactor.served.add(self)
        self._peer = address
        try:
            self._peer_address = socket_address(address)
            error = self._handle.connect_ex(address)
            if error == errno.EINPROGRESS:  # no more, if the peer is on this machine
                error = self._handle.connect_ex(address)
        except Exception as unfit:  # an address that the socket does not take
            self.failIfNotConnected(unfit)
        else:
            self._go_on(self._handle, error)

    def _go_on(self, handle: SocketType, error: int) -> None:
        if error in _PENDING:
            self._polled = True
            self.connector.limit(self.failIfNotConnected)
            self.reactor.loop.add_writer(handle.fileno(), self._polled_for, handle)
        elif error and error != errno.EISCONN:
            self.failIfNotConnected(getConnectError((error, os.strerror(error))))
        else:
            self._handle = None
            serve(self.reactor.loop, self, handle.detach())

    def _polled_for(self, handle: SocketType) -> None:
        self._poll_no_more(handle)
        error = handle.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._go_on(handle, error or handle.connect_ex(self.client))

    def _poll_no_more(self, handle: SocketType) -> None:
        if self._polled:
            self._polled = False
            self.reactor.loop.remove_writer(handle.fileno())


def _numeric(host: str, port: int) -> tuple[Any, ...]:
    """Return a socket's address; an IPv6 address's scope, "%eth0", becomes its number."""
    if not isIPv6Address(host):
        return host, port
    _, _, flow, scope = socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)[0][4]  # type: ignore[misc]
    return host, port, flow, scope


def _open(address: tuple[Any, ...], binding: Any) -> SocketType:
    """Make a socket that connects to an address.

    @param binding: where it is bound to: a host and a port, what C{tcp.makeBinding} returns, or
        nothing.
    @raises OSError: if that cannot be.
    """
    family = socket.AF_INET6 if len(address) == 4 else socket.AF_INET
    handle = SocketType(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    if binding is None:
        return handle
    if isinstance(binding, tuple):
        binding = tcp.makeBinding(*binding)
    try:
        # What a binding says has no public names.
        if binding._reuseAddress:
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if binding._reusePort:
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        handle.bind(_numeric(binding._address, binding._port))
    except OSError:
        handle.close()
        raise
    return handle
