"""What -d sends."""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface.verify import verifyObject

from hello_service.cli.fetch.body import PIECE, Body, Data, File, body_from
from hello_service.values import BadValue


class Consumer:
    """Takes bytes."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data


class BodyTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.consumer = Consumer()
        self.folder = Path(self.enterContext(TemporaryDirectory()))

    def begin(self, body: Body) -> Any:
        """Start a producer; return what it promises."""
        self.producer: Any = body.producer(self.reactor)
        verifyObject(IBodyProducer, self.producer)
        return self.producer.startProducing(self.consumer)

    def turn(self) -> None:
        """Let the reactor find something to read, if it looks for that."""
        for reader in list(self.reactor.getReaders()):
            reader.doRead()

    def whole(self, body: Body) -> bytes:
        """Return what is sent."""
        self.consumer.data = b""
        done = self.begin(body)
        while self.reactor.getReaders():
            self.turn()
        self.successResultOf(done)
        return self.consumer.data

    def file(self, content: bytes) -> Path:
        path = self.folder / "file"
        path.write_bytes(content)
        return path


class ValueTests(BodyTestCase):
    """What is written after -d."""

    def data(self, *texts: str) -> bytes:
        body = body_from(texts)
        assert isinstance(body, Data)
        return body.data

    def test_data(self) -> None:
        """Data is sent as it was typed, joined like the fields of a form."""
        self.assertEqual(self.data("a=b"), b"a=b")
        self.assertEqual(self.data(""), b"")
        self.assertEqual(self.data("a=b", "", "c=\udcff"), b"a=b&&c=\xff")
        self.assertIsNone(body_from([]))

    def test_file(self) -> None:
        """A file is sent as it is."""
        path = self.file(b"a\r\n\0b\n")
        body = body_from([f"@{path}"])
        assert body
        self.assertEqual(self.whole(body), b"a\r\n\0b\n")

    def test_wrong(self) -> None:
        """What cannot be read is told at once."""
        for name, reason in (
            ("missing", "No such file or directory"),
            ("", "No such file or directory"),
            (str(self.folder), "Is a directory"),
            (f"{self.file(b'')}/x", "Not a directory"),
        ):
            error = self.assertRaises(BadValue, body_from, [f"@{name}"])
            self.assertEqual(str(error), f"{name!r} cannot be read ({reason}): check its name.")
        for texts in (["@a", "b"], ["b", "@a"]):
            self.assertIn("give it once", str(self.assertRaises(BadValue, body_from, texts)))

    def test_closed_input(self) -> None:
        """Standard input that the shell has closed is not taken for an empty body."""
        self.patch(sys, "stdin", None)
        error = self.assertRaises(BadValue, body_from, ["@-"])
        self.assertIn("Standard input is closed: write -d @FILE", str(error))


class ProducerTests(BodyTestCase):
    """How it is sent."""

    def pipe(self) -> tuple[File, BinaryIO]:
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        return File(reader), self.enterContext(open(writer, "wb", buffering=0))

    def open(self, path: Path) -> int:
        descriptor = os.open(path, os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        return descriptor

    def test_data(self) -> None:
        """Data is sent at once, as often as it is asked for."""
        body = Data(b"ab")
        for _ in range(2):
            self.assertEqual(self.whole(body), b"ab")
        self.assertEqual(self.producer.length, 2)
        self.producer.pauseProducing()
        self.producer.resumeProducing()
        self.producer.stopProducing()
        self.assertTrue(body.is_kept)

    def test_file(self) -> None:
        """A file is sent from where it was, as often as it is asked for."""
        descriptor = self.open(self.file(b"0123456789"))
        os.lseek(descriptor, 4, os.SEEK_SET)
        body = File(descriptor)
        for _ in range(2):
            self.assertEqual(self.whole(body), b"456789")
            self.assertEqual(self.producer.length, 6)
        self.assertTrue(body.is_kept)

    def test_file_in_pieces(self) -> None:
        """No more of a file is held than one piece."""
        done = self.begin(File(self.open(self.file(bytes(2 * PIECE)))))
        for pieces in (1, 2):
            self.turn()
            self.assertEqual(len(self.consumer.data), pieces * PIECE)
        self.turn()
        self.successResultOf(done)
        self.assertEqual(self.reactor.getReaders(), [])

    def test_file_that_grows(self) -> None:
        """What is added later is left out: the length is told already."""
        path = self.file(b"abc")
        body = File(self.open(path))
        done = self.begin(body)
        path.write_bytes(b"abcdef")
        self.turn()
        self.turn()
        self.successResultOf(done)
        self.assertEqual(self.consumer.data, b"abc")

    def test_file_cut_before_its_start(self) -> None:
        """A file that has lost even its beginning has nothing to send."""
        path = self.file(b"abc")
        descriptor = self.open(path)
        os.lseek(descriptor, 2, os.SEEK_SET)
        body = File(descriptor)
        path.write_bytes(b"")
        self.assertEqual(self.whole(body), b"")
        self.assertEqual(self.producer.length, 0)

    def test_pipe(self) -> None:
        """A pipe is passed on as it comes, and never waited for."""
        body, writer = self.pipe()
        done = self.begin(body)
        self.assertFalse(body.is_kept)
        self.assertEqual(self.producer.length, UNKNOWN_LENGTH)
        self.turn()
        self.assertEqual(self.consumer.data, b"")
        writer.write(b"a")
        self.turn()
        self.assertEqual(self.consumer.data, b"a")
        writer.write(b"b")
        writer.close()
        self.turn()
        self.assertNoResult(done)
        self.turn()
        self.successResultOf(done)
        self.assertEqual(self.consumer.data, b"ab")
        self.assertEqual(self.reactor.getReaders(), [])

    def test_pipe_that_hangs_up(self) -> None:
        """Its end may be told in place of something to read."""
        body, writer = self.pipe()
        done = self.begin(body)
        (reader,) = self.reactor.getReaders()
        writer.close()
        reader.connectionLost(Failure(ConnectionDone()))
        self.successResultOf(done)
        self.assertEqual(reader.logPrefix(), "body")

    def test_paused(self) -> None:
        """Nothing is read while the connection takes nothing."""
        body, writer = self.pipe()
        self.begin(body)
        writer.write(b"a")
        self.producer.pauseProducing()
        self.assertEqual(self.reactor.getReaders(), [])
        self.producer.resumeProducing()
        (reader,) = self.reactor.getReaders()
        self.assertEqual(reader.fileno(), body._descriptor)
        self.turn()
        self.assertEqual(self.consumer.data, b"a")
        self.producer.stopProducing()
        self.assertEqual(self.reactor.getReaders(), [])

    def test_error(self) -> None:
        """What cannot be read on is an error."""
        done = self.begin(File(os.open(self.folder, os.O_RDONLY)))
        self.turn()
        self.failureResultOf(done, IsADirectoryError)
        self.assertEqual(self.reactor.getReaders(), [])
