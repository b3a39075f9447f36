"""The options of C{hello-fetch}, in the groups of C{--help} and of docs/fetching.md."""

import os
import re
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from socket import AF_INET, AF_INET6
from typing import Any, NoReturn

from twisted.internet.interfaces import IAddress

from hello_service import __version__
from hello_service.cli.fetch.curl_words import instead_of
from hello_service.fetch.proxy_header import version_1, version_2
from hello_service.fetch.request import InvalidRequest, parse_url
from hello_service.values import BadValue, not_empty, positive_seconds, whole_number

_EPILOG = """Exit statuses: 0 done, 2 usage, 3 DNS, 4 REFUSED, 5 UNREACHABLE, 6 TIMEOUT, 7 RESET,
8 PROTOCOL, 9 TLS, 10 STATUS (--fail), 11 FILE, 12 SIZE, 130 Ctrl+C, 141 broken pipe, 143 SIGTERM.
"""

SOCKET_PATH = 107
"""Bytes of the longest path of a UNIX socket, on Linux."""


class _Parser(ArgumentParser):
    """Says what to write in place of an option of curl's, if there is one."""

    def __init__(self, given: Sequence[str], **settings: Any) -> None:
        super().__init__(**settings)
        self._given = given

    def error(self, message: str) -> NoReturn:
        super().error(instead_of(self._given, self._is_flag) or message)

    def _is_flag(self, option: str) -> bool:
        action = self._option_string_actions.get(option)
        return action is not None and action.nargs == 0


def option_parser(given: Sequence[str] = ()) -> ArgumentParser:
    """Return the parser of the command's arguments.

    @param given: what it is to parse.
    """
    parser = _Parser(
        given,
        prog="hello-fetch",
        usage="%(prog)s [OPTION ...] URL-or-HOST",
        description="Print the head of a page as it came, and save its body.",
        epilog=_EPILOG,
        add_help=False,
    )
    for add_group in (_request, _where, _answer, _saved, _shown):
        add_group(parser)
    return parser


def _request(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("the request").add_argument
    add("url", metavar="URL-or-HOST", help="http:// or https://, or a host, for its page /")
    add("-H", "--header", dest="headers", metavar="'NAME: VALUE'", type=_header, action="append",
        default=[], help="send this header, too; may be repeated")  # fmt: skip
    add("-I", "--head", action="store_true", help="ask for the head alone")
    add("-X", "--request", metavar="METHOD", type=os.fsencode,
        help="ask with this method [default: GET, or POST with -d]")  # fmt: skip
    add("-d", "--data", metavar="DATA|@FILE", action="append", default=[],
        help="send this body: @- is standard input; several are joined by &")  # fmt: skip
    add("-u", "--user", metavar="USER[:PASSWORD]",
        help="log in by Basic; a password that is left out is asked for")  # fmt: skip


def _where(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("where it goes, and whom it trusts")
    ends = group.add_mutually_exclusive_group()
    ends.add_argument("--connect-to", metavar="HOST[:PORT]", type=_connect_to,
        help="connect to there instead, for the URL's own host")  # fmt: skip
    ends.add_argument("--unix-socket", metavar="PATH", type=_socket_path,
        help="connect to this UNIX socket instead")  # fmt: skip
    group.add_argument("--proxy-header", metavar="v1|v2", type=_proxy_header,
        help="begin with a PROXY header, as balancers do")  # fmt: skip
    trust = group.add_mutually_exclusive_group()
    trust.add_argument("--cacert", metavar="FILE", type=not_empty,
        help="trust the authorities in this PEM file, and no others")  # fmt: skip
    trust.add_argument("-k", "--insecure", action="store_true",
        help="take any certificate: for tests alone")  # fmt: skip
    families = group.add_mutually_exclusive_group()
    for flag, family, text in (("-4", AF_INET, "IPv4"), ("-6", AF_INET6, "IPv6")):
        families.add_argument(flag, dest="family", action="store_const", const=family,
                              help=f"use {text} only")  # fmt: skip


def _answer(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("the answer").add_argument
    add("-L", "--follow", action="store_true", help="go where redirects lead")
    add("-f", "--fail", action="store_true", help="take 4xx, 5xx, and redirects that are not"
        " followed, for failures: save nothing")  # fmt: skip
    add("--max-size", metavar="BYTES", type=whole_number(0, sys.maxsize),
        help="give up on a body larger than this")  # fmt: skip
    add("--timeout", metavar="SECONDS", type=positive_seconds, default=30.0,
        help="most time to connect, and between two reads [default: 30]")  # fmt: skip
    add("-m", "--max-time", metavar="SECONDS", type=positive_seconds,
        help="most time for all of it, redirects included")  # fmt: skip


def _saved(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("what is saved").add_argument
    add("-o", "--output", metavar="FILE", type=not_empty, help="where to save the body: - is"
        " standard output [default: the URL's last part, or index.html]")  # fmt: skip
    add("--no-decompress", dest="decompress", action="store_false",
        help="save gzip and deflate as they came")  # fmt: skip
    add("--raw", action="store_true", help="save the bytes as they came, chunk sizes included")
    add("--continue", dest="resume", action="store_true",
        help="go on with FILE.part where an earlier try stopped; implies --fail")  # fmt: skip
    add("--open", action="store_true", help="open the saved page in the browser")


def _shown(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("what is shown").add_argument
    add("-v", "--trace", action="store_true",
        help="show each event of the socket on standard error")  # fmt: skip
    add("--trace-all", action="store_true", help="the same, with every byte of the body")
    add("--report", metavar="json[:FILE]", type=_report, help="tell times, addresses, heads and the"
        " outcome as JSON, at the end of standard output or in a file")  # fmt: skip
    add("-q", "--quiet", action="store_true", help="show no progress and no hints")
    add("-h", "--help", action="help", help="show this help")
    add("--version", action="version", version=f"hello_service {__version__}")


def _header(text: str) -> tuple[bytes, bytes]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise BadValue(f"{text!r} is not a header: write NAME: VALUE.")
    return os.fsencode(name), os.fsencode(value.strip(" \t"))


def _connect_to(text: str) -> tuple[str, int | None]:
    try:
        place = parse_url(f"http://{text}/")
    except InvalidRequest:
        place = None
    if place is None or place.target != "/":
        raise BadValue(
            f"{text!r} is not HOST or HOST:PORT: write one like 192.0.2.7:8080 or"
            " [2001:db8::7]:8080."
        )
    return place.host, place.port if re.search(r":[0-9]+\Z", text) else None


def _socket_path(text: str) -> str:
    if len(os.fsencode(not_empty(text))) > SOCKET_PATH:
        raise BadValue(
            f"{text!r} is too long for a UNIX socket, whose path has at most {SOCKET_PATH} bytes:"
            " go to its folder, and give its name alone."
        )
    return text


def _proxy_header(text: str) -> Callable[[IAddress, IAddress], bytes]:
    match text:
        case "v1":
            return version_1
        case "v2":
            return version_2
    raise BadValue(f"{text!r} is not a version of the PROXY header: write v1 or v2.")


def _report(text: str) -> str:
    form, colon, file = text.partition(":")
    if form != "json" or (colon and not file):
        raise BadValue(f"{text!r} is no report: write json, or json:FILE.")
    return "-" if file == "/dev/stdout" else file or "-"
