"""Tests of L{hello_service.cli.fetch.trace}."""

import errno
from datetime import UTC, datetime
from io import StringIO
from typing import Any

from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hello_service.cli.fetch.trace import CERTIFICATES, LINE, NAMES, SHOWN, Trace, dump
from hello_service.fetch.negotiated import Negotiated, ShownCertificate
from tests.fetching import LOCAL, V4, V6


class TraceTests(SynchronousTestCase):
    """Socket events."""

    def test_dump(self) -> None:
        """Bytes are shown in rows."""
        self.assertEqual(dump(b"", "<"), "")
        rows = dump(bytes(range(0x3A, 0x4C)), "<").splitlines()
        self.assertEqual(
            rows,
            [
                "  < 000000  3a 3b 3c 3d 3e 3f 40 41 42 43 44 45 46 47 48 49  :;<=>?@ABCDEFGHI",
                "  < 000010  4a 4b" + " " * 44 + "JK",
            ],
        )

    def test_text(self) -> None:
        """UTF-8 is text, each character in the row of its first byte; nothing drives a terminal."""
        data = "123456789012345李雷\u202e".encode() + b"\x1b\xff\xe6"
        rows = dump(data, ">").splitlines()
        self.assertEqual([row[61:] for row in rows], ["123456789012345李", "雷...."])

    def test_events(self) -> None:
        """Each event is a line with its time in milliseconds."""
        stream = StringIO()
        seconds = iter(range(99))
        trace = Trace(stream, monotonic=lambda: next(seconds) / 1000)
        trace.resolving("h")
        trace.resolved([V6, V4])
        trace.resolved([])
        trace.connecting(V6)
        trace.failed(V6, Failure(ConnectError(errno.ENETUNREACH)))
        trace.connected(LOCAL, V4)
        trace.secured()
        trace.sent(b"a")
        trace.received(b"b")
        trace.paused()
        trace.resumed()
        trace.lost(Failure(ConnectionDone()))
        trace.lost(Failure(ConnectionLost()))
        trace.closing()
        trace.lost(Failure(ConnectionDone()))
        lines = stream.getvalue().splitlines()
        self.assertEqual(lines[0], "     1.000 ms  resolving h")
        for line, words in zip(
            [line for line in lines if " ms  " in line],
            (
                "resolving h",
                "resolved: [2001:db8::1]:80, 192.0.2.1:80",
                "resolved: no address",
                "connecting to [2001:db8::1]:80",
                "failed to connect to [2001:db8::1]:80: Network is unreachable",
                "connected to 192.0.2.1:80 from 192.0.2.99:4321",
                "TLS agreed on",
                "> sent 1 bytes",
                "< received 1 bytes",
                "paused",
                "resumed",
                "end of stream",
                "connection broke",
                "closing",
                "closed",
            ),
            strict=True,
        ):
            self.assertIn(words, line)

    def traced(self, *pieces: bytes, shown: int = 20) -> str:
        """Return what is shown of pieces that come over one connection."""
        stream = StringIO()
        trace = Trace(stream, shown, lambda: 0.0)  # no time looks like a byte
        trace.connected(LOCAL, V4)
        for piece in pieces:
            trace.received(piece)
        return stream.getvalue()

    def test_body(self) -> None:
        """A head is shown whole, however it is cut, and of a body only the beginning."""
        head = b"HTTP/1.1 200 OK\r\nA: " + b"h" * 99 + b"\r\n\r\n"
        for cut in (0, len(head), *range(len(head) - 5, len(head) + 3)):
            data = head + b"b" * 40
            trace = self.traced(data[:cut], data[cut:], b"b" * 9)
            self.assertEqual(trace.count(" 68"), 99)
            self.assertEqual(trace.count(" 62"), 20)
            self.assertIn("< received 9 bytes, 9 of them not shown: --trace-all shows", trace)

    def test_all_of_the_body(self) -> None:
        """By default 4 KiB are shown; a limit that is not reached is not spoken of."""
        body = b"b" * (SHOWN + 1)
        self.assertEqual(self.traced(b"\r\n\r\n" + body, shown=SHOWN).count(" 62"), SHOWN)
        whole = self.traced(b"\r\n\r\n" + body, shown=SHOWN + 1)
        self.assertEqual(whole.count(" 62"), SHOWN + 1)
        self.assertNotIn("not shown", whole)

    def test_next_connection(self) -> None:
        """A redirect's next answer is shown like the first."""
        stream = StringIO()
        trace = Trace(stream, 1, lambda: 0.0)
        for _ in range(2):
            trace.connected(LOCAL, V4)
            trace.received(b"h\r\n\r\nbb")
        self.assertEqual((stream.getvalue().count(" 68"), stream.getvalue().count(" 62")), (2, 2))

    def told(self, *chain: ShownCertificate, **more: str) -> list[str]:
        """Return the lines about a handshake, without the time."""
        stream = StringIO()
        values: Any = {"protocol": "TLSv1.3", "cipher": "C", "alpn": None, **more}
        tls = Negotiated(**values, certificates=[])
        vars(tls)["chain"] = list(chain)
        Trace(stream, monotonic=lambda: 0).negotiated(tls)
        return stream.getvalue().splitlines()

    def test_tls(self) -> None:
        """What TLS was agreed on, and the certificates as the server sent them."""
        begins = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
        ends = datetime(2027, 2, 1, tzinfo=UTC)
        own = ShownCertificate("CN=server", "CN=CA", ["a.example", "192.0.2.1"], begins, ends)
        root = ShownCertificate("CN=CA", "CN=CA", (), begins, ends)
        indent = " " * 15
        self.assertEqual(
            self.told(own, root),
            [
                "     0.000 ms  TLS: TLSv1.3, C",
                f"{indent}certificate 1 of 2: CN=server",
                f"{indent}  for: a.example, 192.0.2.1",
                f"{indent}  by: CN=CA",
                f"{indent}  valid: 2026-11-01 09:30 to 2027-02-01 00:00 UTC",
                f"{indent}certificate 2 of 2: CN=CA",
                f"{indent}  by: CN=CA",
                f"{indent}  valid: 2026-11-01 09:30 to 2027-02-01 00:00 UTC",
            ],
        )
        first = self.told(own, alpn="http/1.1", cipher="")[0]
        self.assertEqual(first, "     0.000 ms  TLS: TLSv1.3, no cipher yet, ALPN http/1.1")

    def test_hostile_tls(self) -> None:
        """However many certificates and names there are, and whatever is in them, lines are few."""
        dates = datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)
        names = ["x" * 200] * (NAMES + 1)
        hostile = ShownCertificate("CN=\x1b[31m\n\u202eforged", "CN=" + "y" * 9999, names, *dates)
        lines = self.told(*[hostile] * CERTIFICATES, ShownCertificate())
        self.assertEqual(len(lines), 1 + 4 * CERTIFICATES + 1)
        self.assertTrue(
            lines[1].endswith(r"certificate 1 of 11: CN=\x1b[31m\n\u202eforged"), lines[1]
        )
        self.assertLessEqual(max(map(len, lines)), LINE + 20)
        self.assertTrue(lines[-1].endswith("1 more not shown"), lines[-1])
        (_, unreadable) = self.told(ShownCertificate())
        self.assertTrue(unreadable.endswith("certificate 1 of 1 cannot be read"))
        short = ShownCertificate("CN=a", "CN=a", ["a"] * (NAMES + 2), *dates)
        self.assertTrue(self.told(short)[2].endswith("a, a and 2 more"))
