"""What may follow C{hello-client}."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from twisted.internet.abstract import isIPv6Address

from hello_service import __version__
from hello_service.client import encode_name
from hello_service.values import BadValue, not_empty, positive_seconds, seconds, whole_number


def one_name(text: str) -> str:
    """Take what can be greeted.

    @raises BadValue: if `encode_name` does not.
    """
    try:
        encode_name(text)
    except ValueError as error:
        raise BadValue(str(error)) from None
    return text


def _host(text: str) -> str:
    host = not_empty(text).removeprefix("[").removesuffix("]")
    if ":" in host and not isIPv6Address(host):
        raise BadValue(f"{text!r} is not a host: write the port with --port.")
    return host


def parse_options(arguments: Sequence[str] | None = None) -> Namespace:
    """Parse the command line; what is wrong with it ends the process with status 2."""
    parser = ArgumentParser(
        "hello-client", description="Connect to a hello server, say each NAME, print the answers."
    )
    add = parser.add_argument
    add(
        "names",
        metavar="NAME",
        nargs="*",
        type=one_name,
        help="whom to greet, or - for the lines of standard input [Michael Tracy Sarah]",
    )
    add("--host", metavar="H", type=_host, help="the server's name or address [127.0.0.1]")
    add("--port", metavar="N", type=whole_number(1, 65535), help="its TCP port [9999]")
    add(
        "--connect",
        metavar="ENDPOINT",
        type=not_empty,
        help="a Twisted client endpoint, such as"
        " unix:/run/hello.sock, in place of --host and --port",
    )
    add(
        "--timeout",
        metavar="S",
        type=positive_seconds,
        default=10.0,
        help="seconds that each step may take [10]",
    )
    add(
        "--count",
        metavar="N",
        type=whole_number(1, sys.maxsize),
        help="say N names, in turn, and time the answers",
    )
    add("--interval", metavar="S", type=seconds, help="seconds between them [1]")
    add("--version", action="version", version=f"hello_service {__version__}")
    options = parser.parse_args(arguments)
    if options.connect and (options.host or options.port):
        parser.error("--connect says where in full: leave --host and --port out.")
    if options.interval is not None and not options.count:
        parser.error("--interval goes with --count: say how many with it.")
    if "-" in options.names and (options.count or len(options.names) > 1):
        parser.error("- reads all names from standard input: leave other names and --count out.")
    return options
