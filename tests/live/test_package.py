"""The wheel, the source distribution and the editable install, each in a fresh environment."""

import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import hello_service
from tests.processes import Daemon, ProcessTestCase, run
from tests.tutorial import CONVERSATION, tutorial_client

ROOT = Path(hello_service.__file__).parent.parent
MINUTES = 240


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """Serve a folder by HTTP; give the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SilentHandler, directory=folder))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class SilentHandler(SimpleHTTPRequestHandler):
    """Serves files, without a log."""

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


class PackageTests(ProcessTestCase):
    def setUp(self) -> None:
        super().setUp()
        if path := os.environ.pop("PYTHONPATH", None):  # trial's workers have one
            self.addCleanup(os.environ.__setitem__, "PYTHONPATH", path)
        self.source = self.folder / "source"
        shutil.copytree(
            ROOT,
            self.source,
            ignore=shutil.ignore_patterns(".*", "_trial_temp*", "build", "dist", "*.egg-info"),
        )

    def check(self, *command: str) -> str:
        process = run(*command, cwd=self.folder, timeout=MINUTES)
        self.assertEqual(process.returncode, 0, process.stdout + process.stderr)
        return process.stdout

    def try_out(self, name: str, *install: str) -> None:
        environment = self.folder / name
        self.check(sys.executable, "-m", "venv", "--without-pip", str(environment))
        python = str(environment / "bin" / "python")
        self.check(
            sys.executable, "-m", "pip", "--python", python, "install", "--no-compile", *install
        )
        elsewhere = environment / "elsewhere"
        elsewhere.mkdir()
        twistd = str(environment / "bin" / "twistd")
        self.assertRegex(self.check(twistd, "--help"), r"\n +hello +\w")
        self.assertIn("--framing", self.check(twistd, "hello", "--help"))
        with Daemon(elsewhere, command=(twistd, "--nodaemon")) as daemon:
            port = daemon.port()
            self.assertEqual(tutorial_client(port), CONVERSATION)
            client = self.check(str(environment / "bin" / "hello-client"), f"--port={port}")
        self.assertEqual(client.splitlines(), CONVERSATION)
        with web_server(self.folder) as url:
            fetch = str(environment / "bin" / "hello-fetch")
            self.check(fetch, "-o", str(elsewhere / "page"), f"{url}/source/LICENSE")
        self.assertEqual((elsewhere / "page").read_bytes(), (ROOT / "LICENSE").read_bytes())
        typed = environment / "lib"
        if name != "editable":
            for file in ("py.typed", "daemon/status/page.html", "daemon/status/words.js"):
                self.assertEqual(len(list(typed.rglob(f"hello_service/{file}"))), 1, file)

    def test_installed_it_works_from_anywhere(self) -> None:
        dist = self.folder / "dist"
        self.check(
            sys.executable, "-m", "build", "--no-isolation", "--outdir", str(dist), str(self.source)
        )
        (wheel,) = dist.glob("*.whl")
        (sdist,) = dist.glob("*.tar.gz")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for trial in (
                pool.submit(self.try_out, "wheel", str(wheel)),
                pool.submit(self.try_out, "sdist", str(sdist)),
                pool.submit(self.try_out, "editable", "--editable", str(self.source)),
            ):
                trial.result()
