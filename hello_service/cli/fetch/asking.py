"""Asks for a page, shows each head that comes, and goes where redirects lead."""

from typing import cast

from twisted.internet.defer import CancelledError
from twisted.internet.error import DNSLookupError
from twisted.web.iweb import IAgent

from hello_service.cli.console import Console
from hello_service.cli.escaping import escaped
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
from hello_service.cli.fetch.trouble import fetch_trouble
from hello_service.cli.trouble import TroubleError
from hello_service.fetch.errors import ResponseError
from hello_service.fetch.headers import WireHeaders
from hello_service.fetch.request import parse_url
from hello_service.fetch.response import RawResponse
from hello_service.fetch.wire import Wire

_OF_ONE_ORIGIN = (b"authorization", b"cookie", b"host", b"proxy-authorization")


class Asking:
    """One page, asked for until no redirect is to be followed any more.

    @ivar url: what was asked for last.
    """

    def __init__(self, agent: IAgent, options: Options, console: Console, ways: Ways) -> None:
        self.url = options.url
        self._agent = agent
        self._options = options
        self._console = console
        self._ways = ways
        self._headers = options.headers
        self._cookies = Cookies()
        self._location = b""

    async def response(self) -> RawResponse:
        """Ask; return the response, whose body has not been read.

        @raises TroubleError: if there is none.
        @raises NotFollowed: if a redirect was to be followed, and leads nowhere.
        """
        for _ in range(REDIRECT_LIMIT + 1):
            response = await self._ask()
            self._show_heads(response.wire)
            if not self._options.follow or response.code not in FOLLOWED:
                return response
            response.abortConnection()
            self._cookies.take(parse_url(self.url), response.headers)
            locations = response.headers.getRawHeaders(b"location", [])
            self._go_to(target_of(self.url, response.code, locations))
            self._location = locations[0]
        raise NotFollowed(ENDLESS)

    def trouble(self, error: Exception) -> TroubleError:
        """Put into words what went wrong with the place that was asked last."""
        place = parse_url(self.url)
        way = self._ways.way(place.host, place.port)
        return fetch_trouble(error, place, way, self._options.timeout)

    async def _ask(self) -> RawResponse:
        method = b"HEAD" if self._options.head else b"GET"
        headers = WireHeaders(self._headers)
        self._cookies.add_to(headers, parse_url(self.url))
        try:
            asked = self._agent.request(method, self.url.encode(), headers)
            return cast(RawResponse, await asked)
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

    def _go_to(self, target: str) -> None:
        """Send no secret and no Host of the user's to another origin than it was meant for."""
        here, there = parse_url(self.url), parse_url(target)
        if (here.scheme, here.host, here.port) != (there.scheme, there.host, there.port):
            self._headers = [
                (name, value) for name, value in self._headers if name.lower() not in _OF_ONE_ORIGIN
            ]
        self.url = target

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
