"""How a real daemon stops."""

import re
import select
import signal
import socket

from hello_service.daemon.protocol import LINGER
from tests.certificates import tls_endpoint
from tests.processes import PATIENCE, TWISTD, Daemon, ProcessTestCase


class StoppingTests(ProcessTestCase):
    def connect(self, daemon: Daemon) -> socket.socket:
        """Connect a client, which is greeted."""
        client = self.enterContext(socket.create_connection(("127.0.0.1", daemon.port()), PATIENCE))
        self.assertEqual(client.recv(8), b"Welcome!")
        return client

    def stick(self, daemon: Daemon) -> tuple[socket.socket, int]:
        """Connect a client that sends until nothing more is taken, and reads nothing.

        @return: it, and how many bytes were taken.
        """
        client = self.connect(daemon)
        client.setblocking(False)
        block = b"Michael\n" * 8192
        taken = 0
        while select.select([], [client], [], 1)[1]:
            taken += client.send(block)
        client.settimeout(PATIENCE)
        return client, taken

    def assert_ended(self, daemon: Daemon, number: int = signal.SIGTERM) -> None:
        self.assertEqual(daemon.wait(), -number)
        self.assertNotIn("Traceback", "".join(daemon.output))

    def test_an_idle_client_is_told_of_the_end(self) -> None:
        daemon = self.daemon()
        client = self.connect(daemon)
        daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(client.recv(8), b"")
        client.close()
        self.assert_ended(daemon)
        daemon.wait_for("Draining, connections left: 1")

    def test_a_slow_client_gets_what_it_is_owed(self) -> None:
        daemon = self.daemon("--port=0", "--drain-timeout=60")
        client, taken = self.stick(daemon)
        daemon.process.send_signal(signal.SIGTERM)
        daemon.wait_for("Draining, connections left: 1", count=2)
        with client.makefile("rb") as answers:
            owed = answers.read()
        client.close()
        self.assert_ended(daemon)
        answer = b"Hello, Michael!\n"
        self.assertEqual(owed, answer * (len(owed) // len(answer)))
        self.assertGreater(len(owed), 2**16)
        self.assertLessEqual(len(owed) // 2, taken)
        ends = [line for line in daemon.output if re.search("closed|Shut Down", line)]
        self.assertIn("closed", ends[0])

    def test_a_client_has_time_until_its_system_has_all(self) -> None:
        daemon = self.daemon("--port=0", "--drain-timeout=60")
        client = self.enterContext(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", daemon.port()))
        self.assertEqual(client.recv(8), b"Welcome!")
        client.sendall(b"Michael\n" * 5000)
        self.assertEqual(client.recv(16), b"Hello, Michael!\n")
        daemon.process.send_signal(signal.SIGTERM)
        daemon.wait_for("Draining, connections left: 1", count=2 + round(LINGER))
        with client.makefile("rb") as answers:
            self.assertEqual(answers.read(), b"Hello, Michael!\n" * 4999)
        client.close()
        self.assert_ended(daemon)

    def test_a_socket_file_that_is_gone_already(self) -> None:
        daemon = self.daemon("--listen=unix:hello.sock", "--listen=tcp:0:interface=127.0.0.1")
        client = self.connect(daemon)
        (self.folder / "hello.sock").unlink()
        daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(client.recv(8), b"")
        client.close()
        self.assert_ended(daemon)
        self.assertNotIn("hello.sock is", "".join(daemon.output))

    def test_a_stuck_client_is_aborted_and_counted(self) -> None:
        daemon = self.daemon("--port=0", "--drain-timeout=0.5")
        self.stick(daemon)
        idle = self.connect(daemon)
        daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(idle.recv(8), b"")
        idle.close()
        self.assert_ended(daemon)
        daemon.wait_for(r"Connections aborted: 1\.")

    def test_a_second_signal_means_now(self) -> None:
        for first, second in (
            (signal.SIGTERM, signal.SIGTERM),
            (signal.SIGINT, signal.SIGINT),
            (signal.SIGINT, signal.SIGTERM),
        ):
            daemon = self.daemon("--port=0", "--drain-timeout=600", command=(*TWISTD, "--pidfile="))
            self.stick(daemon)
            daemon.process.send_signal(first)
            daemon.wait_for("Draining, connections left: 1")
            daemon.process.send_signal(second)
            self.assert_ended(daemon, first)
            daemon.wait_for(r"Connections aborted: 1\.")

    def test_two_signals_at_once(self) -> None:
        daemon = self.daemon("--port=0", "--drain-timeout=600")
        self.stick(daemon)
        daemon.process.send_signal(signal.SIGINT)
        daemon.process.send_signal(signal.SIGTERM)
        self.assertIn(daemon.wait(), (-signal.SIGINT, -signal.SIGTERM))
        self.assertNotIn("Traceback", "".join(daemon.output))

    def test_balancers_are_served_during_the_delay(self) -> None:
        daemon = self.daemon("--port=0", "--drain-delay=600")
        early = self.connect(daemon)
        daemon.process.send_signal(signal.SIGTERM)
        daemon.wait_for("Listening for 600 seconds more")
        late = self.connect(daemon)
        for client in (early, late):
            client.sendall(b"Michael")
            self.assertEqual(client.recv(1024), b"Hello, Michael!")
        daemon.process.send_signal(signal.SIGTERM)
        for client in (early, late):
            self.assertEqual(client.recv(8), b"")
        self.assert_ended(daemon)

    def test_tls(self) -> None:
        place, trust = tls_endpoint(self.folder)
        daemon = self.daemon(f"--listen={place}", "--drain-timeout=600")
        silent, plain = (  # which are accepted in this order
            self.enterContext(socket.create_connection(("127.0.0.1", daemon.port()), PATIENCE))
            for _ in range(2)
        )
        with trust.wrap_socket(plain, server_hostname="localhost") as client:
            self.assertEqual(client.recv(8), b"Welcome!")
            daemon.process.send_signal(signal.SIGTERM)
            self.assertEqual(client.recv(8), b"")
            client.unwrap()
        self.assertRaises(ConnectionResetError, silent.recv, 8)
        self.assert_ended(daemon)

    def test_tls_does_not_wait_for_ever_for_the_clients_close(self) -> None:
        place, trust = tls_endpoint(self.folder)
        daemon = self.daemon(f"--listen={place}")
        plain = socket.create_connection(("127.0.0.1", daemon.port()), PATIENCE)
        with trust.wrap_socket(plain, server_hostname="localhost") as client:
            self.assertEqual(client.recv(8), b"Welcome!")
            client.sendall(b"exit")
            self.assertEqual(client.recv(8), b"")
            daemon.wait_for("Connection from .* closed")

    def test_a_reload_during_the_drain(self) -> None:
        daemon = self.daemon("--port=0", "--drain-timeout=600")
        self.stick(daemon)
        daemon.process.send_signal(signal.SIGTERM)
        daemon.wait_for("Draining, connections left: 1")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("Reloaded nothing")
        daemon.process.send_signal(signal.SIGTERM)
        self.assert_ended(daemon)
