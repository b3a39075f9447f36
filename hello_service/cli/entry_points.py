"""The commands' entry points: what has to be right before anything else is imported."""

import os
import signal
import sys
from typing import NoReturn

from hello_service import ERRORS_PAGE
from hello_service.cli.signals import die_by

DESCRIPTORS = 16
"""Files that can be opened at least: half are the reactor's, a connection's and the page's."""

UNREACHABLE = 5
"""The exit status of that name in trouble.py, which imports too much for this place."""


def hello_client() -> NoReturn:
    """Run C{hello-client}."""
    _start("hello-client")


def hello_fetch() -> NoReturn:
    """Run C{hello-fetch}."""
    _start("hello-fetch")


def _start(program: str) -> NoReturn:
    try:
        _fill_closed_streams()
        if not _enough_descriptors():
            _refuse(program)
        if program == "hello-client":
            from hello_service.cli.client.command import main
        else:
            from hello_service.cli.fetch.command import main
        main()
    except KeyboardInterrupt:
        die_by(signal.SIGINT)


def _fill_closed_streams() -> None:
    """Let nothing that is opened later get the number of a stream that the shell has closed."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:  # for which argparse and print take standard output
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def _enough_descriptors() -> bool:
    """Find out whether as many files can be opened as one fetch needs."""
    descriptors = []
    try:
        for _ in range(DESCRIPTORS):
            descriptors.append(os.dup(0))
    except OSError:
        return False
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    return True


def _refuse(program: str) -> NoReturn:
    sentence = (
        f"{program}: UNREACHABLE: too few files may be open here to make a connection: raise the"
        f" limit, with ulimit -n 64. See {ERRORS_PAGE}#unreachable.\n"
    )
    os.write(2, sentence.encode())
    sys.exit(UNREACHABLE)
