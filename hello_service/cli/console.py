"""Standard output and standard error, written without ever keeping the reactor waiting."""

from dataclasses import dataclass
from typing import Any, TextIO

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from hello_service.cli.open_stream import OpenStream


@implementer(IWriteDescriptor)
class Outlet:
    """A stream that takes everything at once, and passes it on as fast as its reader reads.

    @ivar encoding: how text is written, with C{\\u674e} and the like for what it does not have.
    @ivar error: why nothing more can be written, if so.
    """

    def __init__(
        self,
        reactor: Any,
        descriptor: int | None,
        encoding: str = "utf-8",
        is_terminal: bool = False,
    ) -> None:
        """
        @param descriptor: where to write; C{None}, if the shell has closed it, takes and drops all.
        """
        self.encoding = encoding
        self.is_terminal = is_terminal
        self.is_closed = descriptor is None
        self.error: OSError | None = None
        self._reactor = reactor
        self._stream = None if descriptor is None else OpenStream(descriptor, close=False)
        self._unwritten = bytearray()
        self._waiting: Deferred[None] | None = None

    @property
    def behind(self) -> bool:
        """Whether something waits for the reader."""
        return bool(self._unwritten)

    def write(self, data: str | bytes) -> None:
        """Take text or bytes. Never raises: L{drained} tells what went wrong."""
        if isinstance(data, str):
            data = data.encode(self.encoding, "backslashreplace")
        if self._stream and not self.error:
            behind = self.behind
            self._unwritten += data
            if not behind:  # else the reactor goes on with it, and tells who waits for the end
                self.doWrite()

    def flush(self) -> None:
        """Do nothing, as there is no buffer: it is for tqdm, which takes this for a file."""

    async def drained(self) -> None:
        """Wait until the reader has taken everything; only one can wait.

        @raises OSError: if it cannot be written.
        """
        if self.behind:
            self._waiting = Deferred()
            await self._waiting
        if self.error:
            raise self.error

    def fileno(self) -> int:
        assert self._stream
        return self._stream.fileno()

    def doWrite(self) -> None:
        """Write what there is room for."""
        assert self._stream
        try:
            while self._unwritten:
                count = self._stream.write(bytes(self._unwritten))
                if not count:
                    self._reactor.addWriter(self)
                    return
                del self._unwritten[:count]
        except OSError as error:
            self.error = error
            self._unwritten.clear()
        self._reactor.removeWriter(self)
        waiting, self._waiting = self._waiting, None
        if waiting:
            waiting.callback(None)

    def connectionLost(self, reason: Failure) -> None:
        """Nobody reads the pipe any more, which the next write says."""
        self.doWrite()

    def logPrefix(self) -> str:
        return "outlet"


def outlet(reactor: Any, stream: TextIO | None) -> Outlet:
    """Take over one of the process's standard streams."""
    if stream is None:
        return Outlet(reactor, None)
    return Outlet(reactor, stream.fileno(), stream.encoding, stream.isatty())


@dataclass(frozen=True, eq=False)
class Console:
    """Where a command speaks.

    @ivar out: what was asked for.
    @ivar err: all that is said about it.
    """

    out: Outlet
    err: Outlet

    @property
    def behind(self) -> bool:
        """Whether something waits for its reader."""
        return self.out.behind or self.err.behind

    async def drained(self) -> None:
        """Wait until the readers have taken everything.

        @raises OSError: if one of them cannot be written.
        """
        await self.out.drained()
        await self.err.drained()
