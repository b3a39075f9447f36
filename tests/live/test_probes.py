"""What a real daemon tells of checks that connect and leave."""

import socket
import struct

from tests.certificates import tls_endpoint
from tests.daemon.test_jsonlog import parse
from tests.processes import PATIENCE, Daemon, ProcessTestCase

JSON = ("twistd", "--nodaemon", "--logger=hello_service.daemon.jsonlog.observer")


class ProbesTests(ProcessTestCase):
    def probe(self, port: int) -> None:
        """Connect and leave: by a close, by a reset, and after the end of what is sent."""
        for end in ("close", "reset", "half-close"):
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
                self.assertEqual(client.recv(8), b"Welcome!")
                if end == "reset":
                    linger = struct.pack("ii", 1, 0)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                elif end == "half-close":
                    client.shutdown(socket.SHUT_WR)
                    self.assertEqual(client.recv(8), b"")

    def visited(
        self, *arguments: str, command: tuple[str, ...] = ("twistd", "--nodaemon")
    ) -> Daemon:
        """Start a daemon, check its port, converse, and stop it while one more is connected."""
        daemon = self.daemon("--port=0", *arguments, command=command)
        self.probe(daemon.port())
        with (
            socket.create_connection(("127.0.0.1", daemon.port()), PATIENCE) as client,
            socket.create_connection(("127.0.0.1", daemon.port()), PATIENCE) as silent,
        ):
            self.assertEqual(client.recv(8), b"Welcome!")
            self.assertEqual(silent.recv(8), b"Welcome!")
            client.sendall(b"Michael")
            self.assertEqual(client.recv(1024), b"Hello, Michael!")
            client.sendall(b"exit")
            self.assertEqual(client.recv(1024), b"")
            daemon.wait_for("closed")
            daemon.process.terminate()
            self.assertEqual(silent.recv(1), b"")
        daemon.wait()
        return daemon

    def test_the_text_log(self) -> None:
        daemon = self.visited("--quiet-probes")
        told = "".join(daemon.output)
        self.assertEqual((told.count("Accept new connection"), told.count("closed.")), (1, 1))
        self.assertEqual(told.count("Connections that said nothing: 4."), 1)

    def test_the_json_log(self) -> None:
        daemon = self.visited("--quiet-probes", "--name=web-%%1", command=JSON)
        records = [parse(line.encode()) for line in daemon.output]
        named = [record["event"] for record in records if record.get("name") == "web-%1"]
        self.assertEqual(named, ["listening", "accepted", "closed"])
        self.assertEqual([r["event"] for r in records if "peer" in r], ["accepted", "closed"])
        (probes,) = (record for record in records if record["event"] == "probes")
        self.assertEqual((probes["count"], probes["level"]), (4, "info"))

    def test_a_handshake_says_nothing(self) -> None:
        place, trust = tls_endpoint(self.folder)
        daemon = self.daemon("--quiet-probes", f"--listen={place}", "--framing=line")
        for said in (b"", b"exit\n"):
            with (
                socket.create_connection(("127.0.0.1", daemon.port()), PATIENCE) as plain,
                trust.wrap_socket(plain, server_hostname="localhost") as client,
            ):
                self.assertEqual(client.recv(10), b"Welcome!\r\n")
                client.sendall(said)
        daemon.wait_for("closed")
        daemon.stop()
        told = "".join(daemon.output)
        self.assertEqual((told.count("Accept new connection"), told.count("closed.")), (1, 1))
        self.assertIn("Connections that said nothing: 1.", told)

    def test_without_it_all_are_told_of(self) -> None:
        told = "".join(self.visited().output)
        self.assertEqual((told.count("Accept new connection"), told.count("closed.")), (5, 5))
        self.assertNotIn("said nothing", told)
