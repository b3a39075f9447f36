"""What the daemon withstands."""

import select
import socket
import struct
from pathlib import Path

from hello_service.conversation import LINE_TOO_LONG
from hello_service.daemon.limits import raise_descriptor_limit
from tests.processes import PATIENCE, ProcessTestCase


def resident(pid: int) -> int:
    """A process's resident memory in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


class LoadTests(ProcessTestCase):
    def setUp(self) -> None:
        super().setUp()
        raise_descriptor_limit()
        self.server = self.daemon()
        self.address = ("127.0.0.1", self.server.port())

    def converse(self) -> None:
        with socket.create_connection(self.address, PATIENCE) as client:
            client.sendall(b"Michael\nexit\n")
            with client.makefile("rb") as answers:
                self.assertEqual(answers.read(), b"Welcome!Hello, Michael!\n")

    def test_a_burst_of_5000_connections(self) -> None:
        poll = select.epoll()
        self.addCleanup(poll.close)
        clients: dict[int, socket.socket] = {}
        for _ in range(5000):
            client = socket.socket()
            self.addCleanup(client.close)
            client.setblocking(False)
            client.connect_ex(self.address)
            client_number = client.fileno()
            clients[client_number] = client
            poll.register(client_number, select.EPOLLIN)
        received = dict.fromkeys(clients, b"")
        waiting = set(clients)
        while waiting:
            ready = poll.poll(PATIENCE)
            self.assertTrue(ready, f"{len(waiting)} are not answered")
            for number, _ in ready:
                received[number] += clients[number].recv(1024)
                if received[number] == b"Welcome!":
                    clients[number].sendall(b"Michael")
                elif received[number] == b"Welcome!Hello, Michael!":
                    waiting.discard(number)
                    poll.unregister(number)
        self.converse()

    def test_a_client_that_never_reads(self) -> None:
        self.converse()
        before = resident(self.server.process.pid)
        with socket.create_connection(self.address) as client:
            client.setblocking(False)
            left = 200_000_000
            block = b"Michael\n" * 8192
            while left and select.select([], [client], [], 1)[1]:
                left -= client.send(block[: min(left, len(block))])
            self.assertGreater(left, 0)
            self.converse()
            self.assertLess(resident(self.server.process.pid) - before, 10 * 2**20)
        self.server.wait_for("closed", count=3)

    def test_a_storm_of_resets(self) -> None:
        count = 500
        for number in range(count):
            client = socket.create_connection(self.address, PATIENCE)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if number % 2:  # the others are gone when they are accepted, if they are
                self.assertEqual(client.recv(1024), b"Welcome!")
                client.sendall(b"Michael\n" * 100)
            client.close()
        self.converse()
        self.server.wait_for("closed", count=count // 2 + 1)
        self.assertNotIn("Traceback", "".join(self.server.output))
        self.assertNotIn("Unhandled", "".join(self.server.output))

    def test_an_over_long_line_is_told_before_the_close(self) -> None:
        with socket.create_connection(self.address, PATIENCE) as client:
            answers = self.enterContext(client.makefile("rb"))
            client.sendall(b"Michael\n")
            self.assertEqual(answers.readline(), b"Welcome!Hello, Michael!\n")
            client.sendall(b"x" * 500_000)
            self.assertEqual(answers.read(), LINE_TOO_LONG)
