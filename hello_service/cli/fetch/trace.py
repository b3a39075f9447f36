"""What --trace shows: each event of a socket, with its time and its bytes."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from hello_service.address import address_text
from hello_service.cli.escaping import escaped
from hello_service.cli.fetch.redacting import is_head, redacted
from hello_service.cli.trouble import connect_reason
from hello_service.fetch.negotiated import Negotiated, ShownCertificate
from hello_service.fetch.wire import Observer

SHOWN = 4096
"""Bytes of a body that are shown: they tell what it is, and all of 20 MB is a million rows."""

CERTIFICATES = 10
"""Certificates of a chain that are shown."""

NAMES = 10
"""Names in each of them that are shown."""

LINE = 500
"""Characters of a line about a certificate: a name in it may have as many as the server likes."""

_ROW = 16


def dump(data: bytes, arrow: str) -> str:
    """Write bytes in rows of offset, hexadecimal and text.

    What is UTF-8 is shown as text, each character in the row of its first byte.
    """
    rows = []
    for start, text in zip(range(0, len(data), _ROW), _texts(data), strict=True):
        row = data[start : start + _ROW]
        rows.append(f"  {arrow} {start:06x}  {row.hex(' '):{_ROW * 3}} {text}\n")
    return "".join(rows)


def _texts(data: bytes) -> list[str]:
    """Return what can be seen of each row."""
    rows = [""] * -(-len(data) // _ROW)
    at = 0
    for character in data.decode(errors="surrogateescape"):
        rows[at // _ROW] += character if character.isprintable() else "."
        at += len(character.encode(errors="surrogateescape"))
    return rows


def _hidden(count: int) -> str:
    return f", {count} of them not shown: --trace-all shows them" if count else ""


def _told(which: str, certificate: ShownCertificate) -> list[str]:
    """Say what a certificate has, a line for each."""
    if certificate.ends is None:
        return [f"{which} cannot be read"]
    lines = [f"{which}: {certificate.subject}"]
    if names := certificate.names:
        more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
        lines.append(f"  for: {', '.join(names[:NAMES])}{more}")
    lines.append(f"  by: {certificate.issuer}")
    lines.append(f"  valid: {certificate.begins:%F %H:%M} to {certificate.ends:%F %H:%M} UTC")
    return lines


def _certificate_row(text: str) -> str:
    return f"{'':15}{_line(text)}\n"


def _line(text: str) -> str:
    """Make one line of what a peer has written."""
    line = escaped(text).replace("\n", r"\n")
    return line if len(line) <= LINE else f"{line[:LINE]}..."


class Trace(Observer):
    """Writes each event of a socket with its time, in milliseconds since the first."""

    def __init__(
        self,
        stream: Any,
        shown: int = SHOWN,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        @param stream: has a C{write} for text.
        @param shown: most bytes of each body to show, sent or received, with its chunk sizes.
        """
        self._stream = stream
        self._shown = shown
        self._left = self._unsent = shown
        self._tail: bytes | None = b""
        self._monotonic = monotonic
        self._began = monotonic()
        self._closing = False

    def note(self, event: str, data: bytes = b"", arrow: str = " ") -> None:
        """Write an event, and the bytes that belong to it."""
        milliseconds = (self._monotonic() - self._began) * 1000
        self._stream.write(f"{milliseconds:10.3f} ms  {event}\n{dump(data, arrow)}")

    def resolving(self, host: str) -> None:
        self.note(f"resolving {host}")

    def resolved(self, addresses: Sequence[IAddress]) -> None:
        self.note("resolved: " + (", ".join(map(address_text, addresses)) or "no address"))

    def connecting(self, address: IAddress) -> None:
        self.note(f"connecting to {address_text(address)}")

    def failed(self, address: IAddress, reason: Failure) -> None:
        self.note(f"failed to connect to {address_text(address)}: {connect_reason(reason.value)}")

    def connected(self, local: IAddress, peer: IAddress) -> None:
        self._left = self._unsent = self._shown
        self._tail = b""
        self.note(f"connected to {address_text(peer)} from {address_text(local)}")

    def negotiated(self, tls: Negotiated) -> None:
        alpn = f", ALPN {tls.alpn}" if tls.alpn else ""
        self.note(_line(f"TLS: {tls.protocol}, {tls.cipher or 'no cipher yet'}{alpn}"))
        for number, certificate in enumerate(tls.chain[:CERTIFICATES], 1):
            of = f"certificate {number} of {len(tls.chain)}"
            self._stream.write("".join(map(_certificate_row, _told(of, certificate))))
        if (hidden := len(tls.chain) - CERTIFICATES) > 0:
            self._stream.write(_certificate_row(f"{hidden} more not shown"))

    def secured(self) -> None:
        self.note("TLS agreed on; what follows is shown decrypted")

    def sent(self, data: bytes) -> None:
        head = len(data) if is_head(data) else 0
        shown = min(len(data), head + self._unsent)
        self._unsent -= shown - head
        hidden = _hidden(len(data) - shown)
        self.note(f"> sent {len(data)} bytes{hidden}", redacted(data)[:shown], ">")

    def received(self, data: bytes) -> None:
        head = self._of_head(data)
        shown = min(len(data), head + self._left)
        self._left -= shown - head
        hidden = _hidden(len(data) - shown)
        self.note(f"< received {len(data)} bytes{hidden}", data[:shown], "<")

    def _of_head(self, data: bytes) -> int:
        """Return how many of these bytes are of the first head."""
        if self._tail is None:
            return 0
        joined = self._tail + data
        end = joined.find(b"\r\n\r\n")
        if end < 0:
            head = len(data)
            self._tail = joined[-3:]
        else:
            head = end + 4 - len(self._tail)
            self._tail = None
        return head

    def paused(self) -> None:
        self.note("reading paused")

    def resumed(self) -> None:
        self.note("reading resumed")

    def closing(self) -> None:
        self._closing = True
        self.note("closing the connection")

    def lost(self, reason: Failure) -> None:
        if self._closing:
            self.note("closed")
        elif reason.check(ConnectionDone):
            self.note("end of stream: the peer has closed")
        else:
            self.note("the connection broke")
        self._closing = False
