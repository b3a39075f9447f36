"""hello-fetch with what is asked and said, against nginx and node."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from hashlib import sha256
from typing import Any

from tests.certificates import certificate_pem
from tests.nginx import nginx
from tests.processes import (
    ProcessTestCase,
    Program,
    free_ports,
    in_shell,
    program,
    run,
)


class FetchingTestCase(ProcessTestCase):
    """The command in a folder of its own."""

    url: str

    def fetch(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return run("hello-fetch", "-o", "page", *arguments, cwd=self.folder, **options)

    def said(self, *arguments: str, status: int = 0, **options: Any) -> str:
        """Return what standard error says."""
        done = self.fetch(*arguments, **options)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stderr


class NodeTests(FetchingTestCase):
    """A server that says what it heard, and sends elsewhere by any status."""

    SERVER = """
        const { createHash } = require("crypto");
        const server = require("http").createServer((request, response) => {
            const [, code, ...rest] = request.url.split("/");
            const known = (request.headers.cookie || "").includes("id=1");
            if (Number(code)) {
                request.resume();
                response.writeHead(Number(code), { Location: "/" + rest.join("/") });
                return response.end();
            }
            if (code == "private" && !known) {
                response.writeHead(302, { Location: "/private",
                    "Set-Cookie": ["id=1; Path=/; HttpOnly", "x=y; Path=/elsewhere"] });
                return response.end();
            }
            if (code == "endless") {
                const many = [];
                for (let i = 0; i < 300; i++)
                    many.push(`c${Math.random()}=${"x".repeat(20)}; Path=/`);
                response.writeHead(302, { Location: "/endless", "Set-Cookie": many });
                return response.end();
            }
            if (code == "early") {
                response.writeHead(413, { Connection: "close" });
                return response.end("too much");
            }
            const sum = createHash("sha256");
            let length = 0;
            request.on("data", data => { sum.update(data); length += data.length; });
            request.on("end", () => response.end(JSON.stringify({
                method: request.method, url: request.url, headers: request.headers,
                length, sum: sum.digest("hex") })));
        });
        server.maxHeaderSize = 1 << 20;
        server.listen(0, "127.0.0.1", () => console.log("listens on", server.address().port));
    """

    def setUp(self) -> None:
        super().setUp()
        command = [program("node"), "--max-http-header-size=1000000", "-e", self.SERVER]
        server = self.enterContext(Program(command, self.folder))
        port = server.wait_for(r"listens on (\d+)")[1]
        self.url = f"http://127.0.0.1:{port}"

    def heard(self, *arguments: str, **options: Any) -> dict[str, Any]:
        """Return what the server has heard of the request."""
        self.said("-q", *arguments, **options)
        heard: dict[str, Any] = json.loads((self.folder / "page").read_bytes())
        return heard

    def test_data(self) -> None:
        """-d posts a form, or what -H and -X say."""
        heard = self.heard("-d", "a=b", "-d", "c=d", self.url)
        self.assertEqual((heard["method"], heard["length"]), ("POST", 7))
        self.assertEqual(heard["headers"]["content-type"], "application/x-www-form-urlencoded")
        self.assertEqual(heard["headers"]["content-length"], "7")
        heard = self.heard("-X", "PATCH", "-H", "Content-Type: a/b", "-d", "{}", self.url)
        self.assertEqual((heard["method"], heard["headers"]["content-type"]), ("PATCH", "a/b"))

    def test_file(self) -> None:
        """A file goes as it is, with its length."""
        content = os.urandom(3_000_000)
        (self.folder / "file").write_bytes(content)
        (self.folder / "empty").write_bytes(b"")
        heard = self.heard("-d", "@file", self.url)
        self.assertEqual(heard["sum"], self.sum(content))
        self.assertEqual(heard["headers"]["content-length"], "3000000")
        self.assertEqual(self.heard("-d", "@empty", self.url)["headers"]["content-length"], "0")

    def test_standard_input(self) -> None:
        """A file there has a length, a pipe has not; what the shell closed is not read."""
        content = os.urandom(1_000_000)
        (self.folder / "file").write_bytes(content)
        command = f"{in_shell('hello-fetch')} -q -o page -d @- {self.url}"
        for shell, framing in (
            (f"{command} <file", "content-length"),
            (f"cat file | {command}", "transfer-encoding"),
            (f"{command.replace('@-', '@/dev/fd/9')} 9< <(cat file)", "transfer-encoding"),
        ):
            done = run("bash", "-c", shell, cwd=self.folder)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            heard = json.loads((self.folder / "page").read_bytes())
            self.assertEqual(heard["sum"], self.sum(content))
            self.assertIn(framing, heard["headers"])
        self.assertEqual(run("bash", "-c", f"{command} <&-", cwd=self.folder).returncode, 2)

    def test_redirects(self) -> None:
        """303 asks for a page, 301 and 302 do after POST, 307 and 308 send it all again."""
        (self.folder / "file").write_bytes(b"0123456789")
        for code, method, length in (
            (301, "GET", 0), (302, "GET", 0), (303, "GET", 0), (307, "POST", 10), (308, "POST", 10),
        ):  # fmt: skip
            heard = self.heard("-L", "-d", "@file", f"{self.url}/{code}/{code}/x")
            self.assertEqual((heard["method"], heard["length"]), (method, length))
            self.assertEqual("content-type" in heard["headers"], length > 0)
        heard = self.heard("-L", "-X", "PUT", "-d", "@file", f"{self.url}/302/x")
        self.assertEqual((heard["method"], heard["length"]), ("PUT", 10))

    def test_pipe_that_is_asked_for_again(self) -> None:
        """A pipe is not sent twice."""
        said = self.said("-L", "-d", "@-", f"{self.url}/307/x", input="x", status=8)
        self.assertIn("it was read from a pipe: save it in a file, for -d @FILE", said)

    def test_cookies(self) -> None:
        """A page that wants its cookie back comes."""
        heard = self.heard("-L", "-H", "Cookie: mine=1", f"{self.url}/private")
        self.assertEqual(heard["headers"]["cookie"], "mine=1; id=1")

    def test_endless_cookies(self) -> None:
        """They end with the redirects."""
        said = self.said("-L", f"{self.url}/endless", status=8)
        self.assertIn("more than 20 redirects", said)

    def test_login(self) -> None:
        """A password that is typed is sent and not shown; Ctrl+C there ends it."""
        typed = self.at_terminal("secret\n", "-v", "-u", "李", self.url)
        self.assertIn("Password of '李' for 127.0.0.1", typed)
        self.assertNotIn("secret", typed)
        self.assertNotIn("5p2OOnNlY3JldA==", typed)
        heard = json.loads((self.folder / "page").read_bytes())
        self.assertEqual(heard["headers"]["authorization"], "Basic 5p2OOnNlY3JldA==")
        self.assertNotIn("Traceback", self.at_terminal("\x03", "-u", "u", self.url))

    def test_login_without_a_terminal(self) -> None:
        """Nothing is read from a pipe."""
        said = self.said("-u", "u", self.url, input="secret\n", status=2, start_new_session=True)
        self.assertIn("hello-fetch: error: -u USER asks for the password on a terminal", said)

    def test_early_answer(self) -> None:
        """A server that has enough of the body is heard."""
        (self.folder / "file").write_bytes(bytes(20_000_000))
        self.said("-d", "@file", f"{self.url}/early")
        self.assertEqual((self.folder / "page").read_bytes(), b"too much")

    def at_terminal(self, text: str, *arguments: str) -> str:
        """Run the command in a terminal of its own, type when it asks; return what is shown."""
        leader, terminal = os.openpty()
        own_terminal = (
            "import fcntl, os, signal, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
            " signal.signal(signal.SIGINT, signal.SIG_DFL);"
            " os.execv(sys.argv[1], sys.argv[1:])"
        )
        command = [sys.executable, "-c", own_terminal, program("hello-fetch"), "-o", "page"]
        with open(leader, "r+b", buffering=0) as screen, subprocess.Popen(
            [*command, *arguments], cwd=self.folder, start_new_session=True,
            stdin=terminal, stdout=terminal, stderr=terminal,
        ):  # fmt: skip
            os.close(terminal)
            shown = b""
            while b"Password" not in shown:
                shown += screen.read(1000)
            screen.write(text.encode())
            with contextlib.suppress(OSError):  # the terminal has nobody any more
                while True:
                    shown += screen.read(1000)
        return shown.decode()

    @staticmethod
    def sum(content: bytes) -> str:
        return sha256(content).hexdigest()


class NginxTests(FetchingTestCase):
    """What nginx says, and what is said about it."""

    def setUp(self) -> None:
        super().setUp()
        self.silent = self.enterContext(socket.create_server(("127.0.0.1", 0)))
        port, tls, closed = free_ports(3)
        folder = self.folder.resolve()
        (folder / "pem").write_bytes(certificate_pem("localhost"))
        (folder / "users").write_text("u:{PLAIN}p\n")
        name, *words = nginx(
            folder,
            f"""
            server {{
                listen 127.0.0.1:{port};
                root {folder};
                location /login {{ auth_basic x; auth_basic_user_file users; return 204; }}
                location /in/ {{ auth_basic x; auth_basic_user_file users; alias {folder}/; }}
                location /agent {{ if ($http_user_agent = "") {{ return 403; }} return 204; }}
                location /often {{ add_header Retry-After 120 always; return 429; }}
                location /closed {{ proxy_pass http://127.0.0.1:{closed}; }}
                location /silent {{
                    proxy_pass http://{self.address(self.silent)}; proxy_read_timeout 10ms;
                }}
                location /down {{ return 503; }}
            }}
            server {{
                listen 127.0.0.1:{tls} ssl; ssl_certificate pem; ssl_certificate_key pem;
            }}
        """,
        )
        command = [program(name), *words]
        self.enterContext(Program(command, folder)).wait_for("epoll")
        self.url = f"http://127.0.0.1:{port}"
        self.tls = f"127.0.0.1:{tls}"

    @staticmethod
    def address(server: socket.socket) -> str:
        return "{}:{}".format(*server.getsockname())

    def test_login(self) -> None:
        """Who asks, is told to, and logs in; a wrong password is told from none."""
        self.assertIn(
            "401 wants to know who asks: write -u USER.", self.said(f"{self.url}/in/users")
        )
        login = ("-u", "u:p", f"{self.url}/in/users")
        self.said(*login)
        self.assertEqual((self.folder / "page").read_text(), "u:{PLAIN}p\n")
        said = self.said("-u", "u:wrong", "-f", f"{self.url}/in/users", status=10)
        self.assertIn("STATUS: 401 means that this login is not taken", said)

    def test_user_agent(self) -> None:
        """The way that is proposed works."""
        self.assertIn("try -H 'User-Agent: Mozilla/5.0'", self.said(f"{self.url}/agent"))
        said = self.said("-H", "User-Agent: Mozilla/5.0", f"{self.url}/agent")
        self.assertIn("204 means", said)

    def test_method(self) -> None:
        """A file takes no POST, and nginx does not say what it takes."""
        said = self.said("-d", "x", f"{self.url}/users")
        self.assertIn("405 means that the page takes no POST, and does not say which", said)

    def test_often(self) -> None:
        """How long to wait."""
        self.assertIn(
            "429 means that you ask too often: try again in 120 s.", self.said(f"{self.url}/often")
        )

    def test_balancer(self) -> None:
        """Whose fault it is."""
        for path, words in (
            ("closed", "502 is what a balancer or proxy (nginx"),
            ("silent", "504 is what a balancer or proxy (nginx"),
            ("down", "503 means that the server (nginx"),
        ):
            self.assertIn(words, self.said(f"{self.url}/{path}"))

    def test_tls(self) -> None:
        """Each of http and https is told from the other."""
        self.assertIn("one for TLS, ask for https://", self.said(f"http://{self.tls}"))
        said = self.said(self.url.replace("http", "https"), status=9)
        self.assertIn("does not speak TLS on this port: ask for http://", said)
