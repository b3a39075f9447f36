"""Cookies in a chain of redirects."""

import warnings

from twisted.trial.unittest import SynchronousTestCase

from hello_service.cli.fetch.cookies import COUNT_LIMIT, SIZE_LIMIT, Cookies
from hello_service.fetch.headers import WireHeaders
from hello_service.fetch.request import parse_url

HERE = "http://www.example.com/a/b"


class CookiesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cookies = Cookies()

    def take(self, *values: str | bytes, url: str = HERE) -> None:
        headers = WireHeaders()
        for value in values:
            headers.addRawHeader(b"Set-Cookie", value)
        self.cookies.take(parse_url(url), headers)

    def sent(self, url: str = HERE, *own: bytes) -> list[tuple[bytes, bytes]]:
        headers = WireHeaders([(b"A", b"b"), *((b"cookie", value) for value in own)])
        self.cookies.add_to(headers, parse_url(url))
        return headers.pairs()[1:]

    def assert_sent(self, cookies: bytes, url: str = HERE) -> None:
        self.assertEqual(self.sent(url), [(b"Cookie", cookies)] if cookies else [])

    def test_host(self) -> None:
        """A cookie goes back to its host, at any port, and to no other."""
        self.take("a=b; Path=/")
        self.assert_sent(b"a=b")
        self.assert_sent(b"a=b", "http://www.example.com:8080/")
        for other in ("http://example.com/", "http://x.www.example.com/", "http://h/"):
            self.assert_sent(b"", other)

    def test_domain(self) -> None:
        """With a Domain, it goes to all hosts below it."""
        self.take("a=b; Path=/; Domain=example.com")
        for host in ("www.example.com", "example.com", "x.y.example.com"):
            self.assert_sent(b"a=b", f"http://{host}/")
        for host in ("evilexample.com", "example.com.evil", "com"):
            self.assert_sent(b"", f"http://{host}/")

    def test_domain_of_others(self) -> None:
        """A Domain that is not the host's own, or everybody's, is refused."""
        for domain in ("other.com", "com", ".com", "x.www.example.com", "ample.com"):
            self.take(f"a=b; Domain={domain}; Path=/")
        self.take("a=b; Domain=co.uk; Path=/", url="http://www.co.uk/")
        self.assertEqual(len(list(self.cookies._jar)), 0)

    def test_address(self) -> None:
        """Addresses have no domains."""
        for host in ("127.0.0.1", "[::1]"):
            self.take(
                "a=b; Domain=0.0.1", "c=d; Domain=127.0.0.1", "e=f", url=f"http://{host}:8080/"
            )
            self.assert_sent(b"e=f", f"http://{host}/")
        self.assert_sent(b"", "http://5.0.0.1/")

    def test_path(self) -> None:
        """A cookie is for its Path, or for the folder of the page that set it."""
        self.take("a=b", "c=d; Path=/a/b", "e=f; Path=/")
        self.assert_sent(b"c=d; a=b; e=f")
        self.assert_sent(b"a=b; e=f", "http://www.example.com/a/bc")
        self.assert_sent(b"e=f", "http://www.example.com/ab")

    def test_secure(self) -> None:
        """A Secure cookie is set and sent by https alone."""
        self.take("a=b; Secure; Path=/")
        self.assert_sent(b"", HERE.replace("http", "https"))
        self.take("a=b; Secure; Path=/", url="https://www.example.com/")
        self.assert_sent(b"a=b", "https://www.example.com/")
        self.assert_sent(b"")

    def test_prefixes(self) -> None:
        """Names that promise something are taken if they keep it."""
        self.take("__Secure-a=b", "__Host-c=d; Path=/")
        self.assert_sent(b"")
        self.take(
            "__Secure-a=b; Secure; Path=/",
            "__Host-c=d; Secure; Path=/",
            "__Host-e=f; Secure",
            "__Host-g=h; Secure; Path=/; Domain=example.com",
            url="https://www.example.com/a/b",
        )
        self.assert_sent(b"__Secure-a=b; __Host-c=d", "https://www.example.com/a/b")

    def test_expiry(self) -> None:
        """What is over is dropped."""
        self.take("a=b", "c=d; Max-Age=3600", "e=f; Max-Age=0")
        self.take("a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
        self.assert_sent(b"c=d")

    def test_replaced(self) -> None:
        """The last one of a name counts."""
        self.take("a=b", "a=c")
        self.assert_sent(b"a=c")

    def test_as_it_came(self) -> None:
        """Quotes, spaces, bytes and a missing name go back as they came."""
        self.take('a="b c"', "bare", b"d=\xe9=\xff")
        self.assert_sent(b'a="b c"; bare; d=\xe9=\xff')

    def test_own(self) -> None:
        """The user's cookies stay, in one header; a server's takes the place of its namesake."""
        self.assertEqual(self.sent(HERE, b"a=1;c=2"), [(b"cookie", b"a=1;c=2")])
        self.take("a=b")
        self.assertEqual(self.sent(HERE, b"a=1;c=2", b"d"), [(b"Cookie", b"c=2; d; a=b")])

    def test_limits(self) -> None:
        """What a server sends has an end."""
        self.take(
            *[f"a={'b' * SIZE_LIMIT}", "c=\x01"] * (COUNT_LIMIT // 2 - 1), "d=e", "f=g", "h=i"
        )
        self.assert_sent(b"d=e; f=g")
        self.take(*[f"x{number}=y" for number in range(COUNT_LIMIT)], "late=z")
        (cookies,) = self.sent()
        self.assertEqual(cookies[1].count(b"="), COUNT_LIMIT)
        self.assertNotIn(b"late", cookies[1])

    def test_nonsense(self) -> None:
        """What cannot be read is not kept, and nobody is warned of it."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for nonsense in (
                ";",
                "=",
                "c=d; Domain=.",
                "c; Path",
                "c; Max-Age",
                "c; Version=x; Port=y",
            ):
                self.take(nonsense, "a=b")
                self.assertIn(b"a=b", self.sent()[0][1])
