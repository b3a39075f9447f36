"""Tests of L{hello_service.cli.fetch.unpacking}."""

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from hello_service.cli.fetch.unpacking import codings_to_undo


class UnpackingTests(SynchronousTestCase):
    """What is undone, and what is said."""

    def undone(self, name: str, *codings: str, media_type: str = "") -> tuple[list[str], str]:
        headers = Headers()
        for coding in codings:
            headers.addRawHeader("content-encoding", coding)
        if media_type:
            headers.addRawHeader("content-type", media_type)
        return codings_to_undo(headers, name)

    def test_undone(self) -> None:
        """What a page is coded in is undone without a word."""
        for codings in (["gzip"], ["deflate"], ["deflate", "gzip"], []):
            self.assertEqual(self.undone("page.html", *codings), (codings, ""))
        self.assertEqual(self.undone("x.gz", "deflate"), (["deflate"], ""))

    def test_names(self) -> None:
        """What is named as packed stays packed, once."""
        for name in ("x.tar.gz", "X.GZ", "x.tgz", "x.svgz"):
            codings, sentence = self.undone(name, "gzip")
            self.assertEqual(codings, [])
            self.assertIn("stays packed, as its name says", sentence)
        self.assertEqual(self.undone("x.gz", "gzip", "gzip")[0], ["gzip"])
        self.assertEqual(self.undone("gz", "gzip"), (["gzip"], ""))

    def test_types(self) -> None:
        """What is a gzip by its type stays one."""
        codings, sentence = self.undone("x", "gzip", media_type="Application/GZIP; a=b")
        self.assertEqual(codings, [])
        self.assertIn("stays packed, as its Content-Type says", sentence)
        self.assertEqual(self.undone("x", "gzip", media_type="text/html"), (["gzip"], ""))

    def test_unknown(self) -> None:
        """A coding that is not known is kept, and said."""
        codings, sentence = self.undone("x", "br\x1b")
        self.assertEqual(codings, [])
        self.assertIn("saved as br\\x1b: only gzip", sentence)
