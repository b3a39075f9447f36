"""The report of a fetch: one JSON object, whose names stay; docs/report.schema.json has them."""

import errno
import json
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from hello_service import ERRORS_PAGE, __version__
from hello_service.cli.console import Console, Outlet
from hello_service.cli.fetch.exchange_record import NO_EXCHANGE, ExchangeRecord, Told
from hello_service.cli.fetch.page import Saved
from hello_service.cli.run import BROKEN_PIPE
from hello_service.cli.trouble import Trouble, TroubleError, output_trouble
from hello_service.fetch.negotiated import Negotiated
from hello_service.fetch.wire import Observer


class Destination(Protocol):
    """Where a report goes."""

    def write(self, data: str) -> None:
        """Take it, and write as much as there is room for."""

    async def drained(self) -> None:
        """Wait until it is written.

        @raises OSError: if it cannot be.
        """


class Report(Observer):
    """Hears all of a fetch, and writes one line of JSON about it when that is over.

    @ivar saved: what was saved.
    """

    def __init__(
        self,
        url: str,
        to: Destination,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """
        @param url: what the user asked for.
        @param monotonic: the clock of the agent's settings.
        @param now: seconds since 1970.
        """
        self.saved: Saved | None = None
        self._url = url
        self._to = to
        self._monotonic = monotonic
        self._began = monotonic()
        self._date = datetime.fromtimestamp(now(), UTC)
        self._exchanges: list[ExchangeRecord] = []
        self._bytes = {"sent": 0, "received": 0}

    def agent(self, agent: IAgent) -> IAgent:
        """Return an agent that asks another one, and of whose requests the report tells."""
        return _ReportedAgent(agent, self)

    def begin(self, method: bytes, url: bytes) -> ExchangeRecord:
        """Take another request, which all events from now on are about."""
        exchange = ExchangeRecord(method, url, self._clock)
        self._exchanges.append(exchange)
        return exchange

    async def of(self, fetch: Coroutine[Deferred[Any], Any, int]) -> int:
        """Wait for the end of a fetch; write what came of it, and return its status.

        @raises OSError: if the report cannot be written.
        """
        try:
            status = await fetch
        except TroubleError as error:
            await self._write_failure(error)
            raise
        except BrokenPipeError:
            self._write("PIPE", "nobody reads the output any more.", BROKEN_PIPE)
            raise
        except OSError as error:
            await self._write_failure(output_trouble(error))
            raise
        except CancelledError:  # by a signal, and nothing may keep that waiting
            self._write("SIGNAL", "the command was ended by a signal.", None)
            raise
        self._write("", "", status)
        await self._to.drained()
        return status

    async def _write_failure(self, error: TroubleError) -> None:
        self._write(error.trouble.name, error.sentence, error.trouble.value)
        with suppress(OSError):  # there is an error to tell already
            await self._to.drained()

    def _write(self, word: str, sentence: str, status: int | None) -> None:
        told = [exchange.told(self._began) for exchange in self._exchanges]
        see = f"{ERRORS_PAGE}#{word.lower()}" if status not in (None, BROKEN_PIPE) else None
        report: Told = {
            "report": 1,
            "program": f"hello-fetch {__version__}",
            "began": f"{self._date:%Y-%m-%dT%H:%M:%S.%fZ}",
            "seconds": self._clock(),
            "url": self._url,
            **(told[-1] if told else NO_EXCHANGE),
            "earlier": told[:-1],
            "bytes": self._bytes,
            "saved": self.saved and asdict(self.saved),
            "error": {"word": word, "sentence": sentence, "see": see} if word else None,
            "exit_status": status,
        }
        # The head before it may have stopped in the middle of a line.
        self._to.write(f"\n{json.dumps(report)}\n")

    def _clock(self) -> float:
        return round(self._monotonic() - self._began, 6)

    def resolved(self, addresses: Sequence[IAddress]) -> None:
        self._exchanges[-1].note("resolved")

    def connecting(self, address: IAddress) -> None:
        self._exchanges[-1].connecting(address)

    def failed(self, address: IAddress, reason: Failure) -> None:
        self._exchanges[-1].failed(address, reason.value)

    def connected(self, local: IAddress, peer: IAddress) -> None:
        self._exchanges[-1].connected(local, peer)

    def negotiated(self, tls: Negotiated) -> None:
        self._exchanges[-1].negotiated(tls)

    def secured(self) -> None:
        self._exchanges[-1].note("secured")

    def sent(self, data: bytes) -> None:
        self._bytes["sent"] += len(data)
        self._exchanges[-1].sent(data)

    def received(self, data: bytes) -> None:
        self._bytes["received"] += len(data)
        self._exchanges[-1].note("first_byte")


def destination(reactor: Any, console: Console, name: str) -> Destination:
    """Open where a report goes; what another one has left there is gone.

    @param name: C{-} is standard output.
    @raises TroubleError: if it cannot be written.
    """
    if name == "-":
        return console.out
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return Outlet(reactor, os.open(name, flags, 0o666))
    except OSError as error:
        reason = "nobody reads it" if error.errno == errno.ENXIO else error.strerror
        raise TroubleError(
            Trouble.FILE,
            f"{name!r} cannot be written ({reason}): name another file, with --report json:FILE.",
        ) from None


@implementer(IAgent)
class _ReportedAgent:
    def __init__(self, agent: IAgent, report: Report) -> None:
        self._agent = agent
        self._report = report

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        exchange = self._report.begin(method, uri)

        def keep(outcome: Any) -> Any:
            source = outcome.value if isinstance(outcome, Failure) else outcome
            exchange.wire = getattr(source, "wire", None)
            return outcome

        return self._agent.request(method, uri, headers, bodyProducer).addBoth(keep)


class Both(Observer):
    """Two observers that hear the same."""

    def __init__(self, first: Observer, second: Observer) -> None:
        for name in [name for name in dir(Observer) if not name.startswith("_")]:
            setattr(self, name, _both(getattr(first, name), getattr(second, name)))


def _both(first: Callable[..., None], second: Callable[..., None]) -> Callable[..., None]:
    def hear(*event: Any) -> None:
        first(*event)
        second(*event)

    return hear
