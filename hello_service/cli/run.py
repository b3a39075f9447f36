"""How both commands run and end."""

import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, NoReturn

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater, react

from hello_service.cli.console import Console, Outlet, outlet
from hello_service.cli.escaping import escaped
from hello_service.cli.signals import EndSignals, die_by
from hello_service.cli.trouble import TroubleError, output_trouble
from hello_service.values import BadValue

USAGE = 2
"""The exit status after a wrong use, which is argparse's."""
BROKEN_PIPE = 141
"""The exit status when nobody reads the output: 128 and the number of SIGPIPE."""

Main = Callable[[Any, Console], Coroutine[Deferred[Any], Any, int]]


async def _run(reactor: Any, program: str, main: Main) -> NoReturn:
    console = Console(outlet(reactor, sys.stdout), outlet(reactor, sys.stderr))

    async def begin() -> int:
        await deferLater(reactor, 0)  # the reactor has to run before signals can cancel anything
        return await main(reactor, console)

    running = Deferred.fromCoroutine(status_of(program, begin(), console.err))
    signals = EndSignals(reactor, running.cancel)
    signals.install()
    reactor.callWhenRunning(signals.install)  # the reactor installs its own first
    try:
        status = await running
    except CancelledError:
        die_by(signals.number)
    # Python would wait for a look-up of a name, which cannot be cancelled, and then spend 30 ms on
    # freeing what the system frees anyway.
    os._exit(status)


async def status_of(program: str, running: Coroutine[Deferred[Any], Any, int], err: Outlet) -> int:
    """Run a command to its end; say what went wrong, if it did, and return the exit status."""
    try:
        return await running
    except TroubleError as error:
        sentence, status = str(error), error.trouble.value
    except BadValue as error:
        sentence, status = f"error: {error}", USAGE
    except BrokenPipeError:
        return BROKEN_PIPE
    except OSError as error:
        trouble = output_trouble(error)
        sentence, status = str(trouble), trouble.trouble.value
    err.write(escaped(f"{program}: {sentence}\n"))
    with suppress(OSError):  # standard error may be what is broken
        await err.drained()
    return status


def run(program: str, main: Main) -> NoReturn:
    """Run a command in a reactor to its end, then exit.

    @param main: takes the reactor and the console, returns the exit status. A L{TroubleError} from
        it is printed on standard error as C{program: WORD: sentence} and gives its own status.
    """
    react(_run, (program, main))
