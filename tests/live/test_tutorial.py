"""The daemon against the tutorial's server, which is the oracle: the same bytes for the same
sends, gaps and half-closes."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.processes import PATIENCE, ProcessTestCase, run
from tests.tutorial import CONVERSATION, TutorialServer, tutorial_client

DELAY = 1.0
GREETING = len(b"Welcome!")


@dataclass(frozen=True)
class Send:
    data: bytes


@dataclass(frozen=True)
class Gap:
    seconds: float


@dataclass(frozen=True)
class Receive:
    """Read until a given number of bytes have come in all."""

    total: int


@dataclass(frozen=True)
class HalfClose:
    pass


Step = Send | Gap | Receive | HalfClose

DURING_THE_WAIT = Gap(0.4 * DELAY)
"""Long enough that what was sent before has been read, short enough that the wait is not over."""


def answered(*messages: bytes) -> Receive:
    return Receive(GREETING + sum(len(b"Hello, !") + len(message) for message in messages))


SCRIPTS: dict[str, list[Step]] = {
    "the tutorial's client": [
        Receive(GREETING),
        Send(b"Michael"),
        answered(b"Michael"),
        Send(b"Tracy"),
        answered(b"Michael", b"Tracy"),
        Send(b"exit"),
    ],
    "sent during the wait": [
        Send(b"Michael"),
        DURING_THE_WAIT,
        Send(b"Tracy"),
        Send(b"Sarah"),
        answered(b"Michael", b"TracySarah"),
        Send(b"exit"),
    ],
    "exit during the wait": [Send(b"Michael"), DURING_THE_WAIT, Send(b"exit")],
    "exit behind a name": [
        Send(b"Michael"),
        DURING_THE_WAIT,
        Send(b"Sarah"),
        Send(b"exit"),
        answered(b"Michael", b"Sarahexit"),
        Send(b"exit"),
    ],
    "half-close at once": [HalfClose()],
    "half-close behind a name": [Send(b"Michael"), HalfClose()],
    "half-close during the wait": [
        Send(b"Michael"),
        DURING_THE_WAIT,
        Send(b"Tracy"),
        HalfClose(),
    ],
    "more than one read": [Send(b"x" * 2500), HalfClose()],
    "more joins the rest of a read": [
        Send(b"x" * 1500),
        DURING_THE_WAIT,
        Send(b"y" * 100),
        HalfClose(),
    ],
    "exit is the rest of a read": [Send(b"x" * 1024 + b"exit")],
    "whole characters": [Send("李雷😀".encode()), HalfClose()],
    "lines": [Send(b"Michael\nTracy\r\n"), HalfClose()],
    "exit with a newline": [Send(b"exit\n"), HalfClose()],
    "zeros and control bytes": [Send(b"\0\x1b[2J\x7f"), HalfClose()],
    "only exit": [Send(b"exit")],
}


def play(port: int, script: list[Step]) -> bytes:
    """Play a script to a server; return all that it sends until it closes."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        for step in script:
            match step:
                case Send(data):
                    client.sendall(data)
                case Gap(seconds):
                    time.sleep(seconds)
                case Receive(total):
                    while len(received) < total:
                        data = client.recv(65536)
                        if not data:
                            return received
                        received += data
                case HalfClose():
                    client.shutdown(socket.SHUT_WR)
        while data := client.recv(65536):
            received += data
    return received


class TutorialTests(ProcessTestCase):
    def test_byte_for_byte_in_stream_framing(self) -> None:
        daemon = self.daemon("--port=0", "--framing=stream", f"--delay={DELAY}")
        oracle = self.enterContext(TutorialServer(DELAY))
        with ThreadPoolExecutor(2 * len(SCRIPTS)) as pool:
            expected = {
                name: pool.submit(play, oracle.port, script) for name, script in SCRIPTS.items()
            }
            ours = {
                name: pool.submit(play, daemon.port(), script) for name, script in SCRIPTS.items()
            }
            for name in SCRIPTS:
                self.assertEqual(ours[name].result(), expected[name].result(), name)
        self.assertEqual(
            expected["sent during the wait"].result(), b"Welcome!Hello, Michael!Hello, TracySarah!"
        )

    def test_its_client_against_ours_and_our_client_against_its_server(self) -> None:
        daemon = self.daemon()
        self.assertEqual(tutorial_client(daemon.port()), CONVERSATION)
        oracle = self.enterContext(TutorialServer(DELAY))
        client = run("hello-client", f"--port={oracle.port}")
        self.assertEqual((client.returncode, client.stderr), (0, ""))
        self.assertEqual(client.stdout.splitlines(), CONVERSATION)
