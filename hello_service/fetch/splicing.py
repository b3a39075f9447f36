"""Moves a body from its socket into a file inside the kernel, by Linux' splice(2)."""

import errno
import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

PIPE = 1024 * 1024
"""Bytes that the pipe between the two holds: the most that Linux gives to everybody."""

WORTH = 1024 * 1024
"""Bytes from which on it pays: the pipe costs as much as reading some of them."""

_UNFIT = (errno.EINVAL, errno.ENOSYS, errno.EPERM)
"""What splice(2) says where it cannot be used; other errors are those of the connection."""


def can_splice(transport: object) -> bool:
    """Whether the system has splice(2), and a transport a descriptor that it alone reads."""
    return hasattr(os, "splice") and isinstance(transport, FileDescriptor)


@implementer(IReadDescriptor)
class Splicing:
    """Reads in place of a transport, which gets back whatever is not bytes for the file.

    The end of the stream and what the file refuses show again on the ordinary way, so that only
    that judges them. A descriptor of its own keeps it apart from the transport in the reactor.
    """

    def __init__(
        self,
        reactor: Any,
        transport: Any,
        target: int,
        count: int,
        moved: Callable[[int], None],
        take: Callable[[bytes], None],
    ) -> None:
        """
        @param reactor: L{IReactorFDSet}.
        @param transport: one that L{can_splice}, without TLS; it is paused meanwhile.
        @param target: the descriptor of a regular file.
        @param count: how many bytes to move at most.
        @param moved: is told how many bytes have come into the file.
        @param take: takes bytes that the file did not, as if the transport had read them.
        @raises OSError: if there are too few descriptors.
        """
        from fcntl import F_SETPIPE_SZ, fcntl  # which are not where splice(2) is not

        self._transport = transport
        self._target = target
        self._left = count
        self._moved = moved
        self._take = take
        with ExitStack() as opened:
            self._out, self._in = os.pipe()
            opened.callback(os.close, self._out)
            opened.callback(os.close, self._in)
            self._source = os.dup(transport.fileno())
            opened.callback(os.close, self._source)
            self._opened = opened.pop_all()
        with suppress(OSError):  # a user may have only so much of all pipes: it stays smaller
            fcntl(self._in, F_SETPIPE_SZ, PIPE)
        transport.pauseProducing()
        self._opened.callback(transport.resumeProducing)
        reactor.addReader(self)
        self._opened.callback(reactor.removeReader, self)

    def stop(self) -> None:
        """Let the transport read again."""
        self._opened.close()

    def fileno(self) -> int:
        return self._source

    def doRead(self) -> None:
        try:
            count = os.splice(self._source, self._in, self._left, flags=os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            return
        except OSError as error:
            self.stop()
            if error.errno not in _UNFIT:  # it is told once, and the transport would see an end
                self._transport.abortConnection()
            return
        refused = self._save(count)
        saved = count - len(refused)
        self._left -= saved
        if refused or not count or not self._left:
            self.stop()
        if saved:
            self._moved(saved)
        if refused:
            self._take(refused)

    def _save(self, count: int) -> bytes:
        """Move bytes from the pipe to the file; return those that it does not take."""
        with suppress(OSError):  # the next write to the file says it again
            while count:
                count -= os.splice(self._out, self._target, count)
        return os.read(self._out, count) if count else b""

    def connectionLost(self, reason: Failure) -> None:
        """The reactor stops, or cannot watch the descriptor."""
        self.stop()

    def logPrefix(self) -> str:
        return "splice"
