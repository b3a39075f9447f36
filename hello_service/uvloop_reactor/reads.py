"""Asyncio protocols that take the place of a connection, to read in another way than it does."""

import asyncio


class _StandIn(asyncio.BaseProtocol):
    """Passes everything that is not about reading on to a connection."""

    def __init__(self, connection: asyncio.Protocol) -> None:
        self.pause_writing = connection.pause_writing  # type: ignore[method-assign]
        self.resume_writing = connection.resume_writing  # type: ignore[method-assign]
        self.connection_lost = connection.connection_lost  # type: ignore[method-assign]


class SizedReads(_StandIn, asyncio.BufferedProtocol):
    """Reads no more at once than a given size."""

    def __init__(self, connection: asyncio.Protocol, size: int) -> None:
        super().__init__(connection)
        self.eof_received = connection.eof_received  # type: ignore[method-assign]
        self._received = connection.data_received
        self._buffer = bytearray(size)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._received(bytes(self._buffer[:nbytes]))


class HeldReads(_StandIn, asyncio.Protocol):
    """Keeps the one read that uvloop makes of a connection that was paused before it began.

    @ivar data: the bytes that came, if any did.
    @ivar ended: whether the end of stream came instead.
    """

    def __init__(self, connection: asyncio.Protocol, transport: asyncio.ReadTransport) -> None:
        super().__init__(connection)
        self._transport = transport
        self.data = b""
        self.ended = False

    def data_received(self, data: bytes) -> None:
        self.data = data
        # Not the connection's own pause: it may be about to read on.
        self._transport.pause_reading()

    def eof_received(self) -> bool:
        self.ended = True
        return True
