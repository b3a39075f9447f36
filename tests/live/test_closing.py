"""How a real daemon ends a conversation, on the wire."""

import signal
import socket
from textwrap import dedent

from tests.processes import PATIENCE, REACTOR, Daemon, ProcessTestCase, program

PROXIED = b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 9999\r\n"


class ClosingTests(ProcessTestCase):
    def connect(self, daemon: Daemon) -> socket.socket:
        return self.enterContext(socket.create_connection(("127.0.0.1", daemon.port()), PATIENCE))

    def turn(self, daemon: Daemon) -> None:
        """Have the daemon's reactor turn many times."""
        client = self.connect(daemon)
        client.recv(1024)
        for _ in range(200):
            client.sendall(b"Tracy\n")
            client.recv(1024)
        client.close()

    def test_what_follows_exit_takes_no_answer_along(self) -> None:
        daemon = self.daemon("--port=0", "--framing=line")
        client = self.connect(daemon)
        client.sendall(b"Michael\n" * 20_000)
        client.sendall(b"exit\n")
        self.turn(daemon)
        client.sendall(b"x\n")
        with client.makefile("rb") as answers:
            self.assertEqual(answers.read(), b"Welcome!\r\n" + b"Hello, Michael!\n" * 20_000)

    def test_a_peer_that_stays_is_not_waited_for_for_ever(self) -> None:
        daemon = self.daemon("--port=0", "--framing=line")
        client = self.connect(daemon)
        client.sendall(b"Michael\nexit\nmore\n")
        with client.makefile("rb") as answers:
            self.assertEqual(answers.read(), b"Welcome!\r\nHello, Michael!\n")
        daemon.wait_for("closed")

    def test_behind_a_proxy(self) -> None:
        daemon = self.daemon("--listen=haproxy:tcp:0:interface=127.0.0.1")
        clients = [self.connect(daemon) for _ in range(2)]
        for client in clients:
            client.sendall(PROXIED + b"a\nexit\nmore\n")
            with client.makefile("rb") as answers:
                self.assertEqual(answers.read(), b"Welcome!Hello, a!\n")
        daemon.wait_for("closed", count=2)
        self.assertEqual(daemon.stop(), -signal.SIGTERM)
        daemon.wait_for("Server Shut Down")
        self.assertNotIn("aborted", "".join(daemon.output))


class LateFailureTests(ProcessTestCase):
    def test_an_endpoint_that_fails_after_the_start_is_a_failure_of_the_daemon(self) -> None:
        plugins = self.folder / "twisted" / "plugins"
        plugins.mkdir(parents=True)
        (plugins / "late_plugin.py").write_text(
            dedent("""\
            from twisted.internet.defer import Deferred
            from twisted.internet.interfaces import (
                IStreamServerEndpoint, IStreamServerEndpointStringParser)
            from twisted.plugin import IPlugin
            from zope.interface import implementer

            @implementer(IStreamServerEndpoint)
            class Late:
                def __init__(self, reactor):
                    self.reactor = reactor

                def listen(self, factory):
                    outcome = Deferred()
                    self.reactor.callLater(0, outcome.errback, OSError(5, "broken"))
                    return outcome

            @implementer(IPlugin, IStreamServerEndpointStringParser)
            class Parser:
                prefix = "late"

                def parseStreamServer(self, reactor):
                    return Late(reactor)

            parser = Parser()
            """)
        )
        reactor = (f"--reactor={REACTOR}",) if REACTOR else ()
        daemon = self.daemon(
            "--listen=late",
            command=("env", f"PYTHONPATH={self.folder}", program("twistd"), *reactor, "-n"),
        )
        self.assertEqual(daemon.wait(), 1, daemon.output)
        daemon.wait_for("Cannot listen on late: .*broken")
        daemon.wait_for("Server Shut Down")
        self.assertNotIn("Traceback", "".join(daemon.output))
        self.assertFalse((self.folder / "twistd.pid").exists())
