"""Tests of L{hello_service.fetch.request} and L{hello_service.fetch.headers}."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from hello_service.fetch import InvalidRequest, WireHeaders
from hello_service.fetch.headers import header_pairs
from hello_service.fetch.request import parse_url, request_bytes


class UrlTests(SynchronousTestCase):
    """What a URL says."""

    def assert_place(self, url: str, *expected: object) -> None:
        place = parse_url(url)
        found = (place.scheme, place.host, place.port, place.authority, place.target)
        self.assertEqual(found, expected)

    def test_plain(self) -> None:
        """A URL has a host, a port and a target; what stands behind # stays here."""
        self.assert_place("http://h", "http", "h", 80, "h", "/")
        self.assert_place("HTTP://h?q#f", "http", "h", 80, "h", "/?q")
        self.assert_place("http://h/a/b?c=d/e#f?", "http", "h", 80, "h", "/a/b?c=d/e")
        self.assert_place("https://a-b.c_d/%20~", "https", "a-b.c_d", 443, "a-b.c_d", "/%20~")

    def test_port(self) -> None:
        """A port other than the default goes into Host."""
        self.assert_place("http://h:81/", "http", "h", 81, "h:81", "/")
        self.assert_place("http://h:443/", "http", "h", 443, "h:443", "/")
        for default in ("http://h:80/", "http://h:/", "http://h:00080/"):
            self.assert_place(default, "http", "h", 80, "h", "/")
        self.assert_place("https://h:80/", "https", "h", 80, "h:80", "/")

    def test_addresses(self) -> None:
        """IPv6 addresses stand in brackets."""
        self.assert_place("http://127.0.0.1/", "http", "127.0.0.1", 80, "127.0.0.1", "/")
        self.assert_place("http://[::1]:81/", "http", "::1", 81, "[::1]:81", "/")
        self.assert_place("http://[::1]", "http", "::1", 80, "[::1]", "/")

    def test_international(self) -> None:
        """Names go by IDNA, paths by UTF-8."""
        name = "xn--bcher-kva.example"
        self.assert_place("http://Bücher.example/", "http", name, 80, name, "/")
        self.assert_place("http://h/页?%41=ü", "http", "h", 80, "h", "/%E9%A1%B5?%41=%C3%BC")

    def test_refused(self) -> None:
        """What cannot be sent, or sent safely, is refused with a sentence."""
        for url, words in (
            ("", "is not a URL"),
            ("h", "is not a URL"),
            ("http:/h", "is not a URL"),
            ("ftp://h/", "ftp:"),
            ("http://", "HOST"),
            ("http://:80/", "HOST"),
            ("http://a:b/", "HOST"),
            ("http://a:123456/", "HOST"),
            ("http://a:0/", "1 to 65535"),
            ("http://a:65536/", "1 to 65535"),
            ("http://a:1_0/", "HOST"),
            ("http://a:+1/", "HOST"),
            ("http://u:p@h/", "Authorization"),
            ("http://::1/", "HOST"),
            ("http://[::1/", "HOST"),
            ("http://[::g]/", "'::g' is not an IPv6 address: check its spelling"),
            ("http://[]/", "IPv6"),
            ("http://[fe80::1%eth0]/", "interface"),
            ("http://a%41/", "host name"),
            ("http://a,b/", "host name"),
            ("http://a..b/", "host name"),
            ("http://./", "host name"),
            ("http://" + "a" * 64 + "/", "host name"),
            ("http://" + "a." * 127 + "a/", "host name"),
            ("http://[\x9b]/", "IPv6"),
            ("http://h/\udcff", "%XX"),
            ("http://" + "ü" * 80 + "/", "üü' is not a host name: check its spelling"),
            ("http://h/a b", "%20"),
            ("http://h/\r\nX: y", "%0D"),
            ("http://h/\n", "%0A"),
            ("http://h/\0", "%00"),
            ("http://h\t/", "%09"),
            ("http://h/\x7f", "%7F"),
        ):
            error = self.assertRaises(InvalidRequest, parse_url, url)
            self.assertTrue(str(error).isprintable())
            self.assertIn(words, str(error))

    @given(st.text(max_size=20), st.sampled_from(["", "http://", "http://h/", "https://[::1]:"]))
    def test_any(self, text: str, start: str) -> None:
        """Any text is a URL or is refused; what is sent is one line of ASCII."""
        try:
            place = parse_url(start + text)
        except InvalidRequest:
            return
        lines = request_bytes(place, b"GET", ()).split(b"\r\n")
        self.assertEqual(len(lines), 5)
        self.assertRegex(lines[0], rb"\AGET /[!-~]* HTTP/1\.1\Z")


class BytesTests(SynchronousTestCase):
    """What goes onto the wire."""

    def sent(self, *headers: tuple[bytes, bytes], method: bytes = b"GET") -> bytes:
        return request_bytes(parse_url("http://h:81/a"), method, headers)

    def test_tutorial(self) -> None:
        """By default the request is the tutorial's, byte by byte."""
        self.assertEqual(
            request_bytes(parse_url("http://www.example.com"), b"GET", ()),
            b"GET / HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n",
        )

    def test_headers(self) -> None:
        """Headers follow in their order and case, as often as they are given."""
        self.assertEqual(
            self.sent((b"x-B", b"1"), (b"X-a", b""), (b"x-b", b"\xe4\t2")),
            b"GET /a HTTP/1.1\r\nHost: h:81\r\nConnection: close\r\n"
            b"x-B: 1\r\nX-a: \r\nx-b: \xe4\t2\r\n\r\n",
        )

    def test_replaced(self) -> None:
        """The caller's Host and Connection replace ours; Host stays first."""
        self.assertEqual(
            self.sent((b"connection", b"keep-alive"), (b"x-a", b"b"), (b"HOST", b"other")),
            b"GET /a HTTP/1.1\r\nHOST: other\r\nconnection: keep-alive\r\nx-a: b\r\n\r\n",
        )
        self.assertEqual(
            self.sent((b"x-a", b"b"), (b"Host", b"other")),
            b"GET /a HTTP/1.1\r\nHost: other\r\nConnection: close\r\nx-a: b\r\n\r\n",
        )

    def test_length(self) -> None:
        """A method that usually has a body says that there is none."""
        self.assertIn(b"Content-Length: 0\r\n", self.sent(method=b"POST"))
        self.assertNotIn(b"Length", self.sent(method=b"DELETE"))
        sent = self.sent((b"content-length", b"0"), method=b"PUT")
        self.assertEqual(sent.lower().count(b"content-length"), 1)

    def test_refused(self) -> None:
        """What would break the request, or promises a body, is refused."""
        for method in (b"", b"GE T", b"GET\r\n", b"G\0", b"G\xc4T", b"CONNECT"):
            self.assertRaises(InvalidRequest, self.sent, method=method)
        for name in (b"", b"A b", b"A:", b"A\r\n", b"A\0", b"\xc4", b"Transfer-Encoding"):
            self.assertRaises(InvalidRequest, self.sent, (name, b"x"))
        for value in (b"a\r\nb: c", b"a\n", b"a\r", b"a\0", b"\x7f", b"\x1b[0m"):
            self.assertRaises(InvalidRequest, self.sent, (b"A", value))
        self.assertRaises(InvalidRequest, self.sent, (b"Content-Length", b"1"))
        self.assertRaises(InvalidRequest, self.sent, (b"Host", b"a"), (b"host", b"b"))
        zero = (b"Content-Length", b"0")
        self.assertRaises(InvalidRequest, self.sent, zero, zero)


class HeadersTests(SynchronousTestCase):
    """Headers that keep their order and case."""

    def test_none(self) -> None:
        """No headers are no pairs."""
        self.assertEqual(header_pairs(None), [])

    def test_plain(self) -> None:
        """Of Twisted's headers, what they have kept is sent."""
        headers = Headers()
        for name, value in ((b"b", b"1"), (b"a", b"2"), (b"B", b"3")):
            headers.addRawHeader(name, value)
        self.assertEqual(header_pairs(headers), [(b"B", b"1"), (b"B", b"3"), (b"A", b"2")])

    def test_kept(self) -> None:
        """Ours keep all."""
        pairs = [(b"b", b"1"), (b"a", b"2"), (b"B", b"3")]
        self.assertEqual(header_pairs(WireHeaders(pairs)), pairs)

    def test_changed(self) -> None:
        """They can be changed like Twisted's, and are the same to who asks."""
        headers = WireHeaders([(b"b", b"1"), (b"a", b"2"), (b"B", b"3")])
        copy = headers.copy()
        copy.removeHeader("b")
        copy.addRawHeader("c", "ü")
        copy.setRawHeaders(b"A", [b"4", b"5"])
        self.assertEqual(header_pairs(copy), [(b"c", b"\xc3\xbc"), (b"A", b"4"), (b"A", b"5")])
        self.assertEqual(copy.getRawHeaders(b"a"), [b"4", b"5"])
        self.assertEqual(headers.getRawHeaders(b"B"), [b"1", b"3"])
        self.assertFalse(copy.hasHeader(b"b"))
