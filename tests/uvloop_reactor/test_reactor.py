"""The uvloop reactor's installation and its children."""

import signal
import socket
import subprocess
import sys
from typing import Any

from twisted.internet.protocol import (
    ProcessProtocol,
)
from twisted.python.failure import Failure

from tests.processes import PATIENCE
from tests.uvloop_reactor.conversing import ReactorTestCase


class IterateTests(ReactorTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.done: list[str] = []

    def test_one_turn(self) -> None:
        def again() -> None:
            self.done.append("turn")
            self.reactor.loop.call_soon(again)

        self.reactor.loop.call_soon(again)
        self.reactor.callLater(0, self.done.append, "call")
        self.reactor.iterate()
        self.assertEqual(sorted(self.done), ["call", "turn"])
        self.reactor.iterate(0)
        self.assertEqual(sorted(self.done), ["call", "turn", "turn"])

    def test_a_turn_sees_what_is_there_to_read(self) -> None:
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        self.reactor.loop.add_reader(ours, self.done.append, "read")
        theirs.send(b"x")
        self.reactor.iterate()
        self.assertEqual(self.done, ["read"])

    def test_for_a_time(self) -> None:
        self.reactor.callLater(0.01, self.done.append, "in time")
        self.reactor.callLater(PATIENCE, self.done.append, "too late")
        self.reactor.iterate(0.02)
        self.assertEqual(self.done, ["in time"])


class ProcessTests(ReactorTestCase):
    def test_children_are_reaped(self) -> None:
        reasons = []

        class Child(ProcessProtocol):
            transport: Any

            def connectionMade(self) -> None:
                self.transport.signalProcess("KILL")

            def processEnded(_, reason: Failure) -> None:
                reasons.append(getattr(reason.value, "signal", None))
                self.reactor.stop()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.addCleanup(signal.set_wakeup_fd, signal.set_wakeup_fd(-1))
        # Late, for what ends before the reactor watches is looked for when it begins to; and
        # without a pipe, for whose end Twisted looks for the child's, too.
        command = [sys.executable, "-c", "import signal; signal.pause()"]
        self.reactor.callLater(
            0, self.reactor.spawnProcess, Child(), command[0], command, childFDs={}
        )
        late = self.reactor.callLater(PATIENCE, self.reactor.crash)
        self.reactor.run()
        late.cancel()
        self.assertEqual(reasons, [signal.SIGKILL])

    def install(self, before: str) -> subprocess.CompletedProcess[str]:
        program = f"{before}; from hello_service.uvloop_reactor.reactor import install; install()"
        program += "; from twisted.internet import reactor; print(type(reactor).__name__)"
        return subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE
        )

    def test_install(self) -> None:
        finished = self.install("pass")
        self.assertEqual((finished.stdout, finished.stderr), ("UvloopReactor\n", ""))

    def test_install_without_uvloop(self) -> None:
        finished = self.install("import sys; sys.modules['uvloop'] = None")
        self.assertEqual(finished.returncode, 1)
        self.assertEqual(
            finished.stderr,
            "The uvloop reactor needs uvloop: `pip install 'hello_service[uvloop]'` brings it.\n",
        )
