from twisted.internet.endpoints import quoteStringArgument
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.endpoint_strings import name_all, put_together, quoted, take_apart


class TakeApartTests(SynchronousTestCase):
    def test_values_and_names(self) -> None:
        for description, values, named in (
            ("", [""], {}),
            (":", ["", ""], {}),
            ("tcp:9999", ["tcp", "9999"], {}),
            ("tcp:9999:interface=127.0.0.1", ["tcp", "9999"], {"interface": "127.0.0.1"}),
            ("a::b=", ["a", ""], {"b": ""}),
            ("a:b=c=d:e", ["a", "e"], {"b": "c=d"}),
            (r"a:b=\:\:1:c", ["a", "c"], {"b": "::1"}),
            (r"a\\:b\=c", ["a\\", "b=c"], {}),
            (r"a\\=b", [], {"a\\": "b"}),
            ("a\nb:c", ["a\nb", "c"], {}),
        ):
            self.assertEqual(take_apart(description), (values, named), description)

    def test_a_backslash_at_the_end(self) -> None:
        for description in ("tcp:1\\", r"tcp:1\\" + "\\"):
            self.assertIn("backslash", str(self.assertRaises(ValueError, take_apart, description)))
        self.assertEqual(take_apart(r"tcp:1\\"), (["tcp", "1\\"], {}))

    def test_a_name_twice(self) -> None:
        error = self.assertRaises(ValueError, take_apart, "unix:a:mode=1:mode=2")
        self.assertIn("'mode=' is there twice", str(error))

    def test_an_address_with_its_colons(self) -> None:
        for description in ("tcp6:1:interface=::1", "tcp6:interface=[::1]:port=1"):
            error = self.assertRaises(ValueError, take_apart, description)
            self.assertIn(r"interface=\:\:1, for a colon", str(error))
        self.assertEqual(take_apart("tcp:interface=127.0.0.1:1")[0], ["tcp", "1"])


class NameAllTests(SynchronousTestCase):
    NAMES = ("port", "interface", "backlog")

    def test_by_place_and_by_name(self) -> None:
        self.assertEqual(
            name_all(self.NAMES, ["1"], {"backlog": "2"}), {"port": "1", "backlog": "2"}
        )

    def test_what_is_wrong(self) -> None:
        for values, named, words in (
            (["1", "2", "3", "4"], {}, "too many parts; there are port, interface and backlog"),
            ([], {"nosuch": "1"}, "no 'nosuch=' here; there are port, interface and backlog"),
            (["1"], {"port": "2"}, "port is there twice, as '1' and as '2'"),
        ):
            error = self.assertRaises(ValueError, name_all, self.NAMES, values, named)
            self.assertIn(words, str(error))


class WritingTests(SynchronousTestCase):
    def test_put_together(self) -> None:
        parts = {"address": "a:b\\c", "mode": "600"}
        description = put_together("unix", parts)
        self.assertEqual(
            description, f"unix:address={quoteStringArgument(parts['address'])}:mode=600"
        )
        self.assertEqual(take_apart(description), (["unix"], parts))

    def test_quoted(self) -> None:
        self.assertEqual(quoted(r"tcp6:1:interface=\:"), r"'tcp6:1:interface=\:'")
        self.assertEqual(quoted("你"), "'你'")
        self.assertEqual(quoted("a\x1b\n"), r"'a\x1b\n'")
