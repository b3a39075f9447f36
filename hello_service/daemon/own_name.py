"""What a daemon calls itself, so that one can tell which of several answered."""

import re
import socket

from hello_service.values import BadValue

_LONGEST = 255
"""Bytes, so that it fits into any line that it is to stand in."""

_PERCENT = re.compile(r"%(.?)")


def own_name(text: str) -> str:
    """Read a name, in which C{%H} is the host's name and C{%%} a percent sign.

    @raises BadValue: with a sentence, if it is not one short printable line.
    """
    name = _PERCENT.sub(_expanded, text)
    if not name.strip() or not name.isprintable() or len(name.encode()) > _LONGEST:
        raise BadValue(f"{name[:40]!r} is not 1 to {_LONGEST} bytes of printable text on one line.")
    return name


def _expanded(found: re.Match[str]) -> str:
    match found[1]:
        case "H":
            return socket.gethostname()
        case "%":
            return "%"
    raise BadValue(f"{found[0]!r} stands for nothing: %H is the host's name, %% a percent sign.")
