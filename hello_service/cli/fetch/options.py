"""What may follow C{hello-fetch}."""

import argparse
import sys
from collections.abc import Sequence
from socket import AddressFamily

from twisted.internet.interfaces import IAddress

from hello_service.cli.fetch.option_groups import option_parser
from hello_service.cli.fetch.redirects import explain_slashes
from hello_service.fetch.request import InvalidRequest, Place, parse_url, request_bytes


class Options(argparse.Namespace):
    """The arguments of the command, checked."""

    url: str
    output: str | None
    family: AddressFamily | None
    connect_to: tuple[str, int | None] | None
    unix_socket: str | None
    proxy_header: Callable[[IAddress, IAddress], bytes] | None
    cacert: str | None
    insecure: bool
    timeout: float
    max_time: float | None
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
    given = sys.argv[1:] if arguments is None else arguments
    parser = option_parser(given)
    options = parser.parse_args(given, Options())
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
