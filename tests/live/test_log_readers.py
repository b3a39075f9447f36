"""A daemon whose log is not read, or not any more, or cannot be written at all."""

import fcntl
import os
import re
import select
import signal
import socket
import subprocess
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from tests.daemon.test_jsonlog import parse
from tests.processes import PATIENCE, ProcessTestCase, on_reactor, program, run

LOGGER = "--logger=hello_service.daemon.jsonlog.observer"
MANY = 200
"""Conversations whose records are more than a pipe of one page takes."""
TOO_MANY = 3000
"""Conversations whose records are more than the daemon keeps."""


class ReaderTestCase(ProcessTestCase):
    @contextmanager
    def logging_to(
        self, output: int, *log: str, prefix: tuple[str, ...] = ()
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Have a daemon log to a descriptor, which listens on C{hello.sock}."""
        name, *rest = on_reactor(("twistd", "--nodaemon", "--pidfile=", *log))
        notified = self.enterContext(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        notified.settimeout(PATIENCE)
        (self.folder / "notify").unlink(missing_ok=True)
        notified.bind(str(self.folder / "notify"))
        daemon = subprocess.Popen(
            [*prefix, program(name), *rest, "hello", "--listen=unix:hello.sock"],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            env=os.environ | {"NOTIFY_SOCKET": str(self.folder / "notify")},
        )
        with daemon:
            try:
                while notified.recv(4096) != b"READY=1":
                    pass
                yield daemon
            finally:
                daemon.kill()

    def talk(self, times: int = 1) -> None:
        """Have so many conversations."""
        for _ in range(times):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PATIENCE)
                client.connect(str(self.folder / "hello.sock"))
                self.assertEqual(client.recv(8), b"Welcome!")
                client.sendall(b"exit")
                self.assertEqual(client.recv(8), b"")

    def lines(self, reader: int) -> Iterator[bytes]:
        """Read whole lines."""
        rest = b""
        while True:
            ready, _, _ = select.select([reader], [], [], PATIENCE)
            piece = os.read(reader, 2**16) if ready else b""
            self.assertTrue(piece, f"nothing after {rest!r}")
            *lines, rest = (rest + piece).splitlines(keepends=True)
            if rest.endswith(b"\n"):
                lines, rest = [*lines, rest], b""
            yield from lines

    def read_until(self, lines: Iterator[bytes], pattern: bytes, count: int = 1) -> list[bytes]:
        """Read up to the line that is so many's last to match; return the lines."""
        read = []
        for line in lines:
            read.append(line)
            count -= bool(re.search(pattern, line))
            if not count:
                break
        return read

    def end(self, daemon: subprocess.Popen[bytes]) -> None:
        daemon.terminate()
        self.assertEqual(daemon.wait(PATIENCE), -signal.SIGTERM)


class PipeTests(ReaderTestCase):
    def pipe(self) -> tuple[int, int]:
        """Make a pipe with a page of room."""
        reader, writer = os.pipe()
        for end in (reader, writer):
            self.addCleanup(os.close, end)
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        return reader, writer

    def test_a_reader_that_reads_late(self) -> None:
        for log in ((), (LOGGER,)):
            reader, writer = self.pipe()
            with self.logging_to(writer, *log) as daemon:
                told = self.lines(reader)
                self.read_until(told, b"Waiting for connection")
                self.talk(MANY)
                lines = self.read_until(told, rb"closed\.", MANY)
                self.assertEqual(len(lines), 2 * MANY)
                for line in lines:
                    self.assertRegex(line, rb'^(\{"ts":")?20.*\n$')
                self.assertTrue(os.get_blocking(writer))
                self.end(daemon)

    def test_a_reader_that_reads_too_late(self) -> None:
        reader, writer = self.pipe()
        with self.logging_to(writer, LOGGER) as daemon:
            told = self.lines(reader)
            self.read_until(told, b"Waiting for connection")
            self.talk(TOO_MANY)
            lines = self.read_until(told, b'"event":"lost"')
            *records, lost = map(parse, lines)
            self.assertEqual(lost["level"], "warn")
            self.assertEqual(lost["message"], f"Records of the log lost: {lost['count']}.")
            self.talk()
            missing = 2 * (TOO_MANY + 1) - len(records) - lost["count"]
            self.assertEqual(len(self.read_until(told, b'"peer"', missing)), missing)
            self.end(daemon)

    def test_a_reader_that_never_reads(self) -> None:
        reader, writer = self.pipe()
        with self.logging_to(writer) as daemon:
            told = self.lines(reader)
            self.read_until(told, b"Waiting for connection")
            self.talk(MANY)
            self.end(daemon)

    def test_a_reader_that_goes(self) -> None:
        for log in ((), (LOGGER,)):
            reader, writer = os.pipe()
            with self.logging_to(writer, *log) as daemon:
                os.close(writer)
                told = self.lines(reader)
                self.read_until(told, b"Waiting for connection")
                os.close(reader)
                self.talk(MANY)
                self.end(daemon)


class TerminalTests(ReaderTestCase):
    def test_ctrl_s(self) -> None:
        for log in ((), (LOGGER,)):
            leader, terminal = os.openpty()
            self.addCleanup(os.close, leader)
            self.addCleanup(os.close, terminal)
            tty.setraw(terminal)
            with self.logging_to(terminal, *log) as daemon:
                told = self.lines(leader)
                self.read_until(told, b"Waiting for connection")
                termios.tcflow(terminal, termios.TCOOFF)
                self.talk(MANY)
                termios.tcflow(terminal, termios.TCOON)
                self.assertEqual(len(self.read_until(told, rb"closed\.", MANY)), 2 * MANY)
                self.end(daemon)


class SocketTests(ReaderTestCase):
    def test_a_reader_that_reads_late(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
            with self.logging_to(ours.fileno(), LOGGER) as daemon:
                told = self.lines(theirs.fileno())
                self.read_until(told, b"Waiting for connection")
                self.talk(MANY)
                lines = self.read_until(told, rb"closed\.", MANY)
                self.assertEqual(len(lines), 2 * MANY)
                self.end(daemon)


class NoOutputTests(ReaderTestCase):
    def test_closed(self) -> None:
        closed = ("sh", "-c", 'exec "$@" >&- 2>errors', "-")
        with self.logging_to(subprocess.DEVNULL, prefix=closed) as daemon:
            self.talk(MANY)
            self.end(daemon)
        self.assertEqual((self.folder / "errors").read_text(), "")


class LogfileTests(ReaderTestCase):
    def test_no_log_can_be_written_there(self) -> None:
        (self.folder / "folder").mkdir()
        os.mkfifo(self.folder / "fifo")
        for place, sentence in (
            ("folder", "The log 'folder' is a folder: name a file in it with --logfile."),
            ("fifo", "Nobody reads the FIFO 'fifo', the log: start its reader first."),
            (
                "none/hello.log",
                f"The folder of the log, '{self.folder}/none', does not exist: make it, or name"
                " another file with --logfile.",
            ),
        ):
            for way in ((), ("--nodaemon",)):
                started = run(
                    *("twistd", "--pidfile=hello.pid", f"--logfile={place}", *way, "hello"),
                    cwd=self.folder,
                )
                self.assertEqual((started.returncode, started.stdout), (1, ""))
                self.assertEqual(started.stderr, f"{sentence}\n")
                self.assertFalse((self.folder / "hello.pid").exists())

    def test_standard_output_in_the_background(self) -> None:
        started = run("twistd", "--logfile=-", "hello", cwd=self.folder)
        self.assertEqual((started.returncode, started.stdout), (1, ""))
        self.assertRegex(started.stderr, r"\A--logfile - is standard output, .* --nodaemon, .*\n\Z")

    def assert_logs_and_never_renames(self, name: str, reader: int) -> None:
        """Check a log, no regular file, that is read elsewhere."""
        before = sorted(os.listdir(self.folder))
        told = self.lines(reader)
        with self.logging_to(subprocess.DEVNULL, f"--logfile={name}") as daemon:
            self.talk()
            self.read_until(told, rb"closed\.")
            daemon.send_signal(signal.SIGUSR1)
            self.read_until(told, b"SIGUSR1 rotates the file of --logfile: there is none")
            daemon.send_signal(signal.SIGHUP)
            self.read_until(told, b"Reloaded nothing")
            self.end(daemon)
        self.assertLessEqual(set(os.listdir(self.folder)) - set(before), {"notify", "hello.sock"})
        self.assertTrue((self.folder / name).exists())

    def test_a_device(self) -> None:
        leader, terminal = os.openpty()
        self.addCleanup(os.close, leader)
        self.addCleanup(os.close, terminal)
        # What twistd itself would rename is this link, and not the device.
        (self.folder / "device").symlink_to(os.ttyname(terminal))
        self.assert_logs_and_never_renames("device", leader)

    def test_a_fifo(self) -> None:
        os.mkfifo(self.folder / "fifo")
        reader = os.open(self.folder / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        os.set_blocking(reader, True)
        self.assert_logs_and_never_renames("fifo", reader)
