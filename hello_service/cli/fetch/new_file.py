"""A file that only appears whole, and what is left of one that does not."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hello_service.cli.fetch.part import Part
from hello_service.cli.fetch.source import Source


@dataclass(frozen=True)
class Left:
    """What is left of a body that is not whole.

    @ivar file: its name.
    @ivar size: its bytes.
    @ivar sentence: says so to the user.
    """

    file: str
    size: int
    sentence: str


class NewFile:
    """A file that is written as C{NAME.part}, and gets its name when it is whole.

    What an earlier try has kept as C{NAME.part} stays until there is more: up to then, this file
    is C{NAME.part.new}.
    """

    def __init__(
        self,
        path: Path,
        part: Part | None = None,
        *,
        start: int = 0,
        source: Source | None = None,
        is_page: bool = True,
    ) -> None:
        """
        @param part: C{NAME.part}, if it is locked already.
        @param start: goes on after these bytes, which are all that the part has; 0 begins anew.
        @param source: what the file is a part of, for another try to go on with.
        @param is_page: whether what is kept is to give way to it, and not the page of an error.
        """
        self._path = path
        self._start = start
        self._is_page = is_page
        self._kept: Part | None = None
        self._part = part or Part(beside(path, ".part"))
        if start:
            return
        if self._part.size:
            self._kept = self._part
            try:
                self._part = Part(beside(path, ".part.new"))
            except OSError:
                self._kept.close()
                raise
        self._part.empty()
        self._part.source = source

    def fileno(self) -> int:
        return self._part.fileno()

    def write(self, data: bytes | memoryview) -> int:
        count = self._part.write(data)
        self.grow(count)
        return count

    def grow(self, count: int) -> None:
        """Count bytes that were written to it, by us or by the kernel."""
        self._part.size += count
        if self._kept and self._is_page and self._part.size > self._kept.size:
            self._part.rename(self._kept.path)
            self._kept.close()
            self._kept = None

    def write_stray(self, data: bytes) -> None:
        if not self._start:
            self._part.source = None
            self.write(data)

    def keep(self) -> bool:
        part = self._part
        # Some file systems report only at a close that something could not be written.
        os.close(os.dup(part.fileno()))
        self._take_on_permissions()
        replaces = os.path.lexists(self._path)
        part.rename(self._path)
        part.source = None
        part.close()
        if self._kept:
            if self._is_page:
                self._kept.path.unlink()
            self._kept.close()
        return replaces

    def _take_on_permissions(self) -> None:
        """Give it the permissions of the file that it replaces, if that is ours."""
        with suppress(FileNotFoundError, PermissionError):  # not all file systems have permissions
            old = self._path.stat()
            if old.st_uid == os.geteuid():
                os.fchmod(self._part.fileno(), old.st_mode & 0o777)

    def give_up(self) -> Left | None:
        arrived = f"({self._part.size} bytes)"
        if self._kept or not self._part.size:
            self._part.remove()
        left = self._kept or self._part
        name, size = str(left.path), left.size
        more = ": --continue goes on from there" if size and left.source else ""
        left.close()
        if self._kept:
            sentence = f"{name!r} still has the {size} bytes of an earlier try{more}"
            if self._part.size:
                sentence = f"What arrived {arrived} is dropped, as {sentence}"
            return Left(name, size, f"{sentence}.")
        if not size:
            return None
        return Left(name, size, f"What arrived {arrived} is in {name!r}{more}.")


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
