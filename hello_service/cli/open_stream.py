"""A descriptor that is open already, written without waiting."""

import os
import select
import stat
import sys
from contextlib import suppress


class OpenStream:
    """A stream, a device or a pipe, which is written to only while it has room.

    Other processes may share the descriptor, so its blocking mode stays as it is. Where the system
    gives no second descriptor that never waits, a write may still wait a little.

    @param close: whether to close the descriptor at the end.
    """

    def __init__(self, descriptor: int, close: bool) -> None:
        self._most = sys.maxsize
        mode = os.fstat(descriptor).st_mode
        if os.get_blocking(descriptor) and not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
            try:  # Linux has another one for us, that does not wait
                flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
                descriptor, close = os.open(f"/proc/self/fd/{descriptor}", flags), True
            except OSError:
                # A pipe that has room at all takes as much as this without waiting (POSIX).
                self._most = select.PIPE_BUF
        self._descriptor = descriptor
        self._close = close
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def fileno(self) -> int:
        return self._descriptor

    def write(self, data: bytes | memoryview) -> int:
        with suppress(BlockingIOError):
            if self._poll.poll(0):
                return os.write(self._descriptor, data[: self._most])
        return 0

    def write_stray(self, data: bytes) -> None:
        self.write(data)

    def keep(self) -> bool:
        if self._close:
            os.close(self._descriptor)
        return False

    def give_up(self) -> None:
        with suppress(OSError):  # what does not get there is why it is given up
            self.keep()
