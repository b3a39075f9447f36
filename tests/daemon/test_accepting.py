import contextlib
import errno
import gc
import os
import resource
import socket

from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.accepting import (
    PausableSocket,
)


class Descriptors(SynchronousTestCase):
    """Test with few descriptors."""

    def leave(self, count: int) -> None:
        """Have so many that can be opened until the test ends."""
        gc.collect()  # which may close some
        self.limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(self.leave_all)
        last = max(int(name) for name in os.listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (last + 1, self.limits[1]))
        with contextlib.suppress(OSError):
            while True:  # what is free between those that are open
                self.addCleanup(os.close, os.open(os.devnull, os.O_RDONLY))
        resource.setrlimit(resource.RLIMIT_NOFILE, (last + 1 + count, self.limits[1]))

    def leave_all(self) -> None:
        """Have as many as before."""
        resource.setrlimit(resource.RLIMIT_NOFILE, self.limits)


class PausableSocketTests(Descriptors):
    def setUp(self) -> None:
        self.paused = False
        self.told: list[str] = []
        self.listening = self.enterContext(socket.create_server(("127.0.0.1", 0)))
        self.listening.setblocking(False)
        self.socket = PausableSocket(
            self.listening, lambda: self.paused, lambda: self.told.append("exhausted")
        )

    def connect(self) -> socket.socket:
        return self.enterContext(socket.create_connection(self.listening.getsockname()))

    def test_accepts_unless_it_is_paused(self) -> None:
        client = self.connect()
        self.paused = True
        self.assertRaises(BlockingIOError, self.socket.accept)
        self.paused = False
        accepted, address = self.socket.accept()
        self.enterContext(accepted)
        self.assertEqual(address, client.getsockname())
        self.assertEqual(self.told, [])

    def test_without_a_descriptor_nobody_is_accepted(self) -> None:
        client = self.connect()
        self.leave(0)
        error = self.assertRaises(BlockingIOError, self.socket.accept)
        self.leave_all()
        self.assertEqual(error.errno, errno.EAGAIN)
        self.assertEqual(self.told, ["exhausted"])
        client.setblocking(False)
        self.assertRaises(BlockingIOError, client.recv, 1)

    def test_nobody_waits(self) -> None:
        self.assertRaises(BlockingIOError, self.socket.accept)
        self.assertEqual(self.told, [])

    def test_is_the_socket_in_all_else(self) -> None:
        self.assertEqual(self.socket.getsockname(), self.listening.getsockname())
        self.socket.close()
        self.assertEqual(self.listening.fileno(), -1)
        error = self.assertRaises(OSError, self.socket.accept)
        self.assertEqual((error.errno, self.told), (errno.EBADF, []))
