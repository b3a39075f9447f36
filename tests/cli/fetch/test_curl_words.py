"""What hands know from curl, and C{hello-fetch} says instead."""

import re
from contextlib import redirect_stderr
from io import StringIO

from twisted.trial.unittest import SynchronousTestCase

from hello_service.cli.fetch.curl_words import WORDS
from hello_service.cli.fetch.option_groups import option_parser
from hello_service.cli.fetch.options import parse_options


def said(*arguments: str) -> str:
    """Return what follows C{error:} when arguments are refused."""
    err = StringIO()
    with redirect_stderr(err):
        try:
            parse_options(arguments)
        except SystemExit:
            return err.getvalue().partition("error: ")[2]
    raise AssertionError("they are taken")


def options_in(text: str) -> set[str]:
    """Return the options that a text names."""
    return set(re.findall(r"(?<![\w-])--?[A-Za-z0-9][\w.-]*", text))


def ours() -> set[str]:
    """Return the options that we take."""
    return options_in(option_parser().format_help())


class CurlWordsTests(SynchronousTestCase):
    def test_told(self) -> None:
        """An option of curl's is answered with ours, wherever it stands."""
        for arguments in (
            ("-s", "h"),
            ("h", "-s"),
            ("-Ls", "h"),
            ("-vsL", "h"),
            ("-s",),
            ("-s", "h", "--", "-S"),
        ):
            self.assertEqual(said(*arguments), "-s: write -q.\n")
        self.assertEqual(said("--location", "h"), "--location: write --follow, or -L.\n")

    def test_with_values(self) -> None:
        """Its value is not what is wrong."""
        for arguments in (
            ("-w", "%{http_code}\n", "-o", "page", "h"),
            ("-w%{http_code}", "h"),
        ):
            self.assertEqual(said(*arguments), "-w: write --report json.\n")
        self.assertEqual(said("--write-out=x", "h"), "--write-out: write --report json.\n")

    def test_all_at_once(self) -> None:
        """A line of curl's is set right in one go."""
        self.assertEqual(
            said("-sSL", "--url", "h"),
            "-s: write -q; -S: leave it out: errors are shown, even with -q; --url: write the URL"
            " alone.\n",
        )

    def test_abbreviation(self) -> None:
        """An option of ours that begins alike is not meant."""
        self.assertIn("--proxy: leave it out", said("--proxy", "http://p", "h"))

    def test_others(self) -> None:
        """What is no option of curl's is not answered as one."""
        for arguments, words in (
            (("--nonsense", "h"), "there is no option --nonsense"),
            (("-ofiles", "-4", "-6", "h"), "not allowed"),
            (("-H", "-s: x", "-4", "-6", "h"), "not allowed"),
            (("h", "--", "-s"), "there is no option -"),
            (("--max-time", "-1", "h"), "expected one argument"),
        ):
            self.assertIn(words, said(*arguments))

    def test_none_is_ours(self) -> None:
        """What we take is not told to be written in another way."""
        self.assertEqual(set(WORDS) & ours(), set())
        self.assertGreater(len(WORDS), 40)

    def test_what_is_proposed_is_ours(self) -> None:
        """What we say to write can be written."""
        proposed = {option for words in WORDS.values() for option in options_in(words)}
        self.assertEqual(proposed - ours(), set())
        self.assertGreater(len(proposed), 10)
