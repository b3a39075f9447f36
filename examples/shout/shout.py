"""A daemon on hello_service's kit: it answers each line in capitals."""

from typing import ClassVar

from twisted.application.service import IService
from twisted.internet.interfaces import IReactorTime

from hello_service.daemon import (
    DaemonFactory,
    DaemonOptions,
    DaemonProtocol,
    parameter,
    twistd_service,
)
from hello_service.values import whole_number


class Shout(DaemonProtocol):
    """Answers each line once it is whole, and the last one at the end of stream."""

    factory: "ShoutFactory"
    rest = b""

    def received(self, data: bytes) -> None:
        lines, end, self.rest = (self.rest + data).rpartition(b"\n")
        self.write((lines + end).upper())
        if len(self.rest) > self.factory.longest:
            self.write(b"THAT LINE IS TOO LONG\n")
            self.close("too-long")

    def ended(self) -> None:
        self.write(self.rest.upper())


class ShoutFactory(DaemonFactory):
    """Builds a `Shout` for each connection; C{longest} is how many bytes a line may have."""

    protocol = Shout

    def __init__(self, clock: IReactorTime, longest: int) -> None:
        super().__init__(clock)
        self.longest = longest


class Options(DaemonOptions):
    """What may follow C{twistd shout}."""

    optParameters: ClassVar = [
        parameter("longest", None, "How many bytes a line may have [default: 1024]",
                  whole_number(1, 1_000_000)),
    ]  # fmt: skip


def makeService(options: Options) -> IService:
    """Make the service of C{twistd shout}."""
    return twistd_service(options, lambda clock: ShoutFactory(clock, options["longest"] or 1024))
