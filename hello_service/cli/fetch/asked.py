"""What is asked for, and what a redirect makes of it."""

from dataclasses import dataclass, replace
from typing import Self

from hello_service.cli.fetch.body import Body
from hello_service.cli.fetch.redirects import NotFollowed
from hello_service.fetch.request import parse_url

_OF_ONE_ORIGIN = (b"authorization", b"cookie", b"host", b"proxy-authorization")

_OF_A_BODY = (
    b"content-encoding",
    b"content-language",
    b"content-length",
    b"content-location",
    b"content-type",
)


@dataclass(frozen=True)
class Asked:
    """One request, before it has the headers that no user gives.

    @ivar body: C{None} for none.
    """

    method: bytes
    url: str
    headers: list[tuple[bytes, bytes]]
    body: Body | None

    def after(self, code: int, target: str) -> Self:
        """Return what a redirect to a URL asks for, as browsers do.

        303 asks for a page in answer to anything but HEAD, 301 and 302 in answer to POST; others
        keep method and body (Fetch standard, HTTP-redirect fetch). No secret and no Host of the
        user's goes to another origin than it was meant for.

        @raises NotFollowed: if the body would be sent again, and is gone.
        """
        method, headers, body = self.method, self.headers, self.body
        if _asks_for_a_page(code, method):
            method, body = b"GET", None
            headers = _without(headers, _OF_A_BODY)
        if body and not body.is_kept:
            raise NotFollowed(
                f"{code} asks to send the body again, to {target}, and it was read from a pipe:"
                " save it in a file, for -d @FILE"
            )
        if self.origin != replace(self, url=target).origin:
            headers = _without(headers, _OF_ONE_ORIGIN)
        return replace(self, method=method, url=target, headers=headers, body=body)

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: whom the secrets are for."""
        place = parse_url(self.url)
        return place.scheme, place.host, place.port


def _asks_for_a_page(code: int, method: bytes) -> bool:
    if code == 303:
        return method not in (b"GET", b"HEAD")
    return code in (301, 302) and method == b"POST"


def _without(
    headers: list[tuple[bytes, bytes]], names: tuple[bytes, ...]
) -> list[tuple[bytes, bytes]]:
    return [header for header in headers if header[0].lower() not in names]
