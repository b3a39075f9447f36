"""Asyncio protocols that stand in for a connection below, to read otherwise than uvloop does."""

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hello_service.uvloop_reactor.transport import Connection


class _StandIn(asyncio.BaseProtocol):
    """Stands in for a connection below, to read otherwise."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self.pause_writing = connection.pause_writing  # type: ignore[method-assign]
        self.resume_writing = connection.resume_writing  # type: ignore[method-assign]
        self.connection_lost = connection.connection_lost  # type: ignore[method-assign]


class SizedReads(_StandIn, asyncio.BufferedProtocol):
    """Reads less at once."""

    def __init__(self, connection: "Connection", size: int) -> None:
        super().__init__(connection)
        self.eof_received = connection.eof_received  # type: ignore[method-assign]
        self._buffer = bytearray(size)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._connection.data_received(bytes(self._buffer[:nbytes]))


class HeldReads(_StandIn, asyncio.Protocol):
    """Keeps what uvloop reads of a connection that was paused before it began."""

    def __init__(self, connection: "Connection") -> None:
        super().__init__(connection)
        self.data = b""
        self.ended = False

    def data_received(self, data: bytes) -> None:
        self.data += data
        self._connection.pauseProducing()

    def eof_received(self) -> bool:
        self.ended = True
        return True
