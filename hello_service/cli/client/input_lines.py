"""Lines from a file descriptor."""

import os
from typing import Self

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(IReadDescriptor)
class InputLines:
    """A file descriptor's lines, without their ends; it reads one only when you ask for it.

    If a line is longer than the limit, you get what has been read of it so far.

    The descriptor stays blocking: a terminal's is shared with the output.
    """

    def __init__(self, reactor: IReactorFDSet, descriptor: int, limit: int) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        self._limit = limit
        self._read = b""
        self._ended = False
        self._more: Deferred[None] = Deferred()

    def fileno(self) -> int:
        return self._descriptor

    def logPrefix(self) -> str:
        return "input"

    def doRead(self) -> None:
        self._take(os.read(self._descriptor, 65536))

    def connectionLost(self, reason: Failure) -> None:
        """The other end of a pipe is closed, and all that was in it has been read."""
        self._take(b"")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while b"\n" not in self._read and not self._ended and len(self._read) <= self._limit:
            self._more = Deferred(lambda _: self._reactor.removeReader(self))
            self._reactor.addReader(self)
            await self._more
        if not self._read:
            raise StopAsyncIteration
        line, _, self._read = self._read.partition(b"\n")
        return line

    def _take(self, data: bytes) -> None:
        self._reactor.removeReader(self)
        self._read += data
        self._ended = not data
        self._more.callback(None)
