"""Real processes for tests, which wait for what these print and never sleep."""

import os
import random
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import Any, NoReturn, Self

from twisted.trial.unittest import SkipTest, SynchronousTestCase

PATIENCE = 30
"""Seconds after which a process that says nothing has hung."""

TWISTD = ("twistd", "--nodaemon")

REACTOR = os.environ.get("TEST_REACTOR")
"""The reactor that every twistd of the tests runs on, if not the default one."""


def on_reactor(command: tuple[str, ...]) -> tuple[str, ...]:
    """Have a twistd run on C{REACTOR}, if the command names no reactor."""
    if REACTOR and command[0] == "twistd" and "--reactor" not in " ".join(command):
        return ("twistd", f"--reactor={REACTOR}", *command[1:])
    return command


def free_ports(count: int) -> list[int]:
    """Choose TCP ports that nobody uses, below those that the system gives to clients."""
    ports: list[int] = []
    with ExitStack() as held:
        while len(ports) < count:
            port = random.randrange(20_000, 32_000)
            with suppress(OSError):
                held.enter_context(
                    socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
                )
                ports.append(port)
    return ports


def free_port() -> int:
    """Choose a TCP port that nobody uses."""
    (port,) = free_ports(1)
    return port


def missing(what: str) -> NoReturn:
    """Skip the test because something is not installed; in CI, where all must be, fail it."""
    if "CI" in os.environ:
        raise AssertionError(what)
    raise SkipTest(what)


def program(name: str) -> str:
    """Find a program, first beside the interpreter."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return which(name, path=path) or missing(f"{name} is not installed")


def in_shell(name: str) -> str:
    """Find a program, and write it so that a shell takes it for one word."""
    return shlex.quote(program(name))


def run(*command: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [program(command[0]), *on_reactor(command)[1:]],
        **{"capture_output": True, "text": True, "timeout": PATIENCE, **options},
    )


def trial_on_uvloop(*cases: str) -> subprocess.CompletedProcess[str]:
    """Run tests by trial on the reactor of uvloop."""
    with TemporaryDirectory() as folder:
        return run(
            "python", "-m", "twisted.trial", "--reactor=uvloop", f"--temp-directory={folder}/t",
            *cases, cwd=Path(__file__).parent.parent, timeout=4 * PATIENCE,
        )  # fmt: skip


def full_pipe() -> tuple[int, int]:
    """Make a pipe without room, and with a writing end that does not wait; return both ends."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        while True:
            os.write(write, bytes(4096))
    except BlockingIOError:
        return read, write


def wait_for_end(pid: int) -> None:
    """Wait until a process that is not our child has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ready, _, _ = select.select([descriptor], [], [], PATIENCE)
        if not ready:
            raise AssertionError(f"process {pid} does not end")
    finally:
        os.close(descriptor)


class Program:
    """A program in a folder for as long as the context lasts.

    @ivar output: the lines that it has printed so far.
    """

    def __init__(self, command: Sequence[str], folder: Path, **options: Any) -> None:
        self.output: list[str] = []
        self._printed = threading.Condition()
        self._ended = False
        self.process: subprocess.Popen[str] = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._printed:
                self.output.append(line)
                self._printed.notify_all()
        with self._printed:
            self._ended = True
            self._printed.notify_all()

    def wait_for(self, pattern: str, count: int = 1) -> re.Match[str]:
        """Wait until C{count} lines match; return the last match."""
        found: list[re.Match[str]] = []

        def enough() -> bool:
            found[:] = [match for line in self.output if (match := re.search(pattern, line))]
            return len(found) >= count or self._ended

        with self._printed:
            self._printed.wait_for(enough, PATIENCE)
        if len(found) < count:
            raise AssertionError(f"no {pattern!r} in:\n{''.join(self.output)}")
        return found[count - 1]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; return the exit status."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait until it has ended and all its output is read; return the exit status."""
        status = self.process.wait(PATIENCE)
        self._reader.join()
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Daemon(Program):
    """C{twistd -n hello}, or another such command, in a folder for as long as the context lasts.

    @cvar NAME: what twistd runs.
    """

    NAME = "hello"

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        command: tuple[str, ...] = TWISTD,
    ) -> None:
        words = (*on_reactor(command)[1:], self.NAME, *(arguments or ("--port=0",)))
        super().__init__([program(command[0]), *words], folder)

    def port(self) -> int:
        """The TCP port that it got."""
        return int(self.wait_for(r"Waiting for connection\.\.\. .*:(\d+)\)")[1])


class ProcessTestCase(SynchronousTestCase):
    """A test of processes, with a folder of its own."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))

    def daemon(self, *arguments: str, command: tuple[str, ...] = TWISTD) -> Daemon:
        """Start a daemon that ends with the test at the latest."""
        return self.enterContext(Daemon(self.folder, *arguments, command=command))
