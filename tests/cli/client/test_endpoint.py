"""Tests of L{hello_service.cli.client.endpoint}."""

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from hello_service.cli.client.endpoint import client_endpoint
from hello_service.values import BadValue


class ClientEndpointTests(SynchronousTestCase):
    def test_endpoints(self) -> None:
        for description in ("tcp:h:1", r"tcp:\:\:1:9999", "tcp:host=h:port=1", "unix:/run/h.sock"):
            client_endpoint(MemoryReactorClock(), description)

    def test_what_to_write_instead(self) -> None:
        for description, words in (
            ("nosuch:1", "begin with tcp:, tls: or unix:"),
            ("127.0.0.1:9999", "--host and --port"),
            ("[::1]:9999", "--host and --port"),
            ("/run/h.sock", "a UNIX socket as unix:PATH"),
            ("tcp", "tcp:HOST:PORT"),
            ("tcp:", "tcp:HOST:PORT"),
            ("tcp:h", "tcp:HOST:PORT"),
            ("tcp:h:x", "tcp:HOST:PORT"),
            ("tcp:::1:9999", r"tcp:\:\:1:9999"),
            ("tcp:h:1:nosuch=1", "tcp:HOST:PORT"),
            ("unix:", "unix:PATH"),
            ("unix:/a:b", r"each colon in the path as \:"),
        ):
            error = self.assertRaises(BadValue, client_endpoint, MemoryReactorClock(), description)
            self.assertIn(words, str(error))
            self.assertTrue(str(error).startswith(f"{description!r} is not an endpoint: "))
            for python in ("__init__", "argument", "int()"):
                self.assertNotIn(python, str(error))
