"""Accepting connections only as long as there are descriptors for them."""

import errno
import os
from collections.abc import Callable
from typing import Any

_NONE_LEFT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


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
