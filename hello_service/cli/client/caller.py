"""Conversations with one server, printed as they go, and what goes wrong with them in words."""

from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.endpoints import connectProtocol
from twisted.internet.error import ConnectingCancelledError, ConnectionDone
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.python.failure import Failure

from hello_service.cli.console import Console
from hello_service.cli.escaping import escaped
from hello_service.cli.trouble import (
    HandshakeUnfinished,
    Trouble,
    TroubleError,
    connect_trouble,
)
from hello_service.client import HelloClient, WrongAnswer

T = TypeVar("T")


class Caller:
    """Holds conversations with one server, prints them, and puts what goes wrong into words.

    @param place: how the server is named in messages.
    @param timeout: seconds that each step may take.
    """

    def __init__(
        self,
        clock: IReactorTime,
        console: Console,
        endpoint: IStreamClientEndpoint,
        place: str,
        timeout: float,
    ) -> None:
        self._clock = clock
        self._console = console
        self._endpoint = endpoint
        self._place = place
        self._timeout = timeout

    async def connect(self) -> HelloClient:
        """Connect and print the greeting."""
        connecting = connectProtocol(self._endpoint, HelloClient())
        try:
            client: HelloClient = await connecting.addTimeout(self._timeout, self._clock, _time_out)
        except (CancelledError, ConnectingCancelledError):
            raise CancelledError from None
        except TroubleError:
            raise
        except Exception as error:  # endpoints may fail with anything
            raise connect_trouble(error, self._place, self._timeout) from error
        await self.say(await self._step("the greeting", client.welcome()))
        return client

    async def say(self, line: str) -> None:
        """Print a line, and wait until it is taken."""
        out = self._console.out
        out.write(f"{escaped(line) if out.is_terminal else line}\n")
        await self._console.drained()

    async def hello(self, client: HelloClient, name: str) -> str:
        """Say a name, return the answer."""
        return await self._step(f"the answer to {name[:40]!r}", client.hello(name))

    async def exit(self, client: HelloClient) -> None:
        """Say exit, wait for the close."""
        await self._step("the close", client.exit())

    async def _step(self, what: str, step: Coroutine[Deferred[Any], Any, T]) -> T:
        try:
            return await Deferred.fromCoroutine(step).addTimeout(self._timeout, self._clock)
        except TimeoutError as error:
            raise TroubleError(
                Trouble.TIMEOUT,
                f"{self._place} took over {self._timeout:g} seconds for {what}: give it more with"
                " --timeout, or look into its log.",
            ) from error
        except WrongAnswer as error:
            raise TroubleError(
                Trouble.PROTOCOL,
                f"{self._place} sent '{escaped(error.received[:80])}' for {what}, not"
                f" '{escaped(error.expected[:80])}': is it a hello server?",
            ) from error
        except (CancelledError, TroubleError):
            raise
        except Exception as error:
            ended = "closed" if isinstance(error, ConnectionDone) else "broke off"
            raise TroubleError(
                Trouble.RESET,
                f"{self._place} {ended} the connection before {what} was whole: look into its log.",
            ) from error


def _time_out(reason: Failure, seconds: float) -> NoReturn:
    if isinstance(reason.value, HandshakeUnfinished):
        raise reason.value.timed_out(seconds)
    raise TimeoutError(seconds)
