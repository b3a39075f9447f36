"""Outputs that never make their writer wait."""

import errno
import gc
import os
import select
import socket
import termios
import tty
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.output import Output, output_on

LINE = b"x" * 999 + b"\n"


class OutputTestCase(SynchronousTestCase):
    def keep(self, descriptor: int) -> int:
        """Close a descriptor at the end of the test."""
        self.addCleanup(os.close, descriptor)
        return descriptor

    def pipe(self) -> tuple[int, int]:
        reader, writer = os.pipe()
        return self.keep(reader), self.keep(writer)

    def fill(self, output: Output) -> int:
        """Write until there is no room; return how many bytes there was room for."""
        size = 0
        while True:
            try:
                size += output.write(LINE)
            except BlockingIOError:
                return size

    def drain(self, reader: int, size: int) -> bytes:
        """Read so many bytes."""
        data = b""
        while len(data) < size:
            data += os.read(reader, size - len(data))
        return data

    def assert_never_waits(self, reader: int, writer: int, *descriptors: str) -> None:
        """Check an output that nobody reads for a while, and the descriptor it was made for."""
        output = output_on(writer, *descriptors)
        self.assertTrue(output.wait(0))
        size = self.fill(output)
        self.assertGreater(size, 1000)
        self.assertTrue(os.get_blocking(writer))
        self.assertEqual(set(self.drain(reader, size)), set(LINE))
        self.assertTrue(output.wait(0))
        self.assertEqual(output.write(b"after"), 5)
        self.assertEqual(os.read(reader, 9), b"after")


class OutputTests(OutputTestCase):
    def terminal(self) -> tuple[int, int]:
        leader, terminal = os.openpty()
        tty.setraw(terminal)
        return self.keep(leader), terminal

    def test_a_pipe(self) -> None:
        self.assert_never_waits(*self.pipe())

    def test_a_full_pipe(self) -> None:
        _, writer = self.pipe()
        output = output_on(writer)
        self.fill(output)
        self.assertFalse(output.wait(0))
        self.assertRaises(BlockingIOError, output.write, LINE)

    def test_a_fifo(self) -> None:
        path = Path(self.enterContext(TemporaryDirectory())) / "fifo"
        os.mkfifo(path)
        reader = self.keep(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        self.assert_never_waits(reader, self.keep(os.open(path, os.O_WRONLY)))

    def test_a_socket(self) -> None:
        for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
            ours, theirs = socket.socketpair(type=kind)
            with ours, theirs:
                output = output_on(ours.fileno())
                self.fill(output)
                self.assertRaises(BlockingIOError, output.write, LINE)
                self.assertTrue(ours.getblocking())
                self.assertEqual(theirs.recv(1000), LINE)

    def test_a_socket_by_tcp(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            ours = socket.create_connection(server.getsockname())
            theirs, _ = server.accept()
        with ours, theirs:
            self.assert_never_waits(theirs.fileno(), ours.fileno())

    def test_a_terminal(self) -> None:
        leader, terminal = self.terminal()
        self.assert_never_waits(leader, self.keep(terminal))

    def test_a_stopped_terminal(self) -> None:
        leader, terminal = self.terminal()
        self.keep(terminal)
        output = output_on(terminal)
        termios.tcflow(terminal, termios.TCOOFF)  # Ctrl+S
        self.assertRaises(BlockingIOError, output.write, LINE)
        termios.tcflow(terminal, termios.TCOON)
        self.assertEqual(output.write(LINE), len(LINE))
        self.assertEqual(self.drain(leader, len(LINE)), LINE)

    def test_a_terminal_that_is_left(self) -> None:
        leader, terminal = self.terminal()
        reader, writer = self.pipe()
        output = output_on(terminal)
        os.dup2(writer, terminal)
        self.keep(terminal)
        output.write(LINE)
        self.assertEqual(os.read(reader, 2000), LINE)
        os.set_blocking(leader, False)
        error = self.assertRaises(OSError, os.read, leader, 1)
        self.assertEqual(error.errno, errno.EIO)  # nobody has it

    def test_what_cannot_be_opened_anew(self) -> None:
        reader, writer = self.pipe()
        nowhere = self.enterContext(TemporaryDirectory())
        self.assert_never_waits(reader, writer, nowhere)
        output = output_on(writer, nowhere)
        self.assertEqual(output.write(b"x" * 2 * select.PIPE_BUF), select.PIPE_BUF)

    def test_a_file(self) -> None:
        path = Path(self.enterContext(TemporaryDirectory())) / "log"
        file = self.keep(os.open(path, os.O_WRONLY | os.O_CREAT))
        os.write(file, b"before ")
        output = output_on(file)
        output.write(LINE)
        os.write(file, b"after")
        self.assertEqual(path.read_bytes(), b"before " + LINE + b"after")

    def test_it_outlives_the_descriptor(self) -> None:
        for made in (os.pipe, lambda: tuple(end.detach() for end in socket.socketpair())):
            reader, writer = made()
            self.keep(reader)
            output = output_on(writer)
            os.close(writer)
            output.write(LINE)
            self.assertEqual(os.read(reader, 2000), LINE)

    def test_what_it_opened_goes_with_it(self) -> None:
        for made in (os.pipe, lambda: tuple(end.detach() for end in socket.socketpair())):
            reader, writer = made()
            self.keep(reader)
            output = output_on(writer)
            os.close(writer)
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                del output
                gc.collect()
            self.assertEqual([str(warning.message) for warning in told], [])
            os.set_blocking(reader, False)
            self.assertEqual(os.read(reader, 1), b"")

    def test_nobody_reads_any_more(self) -> None:
        reader, writer = os.pipe()
        self.keep(writer)
        output = output_on(writer)
        os.close(reader)
        self.assertRaises(BrokenPipeError, output.write, LINE)
        self.assertFalse(output.wait(0))
