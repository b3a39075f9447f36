"""The file of --logfile, as it is rotated, moved away and refused."""

import os
import socket
import stat
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SkipTest, TestCase

from hello_service.daemon.logfile import ROTATE_SIZE, LogFile, open_log

ANOTHER = 65534


class LogFileTestCase(TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        self.path = self.folder / "hello.log"
        self.addCleanup(os.umask, os.umask(0o022))

    def open(self) -> LogFile:
        output = open_log(str(self.path))
        assert isinstance(output, LogFile)
        return output

    def text(self, name: str = "hello.log") -> str:
        return (self.folder / name).read_text()

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def logged(self) -> EventLoggingObserver:
        """What is logged from now on."""
        return EventLoggingObserver.createWithCleanup(self, globalLogPublisher)


class RotateTests(LogFileTestCase):
    def test_the_names(self) -> None:
        (self.folder / "hello.log.1x").touch()
        (self.folder / "other.log.1").touch()
        log = self.open()
        for text in (b"one", b"two", b"three"):
            log.write(text)
            log.rotate()
        log.write(b"four")
        self.assertEqual(self.text(), "four")
        self.assertEqual([self.text(f"hello.log.{n}") for n in (1, 2, 3)], ["three", "two", "one"])
        self.assertEqual(len(self.names()), 6)

    def test_more_than_nine(self) -> None:
        (self.folder / "hello.log.9").write_text("nine")
        (self.folder / "hello.log.10").write_text("ten")
        self.open().rotate()
        self.assertEqual((self.text("hello.log.10"), self.text("hello.log.11")), ("nine", "ten"))

    def test_at_its_size(self) -> None:
        log = self.open()
        log.write(b"x" * (ROTATE_SIZE - 1))
        log.write(b"y")
        self.assertEqual(self.names(), ["hello.log"])
        log.write(b"z")
        self.assertEqual(self.text(), "z")
        self.assertEqual(len(self.text("hello.log.1")), ROTATE_SIZE)

    def test_what_was_there_counts(self) -> None:
        self.path.write_bytes(b"x" * ROTATE_SIZE)
        log = self.open()
        self.assertEqual(log.write(b"y"), 1)
        self.assertEqual(self.text(), "y")

    def test_it_is_appended_to(self) -> None:
        self.path.write_text("before ")
        log = self.open()
        log.write(b"after")
        self.assertEqual(self.text(), "before after")
        os.truncate(self.path, 0)  # logrotate's copytruncate
        log.write(b"anew")
        self.assertEqual(self.text(), "anew")

    def test_the_mode(self) -> None:
        for mode in (0o644, 0o640, 0o600, 0o666):
            self.path.touch()
            self.path.chmod(mode)
            log = self.open()
            os.umask(0o077)
            log.rotate()
            self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), mode)

    def test_the_mode_of_a_file_it_has_made(self) -> None:
        log = self.open()
        os.umask(0o077)
        log.rotate()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o644)

    def test_the_owner(self) -> None:
        if os.geteuid():
            raise SkipTest("only root may give files away")
        log = self.open()
        os.chown(self.path, ANOTHER, ANOTHER - 1)
        log.rotate()
        status = self.path.stat()
        self.assertEqual((status.st_uid, status.st_gid), (ANOTHER, ANOTHER - 1))

    def test_a_file_that_cannot_be_rotated(self) -> None:
        self.path = self.folder / ("x" * 254)  # two more would be too many
        log = self.open()
        events = self.logged()
        for _ in range(2):
            log.write(b"x" * ROTATE_SIZE)
            log.write(b"y")
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["Cannot rotate the log: File name too long."] * 2,
        )
        self.assertEqual(self.path.stat().st_size, 2 * ROTATE_SIZE + 2)

    def test_a_folder_that_is_gone(self) -> None:
        self.path = self.folder / "before" / "hello.log"
        self.path.parent.mkdir()
        log = self.open()
        self.path.parent.rename(self.folder / "after")
        events = self.logged()
        log.rotate()
        log.write(b"one")
        self.assertEqual(len(events), 1)
        self.assertEqual(self.text("after/hello.log"), "one")

    def test_waiting_is_of_no_use(self) -> None:
        self.assertFalse(self.open().wait(9))


class MovedTests(LogFileTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.log = self.open()
        self.log.write(b"before")

    def move(self) -> None:
        self.path.rename(self.folder / "moved")

    def assert_anew(self) -> None:
        self.log.write(b"after")
        self.assertEqual((self.text("moved"), self.text()), ("before", "after"))
        self.assertEqual(self.names(), ["hello.log", "moved"])

    def test_nobody_moved_it(self) -> None:
        self.log.reopen()
        self.log.write(b" after")
        self.assertEqual(self.text(), "before after")

    def test_reopen(self) -> None:
        self.path.chmod(0o640)
        self.move()
        self.log.reopen()
        self.assert_anew()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o640)

    def test_reopen_what_the_other_program_has_made(self) -> None:
        self.path.chmod(0o600)
        self.move()
        self.path.touch(0o644)
        self.log.reopen()
        self.assert_anew()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o644)

    def test_rotate_does_not_rename_another_file(self) -> None:
        self.move()
        self.log.rotate()
        self.assert_anew()

    def test_rotate_what_the_other_program_has_made(self) -> None:
        self.move()
        self.path.touch()
        self.log.rotate()
        self.assert_anew()

    def test_what_cannot_be_reopened(self) -> None:
        self.move()
        os.mkfifo(self.path)
        self.addCleanup(os.close, os.open(self.path, os.O_RDONLY | os.O_NONBLOCK))
        self.assertRaises(FileExistsError, self.log.reopen)
        self.log.write(b" after")
        self.assertEqual(self.text("moved"), "before after")


class OpenTests(LogFileTestCase):
    def refused(self, name: str) -> str:
        """Return the sentence about a path that is refused."""
        return str(self.assertRaises(ValueError, open_log, name)).replace(str(self.folder), "")

    def test_a_device_is_never_renamed(self) -> None:
        leader, terminal = os.openpty()
        self.addCleanup(os.close, leader)
        self.addCleanup(os.close, terminal)
        self.path.symlink_to(os.ttyname(terminal))
        log = open_log(str(self.path))
        self.assertNotIsInstance(log, LogFile)
        log.write(b"one")
        self.assertEqual(os.read(leader, 9), b"one")

    def test_a_fifo(self) -> None:
        os.mkfifo(self.path)
        self.assertEqual(
            self.refused(str(self.path)),
            "Nobody reads the FIFO '/hello.log', the log: start its reader first.",
        )
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        log = open_log(str(self.path))
        self.assertNotIsInstance(log, LogFile)
        log.write(b"one")
        self.assertEqual(os.read(reader, 9), b"one")

    def test_a_folder(self) -> None:
        self.assertEqual(
            self.refused(str(self.folder)),
            "The log '' is a folder: name a file in it with --logfile.",
        )

    def test_a_folder_that_is_not_there(self) -> None:
        self.assertEqual(
            self.refused(str(self.folder / "missing" / "hello.log")),
            "The folder of the log, '/missing', does not exist: make it, or name another file"
            " with --logfile.",
        )

    def test_a_socket(self) -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(self.path))
            self.assertRegex(
                self.refused(str(self.path)),
                "^The log '/hello.log' is a socket: name a file with --logfile, or ",
            )

    def test_a_right_that_is_missing(self) -> None:
        self.path.touch(0o400)
        self.folder.chmod(0o555)
        if os.geteuid() == 0:
            os.seteuid(ANOTHER)
            self.addCleanup(os.seteuid, 0)
        for name in ("hello.log", "new.log"):
            self.assertRegex(
                self.refused(str(self.folder / name)),
                f"^This user may not write the log '/{name}': name a file ",
            )

    def test_another_reason(self) -> None:
        self.path.touch()
        self.assertEqual(
            self.refused(str(self.path / "file")),
            "The log '/hello.log/file' cannot be opened (Not a directory): name another with"
            " --logfile.",
        )
