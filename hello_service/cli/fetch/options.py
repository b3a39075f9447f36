"""What may follow C{hello-fetch}."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from socket import AddressFamily

from twisted.internet.interfaces import IAddress

from hello_service.cli.fetch.body import Body, body_from
from hello_service.cli.fetch.login import ask_on_terminal, basic_login
from hello_service.cli.fetch.option_groups import option_parser
from hello_service.cli.fetch.ranges import OWN_HEADERS
from hello_service.cli.fetch.redirects import explain_slashes, names_user
from hello_service.cli.fetch.saving import name_from_target
from hello_service.cli.fetch.trouble import unmarked
from hello_service.fetch.request import InvalidRequest, Place, parse_url, request_bytes
from hello_service.fetch.sending import Sending
from hello_service.values import BadValue

FORM = b"application/x-www-form-urlencoded"
"""What a body is, unless the user says otherwise: curl's, and a web form's."""


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
    request: bytes | None
    method: bytes
    data: list[str]
    body: Body | None
    user: str | None
    follow: bool
    fail: bool
    decompress: bool
    raw: bool
    resume: bool
    report: str | None
    open: bool
    trace: bool
    trace_all: bool
    quiet: bool
    place: Place


def parse_options(
    arguments: Sequence[str] | None = None, ask: Callable[[str], str] = ask_on_terminal
) -> Options:
    """Read the arguments; like argparse, exit with a sentence and status 2 if they are wrong.

    @param ask: shows a prompt, returns the password that was typed.
    """
    given = sys.argv[1:] if arguments is None else arguments
    parser = option_parser(given)
    options, others = parser.parse_known_args(given, Options())
    try:
        if others:
            raise BadValue(_too_many(options.url, others))
        _complete_url(options)
        _complete_request(options)
        _complete_output(options)
        if options.report:
            _complete_report(options, options.report)
        if options.resume:
            _complete_continued(options)
        if options.user is not None:
            _log_in(options, options.user, ask)
    except BadValue as error:
        parser.error(str(error))
    except InvalidRequest as error:
        parser.error(f"{unmarked(str(error))}.")
    options.trace = options.trace or options.trace_all
    return options


def _too_many(url: str, others: Sequence[str]) -> str:
    if others[0].startswith("-"):
        return f"there is no option {others[0]}: --help shows those that there are."
    return f"{url!r} is taken for the URL, and {others[0]!r} is one more: ask for one at a time."


def _complete_url(options: Options) -> None:
    if not options.url.partition("/")[0].endswith(":"):
        options.url = f"http://{options.url}"
    if no_host := explain_slashes(options.url):
        raise BadValue(f"{options.url!r} is not a URL: {no_host}.")
    if names_user(options.url):
        raise BadValue("A user name and password in a URL are not sent: write them with -u.")
    options.place = parse_url(options.url)


def _complete_request(options: Options) -> None:
    if options.head and (options.data or options.request not in (None, b"HEAD")):
        raise BadValue("--head asks for a head: leave -X and -d out, or --head.")
    options.body = body_from(options.data)
    options.method = _method(options)
    options.head = options.method == b"HEAD"
    names = [name.lower() for name, _ in options.headers]
    if options.body and b"content-type" not in names:
        options.headers.append((b"Content-Type", FORM))
    framing = Sending(options.body.producer(None)).header if options.body else None
    request_bytes(options.place, options.method, tuple(options.headers), framing)


def _method(options: Options) -> bytes:
    if options.request is not None:
        return options.request
    if options.head:
        return b"HEAD"
    return b"POST" if options.body else b"GET"


def _complete_output(options: Options) -> None:
    if options.open and (options.head or options.output == "-"):
        raise BadValue("--open shows a saved file: leave --head and -o - out.")
    if options.output == "/dev/stdout":
        options.output = "-"
    if options.output and options.output.endswith("/"):
        raise BadValue(
            f"-o takes a file, not a folder: write its name, too, like {options.output + 'page'!r}."
        )


def _complete_report(options: Options, report: str) -> None:
    name = options.output or name_from_target(options.place.target)
    if report == name == "-":
        raise BadValue("-o - prints the page: give the report a file, as in --report json:FILE.")
    saved, there = os.path.realpath(name), os.path.realpath(report)
    is_device = os.path.exists(there) and not os.path.isfile(there)
    if there in (saved, f"{saved}.part") and not (options.head or is_device):
        raise BadValue(
            "The page would be saved in place of the report: give the report another file, as in"
            " --report json:FILE."
        )


def _complete_continued(options: Options) -> None:
    """Complete what C{--continue} asks for: a page as it is, and no page of an error."""
    names = [name.lower() for name, _ in options.headers]
    if options.raw:
        raise BadValue("--raw saves chunk sizes, which no range has: leave --continue out, or it.")
    if options.method != b"GET" or options.body or options.output == "-":
        raise BadValue("--continue gets a file: leave --head, -X, -d and -o - out.")
    if set(names) & set(OWN_HEADERS):
        raise BadValue("--continue sends Range and If-Range itself: leave out yours.")
    options.fail = True
    if options.decompress and b"accept-encoding" not in names:
        options.headers.append((b"Accept-Encoding", b"identity"))


def _log_in(options: Options, user: str, ask: Callable[[str], str]) -> None:
    if any(name.lower() == b"authorization" for name, _ in options.headers):
        raise BadValue("-u sends Authorization: leave -u out, or the header.")
    login = basic_login(user, options.place.authority, ask)
    options.headers.append((b"Authorization", login))
