"""Values on command lines, for Twisted's and argparse's parsers alike."""

import math
from argparse import ArgumentTypeError
from collections.abc import Callable

from twisted.python.usage import UsageError


class BadValue(UsageError, ArgumentTypeError):
    """One sentence about a value that an option does not take."""


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Make a reader of decimal numbers, without signs, from C{least} to C{most}."""

    def read(text: str) -> int:
        if text.isascii() and text.isdigit() and least <= int(text) <= most:
            return int(text)
        raise BadValue(f"{text!r} is not a whole number from {least} to {most}.")

    return read


def not_empty(text: str) -> str:
    """Take any text but none."""
    if text:
        return text
    raise BadValue("It is empty: give it a value, or leave the option out.")


def positive_seconds(text: str) -> float:
    """Read a time of more than 0 seconds, as long as it ends."""
    number = _number(text)
    if 0 < number < math.inf:
        return number
    raise BadValue(f"{text!r} is not a number of seconds above 0.")


def seconds(text: str) -> float:
    """Read a time of 0 seconds or more, as long as it ends."""
    number = _number(text)
    if 0 <= number < math.inf:
        return number
    raise BadValue(f"{text!r} is not a number of seconds, 0 or more.")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
