"""Tests of L{hello_service.cli.open_stream}."""

import os
from socket import socketpair
from tempfile import TemporaryFile

from twisted.trial.unittest import SynchronousTestCase

from hello_service.cli.open_stream import OpenStream


class OpenStreamTests(SynchronousTestCase):
    """A stream that has room for as much as its reader leaves."""

    def test_stream(self) -> None:
        """A stream that is not ours stays open, whatever comes."""
        with TemporaryFile() as stream:
            place = OpenStream(stream.fileno(), close=False)
            self.assertEqual(place.write(b"hello" * 9999), 9999 * 5)
            place.write_stray(b"?")
            place.give_up()
            stream.write(b"!")
            stream.seek(0)
            self.assertEqual(stream.read(), b"hello" * 9999 + b"?!")

    def test_full_pipe(self) -> None:
        """A pipe takes what it has room for, and is never waited for; nor is a socket."""
        one, other = socketpair()
        for stream, blocking in (
            (os.pipe(), True),
            (os.pipe(), False),
            ((one.detach(), other.detach()), True),
        ):
            reader, writer = stream
            self.addCleanup(os.close, reader)
            self.addCleanup(os.close, writer)
            os.set_blocking(writer, blocking)
            place = OpenStream(writer, close=False)
            taken = 0
            while count := place.write(bytes(100_000)):
                taken += count
            self.assertEqual(place.write(b"hello"), 0)
            while taken > 0:
                taken -= len(os.read(reader, taken))
            self.assertEqual(place.write(b"hello"), 5)
            self.assertEqual(os.read(reader, 9), b"hello")
            place.keep()
            self.assertEqual(os.get_blocking(writer), blocking)

    def test_broken_pipe(self) -> None:
        """A pipe that nobody reads says so."""
        reader, writer = os.pipe()
        os.close(reader)
        self.addCleanup(os.close, writer)
        place = OpenStream(writer, close=False)
        self.assertRaises(BrokenPipeError, place.write, b"hello")
        place.give_up()
