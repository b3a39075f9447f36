"""A uvloop transport's socket, shown the way that Twisted's transports show theirs."""

import socket
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address

Address = IPv4Address | IPv6Address


def socket_address(name: tuple[Any, ...]) -> Address:
    """Make Twisted's address of a socket's name."""
    if len(name) == 2:
        return IPv4Address("TCP", *name)
    numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    host = socket.getnameinfo(name, numeric)[0]  # with its scope, as "fe80::1%eth0"
    return IPv6Address("TCP", host, *name[1:])


class LentSocket:
    """The socket that uvloop lends, and a way to close it."""

    def __init__(self, transport: Any) -> None:
        self._socket = transport.get_extra_info("socket")
        self.close = transport.abort

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


class SocketFacts:
    """The part of a connection that is about its socket."""

    __slots__ = ()

    connected: int
    _transport: Any
    _peer: tuple[Any, ...] | None

    @property
    def client(self) -> Any:
        """The name of the client's socket."""
        return self._peer or self._transport.get_extra_info("peername")

    @property
    def hostname(self) -> str:
        """The client's IP address."""
        return str(self.client[0])

    def getPeer(self) -> Address:
        """Return the client's address."""
        return socket_address(self.client)

    def getHost(self) -> Address:
        """Return the address that the client connected to."""
        return socket_address(self._transport.get_extra_info("sockname"))

    def getTcpNoDelay(self) -> bool:
        """Say whether small writes are sent at once, which is uvloop's default."""
        return self._option(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Set whether small writes are sent at once."""
        self._set_option(socket.IPPROTO_TCP, socket.TCP_NODELAY, enabled)

    def getTcpKeepAlive(self) -> bool:
        """Say whether the system probes an idle peer."""
        return self._option(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Set whether the system probes an idle peer."""
        self._set_option(socket.SOL_SOCKET, socket.SO_KEEPALIVE, enabled)

    def getHandle(self) -> Any:
        """Return the socket, as far as uvloop lends it: its options, its names, C{close}."""
        return self.socket

    @property
    def socket(self) -> Any:
        """What C{getHandle} returns without TLS; there is none once the connection is lost."""
        if not self.connected:
            raise AttributeError("the connection is lost")
        return LentSocket(self._transport)

    def fileno(self) -> int:
        """Return the descriptor; -1 once the connection is lost."""
        return self.socket.fileno() if self.connected else -1

    def _option(self, level: int, option: int) -> bool:
        return bool(self.socket.getsockopt(level, option))

    def _set_option(self, level: int, option: int, enabled: bool) -> None:
        self.socket.setsockopt(level, option, enabled)
