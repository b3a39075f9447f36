"""The log of a twistd, in the place of twistd's own: the same options, text and files."""

import os
import signal
import sys
from collections.abc import Mapping
from functools import lru_cache
from math import floor
from types import FrameType
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import (
    ILogObserver,
    LogEvent,
    Logger,
    formatEventAsClassicLogText,
    formatTime,
)

from hello_service.daemon.log_lines import lasting_observer
from hello_service.daemon.logfile import LogFile, open_log
from hello_service.daemon.output import OpenOutput, Output, output_on

_log = Logger()


def text_lines(event: LogEvent) -> bytes:
    """Return an event as twistd's log has it, a line with others indented below it."""
    text = formatEventAsClassicLogText(event, _time) or ""
    return text.encode(errors="backslashreplace")


def _time(seconds: float | None) -> str:
    return _second(None if seconds is None else floor(seconds))


_second = lru_cache(1)(formatTime)  # which takes more than half of a line's time


class TwistdLog:
    """What twistd's options say of the log.

    @param options: twistd's own; those of another program, C{twist} say, tell nothing.
    @param reactor: L{IReactorCore}, L{IReactorFromThreads} and L{IReactorTime}.
    @ivar observer: what twistd is to log to, unless --logger or --syslog says that.
    @ivar file: the file that can be rotated and reopened, if it is one.
    @raises ValueError: with a sentence, if no log can be written there.
    """

    def __init__(self, options: Mapping[str, Any], reactor: Any) -> None:
        self.observer: ILogObserver | None = None
        self.file: LogFile | None = None
        if "logfile" not in options or options["logger"] or options["syslog"]:
            return
        output = _output(options)
        self.observer = lasting_observer(reactor, output, text_lines)
        if isinstance(output, LogFile):
            self.file = output


def _output(options: Mapping[str, Any]) -> Output:
    name = options["logfile"]
    if options["nodaemon"] and name in (None, "", "-"):
        return _standard_output()
    if name == "-":
        raise ValueError(
            "--logfile - is standard output, which a daemon in the background has not: add"
            " --nodaemon, or name a file."
        )
    return open_log(name or "twistd.log")


def _standard_output() -> Output:
    if sys.__stdout__ is None:  # it is closed, and the descriptor may be of something else
        return OpenOutput(os.open(os.devnull, os.O_WRONLY))
    return output_on(1)


def rotate_on_signal(reactor: IReactorFromThreads, file: LogFile | None) -> None:
    """Rotate the log on SIGUSR1, as twistd does; without a file say so, where twistd dies.

    To be called in the main thread. A handler that somebody has set stays.
    """

    def rotate() -> None:
        if file:
            file.rotate()
        else:
            _log.info("SIGUSR1 rotates the file of --logfile: there is none.")

    def handle(number: int, frame: FrameType | None) -> None:
        reactor.callFromThread(rotate)

    if not signal.getsignal(signal.SIGUSR1):
        signal.signal(signal.SIGUSR1, handle)
