"""Cookies for one chain of redirects, kept in memory as browsers keep them."""

import re
import warnings
from collections.abc import Sequence
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import Request

from twisted.web.http_headers import Headers

from hello_service.fetch.request import Place

SIZE_LIMIT = 4096
"""Bytes of a cookie's name and value: what browsers take (RFC 6265, section 6.1)."""

COUNT_LIMIT = 180
"""Cookies that are kept, and read of one head: what Chromium keeps of one site."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Cookies:
    """What servers have set, for as long as the command runs."""

    def __init__(self) -> None:
        self._policy = _AsBrowsers(
            strict_domain=True, strict_ns_domain=DefaultCookiePolicy.DomainStrictNonDomain
        )
        self._jar = CookieJar(self._policy)

    def take(self, place: Place, headers: Headers) -> None:
        """Keep, replace or drop what a response from a place says."""
        request = _request(place)
        for value in headers.getRawHeaders(b"set-cookie", [])[:COUNT_LIMIT]:
            for cookie in self._read(value, request):
                if len(self._jar) < COUNT_LIMIT and self._policy.set_ok(cookie, request):
                    self._jar.set_cookie(cookie)

    def _read(self, value: bytes, request: Request) -> Sequence[Cookie]:
        """Read one header by itself: of several, the jar drops all if it cannot read one."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it cannot read it warns
            return self._jar.make_cookies(cast(Any, _Answer(value)), request)

    def add_to(self, headers: Headers, place: Place) -> None:
        """Send to a place what is kept for it, in one header (RFC 6265, section 5.4).

        What the user sends stays; a cookie of the same name takes the place of the user's.
        """
        request = _request(place)
        self._jar.add_cookie_header(request)
        kept = request.get_header("Cookie", "").encode("latin-1")
        if not kept:
            return
        pairs = kept.split(b"; ")
        names = {_name(pair) for pair in pairs}
        own = b";".join(headers.getRawHeaders(b"cookie", [])).split(b";")
        others = [pair.strip() for pair in own if pair.strip() and _name(pair) not in names]
        headers.setRawHeaders(b"Cookie", [b"; ".join(others + pairs)])


class _AsBrowsers(DefaultCookiePolicy):
    """Refuses what browsers refuse besides (RFC 6265bis, sections 4.1.3 and 5.7)."""

    def set_ok(self, cookie: Cookie, request: Request) -> bool:
        name, value = cookie.name, cookie.value or ""
        if len(name) + len(value) > SIZE_LIMIT or _CONTROL.search(name + value):
            return False
        if cookie.secure and request.type != "https":
            return False
        if name.startswith(("__Secure-", "__Host-")) and not cookie.secure:
            return False
        if name.startswith("__Host-") and (cookie.domain_specified or cookie.path != "/"):
            return False
        if cookie.domain_specified and _is_of_address(request):
            return False
        return super().set_ok(cookie, request)


class _Answer:
    """One header, as the jar asks for them."""

    def __init__(self, value: bytes) -> None:
        self._value = value.decode("latin-1")

    def info(self) -> Any:
        return self

    def get_all(self, name: str, default: list[str]) -> list[str]:
        return [self._value] if name == "Set-Cookie" else default


def _request(place: Place) -> Request:
    return Request(f"{place.scheme}://{place.authority}{place.target}")


def _name(pair: bytes) -> bytes:
    return pair.partition(b"=")[0].strip()


def _is_of_address(request: Request) -> bool:
    try:
        ip_address(urlsplit(request.full_url).hostname or "")
    except ValueError:
        return False
    return True
