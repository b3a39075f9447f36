"""Tests of L{hello_service.cli.console}."""

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IWriteDescriptor
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hello_service.cli.console import Console, Outlet, outlet


class OutletTests(SynchronousTestCase):
    """A pipe whose reader takes its time."""

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.reader, writer = os.pipe()
        self.addCleanup(os.close, writer)
        self.outlet = Outlet(self.reactor, writer, "ascii")

    def drained(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.outlet.drained())

    def fill(self) -> bytes:
        """Write more than there is room for; return it."""
        data = os.urandom(200_000)
        self.outlet.write(data)
        self.assertTrue(self.outlet.behind)
        self.assertEqual(self.reactor.getWriters(), [self.outlet])
        return data

    def test_interface(self) -> None:
        """It is what the reactor asks for."""
        self.addCleanup(os.close, self.reader)
        verifyObject(IWriteDescriptor, self.outlet)
        self.assertEqual(self.outlet.logPrefix(), "outlet")

    def test_room(self) -> None:
        """What there is room for is written at once, in the stream's encoding."""
        self.addCleanup(os.close, self.reader)
        self.outlet.write("a李")
        self.outlet.write(b"\xff")
        self.outlet.flush()
        self.assertEqual(os.read(self.reader, 99), b"a\\u674e\xff")
        self.assertFalse(self.outlet.behind)
        self.successResultOf(self.drained())

    def test_full(self) -> None:
        """What there is no room for waits, in its order, for the reader and not for us."""
        self.addCleanup(os.close, self.reader)
        data = self.fill() + b"more"
        self.outlet.write(b"more")
        drained = self.drained()
        received = b""
        while self.outlet.behind:
            self.assertNoResult(drained)
            received += os.read(self.reader, 30_000)
            self.outlet.doWrite()
        self.successResultOf(drained)
        while len(received) < len(data):
            received += os.read(self.reader, 30_000)
        self.assertEqual(received, data)
        self.assertEqual(self.reactor.getWriters(), [])

    def test_room_again(self) -> None:
        """Who waits for the reader goes on when the reactor says so, not within another write."""
        self.addCleanup(os.close, self.reader)
        self.outlet.write(bytes(66_000))
        drained = self.drained()
        os.read(self.reader, 200_000)
        self.outlet.write(b"more")
        self.assertNoResult(drained)
        self.outlet.doWrite()
        self.successResultOf(drained)

    def test_reader_gone(self) -> None:
        """A reader that goes away is told of when it is asked, and nothing more is held."""
        self.fill()
        drained = self.drained()
        os.close(self.reader)
        self.outlet.connectionLost(Failure(ConnectionLost()))
        self.failureResultOf(drained, BrokenPipeError)
        self.outlet.write(b"more")
        self.assertFalse(self.outlet.behind)
        self.failureResultOf(self.drained(), BrokenPipeError)
        self.assertEqual(self.reactor.getWriters(), [])

    def test_given_up(self) -> None:
        """Who waits can be cancelled."""
        self.addCleanup(os.close, self.reader)
        self.fill()
        drained = self.drained()
        drained.cancel()
        self.failureResultOf(drained)
        while self.outlet.behind:
            os.read(self.reader, 65536)
            self.outlet.doWrite()

    def test_closed(self) -> None:
        """What the shell has closed takes everything and keeps nothing."""
        self.addCleanup(os.close, self.reader)
        closed = outlet(self.reactor, None)
        closed.write(b"x")
        self.assertEqual((closed.is_closed, closed.behind, closed.error), (True, False, None))

    def test_stream(self) -> None:
        """A standard stream has its encoding, and is a terminal or not."""
        self.addCleanup(os.close, self.reader)
        file = self.enterContext(open(os.devnull, "w", encoding="latin-1"))
        taken = outlet(self.reactor, file)
        self.assertEqual(
            (taken.encoding, taken.is_terminal, taken.is_closed), ("latin-1", False, False)
        )

    def test_console(self) -> None:
        """A console is behind if one of its streams is, and waits for both."""
        self.addCleanup(os.close, self.reader)
        other = Outlet(self.reactor, None)
        for console in (Console(self.outlet, other), Console(other, self.outlet)):
            self.assertFalse(console.behind)
            self.fill()
            self.assertTrue(console.behind)
            drained = Deferred.fromCoroutine(console.drained())
            while self.outlet.behind:
                self.assertNoResult(drained)
                os.read(self.reader, 65536)
                self.outlet.doWrite()
            self.successResultOf(drained)
