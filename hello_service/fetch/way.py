"""How the connection for a URL is made, where the URL alone does not say it; no I/O."""

from collections.abc import Callable
from typing import NamedTuple

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IAddress

from hello_service.address import address_text, host_port


class Way(NamedTuple):
    """Where a connection goes, and how it begins.

    It changes nothing above TCP: C{Host}, SNI and the check of the certificate stay the URL's.

    @ivar host: a name or an address without brackets.
    @ivar socket: the path of a UNIX socket, in place of C{host} and C{port}.
    @ivar opening: makes the bytes that are sent first, below TLS, of our address and the peer's:
        a header from C{proxy_header.py}.
    """

    host: str
    port: int
    socket: str | None = None
    opening: Callable[[IAddress, IAddress], bytes] | None = None

    def __str__(self) -> str:
        if self.socket is not None:
            return address_text(UNIXAddress(self.socket))
        return host_port(self.host, self.port)
