"""A body saved to a file that only appears whole."""

import errno
import fcntl
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import unquote

from hello_service.cli.open_stream import OpenStream

NAME_LIMIT = 200
"""Bytes of a name taken from a URL: file systems take 255, and C{.part} has to fit."""


def name_from_target(target: str) -> str:
    """Return the name of a file in this folder for a URL's path and query.

    It is the path's last segment, or C{index.html}. It is never hidden, never an option, and has
    nothing in it that leads elsewhere, drives a terminal, or is not seen.
    """
    segment = unquote(target.partition("?")[0].rpartition("/")[2], errors="replace")
    name = "".join(c if c.isprintable() and c not in "/\\" else "_" for c in segment)
    if name[:1] in (".", "-"):
        name = f"_{name[1:]}"
    encoding = sys.getfilesystemencoding()
    encoded = name.encode(encoding, "replace")[:NAME_LIMIT]
    return encoded.decode(encoding, "ignore") or "index.html"


class Place(Protocol):
    """Where a body goes."""

    def fileno(self) -> int:
        """Return the descriptor to write to."""

    def write(self, data: bytes | memoryview) -> int:
        """Write as many of these bytes as there is room for now; return how many."""

    def keep(self) -> None:
        """Finish a body that is whole."""

    def give_up(self) -> str:
        """Finish a body that is not whole; return a sentence that says what is left, if any is."""


class NewFile:
    """A file that is written as C{NAME.part}, and gets its name when it is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self._file = _empty(self._part)
        self._size = 0

    def fileno(self) -> int:
        return self._file.fileno()

    def write(self, data: bytes | memoryview) -> int:
        count = self._file.write(data)
        self._size += count
        return count

    def keep(self) -> None:
        with self._file:
            # Some file systems report only at a close that something could not be written.
            os.close(os.dup(self._file.fileno()))
            self._take_on_permissions()
            self._part.replace(self._path)

    def _take_on_permissions(self) -> None:
        """Give it the permissions of the file that it replaces, if that is ours."""
        with suppress(FileNotFoundError, PermissionError):  # not all file systems have permissions
            old = self._path.stat()
            if old.st_uid == os.geteuid():
                os.fchmod(self._file.fileno(), old.st_mode & 0o777)

    def give_up(self) -> str:
        if not self._size:
            self._part.unlink(missing_ok=True)
        self._file.close()
        if not self._size:
            return ""
        return f"What arrived ({self._size} bytes) is in {str(self._part)!r}."


def _empty(path: Path) -> BinaryIO:
    """Open a file that no other process of ours writes, and empty it.

    @raises OSError: if it cannot be written, or another process writes it.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    file = os.fdopen(os.open(path, flags, 0o666), "wb", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The process that had the lock until now may have renamed the file.
        if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
            raise BlockingIOError
        file.truncate()
    except OSError as error:
        file.close()
        if isinstance(error, BlockingIOError | FileNotFoundError):
            raise OSError(errno.EBUSY, "another process writes it", str(path)) from None
        raise
    return file


def place_at(path: Path) -> Place:
    """Return the place for a body at a path. A device or a pipe is written to, not replaced.

    @raises OSError: if nothing can be written there.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if stat.S_ISREG(mode):
        return NewFile(Path(os.path.realpath(path)) if path.is_symlink() else path)
    # A FIFO that nobody reads would keep us waiting: it fails instead.
    return OpenStream(os.open(path, os.O_WRONLY | os.O_NONBLOCK), close=True)
