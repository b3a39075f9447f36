"""Tests of L{hello_service.cli.fetch.saving}."""

import errno
import fcntl
import os
import resource
import stat
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hello_service.cli.fetch.new_file import NewFile
from hello_service.cli.fetch.part import NOTE
from hello_service.cli.fetch.saving import (
    NAME_LIMIT,
    Place,
    kept_part,
    name_from_target,
    place_at,
)
from hello_service.cli.fetch.source import Source


class NameTests(SynchronousTestCase):
    """Names of files that URLs suggest."""

    def test_names(self) -> None:
        """A name is the last segment, made harmless."""
        for target, name in (
            ("/", "index.html"),
            ("/a/", "index.html"),
            ("/?a/b", "index.html"),
            ("/a/page.html?q=/x", "page.html"),
            ("/a%20b%C3%BC", "a bü"),
            ("/..", "_."),
            ("/.", "_"),
            ("/.bashrc", "_bashrc"),
            ("/-o", "_o"),
            ("/-", "_"),
            ("/..%2f..%2fetc%2fpasswd", "_._.._etc_passwd"),
            ("/%2fetc%2fpasswd", "_etc_passwd"),
            ("/a%5c..%5cb", "a_.._b"),
            ("/a%00b%0a%1b[0m%7f", "a_b__[0m_"),
            ("/%ff", "�"),
            ("/%C2%9B", "_"),
            ("/a%E2%80%AEgnp.exe", "a_gnp.exe"),
            ("/a%E2%80%8Bb", "a_b"),
        ):
            self.assertEqual(name_from_target(target), name)

    def test_long(self) -> None:
        """A name fits a file system, its .part included."""
        name = name_from_target("/" + "ü" * 999)
        self.assertEqual(len(name.encode()), NAME_LIMIT)

    @given(st.text())
    def test_any(self, target: str) -> None:
        """No name leads out of the folder."""
        name = name_from_target("/" + target)
        self.assertEqual(Path(name).name, name)
        self.assertNotIn(name[0], ".-")
        self.assertNotIn("\0", name)


class PlaceTests(SynchronousTestCase):
    """Where bodies go."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        self.path = self.folder / "page"
        self.part = self.folder / "page.part"

    def left(self, place: Place) -> str:
        """Give a body up; return what is said of what is left."""
        left = place.give_up()
        assert left
        self.assertEqual(Path(left.file).stat().st_size, left.size)
        return left.sentence

    def test_whole(self) -> None:
        """A file appears when it is whole, with the usual permissions."""
        place = place_at(self.path)
        place.write(b"hel")
        self.assertFalse(self.path.exists())
        self.assertEqual(self.part.read_bytes(), b"hel")
        self.assertTrue(os.path.samestat(os.fstat(place.fileno()), self.part.stat()))
        place.write(b"lo")
        place.keep()
        self.assertEqual(self.path.read_bytes(), b"hello")
        self.assertFalse(self.part.exists())
        umask = os.umask(0)
        os.umask(umask)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o666 & ~umask)

    def test_broken(self) -> None:
        """What arrived stays in the other file, and the one that was there is not touched."""
        self.path.write_bytes(b"old")
        place = place_at(self.path)
        place.write(b"hel")
        self.assertIn("3 bytes", self.left(place))
        self.assertEqual(self.path.read_bytes(), b"old")
        self.assertEqual(self.part.read_bytes(), b"hel")

    def test_nothing(self) -> None:
        """Where nothing arrived nothing is left."""
        self.assertIsNone(NewFile(self.path).give_up())
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_taken(self) -> None:
        """What arrived stays where its name was taken by a folder meanwhile."""
        place = place_at(self.path)
        place.write(b"hello")
        self.path.mkdir()
        self.assertRaises(OSError, place.keep)
        self.assertIn("5 bytes", self.left(place))
        self.assertEqual(self.part.read_bytes(), b"hello")

    def test_replaced(self) -> None:
        """A file is replaced by a whole one, and so is an older part."""
        self.path.write_bytes(b"old")
        self.part.write_bytes(b"older and longer")
        place = place_at(self.path)
        place.write(b"new")
        place.keep()
        self.assertEqual(self.path.read_bytes(), b"new")

    def test_two_at_once(self) -> None:
        """What is being written is not written by another, and loses nothing by its trying."""
        first = NewFile(self.path)
        first.write(b"hel")
        error = self.assertRaises(OSError, NewFile, self.path)
        self.assertEqual((error.errno, error.filename), (errno.EBUSY, str(self.part)))
        first.write(b"lo")
        first.keep()
        self.assertEqual(self.path.read_bytes(), b"hello")

    def test_two_one_after_the_other(self) -> None:
        """A file that got its name before it could be locked is not touched any more."""

        def renamed(*_: object) -> None:
            self.part.rename(self.path)

        def begun_anew(*_: object) -> None:
            renamed()
            self.part.write_bytes(b"other")

        for late in (renamed, begun_anew):
            self.part.write_bytes(b"hello")
            self.patch(fcntl, "flock", late)
            self.assertRaises(OSError, NewFile, self.path)
            self.assertEqual(self.path.read_bytes(), b"hello")

    def test_planted_fifo(self) -> None:
        """What is written beside the file is a file, and nothing else is waited for."""
        os.mkfifo(self.part)
        self.assertRaises(OSError, place_at, self.path)
        reader = os.open(self.part, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        self.assertRaises(OSError, place_at, self.path)

    def test_folder(self) -> None:
        """A folder is no place, nor is one that is missing."""
        self.assertRaises(IsADirectoryError, place_at, self.folder)
        self.assertRaises(FileNotFoundError, place_at, self.folder / "no" / "page")

    def test_link(self) -> None:
        """What a link leads to is replaced, not the link."""
        target = self.folder / "target"
        target.write_bytes(b"old")
        self.path.symlink_to(target)
        place = place_at(self.path)
        place.write(b"new")
        place.keep()
        self.assertEqual(target.read_bytes(), b"new")
        self.assertTrue(self.path.is_symlink())

    def test_circle_of_links(self) -> None:
        """A link that leads to itself is no place."""
        self.path.symlink_to(self.path)
        self.assertRaises(OSError, place_at, self.path)

    def test_full(self) -> None:
        """What could still be written is counted."""
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, limits)
        place = place_at(self.path)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5, limits[1]))
        self.assertEqual(place.write(b"hello, world"), 5)
        self.assertRaises(OSError, place.write, b", world")
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        self.assertIn("5 bytes", self.left(place))

    def test_late_error(self) -> None:
        """What a file system says only at a close keeps the file that was there."""

        def close(descriptor: int) -> None:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")

        self.path.write_bytes(b"old")
        place = place_at(self.path)
        place.write(b"new")
        patch = self.patch(os, "close", close)
        self.assertRaises(OSError, place.keep)
        patch.restore()
        self.assertIn("3 bytes", self.left(place))
        self.assertEqual(self.path.read_bytes(), b"old")
        self.assertEqual(self.part.read_bytes(), b"new")

    def test_planted_link(self) -> None:
        """What is written beside the file does not follow a link."""
        self.part.symlink_to(self.folder / "elsewhere")
        self.assertRaises(OSError, place_at, self.path)

    def test_fifo_without_a_reader(self) -> None:
        """A FIFO that nobody reads is not waited for."""
        os.mkfifo(self.path)
        self.assertRaises(OSError, place_at, self.path)

    def test_device(self) -> None:
        """A pipe is written to, not replaced; so is a device."""
        os.mkfifo(self.path)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        place = place_at(self.path)
        place.write(b"hello")
        place.keep()
        self.assertEqual(os.read(reader, 9), b"hello")
        self.assertTrue(stat.S_ISFIFO(self.path.stat().st_mode))

    def test_link_to_a_pipe(self) -> None:
        """A pipe is written to by whatever name, as by /dev/stdout."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        self.path.symlink_to(f"/dev/fd/{writer}")
        place = place_at(self.path)
        place.write(b"hello")
        place.keep()
        self.assertEqual(os.read(reader, 9), b"hello")

    def test_permissions_stay(self) -> None:
        """Who may not read the file that is replaced may not read the new one."""
        self.path.write_bytes(b"old")
        self.path.chmod(0o600)
        place = place_at(self.path)
        place.write(b"new")
        place.keep()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_no_more_than_permissions_stay(self) -> None:
        """What the page can do must not be what another file was trusted with."""
        umask = os.umask(0)
        os.umask(umask)
        self.path.write_bytes(b"old")
        self.path.chmod(0o4755)
        place_at(self.path).keep()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o755)
        self.path.chmod(0o777)
        self.patch(os, "geteuid", lambda: self.path.stat().st_uid + 1)
        place_at(self.path).keep()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o666 & ~umask)


SOURCE = Source("digest", '"tag"', 10)


class EarlierTryTests(SynchronousTestCase):
    """What an earlier try has kept."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        self.path = self.folder / "page"
        self.part = self.folder / "page.part"
        self.part.write_bytes(b"earlier")

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}

    def test_shorter(self) -> None:
        """What is not longer is dropped, or not even there."""
        for body, said in ((b"later", r"^What arrived \(5 bytes\) is dropped"), (b"", "^'/")):
            place = place_at(self.path)
            place.write(body)
            left = place.give_up()
            assert left
            self.assertRegex(left.sentence, said)
            self.assertIn("page.part' still has the 7 bytes of an earlier try.", left.sentence)
            self.assertEqual((left.file, left.size), (str(self.part), 7))
            self.assertEqual(self.files(), {"page.part": b"earlier"})

    def test_killed(self) -> None:
        """A process that is killed leaves the longer of the two, which is called the part."""
        place = NewFile(self.path, source=SOURCE)
        place.write(b"later..")
        self.assertEqual(self.part.read_bytes(), b"earlier")
        place.write(b".")
        self.assertEqual(self.files(), {"page.part": b"later..."})
        self.assertRaises(OSError, NewFile, self.path)
        left = place.give_up()
        assert left
        self.assertRegex(left.sentence, r"part': --continue goes on from there\.$")

    def test_after_one_was_killed(self) -> None:
        """What was shorter than the part is begun anew, with a note of its own."""
        short = self.folder / "page.part.new"
        short.write_bytes(b"short")
        os.setxattr(short, NOTE, SOURCE.written())
        place = NewFile(self.path)
        place.write(b"longest of all")
        self.assertEqual(self.files(), {"page.part": b"longest of all"})
        place.give_up()
        part = kept_part(self.path)
        assert part
        self.assertIsNone(part.source)
        part.close()

    def test_whole(self) -> None:
        """A page that is whole is kept in place of any part."""
        place = place_at(self.path)
        place.write(b"page")
        self.assertFalse(place.keep())
        self.assertEqual(self.files(), {"page": b"page"})
        again = place_at(self.path)
        self.assertTrue(again.keep())

    def test_page_of_an_error(self) -> None:
        """An answer that is not the page takes nothing of it away."""
        place = NewFile(self.path, is_page=False)
        place.write(b"Service Unavailable")
        place.keep()
        self.assertEqual(self.files(), {"page": b"Service Unavailable", "page.part": b"earlier"})
        place = NewFile(self.path, is_page=False)
        place.write(b"Service Unavailable")
        place.give_up()
        self.assertEqual(self.files()["page.part"], b"earlier")

    def test_goes_on(self) -> None:
        """A body is appended; what is none of it is not."""
        part = kept_part(self.path)
        assert part
        part.source = SOURCE
        place = NewFile(self.path, part, start=7)
        place.write(b" later")
        place.write_stray(b"not this")
        self.assertRaises(OSError, NewFile, self.path)
        left = place.give_up()
        assert left
        self.assertEqual((left.size, self.files()), (13, {"page.part": b"earlier later"}))
        part = kept_part(self.path)
        assert part
        self.assertEqual(part.source, SOURCE)
        place = NewFile(self.path, part, start=13)
        place.keep()
        self.assertRaises(OSError, os.getxattr, self.path, NOTE)
        self.assertEqual(self.files(), {"page": b"earlier later"})

    def test_stray(self) -> None:
        """What ends in bytes that are none of the page is not gone on with."""
        self.part.unlink()
        place = NewFile(self.path, source=SOURCE)
        place.write(b"page")
        place.write_stray(b"<html>")
        left = place.give_up()
        assert left
        self.assertNotIn("--continue", left.sentence)
        self.assertEqual(self.files(), {"page.part": b"page<html>"})

    def test_no_room_beside(self) -> None:
        """Where nothing can be written beside the part, the part is free again."""
        (self.folder / "page.part.new").mkdir()
        self.assertRaises(OSError, NewFile, self.path)
        part = kept_part(self.path)
        assert part
        part.close()

    def test_nothing_kept(self) -> None:
        """An empty part is nothing to go on with, nor is what is beside a pipe."""
        self.part.write_bytes(b"")
        self.assertIsNone(kept_part(self.path))
        self.part.unlink()
        self.assertIsNone(kept_part(self.path))
        self.part.write_bytes(b"earlier")
        os.mkfifo(self.path)
        self.assertIsNone(kept_part(self.path))

    def test_no_attributes(self) -> None:
        """Where files have no attributes, no note is kept, and nothing else fails."""

        def fail(*_: object) -> bytes:
            raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

        for name in ("getxattr", "setxattr", "removexattr"):
            self.patch(os, name, fail)
        self.part.unlink()
        place = NewFile(self.path, source=SOURCE)
        place.write(b"page")
        left = place.give_up()
        assert left
        self.assertNotIn("--continue", left.sentence)
