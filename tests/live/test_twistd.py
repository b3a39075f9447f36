"""The daemon as a process, under the real twistd."""

import contextlib
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

from hello_service import __version__
from hello_service.conversation import LINE_TOO_LONG
from tests.certificates import tls_endpoint
from tests.processes import (
    PATIENCE,
    TWISTD,
    ProcessTestCase,
    missing,
    on_reactor,
    program,
    run,
    wait_for_end,
)


class TwistdTestCase(ProcessTestCase):
    def talk(self, port: int, host: str = "127.0.0.1") -> None:
        with socket.create_connection((host, port), PATIENCE) as client:
            self.assert_talks(client)

    def assert_talks(self, client: socket.socket) -> None:
        self.assertEqual(client.recv(1024), b"Welcome!")
        for name in (b"Michael", b"Tracy", b"Sarah"):
            client.sendall(name)
            self.assertEqual(client.recv(1024), b"Hello, " + name + b"!")
        client.sendall(b"exit")
        self.assertEqual(client.recv(1024), b"")


class ForegroundTests(TwistdTestCase):
    def test_logs_what_the_tutorial_prints(self) -> None:
        daemon = self.daemon()
        port = daemon.port()
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            local = client.getsockname()[1]
            self.assert_talks(client)
        daemon.wait_for("closed")
        self.assertEqual(daemon.stop(), -signal.SIGTERM)
        ours = [
            match[1]
            for line in daemon.output
            if (match := re.search(r"\[hello_service\S+#info\] (.*)", line))
        ]
        self.assertEqual(
            ours,
            [
                f"Waiting for connection... (listening on 127.0.0.1:{port})",
                f"Accept new connection from 127.0.0.1:{local}...",
                f"Connection from 127.0.0.1:{local} closed.",
            ],
        )

    def test_ctrl_c(self) -> None:
        daemon = self.daemon()
        with socket.create_connection(("127.0.0.1", daemon.port()), PATIENCE) as client:
            client.recv(8)
            self.assertEqual(daemon.stop(signal.SIGINT), -signal.SIGINT)
        self.assertNotIn("Traceback", "".join(daemon.output))
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_ipv6(self) -> None:
        daemon = self.daemon("--port=0", "--interface=::1")
        self.talk(daemon.port(), "::1")
        daemon.wait_for(r"Waiting for connection\.\.\. \(listening on \[::1\]:\d+\)")
        daemon.wait_for(r"Accept new connection from \[::1\]:\d+\.\.\.")
        daemon.wait_for(r"Connection from \[::1\]:\d+ closed\.")

    def test_every_address_of_both_families(self) -> None:
        port = self.daemon("--port=0", "--interface=::").port()
        self.talk(port, "::1")
        self.talk(port, "127.0.0.1")

    def test_several_endpoints(self) -> None:
        daemon = self.daemon(
            "--listen=tcp:0:interface=127.0.0.1", "--listen=unix:hello.sock:mode=600"
        )
        daemon.wait_for("Waiting for connection", count=2)
        self.talk(daemon.port())
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(str(self.folder / "hello.sock"))
            self.assert_talks(client)
        daemon.wait_for(r"Accept new connection from unix:'?'?\.\.\.")
        daemon.stop()
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_tls(self) -> None:
        place, trust = tls_endpoint(self.folder)
        for delay in ("0", "0.1"):
            daemon = self.daemon(f"--listen={place}", f"--delay={delay}", "--framing=line")
            with (
                socket.create_connection(("127.0.0.1", daemon.port()), PATIENCE) as plain,
                trust.wrap_socket(plain, server_hostname="localhost") as client,
                client.makefile("rb") as answers,
            ):
                self.assertEqual(answers.readline(), b"Welcome!\r\n")
                client.sendall(b"Michael\n" * 1000)
                for _ in range(1000):
                    self.assertEqual(answers.readline(), b"Hello, Michael!\n")
                client.sendall(b"x" * 2000)
                self.assertEqual(answers.read(), LINE_TOO_LONG)
            daemon.wait_for("closed")
            daemon.stop()

    def test_twist(self) -> None:
        daemon = self.daemon(command=("twist", "--log-format=text"))
        self.talk(daemon.port())
        self.assertEqual(daemon.stop(), -signal.SIGTERM)

    def test_help_and_version(self) -> None:
        self.assertIn("hello ", run("twistd", "--help").stdout)
        self.assertIn("--framing", run("twistd", "hello", "--help").stdout)
        self.assertIn(__version__, run("twistd", "hello", "--version").stdout)


class DaemonizedTestCase(TwistdTestCase):
    """A test of a daemon in the background, C{hello.pid}, whose log is C{hello.log}."""

    LOG: tuple[str, ...] = ("--logfile=hello.log",)

    def setUp(self) -> None:
        super().setUp()
        self.pidfile = self.folder / "hello.pid"
        self.logfile = self.folder / "hello.log"

    def start(
        self, *arguments: str, log: tuple[str, ...] = LOG, prefix: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        name, *rest = on_reactor(("twistd", "--pidfile=hello.pid", *log, "hello", *arguments))
        return run(*prefix, program(name), *rest, cwd=self.folder)

    def started(
        self, *arguments: str, log: tuple[str, ...] = LOG, prefix: tuple[str, ...] = ()
    ) -> int:
        """Start a daemon that ends with the test at the latest; return its process id."""
        started = self.start(*arguments, log=log, prefix=prefix)
        self.assertEqual((started.returncode, started.stdout, started.stderr), (0, "", ""))
        pid = int(self.pidfile.read_text())
        self.addCleanup(self.kill, pid)
        return pid

    def kill(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        wait_for_end(pid)

    def port(self) -> int:
        """The TCP port that it got, by its log."""
        match = re.search(r"listening on 127\.0\.0\.1:(\d+)", self.logfile.read_text())
        assert match is not None
        return int(match[1])


class DaemonizedTests(DaemonizedTestCase):
    def test_syslog(self) -> None:
        self.started("--listen=unix:hello.sock", log=("--syslog", "--prefix=hello"))
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(str(self.folder / "hello.sock"))
            self.assert_talks(client)

    def test_lives_until_sigterm(self) -> None:
        pid = self.started("--port=0")
        port = self.port()
        self.talk(port)

        again = self.start("--port=0")
        self.assertEqual(again.returncode, 1)
        self.assertIn(str(pid), again.stdout + again.stderr)
        self.assertEqual(int(self.pidfile.read_text()), pid)
        self.talk(port)

        os.kill(pid, signal.SIGTERM)
        wait_for_end(pid)
        self.assertFalse(self.pidfile.exists())
        self.assertNotIn("Traceback", self.logfile.read_text())

    def test_a_failed_start_is_told_on_the_terminal(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            started = self.start(f"--port={port}")
        self.assertEqual(started.returncode, 1)
        sentence, *twistd = started.stderr.splitlines()
        self.assertRegex(sentence, rf"^127\.0\.0\.1:{port} is in use .*\.$")
        self.assertRegex(twistd[0], r"^An error has occurred: ")
        self.assertEqual(twistd[1:], ["Please look at log file for more information."])
        self.assertNotIn("Traceback", started.stderr + started.stdout)
        self.assertFalse(self.pidfile.exists())
        self.assertIn(sentence, self.logfile.read_text())


class CannotStartTests(TwistdTestCase):
    def refuse(self, *arguments: str, prefix: tuple[str, ...] = ()) -> str:
        """Start what cannot start; return the sentence."""
        command = [*prefix, program("twistd"), "--nodaemon", "hello", *arguments]
        started = run(*command, cwd=self.folder)
        self.assertEqual(started.returncode, 1, started.stdout)
        self.assertNotIn("Traceback", started.stdout + started.stderr)
        self.assertEqual(started.stderr.count("\n"), 1, started.stderr)
        self.assertEqual(list(self.folder.iterdir()), [])
        return started.stderr

    def test_a_port_in_use(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            sentence = self.refuse(f"--port={port}")
        self.assertIn(f"127.0.0.1:{port} is in use", sentence)
        self.assertIn(f"`ss -p -ltn 'sport = :{port}'`", sentence)

    def test_a_port_in_use_by_another_daemon(self) -> None:
        port = self.daemon(command=(*TWISTD, "--pidfile=")).port()
        self.assertIn("is in use", self.refuse(f"--port={port}"))

    def test_below_1024_without_the_right(self) -> None:
        if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) < 1024:
            missing("every user may listen below 1024 here")
        without = ("setpriv", "--bounding-set=-net_bind_service", "--")
        sentence = self.refuse("--port=1", prefix=without if os.geteuid() == 0 else ())
        self.assertIn("CAP_NET_BIND_SERVICE", sentence)

    def test_another_machines_address(self) -> None:
        self.assertIn("192.0.2.1:0", self.refuse("--port=0", "--interface=192.0.2.1"))

    def test_a_name_without_an_address(self) -> None:
        self.assertIn("nosuch.invalid:0", self.refuse("--port=0", "--interface=nosuch.invalid"))

    def test_a_port_too_high_in_an_endpoint(self) -> None:
        self.assertIn("from 0 to 65535", self.refuse("--listen=tcp:65536"))

    def test_a_bad_endpoint(self) -> None:
        self.assertIn("no kind of endpoint 'nosuch'", self.refuse("--listen=nosuch:1"))

    def test_a_missing_systemd_socket(self) -> None:
        sentence = self.refuse("--listen=systemd:domain=INET:index=0")
        self.assertIn("systemd has not passed", sentence)

    def test_an_environment_that_makes_no_sense(self) -> None:
        for setting in ("WATCHDOG_USEC=abc", "LISTEN_FDS=-3"):
            sentence = self.refuse(
                "--port=0", prefix=("sh", "-c", f'LISTEN_PID=$$ {setting} exec "$@"', "-")
            )
            self.assertIn(setting.partition("=")[0], sentence)

    def test_a_missing_folder(self) -> None:
        self.assertIn("make the folder", self.refuse("--listen=unix:/nosuch/hello.sock"))

    def test_twist(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            started = run("twist", "hello", f"--port={other.getsockname()[1]}")
        self.assertEqual(started.returncode, 1)
        self.assertIn("is in use", started.stderr)
        self.assertNotIn("Traceback", started.stderr)

    def test_bad_values_are_usage_errors(self) -> None:
        for argument in ("--port=65536", "--framing=json", "--delay=-1", "--backlog=0"):
            started = run("twistd", "--nodaemon", "hello", argument, cwd=self.folder)
            self.assertEqual(started.returncode, 1)
            option, _, value = argument.partition("=")
            self.assertEqual(started.stdout, "")
            self.assertRegex(
                started.stderr,
                rf"\Atwistd hello: {option}: '{value}' is .*\. See `twistd hello --help`\.\n\Z",
            )


class PrivilegeTests(TwistdTestCase):
    def test_drops_root_after_binding(self) -> None:
        if os.geteuid() != 0:
            missing("only root can drop root")
        daemon = self.daemon(
            f"--port={free_low_port()}",
            command=(*TWISTD, "--uid=65534", "--gid=65534", "--pidfile="),
        )
        self.talk(daemon.port())
        status = Path(f"/proc/{daemon.process.pid}/status").read_text()
        self.assertRegex(status, r"Uid:\t65534\t65534\t65534\t65534\n")
        self.assertRegex(status, r"Gid:\t65534\t65534\t65534\t65534\n")


def free_low_port() -> int:
    """A port below 1024 that nobody listens on."""
    for port in range(1023, 512, -1):
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise AssertionError("all low ports are taken, or not ours to take")
