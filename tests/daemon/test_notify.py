import os
import re
import socket
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.notify import Notifier, NotifyService


class NotifyTestCase(SynchronousTestCase):
    """A test in the place of the service manager, at C{address}."""

    def setUp(self) -> None:
        self.address = str(Path(self.enterContext(TemporaryDirectory())) / "notify")
        self.manager = self.listen(self.address)

    def listen(self, address: str) -> socket.socket:
        manager = self.enterContext(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        manager.setblocking(False)
        manager.bind(address)
        return manager

    def told(self) -> list[str]:
        """What has been told since the last time."""
        told = []
        try:
            while True:
                told.append(self.manager.recv(4096).decode())
        except BlockingIOError:
            return told


class NotifierTests(NotifyTestCase):
    def test_every_message(self) -> None:
        notifier = Notifier(self.address)
        notifier.ready()
        notifier.status("1 conversation")
        notifier.status("\udcff")
        notifier.stopping()
        notifier.extend_timeout(1.5)
        notifier.alive()
        self.assertEqual(
            self.told(),
            [
                "READY=1",
                "STATUS=1 conversation",
                "STATUS=\\udcff",
                "STOPPING=1",
                "EXTEND_TIMEOUT_USEC=1500000",
                "WATCHDOG=1",
            ],
        )

    def test_one_that_stops_is_not_ready_any_more(self) -> None:
        notifier = Notifier(self.address)
        notifier.stopping()
        notifier.reloading()
        notifier.ready()
        self.assertEqual(self.told(), ["STOPPING=1"])

    def test_an_environment_that_makes_no_sense(self) -> None:
        long = "1" + "0" * 20
        for text in ("abc", "", "-5", "1.5", "\u0663", "9" * 5000, long, str(2**63 + 1)):
            error = self.assertRaises(
                ValueError, Notifier.from_environment, {"WATCHDOG_USEC": text}
            )
            self.assertRegex(str(error), r"^WATCHDOG_USEC is .*, not a number .*unset it\.$")
        other = {"WATCHDOG_USEC": "abc", "WATCHDOG_PID": str(os.getppid())}
        self.assertIsNone(Notifier.from_environment(other).watchdog)

    def test_the_largest_number(self) -> None:
        largest = {"WATCHDOG_USEC": f"0{2**63}"}
        self.assertEqual(Notifier.from_environment(largest).watchdog, 2**63 / 1e6)
        self.assertRaises(
            ValueError, Notifier.from_environment, {"WATCHDOG_USEC": f"0{largest['WATCHDOG_USEC']}"}
        )

    def test_a_reload_tells_its_time(self) -> None:
        before = time.monotonic()
        Notifier(self.address).reloading()
        (told,) = self.told()
        match = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", told)
        assert match is not None
        self.assertTrue(before - 1e-6 <= int(match[1]) / 1e6 <= time.monotonic())

    def test_an_abstract_address(self) -> None:
        name = f"hello-{os.getpid()}"
        self.manager = self.listen(f"\0{name}")
        Notifier(f"@{name}").ready()
        self.assertEqual(self.told(), ["READY=1"])

    def test_without_a_manager(self) -> None:
        notifier = Notifier.from_environment({})
        with capturedLogs() as events:
            notifier.ready()
        self.assertEqual((events, notifier.active, notifier.watchdog), ([], False, None))

    def test_a_manager_that_is_gone_is_logged_once(self) -> None:
        notifier = Notifier(self.address)
        os.rename(self.address, f"{self.address}.away")
        with capturedLogs() as events:
            notifier.ready()
            notifier.alive()
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["Cannot tell systemd 'READY=1': [Errno 2] No such file or directory."],
        )
        os.rename(f"{self.address}.away", self.address)
        notifier.alive()
        self.assertEqual(self.told(), ["WATCHDOG=1"])
        os.unlink(self.address)
        with capturedLogs() as events:
            notifier.alive()
        self.assertEqual(len(events), 1)

    def test_a_manager_that_does_not_read_is_not_waited_for(self) -> None:
        notifier = Notifier(self.address)
        with capturedLogs() as events:
            while not events:
                notifier.alive()
        self.assertIn("temporarily unavailable", formatEvent(events[0]))


class FromEnvironmentTests(NotifyTestCase):
    def watchdog(self, **environ: str) -> float | None:
        return Notifier.from_environment({"NOTIFY_SOCKET": self.address, **environ}).watchdog

    def test_the_watchdog(self) -> None:
        own, other = str(os.getpid()), str(os.getppid())
        self.assertIsNone(self.watchdog())
        self.assertIsNone(self.watchdog(WATCHDOG_USEC="0"))
        self.assertEqual(self.watchdog(WATCHDOG_USEC="1500000"), 1.5)
        self.assertEqual(self.watchdog(WATCHDOG_USEC="1500000", WATCHDOG_PID=own), 1.5)
        self.assertIsNone(self.watchdog(WATCHDOG_USEC="1500000", WATCHDOG_PID=other))

    def test_the_variables_stay(self) -> None:
        environ = {"NOTIFY_SOCKET": self.address}
        Notifier.from_environment(environ).ready()
        self.assertEqual(self.told(), ["READY=1"])
        self.assertEqual(environ, {"NOTIFY_SOCKET": self.address})


class NotifyServiceTests(NotifyTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.text = "none"

    def service(self, notifier: Notifier) -> NotifyService:
        return NotifyService(self.clock, notifier, lambda: self.text)

    def test_a_new_status_is_told_once_a_second_at_most(self) -> None:
        service = self.service(Notifier(self.address))
        service.startService()
        self.assertEqual(self.told(), ["STATUS=none"])
        self.clock.advance(1)
        self.text = "one"
        self.assertEqual(self.told(), [])
        self.text = "two"
        self.clock.advance(1)
        self.assertEqual(self.told(), ["STATUS=two"])

    def test_the_watchdog_is_fed_twice_as_often_as_it_must(self) -> None:
        self.service(Notifier(self.address, 3.0)).startService()
        self.assertEqual(self.told(), ["STATUS=none", "WATCHDOG=1"])
        self.clock.pump([0.5] * 6)
        self.assertEqual(self.told(), ["WATCHDOG=1"] * 2)

    def test_the_stop(self) -> None:
        service = self.service(Notifier(self.address, 3.0))
        service.startService()
        self.told()
        service.stopService()
        self.assertEqual(self.told(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        service.startService()
        self.assertEqual(self.told(), ["WATCHDOG=1"])

    def test_without_a_manager_nothing_is_timed(self) -> None:
        service = self.service(Notifier())
        service.startService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        service.stopService()
