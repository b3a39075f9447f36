"""The contract of the log as JSON."""

import json
import os
import re
import subprocess
import sys
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, Logger, LogLevel, capturedLogs, formatEvent
from twisted.python import log
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.jsonlog import (
    flatten,
    journal_line,
    json_line,
    observer,
    observer_on,
    to_json,
)
from hello_service.daemon.log_lines import LinesObserver
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

    def test_a_failure_by_the_old_log(self) -> None:
        for why in (None, "Lost"):
            with capturedLogs() as events:
                log.err(ValueError("bad"), why)
            self.flushLoggedErrors(ValueError)
            record = self.record(events[0])
            self.assertEqual(record["message"], why or "Unhandled Error")
            self.assertEqual(record["error"], "builtins.ValueError")
            self.assertIn("ValueError: bad", record["traceback"])

    def test_a_failure_without_words(self) -> None:
        record = self.record(self.logged(LogLevel.critical, "", log_failure=_failure()))
        self.assertEqual(record["message"], "Unhandled Error")

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


class LineTests(SynchronousTestCase):
    def test_an_event(self) -> None:
        self.assertEqual(parse(json_line({"log_format": "one\ntwo"}))["message"], "one\ntwo")

    def test_the_journal_s_priorities(self) -> None:
        for level in LogLevel.iterconstants():
            match = re.fullmatch(rb"<(\d)>(.*\n)", journal_line({"log_level": level}))
            assert match is not None
            self.assertEqual(int(match[1]), LEVELS[level.name])
            self.assertEqual(parse(match[2])["level"], level.name)


class OutputTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = Path(self.enterContext(TemporaryDirectory()))
        self.path = folder / "log"
        self.file = os.open(self.path, os.O_CREAT | os.O_WRONLY)
        status = os.fstat(self.file)
        self.stream = f"{status.st_dev}:{status.st_ino}"

    def first_line(self, stream: str | None) -> bytes:
        environ = {} if stream is None else {"JOURNAL_STREAM": stream}
        observer = observer_on(MemoryReactorClock(), self.file, environ)
        os.close(self.file)  # as a daemon does
        observer({})
        return self.path.read_bytes()

    def test_it_outlives_the_output_it_was_given(self) -> None:
        parse(self.first_line(None))

    def test_the_journal(self) -> None:
        self.assertTrue(self.first_line(self.stream).startswith(b"<6>{"))

    def test_another_s_journal(self) -> None:
        parse(self.first_line(f"{self.stream}0"))

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
        self.assertIsInstance(observer(), LinesObserver)
