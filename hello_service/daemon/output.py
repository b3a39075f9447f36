"""Outputs that a daemon writes to without waiting for whoever reads them.

C{O_NONBLOCK} belongs to the open file, not to the descriptor: on standard output it would hold for
the shell and every other process that shares the file. So a pipe or a terminal is opened anew.
"""

import os
import select
import socket
import stat
from typing import Protocol
from weakref import finalize


class Output(Protocol):
    """Where bytes go."""

    def write(self, data: bytes) -> int:
        """Write what there is room for; return how many bytes that was.

        @raises BlockingIOError: if there is no room now.
        @raises OSError: if nothing can be written.
        """

    def wait(self, seconds: float) -> bool:
        """Block until there is room; return whether there is."""


class OpenOutput:
    """A descriptor whose writes do not block, such as a regular file's.

    @param descriptor: closed when the output is no longer used.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self.close = finalize(self, os.close, descriptor)
        self.close.atexit = False

    def write(self, data: bytes) -> int:
        return os.write(self._descriptor, data)

    def wait(self, seconds: float) -> bool:
        return self._poll.poll(seconds * 1000) == [(self._descriptor, select.POLLOUT)]


class _SocketOutput(OpenOutput):
    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._socket = socket.socket(fileno=descriptor)
        finalize(self, self._socket.detach).atexit = False  # it runs before the close

    def write(self, data: bytes) -> int:
        return self._socket.send(data, socket.MSG_DONTWAIT)


class _PolledOutput(OpenOutput):
    """A pipe or a terminal that this user may not open, for it belongs to another one."""

    def write(self, data: bytes) -> int:
        if not self.wait(0):
            raise BlockingIOError
        # A pipe with any room takes this much without blocking (POSIX).
        return os.write(self._descriptor, data[: select.PIPE_BUF])


class _TerminalOutput:
    """A terminal, which it closes once C{given} leads elsewhere.

    A daemon that goes to the background turns C{given} into the null device, and must let its
    terminal go.
    """

    def __init__(self, terminal: OpenOutput, given: int) -> None:
        self._terminal = terminal
        self._given = given
        self.wait = terminal.wait

    def write(self, data: bytes) -> int:
        if os.isatty(self._given):
            return self._terminal.write(data)
        self._terminal.close()
        return os.write(self._given, data)


def output_on(given: int, descriptors: str = "/proc/self/fd") -> Output:
    """Make the output for an open descriptor, which stays the caller's.

    It outlives C{given}, which twistd closes when it goes to the background, unless that is a
    terminal.

    @param descriptors: where the system has open files by their descriptors, to be opened anew.
    """
    mode = os.fstat(given).st_mode
    if stat.S_ISSOCK(mode):
        return _SocketOutput(os.dup(given))
    if stat.S_ISREG(mode) or stat.S_ISBLK(mode):
        return OpenOutput(os.dup(given))
    output: OpenOutput
    try:  # Linux has another one for us, that does not block
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
        output = OpenOutput(os.open(f"{descriptors}/{given}", flags))
    except OSError:
        output = _PolledOutput(os.dup(given))
    return _TerminalOutput(output, given) if os.isatty(given) else output
