"""hello-fetch as a process."""

import os
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from hello_service import __version__
from tests.certificates import certificate_pem
from tests.processes import PATIENCE, ProcessTestCase, full_pipe, in_shell, program, run

PAGE = b"hello " * 100_000
LONG = b"long " * 12_000


class Handler(BaseHTTPRequestHandler):
    """Serves one page, and a page of which only a part comes."""

    server: "Server"

    def do_GET(self) -> None:
        self.server.asked.set()
        self.send_response(200)
        if self.path == "/head":
            self.send_header("Long", LONG.decode())
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        if self.path == "/slow":
            self.wfile.write(PAGE[:5])
            self.server.over.wait(PATIENCE)
        else:
            self.wfile.write(PAGE)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Serves on a free port of loopback."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = threading.Event()
        self.over = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients of ours break off on purpose."""


class HelloFetchTests(ProcessTestCase):
    """The command, from the outside."""

    def setUp(self) -> None:
        super().setUp()
        self.server = Server()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.serving = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.serving.start()
        self.addCleanup(self.stop)

    def test_closed_streams(self) -> None:
        """What the shell has closed is done without."""
        for redirection in (">&-", "2>&-", ">&- 2>&-"):
            command = f"{in_shell('hello-fetch')} -o page {self.url}/ {redirection}"
            fetched = run("sh", "-c", command, cwd=self.folder)
            self.assertEqual(fetched.returncode, 0, fetched.stderr)
            self.assertEqual((self.folder / "page").read_bytes(), PAGE)

    def test_closed_errors(self) -> None:
        """An error that nobody hears is not written into the page, nor among the output."""
        for output in ("-", "page"):
            for streams in ("2>&-", "<&- 2>&-"):
                command = (
                    f"{in_shell('hello-fetch')} -o {output} --max-size 5 {self.url}/ {streams}"
                )
                fetched = run("sh", "-c", command, cwd=self.folder)
                self.assertEqual((fetched.returncode, fetched.stderr), (12, ""))
                self.assertNotIn("hello-fetch", fetched.stdout)
                self.assertFalse((self.folder / "page").exists())

    def test_closed_output(self) -> None:
        """What is for an output that the shell has closed is not lost without a word."""
        for wanted in ("-o -", "--report json"):
            command = f"{in_shell('hello-fetch')} {wanted} {self.url}/ >&-"
            fetched = run("sh", "-c", command, cwd=self.folder)
            self.assertEqual(fetched.returncode, 2)
            said = rf"\Ahello-fetch: error: Standard output is closed: leave {wanted} out.*\n\Z"
            self.assertRegex(fetched.stderr, said)

    def test_output_that_gets_full(self) -> None:
        """What an output does not take whole is missed, however Python buffers."""
        for unbuffered in ("", "1"):
            fetched = run(
                "bash", "-c", f"ulimit -f 500; {in_shell('hello-fetch')} -q -o - {self.url}/ >page",
                cwd=self.folder, env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            )  # fmt: skip
            self.assertEqual(fetched.returncode, 11)
            self.assertIn("FILE: the output cannot be written (File too large)", fetched.stderr)
            self.assertLess((self.folder / "page").stat().st_size, len(PAGE))

    def test_pipes_by_name(self) -> None:
        """A pipe is written to by its name, too."""
        for name in ("/dev/stdout", "/dev/fd/4"):
            command = f"{in_shell('hello-fetch')} -q -o {name} {self.url}/ 4>&1 2>&4 >/dev/null"
            if name == "/dev/stdout":
                command = f"{in_shell('hello-fetch')} -q -o {name} {self.url}/ 2>/dev/null"
            fetched = run("sh", "-c", f"{command} | wc -c")
            self.assertEqual((int(fetched.stdout), fetched.stderr), (len(PAGE), ""))

    def test_trace_that_cannot_be_written(self) -> None:
        """A full disk or a closed pipe below standard error is no traceback."""
        command = f"{in_shell('hello-fetch')} --trace -q -o page {self.url}/"
        full = run("sh", "-c", f"{command} 2>/dev/full", cwd=self.folder)
        self.assertEqual((full.returncode, full.stderr), (11, ""))
        self.assertEqual((self.folder / "page").read_bytes(), PAGE)
        piped = run(
            "sh", "-c", f"{{ {command}; echo $? >status; }} 2>&1 >/dev/null | true", cwd=self.folder
        )
        self.assertEqual(piped.returncode, 0)
        self.assertEqual((self.folder / "status").read_text(), "141\n")

    def test_bytes_that_are_no_text(self) -> None:
        """A URL that is not UTF-8 is refused."""
        fetched = run("sh", "-c", f"{in_shell('hello-fetch')} \"$(printf 'http://h/\\377')\"")
        self.assertEqual(fetched.returncode, 2)
        self.assertIn("%XX", fetched.stderr)

    def test_names_that_the_system_cannot_write(self) -> None:
        """A file's name is in the system's encoding, a header as it was typed."""
        ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
        fetched = self.fetch(
            "--trace", "-H", "A: ü", f"{self.url}/%C3%BC", env={**os.environ, **ascii_only}
        )
        self.assertEqual(fetched.returncode, 0, fetched.stderr)
        self.assertIn("41 3a 20 c3 bc", fetched.stderr)
        self.assertEqual((self.folder / "?").read_bytes(), PAGE)

    def test_interrupted_in_a_lookup(self) -> None:
        """Ctrl+C does not wait for a name server."""
        slow = (
            "import os, socket, sys, threading\n"
            "def forever(*_, **__):\n"
            "    os.kill(os.getpid(), 2)\n"
            "    threading.Event().wait()\n"
            "socket.getaddrinfo = forever\n"
            "from hello_service.cli.fetch.command import main\n"
            "sys.argv[1:] = ['http://slow.invalid/']\n"
            "main()\n"
        )
        for redirection in ("", ">&-"):
            command = f"{in_shell(sys.executable)} -c {shlex.quote(slow)} {redirection}"
            fetched = run("sh", "-c", command, cwd=self.folder)
            self.assertEqual((fetched.returncode, fetched.stdout, fetched.stderr), (130, "", ""))

    def stop(self) -> None:
        self.server.over.set()
        self.server.shutdown()
        self.serving.join()
        self.server.server_close()

    def fetch(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        return run("hello-fetch", *arguments, cwd=self.folder, **options)

    def test_page(self) -> None:
        """A page is saved, its head printed."""
        done = self.fetch(f"{self.url}/page")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout.startswith("HTTP/1.0 200 OK\n"))
        self.assertEqual(done.stderr, "hello-fetch: saved 600000 bytes as 'page'.\n")
        self.assertEqual((self.folder / "page").read_bytes(), PAGE)

    def test_no_more_than_it_needs(self) -> None:
        """A plain fetch imports no other HTTP client, no progress bar and no browser."""
        done = self.fetch(self.url, env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"})
        imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        self.assertIn("hello_service.fetch.agent", imported)
        for module in ("twisted.web.client", "treq", "tqdm", "webbrowser"):
            self.assertNotIn(module, imported)

    def test_standard_output(self) -> None:
        """The body alone goes down a pipe."""
        done = self.fetch("-o", "-", "-q", self.url)
        self.assertEqual(done.stdout.encode(), PAGE)

    def test_refused(self) -> None:
        """Trouble is one line and a status."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
        done = self.fetch(f"127.0.0.1:{port}")
        self.assertEqual((done.returncode, done.stdout), (4, ""))
        self.assertRegex(done.stderr, r"\Ahello-fetch: REFUSED: .*\.\n\Z")

    def test_usage(self) -> None:
        """A wrong use has status 2; --version and --help have 0."""
        self.assertEqual(self.fetch().returncode, 2)
        self.assertIn(__version__, self.fetch("--version").stdout)
        self.assertIn("REFUSED", self.fetch("--help").stdout)

    def test_broken_pipe(self) -> None:
        """A reader that goes away ends it quietly."""
        pipe = f"{in_shell('hello-fetch')} -q -o - {self.url} | head -c 5; echo ${{PIPESTATUS[0]}}"
        done = run("bash", "-c", pipe, cwd=self.folder)
        self.assertEqual(done.stdout, "hello141\n")
        self.assertNotIn("Error", done.stderr)

    def test_interrupted_at_a_full_pipe(self) -> None:
        """Ctrl+C waits for no reader."""
        process = subprocess.Popen(
            [program("hello-fetch"), "--trace", "-o", "-", self.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stderr
            while "reading paused" not in process.stderr.readline():
                pass
            process.send_signal(signal.SIGINT)
            _, rest = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, -signal.SIGINT)
        self.assertNotIn("Traceback", rest)

    def test_reader_that_takes_its_time(self) -> None:
        """A long head arrives whole in a pipe that does not wait, as all that is said does."""
        for arguments in (["-q", f"{self.url}/head"], ["-q", "--trace", f"{self.url}/head"]):
            read, write = os.pipe()
            os.set_blocking(write, False)
            process = subprocess.Popen(
                [program("hello-fetch"), *arguments], cwd=self.folder, stdout=write, stderr=write
            )
            os.close(write)
            with open(read, "rb") as reader:
                received = reader.read()
            self.assertEqual(process.wait(PATIENCE), 0)
            self.assertIn(LONG, received)
            self.assertGreater(len(received), 65536 if "--trace" in arguments else len(LONG))

    def test_interrupted_at_a_head_that_nobody_reads(self) -> None:
        """Ctrl+C waits for no reader of the head, either."""
        for waits in (True, False):
            read, write = full_pipe()
            self.addCleanup(os.close, read)
            os.set_blocking(write, waits)
            self.server.asked.clear()
            process = subprocess.Popen(
                [program("hello-fetch"), "-q", self.url], cwd=self.folder, stdout=write,
                stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            os.close(write)
            with process:
                self.server.asked.wait(PATIENCE)
                process.send_signal(signal.SIGINT)
                _, errors = process.communicate(timeout=PATIENCE)
            self.assertEqual(process.returncode, -signal.SIGINT)
            self.assertNotIn("Error", errors)

    def test_interrupted_while_imported(self) -> None:
        """Ctrl+C at the start is quiet."""
        (self.folder / "argparse.py").write_text("raise KeyboardInterrupt")
        for command in ("hello-client", "hello-fetch"):
            done = run(command, env={**os.environ, "PYTHONPATH": str(self.folder)})
            self.assertEqual((done.returncode, done.stderr), (-signal.SIGINT, ""))

    def test_interrupted(self) -> None:
        """Ctrl+C ends it, and says what is left."""
        process = subprocess.Popen(
            [program("hello-fetch"), "--trace", f"{self.url}/slow"],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stderr
            seen = ""
            while "hello" not in seen:
                seen += process.stderr.readline()
            process.send_signal(signal.SIGINT)
            _, rest = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, -signal.SIGINT)
        self.assertIn("(5 bytes) is in 'slow.part'", rest)
        self.assertNotIn("Traceback", rest)
        self.assertEqual((self.folder / "slow.part").read_bytes(), PAGE[:5])

    def test_browser(self) -> None:
        """--open opens the saved page."""
        browser = self.folder / "browser"
        browser.write_text('#!/bin/sh\necho "$1" > opened\n')
        browser.chmod(0o755)
        done = self.fetch("--open", self.url, env={**os.environ, "BROWSER": f"{browser} %s"})
        self.assertEqual(done.returncode, 0)
        opened = (self.folder / "opened").read_text()
        self.assertRegex(opened, r"\Afile:///.*/index\.html\n\Z")

    def serve_https(self, name: str) -> tuple[str, dict[str, str]]:
        """Serve by TLS, under a name; return the URL, and an environment that trusts it."""
        pem = self.folder / "pem"
        pem.write_bytes(certificate_pem(name))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        url = f"https://localhost:{self.server.server_port}"
        return url, {**os.environ, "SSL_CERT_FILE": str(pem)}

    def test_https(self) -> None:
        """https is verified by the platform's certificates."""
        url, trusting = self.serve_https("localhost")
        done = self.fetch(url, env=trusting)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.folder / "index.html").read_bytes(), PAGE)
        done = self.fetch(url)
        self.assertEqual(done.returncode, 9)
        self.assertRegex(
            done.stderr, r"\Ahello-fetch: TLS: localhost.*self-signed, and not.*\.\n\Z"
        )

    def test_https_of_another(self) -> None:
        """A certificate for another host is one line, and nothing is saved."""
        url, trusting = self.serve_https("good.example")
        done = self.fetch(url, env=trusting)
        self.assertEqual((done.returncode, done.stdout), (9, ""))
        place = url.removeprefix("https://")
        self.assertEqual(
            done.stderr,
            f"hello-fetch: TLS: {place}: the certificate is for 'good.example', not for"
            " 'localhost': use a name that it has, or have it issued anew."
            " See docs/errors.md#tls.\n",
        )
        self.assertFalse((self.folder / "index.html").exists())

    def test_module(self) -> None:
        """Without TLS installed, https says what to install."""
        code = (
            "import sys; sys.modules['twisted.internet.ssl'] = None;"
            "from hello_service.cli.fetch.command import main; main()"
        )
        done = run(sys.executable, "-c", code, "https://localhost", cwd=self.folder)
        self.assertEqual(done.returncode, 9)
        self.assertIn("pip install 'hello_service[tls]'", done.stderr)
