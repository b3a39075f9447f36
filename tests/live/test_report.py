"""C{hello-fetch --report} as scripts use it, with nginx, TLS and jq."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from tests.certificates import certificate_pem
from tests.nginx import nginx
from tests.processes import ProcessTestCase, Program, free_ports, program, run

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = json.loads((DOCS / "report.schema.json").read_text())


def queries() -> list[list[str]]:
    """Return the words of each jq command in the page."""
    commands = re.findall(r"^    \$ (jq .*) report$", (DOCS / "fetching.md").read_text(), re.M)
    return [shlex.split(command) for command in commands]


class ReportTests(ProcessTestCase):
    """nginx, with a page by http and https, and a redirect from the one to the other."""

    def setUp(self) -> None:
        super().setUp()
        folder = self.folder.resolve()
        plain, tls = free_ports(2)
        (folder / "page").write_text("hello")
        (folder / "pem").write_bytes(certificate_pem("localhost"))
        name, *words = nginx(
            folder,
            f"root {folder}; server {{ listen 127.0.0.1:{plain}; location /moved {{"
            f" return 302 https://localhost:{tls}/page; }} }}"
            f" server {{ listen 127.0.0.1:{tls} ssl;"
            f" ssl_certificate {folder}/pem; ssl_certificate_key {folder}/pem; }}",
        )
        self.enterContext(Program([program(name), *words], self.folder)).wait_for("built by|OS: ")
        self.url = f"http://127.0.0.1:{plain}"

    def fetch(self, *arguments: str) -> Any:
        fetched = run(
            "hello-fetch", "-q", "-o", "saved", "--report", "json:report", *arguments,
            cwd=self.folder,
        )  # fmt: skip
        report = json.loads((self.folder / "report").read_text())
        Draft202012Validator(SCHEMA).validate(report)
        self.assertEqual(report["exit_status"], fetched.returncode)
        return report

    def test_tls(self) -> None:
        """What TLS came to is told, whether it is trusted or not."""
        report = self.fetch("--follow", f"{self.url}/moved")
        self.assertEqual(report["error"]["word"], "TLS")
        self.assertEqual((report["times"]["secured"], report["request"]["head"]), (None, None))
        self.assertEqual(report["tls"]["chain"][0]["names"], ["localhost"])
        report = self.fetch("--follow", "--cacert", "pem", f"{self.url}/moved")
        self.assertIsNone(report["error"])
        self.assertRegex(report["tls"]["protocol"], "^TLS")
        self.assertIsNotNone(report["tls"]["cipher"])
        self.assertIsNotNone(report["tls"]["chain"][0]["ends"])
        times = report["times"]
        self.assertEqual(list(times.values()), sorted(times.values()))
        [hop] = report["earlier"]
        self.assertEqual((hop["response"]["status"], hop["tls"]), (302, None))
        self.assertLessEqual(hop["times"]["head"], times["started"])

    def test_last_line(self) -> None:
        """A pipe gets the head, then the report in one line."""
        fetched = run(
            "hello-fetch", "-q", "-o", "saved", "--report", "json", f"{self.url}/page",
            cwd=self.folder,
        )  # fmt: skip
        head, report = fetched.stdout.rsplit("\n\n", 1)
        self.assertTrue(head.startswith("HTTP/1.1 200 OK"))
        self.assertEqual(json.loads(report)["saved"]["file"], "saved")

    def test_jq(self) -> None:
        """What the page has jq ask is answered."""
        jq = program("jq")
        self.assertGreater(len(queries()), 5)
        for arguments, word in (
            (("--follow", "--cacert", "pem", f"{self.url}/moved"), "OK"),
            ((f"{self.url}/page",), "OK"),
        ):
            self.fetch(*arguments)
            for _, *words in queries():
                asked = run(jq, *words, "report", cwd=self.folder)
                self.assertEqual(asked.returncode, 0, (words, asked.stderr))
            self.assertEqual(asked.stdout, f"{word}\n")
