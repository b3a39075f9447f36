"""The daemon: what `twistd hello` can be told beyond the kit's options, and its service."""

import sys
from typing import ClassVar, NoReturn

from twisted.application.service import IService
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from hello_service import ERRORS_PAGE, __version__
from hello_service.address import address_text
from hello_service.daemon import DaemonOptions, parameter, twistd_service
from hello_service.server import Framing, HelloFactory
from hello_service.values import BadValue, seconds

_log = Logger()


def _framing(text: str) -> Framing:
    try:
        return Framing(text)
    except ValueError:
        names = ", ".join(framing.value for framing in Framing)
        raise BadValue(f"{text!r} is not one of {names}.") from None


class Options(DaemonOptions):
    """What may follow C{twistd hello}."""

    optParameters: ClassVar = [
        parameter("framing", "f", "What a message is: one read (stream, the tutorial's), a line, or"
                  " what the first read looks like (auto) [default: auto]", _framing),
        parameter("delay", "d", "Seconds between reading and answering, 1 in the tutorial"
                  " [default: 0]", seconds),
    ]  # fmt: skip

    def opt_version(self) -> NoReturn:
        """Display hello_service's version and exit."""
        print(f"hello_service {__version__}")
        sys.exit()


def announce(port: IListeningPort) -> None:
    """Log what the tutorial's server prints once it listens."""
    address = address_text(port.getHost())
    _log.info(
        "Waiting for connection... (listening on {address})", event="listening", address=address
    )


def makeService(options: Options) -> IService:
    """Make the service of C{twistd hello}; what cannot be ends the process with a sentence."""
    framing, delay = options["framing"] or Framing.AUTO, options["delay"] or 0.0
    return twistd_service(
        options,
        lambda clock: HelloFactory(clock, framing, delay),
        announce=announce,
        counted="Conversations",
        name="hello",
        version=__version__,
        page=ERRORS_PAGE,
    )
