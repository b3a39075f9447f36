"""The log as JSON, a line an event: C{twistd --logger hello_service.daemon.jsonlog.observer}."""

import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from json import JSONEncoder, loads
from math import isfinite
from typing import Any
from weakref import finalize

from twisted.logger import ILogObserver, LogLevel, eventAsText, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

Plain = str | int | float | bool | None
"""What a field can be."""

_LARGE = 2**63
_LEVELS: dict[object, str] = {level: level.name for level in LogLevel.iterconstants()}
_PRIORITIES = {"debug": 7, "info": 6, "warn": 4, "error": 3, "critical": 2}
_TWISTED = frozenset(
    {"log_format", "log_level", "log_logger", "log_namespace", "log_source", "log_time"}
)
_encode = JSONEncoder(allow_nan=False, check_circular=False, separators=(",", ":")).encode
_encode_unicode = JSONEncoder(ensure_ascii=False).encode


def flatten(event: dict[str, Any]) -> dict[str, Plain]:
    """Return what is told of an event, whatever is in it.

    First come C{ts}, C{level}, C{event}, C{message} and C{source}, always; then the event's own
    fields, those whose values are plain, finite and of 64 bits at most; last, of a failure,
    C{error} and C{traceback}. No field of the event takes the place of one of these.
    """
    name, source = event.get("event"), event.get("log_namespace")
    fields: dict[str, Plain] = {
        "ts": _timestamp(event.get("log_time")),
        "level": _level(event.get("log_level")),
        "event": name if type(name) is str else "log",
        "message": _message(event),
        "source": source if type(source) is str else "-",
    }
    for name, value in event.items():
        if name not in _TWISTED and name not in fields and _is_told(name, value):
            fields[name] = value
    failure = event.get("log_failure")
    if isinstance(failure, Failure):
        error: Any = failure.type
        told = {"log_failure": failure}
        text = eventAsText(told, includeTimestamp=False, includeSystem=False)
        fields |= {"error": f"{error.__module__}.{error.__qualname__}", "traceback": text.lstrip()}
    return fields


def _timestamp(seconds: Any) -> str:
    try:
        second, fraction = divmod(round(seconds * 1e6), 1_000_000)
        return f"{_second(second)}.{fraction:06}Z"
    except Exception:
        return _timestamp(time.time())


@lru_cache(1)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]


def _level(level: object) -> str:
    try:
        return _LEVELS[level]
    except Exception:
        return "info"


def _message(event: dict[str, Any]) -> str:
    # What formatEvent makes of a format without calls, in a fifth of the time.
    form = event.get("log_format")
    if type(form) is str:
        with suppress(Exception):
            return form.format_map(event)
    return formatEvent(event)


def _is_told(name: object, value: Any) -> bool:
    if type(name) is not str or name.startswith(("log_", "_")):
        return False
    kind = type(value)
    if kind is int:
        return bool(-_LARGE <= value < _LARGE)
    return isfinite(value) if kind is float else kind in (str, bool, type(None))


def to_json(fields: dict[str, Plain]) -> str:
    """Return fields as one line of ASCII, without its end.

    Half a surrogate pair, which strict readers refuse, is told as a question mark.
    """
    line = _encode(fields)
    if "\\ud" in line:
        line = _encode(loads(_encode_unicode(fields).encode(errors="replace")))
    return line


@implementer(ILogObserver)
class JSONLogObserver:
    """Writes each event as a line, by one write(2).

    It never raises: what cannot be written is lost. Of a line that is taken in part, as by a disk
    that gets full, the rest comes before the next line.

    @param descriptor: where to write.
    @param journal: begin each line with its priority, by the sd-daemon(3) protocol.
    """

    def __init__(self, descriptor: int, journal: bool = False) -> None:
        self._descriptor = descriptor
        self._journal = journal
        self._rest = b""

    def __call__(self, event: dict[str, Any]) -> None:
        fields = flatten(event)
        line = to_json(fields)
        if self._journal:
            line = f"<{_PRIORITIES[str(fields['level'])]}>{line}"
        data = self._rest + line.encode() + b"\n"
        try:
            written = os.write(self._descriptor, data)
        except OSError:
            return
        self._rest = data[written : data.find(b"\n", written) + 1]


def observer_on(descriptor: int, environ: Mapping[str, str]) -> JSONLogObserver:
    """Make the observer for an output, with priorities if that is the journal.

    It writes to a duplicate, for a daemon's standard output is shut when it leaves its terminal;
    not of a terminal, which a daemon must not hold on to.
    """
    output = os.fstat(descriptor)
    journal = environ.get("JOURNAL_STREAM") == f"{output.st_dev}:{output.st_ino}"
    if os.isatty(descriptor):
        return JSONLogObserver(descriptor, journal)
    duplicate = os.dup(descriptor)
    observer = JSONLogObserver(duplicate, journal)
    finalize(observer, os.close, duplicate)
    return observer


def observer() -> JSONLogObserver:
    """Make the observer for standard output, as twistd does; without one, say so and end."""
    if sys.__stdout__ is None:
        sys.exit("There is no standard output to log to.")
    return observer_on(1, os.environ)
