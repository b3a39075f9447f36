"""The contract of the log as JSON."""

import errno
import json
import os
import re
import subprocess
import sys
from fcntl import F_SETPIPE_SZ, fcntl
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import ILogObserver, Logger, LogLevel, LogPublisher, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hello_service.daemon.jsonlog import (
    JSONLogObserver,
    flatten,
    observer,
    observer_on,
    to_json,
)
from tests.processes import PATIENCE

LEVELS = {"debug": 7, "info": 6, "warn": 4, "error": 3, "critical": 2}


def _refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is not JSON")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) != len(pairs):
        raise AssertionError(f"a name twice: {pairs}")
    return dict(pairs)


def parse(line: bytes) -> dict[str, Any]:
    """Return the record that one line of the log is, or fail where it breaks the contract."""
    if not re.fullmatch(rb"\{[ -~]*\}\n", line):
        raise AssertionError(f"not one line of printable ASCII: {line[:200]!r}")
    record: dict[str, Any] = json.loads(line, parse_constant=_refuse, object_pairs_hook=_once)
    json.dumps(record, ensure_ascii=False).encode()  # fails where half a surrogate pair is
    names = list(record)
    if names[:5] != ["ts", "level", "event", "message", "source"]:
        raise AssertionError(f"not the first fields: {names}")
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", record["ts"]):
        raise AssertionError(f"not a time: {record['ts']!r}")
    if record["level"] not in LEVELS:
        raise AssertionError(f"not a level: {record['level']!r}")
    for name, value in record.items():
        if not isinstance(value, str) and (name in names[:5] or isinstance(value, list | dict)):
            raise AssertionError(f"not flat: {name} is {value!r}")
    return record


class Bad(Exception):
    """Nothing can be made of it."""

    def __bad__(self, *_: object) -> NoReturn:
        raise ZeroDivisionError("\udcff\n")

    __repr__ = __str__ = __format__ = __float__ = __hash__ = __mul__ = __call__ = __bad__


class Text(str):
    """A string that lies about itself."""

    def startswith(self, *_: object) -> bool:
        raise ZeroDivisionError


def _failure() -> Failure:
    try:
        raise Bad
    except Bad:
        return Failure()


TEXTS = st.text(st.characters()) | st.sampled_from(["\n", "\u2028", "\udcff", "\\ud800", "\x1b[2J"])
NAMES = (
    st.sampled_from(["event", "level", "ts", "message", "source", "error", "traceback", "_a"])
    | st.sampled_from(["log_format", "log_level", "log_time", "log_namespace", "log_failure"])
    | TEXTS
)
VALUES = st.recursive(
    TEXTS
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary()
    | st.sampled_from([-(2**63), 2**63, Text("a"), object])
    | st.integers(4000, 5000).map(lambda digits: 10**digits)
    | st.builds(Bad)
    | st.builds(_failure)
    | st.sampled_from([*LogLevel.iterconstants(), "{a}", "{a!r}", "{a()}", "{}", "{", "{a.b}"]),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=3,
)
EVENTS = st.dictionaries(NAMES | st.just("a"), VALUES) | st.dictionaries(
    st.integers() | st.just(Text("a")) | st.binary(), VALUES
)


class FlattenTests(SynchronousTestCase):
    def logged(self, log_level: Any, log_format: str, **fields: object) -> dict[str, Any]:
        events: list[dict[str, Any]] = []
        Logger("space", observer=cast(ILogObserver, events.append)).emit(log_level, log_format)
        (event,) = events
        return event | fields

    def record(self, event: dict[str, Any]) -> dict[str, Any]:
        return parse(to_json(flatten(event)).encode() + b"\n")

    def test_an_event(self) -> None:
        event = self.logged(
            LogLevel.info, "Hello, {name}!", event="greeted", name="Michael", count=3, share=0.5,
            fast=True, cause=None,
        )  # fmt: skip
        event["log_time"] = 1764000000.000001
        self.assertEqual(
            list(self.record(event).items()),
            [
                ("ts", "2025-11-24T16:00:00.000001Z"),
                ("level", "info"),
                ("event", "greeted"),
                ("message", "Hello, Michael!"),
                ("source", "space"),
                ("name", "Michael"),
                ("count", 3),
                ("share", 0.5),
                ("fast", True),
                ("cause", None),
            ],
        )

    def test_the_least(self) -> None:
        record = self.record({})
        del record["ts"]
        self.assertEqual(record, {"level": "info", "event": "log", "message": "", "source": "-"})

    def test_the_time(self) -> None:
        for seconds, text in (
            (0, "1970-01-01T00:00:00.000000Z"),
            (-0.000001, "1969-12-31T23:59:59.999999Z"),
            (0.9999999, "1970-01-01T00:00:01.000000Z"),
            (1764000000.123456, "2025-11-24T16:00:00.123456Z"),
        ):
            self.assertEqual(flatten({"log_time": seconds})["ts"], text)

    def test_a_time_that_is_none_is_now(self) -> None:
        for seconds in (None, "0", float("nan"), float("inf"), 1e300, Bad()):
            self.assertGreater(str(flatten({"log_time": seconds})["ts"]), "2026")

    def test_every_level(self) -> None:
        for level in LogLevel.iterconstants():
            self.assertEqual(self.record(self.logged(level, ""))["level"], level.name)
        self.assertEqual(self.record({"log_level": Bad()})["level"], "info")

    def test_what_is_left_out(self) -> None:
        event = self.logged(
            LogLevel.info, "{peer!r} {list}", peer=b"\xff", list=[1], _private=1, log_own=1,
            infinite=float("inf"), nan=float("nan"), large=2**63, small=-(2**63) - 1,
            level="loud", ts=1, message=2, source=3, event=4,
        )  # fmt: skip
        record = self.record(event)
        del record["ts"]
        self.assertEqual(
            record,
            {"level": "info", "event": "log", "message": r"b'\xff' [1]", "source": "space"},
        )

    def test_the_largest_numbers(self) -> None:
        record = self.record({"large": 2**63 - 1, "small": -(2**63), "float": 1.7e308})
        self.assertEqual(record["large"], 2**63 - 1)
        self.assertEqual(record["small"], -(2**63))
        self.assertEqual(record["float"], 1.7e308)

    def test_a_failure(self) -> None:
        try:
            raise ConnectionResetError("gone\nfor good")
        except ConnectionResetError:
            failure = Failure()
        record = self.record(
            self.logged(LogLevel.critical, "Lost", log_failure=failure, error="mine")
        )
        self.assertEqual(record["error"], "builtins.ConnectionResetError")
        self.assertRegex(record["traceback"], r"^Traceback .*\n(?s:.*)test_jsonlog")
        self.assertIn("gone\nfor good", record["traceback"])
        self.assertEqual(record["message"], "Lost")

    def test_a_failure_that_cannot_be_told(self) -> None:
        record = self.record({"log_failure": _failure()})
        self.assertEqual(record["error"], f"{__name__}.Bad")
        self.assertIn("Bad", record["traceback"])

    def test_a_message_that_cannot_be_told(self) -> None:
        for form in ("{missing}", "{", "{}", b"\xff", 7):
            message = self.record({"log_format": form})["message"]
            self.assertRegex(message, "^Unable to format event ")
        for form in ("{bad}", "{bad!r}", "{bad()}"):
            message = self.record({"log_format": form, "bad": Bad()})["message"]
            self.assertRegex(message, "^MESSAGE LOST")

    def test_calls_in_a_format(self) -> None:
        event = {"log_format": "{name.upper()} {call()} {pair[0]}", "name": "a", "call": list}
        self.assertEqual(self.record(event | {"pair": (1, 2)})["message"], "A [] 1")

    def test_half_a_surrogate_pair(self) -> None:
        record = self.record({"log_format": "{a}", "a": "\udcff \U0001f600 \\udcff", "\ud83d": 1})
        self.assertEqual((record["a"], record["?"]), ("? \U0001f600 \\udcff", 1))
        self.assertEqual(record["message"], record["a"])

    @given(EVENTS)
    @settings(deadline=None)
    def test_any_event_is_one_line(self, event: dict[str, Any]) -> None:
        record = self.record(event)
        told = {
            name
            for name, value in event.items()
            if type(name) is str
            and not name.startswith(("_", "log_"))
            and (value is None or type(value) in (str, bool, int, float))
            and (type(value) is not float or isfinite(value))
            and (type(value) is not int or abs(value) < 2**63)
        }
        if "\\ud" not in json.dumps(list(told)):
            self.assertLessEqual(told, set(record))

    @given(st.dictionaries(st.sampled_from(["a", "b"]), VALUES), VALUES)
    @settings(deadline=None)
    def test_the_message_is_twisted_s(self, event: dict[str, Any], form: object) -> None:
        event["log_format"] = form
        self.assertEqual(
            re.sub("0x[0-9a-f]+", "", str(flatten(event)["message"])),
            re.sub("0x[0-9a-f]+", "", formatEvent(event)),
        )


class ObserverTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reader, self.writer = os.pipe()
        self.addCleanup(os.close, self.reader)
        self.addCleanup(os.close, self.writer)

    def printed(self) -> bytes:
        return os.read(self.reader, 2**20)

    def test_a_line_for_each_event(self) -> None:
        observer = JSONLogObserver(self.writer)
        verifyObject(ILogObserver, observer)
        log = Logger(observer=LogPublisher(observer))
        log.info("one\ntwo")
        log.error("three")
        lines = self.printed().splitlines(keepends=True)
        self.assertEqual([parse(line)["message"] for line in lines], ["one\ntwo", "three"])

    def test_the_journal_s_priorities(self) -> None:
        log = Logger(observer=JSONLogObserver(self.writer, journal=True))
        for level in LogLevel.iterconstants():
            log.emit(level, "Hello")
            match = re.fullmatch(rb"<(\d)>(.*\n)", self.printed())
            assert match is not None
            self.assertEqual(int(match[1]), LEVELS[level.name])
            self.assertEqual(parse(match[2])["level"], level.name)

    def test_output_that_cannot_be_written(self) -> None:
        full = os.open("/dev/full", os.O_WRONLY)
        self.addCleanup(os.close, full)
        reader, broken = os.pipe()
        os.close(reader)
        self.addCleanup(os.close, broken)
        for descriptor in (full, broken, 2**30):
            JSONLogObserver(descriptor)({"log_format": "lost"})

    def test_what_an_output_takes_in_part_is_ended_first(self) -> None:
        os.set_blocking(self.writer, False)
        observer = JSONLogObserver(self.writer)
        long = {"log_format": "x" * 99_999}
        for _ in range(3):
            observer(long)
        printed = self.printed()
        self.assertFalse(printed.endswith(b"\n"), "all of it was taken")
        observer({"log_format": "after"})
        printed += self.printed()
        messages = [parse(line)["message"] for line in printed.splitlines(keepends=True)]
        self.assertEqual(messages, ["x" * 99_999, "after"])

    def messages_by_parts(self, *messages: str) -> list[object]:
        """Log to a pipe that is emptied after each event; return what came."""
        os.set_blocking(self.writer, False)
        fcntl(self.writer, F_SETPIPE_SZ, 65536)
        observer = JSONLogObserver(self.writer)
        printed = b""
        for message in messages:
            observer({"log_format": message})
            printed += self.printed()
        return [parse(line)["message"] for line in printed.splitlines(keepends=True)]

    def test_a_line_in_many_parts_takes_the_place_of_those_that_come_meanwhile(self) -> None:
        came = self.messages_by_parts("x" * 250_000, "second", "third", "after")
        self.assertEqual(came, ["x" * 250_000, "after"])

    def test_the_rest_of_a_line_and_the_start_of_the_next(self) -> None:
        came = self.messages_by_parts("x" * 100_000, "y" * 50_000, "after")
        self.assertEqual(came, ["x" * 100_000, "y" * 50_000, "after"])


class OutputTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = Path(self.enterContext(TemporaryDirectory()))
        self.path = folder / "log"
        self.file = os.open(self.path, os.O_CREAT | os.O_WRONLY)
        status = os.fstat(self.file)
        self.stream = f"{status.st_dev}:{status.st_ino}"

    def first_line(self, stream: str | None) -> bytes:
        observer = observer_on(self.file, {} if stream is None else {"JOURNAL_STREAM": stream})
        os.close(self.file)  # as a daemon does
        observer({})
        return self.path.read_bytes()

    def test_it_outlives_the_output_it_was_given(self) -> None:
        parse(self.first_line(None))

    def test_the_journal(self) -> None:
        self.assertTrue(self.first_line(self.stream).startswith(b"<6>{"))

    def test_another_s_journal(self) -> None:
        parse(self.first_line(f"{self.stream}0"))

    def test_a_terminal_is_not_held(self) -> None:
        os.close(self.file)
        leader, terminal = os.openpty()
        self.addCleanup(os.close, leader)
        observer = observer_on(terminal, {})
        observer({})
        parse(os.read(leader, 4096).replace(b"\r\n", b"\n"))
        os.close(terminal)
        os.set_blocking(leader, False)
        error = self.assertRaises(OSError, os.read, leader, 4096)
        self.assertEqual(error.errno, errno.EIO)  # nobody has it
        observer({})

    def test_the_duplicate_goes_with_the_observer(self) -> None:
        os.close(self.file)
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        observer_on(writer, {})
        os.close(writer)
        os.set_blocking(reader, False)
        self.assertEqual(os.read(reader, 1), b"")

    def run_observer(self, redirection: str) -> subprocess.CompletedProcess[str]:
        os.close(self.file)
        program = "from hello_service.daemon.jsonlog import observer; observer()({})"
        return subprocess.run(
            ["sh", "-c", f'exec "$@" {redirection}', "-", sys.executable, "-c", program],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def test_standard_output(self) -> None:
        done = self.run_observer("2>&-")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        parse(done.stdout.encode())

    def test_without_a_standard_output(self) -> None:
        done = self.run_observer(">&-")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, "There is no standard output to log to.\n")

    def test_in_this_process(self) -> None:
        os.close(self.file)
        self.patch(sys, "__stdout__", None)
        self.assertRaises(SystemExit, observer)
        self.patch(sys, "__stdout__", sys.__stderr__)
        self.assertIsInstance(observer(), JSONLogObserver)
