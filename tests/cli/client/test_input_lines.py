import os

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.testing import MemoryReactor
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hello_service.cli.client.input_lines import InputLines


class InputLinesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactor()
        read, self.write = os.pipe()
        self.addCleanup(os.close, read)
        self.lines = InputLines(self.reactor, read, 10)

    def next(self) -> Deferred[bytes]:
        return Deferred.fromCoroutine(self.lines.__anext__())

    def test_interface(self) -> None:
        self.addCleanup(os.close, self.write)
        verifyObject(IReadDescriptor, self.lines)
        self.assertEqual(self.lines.logPrefix(), "input")

    def test_lines_as_they_come(self) -> None:
        self.addCleanup(os.close, self.write)
        first = self.next()
        self.assertEqual(self.reactor.getReaders(), [self.lines])
        os.write(self.write, b"a")
        self.lines.doRead()
        self.assertNoResult(first)
        os.write(self.write, b"b\r\n\nc\nd")
        self.lines.doRead()
        self.assertEqual(self.successResultOf(first), b"ab\r")
        self.assertEqual(self.successResultOf(self.next()), b"")
        self.assertEqual(self.successResultOf(self.next()), b"c")
        self.assertEqual(self.reactor.getReaders(), [])

    def test_the_last_line_needs_no_end(self) -> None:
        os.write(self.write, b"a\nb")
        os.close(self.write)
        first = self.next()
        self.lines.doRead()
        self.assertEqual(self.successResultOf(first), b"a")
        second = self.next()
        self.lines.doRead()
        self.assertEqual(self.successResultOf(second), b"b")
        self.failureResultOf(self.next(), StopAsyncIteration)

    def test_of_a_line_too_long_comes_the_beginning(self) -> None:
        self.addCleanup(os.close, self.write)
        line = self.next()
        for _ in range(2):
            self.assertNoResult(line)
            os.write(self.write, b"123456")
            self.lines.doRead()
        self.assertEqual(self.successResultOf(line), b"123456" * 2)

    def test_a_pipe_that_the_reactor_finds_closed(self) -> None:
        os.close(self.write)
        line = self.next()
        self.lines.connectionLost(Failure(CONNECTION_DONE))
        self.failureResultOf(line, StopAsyncIteration)
        self.assertEqual(self.reactor.getReaders(), [])

    def test_cancelling_stops_the_reading(self) -> None:
        self.addCleanup(os.close, self.write)
        line = self.next()
        line.cancel()
        self.failureResultOf(line, CancelledError)
        self.assertEqual(self.reactor.getReaders(), [])
