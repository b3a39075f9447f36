"""What is said about 4xx and 5xx."""

from hello_service.cli.fetch.asked import Asked
from hello_service.cli.fetch.body import Data
from hello_service.cli.fetch.status_hints import status_hint
from tests.fetching import FetchTestCase

NOW = 1_800_000_000.0
"""2027-01-15 08:00:00 UTC."""

Headers = list[tuple[bytes, bytes]]


class StatusHintTests(FetchTestCase):
    def hint(
        self,
        code: int,
        *lines: bytes,
        url: str = "http://h/",
        method: bytes = b"GET",
        headers: Headers | None = None,
        body: Data | None = None,
        first: Asked | None = None,
    ) -> str:
        head = b"\r\n".join((b"HTTP/1.1 %d X" % code, *lines, b"", b""))
        asked = Asked(method, url, headers or [], body)
        return status_hint(self.fetched(head), asked, first or asked, NOW)

    def test_nothing_to_add(self) -> None:
        """What the status itself says is not said again."""
        for code in (200, 404, 410, 500, 599):
            self.assertEqual(self.hint(code), "")

    def test_tls(self) -> None:
        """A port that is one for TLS."""
        self.assertIn("ask for https://", self.hint(400, url="http://h:8443/"))
        self.assertIn("ask for https://", self.hint(497))
        self.assertIn("ask for https://", self.hint(426, b"Upgrade: TLS/1.2, HTTP/1.1"))
        for url in ("http://h/", "https://h:8443/"):
            self.assertEqual(self.hint(400, url=url), "")
        json = b"Content-Type: application/problem+json"
        self.assertEqual(self.hint(400, json, url="http://h:8443/"), "")

    def test_login(self) -> None:
        """Who asks is to be told, by the scheme that the server names."""
        for challenges, words in (
            ((b'Basic realm="a"',), "write -u USER"),
            ((b"Negotiate", b'bAsIc realm="a", charset="UTF-8"'), "write -u USER"),
            ((b'Bearer realm="Basic, x, Basic", error=""',), "by Bearer: "),
            ((b"Digest a=b, c=d , Bearer abc==",), "by Digest, Bearer: "),
            ((b'Digest a="\\", Basic',), "by Digest: "),
            ((), "and does not say how: send it with -H 'Authorization"),
            ((b'"', b"=", b"\xff\x7f,,"), "does not say how"),
            ((b", ".join([b"Basic" + b"x" * 90] * 100),), "by Basicx"),
        ):
            lines = [b"WWW-Authenticate: " + challenge for challenge in challenges]
            hint = self.hint(401, *lines)
            self.assertIn(words, hint)
            self.assertLess(len(hint), 300)

    def test_control_characters(self) -> None:
        """No header drives a terminal."""
        for code in (401, 405, 426, 502, 503):
            evil = b"\x1b[31m\xe2\x80\xae"
            for name in (b"WWW-Authenticate", b"Allow", b"Upgrade", b"Server", b"Retry-After"):
                self.assertTrue(self.hint(code, b"%b: a%bb" % (name, evil)).isprintable())

    def test_login_that_is_not_taken(self) -> None:
        """It is not asked for again."""
        login = [(b"authorization", b"x")]
        self.assertIn("is not taken", self.hint(401, b"WWW-Authenticate: Basic", headers=login))
        first = Asked(b"GET", "https://h/", login, None)
        hint = self.hint(401, b"WWW-Authenticate: Basic", url="http://other/x", first=first)
        self.assertIn("yours is for https://h:443 alone: ask for http://other/x itself", hint)

    def test_user_agent(self) -> None:
        """Some refuse whoever sends none."""
        self.assertIn("-H 'User-Agent: Mozilla/5.0'", self.hint(403))
        self.assertEqual(self.hint(403, headers=[(b"user-agent", b"x")]), "")

    def test_method(self) -> None:
        """Allow says which a page takes."""
        self.assertEqual(
            self.hint(405, b"Allow: GET, HEAD", b"Allow: PUT", method=b"POST"),
            "405 means that the page takes no POST, and takes GET, HEAD, PUT: write it with -X",
        )
        self.assertIn("does not say which", self.hint(405))
        self.assertLess(len(self.hint(405, b"Allow: " + b"X, " * 10_000)), 300)

    def test_body(self) -> None:
        """What it is, and how long, may matter."""
        self.assertIn("-d @FILE", self.hint(411))
        form = [(b"Content-Type", b"text/plain")]
        self.assertIn("no text/plain: ", self.hint(415, headers=form, body=Data(b"")))
        self.assertEqual(self.hint(415), "")
        self.assertIn("send a smaller one", self.hint(413, body=Data(b"")))
        self.assertEqual(self.hint(413), "")

    def test_proxy(self) -> None:
        """A proxy that nobody named wants a login."""
        self.assertIn("Proxy-Authorization", self.hint(407))

    def test_other_protocols(self) -> None:
        """What is spoken there is named."""
        self.assertIn("WebSocket", self.hint(426, b"Upgrade: websocket"))
        self.assertIn("(HTTP/2.0)", self.hint(426, b"Upgrade: HTTP/2.0"))
        self.assertIn("(unnamed)", self.hint(426))

    def test_when(self) -> None:
        """Retry-After is a number of seconds, or a date."""
        for value, words in (
            (b"120", ": try again in 120 s"),
            (b"Fri, 15 Jan 2027 08:01:00 GMT", "try again in 60 s, at 2027-01-15 08:01:00 UTC"),
            (b"Fri, 15 Jan 1999 08:01:00 GMT", "try again in 0 s, at 1999-01-15"),
            (b"9" * 5000, ": try again later"),
            (b"Fri, 99 Jan 2027 08:01:00 GMT", ": try again later"),
            (b"\xb2", ": try again later"),
            (b"", ": try again later"),
        ):
            for code in (429, 503):
                self.assertIn(words, self.hint(code, b"Retry-After: " + value))
        self.assertIn(": try again later", self.hint(429))

    def test_balancers(self) -> None:
        """Who says so, and about whom."""
        self.assertIn("proxy (nginx/1) says when", self.hint(502, b"Server: nginx/1", b"Via: x"))
        self.assertIn("proxy (1.1 varnish) says", self.hint(504, b"Via: 1.1 varnish"))
        self.assertIn("the server, or what is behind it, takes no requests", self.hint(503))
