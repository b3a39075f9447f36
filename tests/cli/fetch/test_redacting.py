"""What of a request others may see."""

from twisted.trial.unittest import SynchronousTestCase

from hello_service.cli.fetch.redacting import redacted

BEGIN = b"GET / HTTP/1.1\r\nHost: h\r\n"


class RedactedTests(SynchronousTestCase):
    def test_logins(self) -> None:
        """Passwords and tokens are stars; the scheme and all else stays, in its place."""
        for given, shown in (
            (b"Authorization: Basic dTpw", b"Authorization: Basic ****"),
            (b"authorization:\tToken  a b", b"authorization:\tToken  ***"),
            (b"Proxy-Authorization: secret", b"Proxy-Authorization: ******"),
            (b"Authorization: ", b"Authorization: "),
            (b"X-Authorization: a b", b"X-Authorization: a b"),
            (b"Cookie: a=b", b"Cookie: a=b"),
        ):
            end = b"\r\nA: Authorization: x\r\n\r\n"
            self.assertEqual(redacted(BEGIN + given + end), BEGIN + shown + end)

    def test_bodies(self) -> None:
        """What a body says is the user's own."""
        body = b"\r\n\r\nAuthorization: Basic dTpw\r\n"
        self.assertEqual(redacted(BEGIN + body), BEGIN + body)
        self.assertEqual(redacted(body), body)
