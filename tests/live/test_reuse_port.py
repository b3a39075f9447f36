"""Several real daemons on one port."""

import socket

from tests.processes import PATIENCE, Daemon, ProcessTestCase, program, run
from tests.tutorial import tutorial_client


class ReusePortTests(ProcessTestCase):
    def sharing(self, port: int, interface: str = "127.0.0.1") -> Daemon:
        folder = self.folder / str(len(list(self.folder.iterdir())))
        folder.mkdir()
        command = (f"--port={port}", "--reuse-port", f"--interface={interface}")
        daemon = self.enterContext(Daemon(folder, *command))
        daemon.port()
        return daemon

    def greet(self, port: int, interface: str) -> None:
        with socket.create_connection((interface, port), PATIENCE) as client:
            self.assertEqual(client.recv(1024), b"Welcome!")

    def both_serve(self, interface: str) -> None:
        first = self.sharing(0, interface)
        port = first.port()
        second = self.sharing(port, interface)
        for _ in range(64):
            self.greet(port, interface)
        for daemon in (first, second):
            daemon.wait_for("Accept new connection")
        first.stop()
        for _ in range(16):
            self.greet(port, interface)

    def test_ipv4(self) -> None:
        self.both_serve("127.0.0.1")

    def test_ipv6(self) -> None:
        self.both_serve("::1")

    def test_one_that_does_not_share_is_refused(self) -> None:
        port = self.sharing(0).port()
        command = [program("twistd"), "--nodaemon", "--pidfile=", "hello", f"--port={port}"]
        refused = run(*command, cwd=self.folder)
        self.assertEqual(refused.returncode, 1)
        self.assertRegex(refused.stderr, rf"^127\.0\.0\.1:{port} is in use .*\.\n$")
        self.assertEqual(len(tutorial_client(port)), 4)
