"""The status port: HTTP for balancers, probes and Prometheus, and nothing beyond what they ask.

GET and HEAD, one request on a connection, no body read, no more of a head than `HEAD_SIZE`;
`BoundedFactory` limits how many connections there are, and for how long.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from twisted.internet.interfaces import IReactorTime
from twisted.web.http import HTTPChannel, HTTPFactory, Request, datetimeToString

from hello_service.daemon.status.metrics import NoMetrics

HEAD_SIZE = 4096
"""Bytes of a request's head: a balancer's or Prometheus' has a few hundred."""

TEXT = b"text/plain; charset=utf-8"


class Answer(NamedTuple):
    """An answer over HTTP: its status, its body and the body's media type."""

    code: HTTPStatus
    body: bytes
    media_type: bytes = TEXT


Page = Callable[[], Answer]


class StatusRequest(Request):
    """Answers from the pages of its factory."""

    channel: Any

    def gotLength(self, length: int | None) -> None:
        super().gotLength(0)  # type: ignore[no-untyped-call]

    def handleContentChunk(self, data: bytes) -> None:
        """Throw away what a request has of a body."""

    def process(self) -> None:
        answer = self._answer()
        self.setResponseCode(answer.code, answer.code.phrase.encode())
        for name, value in (
            ("Date", datetimeToString()),
            ("Content-Type", answer.media_type),
            ("Content-Length", b"%d" % len(answer.body)),
            ("Cache-Control", b"no-store"),
        ):
            self.responseHeaders.setRawHeaders(name, [value])
        self.write(answer.body)  # type: ignore[no-untyped-call]
        self.finish()  # type: ignore[no-untyped-call]

    def _answer(self) -> Answer:
        if self.method not in (b"GET", b"HEAD"):
            self.responseHeaders.setRawHeaders("Allow", ["GET, HEAD"])
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED, b"Only GET and HEAD are answered here.\n")
        pages: Mapping[bytes, Page] = self.channel.factory.pages
        if page := pages.get(self.path):
            return page()
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


def status_pages(
    draining: Callable[[], bool], exposition: Callable[[], tuple[bytes, bytes]]
) -> dict[bytes, Page]:
    """Make the pages of a daemon.

    @param draining: whether it stops.
    @param exposition: makes the text for Prometheus, and its media type.
    """

    def healthy() -> Answer:
        return Answer(HTTPStatus.OK, b"ok\n")

    def ready() -> Answer:
        return (
            Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"draining\n")
            if draining()
            else Answer(HTTPStatus.OK, b"ready\n")
        )

    def metrics() -> Answer:
        try:
            return Answer(HTTPStatus.OK, *exposition())
        except NoMetrics as error:
            return Answer(HTTPStatus.NOT_IMPLEMENTED, f"{error}\n".encode())

    return {b"/healthz": healthy, b"/readyz": ready, b"/metrics": metrics}
