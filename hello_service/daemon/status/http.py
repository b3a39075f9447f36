"""The status port: HTTP for balancers, probes and Prometheus, and nothing beyond what they ask.

GET and HEAD, one request on a connection, no body read, no more of a head than `HEAD_SIZE`;
`BoundedFactory` limits how many connections there are, and for how long.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NamedTuple

from twisted.internet.interfaces import IReactorTime
from twisted.web.http import HTTPChannel, HTTPFactory, Request, datetimeToString

HEAD_SIZE = 4096
"""Bytes of a request's head: a balancer's or Prometheus' has a few hundred."""

TEXT = b"text/plain; charset=utf-8"


class Answer(NamedTuple):
    """An answer over HTTP: its status, its body, the body's media type, and further headers."""

    code: HTTPStatus
    body: bytes
    media_type: bytes = TEXT
    headers: Mapping[str, str] = MappingProxyType({})


Page = Callable[["StatusRequest"], Answer | None]
"""Answers a request; if it returns nothing, it writes all after the head by itself."""


class StatusRequest(Request):
    """Answers from the pages of its factory."""

    channel: Any

    def gotLength(self, length: int | None) -> None:
        super().gotLength(0)  # type: ignore[no-untyped-call]

    def handleContentChunk(self, data: bytes) -> None:
        """Throw away what a request has of a body."""

    def process(self) -> None:
        if answer := self._answer():
            self.begin(answer.code, answer.media_type, answer.headers)
            self.responseHeaders.setRawHeaders("Content-Length", [b"%d" % len(answer.body)])
            self.write(answer.body)  # type: ignore[no-untyped-call]
            self.finish()  # type: ignore[no-untyped-call]

    def begin(
        self, code: HTTPStatus, media_type: bytes, headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Set the head of an answer."""
        self.setResponseCode(code, code.phrase.encode())
        for name, value in (
            ("Date", datetimeToString()),
            ("Content-Type", media_type),
            ("Cache-Control", b"no-store"),
            *headers.items(),
        ):
            self.responseHeaders.setRawHeaders(name, [value])

    def _answer(self) -> Answer | None:
        if self.method not in (b"GET", b"HEAD"):
            self.responseHeaders.setRawHeaders("Allow", ["GET, HEAD"])
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED, b"Only GET and HEAD are answered here.\n")
        pages: Mapping[bytes, Page] = self.channel.factory.pages
        if page := pages.get(self.path):
            return page(self)
        there = b", ".join(pages)
        return Answer(HTTPStatus.NOT_FOUND, b"There is no such page here; there are %s.\n" % there)


class StatusChannel(HTTPChannel):
    """Reads one request, of a limited size."""

    MAX_LENGTH = HEAD_SIZE
    totalHeadersSize = HEAD_SIZE
    requestFactory = StatusRequest

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        """Close after each answer."""
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        return False


class StatusFactory(HTTPFactory):
    """Serves pages, without an access log.

    @ivar pages: what there is at each path.
    """

    noisy = False
    protocol = StatusChannel  # type: ignore[assignment]

    def __init__(self, clock: IReactorTime, pages: Mapping[bytes, Page]) -> None:
        super().__init__(reactor=clock)
        self.timeOut = None  # `BoundedFactory` has one
        self.pages = pages

    def startFactory(self) -> None:
        """Begin no access log, and no timer for its time."""

    def stopFactory(self) -> None:
        """End nothing."""

    def log(self, request: Request) -> None:
        """Log no access: a check comes each second."""
