"""How a connected descriptor gets one of uvloop's transports."""

import asyncio
import socket


class _Descriptor:
    """A descriptor in the shape of a socket, which is what uvloop takes.

    One serves for all connections, since uvloop only asks at once. To make a C{socket.socket} of
    each would take a tenth of a short connection's time.
    """

    family = int(socket.AF_INET)  # good for IPv6, too: all it chooses is TCP
    type = int(socket.SOCK_STREAM)
    descriptor: int

    def fileno(self) -> int:
        return self.descriptor

    def close(self) -> None:
        """Leave the descriptor alone: the transport has closed it."""


_descriptor = _Descriptor()


def serve(
    loop: asyncio.AbstractEventLoop, connection: asyncio.BaseProtocol, descriptor: int
) -> None:
    """Have a uvloop transport serve a connection, and own and close its descriptor.

    C{connection_made} is called on the loop's next turn, before anything is read.
    """
    _descriptor.descriptor = descriptor
    connecting = loop.connect_accepted_socket(
        lambda: connection,
        _descriptor,  # type: ignore[arg-type]
    ).__await__()
    next(connecting)
    # It waits for connection_made to be called, which has been scheduled before this.
    loop.call_soon(next, connecting, None)
