"""The daemon: what `twistd hello` can be told beyond the kit's options, and its service."""

import sys
from typing import ClassVar, NoReturn

from twisted.application.service import IService
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.usage import UsageError

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

    optFlags: ClassVar = [
        ["reveal", None, "Tell each client the --name and the client's address in the greeting"],
    ]

    def postOptions(self) -> None:
        """Check what one option says against another.

        @raises UsageError: if --reveal has no name, or no line, to put it in.
        """
        super().postOptions()
        if self["reveal"] and not (self["name"] and self["framing"] is Framing.LINE):
            raise UsageError(
                "--reveal adds the name to a greeting that is a line: give --name and"
                " --framing line with it."
            )

    def opt_version(self) -> NoReturn:
        """Display hello_service's version and exit."""
        print(f"hello_service {__version__}")
        sys.exit()


def announce(port: IListeningPort, **fields: object) -> None:
    """Log what the tutorial's server prints once it listens."""
    address = address_text(port.getHost())
    text = "Waiting for connection... (listening on {address})"
    _log.info(text, event="listening", address=address, **fields)


def makeService(options: Options) -> IService:
    """Make the service of C{twistd hello}; what cannot be ends the process with a sentence."""
    framing, delay = options["framing"] or Framing.AUTO, options["delay"] or 0.0
    name = options["name"] if options["reveal"] else ""
    return twistd_service(
        options,
        lambda clock: HelloFactory(clock, framing, delay, name),
        announce=announce,
        counted="Conversations",
        page=ERRORS_PAGE,
    )
