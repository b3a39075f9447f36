import tempfile
from http import HTTPStatus

from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.status.http import HEAD_SIZE, Answer, StatusFactory
from tests.splits import splits


class StatusTestCase(SynchronousTestCase):
    """Asks a factory for its pages.

    @ivar factory: set by the subclass.
    """

    factory: StatusFactory

    def send(self, *parts: bytes) -> StringTransport:
        channel = self.factory.buildProtocol(None)
        assert channel is not None
        transport = StringTransport()
        channel.makeConnection(transport)
        for part in parts:
            if not transport.disconnecting:
                channel.dataReceived(part)
        return transport

    def answer(self, *parts: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
        """Send a request; return the status, the headers and the body."""
        transport = self.send(*parts)
        self.assertTrue(transport.disconnecting)
        head, _, body = transport.value().partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        headers = dict(line.split(b": ", 1) for line in lines)
        return int(first.split()[1]), headers, body

    def get(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        status, _, body = self.answer(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return status, body


class StatusTests(StatusTestCase):
    def setUp(self) -> None:
        self.clock = MemoryReactorClock()
        page = Answer(HTTPStatus.OK, b"ok\n")
        self.factory = StatusFactory(self.clock, {b"/healthz": lambda _: page})
        self.factory.doStart()

    def test_head(self) -> None:
        status, headers, body = self.answer(b"HEAD /healthz HTTP/1.1\r\n\r\n")
        self.assertEqual((status, headers[b"Content-Length"], body), (200, b"3", b""))

    def test_a_query_is_no_matter(self) -> None:
        self.assertEqual(self.get("/healthz?verbose"), (200, b"ok\n"))

    def test_nothing_else(self) -> None:
        for path in ("/", "/healthz/", "/healthz/../readyz", "//healthz", "*", "http://x/healthz"):
            self.assertEqual(self.get(path)[0], HTTPStatus.NOT_FOUND, path)
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get"):
            self.assertEqual(self.get("/healthz", method)[0], HTTPStatus.METHOD_NOT_ALLOWED, method)

    def test_tells_no_more_than_it_must(self) -> None:
        _, headers, _ = self.answer(b"GET /healthz HTTP/1.1\r\nConnection: keep-alive\r\n\r\n")
        names = {b"Connection", b"Date", b"Content-Type", b"Content-Length", b"Cache-Control"}
        self.assertEqual(set(headers), names)
        self.assertEqual(headers[b"Connection"], b"close")

    def test_any_split(self) -> None:
        request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        for parts in splits(request):
            self.assertEqual(self.answer(*parts)[::2], (200, b"ok\n"))

    def test_only_the_first_of_several(self) -> None:
        transport = self.send(b"GET /healthz HTTP/1.1\r\n\r\n" * 3)
        self.assertEqual(transport.value().count(b"HTTP/1.1"), 1)

    def test_a_body_is_thrown_away(self) -> None:
        self.patch(tempfile, "tempdir", "/nosuch")  # where it would be kept
        head = b"POST /healthz HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        for rest in (
            b"Content-Length: 9\r\n\r\nMichael\r\n",
            b"Transfer-Encoding: chunked\r\n\r\n7\r\nMichael\r\n0\r\n\r\n",
        ):
            self.assertEqual(self.answer(head + rest)[0], HTTPStatus.METHOD_NOT_ALLOWED)

    def test_a_head_is_limited(self) -> None:
        for head in (
            b"GET /" + b"a" * HEAD_SIZE,
            b"GET / HTTP/1.1\r\n" + b"Name: value\r\n" * (HEAD_SIZE // 10),
            b"GET / HTTP/1.1\r\nContent-Length: " + b"9" * HEAD_SIZE + b"\r\n\r\n",
        ):
            transport = self.send(head)
            self.assertTrue(transport.disconnecting)
            self.assertNotIn(b" 200 ", transport.value())

    def test_no_log_and_no_timer(self) -> None:
        with capturedLogs() as events:
            self.get("/healthz")
        self.assertEqual(events, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.factory.doStop()
