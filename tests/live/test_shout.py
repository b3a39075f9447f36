"""The example of a daemon on the kit, installed from its wheel beside the project's."""

import atexit
import json
import os
import select
import shutil
import signal
import socket
import sys
from functools import cache
from pathlib import Path
from sysconfig import get_paths
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase

import hello_service
from tests.processes import PATIENCE, Daemon, ProcessTestCase, program, run

ROOT = Path(hello_service.__file__).parent.parent
EXAMPLE = ROOT / "examples" / "shout"
MINUTES = 240


def own_environ() -> dict[str, str]:
    """Return the variables without trial's C{PYTHONPATH}, which leads to the checkout."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


class Environment:
    """A virtual environment with both wheels; what they depend on is the tests' own."""

    def __init__(self) -> None:
        folder = Path(mkdtemp())
        atexit.register(shutil.rmtree, folder)
        left_out = shutil.ignore_patterns(".*", "_trial_temp*", "build", "dist", "*.egg-info")
        for name, source in (("hello", ROOT), ("shout", EXAMPLE)):
            shutil.copytree(source, folder / name, ignore=left_out)
            self.run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder),
                     str(folder / name))  # fmt: skip
        self.path = folder / "environment"
        self.run("-m", "venv", "--without-pip", str(self.path))
        (site,) = self.path.glob("lib/python*/site-packages")
        (site / "dependencies.pth").write_text("\n".join({*self.installed()}))
        self.python = self.path / "bin" / "python"
        wheels = [str(wheel) for wheel in folder.glob("*.whl")]
        self.run("-m", "pip", "--python", str(self.python), "install", "--no-index", "--no-deps",
                 *wheels)  # fmt: skip
        self.twistd = self.path / "bin" / "twistd"
        self.twistd.write_text(f"#!{self.python}\nfrom twisted.scripts.twistd import run\nrun()\n")
        self.twistd.chmod(0o755)

    @staticmethod
    def installed() -> list[str]:
        """The folders of the packages that the tests' interpreter has."""
        paths = get_paths()
        return [paths["purelib"], paths["platlib"]]

    @staticmethod
    def run(*arguments: str) -> None:
        done = run(sys.executable, *arguments, timeout=MINUTES, env=own_environ())
        if done.returncode:
            raise AssertionError(done.stdout + done.stderr)


@cache
def environment() -> Environment:
    """Make the environment, once for all tests."""
    return Environment()


class Shout(Daemon):
    """C{twistd -n shout}."""

    NAME = "shout"

    def port(self) -> int:
        return int(self.wait_for(r"Listening on \S*:(\d+)\.")[1])


class InstalledTests(SynchronousTestCase):
    def test_from_their_wheels(self) -> None:
        told = run(
            str(environment().python),
            "-c",
            "import shout, hello_service\nprint(shout.__file__)\nprint(hello_service.__file__)",
            cwd=str(environment().path),
            env=own_environ(),
        )
        for place in told.stdout.splitlines():
            self.assertTrue(place.startswith(str(environment().path)), told)
        told = run(str(environment().twistd), "--help", env=own_environ())
        self.assertIn("Answer each line in capitals.", told.stdout)


class ShoutTests(ProcessTestCase):
    reactor: tuple[str, ...] = ()

    def shout(
        self, *arguments: str, logger: tuple[str, ...] = (), prefix: tuple[str, ...] = ()
    ) -> Shout:
        if path := os.environ.pop("PYTHONPATH", None):  # trial's workers have one
            self.addCleanup(os.environ.__setitem__, "PYTHONPATH", path)
        twistd = (str(environment().twistd), *self.reactor, "--pidfile=", "-n", *logger)
        return self.enterContext(Shout(self.folder, *arguments, command=(*prefix, *twistd)))

    def connect(self, shout: Shout) -> socket.socket:
        return self.enterContext(socket.create_connection(("127.0.0.1", shout.port()), PATIENCE))

    def test_a_half_close(self) -> None:
        client = self.connect(self.shout())
        client.sendall(b"hello\nworld")
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as answers:
            self.assertEqual(answers.read(), b"HELLO\nWORLD")

    def test_a_line_that_is_too_long(self) -> None:
        shout = self.shout("--port=0", "--longest=9")
        client = self.connect(shout)
        client.sendall(b"hello\n0123456789")
        with client.makefile("rb") as answers:
            self.assertEqual(answers.read(), b"HELLO\nTHAT LINE IS TOO LONG\n")
        shout.wait_for("closed")

    def test_limits(self) -> None:
        shout = self.shout("--port=0", "--max-connections=1")
        first = self.connect(shout)
        first.sendall(b"hello\n")
        self.assertEqual(first.recv(99), b"HELLO\n")
        with self.assertRaises(ConnectionResetError):  # as early as while it connects
            self.connect(shout).recv(99)
        shout.wait_for(r"Connections refused: 1, for there are 1 already\.")

    def test_an_idle_client(self) -> None:
        self.assertEqual(self.connect(self.shout("--port=0", "--idle-timeout=1")).recv(99), b"")

    def test_drains_a_client_that_goes_on_sending(self) -> None:
        shout = self.shout("--port=0", "--drain-timeout=60")
        client = self.connect(shout)
        client.setblocking(False)
        block = b"hello\n" * 8192
        while select.select([], [client], [], 1)[1]:
            client.send(block)
        shout.process.send_signal(signal.SIGTERM)
        shout.wait_for("Draining, connections left: 1")
        answers = b""
        while True:
            readable, writable, _ = select.select([client], [client], [], PATIENCE)
            if writable:
                client.send(block)
            if readable:
                read = client.recv(2**16)
                if not read:
                    break
                answers += read
        client.close()
        self.assertEqual(shout.wait(), -signal.SIGTERM)
        self.assertGreater(len(answers), 2**16)
        whole = answers.rpartition(b"\n")[0].split(b"\n")
        self.assertEqual(set(whole), {b"HELLO"})
        self.assertNotIn("aborted", "".join(shout.output))

    def test_the_log_as_json(self) -> None:
        shout = self.shout("--port=0", logger=("--logger=hello_service.daemon.jsonlog.observer",))
        port = int(shout.wait_for(r'"address":"127\.0\.0\.1:(\d+)"')[1])
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            client.sendall(b"hello\n")
            self.assertEqual(client.recv(99), b"HELLO\n")
        told = json.loads(shout.wait_for('"event":"closed"').string)
        self.assertEqual(
            (told["source"], told["bytes_in"], told["bytes_out"], told["reason"]),
            ("shout.Shout", 6, 6, "end"),
        )

    def test_systemd_is_told(self) -> None:
        address = str(self.folder / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.settimeout(PATIENCE)
            manager.bind(address)
            shout = self.shout(prefix=("env", f"NOTIFY_SOCKET={address}"))
            told = {manager.recv(99) for _ in range(2)}
            self.assertEqual(told, {b"STATUS=Connections: 0", b"READY=1"})
            self.assertEqual(shout.stop(), -signal.SIGTERM)
            self.assertEqual(manager.recv(99), b"STOPPING=1")

    def test_a_socket_of_systemd(self) -> None:
        path = self.folder / "shout.sock"
        shout = self.shout("--backlog=5", prefix=(
            program("systemd-socket-activate"), f"--listen={path}"))  # fmt: skip
        shout.wait_for("Listening on")
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(str(path))
            client.sendall(b"hello\n")
            self.assertEqual(client.recv(99), b"HELLO\n")
        self.assertEqual(shout.stop(), -signal.SIGTERM)

    def test_a_busy_port(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            shout = self.shout(f"--port={port}")
            self.assertEqual(shout.wait(), 1)
        (line,) = [line for line in shout.output if line.startswith("127.0.0.1:")]
        self.assertIn(f"127.0.0.1:{port} is in use", line)
        self.assertNotIn("Traceback", "".join(shout.output))

    def test_a_wrong_use(self) -> None:
        shout = self.shout("--longest=0")
        self.assertEqual(shout.wait(), 1)
        self.assertEqual(
            shout.output,
            [
                "twistd shout: --longest: '0' is not a whole number from 1 to 1000000."
                " See `twistd shout --help`.\n"
            ],
        )


class UvloopShoutTests(ShoutTests):
    reactor = ("--reactor=uvloop",)
