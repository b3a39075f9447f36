"""What the status port answers at each path."""

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from hello_service.daemon.status.figures import Figures
from hello_service.daemon.status.http import Answer, Page, StatusRequest
from hello_service.daemon.status.metrics import NoMetrics, exposition

_FILES = {
    b"/": ("page.html", b"text/html; charset=utf-8"),
    b"/page.css": ("page.css", b"text/css; charset=utf-8"),
    b"/page.js": ("page.js", b"text/javascript; charset=utf-8"),
    b"/wire.js": ("wire.js", b"text/javascript; charset=utf-8"),
    b"/words.js": ("words.js", b"text/javascript; charset=utf-8"),
    b"/icon.svg": ("icon.svg", b"image/svg+xml"),
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def _file(name: str, media_type: bytes) -> Page:
    body = (Path(__file__).parent / name).read_bytes()
    return lambda _: Answer(HTTPStatus.OK, body, media_type, _HEADERS)


def status_pages(
    draining: Callable[[], bool], figures: Callable[[], Figures], events: Page
) -> dict[bytes, Page]:
    """Make the pages of a daemon.

    @param draining: whether it stops.
    @param figures: adds up all that there is to tell.
    @param events: what the page for people listens to.
    """

    def healthy(_: StatusRequest) -> Answer:
        return Answer(HTTPStatus.OK, b"ok\n")

    def ready(_: StatusRequest) -> Answer:
        return (
            Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"draining\n")
            if draining()
            else Answer(HTTPStatus.OK, b"ready\n")
        )

    def metrics(_: StatusRequest) -> Answer:
        try:
            return Answer(HTTPStatus.OK, *exposition(figures()))
        except NoMetrics as error:
            return Answer(HTTPStatus.NOT_IMPLEMENTED, f"{error}\n".encode())

    return {
        **{path: _file(*file) for path, file in _FILES.items()},
        b"/healthz": healthy,
        b"/readyz": ready,
        b"/metrics": metrics,
        b"/events": events,
    }
