"""Endpoint strings, taken apart and put together: C{tcp:9999:interface=127.0.0.1}."""

import re
from collections.abc import Mapping, Sequence

from twisted.internet.abstract import isIPv6Address
from twisted.internet.endpoints import quoteStringArgument

ESCAPED = "a colon within a value is written \\:, in a shell between single quotes"


def quoted(text: str) -> str:
    """Set a text off from the sentence around it, with nothing in it that is not printed."""
    return f"'{text}'" if text.isprintable() else ascii(text)


def take_apart(description: str) -> tuple[list[str], dict[str, str]]:
    r"""Return what stands between colons, and what has a name.

    A backslash takes what is special from the character behind it.

    @raises ValueError: with a sentence, if it ends in a backslash, names a value twice, or has an
        IPv6 address without backslashes.
    """
    _check_colons(description)
    values: list[str] = []
    named: dict[str, str] = {}
    for part in re.findall(r"(?:^|:)((?:[^\\:]|\\.)*)", description, re.DOTALL):
        name, *value = re.split(r"(?<!\\)((?:\\\\)*)=", part, maxsplit=1)
        if not value:
            values.append(_plain(name))
            continue
        name = _plain(name + value[0])
        if name in named:
            raise ValueError(f"{quoted(name + '=')} is there twice: leave one out.")
        named[name] = _plain(value[1])
    return values, named


def _check_colons(description: str) -> None:
    if re.search(r"(?<!\\)(\\\\)*\\$", description):
        raise ValueError("it ends in a backslash: write \\\\ for one backslash.")
    written = re.search(r"\binterface=([^\\=]+?)(?=:\w+=|$)", description)
    if written and isIPv6Address(written[1].strip("[]")):
        address = quoteStringArgument(written[1].strip("[]"))
        raise ValueError(f"write the address as interface={address}, for {ESCAPED}.")


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def name_all(
    names: Sequence[str], values: Sequence[str], named: Mapping[str, str]
) -> dict[str, str]:
    """Give every value its name.

    @param names: the names that there are, in the order of values without one.
    @raises ValueError: with a sentence, if there are too many values or names that do not exist.
    """
    known = f"{', '.join(names[:-1])} and {names[-1]}"
    if len(values) > len(names):
        raise ValueError(f"it has too many parts; there are {known}.")
    for name in named:
        if name not in names:
            raise ValueError(f"there is no {quoted(name + '=')} here; there are {known}.")
    by_place = dict(zip(names, values, strict=False))
    for name in by_place:
        if name in named:
            raise ValueError(
                f"{name} is there twice, as {quoted(by_place[name])} and as {quoted(named[name])}."
            )
    return {**by_place, **named}


def put_together(kind: str, parts: Mapping[str, str]) -> str:
    """Write the endpoint string of a kind and its named values."""
    return ":".join([kind, *(f"{name}={quoteStringArgument(parts[name])}" for name in parts)])
