"""What may follow C{hello-fetch}."""

import argparse
import os
import sys
from collections.abc import Sequence
from socket import AF_INET, AF_INET6, AddressFamily

from hello_service import __version__
from hello_service.cli.fetch.redirects import explain_slashes
from hello_service.fetch.request import InvalidRequest, Place, parse_url, request_bytes
from hello_service.values import BadValue, not_empty, positive_seconds, whole_number

_EPILOG = """Exit statuses: 0 done, 2 usage, 3 DNS, 4 REFUSED, 5 UNREACHABLE, 6 TIMEOUT, 7 RESET,
8 PROTOCOL, 9 TLS, 10 STATUS (--fail), 11 FILE, 12 SIZE, 130 Ctrl+C, 141 broken pipe, 143 SIGTERM.
"""


class Options(argparse.Namespace):
    """The arguments of the command, checked."""

    url: str
    output: str | None
    family: AddressFamily | None
    timeout: float
    max_size: int | None
    headers: list[tuple[bytes, bytes]]
    head: bool
    follow: bool
    fail: bool
    decompress: bool
    raw: bool
    open: bool
    trace: bool
    trace_all: bool
    quiet: bool
    place: Place


def parse_options(arguments: Sequence[str] | None = None) -> Options:
    """Read the arguments; like argparse, exit with a sentence and status 2 if they are wrong."""
    parser = _parser()
    options = parser.parse_args(arguments, Options())
    if not options.url.partition("/")[0].endswith(":"):
        options.url = f"http://{options.url}"
    if no_host := explain_slashes(options.url):
        parser.error(f"{options.url!r} is not a URL: {no_host}.")
    try:
        options.place = parse_url(options.url)
        request_bytes(options.place, b"GET", tuple(options.headers))
    except InvalidRequest as error:
        parser.error(f"{error}.")
    options.trace = options.trace or options.trace_all
    if options.open and (options.head or options.output == "-"):
        parser.error("--open shows a saved file: leave --head and -o - out.")
    if options.output == "/dev/stdout":
        options.output = "-"
    if options.output and options.output.endswith("/"):
        parser.error(
            f"-o takes a file, not a folder: write its name, too, like {options.output + 'page'!r}."
        )
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hello-fetch",
        description="Print the head of a page as it came, and save its body.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("url", metavar="URL-or-HOST", help="http:// or https://, or a host, for its page /")
    add("-o", "--output", metavar="FILE", type=not_empty, help="where to save the body: - is"
        " standard output [default: the URL's last part, or index.html]")  # fmt: skip
    add("-H", "--header", dest="headers", metavar="'NAME: VALUE'", type=_header, action="append",
        default=[], help="send this header, too; may be repeated")  # fmt: skip
    add("--head", action="store_true", help="ask for the head alone")
    add("--follow", action="store_true", help="go where redirects lead")
    add("--fail", action="store_true", help="take 4xx, 5xx, and redirects that are not followed,"
        " for failures: save nothing")  # fmt: skip
    add("--no-decompress", dest="decompress", action="store_false",
        help="save gzip and deflate as they came")  # fmt: skip
    add("--raw", action="store_true", help="save the bytes as they came, chunk sizes included")
    add("--open", action="store_true", help="open the saved page in the browser")
    add(
        "--max-size",
        metavar="BYTES",
        type=whole_number(0, sys.maxsize),
        help="give up on a body larger than this",
    )
    add("--timeout", metavar="SECONDS", type=positive_seconds, default=30.0,
        help="most time to connect, and between two reads [default: 30]")  # fmt: skip
    families = parser.add_mutually_exclusive_group()
    for flag, family, text in (("-4", AF_INET, "IPv4"), ("-6", AF_INET6, "IPv6")):
        families.add_argument(flag, dest="family", action="store_const", const=family,
                              help=f"use {text} only")  # fmt: skip
    add("--trace", action="store_true", help="show each event of the socket on standard error")
    add("--trace-all", action="store_true", help="the same, with every byte of the body")
    add("-q", "--quiet", action="store_true", help="show no progress and no hints")
    add("--version", action="version", version=f"hello_service {__version__}")
    return parser


def _header(text: str) -> tuple[bytes, bytes]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise BadValue(f"{text!r} is not a header: write NAME: VALUE.")
    return os.fsencode(name), os.fsencode(value.strip(" \t"))
