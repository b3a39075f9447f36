"""A uvloop loop whose readers and writers outlive an error of their descriptor.

uvloop reports an error on a descriptor, such as a reset by the peer with bytes still to be read
before it, as one last event and stops polling the descriptor; other loops report it for as long
as it lasts. Adding a reader to the descriptor then raises an error. (MagicStack/uvloop issue 552
is Twisted running into this.)
"""

import asyncio
from collections.abc import Callable
from typing import Any

_Callbacks = dict[int, tuple[Callable[..., object], tuple[object, ...]]]


class PollingLoop:
    """Adds readers and writers again after each event, which costs nothing while they are polled.

    @param loop: the uvloop loop, which does everything else.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._readers: _Callbacks = {}
        self._writers: _Callbacks = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def add_reader(self, fd: int, callback: Callable[..., object], *args: object) -> None:
        """Call back whenever there is something to read."""
        self._add(self._readers, fd, callback, args)

    def add_writer(self, fd: int, callback: Callable[..., object], *args: object) -> None:
        """Call back whenever there is room to write."""
        self._add(self._writers, fd, callback, args)

    def remove_reader(self, fd: int) -> None:
        """Stop calling a reader back."""
        self._readers.pop(fd, None)
        self._loop.remove_reader(fd)

    def remove_writer(self, fd: int) -> None:
        """Stop calling a writer back."""
        self._writers.pop(fd, None)
        self._loop.remove_writer(fd)

    def _add(
        self,
        callbacks: _Callbacks,
        fd: int,
        callback: Callable[..., object],
        args: tuple[object, ...],
    ) -> None:
        callbacks[fd] = callback, args
        try:
            self._poll(fd)
        except OSError:
            del callbacks[fd]
            raise

    def _poll(self, fd: int) -> None:
        try:
            self._add_both(fd)
        except RuntimeError:  # dropped; and not yet forgotten, which is what removing does
            self._loop.remove_reader(fd)
            self._add_both(fd)

    def _add_both(self, fd: int) -> None:
        if fd in self._readers:
            self._loop.add_reader(fd, self._event, self._readers, fd)
        if fd in self._writers:
            self._loop.add_writer(fd, self._event, self._writers, fd)

    def _event(self, callbacks: _Callbacks, fd: int) -> None:
        callback, args = callbacks[fd]
        callback(*args)
        # An error's descriptor is dropped when this returns.
        self._loop.call_soon(self._poll, fd)
