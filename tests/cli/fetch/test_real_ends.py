"""hello-fetch as a process, led to real servers that are not where the URL says."""

import json
import os
import socket
import subprocess
from itertools import product
from pathlib import Path

from tests.certificates import Authority, dns, issue
from tests.nginx import nginx
from tests.processes import (
    PATIENCE,
    TWISTD,
    ProcessTestCase,
    Program,
    free_port,
    program,
    run,
)

JSON = (*TWISTD, "--logger", "hello_service.daemon.jsonlog.observer")

NODE = """
const server = require("http").createServer((request, response) => {
    if (request.url == "/slow") setInterval(() => response.write("x"), 10);
    else response.end(request.headers.host);
});
server.listen("node.sock", () => console.log("ready"));
"""


class RealTestCase(ProcessTestCase):
    """Servers with a certificate for www.example, of an authority in ca.pem."""

    def setUp(self) -> None:
        super().setUp()
        self.authority = Authority()
        (self.folder / "ca.pem").write_bytes(self.authority.pem)
        (self.folder / "server.pem").write_bytes(self.authority.issue(dns("www.example")).pem)

    def fetch(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Fetch to standard output, with nobody trusted but whom the arguments name."""
        environ = {name: value for name, value in os.environ.items() if name != "SSL_CERT_FILE"}
        environ["SSL_CERT_DIR"] = str(self.folder)
        return run("hello-fetch", "-q", "-o", "-", *arguments, cwd=self.folder, env=environ)

    def assert_fetched(self, page: str, *arguments: str) -> None:
        fetched = self.fetch(*arguments)
        self.assertEqual((fetched.returncode, fetched.stdout), (0, page), fetched.stderr)

    def assert_failed(self, status: int, words: str, *arguments: str) -> None:
        fetched = self.fetch(*arguments)
        self.assertEqual((fetched.returncode, fetched.stdout), (status, ""), fetched.stderr)
        self.assertIn(words, fetched.stderr)

    def program(self, *command: str, **options: object) -> Program:
        """Run a server until the test is over."""
        return self.enterContext(
            Program(
                [program(command[0]), *command[1:]],
                self.folder,
                errors="backslashreplace",
                **options,
            )
        )


class NginxTests(RealTestCase):
    """nginx, with TLS, and with a PROXY header before that."""

    ANSWER = "$host $ssl_server_name $proxy_protocol_addr $proxy_protocol_port $remote_port"

    def serve(self, listen: str) -> None:
        folder = self.folder.resolve()
        command = nginx(
            folder,
            f"server {{ listen {listen};"
            f" ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem;"
            f' location / {{ return 200 "{self.ANSWER}"; }}'
            f" location /moved {{ return 302 https://www.example/; }} }}",
        )
        server = self.program(*command)
        server.wait_for("epoll")

    def test_node(self) -> None:
        """A node is asked for the site's page, as the balancer before it would ask."""
        node = f"127.0.0.1:{free_port()}"
        self.serve(f"{node} ssl")
        trusting = ("--cacert", "ca.pem", "--connect-to", node)
        fetched = self.fetch(*trusting, "https://www.example/")
        self.assertEqual(fetched.returncode, 0, fetched.stderr)
        self.assertTrue(fetched.stdout.startswith("www.example www.example  "), fetched.stdout)
        followed = self.fetch("-L", *trusting, "https://www.example/moved")
        self.assertTrue(followed.stdout.startswith("www.example www.example  "), followed.stderr)
        self.assert_failed(9, "is for 'www.example', not for 'other'", *trusting, "https://other/")
        self.assert_failed(
            9, "authority's certificate to --cacert", "--connect-to", node, "https://www.example/"
        )
        insecure = self.fetch("-k", "--connect-to", node, "https://other/")
        self.assertTrue(insecure.stdout.startswith("other other  "), insecure.stderr)
        self.assertIn("hello-fetch: --insecure: no certificate is checked", insecure.stderr)

    def test_proxy_header(self) -> None:
        """nginx reads who we are, before TLS; without the header it closes."""
        node = f"127.0.0.1:{free_port()}"
        self.serve(f"{node} ssl proxy_protocol")
        common = ("--cacert", "ca.pem", "--connect-to", node, "https://www.example/")
        for version in ("v1", "v2"):
            fetched = self.fetch("--proxy-header", version, *common)
            self.assertEqual(fetched.returncode, 0, fetched.stderr)
            *_, address, port, real = fetched.stdout.split()
            self.assertEqual((address, port), ("127.0.0.1", real))
        self.assertEqual(self.fetch(*common).returncode, 7)

    def test_socket(self) -> None:
        """TLS over a UNIX socket, with a header that has no addresses to tell of."""
        self.serve(f"unix:{self.folder.resolve()}/s ssl proxy_protocol")
        common = ("--cacert", "ca.pem", "--unix-socket", "s", "https://www.example/")
        for version in ("v1", "v2"):
            fetched = self.fetch("--proxy-header", version, *common)
            self.assertTrue(fetched.stdout.startswith("www.example www.example"), fetched.stderr)


class HaproxyTests(RealTestCase):
    """HAProxy, which inherits its listening socket."""

    def test_proxy_header(self) -> None:
        """HAProxy reads who we are; without the header it refuses us."""
        listening = self.enterContext(socket.create_server(("127.0.0.1", 0)))
        times = "\n".join(
            f" timeout {what} {PATIENCE}s" for what in ("connect", "client", "server")
        )
        (self.folder / "haproxy.cfg").write_text(
            f"defaults\n mode http\n{times}\nfrontend hello\n"
            f" bind fd@{listening.fileno()} accept-proxy\n http-request return status 200"
            ' content-type text/plain lf-string "%[fc_rcvd_proxy] %[src] %[req.hdr(host)]"\n'
        )
        self.program("haproxy", "-db", "-f", "haproxy.cfg", pass_fds=[listening.fileno()])
        common = ("--connect-to", f"127.0.0.1:{listening.getsockname()[1]}", "www.example")
        for version in ("v1", "v2"):
            self.assert_fetched("1 127.0.0.1 www.example", "--proxy-header", version, *common)
        self.assertEqual(self.fetch(*common).returncode, 7)


class DaemonTests(RealTestCase):
    """Our own daemon, which takes headers from balancers."""

    def test_proxy_header(self) -> None:
        """It reads who we are, by TCP; a UNIX socket's header says that nobody is behind us."""
        places = ("tcp:0:interface=127.0.0.1", f"unix:{self.folder.resolve()}/s")
        listening = [f"--listen={place}" for place in places]
        daemon = self.daemon("--proxy-from=127.0.0.1,unix", *listening, command=JSON)
        daemon.wait_for("Waiting for connection", 2)
        ends = (("--connect-to", f"127.0.0.1:{daemon.port()}"), ("--unix-socket", "s"))
        for count, (version, end) in enumerate(product(("v1", "v2"), ends), 1):
            self.assert_failed(8, "a hello server", "--proxy-header", version, *end, "www.example")
            daemon.wait_for('"event":"closed"', count)
        closed = [json.loads(line) for line in daemon.output if '"event":"closed"' in line]
        for tcp, unix in (closed[:2], closed[2:]):
            self.assertEqual(tcp["peer"], tcp["via"])
            self.assertNotIn("via", unix)
        self.assertNotIn('"event":"refused"', "".join(daemon.output))


class NodeTests(RealTestCase):
    """node, on a UNIX socket."""

    def setUp(self) -> None:
        super().setUp()
        self.program("node", "-e", NODE).wait_for("ready")

    def test_socket(self) -> None:
        """The page that is behind a socket."""
        self.assert_fetched("app:81", "--unix-socket", "node.sock", "http://app:81/")

    def test_a_byte_now_and_then(self) -> None:
        """A server that never ends is given up in time, though it never pauses."""
        slow = self.fetch("-m", "1", "--unix-socket", "node.sock", "http://app/slow")
        self.assertEqual(slow.returncode, 6, slow.stderr)
        self.assertRegex(slow.stderr, r"hello-fetch: TIMEOUT: app: it was not done after 1 seconds")
        self.assertEqual(slow.stdout.strip("x"), "")


class OpenSSLTests(RealTestCase):
    """openssl s_server."""

    def serve(self, *arguments: str) -> str:
        """Serve a page; return where."""
        server = self.program(
            "openssl", "s_server", "-accept", "127.0.0.1:0", "-www", "-naccept", "9", *arguments
        )
        return server.wait_for(r"ACCEPT (127\.0\.0\.1:\d+)")[1]

    def test_trace(self) -> None:
        """--trace shows the chain as it was sent, also of who is refused."""
        middle = issue(None, self.authority.own, authority=True, common_name="Middle")
        (self.folder / "leaf.pem").write_bytes(issue(dns("www.example"), middle).pem)
        (self.folder / "middle.pem").write_bytes(middle.pem)
        place = self.serve("-cert", "leaf.pem", "-cert_chain", "middle.pem", "-tls1_2")
        for arguments, status in ((("--cacert", "ca.pem"), 0), (("-k",), 0), ((), 9)):
            fetched = self.fetch(*arguments, "-v", "--connect-to", place, "https://www.example/")
            self.assertEqual(fetched.returncode, status, fetched.stderr)
            self.assertRegex(fetched.stderr, r"ms  TLS: TLSv1\.2, \S")
            for line in (
                "certificate 1 of 2: CN=server\n",
                "  for: www.example\n",
                "  by: CN=Middle\n",
                "certificate 2 of 2: CN=Middle\n",
                "  by: CN=Test Authority\n",
            ):
                self.assertIn(line, fetched.stderr)
        self.assertIn("'CN=Middle' is from 'CN=Test Authority', which is not trusted here",
                      fetched.stderr)  # fmt: skip

    def test_environment(self) -> None:
        """SSL_CERT_FILE is trusted, if no --cacert takes its place."""
        place = self.serve("-cert", "server.pem")
        (self.folder / "other.pem").write_bytes(
            Authority(issue(None, authority=True, common_name="Other")).pem
        )
        environ = {**os.environ, "SSL_CERT_FILE": "ca.pem"}
        command = ("hello-fetch", "-q", "-o", "page", "--connect-to", place, "https://www.example/")
        fetched = run(*command, cwd=self.folder, env=environ)
        self.assertEqual(fetched.returncode, 0, fetched.stderr)
        fetched = run(*command, "--cacert", "other.pem", cwd=self.folder, env=environ)
        self.assertEqual(fetched.returncode, 9, fetched.stderr)
        self.assertIn("into 'other.pem', if you trust it", fetched.stderr)

    def test_files(self) -> None:
        """What is wrong with a file is one line, and wrong use."""
        Path(self.folder / "text").write_text("hello\n")
        for file in ("nosuch", ".", "text"):
            fetched = self.fetch("--cacert", file, "https://www.example/")
            self.assertEqual(fetched.returncode, 2)
            self.assertRegex(
                fetched.stderr, rf"\Ahello-fetch: error: --cacert: '{file}' .*: .*\.\n\Z"
            )
