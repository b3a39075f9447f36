"""Tests of L{hello_service.cli.escaping}."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hello_service.cli.escaping import escaped


class EscapedTests(SynchronousTestCase):
    """Text that is safe to show."""

    def test_head(self) -> None:
        """Line ends stay, everything else that is not seen is written out."""
        head = b"HTTP/1.1 200 OK\r\nA: \x1b[31m\x07\t\x9b\xc2\x9b\r\x7f\r\n\xc3\xbc\xe4\r\n\r\n"
        self.assertEqual(
            escaped(head),
            "HTTP/1.1 200 OK\nA: \\x1b[31m\\x07\\t\\x9b\\x9b\\r\\x7f\nü\\xe4\n\n",
        )

    def test_text(self) -> None:
        """Text is treated alike: marks that turn the direction, and what has no width."""
        self.assertEqual(escaped("a\u202eb\u200bc\xad李\n"), "a\\u202eb\\u200bc\\xad李\n")

    @given(st.binary())
    def test_any(self, data: bytes) -> None:
        """Nothing but line ends is left of any control."""
        self.assertTrue(escaped(data).replace("\n", "").isprintable())
