import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import capturedLogs, formatEvent
from zope.interface import implementer

from hello_service.daemon.notify import Notifier
from hello_service.daemon.reload import NotReloaded, ReloadService
from tests.daemon.test_notify import NotifyTestCase
from tests.processes import ProcessTestCase


@implementer(IReactorFromThreads)
class Reactor:
    """Calls at once."""

    def callFromThread(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> None:
        callable(*args, **kwargs)


class ReloadServiceTests(NotifyTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP))
        self.hang_ups = 0
        signal.signal(signal.SIGHUP, self.hang_up)
        self.from_standard_input(os.open(os.devnull, os.O_RDONLY))

    def hang_up(self, *_: object) -> None:
        self.hang_ups += 1

    def from_standard_input(self, descriptor: int) -> None:
        former = os.dup(0)
        self.addCleanup(os.close, former)
        self.addCleanup(os.dup2, former, 0)
        os.dup2(descriptor, 0)
        os.close(descriptor)

    def keep(self) -> None:
        raise NotReloaded("They do not fit. The ones before stay.")

    def reload(self, **reloads: Callable[[], object]) -> list[str]:
        """Send SIGHUP to a service; return what is logged."""
        service = ReloadService(Reactor(), Notifier(self.address), reloads)
        service.startService()
        self.addCleanup(service.stopService)
        with capturedLogs() as events:
            signal.raise_signal(signal.SIGHUP)
        return [formatEvent(event) for event in events]

    def test_nothing(self) -> None:
        self.assertEqual(self.reload(), ["Reloaded nothing."])
        reloading, ready = self.told()
        self.assertRegex(reloading, r"^RELOADING=1\n")
        self.assertEqual(ready, "READY=1")
        self.assertEqual(self.hang_ups, 0)

    def test_all_that_can_be(self) -> None:
        reloaded: list[Any] = []
        logged = self.reload(
            certificates=lambda: reloaded.append(1),
            names=lambda: os.stat("/nosuch"),
            keys=self.keep,
            zone=lambda: 1 // 0,
            motd=lambda: reloaded.append(2),
        )
        self.assertEqual(
            logged,
            [
                "Cannot reload names: No such file or directory.",
                "Cannot reload keys: They do not fit. The ones before stay.",
                "Cannot reload zone",
                "Reloaded certificates, motd.",
            ],
        )
        self.assertEqual(reloaded, [1, 2])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.told()[-1], "READY=1")

    def test_takes_the_signal_before_others_listen(self) -> None:
        service = ReloadService(Reactor(), Notifier(), {})
        service.privilegedStartService()
        signal.raise_signal(signal.SIGHUP)
        service.startService()
        service.stopService()
        self.assertEqual(self.hang_ups, 0)
        signal.raise_signal(signal.SIGHUP)
        self.assertEqual(self.hang_ups, 1)

    def test_gives_the_signal_back(self) -> None:
        service = ReloadService(Reactor(), Notifier(), {})
        service.startService()
        service.stopService()
        signal.raise_signal(signal.SIGHUP)
        self.assertEqual(self.hang_ups, 1)

    def test_on_a_terminal_the_signal_keeps_its_meaning(self) -> None:
        terminal, standard_input = os.openpty()
        self.addCleanup(os.close, terminal)
        self.from_standard_input(standard_input)
        self.assertEqual(self.reload(), [])
        self.assertEqual(self.hang_ups, 1)


class HangUpTests(ProcessTestCase):
    def assert_lives_on(self, *reactor: str) -> None:
        daemon = self.daemon(command=("twistd", *reactor, "--nodaemon"))
        daemon.port()
        for count in (1, 2):
            daemon.process.send_signal(signal.SIGHUP)
            daemon.wait_for("Reloaded nothing", count)
        self.assertEqual(daemon.stop(), -signal.SIGTERM)

    def test_the_daemon_lives_on(self) -> None:
        self.assert_lives_on()

    def test_on_uvloop(self) -> None:
        self.assert_lives_on("--reactor=uvloop")
