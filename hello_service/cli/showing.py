"""What a fetch shows to people: heads that cannot drive a terminal, and a trace of the socket."""

import time
from collections.abc import Callable, Sequence
from typing import TextIO

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from hello_service.address import address_text
from hello_service.fetch.wire import Observer

_ROW = 16


def escaped(data: bytes) -> str:
    """Write bytes as text in which only line ends, CR LF or LF, act on a terminal."""
    text = data.decode(errors="backslashreplace").replace("\r\n", "\n")
    return "".join(
        character if character.isprintable() or character == "\n" else _escape(character)
        for character in text
    )


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def dump(data: bytes) -> str:
    """Write bytes in rows of offset, hexadecimal and text."""
    rows = []
    for start in range(0, len(data), _ROW):
        row = data[start : start + _ROW]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        rows.append(f"    {start:06x}  {row.hex(' '):{_ROW * 3}} {text}\n")
    return "".join(rows)


class Trace(Observer):
    """Writes each event of a socket with its time, in milliseconds since the first.

    @ivar error: why it writes no more, if so.
    """

    def __init__(self, stream: TextIO, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._monotonic = monotonic
        self._began = monotonic()
        self._closing = False
        self.error: OSError | None = None

    def _write(self, event: str, data: bytes = b"") -> None:
        milliseconds = (self._monotonic() - self._began) * 1000
        if self.error is None:
            try:
                self._stream.write(f"{milliseconds:10.3f} ms  {event}\n{dump(data)}")
            except OSError as error:
                self.error = error

    def resolving(self, host: str) -> None:
        self._write(f"resolving {host}")

    def resolved(self, addresses: Sequence[IAddress]) -> None:
        self._write("resolved: " + (", ".join(map(address_text, addresses)) or "no address"))

    def connecting(self, address: IAddress) -> None:
        self._write(f"connecting to {address_text(address)}")

    def failed(self, address: IAddress, reason: Failure) -> None:
        self._write(f"failed to connect to {address_text(address)}: {reason.getErrorMessage()}")

    def connected(self, local: IAddress, peer: IAddress) -> None:
        self._write(f"connected to {address_text(peer)} from {address_text(local)}")

    def secured(self) -> None:
        self._write("TLS agreed on; what follows is shown decrypted")

    def sent(self, data: bytes) -> None:
        self._write(f"sent {len(data)} bytes", data)

    def received(self, data: bytes) -> None:
        self._write(f"received {len(data)} bytes", data)

    def paused(self) -> None:
        self._write("reading paused")

    def resumed(self) -> None:
        self._write("reading resumed")

    def closing(self) -> None:
        self._closing = True
        self._write("closing the connection")

    def lost(self, reason: Failure) -> None:
        if self._closing:
            self._write("closed")
        elif reason.check(ConnectionDone):
            self._write("end of stream: the peer has closed")
        else:
            self._write(f"reset or broken: {reason.getErrorMessage()}")
        self._closing = False
