"""The shipped Dockerfile and what Kubernetes makes of its image, as far as no engine is needed."""

import os
import select
import signal
from pathlib import Path

from tests import kubernetes
from tests.containers import Container, can_contain
from tests.dockerfile import Stage, build
from tests.namespaces import Network
from tests.processes import PATIENCE, ProcessTestCase

MANY = b"Michael\n" * 8192


class ImageTests(ProcessTestCase):
    """One test, for the image takes longer to build than all that is tried with it.

    The drains have more time than they are shipped with: this machine may be slow.
    """

    def contain(self, image: Stage, *options: str) -> tuple[Container, Network]:
        """Run a container, and wait until the daemon listens."""
        container = self.enterContext(Container(image, self.folder, *options))
        container.wait_for(r"Waiting for connection\.\.\. \(listening on 0\.0\.0\.0:9999\)")
        return container, self.enterContext(Network(container.leader))

    def test_image(self) -> None:
        can_contain()
        image = build(self.folder)
        self.run_by_itself(image)
        self.run_as_a_pod(image)

    def run_by_itself(self, image: Stage) -> None:
        container, network = self.contain(image, *image.command, "--drain-timeout=600")
        self.assertEqual(image.ports, [9999])
        self.assert_shut_in(container)
        checked = container.exec(image.health)
        self.assertEqual((checked.returncode, checked.stderr), (0, ""))
        self.assertEqual(checked.stdout, "Welcome!\nHello, health!\n")
        with network.connect(9999) as client:
            client.setblocking(False)
            while select.select([], [client], [], 1)[1]:  # it reads until answers queue up
                client.send(MANY)
            client.settimeout(PATIENCE)
            os.kill(container.leader, signal.Signals[image.stop_signal])
            container.wait_for(r"Draining, connections left: 1\.")
            self.assertIn("REFUSED", container.exec(image.health).stderr)
            with client.makefile("rb") as answers:
                self.assertRegex(answers.read(), rb"\AWelcome!(Hello, Michael!\n)+\Z")
        self.assert_ended_well(container)

    def run_as_a_pod(self, image: Stage) -> None:
        container, network = self.contain(image, *kubernetes.arguments(), "--drain-delay=600")
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            self.assertIn(b" 200 ", self.ask(network, probe))
        os.kill(container.leader, signal.SIGTERM)
        container.wait_for("Listening for 600 seconds more")
        self.assertIn(b" 200 ", self.ask(network, "livenessProbe"))
        self.assertIn(b" 503 ", self.ask(network, "readinessProbe"))
        with network.connect(9999) as client:
            self.assertEqual(client.recv(8), b"Welcome!")
            os.kill(container.leader, signal.SIGTERM)  # a second one, to wait no longer
            self.assert_ended_well(container)

    def ask(self, network: Network, name: str) -> bytes:
        """Ask what a probe of the Deployment asks; return the status line."""
        asked = kubernetes.container()[name]["httpGet"]
        (port,) = (port["containerPort"] for port in kubernetes.container()["ports"]
                   if port["name"] == asked["port"])  # fmt: skip
        with network.connect(port) as client:
            client.sendall(f"GET {asked['path']} HTTP/1.1\r\nHost: 10.1.2.3\r\n\r\n".encode())
            with client.makefile("rb") as answer:
                return answer.readline()

    def assert_ended_well(self, container: Container) -> None:
        self.assertEqual(container.wait(), 0)
        output = "".join(container.output)
        for trouble in ("Traceback", "plugin cache"):
            self.assertNotIn(trouble, output)

    def assert_shut_in(self, container: Container) -> None:
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{container.leader}/status").read_text().splitlines()
        )
        self.assertEqual(status["NSpid"].split()[-1], "1")
        self.assertEqual(status["Uid"].split(), ["65532"] * 4)
        self.assertEqual(status["Gid"].split(), ["65532"] * 4)
        self.assertEqual((status["NoNewPrivs"], int(status["CapBnd"], 16)), ("1", 0))
        self.assertEqual(status["Groups"].split(), [])
        python = "/opt/hello_service/bin/python"
        for path in ("/file", "/tmp/file", "/opt/hello_service/file"):
            written = container.exec([python, "-c", f"open({path!r}, 'w')"])
            self.assertIn("Read-only file system", written.stderr)
        shell = container.exec([python, "-c", "import os; os.execv('/bin/sh', ['sh'])"])
        self.assertIn("Permission denied", shell.stderr)
