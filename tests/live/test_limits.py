"""How a real daemon keeps within its limits."""

import os
import resource
import select
import socket
from pathlib import Path

from tests.certificates import tls_endpoint
from tests.processes import PATIENCE, Daemon, ProcessTestCase, run


class LimitTests(ProcessTestCase):
    def connect(self, daemon: Daemon) -> socket.socket:
        client = self.enterContext(socket.socket())
        client.settimeout(PATIENCE)
        client.connect_ex(("127.0.0.1", daemon.port()))  # one that is refused may be told already
        return client

    def let_in(self, client: socket.socket) -> bool:
        try:
            return client.recv(8) == b"Welcome!"
        except ConnectionResetError:
            return False

    def test_too_many_in_all(self) -> None:
        daemon = self.daemon("--port=0", "--max-connections=2")
        clients = [self.connect(daemon) for _ in range(4)]
        self.assertEqual([self.let_in(client) for client in clients], [True, True, False, False])
        daemon.wait_for(r"Connections refused: \d, for there are 2 already\.")
        clients[0].close()
        daemon.wait_for("closed")
        self.assertTrue(self.let_in(self.connect(daemon)))

    def test_too_many_over_tls(self) -> None:
        place, trust = tls_endpoint(self.folder)
        daemon = self.daemon(f"--listen={place}", "--max-connections=1")
        clients = [self.connect(daemon) for _ in range(2)]
        with trust.wrap_socket(clients[0], server_hostname="localhost") as client:
            self.assertTrue(self.let_in(client))
            self.assertFalse(self.let_in(clients[1]))
        self.assertNotIn("Traceback", "".join(daemon.output))

    def test_too_many_from_a_host(self) -> None:
        daemon = self.daemon("--port=0", "--max-per-host=1")
        clients = [self.connect(daemon) for _ in range(2)]
        self.assertEqual([self.let_in(client) for client in clients], [True, False])
        other = socket.create_connection(
            ("127.0.0.1", daemon.port()), PATIENCE, source_address=("127.0.0.2", 0)
        )
        self.assertTrue(self.let_in(self.enterContext(other)))

    def test_more_than_there_are_descriptors(self) -> None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        refused = run("twistd", "--nodaemon", "hello", f"--max-connections={hard}", cwd=self.folder)
        self.assertEqual(refused.returncode, 1)
        self.assertRegex(
            refused.stderr, r"\A--max-connections may be \d+ at most .*`ulimit -n`.*\n\Z"
        )
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_an_idle_client(self) -> None:
        daemon = self.daemon("--port=0", "--idle-timeout=1")
        client = self.connect(daemon)
        self.assertTrue(self.let_in(client))
        self.assertEqual(client.recv(8), b"")

    def test_an_old_client(self) -> None:
        daemon = self.daemon("--port=0", "--max-lifetime=1")
        client = self.connect(daemon)
        self.assertTrue(self.let_in(client))
        while client.recv(1024):
            client.sendall(b"Michael")

    def test_a_client_that_waits_is_not_idle(self) -> None:
        daemon = self.daemon("--port=0", "--delay=3", "--idle-timeout=1")
        client = self.connect(daemon)
        self.assertTrue(self.let_in(client))
        client.sendall(b"Michael")
        self.assertEqual(client.recv(1024), b"Hello, Michael!")
        client.sendall(b"Tracy")
        self.assertEqual(client.recv(1024), b"Hello, Tracy!")
        self.assertEqual(client.recv(8), b"")

    def ticks(self, daemon: Daemon) -> int:
        """The CPU time that a daemon has used."""
        fields = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def assert_rests(self, daemon: Daemon, client: socket.socket) -> None:
        """See a daemon use no CPU time to speak of while a client is silent, for some looks."""
        quiet = 0
        for _ in range(100):
            used = self.ticks(daemon)
            select.select([client], [], [], 0.2)
            quiet = quiet + 1 if self.ticks(daemon) <= used + 1 else 0
            if quiet == 12:
                return
        self.fail("it spins")

    def assert_told_once(self, daemon: Daemon) -> None:
        """See in the log that it accepted none for one time, and then did again."""
        told = [line for line in daemon.output if "Accepting" in line]
        self.assertEqual(len(told), 2, told)

    def leave(self, daemon: Daemon, descriptors: int) -> None:
        """Lower a running daemon's limit so that C{descriptors} are left to open."""
        with self.connect(daemon) as client:
            self.assertTrue(self.let_in(client))
        daemon.wait_for("closed")
        pid = daemon.process.pid
        highest = max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1 + descriptors, hard))

    def test_with_fewer_descriptors_than_are_open_it_rests_and_recovers(self) -> None:
        daemon = self.daemon()
        self.leave(daemon, -5)
        client, *_ = [self.connect(daemon) for _ in range(60)]
        daemon.wait_for("Accepting no connections: Too many open files")
        self.assert_rests(daemon, client)
        _, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
        self.assertTrue(self.let_in(client))
        daemon.wait_for("Accepting connections again")
        self.assert_told_once(daemon)

    def test_without_descriptors_it_rests_and_recovers(self) -> None:
        daemon = self.daemon()
        self.leave(daemon, 3)
        clients = [self.connect(daemon) for _ in range(30)]
        self.assertTrue(self.let_in(clients[0]))
        daemon.wait_for("Accepting no connections: Too many open files")
        self.assert_rests(daemon, clients[0])
        clients[0].sendall(b"Michael")
        self.assertEqual(clients[0].recv(1024), b"Hello, Michael!")
        for client in clients:
            client.close()
        daemon.wait_for("Accepting connections again")
        self.assertTrue(self.let_in(self.connect(daemon)))
        self.assert_told_once(daemon)
