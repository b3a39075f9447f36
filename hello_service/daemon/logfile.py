"""The file of twistd's C{--logfile}: rotated as twistd does, and reopened for other programs."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from twisted.logger import Logger

from hello_service.daemon.output import OpenOutput, Output

ROTATE_SIZE = 1_000_000
"""Bytes of a file at which it is rotated, which is twistd's size."""

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY


def open_log(name: str) -> Output:
    """Open what C{--logfile} names: a file, or a device or FIFO, which is never renamed.

    @raises ValueError: with a sentence, if no log can be written there.
    """
    path = Path(name).absolute()
    try:
        descriptor = os.open(path, _FLAGS, 0o666)
    except OSError as error:
        raise ValueError(_why_not(name, path, error)) from None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return LogFile(path, descriptor)
    return OpenOutput(descriptor)


def _why_not(name: str, path: Path, error: OSError) -> str:
    match error.errno:
        case errno.ENOENT if not path.parent.exists():
            return (
                f"The folder of the log, {str(path.parent)!r}, does not exist: make it, or name"
                " another file with --logfile."
            )
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return (
                f"This user may not write the log {name!r}: name a file that it may write with"
                " --logfile, in a folder that it may write, too."
            )
        case errno.EISDIR:
            return f"The log {name!r} is a folder: name a file in it with --logfile."
        case errno.ENXIO if path.is_fifo():
            return f"Nobody reads the FIFO {name!r}, the log: start its reader first."
        case errno.ENXIO:
            return (
                f"The log {name!r} is a socket: name a file with --logfile, or log to standard"
                " output with --nodaemon and without --logfile."
            )
    return f"The log {name!r} cannot be opened ({error.strerror}): name another with --logfile."


class LogFile:
    """A regular file, whose older parts are C{PATH.1}, C{PATH.2} and so on.

    A new file has the mode and, where this process may give it, the owner of the one before.

    @param descriptor: the file, open for appending.
    """

    _log = Logger()

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._open(descriptor)

    def _open(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._output = OpenOutput(descriptor)
        self._size = os.fstat(descriptor).st_size

    def write(self, data: bytes) -> int:
        """Rotate the file if it is time, then write.

        @raises OSError: if nothing can be written.
        """
        if self._size >= ROTATE_SIZE:
            self._size = 0  # one that cannot be rotated is written to as long again
            self.rotate()
        written = self._output.write(data)
        self._size += written
        return written

    def wait(self, seconds: float) -> bool:
        """Return that waiting is of no use: a disk that is full stays so."""
        return False

    def rotate(self) -> None:
        """Rename the file to C{PATH.1}, older ones to the next number each, and begin a new one.

        If another program has renamed the file, it is only opened anew.
        """
        try:
            if self._is_there():
                for number in sorted(self._numbers(), reverse=True):
                    os.rename(f"{self._path}.{number}", f"{self._path}.{number + 1}")
                os.rename(self._path, f"{self._path}.1")
            self._begin()
        except OSError as error:
            self._log.warn("Cannot rotate the log: {why}.", why=error.strerror)

    def reopen(self) -> None:
        """Open the file by its name again, for another program may have renamed it.

        @raises OSError: if it cannot be opened; it goes on with the one that it has.
        """
        self._begin()

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self._path))
        except FileNotFoundError:
            return False

    def _numbers(self) -> Iterator[int]:
        for path in self._path.parent.iterdir():
            name, _, number = path.name.rpartition(".")
            if name == self._path.name and number.isdecimal():
                yield int(number)

    def _begin(self) -> None:
        old = os.fstat(self._descriptor)
        try:
            descriptor = os.open(self._path, _FLAGS | os.O_EXCL, 0)
        except FileExistsError:
            descriptor = os.open(self._path, _FLAGS)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise
            self._open(descriptor)
            return
        for owner, group in ((-1, old.st_gid), (old.st_uid, -1)):
            with suppress(PermissionError):
                os.fchown(descriptor, owner, group)
        os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
        self._open(descriptor)
