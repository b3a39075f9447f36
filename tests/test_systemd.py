"""The shipped units, as far as they can be tried without a running systemd."""

import re
import shlex
import signal
import socket
from pathlib import Path

import hello_service
from tests.processes import PATIENCE, ProcessTestCase, program, run
from tests.tutorial import CONVERSATION, tutorial_client

UNITS = Path(hello_service.__file__).parent.parent / "deploy" / "systemd"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class UnitTests(ProcessTestCase):
    def test_systemd_finds_no_fault(self) -> None:
        for unit in UNITS.iterdir():
            text = unit.read_text().replace("/opt/hello_service/bin/twistd", program("twistd"))
            (self.folder / unit.name).write_text(text)
        names = sorted(str(unit) for unit in self.folder.iterdir())
        self.assertEqual(len(names), 4)
        verified = run("systemd-analyze", "verify", "--recursive-errors=one", *names)
        self.assertEqual((verified.returncode, verified.stdout, verified.stderr), (0, "", ""))

    def command(self, unit: str) -> list[str]:
        """What a unit starts, with the twistd that is installed here."""
        (line,) = re.findall("^ExecStart=(.*)$", (UNITS / unit).read_text(), re.MULTILINE)
        return [program("twistd"), *shlex.split(line)[1:]]

    def test_its_own_port(self) -> None:
        port = free_port()
        command = [word.replace("9999", str(port)) for word in self.command("hello.service")]
        place = command.index("hello")
        daemon = self.daemon(*command[place + 1 :], command=tuple(command[:place]))
        self.assertEqual(daemon.port(), port)
        self.assertEqual(tutorial_client(port), CONVERSATION)

    def test_the_socket_way(self) -> None:
        port = free_port()
        command = self.command("hello-socket.service")
        place = command.index("hello")
        activate = ("systemd-socket-activate", f"--listen=127.0.0.1:{port}", "--fdname=hello")
        daemon = self.daemon(*command[place + 1 :], command=(*activate, *command[:place]))
        daemon.wait_for("Listening on")
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            self.assertEqual(client.recv(1024), b"Welcome!")
        self.assertEqual(daemon.port(), port)
        self.assertEqual(tutorial_client(port), CONVERSATION)
        self.assertEqual(daemon.stop(), -signal.SIGTERM)
