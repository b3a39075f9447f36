"""Tests of L{hello_service.cli.signals} and C{run}, by a signal that nobody dies by."""

import os
import signal
from tempfile import TemporaryFile
from typing import Any, NoReturn

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from hello_service.cli import run
from hello_service.cli.console import Console, Outlet
from hello_service.cli.signals import EndSignals, die_by
from hello_service.cli.trouble import Trouble, TroubleError
from hello_service.values import BadValue

HARMLESS = signal.SIGWINCH


class Reactor(MemoryReactorClock):
    """Does in its next turn what signal handlers ask for."""

    def callFromThread(self, callable: Any, *args: object, **kwargs: object) -> None:
        self.callLater(0, callable, *args, **kwargs)


class EndSignalsTests(SynchronousTestCase):
    """Signals on their way to a command."""

    def setUp(self) -> None:
        self.reactor: Any = Reactor()
        self.cancelled = 0
        self.addCleanup(signal.signal, HARMLESS, signal.getsignal(HARMLESS))
        self.patch(EndSignals, "NUMBERS", (HARMLESS,))

    def cancel(self) -> None:
        self.cancelled += 1

    def test_death(self) -> None:
        """The process dies as if nobody had handled the signal; else it exits like a shell."""
        signal.signal(HARMLESS, lambda *_: self.cancel())
        error = self.assertRaises(SystemExit, die_by, HARMLESS)
        self.assertEqual((error.code, self.cancelled), (128 + HARMLESS, 0))
        self.assertEqual(signal.getsignal(HARMLESS), signal.SIG_DFL)

    def test_caught(self) -> None:
        """A signal cancels, and so does the next."""
        signals = EndSignals(self.reactor, self.cancel)
        signals.install()
        for count in (1, 2):
            os.kill(os.getpid(), HARMLESS)
            self.reactor.advance(0)
            self.assertEqual((self.cancelled, signals.number), (count, HARMLESS))

    def test_ignored(self) -> None:
        """What the parent ignores stays ignored, whoever handles it meanwhile."""
        signal.signal(HARMLESS, signal.SIG_IGN)
        signals = EndSignals(self.reactor, self.cancel)
        signal.signal(HARMLESS, lambda *_: self.cancel())
        signals.install()
        os.kill(os.getpid(), HARMLESS)
        self.reactor.advance(0)
        self.assertEqual(self.cancelled, 0)

    def start(self) -> Deferred[NoReturn]:
        """Start a command that never ends by itself, and notes when it is begun and given up."""
        self.noted: list[str] = []

        async def main(reactor: Any, console: Console) -> int:
            self.noted.append("begun")
            try:
                await Deferred()
            except CancelledError:
                self.noted.append("given up")
                raise
            return 0

        return Deferred.fromCoroutine(run._run(self.reactor, "x", main))

    def assert_dies(self, running: Deferred[NoReturn]) -> None:
        os.kill(os.getpid(), HARMLESS)
        self.assertNoResult(running)
        self.reactor.advance(0)
        self.assertEqual(self.failureResultOf(running, SystemExit).value.code, 128 + HARMLESS)

    def test_run(self) -> None:
        """A command that is told to end is cancelled, and then dies by the signal."""
        running = self.start()
        signal.signal(HARMLESS, signal.SIG_IGN)  # the reactor installs its own handlers
        self.reactor.run()
        self.reactor.advance(0)
        self.assert_dies(running)
        self.assertEqual(self.noted, ["begun", "given up"])

    def test_early(self) -> None:
        """So does one that has not begun."""
        self.assert_dies(self.start())


class StatusTests(SynchronousTestCase):
    """What is said of an end, and the status that it has."""

    def end(self, problem: Exception | None, descriptor: int) -> int:
        async def main() -> int:
            if problem:
                raise problem
            return 7

        err = Outlet(MemoryReactorClock(), descriptor)
        return self.successResultOf(Deferred.fromCoroutine(run.status_of("x", main(), err)))

    def test_statuses(self) -> None:
        """Each kind has its own, and one line that cannot drive a terminal."""
        for problem, status, line in (
            (None, 7, ""),
            (TroubleError(Trouble.DNS, "no\x1b"), 3, "x: DNS: no\\x1b See docs/errors.md#dns.\n"),
            (BadValue("no."), 2, "x: error: no.\n"),
            (BrokenPipeError(), 141, ""),
            (OSError(28, "No space"), 11, "x: FILE: the output cannot be written (No space): make"
             " room for it. See docs/errors.md#file.\n"),
        ):  # fmt: skip
            with TemporaryFile() as err:
                self.assertEqual(self.end(problem, err.fileno()), status)
                err.seek(0)
                self.assertEqual(err.read().decode(), line)

    def test_nobody_to_tell(self) -> None:
        """A sentence that cannot be written changes nothing."""
        with open("/dev/full", "wb") as full:
            self.assertEqual(self.end(BadValue("no."), full.fileno()), 2)
