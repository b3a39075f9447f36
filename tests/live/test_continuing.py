"""C{hello-fetch --continue} against the ranges and ETags of nginx and of node."""

import os
import random
import subprocess

from tests.nginx import nginx
from tests.processes import ProcessTestCase, Program, free_port, in_shell, program, run

PAGE = random.Random(1).randbytes(300_000)

NODE = """
const page = require('fs').readFileSync('page');
let asked = 0;
const server = require('http').createServer((request, response) => {
  const range = /bytes=([0-9]+)-/.exec(request.headers.range || '');
  const head = {ETag: '"one"'};
  if (request.url == '/changing') head.ETag = `"${asked++}"`;
  if (range && request.headers['if-range'] == head.ETag) {
    const first = Number(range[1]);
    response.writeHead(206,
      {...head, 'Content-Range': `bytes ${first}-${page.length - 1}/${page.length}`});
    response.end(page.subarray(first));
  } else if (range) {
    response.writeHead(200, head);
    response.end(page);
  } else {
    response.writeHead(200, head);
    response.write(page.subarray(0, 100000), () => response.destroy());
  }
});
server.listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`));
"""


class ContinuingTestCase(ProcessTestCase):
    """The command in one folder, its servers in another."""

    def setUp(self) -> None:
        super().setUp()
        self.site = self.folder / "site"
        self.site.mkdir()
        (self.site / "page").write_bytes(PAGE)
        os.utime(self.site / "page", (0, 0))  # a date of now would be too new to go by

    def fetch(self, *arguments: str, limit: int | None = None) -> subprocess.CompletedProcess[str]:
        """
        @param limit: KiB of the largest file that it may write.
        """
        limited = f"ulimit -f {limit}; " if limit else ""
        return run(
            "bash", "-c", f'{limited}exec {in_shell("hello-fetch")} -o page "$@"', "bash",
            *arguments, cwd=self.folder,
        )  # fmt: skip

    def kept(self) -> int:
        return (self.folder / "page.part").stat().st_size


class NginxTests(ContinuingTestCase):
    """nginx, which has both an ETag and a date."""

    def setUp(self) -> None:
        super().setUp()
        port = free_port()
        name, *words = nginx(
            self.site,
            f"server {{ listen 127.0.0.1:{port}; root {self.site.resolve()};"
            " location /moved { return 302 /page; }"
            " location /dated { alias page; etag off; }"
            " location /packed { alias page; gzip on; gzip_types *; gzip_http_version 1.0; } }",
        )
        self.enterContext(Program([program(name), *words], self.site)).wait_for("built by|OS: ")
        self.url = f"http://127.0.0.1:{port}"

    def test_rest(self) -> None:
        """A page that a full disk has cut is made whole, by an ETag, by a date, and redirected."""
        for path in ("/page", "/dated", "/moved"):
            options = ("--follow", f"{self.url}{path}")
            cut = self.fetch(*options, limit=100)
            self.assertEqual(cut.returncode, 11, cut.stderr)
            self.assertEqual(self.kept(), 100 * 1024)
            fetched = self.fetch("--continue", *options)
            self.assertIn("Content-Range: bytes 102400-299999/300000", fetched.stdout)
            self.assertEqual((self.folder / "page").read_bytes(), PAGE)
            (self.folder / "page").unlink()

    def test_changed(self) -> None:
        """A page that has changed comes from the start."""
        self.fetch(f"{self.url}/page", limit=100)
        (self.site / "page").write_bytes(PAGE[::-1] + b"!")
        fetched = self.fetch("--continue", f"{self.url}/page")
        self.assertIn("the page has changed: it comes from the start.", fetched.stderr)
        self.assertEqual((self.folder / "page").read_bytes(), PAGE[::-1] + b"!")

    def test_all_there(self) -> None:
        """A part that is whole gets its name; one that is too long does not."""
        self.fetch(f"{self.url}/page", limit=100)
        part = self.folder / "page.part"
        with part.open("r+b") as file:  # in place, so that its note stays
            file.write(PAGE)
        fetched = self.fetch("--continue", f"{self.url}/page")
        self.assertIn("416 Requested Range Not Satisfiable", fetched.stdout)
        self.assertEqual((fetched.returncode, part.exists()), (0, False))
        self.assertEqual((self.folder / "page").read_bytes(), PAGE)
        self.fetch(f"{self.url}/page", limit=100)
        with part.open("r+b") as file:
            file.write(PAGE + b"?")
        fetched = self.fetch("--continue", f"{self.url}/page")
        self.assertIn("it comes from the start", fetched.stderr)
        self.assertEqual((self.folder / "page").read_bytes(), PAGE)

    def test_packed(self) -> None:
        """What nginx packs has a weak ETag, and is not gone on with; unpacked it is."""
        coded = ("-H", "Accept-Encoding: gzip", f"{self.url}/packed")
        cut = self.fetch(*coded, limit=100)
        self.assertIn("Content-Encoding: gzip", cut.stdout)
        self.assertIn("(102400 bytes) is in 'page.part'. See", cut.stderr)
        fetched = self.fetch("--continue", f"{self.url}/packed")
        self.assertIn("is not noted: the page comes from the start.", fetched.stderr)
        self.assertEqual((self.folder / "page").read_bytes(), PAGE)
        self.fetch("--continue", f"{self.url}/packed", limit=100)
        fetched = self.fetch("--continue", f"{self.url}/packed")
        self.assertIn("197600 of them now, in place of the file that was there.", fetched.stderr)
        self.assertEqual((self.folder / "page").read_bytes(), PAGE)

    def test_loses_nothing(self) -> None:
        """A second try that fails earlier leaves what the first has kept."""
        self.fetch(f"{self.url}/page", limit=100)
        again = self.fetch(f"{self.url}/page", limit=50)
        self.assertIn("still has the 102400 bytes of an earlier try", again.stderr)
        self.assertEqual(self.kept(), 102400)


class NodeTests(ContinuingTestCase):
    """node, which sends both the page and its part in chunks."""

    def test_rest(self) -> None:
        node = self.enterContext(Program((program("node"), "-e", NODE), self.site))
        url = "http://127.0.0.1:" + node.wait_for(r"port (\d+)")[1]
        for path, said in (("/page", "of them now"), ("/changing", "the page has changed")):
            cut = self.fetch(url + path)
            self.assertEqual(cut.returncode, 7, cut.stderr)
            self.assertEqual(self.kept(), 100_000)
            fetched = self.fetch("--continue", url + path)
            self.assertIn(said, fetched.stderr)
            self.assertEqual((self.folder / "page").read_bytes(), PAGE)
