"""How both commands run and end."""

import os
import sys
from collections.abc import Callable, Coroutine
from io import TextIOWrapper
from typing import Any, NoReturn

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import react

from hello_service.options import BadValue
from hello_service.trouble import Trouble, TroubleError

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
        print(f"{program}: {error}", file=sys.stderr)
        status = error.trouble.value
    except BadValue as error:
        print(f"{program}: error: {error}", file=sys.stderr)
        status = USAGE
    except CancelledError:
        status = INTERRUPTED
    except BrokenPipeError:
        status = BROKEN_PIPE
        _drop_output()
    except OSError as error:
        trouble = TroubleError(
            Trouble.FILE, f"the output cannot be written: {error.strerror}: make room for it."
        )
        print(f"{program}: {trouble}", file=sys.stderr)
        status = trouble.trouble.value
        _drop_output()
    sys.exit(status)


def _drop_output() -> None:
    """Let the interpreter's last flush go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def run(program: str, main: Main) -> NoReturn:
    """Run a command in a reactor to its end, then exit.

    @param main: takes the reactor, returns the exit status. A L{TroubleError} from it is printed
        on standard error as C{program: WORD: sentence} and gives its own status.
    """
    if isinstance(sys.stdout, TextIOWrapper):  # there is none after >&-
        sys.stdout.reconfigure(errors="backslashreplace")
    react(_guard, (program, main))
