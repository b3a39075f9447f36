"""Asyncio protocols that take the place of a connection, to read in another way than it does."""

import asyncio


class _StandIn(asyncio.BaseProtocol):
    """Passes everything that is not about reading on to a connection."""

    __slots__ = ("_connection",)

    def __init__(self, connection: asyncio.Protocol) -> None:
        self._connection = connection

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)


class SizedReads(_StandIn, asyncio.BufferedProtocol):
    """Reads no more at once than a given size."""

    __slots__ = ("_buffer",)

    def __init__(self, connection: asyncio.Protocol, size: int) -> None:
        super().__init__(connection)
        self._buffer = bytearray(size)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._connection.data_received(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> bool | None:
        return self._connection.eof_received()


class HeldReads(_StandIn, asyncio.Protocol):
    """Keeps the one read that uvloop makes of a connection that was paused before it began.

    @ivar data: the bytes that came, if any did.
    @ivar ended: whether the end of stream came instead.
    """

    __slots__ = ("_transport", "data", "ended")

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
