from argparse import ArgumentTypeError

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from hello_service.values import BadValue, not_empty, positive_seconds, seconds, whole_number


class WholeNumberTests(SynchronousTestCase):
    def test_within_its_bounds(self) -> None:
        for number in (0, 80, 65535):
            self.assertEqual(whole_number(0, 65535)(str(number)), number)

    def test_anything_else(self) -> None:
        for text in ("", "-1", "+1", "65536", "1.0", "1_0", " 1", "٣", "x"):
            self.assertIn(
                repr(text), str(self.assertRaises(BadValue, whole_number(0, 65535), text))
            )


class SecondsTests(SynchronousTestCase):
    def test_numbers(self) -> None:
        self.assertEqual([seconds("0"), seconds("1"), seconds("0.25")], [0.0, 1.0, 0.25])

    def test_anything_else(self) -> None:
        for text in ("", "-1", "nan", "inf", "1e999", "x"):
            self.assertIn(repr(text), str(self.assertRaises(BadValue, seconds, text)))


class PositiveSecondsTests(SynchronousTestCase):
    def test_more_than_none(self) -> None:
        self.assertEqual(positive_seconds("0.25"), 0.25)
        for text in ("0", "-1", "nan", "inf", "x"):
            error = self.assertRaises(BadValue, positive_seconds, text)
            self.assertEqual(str(error), f"{text!r} is not a number of seconds above 0.")


class NotEmptyTests(SynchronousTestCase):
    def test_anything_but_nothing(self) -> None:
        self.assertEqual(not_empty(" "), " ")
        self.assertRaises(BadValue, not_empty, "")


class BadValueTests(SynchronousTestCase):
    def test_is_an_error_of_both_parsers(self) -> None:
        self.assertTrue(issubclass(BadValue, UsageError))
        self.assertTrue(issubclass(BadValue, ArgumentTypeError))
