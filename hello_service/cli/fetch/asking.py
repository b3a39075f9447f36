"""Asks for a page, shows each head that comes, and goes where redirects lead."""

import time
from dataclasses import replace
from typing import Any, cast

from twisted.internet.defer import CancelledError
from twisted.internet.error import DNSLookupError
from twisted.web.iweb import IAgent

from hello_service.cli.console import Console
from hello_service.cli.escaping import escaped
from hello_service.cli.fetch.asked import Asked
from hello_service.cli.fetch.connecting import Ways
from hello_service.cli.fetch.cookies import Cookies
from hello_service.cli.fetch.options import Options
from hello_service.cli.fetch.redirects import (
    ENDLESS,
    FOLLOWED,
    REDIRECT_LIMIT,
    NotFollowed,
    other_host,
    target_of,
)
from hello_service.cli.fetch.status_hints import status_hint
from hello_service.cli.fetch.trouble import fetch_trouble
from hello_service.cli.trouble import TroubleError
from hello_service.fetch.errors import ResponseError
from hello_service.fetch.headers import WireHeaders
from hello_service.fetch.request import parse_url
from hello_service.fetch.response import RawResponse
from hello_service.fetch.wire import Wire


class Asking:
    """One page, asked for until no redirect is to be followed any more.

    @ivar asked: what was asked for last.
    """

    def __init__(
        self, reactor: Any, agent: IAgent, options: Options, console: Console, ways: Ways
    ) -> None:
        """
        @param reactor: L{IReactorFDSet}.
        """
        self._first = Asked(options.method, options.url, options.headers, options.body)
        self.asked = self._first
        self._reactor = reactor
        self._agent = agent
        self._options = options
        self._console = console
        self._ways = ways

    @property
    def url(self) -> str:
        """What was asked for last."""
        return self.asked.url

    async def response(self, besides: list[tuple[bytes, bytes]]) -> RawResponse:
        """Ask from the first; return the response, whose body has not been read.

        @param besides: headers to send beside the user's.
        @raises TroubleError: if there is none.
        @raises NotFollowed: if a redirect was to be followed, and leads nowhere.
        """
        self.asked = replace(self._first, headers=[*self._first.headers, *besides])
        self._cookies = Cookies()
        self._location = b""
        for _ in range(REDIRECT_LIMIT + 1):
            response = await self._ask()
            self._show_heads(response.wire)
            if not self._options.follow or response.code not in FOLLOWED:
                return response
            response.abortConnection()
            self._cookies.take(parse_url(self.url), response.headers)
            locations = response.headers.getRawHeaders(b"location", [])
            target = target_of(self.url, response.code, locations)
            self.asked = self.asked.after(response.code, target)
            self._location = locations[0]
        raise NotFollowed(ENDLESS)

    def trouble(self, error: Exception) -> TroubleError:
        """Put into words what went wrong with the place that was asked last."""
        place = parse_url(self.url)
        way = self._ways.way(place.host, place.port)
        return fetch_trouble(error, place, way, self._options.timeout)

    def status_hint(self, response: RawResponse) -> str:
        """Say what to do about a status, in a sentence without full stop, if that is known."""
        return status_hint(response, self.asked, self._first, time.time())

    async def _ask(self) -> RawResponse:
        asked = self.asked
        headers = WireHeaders(asked.headers)
        self._cookies.add_to(headers, parse_url(asked.url))
        producer = asked.body.producer(self._reactor) if asked.body else None
        try:
            response = self._agent.request(asked.method, asked.url.encode(), headers, producer)
            return cast(RawResponse, await response)
        except CancelledError:
            raise
        except DNSLookupError as error:
            raise self._unknown(self.trouble(error)) from None
        except ResponseError as error:
            self._show_heads(error.wire)
            raise self.trouble(error) from None
        except Exception as error:
            raise self.trouble(error) from None

    def _unknown(self, trouble: TroubleError) -> TroubleError:
        """Add to a host without an address that a redirect may not have meant a host."""
        if why := other_host(self._location, parse_url(self.url).host):
            return TroubleError(trouble.trouble, f"{trouble.sentence} {why}.")
        return trouble

    def _show_heads(self, wire: Wire) -> None:
        """Show heads as they came; of one that is refused, what came."""
        console = self._console
        to = console.err if self._options.output == "-" else console.out
        for head in (*wire.interim, wire.head):
            if to is console.err or to.is_terminal:
                text = escaped(head)
                to.write(text if text.endswith("\n") or not text else f"{text}\n")
            else:
                to.write(head)
        if to.error:
            raise to.error
