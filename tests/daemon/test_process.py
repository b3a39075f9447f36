import atexit
import errno
import os
import sys
from io import StringIO
from typing import TextIO

from twisted.application.service import Application, IServiceCollection
from twisted.internet.error import ReactorNotRunning
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import ILogObserver, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.process import CannotStart, ProcessService, end_with, sockets_to_adopt
from tests.connections import EchoFactory
from tests.daemon.test_listening import SlowEndpoint
from tests.daemon.test_options import parsed
from tests.processes import run


class ProcessServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.stderr = StringIO()
        self.endpoint = SlowEndpoint()

    def service(
        self, stderr: TextIO | None = None, observer: ILogObserver | None = None
    ) -> ProcessService:
        """Make a service that listens on the endpoint."""
        return ProcessService(
            self.reactor,
            EchoFactory(self.reactor),
            inherited=[("here", self.endpoint)],
            stderr=stderr or self.stderr,
            observer=observer,
        )

    def break_endpoint(self) -> None:
        self.endpoint.outcome.errback(Failure(OSError(errno.EIO, "broken")))

    def test_a_start_that_fails_is_told_on_the_terminal(self) -> None:
        self.break_endpoint()
        service = self.service()
        raised = self.assertRaises(CannotStart, service.privilegedStartService)
        self.assertEqual(self.stderr.getvalue(), f"{raised}\n")
        self.assertIn("broken", str(raised))

    def test_without_privileges(self) -> None:
        self.break_endpoint()
        raised = self.assertRaises(CannotStart, self.service().startService)
        self.assertEqual(self.stderr.getvalue(), f"{raised}\n")

    def test_once_it_runs_it_lets_go_of_the_terminal(self) -> None:
        service = self.service()
        service.privilegedStartService()
        self.assertFalse(self.stderr.closed)
        service.startService()
        self.assertTrue(self.stderr.closed)

    def test_a_terminal_that_is_gone(self) -> None:
        self.break_endpoint()
        with open("/dev/full", "w") as full:
            service = self.service(full)
            self.assertIn("broken", str(self.assertRaises(CannotStart, service.startService)))
            with open(os.devnull, "w") as nowhere:  # for what is still buffered
                os.dup2(nowhere.fileno(), full.fileno())

    def test_the_application_logs_to_its_observer(self) -> None:
        for observer in (EventLoggingObserver(), None):
            service = self.service(observer=observer)
            application = Application("echo")
            service.setServiceParent(application)
            self.assertIs(application.getComponent(ILogObserver), observer)
            self.assertIs(service.parent, IServiceCollection(application))

    def test_ends_the_process_as_twistd_and_the_interpreter_expect(self) -> None:
        self.assertTrue(issubclass(CannotStart, Exception))
        self.assertTrue(issubclass(CannotStart, SystemExit))
        self.assertEqual(CannotStart("sentence").code, 1)

    def test_a_late_failure_stops_the_reactor(self) -> None:
        self.service().startService()
        self.addCleanup(atexit.unregister, end_with)
        self.break_endpoint()
        self.assertTrue(self.reactor.hasStopped)

    def test_several_late_failures_at_once(self) -> None:
        def stop() -> None:
            stops.append("stop")
            if len(stops) > 1:
                raise ReactorNotRunning

        stops: list[str] = []
        self.reactor.stop = stop  # type: ignore[method-assign]
        other = SlowEndpoint()
        service = ProcessService(
            self.reactor,
            EchoFactory(self.reactor),
            inherited=[("here", self.endpoint), ("there", other)],
            stderr=self.stderr,
        )
        service.startService()
        self.addCleanup(atexit.unregister, end_with)
        self.break_endpoint()
        other.outcome.errback(Failure(OSError(errno.EIO, "broken")))
        self.assertEqual(len(stops), 2)
        self.successResultOf(other.outcome)


class EndWithTests(SynchronousTestCase):
    def test_after_earlier_exit_handlers_and_with_all_output(self) -> None:
        told = run(
            sys.executable,
            "-c",
            "import atexit\n"
            "from hello_service.daemon.process import end_with\n"
            "atexit.register(print, 'last', end='')\n"
            "atexit.register(end_with, 7)\n"
            "print('first')\n",
            env={**os.environ, "PYTHONUNBUFFERED": ""},
        )
        self.assertEqual((told.returncode, told.stdout), (7, "first\nlast"), told.stderr)

    def test_what_it_does_last(self) -> None:
        done: list[object] = []
        self.patch(atexit, "_run_exitfuncs", lambda: done.append("others"))
        self.patch(os, "_exit", done.append)
        end_with(7)
        self.assertEqual(done, ["others", 7])

    def test_without_outputs(self) -> None:
        command = "import atexit, sys; from hello_service.daemon.process import end_with;"
        for closed in ("sys.stdout.close()", "sys.stdout = sys.stderr = None"):
            told = run(sys.executable, "-c", f"{command} atexit.register(end_with, 7); {closed}")
            self.assertEqual((told.returncode, told.stderr), (7, ""))


class SocketsToAdoptTests(SynchronousTestCase):
    def adopted(self, *arguments: str, names: str = "a:b") -> tuple[list[int], list[str]]:
        """Which descriptors of two are adopted, and what is logged."""
        environ = {
            "LISTEN_PID": str(os.getpid()),
            "LISTEN_FDS": str(len(names.split(":"))),
            "LISTEN_FDNAMES": names,
        }
        with capturedLogs() as events:
            found = sockets_to_adopt(parsed(*arguments), environ)
        return list(found), [formatEvent(event) for event in events]

    def test_all_of_them(self) -> None:
        self.assertEqual(self.adopted("--max-per-host=3", "--backlog=5"), ([3, 4], []))

    def test_options_that_say_where_to_listen_win(self) -> None:
        for option in ("--port=0", "--interface=::", "--listen=tcp:0", "--reuse-port"):
            warning = (
                "Not used, for the options say where to listen: descriptor 3 (a), descriptor 4 (b)."
            )
            self.assertEqual(self.adopted(option), ([], [warning]))

    def test_an_endpoint_of_twisteds_uses_them(self) -> None:
        self.assertEqual(self.adopted("--listen=tcp:0", "--listen=systemd:INET:name=a"), ([], []))

    def test_the_ports_beside_take_theirs(self) -> None:
        by_name, by_index = "--status=systemd:INET:name=a", "--agent=systemd:domain=INET:index=1"
        self.assertEqual(self.adopted(by_name), ([4], []))
        self.assertEqual(self.adopted(by_index), ([3], []))
        self.assertEqual(self.adopted(by_name, by_index), ([], []))
        self.assertEqual(self.adopted("--status=tcp:0", "--agent=systemd:INET:name="), ([3, 4], []))
        warning = "Not used, for the options say where to listen: descriptor 4 (b)."
        self.assertEqual(self.adopted(by_name, "--port=0"), ([], [warning]))

    def test_none_inherited(self) -> None:
        for arguments in ((), ("--port=0",)):
            with capturedLogs() as events:
                self.assertEqual(sockets_to_adopt(parsed(*arguments), {}), {})
            self.assertEqual(events, [])
