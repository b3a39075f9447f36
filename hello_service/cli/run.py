"""How both commands run and end."""

import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from io import TextIOWrapper
from typing import Any, NoReturn

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import react

from hello_service.cli.trouble import TroubleError, output_trouble
from hello_service.values import BadValue

USAGE = 2
"""The exit status after a wrong use, which is argparse's."""
INTERRUPTED = 130
"""The exit status after Ctrl+C, as shells have it: 128 and the number of SIGINT."""
BROKEN_PIPE = 141
"""The exit status when nobody reads the output: 128 and the number of SIGPIPE."""

Main = Callable[[Any], Coroutine[Deferred[Any], Any, int]]


async def _guard(reactor: Any, program: str, main: Main) -> NoReturn:
    running = Deferred.fromCoroutine(main(reactor))
    reactor.addSystemEventTrigger("before", "shutdown", running.cancel)
    try:
        status = await running
    except TroubleError as error:
        _say(f"{program}: {error}")
        status = error.trouble.value
    except BadValue as error:
        _say(f"{program}: error: {error}")
        status = USAGE
    except CancelledError:
        status = INTERRUPTED
    except BrokenPipeError:
        status = BROKEN_PIPE
        _drop_output()
    except OSError as error:
        trouble = output_trouble(error)
        _say(f"{program}: {trouble}")
        status = trouble.trouble.value
        _drop_output()
    if reactor.threadpool and reactor.threadpool.working:  # pragma: no cover: it ends at once
        # A look-up of a name, which cannot be cancelled, would be waited for.
        print(end="", flush=True)
        os._exit(status)
    sys.exit(status)


def _say(sentence: str) -> None:
    with suppress(OSError):  # standard error may be what is broken
        print(sentence, file=sys.stderr, flush=True)


def _drop_output() -> None:
    """Let the interpreter's last flush go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def run(program: str, main: Main) -> NoReturn:
    """Run a command in a reactor to its end, then exit.

    @param main: takes the reactor, returns the exit status. A L{TroubleError} from it is printed
        on standard error as C{program: WORD: sentence} and gives its own status.
    """
    if isinstance(sys.stdout, TextIOWrapper):  # there is none after >&-
        sys.stdout.reconfigure(errors="backslashreplace")
    react(_guard, (program, main))
