"""Daemons that are restarted one by one behind a real HAProxy, under load."""

import os
import signal
import socket
import threading
from pathlib import Path
from typing import Self

from tests.processes import PATIENCE, Daemon, ProcessTestCase, Program, free_ports, program

CONFIGURATION = Path(__file__).parent.parent.parent / "deploy/haproxy/haproxy.cfg"

NAMES = ("one", "two", "three")

KINDS = ("", "_STATUS", "_AGENT")

PLACES = [f"{name.upper()}{kind}" for name in NAMES for kind in KINDS]
"""What the file calls the ports of each daemon."""

LOCAL = "tcp:{}:interface=127.0.0.1"


class Load:
    """Clients that talk through a balancer, one session after another, while the context lasts.

    @ivar sessions: how many have been held in full.
    @ivar failed: what went wrong with the others.
    """

    CLIENTS = 8
    PAUSE = 0.005
    """Seconds before each word of a client: all are in a session nearly always, at little cost."""

    def __init__(self, port: int) -> None:
        self.sessions = 0
        self.failed: list[str] = []
        self._port = port
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._clients = [threading.Thread(target=self._talk) for _ in range(self.CLIENTS)]

    def wait_for_more(self, count: int) -> None:
        """Wait until more sessions have been held."""
        with self._changed:
            until = self.sessions + count
            self._changed.wait_for(lambda: self.sessions >= until or self.failed, PATIENCE)

    def _talk(self) -> None:
        while not self._over.is_set():
            try:
                self._session()
            except (OSError, AssertionError) as error:
                self._note(repr(error))
            else:
                self._note()

    def _note(self, *failed: str) -> None:
        with self._changed:
            self.failed.extend(failed)
            self.sessions += not failed
            self._changed.notify_all()

    def _session(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port), PATIENCE) as client:
            for said, answer in (
                (b"", b"Welcome!"),
                (b"Michael", b"Hello, Michael!"),
                (b"exit", b""),
            ):
                self._over.wait(self.PAUSE)
                client.sendall(said)
                got = client.recv(1024)
                if got != answer:
                    raise AssertionError(f"{got!r} after {said!r}")

    def __enter__(self) -> Self:
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for client in self._clients:
            client.join()


class RollingTests(ProcessTestCase):
    def start(self, name: str, *options: str) -> Daemon:
        """Start one of the daemons, on its ports."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        port, status, agent = (self.places[f"{name.upper()}{what}"] for what in KINDS)
        daemon = self.enterContext(
            Daemon(
                folder,
                f"--listen={LOCAL.format(port)}",
                f"--status={LOCAL.format(status)}",
                f"--agent={LOCAL.format(agent)}",
                *options,
            )
        )
        daemon.port()
        return daemon

    def roll(self, check: str, down: str, *options: str) -> None:
        """Restart all daemons; see that no session fails.

        @param check: the backend of the configuration.
        @param down: what HAProxy says of one that is to get no more sessions.
        """
        balancer = program("haproxy")
        self.places = dict(zip(PLACES, map(str, free_ports(len(PLACES))), strict=True))
        daemons = {name: self.start(name, *options) for name in NAMES}
        entry = self.enterContext(socket.create_server(("127.0.0.1", 0)))
        environment = {
            **os.environ,
            **self.places,
            "CHECK": check,
            "INTER": "100ms",
            "LISTEN": f"fd@{entry.fileno()}",
        }
        haproxy = self.enterContext(
            Program(
                [balancer, "-f", str(CONFIGURATION)],
                self.folder, env=environment, pass_fds=[entry.fileno()],
            )
        )  # fmt: skip
        with Load(entry.getsockname()[1]) as load:
            load.wait_for_more(100)
            for name, daemon in daemons.items():
                daemon.process.send_signal(signal.SIGTERM)
                haproxy.wait_for(f"Server {check}/{name} {down}")
                self.assertEqual(daemon.wait(), -signal.SIGTERM)
                load.wait_for_more(100)
                self.start(name, *options)
                haproxy.wait_for(f"Server {check}/{name} is UP")
                load.wait_for_more(100)
        self.assertEqual(load.failed, [])
        self.assertGreaterEqual(load.sessions, 700)

    def test_by_readyz(self) -> None:
        self.roll("by_readyz", "is DOWN, reason: Layer7 .* 503", "--drain-delay=2")

    def test_by_agent(self) -> None:
        self.roll("by_agent", "enters drain state", "--drain-delay=2")

    def test_by_the_port_alone(self) -> None:
        self.roll("by_port", "is DOWN", "--drain-grace=5")
