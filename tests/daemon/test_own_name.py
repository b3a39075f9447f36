import socket

from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.own_name import own_name
from hello_service.values import BadValue


class OwnNameTests(SynchronousTestCase):
    def test_names(self) -> None:
        host = socket.gethostname()
        for text, name in (
            ("web-1", "web-1"),
            ("Łódź 2", "Łódź 2"),
            ("%H", host),
            ("a-%H:%%H", f"a-{host}:%H"),
            ("x" * 255, "x" * 255),
        ):
            self.assertEqual(own_name(text), name)

    def test_what_is_no_name(self) -> None:
        for text in ("", " ", "a\nb", "\x1b[2J", "x" * 256, "\udcff"):
            self.assertIn("printable text", str(self.assertRaises(BadValue, own_name, text)))
        for text in ("50%", "%h", "%%%"):
            self.assertIn("stands for nothing", str(self.assertRaises(BadValue, own_name, text)))
