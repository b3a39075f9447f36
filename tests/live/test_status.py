"""The ports of a real daemon for those who watch it."""

import contextlib
import random
import re
import signal
import socket
import struct

from hello_service.daemon.status.bounded import MOST
from tests.processes import PATIENCE, Daemon, ProcessTestCase
from tests.tutorial import tutorial_client

ANY = "tcp:0:interface=127.0.0.1"

RESET = struct.pack("ii", 1, 0)
"""What SO_LINGER takes to close by a reset."""

VALID = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

NASTY = (
    b"",
    b"\0" * 100,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /readyz\r\n\r\n",
    b"GET /readyz HTTP/9.9\r\n\r\n",
    b"\r\n\r\n\r\nGET /readyz HTTP/1.1\r\n\r\n",
    b"GET /%00%ff%zz HTTP/1.1\r\n\r\n",
    b"GET /readyz HTTP/1.1\r\n: nameless\r\n\r\n",
    b"GET /readyz HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"GET /readyz HTTP/1.1\r\nContent-Length: " + b"9" * 4090 + b"\r\n\r\n",
    b"GET /readyz HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    b"POST / HTTP/1.1\r\nContent-Type: multipart/form-data\r\nContent-Length: 3\r\n\r\nabc",
    b"GET / HTTP/1.1\r\nCookie: ===;;;\r\nExpect: 100-continue\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 600 + b"\r\n",
    b"a" * 100_000,
)


def damaged(chance: random.Random) -> bytes:
    """Make a request that is one no more, or not quite."""
    if chance.random() < 0.3:
        return chance.choice(NASTY)
    if chance.random() < 0.3:
        return chance.randbytes(chance.randrange(3000))
    request = bytearray(VALID * chance.randrange(1, 3))
    for _ in range(chance.randrange(1, 6)):
        place = chance.randrange(len(request))
        request[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
    return bytes(request)


class StatusTests(ProcessTestCase):
    def watched(self, *options: str) -> Daemon:
        daemon = self.daemon("--port=0", f"--status={ANY}", f"--agent={ANY}", *options)
        daemon.port()
        return daemon

    def place(self, daemon: Daemon, name: str) -> tuple[str, int]:
        return ("127.0.0.1", int(daemon.wait_for(rf"#info\] {name}.* on 127\.0\.0\.1:(\d+)\.")[1]))

    def ask(self, daemon: Daemon, path: str) -> str:
        """Return the answer to a request."""
        with socket.create_connection(self.place(daemon, "Status"), PATIENCE) as client:
            client.sendall(VALID.replace(b"/readyz", path.encode()))
            with client.makefile(newline="") as answer:
                return answer.read()

    def agent(self, daemon: Daemon) -> str:
        """Return what the agent says."""
        with (
            socket.create_connection(self.place(daemon, "Agent-check"), PATIENCE) as client,
            client.makefile() as answer,
        ):
            return answer.read()

    def test_drains_in_the_sight_of_all(self) -> None:
        daemon = self.watched("--drain-delay=600")
        self.assertRegex(self.ask(daemon, "/healthz"), r"^HTTP/1\.1 200 ")
        self.assertRegex(self.ask(daemon, "/readyz"), r"^HTTP/1\.1 200 ")
        self.assertEqual(self.agent(daemon), "up ready\n")
        daemon.process.send_signal(signal.SIGTERM)
        daemon.wait_for("Listening for 600 seconds more")
        self.assertRegex(self.ask(daemon, "/healthz"), r"^HTTP/1\.1 200 ")
        self.assertRegex(self.ask(daemon, "/readyz"), r"^HTTP/1\.1 503 ")
        self.assertEqual(self.agent(daemon), "drain\n")
        self.assertEqual(len(tutorial_client(daemon.port())), 4)
        self.assertEqual(daemon.stop(), -signal.SIGTERM)

    def test_answers_until_the_last_conversation_is_over(self) -> None:
        daemon = self.watched("--drain-grace=600")
        with socket.create_connection(("127.0.0.1", daemon.port()), PATIENCE) as client:
            self.assertEqual(client.recv(8), b"Welcome!")
            daemon.process.send_signal(signal.SIGTERM)
            daemon.wait_for(r"\(TCP Port \d+ Closed\)|Draining", 2)
            self.assertRegex(self.ask(daemon, "/readyz"), r"^HTTP/1\.1 503 ")
            client.sendall(b"Michael")
            self.assertEqual(client.recv(1024), b"Hello, Michael!")
        self.assertEqual(daemon.wait(), -signal.SIGTERM)

    def test_a_busy_place(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as busy:
            place = f"tcp:{busy.getsockname()[1]}:interface=127.0.0.1"
            for option in ("--status", "--agent"):
                daemon = self.daemon("--port=0", f"{option}={place}")
                self.assertEqual(daemon.wait(), 1)
                daemon.wait_for(r"^127\.0\.0\.1:\d+ is in use by another program")
                self.assertNotIn("Traceback", "".join(daemon.output))

    def test_many_at_once(self) -> None:
        daemon = self.watched()
        for name, answer in (("Status", b"HTTP/1.1 200 OK\r\n"), ("Agent-check", b"up ready\n")):
            daemon.process.send_signal(signal.SIGSTOP)
            clients = [
                self.enterContext(socket.create_connection(self.place(daemon, name), PATIENCE))
                for _ in range(3 * MOST)
            ]
            if name == "Status":
                for client in clients:
                    client.sendall(VALID)
            daemon.process.send_signal(signal.SIGCONT)
            for client in clients:
                self.assertEqual(client.recv(len(answer)), answer)

    def test_nonsense_has_no_effect_on_anybody(self) -> None:
        daemon = self.watched()
        chance = random.Random(14)
        held = []
        for number in range(600):
            place = self.place(daemon, chance.choice(["Status", "Agent-check"]))
            client = socket.create_connection(place, PATIENCE)
            with contextlib.suppress(ConnectionError):
                client.sendall(damaged(chance))
            match chance.randrange(3):
                case 0:
                    held.append(client)
                    continue
                case 1:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            client.close()
            if number % 50 == 0:
                self.assertRegex(self.ask(daemon, "/readyz"), r"^HTTP/1\.1 200 ")
                self.assertEqual(self.agent(daemon), "up ready\n")
                self.assertEqual(len(tutorial_client(daemon.port())), 4)
        for client in held:
            client.close()
        silent = [
            self.enterContext(socket.create_connection(self.place(daemon, "Status"), PATIENCE))
            for _ in range(2 * MOST)
        ]
        self.assertRegex(self.ask(daemon, "/readyz"), r"^HTTP/1\.1 200 ")
        self.assertRaises(ConnectionError, silent[0].recv, 1)
        conversations = re.findall("Accept new connection", "".join(daemon.output))
        self.assertIn(
            f"\ndaemon_connections_accepted_total {len(conversations)}.0\n",
            self.ask(daemon, "/metrics"),
        )
        daemon.stop()
        self.assertNotIn("Traceback", "".join(daemon.output))
        self.assertNotIn("Unhandled", "".join(daemon.output))
