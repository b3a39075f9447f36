"""User names and passwords."""

import warnings
from base64 import b64decode
from collections.abc import Callable
from getpass import GetPassWarning

from twisted.trial.unittest import SynchronousTestCase

from hello_service.cli.fetch.login import basic_login
from hello_service.values import BadValue


class LoginTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.prompts: list[str] = []

    def type(self, text: str) -> Callable[[str], str]:
        def ask(prompt: str) -> str:
            self.prompts.append(prompt)
            return text

        return ask

    def login(self, user: str, typed: str = "") -> bytes:
        scheme, _, value = basic_login(user, "h:81", self.type(typed)).partition(b" ")
        self.assertEqual(scheme, b"Basic")
        return b64decode(value)

    def test_given(self) -> None:
        """The first colon ends the name; text is UTF-8 or what was typed."""
        for user in ("u:p", "u:p:q", "u:", ":", "李:\udcff"):
            self.assertEqual(self.login(user), user.encode(errors="surrogateescape"))
        self.assertEqual(self.prompts, [])

    def test_asked(self) -> None:
        """A password that is left out is asked for."""
        self.assertEqual(self.login("u", "p:q"), b"u:p:q")
        self.assertEqual(self.prompts, ["Password of 'u' for h:81: "])

    def test_control_characters(self) -> None:
        """They cannot be sent (RFC 7617, section 2)."""
        for user, typed in (("u\n:p", ""), ("u", "p\x7f")):
            self.assertRaises(BadValue, self.login, user, typed)

    def test_no_terminal(self) -> None:
        """Nothing is read where it would be seen."""

        def warned(_: str) -> str:
            warnings.warn("it is seen", GetPassWarning, stacklevel=1)
            return "p"

        def ended(_: str) -> str:
            raise EOFError

        for ask in (warned, ended):
            error = self.assertRaises(BadValue, basic_login, "u", "h", ask)
            self.assertIn("-u USER:PASSWORD", str(error))
