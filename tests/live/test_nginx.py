"""Daemons behind a real nginx with the shipped configuration."""

import os
import re
import signal
import socket
import ssl
from pathlib import Path

from tests.certificates import Authority, dns
from tests.live.test_rolling import Load
from tests.processes import (
    PATIENCE,
    TWISTD,
    Daemon,
    ProcessTestCase,
    Program,
    free_port,
    missing,
    program,
)

CONFIGURATION = Path(__file__).parent.parent.parent / "deploy/nginx/stream.conf"
MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")

DAEMONS = {9999: 9943, 9998: 9942}
"""The ports in the file of each daemon, without and with TLS."""


class NginxTests(ProcessTestCase):
    def setUp(self) -> None:
        super().setUp()
        authority = Authority()
        pem = authority.issue(dns("localhost")).pem
        (self.folder / "certificate.pem").write_bytes(pem)
        (self.folder / "key.pem").write_bytes(pem)
        self.trust = ssl.create_default_context(cadata=authority.pem.decode())
        self.ports: dict[str, int] = {}

    def nginx(self, *options: str, tls: bool = False) -> Program:
        """Run nginx with the file, as an ordinary user.

        @param tls: whether with the lines of it that are for TLS.
        """
        if not MODULE.exists():
            missing("nginx has no module stream")
        text = CONFIGURATION.read_text()
        if tls:
            text = re.sub(r"^( +)#(?! \S)", r"\1", text, flags=re.MULTILINE)
        text = re.sub(
            r"(127\.0\.0\.1:)(\d+)", lambda place: f"{place[1]}{self.port(place[2])}", text
        )
        (self.folder / "stream.conf").write_text(text)
        user: list[str] = []
        if os.geteuid() == 0:
            os.chown(self.folder, 65534, 65534)
            user = [program(NOBODY[0]), *NOBODY[1:]]
        command = [*user, program("nginx"), "-e", "stderr", "-p", ".", "-c", "stream.conf"]
        return self.enterContext(Program([*command, *options], self.folder))

    def running(self, tls: bool = False) -> None:
        """Run nginx, and wait until it listens."""
        nginx = self.nginx(tls=tls)
        nginx.wait_for("start worker process ")
        self.addCleanup(nginx.stop)

    def port(self, name: str | int) -> int:
        """Choose a port for the one that has this number in the file."""
        return self.ports.setdefault(str(name), free_port())

    def start(self, number: int, *options: str) -> Daemon:
        """Start the daemon that has this port in the file."""
        place = f"--port={self.port(number)}"
        said = place, "--proxy-from=127.0.0.1", "--drain-grace=5", *options
        daemon = self.daemon(*said, command=(*TWISTD, "--pidfile="))
        daemon.port()
        return daemon

    def connect(self, number: int) -> socket.socket:
        place = ("127.0.0.1", self.port(number))
        return self.enterContext(socket.create_connection(place, PATIENCE))

    def secured(self, number: int) -> ssl.SSLSocket:
        client = self.trust.wrap_socket(self.connect(number), server_hostname="localhost")
        return self.enterContext(client)

    def test_it_finds_no_fault(self) -> None:
        for tls in (False, True):
            checked = self.nginx("-t", tls=tls)
            self.assertEqual(checked.wait(), 0)
            checked.wait_for("test is successful")
            self.assertEqual(len(checked.output), 2, checked.output)

    def test_who_ends_its_stream_gets_its_answers(self) -> None:
        self.start(9999)
        self.running()
        for _ in range(20):
            with self.connect(9000) as client:
                client.sendall(b"Michael")
                client.shutdown(socket.SHUT_WR)
                with client.makefile("rb") as answers:
                    self.assertEqual(answers.read(), b"Welcome!Hello, Michael!")

    def test_the_daemon_knows_the_client(self) -> None:
        daemon = self.start(9999)
        self.running()
        client = self.connect(9000)
        self.assertEqual(client.recv(8), b"Welcome!")
        daemon.wait_for(f"Accept new connection from 127.0.0.1:{client.getsockname()[1]}")

    def test_tls_ends_in_nginx_or_in_the_daemon(self) -> None:
        tls = f"--tls-port={self.port(DAEMONS[9999])}", "--tls-certificate=certificate.pem"
        daemon = self.start(9999, *tls)
        daemon.wait_for("Waiting for connection", 2)
        self.running(tls=True)
        for number in (9443, 9444):
            client = self.secured(number)
            self.assertEqual(client.recv(8), b"Welcome!")
            client.sendall(b"Michael")
            self.assertEqual(client.recv(1024), b"Hello, Michael!")
            daemon.wait_for(f"Accept new connection from 127.0.0.1:{client.getsockname()[1]}")
            client.sendall(b"exit")
            self.assertEqual(client.recv(1024), b"")

    def test_daemons_are_restarted_one_by_one(self) -> None:
        daemons = {number: self.start(number) for number in DAEMONS}
        self.running()
        with Load(self.port(9000)) as load:
            load.wait_for_more(100)
            for number, daemon in daemons.items():
                self.assertEqual(daemon.stop(), -signal.SIGTERM)
                load.wait_for_more(100)
                self.start(number).wait_for("Accept new connection")
                load.wait_for_more(100)
        self.assertEqual(load.failed, [])
        self.assertGreaterEqual(load.sessions, 500)
