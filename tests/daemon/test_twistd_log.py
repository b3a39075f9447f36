"""The log that twistd's options ask for."""

import os
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, formatEventAsClassicLogText, globalLogPublisher
from twisted.trial.unittest import TestCase

from hello_service.daemon.twistd_log import (
    TwistdLog,
    rotate_on_signal,
    text_lines,
)
from tests.daemon.test_log_lines import Reactor

OPTIONS = {"logger": None, "syslog": 0, "nodaemon": 0, "logfile": None}


class TwistdLogTestCase(TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))

    def log(self, **options: Any) -> TwistdLog:
        return TwistdLog(OPTIONS | options, Reactor())


class OptionsTests(TwistdLogTestCase):
    def test_other_loggers(self) -> None:
        for option in ({"logger": list}, {"syslog": 1}):
            log = self.log(nodaemon=1, **option)
            self.assertIsNone(log.observer)
            self.assertIsNone(log.file)

    def test_another_program(self) -> None:
        log = TwistdLog({}, Reactor())
        self.assertIsNone(log.observer)

    def test_a_file(self) -> None:
        path = self.folder / "hello.log"
        for nodaemon in (0, 1):
            log = self.log(nodaemon=nodaemon, logfile=str(path))
            assert log.observer
            log.observer({"log_format": "one"})
            assert log.file
            log.file.rotate()
            self.assertEqual((self.folder / "hello.log.1").read_text(), "- [-#-] one\n")

    def test_twistd_s_own_file(self) -> None:
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        for name in (None, ""):
            self.assertIsNotNone(self.log(logfile=name).file)
            (self.folder / "twistd.log").unlink()

    def test_standard_output_in_the_background(self) -> None:
        self.assertRaisesRegex(ValueError, "add --nodaemon", self.log, logfile="-")

    def test_standard_output(self) -> None:
        reader, writer = os.pipe()
        former = os.dup(1)
        os.dup2(writer, 1)
        os.close(writer)
        try:
            logs = [self.log(nodaemon=1, logfile=name) for name in (None, "", "-")]
        finally:
            os.dup2(former, 1)
            os.close(former)
        with open(reader) as printed:
            for log in logs:
                assert log.observer
                log.observer({"log_format": "one"})
                self.assertEqual(printed.readline(), "- [-#-] one\n")
                self.assertIsNone(log.file)

    def test_no_standard_output(self) -> None:
        self.patch(sys, "__stdout__", None)
        log = self.log(nodaemon=1)
        assert log.observer
        log.observer({"log_format": "one"})

    def test_the_text(self) -> None:
        self.assertEqual(text_lines({"log_format": "one\ntwo"}), b"- [-#-] one\n\ttwo\n")
        self.assertEqual(text_lines({"log_format": "\udcff"}), b"- [-#-] \\udcff\n")
        self.assertEqual(text_lines({}), b"")

    def test_the_time_is_as_twisted_writes_it(self) -> None:
        for when in (1e9, 1e9 + 0.99, 1e9 + 1, 1e9 + 0.5, 0.5, -0.5, 1.75e9, None):
            event = {"log_time": when, "log_format": "one"}
            self.assertEqual(text_lines(event).decode(), formatEventAsClassicLogText(event))


class SignalTests(TwistdLogTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.getsignal(signal.SIGUSR1))
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)

    def test_a_file(self) -> None:
        log = self.log(logfile=str(self.folder / "hello.log")).file
        rotate_on_signal(Reactor(), log)
        signal.raise_signal(signal.SIGUSR1)
        self.assertTrue((self.folder / "hello.log.1").exists())

    def test_no_file(self) -> None:
        events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        rotate_on_signal(Reactor(), None)
        signal.raise_signal(signal.SIGUSR1)
        (event,) = events
        self.assertEqual(
            formatEvent(event), "SIGUSR1 rotates the file of --logfile: there is none."
        )

    def test_a_handler_that_somebody_has_set(self) -> None:
        for handler in (signal.SIG_IGN, lambda *_: None):
            signal.signal(signal.SIGUSR1, handler)
            rotate_on_signal(Reactor(), None)
            self.assertIs(signal.getsignal(signal.SIGUSR1), handler)
