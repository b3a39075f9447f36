"""A real daemon behind real balancers that write PROXY headers."""

import json
import signal
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

from tests.certificates import tls_endpoint
from tests.processes import PATIENCE, TWISTD, Daemon, ProcessTestCase, free_port, missing, program
from tests.proxy_headers import HEADER1, HEADER2

JSON = (*TWISTD, "--logger", "hello_service.daemon.jsonlog.observer")
NGINX_STREAM = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


class BalancerTests(ProcessTestCase):
    """What is the same whoever writes the header."""

    def daemon_behind(self, trusted: str, *arguments: str) -> Daemon:
        return self.daemon(f"--proxy-from={trusted}", *(arguments or ("--port=0",)), command=JSON)

    def connect(self, port: int, source: str = "127.0.0.1") -> socket.socket:
        """Connect, with no bytes gathered on the way."""
        client = socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.enterContext(client)

    def told(self, daemon: Daemon, event: str, count: int = 1) -> dict[str, Any]:
        """Wait for so many records of an event, and return the last."""
        daemon.wait_for(f'"event":"{event}"', count)
        found = [line for line in daemon.output if f'"event":"{event}"' in line]
        record: dict[str, Any] = json.loads(found[count - 1])
        return record

    def read(self, client: socket.socket) -> bytes:
        with client.makefile("rb") as answers:
            return answers.read()

    def assert_reset(self, client: socket.socket) -> None:
        self.assertRaises(ConnectionResetError, client.recv, 1)


class HeaderTests(BalancerTests):
    def test_in_one_piece_with_what_follows_and_the_end(self) -> None:
        daemon = self.daemon_behind("127.0.0.1")
        for count, header in enumerate((HEADER1, HEADER2), 1):
            client = self.connect(daemon.port())
            client.sendall(header + b"Michael")
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(self.read(client), b"Welcome!Hello, Michael!")
            closed = self.told(daemon, "closed", count)
            via = f"127.0.0.1:{client.getsockname()[1]}"
            self.assertEqual((closed["peer"], closed["via"]), ("192.0.2.1:1234", via))
            self.assertEqual((closed["bytes_in"], closed["reason"]), (7, "end"))

    def test_byte_by_byte(self) -> None:
        daemon = self.daemon_behind("127.0.0.1")
        for header in (HEADER1, HEADER2):
            client = self.connect(daemon.port())
            for byte in header:
                client.sendall(bytes([byte]))
            self.assertEqual(client.recv(1024), b"Welcome!")

    def test_the_tutorials_server(self) -> None:
        daemon = self.daemon_behind("127.0.0.1", "--port=0", "--framing=stream", "--delay=0.1")
        client = self.connect(daemon.port())
        client.sendall(HEADER1 + b"Michael")
        self.assertEqual(client.recv(8), b"Welcome!")
        self.assertEqual(client.recv(1024), b"Hello, Michael!")
        client.sendall(b"exit")
        self.assertEqual(client.recv(1024), b"")

    def test_bad_or_missing_ones_are_refused(self) -> None:
        daemon = self.daemon_behind("127.0.0.1")
        for start in (b"Michael", HEADER1[:-2] + b" \r\n", HEADER2[:12] + b"\x11", b""):
            client = self.connect(daemon.port())
            client.sendall(start)
            self.assert_reset(client)
        refused = self.told(daemon, "refused")
        self.assertEqual((refused["limit"], refused["count"]), ("proxy", 1))
        self.assertEqual(refused["why"], "it began with something else")
        self.assertNotIn('"accepted"', "".join(daemon.output))

    def test_who_is_no_balancer_is_greeted_at_once(self) -> None:
        daemon = self.daemon_behind("127.0.0.2", "--port=0", "--framing=line")
        client = self.connect(daemon.port())
        self.assertEqual(client.recv(1024), b"Welcome!\r\n")
        client.sendall(HEADER1)
        self.assertEqual(client.recv(1024), b"Hello, " + HEADER1[:-2] + b"!\r\n")
        self.assertEqual(self.told(daemon, "accepted")["peer"],
                         f"127.0.0.1:{client.getsockname()[1]}")  # fmt: skip

    def test_clients_are_counted(self) -> None:
        daemon = self.daemon_behind("127.0.0.1", "--port=0", "--max-per-host=1")
        first, second, other = (self.connect(daemon.port()) for _ in range(3))
        first.sendall(HEADER1)
        self.assertEqual(first.recv(1024), b"Welcome!")
        second.sendall(HEADER1)
        self.assert_reset(second)
        other.sendall(HEADER1.replace(b"192.0.2.1", b"192.0.2.3"))
        self.assertEqual(other.recv(1024), b"Welcome!")

    def test_one_that_waits_does_not_hold_up_the_end(self) -> None:
        daemon = self.daemon_behind("127.0.0.1", "--port=0", "--max-connections=1")
        waiting = self.connect(daemon.port())
        waiting.sendall(HEADER1[:20])
        with self.assertRaises(ConnectionResetError):  # now the other is there
            self.connect(daemon.port()).recv(1)
        self.assertEqual(daemon.stop(), -signal.SIGTERM)
        self.assertNotIn('"aborted"', "".join(daemon.output))

    def test_below_tls(self) -> None:
        place, trust = tls_endpoint(self.folder)
        daemon = self.daemon_behind("127.0.0.1", f"--listen={place}", "--max-per-host=1")
        clients = [self.connect(daemon.port()) for _ in range(2)]
        clients[0].sendall(HEADER2)
        with trust.wrap_socket(clients[0], server_hostname="localhost") as client:
            self.assertEqual(client.recv(8), b"Welcome!")
            accepted = self.told(daemon, "accepted")
            self.assertEqual(accepted["peer"], "192.0.2.1:1234")
            self.assertRegex(accepted["via"], r"^127\.0\.0\.1:\d+$")
            clients[1].sendall(HEADER1 + b"\x16\x03\x01\x00")
            self.assert_reset(clients[1])
        self.assertNotIn("Traceback", "".join(daemon.output))

    def test_the_endpoint_that_does_it_badly(self) -> None:
        daemon = self.daemon("--listen=haproxy:tcp:0:interface=127.0.0.1")
        daemon.wait_for(r"Use --proxy-from in place of haproxy:, which ")


class RealBalancerTests(BalancerTests):
    """HAProxy and nginx, as Debian has them; HAProxy inherits its listening socket."""

    def setUp(self) -> None:
        super().setUp()
        self.listening = self.enterContext(socket.create_server(("127.0.0.1", 0)))
        self.port: int = self.listening.getsockname()[1]

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Run a balancer until the test is over."""
        process = subprocess.Popen(
            [program(command[0]), *command[1:]],
            pass_fds=[self.listening.fileno()] if command[0] == "haproxy" else [],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if command[0] == "nginx" else subprocess.DEVNULL,
            text=True,
        )
        self.enterContext(process)
        self.addCleanup(process.kill)
        return process

    def haproxy(self, server: str) -> None:
        configuration = self.folder / "haproxy.cfg"
        times = "\n".join(
            f" timeout {what} {PATIENCE}s" for what in ("connect", "client", "server")
        )
        configuration.write_text(
            f"defaults\n mode tcp\n{times}\nlisten hello\n"
            f" bind fd@{self.listening.fileno()}\n server hello {server}\n"
        )
        self.start("haproxy", "-db", "-f", str(configuration))

    def nginx(self, server: str) -> None:
        if not NGINX_STREAM.exists():
            missing("nginx has no module stream")
        self.port = free_port()
        folder = self.folder.resolve()
        configuration = folder / "nginx.conf"
        configuration.write_text(
            f"load_module {NGINX_STREAM}; daemon off; master_process off; pid {folder}/pid;"
            f" error_log stderr notice; events {{}} stream {{ server {{"
            f" listen 127.0.0.1:{self.port}; proxy_protocol on; proxy_pass {server}; }} }}"
        )
        process = self.start("nginx", "-e", "stderr", "-c", str(configuration))
        assert process.stderr is not None
        for line in process.stderr:
            if "epoll" in line:  # it listens
                return
        self.fail("nginx does not start")

    def assert_known(self, daemon: Daemon, via: str = r"127\.0\.0\.1:\d+") -> None:
        """Talk through the balancer, and see that the daemon knows who does."""
        client = self.connect(self.port)
        peer = f"127.0.0.1:{client.getsockname()[1]}"
        self.assertEqual(client.recv(1024), b"Welcome!")
        client.sendall(b"Michael")
        self.assertEqual(client.recv(1024), b"Hello, Michael!")
        client.sendall(b"exit")
        self.assertEqual(client.recv(1024), b"")
        for event in ("accepted", "closed"):
            daemon.wait_for(f'"event":"{event}".*"peer":"{peer}".*"via":"{via}"')

    def test_haproxy(self) -> None:
        for words in ("send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c"):
            with self.subTest(words):
                self.setUp()
                daemon = self.daemon_behind("127.0.0.0/8")
                self.haproxy(f"127.0.0.1:{daemon.port()} {words}")
                self.assert_known(daemon)

    def test_haproxy_that_checks_speaks_for_itself(self) -> None:
        daemon = self.daemon_behind("127.0.0.1")
        self.haproxy(f"127.0.0.1:{daemon.port()} send-proxy-v2 check inter 100ms")
        closed = self.told(daemon, "closed", 3)
        self.assertNotIn("via", closed)
        self.assertNotIn('"refused"', "".join(daemon.output))

    def test_haproxy_on_a_unix_socket(self) -> None:
        place = self.folder.resolve() / "hello.sock"
        daemon = self.daemon_behind("unix", f"--listen=unix:{place}")
        daemon.wait_for("Waiting for connection")
        self.haproxy(f"unix@{place} send-proxy-v2")
        self.assert_known(daemon, "unix:''")

    def test_haproxy_before_tls(self) -> None:
        place, trust = tls_endpoint(self.folder)
        daemon = self.daemon_behind("127.0.0.1", f"--listen={place}")
        self.haproxy(f"127.0.0.1:{daemon.port()} send-proxy")
        client: ssl.SSLSocket = self.enterContext(
            trust.wrap_socket(self.connect(self.port), server_hostname="localhost")
        )
        self.assertEqual(client.recv(8), b"Welcome!")
        accepted = self.told(daemon, "accepted")
        self.assertEqual(accepted["peer"], f"127.0.0.1:{client.getsockname()[1]}")

    def test_nginx(self) -> None:
        daemon = self.daemon_behind("127.0.0.1")
        self.nginx(f"127.0.0.1:{daemon.port()}")
        self.assert_known(daemon)
