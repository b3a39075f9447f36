"""The documents' links work, they name every option, and quote what the programs say."""

import errno
import gzip
import os
import re
import shlex
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from operator import attrgetter
from pathlib import Path
from traceback import format_exception_only

from twisted.python.reflect import namedAny
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from hello_service import ERRORS_PAGE
from hello_service.cli.client import options as client_options
from hello_service.cli.fetch import options as fetch_options
from hello_service.cli.trouble import Trouble
from hello_service.daemon.obstacles import Obstacle
from hello_service.service import Options

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
PAGES = [ROOT / ERRORS_PAGE, (ROOT / ERRORS_PAGE).with_suffix(".zh-CN.md")]


def sections(page: Path) -> dict[str, str]:
    """Return the text under each heading."""
    _, *parts = re.split(r"^## (.+)\n", page.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def code(section: str) -> list[str]:
    """Return the lines that are set as code, without their comments."""
    return [line.split("  #")[0].strip() for line in section.split("\n") if line.startswith("    ")]


def system_error(number: int) -> Callable[[], None]:
    def fail() -> None:
        raise OSError(number, os.strerror(number))

    return fail


def bind_twice() -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.socket() as second:
        second.bind(first.getsockname())


def bind_elsewhere() -> None:
    with socket.socket() as server:
        server.bind(("192.0.2.1", 0))


def look_up_nobody() -> None:
    socket.getaddrinfo("nosuch.invalid", 0, flags=socket.AI_NUMERICHOST)


def no_name_server() -> None:
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def connect_to_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    with socket.socket() as client:
        client.connect(address)


def read_from_who_closed_unread() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
        client.send(b"Michael")
        served, _ = server.accept()
        with served:
            served.recv(1)
        client.recv(1024)


def write_to_nobody() -> None:
    left, right = socket.socketpair()
    right.close()
    with left:
        left.send(b"Michael")


def wait_too_long() -> None:
    left, right = socket.socketpair()
    with left, right:
        left.settimeout(0.01)
        left.recv(1024)


def read_from_who_is_closed() -> None:
    client = socket.socket()
    client.close()
    client.recv(1024)


def read_from_who_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.recv(1024)


def send_text() -> None:
    with socket.socket() as client:
        client.send("Michael")  # type: ignore[arg-type]


def write_bytes() -> None:
    with open(os.devnull, "w") as file:
        file.write(b"Michael")  # type: ignore[arg-type]


def error_line(cause: Callable[[], object]) -> str:
    """Return the last line of the traceback that a failing call leaves."""
    try:
        cause()
    except Exception as error:
        return format_exception_only(error)[0].strip()
    raise AssertionError(f"{cause} is no error")


ERRORS: list[tuple[str, Callable[[], object]]] = [
    ("IN-USE", bind_twice),
    ("NOT-ALLOWED", system_error(errno.EACCES)),
    ("NOT-HERE", bind_elsewhere),
    ("DNS", look_up_nobody),
    ("DNS", no_name_server),
    ("REFUSED", connect_to_nobody),
    ("UNREACHABLE", system_error(errno.ENETUNREACH)),
    ("UNREACHABLE", system_error(errno.EHOSTUNREACH)),
    ("TIMEOUT", system_error(errno.ETIMEDOUT)),
    ("TIMEOUT", wait_too_long),
    ("RESET", read_from_who_closed_unread),
    ("RESET", write_to_nobody),
    ("CLOSED", read_from_who_is_closed),
    ("CLOSED", read_from_who_listens),
    ("BYTES-OR-STR", send_text),
    ("BYTES-OR-STR", lambda: b"Hello, " + "Michael"),  # type: ignore[operator]
    ("BYTES-OR-STR", lambda: "Hello, " + b"Michael"),  # type: ignore[operator]
    ("BYTES-OR-STR", lambda: "".join([b"Michael"])),  # type: ignore[list-item]
    ("BYTES-OR-STR", write_bytes),
    ("UNICODE", lambda: "你".encode()[:1].decode()),
    ("UNICODE", lambda: "你".encode("gbk").decode()),
    ("UNICODE", lambda: gzip.compress(b"").decode()),
    ("UNICODE", lambda: "你".encode().decode("gbk")),
]
if sys.version_info >= (3, 12):
    ERRORS.append(("TLS", lambda: attrgetter("wrap_socket")(ssl)))


def options_in(text: str) -> set[str]:
    """Return the options that a text names, except those that every program has."""
    return set(re.findall(r"--[a-z-]+", text)) - {"--help", "--version"}


def command_help(parse: Callable[[Sequence[str]], object]) -> str:
    """Return what a command prints for C{--help}."""
    with redirect_stdout(StringIO()) as shown:
        try:
            parse(["--help"])
        except SystemExit:
            return shown.getvalue()
    raise AssertionError("there is no help")


def anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


class DocumentTests(SynchronousTestCase):
    def test_links_lead_somewhere(self) -> None:
        for page in DOCUMENTS:
            for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
                path, _, place = link.partition("#")
                if path.startswith("https:"):
                    continue
                target = (page.parent / path) if path else page
                self.assertTrue(target.exists(), f"{page.name}: {link}")
                if place:
                    headings = re.findall(r"^#+ (.+)$", target.read_text(), flags=re.MULTILINE)
                    self.assertIn(place, map(anchor, headings), f"{page.name}: {link}")

    def test_both_languages_show_the_same_code(self) -> None:
        for twin in [page for page in DOCUMENTS if page.stem.endswith(".zh-CN")]:
            english = twin.with_name(twin.name.replace(".zh-CN", ""))
            self.assertEqual(code(english.read_text()), code(twin.read_text()), twin.name)

    def test_files_are_where_the_pages_say(self) -> None:
        for page in DOCUMENTS:
            for path in re.findall(r"`((?:\w+/)+\w+\.py)`", page.read_text()):
                found = [folder / path for folder in (ROOT, ROOT / "hello_service")]
                self.assertTrue(any(map(Path.exists, found)), f"{page.name}: {path}")

    def test_names_can_be_imported(self) -> None:
        for page in DOCUMENTS:
            for name in set(re.findall(r"hello_service(?:\.[A-Za-z_]+)+", page.read_text())):
                self.assertIsNotNone(namedAny(name), f"{page.name}: {name}")

    def test_options(self) -> None:
        for name, text in (
            ("running", str(Options())),
            ("client", command_help(client_options.parse_options)),
            ("fetching", command_help(fetch_options.parse_options)),
        ):
            told = options_in((ROOT / "docs" / f"{name}.md").read_text())
            self.assertEqual(options_in(text) - told, set())


class ErrorsPageTests(SynchronousTestCase):
    def test_every_word_has_a_section(self) -> None:
        words = [trouble.name for trouble in Trouble]
        words += [obstacle.value.upper() for obstacle in Obstacle]
        for page in PAGES:
            self.assertLessEqual(set(words), sections(page).keys())

    def test_every_section_is_named_at_the_top(self) -> None:
        for page in PAGES:
            top = page.read_text().partition("\n## ")[0]
            links = [f"[{word}](#{word.lower()})" for word in sections(page)]
            self.assertEqual([link for link in links if link not in top], [])

    def test_both_languages_have_the_same(self) -> None:
        english, chinese = map(sections, PAGES)
        self.assertEqual(list(english), list(chinese))
        for word in english:
            self.assertEqual(code(english[word]), code(chinese[word]))

    def test_python_says_so(self) -> None:
        if sys.platform != "linux":
            raise SkipTest("the page has the errors of Linux")
        english = sections(PAGES[0])
        for word, cause in ERRORS:
            self.assertIn(error_line(cause), english[word])

    def test_the_programs_take_what_is_to_be_typed(self) -> None:
        typed = [shlex.split(line) for text in sections(PAGES[0]).values() for line in code(text)
                 if re.match(r"(hello-|twistd |sudo .*\btwistd\b)", line)]  # fmt: skip
        self.assertEqual({"hello-client", "hello-fetch", "twistd", "sudo"}, {w[0] for w in typed})
        for program, *arguments in typed:
            match program:
                case "hello-client":
                    client_options.parse_options(arguments)
                case "hello-fetch":
                    fetch_options.parse_options(arguments)
                case _:
                    after = arguments[len(arguments) - arguments[::-1].index("hello") :]
                    Options().parseOptions(after)
