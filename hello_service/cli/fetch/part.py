"""C{FILE.part}: a file beside a page, with what has arrived of it."""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from hello_service.cli.fetch.source import Source

NOTE = "user.hello_fetch.source"
"""The extended attribute that says what a part is a part of.

It is of the file itself, so that one rename takes both along, and no note can be beside another
part than its own. A file system without such attributes keeps none.
"""


class Part:
    """A file that no other process of ours writes while this one does.

    @ivar size: bytes in it, as far as who writes them has counted them.
    """

    def __init__(self, path: Path) -> None:
        """
        @raises OSError: if it cannot be written, or another process writes it.
        """
        self.path = path
        self._file = _locked(path)
        self.size = self._file.tell()

    def fileno(self) -> int:
        return self._file.fileno()

    def write(self, data: bytes | memoryview) -> int:
        return self._file.write(data)

    def empty(self) -> None:
        """Begin it anew."""
        self._file.seek(0)
        self._file.truncate()
        self.size = 0

    @property
    def source(self) -> Source | None:
        """What it is a part of, if that is known."""
        try:
            return Source.read(os.getxattr(self.fileno(), NOTE))
        except (AttributeError, OSError):  # not all systems and file systems have them
            return None

    @source.setter
    def source(self, source: Source | None) -> None:
        with suppress(AttributeError, OSError):
            if source:
                os.setxattr(self.fileno(), NOTE, source.written())
            else:
                os.removexattr(self.fileno(), NOTE)

    def rename(self, path: Path) -> None:
        """Give it another name, in place of whatever has that."""
        self.path.replace(path)
        self.path = path

    def remove(self) -> None:
        """Remove and close it."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let others write it."""
        self._file.close()


def _locked(path: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    file = os.fdopen(os.open(path, flags, 0o666), "wb", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The process that had the lock until now may have renamed the file.
        if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
            raise BlockingIOError
        file.seek(0, os.SEEK_END)  # which fails for what is no file
    except OSError as error:
        file.close()
        if isinstance(error, BlockingIOError | FileNotFoundError):
            raise OSError(errno.EBUSY, "another process writes it", str(path)) from None
        raise
    return file
