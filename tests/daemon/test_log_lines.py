"""A log whose reader reads, reads late, or reads no more."""

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from textwrap import dedent
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, LogLevel, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hello_service.daemon.log_lines import (
    QUEUE_LIMIT,
    READING_INTERVAL,
    RETRY_INTERVAL,
    LinesObserver,
    lasting_observer,
)
from hello_service.daemon.output import output_on
from tests.processes import PATIENCE


@implementer(IReactorFromThreads)
class Reactor(MemoryReactorClock):
    """Calls at once what another thread wants to have called."""

    def callFromThread(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> None:
        callable(*args, **kwargs)


class Room:
    """An output with so much room.

    @ivar error: what a write without room fails with.
    """

    def __init__(self, room: int = 0) -> None:
        self.room = room
        self.data = b""
        self.error: OSError = BlockingIOError()
        self.waited: list[float] = []

    def write(self, data: bytes) -> int:
        if not self.room:
            raise self.error
        taken = data[: self.room]
        self.data += taken
        self.room -= len(taken)
        return len(taken)

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        return bool(self.room)


def plain(event: dict[str, Any]) -> bytes:
    """Return an event's message as a line, of one that has a message."""
    message = formatEvent(event)
    return f"{message}\n".encode() if message else b""


class LinesTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()
        self.output = Room()
        self.observer = LinesObserver(self.reactor, self.output, plain)

    def log(self, *messages: str) -> None:
        for message in messages:
            self.observer({"log_format": message})

    def make_room(self, room: int = 2**30) -> None:
        """Have so much room, and let the reactor's time come."""
        self.output.room = room
        self.reactor.advance(RETRY_INTERVAL)

    def overflow(self, lost: int) -> int:
        """Log more than the queue takes; return how much that is."""
        message = "x" * (QUEUE_LIMIT // 8)
        self.log(*[message] * 8, *["lost"] * lost)
        return 8 * (len(message) + 1)


class LinesTests(LinesTestCase):
    def test_an_observer(self) -> None:
        verifyObject(ILogObserver, self.observer)

    def test_room_for_all(self) -> None:
        self.output.room = 2**30
        self.log("one", "", "two")
        self.assertEqual(self.output.data, b"one\ntwo\n")
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_lines_wait_for_room(self) -> None:
        self.log("one", "two")
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        self.make_room()
        self.assertEqual(self.output.data, b"one\ntwo\n")
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_room_for_a_part(self) -> None:
        self.output.room = 5
        self.log("one", "two")
        self.assertEqual(self.output.data, b"one\nt")
        self.make_room(1)
        self.log("three")
        self.make_room(3)
        self.assertEqual(self.output.data, b"one\ntwo\nt")
        self.make_room()
        self.assertEqual(self.output.data, b"one\ntwo\nthree\n")

    def test_an_output_that_fails_for_a_time(self) -> None:
        self.output.error = OSError(errno.ENOSPC, "full")
        self.log("one")
        self.log("two")
        self.make_room()
        self.assertEqual(self.output.data, b"one\ntwo\n")

    def test_what_is_lost_is_told_without_a_further_record(self) -> None:
        queued = self.overflow(3)
        self.make_room()
        self.assertEqual(self.output.data[queued:], b"Records of the log lost: 3.\n")
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_what_is_lost_is_told_where_it_is_lost(self) -> None:
        queued = self.overflow(3)
        self.make_room(queued // 2)
        self.log("lost")  # there would be room, but not in order
        self.make_room(queued - queued // 2)
        self.assertEqual(len(self.output.data), queued)
        self.log("after")
        self.make_room()
        self.log("later")
        self.assertEqual(self.output.data[queued:], b"Records of the log lost: 4.\nafter\nlater\n")

    def test_what_is_lost_again_is_counted_anew(self) -> None:
        queued = self.overflow(1)
        self.make_room()
        self.output.room, self.output.data = 0, b""
        self.overflow(2)
        self.make_room()
        self.assertEqual(self.output.data[queued:], b"Records of the log lost: 2.\n")

    def test_the_record_of_the_loss(self) -> None:
        events: list[dict[str, Any]] = []

        def render(event: dict[str, Any]) -> bytes:
            events.append(event)
            return b"x" * QUEUE_LIMIT + b"\n"

        self.observer = LinesObserver(self.reactor, self.output, render)
        self.log("queued", "lost")
        self.make_room()
        told = events[-1]
        self.assertEqual((told["event"], told["count"]), ("lost", 1))
        self.assertEqual(told["log_level"], LogLevel.warn)
        self.assertEqual(told["log_namespace"], "hello_service.daemon.log_lines.LinesObserver")

    def test_a_reader_that_begins_to_read_is_served_soon(self) -> None:
        intervals = []
        self.log("one two three four")
        for room in (0, 1, 1, 0, 0):
            (retry,) = self.reactor.getDelayedCalls()
            intervals.append(round(retry.getTime() - self.reactor.seconds(), 6))
            self.output.room = room
            self.reactor.advance(intervals[-1])
        late, soon = RETRY_INTERVAL, READING_INTERVAL
        self.assertEqual(intervals, [late, late, soon, soon, late])

    def test_a_line_longer_than_the_queue(self) -> None:
        self.log("x" * 2 * QUEUE_LIMIT)
        self.make_room()
        self.assertEqual(len(self.output.data), 2 * QUEUE_LIMIT + 1)

    def test_a_signal_handler_that_logs(self) -> None:
        test = self

        class Interrupted(Room):
            def write(self, data: bytes) -> int:
                if data == b"one\n":
                    test.log("two")
                return super().write(data)

        self.output = Interrupted(2**30)
        self.observer = LinesObserver(self.reactor, self.output, plain)
        self.log("one", "three")
        self.assertEqual(self.output.data, b"one\ntwo\nthree\n")

    def test_a_bug_does_not_end_the_log(self) -> None:
        self.output.room = 2**30
        write, self.output.write = self.output.write, lambda data: 1 // 0  # type: ignore[method-assign]
        self.assertRaises(ZeroDivisionError, self.log, "one")
        self.output.write = write  # type: ignore[method-assign]
        self.log("two")
        self.assertEqual(self.output.data, b"one\ntwo\n")

    def test_threads(self) -> None:
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.observer = LinesObserver(self.reactor, output_on(writer), plain)
        os.close(writer)
        threads = [
            threading.Thread(target=self.log, args=[f"{thread} {count}" for count in range(500)])
            for thread in "abcd"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        lines = os.read(reader, 2**20).decode().split("\n")
        self.assertEqual(lines.pop(), "")
        self.assertEqual(len(lines), 2000)
        for name in "abcd":
            ours = [line for line in lines if line.startswith(name)]
            self.assertEqual(ours, [f"{name} {count}" for count in range(500)])


class EndTests(LinesTestCase):
    def test_nothing_is_queued(self) -> None:
        self.observer.finish()
        self.assertEqual(self.output.waited, [])

    def test_there_is_no_room(self) -> None:
        self.log("one")
        self.observer.finish()
        self.log("two")
        self.observer.finish()
        self.assertEqual(len(self.output.waited), 3)
        self.assertEqual(self.output.waited, sorted(self.output.waited, reverse=True))
        self.assertLess(self.output.waited[2], self.output.waited[0])
        self.output.room = 2**30
        self.log("three")
        self.assertEqual(self.output.data, b"one\ntwo\nthree\n")

    def test_there_is_room_after_a_while(self) -> None:
        class Slow(Room):
            def wait(self, seconds: float) -> bool:
                self.room += 2
                return super().wait(seconds)

        self.output = Slow()
        self.observer = LinesObserver(self.reactor, self.output, plain)
        self.log("one", "two")
        self.observer.finish()
        self.assertEqual(self.output.data, b"one\ntwo\n")

    def test_a_reader_that_never_reads_does_not_keep_the_process(self) -> None:
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.observer = LinesObserver(self.reactor, output_on(writer), plain)
        os.close(writer)
        self.log(*["x" * 99_999] * 3)
        self.observer.finish()
        self.log("Server Shut Down.")
        self.observer.finish()

    def test_a_reader_that_takes_one_byte_now_and_then(self) -> None:
        class Busy(Room):
            def wait(self, seconds: float) -> bool:
                super().wait(seconds)
                return True

        self.output = Busy()
        self.observer = LinesObserver(self.reactor, self.output, plain)
        self.log("one")
        self.observer.finish()
        self.assertTrue(all(seconds > 0 for seconds in self.output.waited))

    def test_the_reactor_s_end(self) -> None:
        self.observer = lasting_observer(self.reactor, self.output, plain)
        self.log("one")
        self.output.room = 2**30
        ((when, function, args, kwargs),) = (
            (kind, *trigger)
            for kind, triggers in self.reactor.triggers["after"].items()
            for trigger in triggers
        )
        self.assertEqual(when, "shutdown")
        function(*args, **kwargs)
        self.assertEqual(self.output.data, b"one\n")

    def test_the_interpreter_s_end(self) -> None:
        program = dedent(f"""
            from twisted.logger import Logger
            from hello_service.daemon import log_lines
            log_lines.LAST_WAIT = {PATIENCE}  # for a busy machine
            from hello_service.daemon.output import output_on
            from tests.daemon.test_log_lines import Reactor, plain
            log = Logger(observer=log_lines.lasting_observer(Reactor(), output_on(1), plain))
            for number in range(900):
                log.info("{{number:999}}", number=number)
        """)
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE
        )
        self.assertEqual(done.stderr, "")
        self.assertEqual([int(line) for line in done.stdout.splitlines()], list(range(900)))
