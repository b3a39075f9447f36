import sys
from http import HTTPStatus
from typing import Any

from twisted.internet.testing import MemoryReactorClock

from hello_service.daemon.status.figures import Figures
from hello_service.daemon.status.http import Answer, StatusFactory
from hello_service.daemon.status.pages import status_pages
from tests.daemon.status.test_http import StatusTestCase
from tests.daemon.status.test_metrics import FIGURES

HEADERS = {b"Connection", b"Date", b"Content-Type", b"Content-Length", b"Cache-Control"}
"""Those that every answer has."""


class PagesTests(StatusTestCase):
    draining = False

    def setUp(self) -> None:
        events = Answer(HTTPStatus.OK, b"data: x")
        pages = status_pages(lambda: self.draining, self.figures, lambda _: events)
        self.factory = StatusFactory(MemoryReactorClock(), pages)

    def figures(self) -> Figures:
        return FIGURES

    def test_it_lives(self) -> None:
        for draining in (False, True):
            self.draining = draining
            self.assertEqual(self.get("/healthz"), (200, b"ok\n"))

    def test_it_is_ready_until_it_drains(self) -> None:
        self.assertEqual(self.get("/readyz"), (200, b"ready\n"))
        self.draining = True
        self.assertEqual(self.get("/readyz"), (503, b"draining\n"))

    def test_metrics(self) -> None:
        status, headers, body = self.answer(b"GET /metrics HTTP/1.1\r\n\r\n")
        self.assertEqual(status, 200)
        self.assertIn(b"\ndaemon_connections_open 2.0\n", body)
        self.assertTrue(headers[b"Content-Type"].startswith(b"text/plain; version="))

    def test_metrics_without_the_extra(self) -> None:
        modules: dict[str, Any] = sys.modules
        self.addCleanup(modules.update, prometheus_client=modules["prometheus_client"])
        modules["prometheus_client"] = None
        status, body = self.get("/metrics")
        self.assertEqual(status, HTTPStatus.NOT_IMPLEMENTED)
        self.assertIn(b"pip install prometheus-client", body)

    def test_events(self) -> None:
        self.assertEqual(self.get("/events"), (200, b"data: x"))

    def test_the_page_for_people(self) -> None:
        for path, media_type, part in (
            ("/", b"text/html; charset=utf-8", b' src="page.js"></script>'),
            ("/page.js", b"text/javascript; charset=utf-8", b"new EventSource("),
            ("/wire.js", b"text/javascript; charset=utf-8", b"class Drawing"),
            ("/words.js", b"text/javascript; charset=utf-8", b"createElementNS("),
            ("/page.css", b"text/css; charset=utf-8", b"prefers-color-scheme"),
            ("/icon.svg", b"image/svg+xml", b"<svg "),
        ):
            status, headers, body = self.answer(f"GET {path} HTTP/1.1\r\n\r\n".encode())
            self.assertEqual((status, headers[b"Content-Type"]), (200, media_type))
            self.assertIn(part, body)
            policy = headers[b"Content-Security-Policy"]
            self.assertTrue(policy.startswith(b"default-src 'none'; script-src 'self'; "), policy)
            self.assertEqual(
                set(headers) - HEADERS,
                {b"Content-Security-Policy", b"Referrer-Policy", b"X-Content-Type-Options"},
            )
