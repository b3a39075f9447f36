"""A user name and a password for Basic authentication."""

import os
import re
import warnings
from base64 import b64encode
from collections.abc import Callable

from hello_service.values import BadValue

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def basic_login(user: str, authority: str, ask: Callable[[str], str]) -> bytes:
    """Return the value of Authorization for C{USER:PASSWORD} (RFC 7617).

    @param user: without a colon, the password is asked for.
    @param ask: shows a prompt, returns what was typed.
    @raises BadValue: if there is no password, or one of them cannot be sent.
    """
    if ":" not in user:
        user = f"{user}:{_asked(ask, f'Password of {user!r} for {authority}: ')}"
    if _CONTROL.search(user):
        raise BadValue("-u takes no control characters: check the user name and the password.")
    return b"Basic " + b64encode(os.fsencode(user))


def _asked(ask: Callable[[str], str], prompt: str) -> str:
    from getpass import GetPassWarning

    with warnings.catch_warnings():
        warnings.simplefilter("error", GetPassWarning)  # it would read with an echo
        try:
            return ask(prompt)
        except (GetPassWarning, EOFError, UnicodeDecodeError):
            raise BadValue(
                "-u USER asks for the password on a terminal, and none was typed: start it in a"
                " terminal, or write -u USER:PASSWORD."
            ) from None


def ask_on_terminal(prompt: str) -> str:
    """Ask without an echo."""
    from getpass import getpass

    return getpass(prompt)
