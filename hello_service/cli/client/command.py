"""The command C{hello-client}."""

import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Sequence
from functools import partial
from itertools import cycle, islice
from time import perf_counter
from typing import Any, NoReturn

from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.task import deferLater

from hello_service.address import host_port
from hello_service.cli.client.caller import Caller
from hello_service.cli.client.endpoint import client_endpoint
from hello_service.cli.client.input_lines import InputLines
from hello_service.cli.client.options import one_name, parse_options
from hello_service.cli.console import Console
from hello_service.cli.escaping import escaped
from hello_service.cli.run import run
from hello_service.cli.trouble import TroubleError
from hello_service.client import READ_SIZE
from hello_service.values import BadValue

PROGRAM = "hello-client"
NAMES = ["Michael", "Tracy", "Sarah"]
"""Whom the tutorial's client greets."""
MISSING = 1
"""The exit status of C{--count} if any answer is missing."""


async def _converse(caller: Caller, names: AsyncIterator[str]) -> int:
    client = await caller.connect()
    async for name in names:
        await caller.say(await caller.hello(client, name))
    await caller.exit(client)
    return 0


async def _ping(
    caller: Caller, names: Sequence[str], options: Namespace, clock: IReactorTime, console: Console
) -> int:
    count: int = options.count
    interval = 1.0 if options.interval is None else options.interval
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
                await caller.say(f"{answer} {times[-1]:.2f} ms")
            except TroubleError as error:
                console.err.write(escaped(f"{PROGRAM}: {error}\n"))
                client = None
        if client:
            await caller.exit(client)
    finally:
        summary = f"{sent} sent, {len(times)} answered"
        if times:
            average = sum(times) / len(times)
            summary += f", min/avg/max {min(times):.2f}/{average:.2f}/{max(times):.2f} ms"
        console.out.write(f"{summary}\n")
    await console.drained()
    return 0 if len(times) == count else MISSING


async def greet(options: Namespace, reactor: Any, console: Console) -> int:
    """Do what the parsed options say; return the exit status."""
    endpoint: IStreamClientEndpoint
    if options.connect:
        place = options.connect
        endpoint = client_endpoint(reactor, place)
    else:
        host, port = options.host or "127.0.0.1", options.port or 9999
        place = host_port(host, port)
        endpoint = HostnameEndpoint(reactor, host, port, options.timeout)
    caller = Caller(reactor, console, endpoint, place, options.timeout)
    names = options.names or NAMES
    if options.count:
        return await _ping(caller, names, options, reactor, console)
    if names == ["-"]:
        return await _converse(caller, _input_names(reactor))
    return await _converse(caller, _each(names))


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
                yield one_name(name)


def main() -> NoReturn:
    """Greet a server, print its answers, exit with 0 or what docs/client.md lists."""
    run(PROGRAM, partial(greet, parse_options()))
