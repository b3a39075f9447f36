"""A body saved to a file that only appears whole."""

import errno
import os
import stat
import sys
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

from hello_service.cli.fetch.new_file import Left, NewFile, beside
from hello_service.cli.fetch.part import Part
from hello_service.cli.open_stream import OpenStream

NAME_LIMIT = 200
"""Bytes of a name taken from a URL: file systems take 255, and C{.part.new} has to fit."""


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

    def write_stray(self, data: bytes) -> None:
        """Write bytes that came where the body should go on, and are none of it."""

    def keep(self) -> bool:
        """Finish a body that is whole; return whether it replaces a file."""

    def give_up(self) -> Left | None:
        """Finish a body that is not whole; return what is left, if anything is."""


def kept_part(path: Path) -> Part | None:
    """Lock and return what an earlier try has kept of a file, if there is something.

    @raises OSError: if it cannot be written, or another process writes it.
    """
    if not _is_file(path):
        return None
    part = beside(_written(path), ".part")
    return Part(part) if part.exists() and part.stat().st_size else None


def place_at(path: Path, part: Part | None = None, **file: Any) -> Place:
    """Return the place for a body at a path. A device or a pipe is written to, not replaced.

    @param part: what L{kept_part} returned.
    @param file: more for L{NewFile}.
    @raises OSError: if nothing can be written there.
    """
    if _is_file(path):
        return NewFile(_written(path), part, **file)
    # A FIFO that nobody reads would keep us waiting: it fails instead.
    return OpenStream(os.open(path, os.O_WRONLY | os.O_NONBLOCK), close=True)


def _is_file(path: Path) -> bool:
    """Whether a file is at a path, or can be.

    @raises OSError: if it is a folder, or cannot be told.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return True
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return stat.S_ISREG(mode)


def _written(path: Path) -> Path:
    """Return the path of the file itself, if a link leads to it."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path
