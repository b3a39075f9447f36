"""Tests of L{hello_service.cli.fetch.redirects}."""

from twisted.trial.unittest import SynchronousTestCase

from hello_service.cli.fetch.redirects import NotFollowed, explain_slashes, target_of

URL = "http://h/a/b?c"


class TargetTests(SynchronousTestCase):
    """Where a Location leads."""

    def refused(self, *locations: bytes) -> str:
        return str(self.assertRaises(NotFollowed, target_of, URL, 302, locations))

    def test_targets(self) -> None:
        """A Location is resolved against the URL that was asked for (RFC 3986, section 5)."""
        for location, target in (
            (b"/x", "http://h/x"),
            (b"x", "http://h/a/x"),
            (b"?x", "http://h/a/b?x"),
            (b"//other/x", "http://other/x"),
            (b"https://h/", "https://h/"),
            (b"/a b", "http://h/a%20b"),
            (b"/caf\xe9", "http://h/caf%E9"),
            ("/café".encode(), "http://h/café"),
            (b"/me@home", "http://h/me@home"),
            (b"/a//b", "http://h/a//b"),
        ):
            self.assertEqual(target_of(URL, 302, [location, location]), target)

    def test_no_location(self) -> None:
        """Without a Location it leads nowhere."""
        self.assertIn("no Location in the head", self.refused())

    def test_two(self) -> None:
        """Of two places none is guessed."""
        self.assertIn("two places, /a and /b: ", self.refused(b"/b", b"/a", b"/b"))

    def test_the_same_page(self) -> None:
        """A Location that is empty, or a fragment alone, is not asked for again."""
        for location in (b"", b"#top"):
            self.assertIn("leads back to the page", self.refused(location))

    def test_user(self) -> None:
        """User and password are neither sent nor shown."""
        for location in (b"http://me:secret@h/x", b"HTTPS://me@h/x", b"//me:secret@h/x"):
            sentence = self.refused(location)
            self.assertIn("a user name and a password, which are not sent", sentence)
            self.assertIn("//h/x", sentence)
            self.assertNotIn("secret", sentence)

    def test_slashes(self) -> None:
        """A host stands between the second slash and the third."""
        for location in (b"http:////x", b"http:///x", b"http:/x", b"http:", b"//", b"///x"):
            self.assertIn("after exactly two slashes", self.refused(location))
        for url in ("http://h", "http://h//x", "//h/x", "/x", "h:80/x", "mailto:x", "http:x"):
            self.assertEqual(explain_slashes(url), "")

    def test_no_page(self) -> None:
        """What cannot be fetched is told as it came, and cannot drive a terminal."""
        for location in (b"mailto:me", b"http://[", b"http://a..b/", b"http://h:x/"):
            self.assertIn(
                f"leads to {location.decode()!r}, which is no page", self.refused(location)
            )
        self.assertNotIn("\x1b", self.refused(b"http://h/\x1b"))
