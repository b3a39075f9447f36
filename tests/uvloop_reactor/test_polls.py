"""Descriptors with an error stay watched on a uvloop loop."""

import os
import socket
import tempfile

import uvloop
from twisted.trial.unittest import SynchronousTestCase

from hello_service.uvloop_reactor.polls import PollingLoop
from tests.processes import PATIENCE


class PollingLoopTests(SynchronousTestCase):
    def setUp(self) -> None:
        bare = uvloop.new_event_loop()
        self.addCleanup(bare.close)
        self.loop = PollingLoop(bare)
        self.late = bare.call_later(PATIENCE, bare.stop)

    def run_loop(self) -> None:
        self.loop.run_forever()
        self.assertLess(self.loop.time(), self.late.when(), "nothing happens")

    def refused(self) -> socket.socket:
        """A UDP socket whose peer is not there."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
            gone.bind(("127.0.0.1", 0))
            address = gone.getsockname()
        client = self.enterContext(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        client.connect(address)
        client.setblocking(False)
        return client

    def test_each_error_is_seen(self) -> None:
        client = self.refused()
        errors: list[str] = []

        def read() -> None:
            with self.assertRaises(ConnectionRefusedError):
                client.recv(1)
            errors.append("refused")
            if len(errors) == 3:
                self.loop.stop()
            else:
                self.loop.call_soon(client.send, b"x")

        self.loop.add_reader(client.fileno(), read)
        client.send(b"x")
        self.run_loop()
        self.assertEqual(errors, ["refused"] * 3)

    def test_a_writer_may_follow_an_error(self) -> None:
        client = self.refused()

        def read() -> None:
            with self.assertRaises(ConnectionRefusedError):
                client.recv(1)
            self.loop.remove_reader(client.fileno())
            self.loop.call_soon(self.loop.add_writer, client.fileno(), write)

        def write() -> None:
            self.loop.remove_writer(client.fileno())
            self.loop.stop()

        self.loop.add_reader(client.fileno(), read)
        client.send(b"x")
        self.run_loop()

    def test_removed_by_the_other(self) -> None:
        client = self.refused()
        calls: list[str] = []

        def read() -> None:
            calls.append("read")
            self.loop.remove_reader(client.fileno())
            self.loop.remove_writer(client.fileno())
            self.loop.call_soon(self.loop.stop)

        def write() -> None:
            calls.append("write")

        client.send(b"x")
        self.loop.add_reader(client.fileno(), read)
        self.loop.add_writer(client.fileno(), write)
        self.run_loop()
        self.assertEqual(calls, ["read"])

    def test_a_file_is_not_polled(self) -> None:
        with tempfile.TemporaryFile() as file:
            for add in (self.loop.add_reader, self.loop.add_writer):
                with self.assertRaises(PermissionError):
                    add(file.fileno(), os.abort)
