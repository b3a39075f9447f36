"""The command C{hello-client}."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator, Coroutine, Sequence
from functools import partial
from itertools import cycle, islice
from time import perf_counter
from typing import Any, NoReturn, TypeVar, cast

from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.endpoints import HostnameEndpoint, clientFromString, connectProtocol
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from hello_service import __version__
from hello_service.cli.input_lines import InputLines
from hello_service.cli.run import run
from hello_service.cli.secured import HandshakeUnfinished
from hello_service.cli.tls_endpoint import tls_endpoint
from hello_service.cli.trouble import Trouble, TroubleError, connect_trouble
from hello_service.client import READ_SIZE, HelloClient, WrongAnswer, encode_name
from hello_service.values import BadValue, not_empty, positive_seconds, seconds, whole_number

PROGRAM = "hello-client"
NAMES = ["Michael", "Tracy", "Sarah"]
"""Whom the tutorial's client greets."""
MISSING = 1
"""The exit status of C{--count} if any answer is missing."""

T = TypeVar("T")


class Caller:
    """Holds conversations with one server, prints them, and puts what goes wrong into words.

    @param place: how the server is named in messages.
    @param timeout: seconds that each step may take.
    """

    def __init__(
        self, clock: IReactorTime, endpoint: IStreamClientEndpoint, place: str, timeout: float
    ) -> None:
        self._clock = clock
        self._endpoint = endpoint
        self._place = place
        self._timeout = timeout

    async def connect(self) -> HelloClient:
        """Connect and print the greeting."""
        connecting = connectProtocol(self._endpoint, HelloClient())
        try:
            client: HelloClient = await connecting.addTimeout(self._timeout, self._clock, _time_out)
        except (CancelledError, ConnectingCancelledError):
            raise CancelledError from None
        except TroubleError:
            raise
        except Exception as error:  # endpoints may fail with anything
            raise connect_trouble(error, self._place, self._timeout) from error
        print(await self._step("the greeting", client.welcome()), flush=True)
        return client

    async def hello(self, client: HelloClient, name: str) -> str:
        """Say a name, return the answer."""
        return await self._step(f"the answer to {name[:40]!r}", client.hello(name))

    async def exit(self, client: HelloClient) -> None:
        """Say exit, wait for the close."""
        await self._step("the close", client.exit())

    async def _step(self, what: str, step: Coroutine[Deferred[Any], Any, T]) -> T:
        try:
            return await Deferred.fromCoroutine(step).addTimeout(self._timeout, self._clock)
        except TimeoutError as error:
            raise TroubleError(
                Trouble.TIMEOUT,
                f"{self._place} took over {self._timeout:g} seconds for {what}: give it more with"
                " --timeout, or look into its log.",
            ) from error
        except WrongAnswer as error:
            raise TroubleError(
                Trouble.PROTOCOL,
                f"{self._place} sent {error.received[:80]!r} for {what}, not"
                f" {error.expected[:80]!r}: is it a hello server?",
            ) from error
        except (CancelledError, TroubleError):
            raise
        except Exception as error:
            raise TroubleError(
                Trouble.RESET,
                f"{self._place} ended the connection before {what} was whole ({error}): look into"
                " its log.",
            ) from error


def _time_out(reason: Failure, seconds: float) -> NoReturn:
    if isinstance(reason.value, HandshakeUnfinished):
        raise reason.value.timed_out(seconds)
    raise TimeoutError(seconds)


async def _converse(caller: Caller, names: AsyncIterator[str]) -> int:
    client = await caller.connect()
    async for name in names:
        print(await caller.hello(client, name), flush=True)
    await caller.exit(client)
    return 0


async def _ping(
    caller: Caller, names: Sequence[str], count: int, interval: float, clock: IReactorTime
) -> int:
    client = None
    sent = 0
    times: list[float] = []
    try:
        for turn, name in enumerate(islice(cycle(names), count)):
            if turn:
                await deferLater(clock, interval)
            try:
                client = client or await caller.connect()
                sent += 1
                start = perf_counter()
                answer = await caller.hello(client, name)
                times.append((perf_counter() - start) * 1000)
                print(f"{answer} {times[-1]:.2f} ms", flush=True)
            except TroubleError as error:
                print(f"{PROGRAM}: {error}", file=sys.stderr)
                client = None
        if client:
            await caller.exit(client)
    finally:
        summary = f"{sent} sent, {len(times)} answered"
        if times:
            average = sum(times) / len(times)
            summary += f", min/avg/max {min(times):.2f}/{average:.2f}/{max(times):.2f} ms"
        print(summary, flush=True)
    return 0 if len(times) == count else MISSING


async def greet(options: Namespace, reactor: Any) -> int:
    """Do what the parsed options say; return the exit status."""
    endpoint: IStreamClientEndpoint
    if options.connect:
        place = options.connect
        endpoint = _endpoint(reactor, place)
    else:
        host, port = options.host or "127.0.0.1", options.port or 9999
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        endpoint = HostnameEndpoint(reactor, host, port, options.timeout)
    caller = Caller(reactor, endpoint, place, options.timeout)
    names = options.names or NAMES
    if options.count:
        interval = 1.0 if options.interval is None else options.interval
        return await _ping(caller, names, options.count, interval, reactor)
    if names == ["-"]:
        return await _converse(caller, _input_names(reactor))
    return await _converse(caller, _each(names))


def _endpoint(reactor: Any, place: str) -> IStreamClientEndpoint:
    match place.partition(":")[0]:
        case "tls":
            return tls_endpoint(reactor, place)
        case "ssl":
            raise BadValue("ssl: does not check whose the server is: write tls:HOST:PORT.")
    try:
        return cast(IStreamClientEndpoint, clientFromString(reactor, place))
    except Exception as error:
        raise BadValue(
            f"{place!r} is not an endpoint ({error}): write one like tcp:HOST:9999."
        ) from error


async def _each(names: list[str]) -> AsyncIterator[str]:
    for name in names:
        yield name


async def _input_names(reactor: Any) -> AsyncIterator[str]:
    if sys.stdin is None:
        raise BadValue("Standard input is closed: leave - out, or give it something to read.")
    async for line in InputLines(reactor, sys.stdin.fileno(), 2 * READ_SIZE):
        match line.decode(errors="surrogateescape").strip():
            case "":
                continue
            case "exit":
                break
            case name:
                yield _name(name)


def _name(text: str) -> str:
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


def parse(arguments: Sequence[str] | None = None) -> Namespace:
    """Parse the command line; what is wrong with it ends the process with status 2."""
    parser = ArgumentParser(
        PROGRAM, description="Connect to a hello server, say each NAME, print the answers."
    )
    add = parser.add_argument
    add(
        "names",
        metavar="NAME",
        nargs="*",
        type=_name,
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


def main() -> NoReturn:
    """Greet a server, print its answers, exit with 0 or what docs/client.md lists."""
    run(PROGRAM, partial(greet, parse()))
