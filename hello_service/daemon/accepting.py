"""Accepting connections only as long as there are descriptors for them."""

import errno
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

from twisted.internet.interfaces import IAddress, ILoggingContext, IProtocol, IProtocolFactory
from zope.interface import implementer

_NONE_LEFT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


def check_descriptors(count: int) -> None:
    """See that C{count} more descriptors can be opened.

    @raises OSError: if they cannot.
    """
    with ExitStack() as probes:
        for _ in range(count):
            probes.callback(os.close, os.open(os.devnull, os.O_RDONLY))


def room_for_each(descriptors: Iterable[int]) -> bool:
    """Say whether each of these can be duplicated, all at once; one takes 0.5 us."""
    opened = []
    try:
        for descriptor in descriptors:
            opened.append(os.dup(descriptor))
    except OSError:
        return False
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return True


@implementer(IProtocolFactory, ILoggingContext)
class TellingFactory:
    """A factory that tells of each connection before its protocol is built."""

    def __init__(self, factory: IProtocolFactory, accepted: Callable[[], object]) -> None:
        self._factory = factory
        self._accepted = accepted
        self.doStart = factory.doStart
        self.doStop = factory.doStop

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        """Build the factory's protocol."""
        self._accepted()
        return self._factory.buildProtocol(addr)

    def logPrefix(self) -> str:
        """Return what the log calls the factory."""
        if ILoggingContext.providedBy(self._factory):
            return ILoggingContext(self._factory).logPrefix()
        return type(self._factory).__name__


class PausableSocket:
    """A listening socket that accepts nothing while it is paused or no descriptor is left.

    Twisted's port accepts many connections at a time, and C{stopReading} does not end that. Out of
    descriptors, it accepts and closes all that wait. It does neither if told that nobody waits.

    @param paused: whether to accept nothing.
    @param exhausted: called if no descriptor is left.
    """

    def __init__(
        self, listening: Any, paused: Callable[[], bool], exhausted: Callable[[], object]
    ) -> None:
        self._listening = listening
        self._paused = paused
        self._exhausted = exhausted

    def accept(self) -> Any:
        """Accept a connection.

        @raises BlockingIOError: if none is to be accepted.
        """
        if self._paused():
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        try:
            return self._listening.accept()
        except OSError as error:
            if error.errno not in _NONE_LEFT:
                raise
            self._exhausted()
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listening, name)
