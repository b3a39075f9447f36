"""What a redirect makes of a request."""

import os

from twisted.trial.unittest import SynchronousTestCase

from hello_service.cli.fetch.asked import Asked
from hello_service.cli.fetch.body import Body, Data, File
from hello_service.cli.fetch.redirects import FOLLOWED, NotFollowed

HEADERS = [(b"Content-Type", b"x"), (b"Authorization", b"y"), (b"A", b"b")]
BODY = Data(b"body")


class AfterTests(SynchronousTestCase):
    def after(
        self, code: int, method: bytes, body: Body | None = BODY, to: str = "http://h/b"
    ) -> Asked:
        return Asked(method, "http://h/a", HEADERS, body).after(code, to)

    def test_methods(self) -> None:
        """What browsers do with the method and the body."""
        for method, pages in (
            (b"POST", (301, 302, 303)),
            (b"PUT", (303,)),
            (b"QUERY", (303,)),
        ):
            for code in FOLLOWED:
                asked = self.after(code, method)
                if code in pages:
                    self.assertEqual((asked.method, asked.body), (b"GET", None))
                    self.assertEqual(asked.headers, HEADERS[1:])
                else:
                    self.assertEqual((asked.method, asked.body), (method, BODY))
                    self.assertEqual(asked.headers, HEADERS)
                self.assertEqual(asked.url, "http://h/b")

    def test_head(self) -> None:
        """HEAD and GET stay what they are."""
        for code in FOLLOWED:
            for method in (b"HEAD", b"GET"):
                self.assertEqual(self.after(code, method, None).method, method)

    def test_secrets(self) -> None:
        """They stay with the origin; the body goes on, as in browsers."""
        for to in ("https://h/b", "http://h:81/b", "http://other/b"):
            asked = self.after(307, b"POST", to=to)
            self.assertEqual(asked.headers, [HEADERS[0], HEADERS[2]])
            self.assertEqual(asked.body, BODY)
        self.assertEqual(self.after(307, b"POST", to="http://h:80/b").headers, HEADERS)

    def test_pipe(self) -> None:
        """What came by a pipe is gone."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        pipe = File(reader)
        for code in (307, 308):
            error = self.assertRaises(NotFollowed, self.after, code, b"POST", pipe)
            self.assertIn(f"{code} asks to send the body again, to http://h/b, ", str(error))
        self.assertIsNone(self.after(303, b"POST", pipe).body)
