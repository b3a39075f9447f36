"""The body of a request: what -d was given, as a producer for each time it is sent."""

import errno
import os
import select
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer, IReadDescriptor
from twisted.python.failure import Failure
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from hello_service.values import BadValue

PIECE = 64 * 1024
"""Bytes of a file that are read at once."""


class Body(Protocol):
    """What can be sent as a body.

    @ivar is_kept: whether it can be sent again.
    """

    @property
    def is_kept(self) -> bool: ...

    def producer(self, reactor: Any) -> IBodyProducer:
        """Return a producer of the whole body."""


def body_from(texts: Sequence[str]) -> Body | None:
    """Take the values of -d: data, which is joined by &; or C{@FILE}, or C{@-} for standard input.

    @raises BadValue: if it is more than one body, or there is no such file.
    """
    match texts:
        case []:
            return None
        case [text] if text.startswith("@"):
            return _file(text[1:])
        case _ if any(text.startswith("@") for text in texts):
            raise BadValue("-d @FILE is all of a body: give it once, and no other -d.")
    return Data(os.fsencode("&".join(texts)))


def _file(name: str) -> "File":
    if name == "-":
        if sys.stdin is None:
            raise BadValue("Standard input is closed: write -d @FILE, or pipe something into it.")
        return File(0)
    try:
        descriptor = os.open(name, os.O_RDONLY)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    except OSError as error:
        raise BadValue(f"{name!r} cannot be read ({error.strerror}): check its name.") from None
    return File(descriptor)


@dataclass(frozen=True)
class Data:
    """Bytes from the command line."""

    data: bytes
    is_kept = True

    def producer(self, reactor: Any) -> IBodyProducer:
        return _DataProducer(self.data)


class File:
    """What an open descriptor has from here on."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.is_kept = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._start = os.lseek(descriptor, 0, os.SEEK_CUR) if self.is_kept else 0

    def producer(self, reactor: Any) -> IBodyProducer:
        if not self.is_kept:
            return _FileProducer(reactor, self._descriptor, None)
        os.lseek(self._descriptor, self._start, os.SEEK_SET)
        size = os.fstat(self._descriptor).st_size
        return _FileProducer(reactor, self._descriptor, max(size - self._start, 0))


@implementer(IBodyProducer)
class _DataProducer:
    def __init__(self, data: bytes) -> None:
        self.length = len(data)
        self._data = data

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Do nothing: all is written already."""

    resumeProducing = stopProducing = pauseProducing


@implementer(IBodyProducer, IReadDescriptor)
class _FileProducer:
    """Reads a descriptor whenever it has something, and never waits for it."""

    def __init__(self, reactor: Any, descriptor: int, size: int | None) -> None:
        """
        @param size: bytes to read at most, as a file may grow; C{None} for all that comes.
        """
        self.length = UNKNOWN_LENGTH if size is None else size
        self._left = sys.maxsize if size is None else size
        self._reactor = reactor
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._done: Deferred[None] = Deferred()

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        self._consumer = consumer
        self.resumeProducing()
        return self._done

    def pauseProducing(self) -> None:
        self._reactor.removeReader(self)

    def resumeProducing(self) -> None:
        self._reactor.addReader(self)

    stopProducing = pauseProducing

    def fileno(self) -> int:
        return self._descriptor

    def logPrefix(self) -> str:
        return "body"

    def doRead(self) -> None:
        """Pass on what is there."""
        if not self._poll.poll(0):  # another process has taken it
            return
        try:
            data = os.read(self._descriptor, min(PIECE, self._left))
        except OSError as error:
            self.pauseProducing()
            self._done.errback(error)
            return
        self._left -= len(data)
        if data:
            self._consumer.write(data)
        else:
            self.pauseProducing()
            self._done.callback(None)

    def connectionLost(self, reason: Failure) -> None:
        """The writer of the pipe is gone: read what it left."""
        self.doRead()
