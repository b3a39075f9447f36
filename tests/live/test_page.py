"""The page of a real daemon's status port, in a real browser."""

import signal
import socket
import sys

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser import browser
from tests.processes import PATIENCE, Daemon, ProcessTestCase, Program, free_port
from tests.tutorial import tutorial_client

HOSTILE = (
    b"<script>alert(1)</script>",
    b'<img src=x onerror="alert(1)">',
    b"\x1b[31mred\r\n\t\0\x7f",
    "\u202egpj.exe\u2066 \u200b".encode(),
    b"\xff\xfe</text>&lt;",
)
PROGRAM = """
import sys
from twisted.internet import reactor
from hello_service.daemon import DaemonService, Settings
from hello_service.server import HelloFactory

status = f"tcp:{sys.argv[1]}:interface=127.0.0.1"
DaemonService(reactor, HelloFactory(reactor), Settings(port=0, status=status)).startService()
print("listens", flush=True)
reactor.run()
"""
SEEN = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    r"\x1b[31mred\r\n", r"\t\x00\x7f",
    r"\u{202e}gpj.exe\u{2066} \u{200b}",
    r"\xff\xfe</text>&lt;",
]  # fmt: skip


class PageTests(ProcessTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.page = browser()
        self.addCleanup(self.page.leave)

    def watched(self, *options: str) -> Daemon:
        """Start a daemon, and keep the URL of its page."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/"
        status = f"--status=tcp:{port}:interface=127.0.0.1"
        daemon = self.daemon("--port=0", status, "--framing=stream", *options)
        daemon.wait_for(r"#info\] Status.* on ")
        return daemon

    def client(self, daemon: Daemon) -> socket.socket:
        """Connect, and read the greeting."""
        client = self.enterContext(socket.create_connection(("127.0.0.1", daemon.port()), PATIENCE))
        self.assertEqual(client.recv(8), b"Welcome!")
        return client

    def see(self, selector: str, *texts: str) -> None:
        """Wait until these are the texts of all such elements."""
        try:
            self.page.wait(lambda: self.page.texts(selector) == [*texts])
        finally:
            self.assertEqual(self.page.texts(selector), [*texts])

    def see_events(self, *kinds: str) -> None:
        """Wait until these are all events of the wire."""
        read = "[...document.querySelectorAll('[data-kind]')].map((one) => one.dataset.kind)"
        try:
            self.page.wait(lambda: self.page.ask(read) == [*kinds])
        finally:
            self.assertEqual(self.page.ask(read), [*kinds])

    def is_clean(self) -> None:
        """Nothing was refused or failed, and nothing came from elsewhere."""
        self.assertEqual(self.page.console(), [])
        loaded = self.page.ask('performance.getEntriesByType("resource").map(({ name }) => name)')
        self.assertEqual([name for name in loaded if not name.startswith(self.url)], [])

    def fits(self) -> None:
        """Nothing sticks out of the window at the right."""
        self.assertTrue(self.page.ask("document.documentElement.scrollWidth <= innerWidth"))

    def test_conversations_come_talk_and_go(self) -> None:
        daemon = self.watched("--name=web-1", "--max-connections=8", "--max-per-host=4")
        self.page.open(self.url)
        self.see("#state", "serving")
        self.see("#name", "web-1")
        self.see("#unlisted", "nobody is connected")
        first, second = self.client(daemon), self.client(daemon)
        ports = [str(client.getsockname()[1]) for client in (second, first)]
        self.see("#open td:nth-child(2)", *ports)
        for column, text in ((1, "127.0.0.1"), (3, "127.0.0.1"), (4, str(daemon.port()))):
            self.see(f"#open td.same:nth-child({column})", text, text)
        self.see("#open td.same:nth-child(2)")
        self.see("#open td:nth-child(9)", *["has said nothing yet"] * 2)
        self.see("#figures dd:has(.meter)", "2 of 8", "2 of 4")
        first.sendall(b"Michael")
        self.see("#open td:nth-child(6)", "0", "1")
        self.see("#open td:nth-child(7)", "0 B", "7 B")
        self.see("#open td:nth-child(8)", "8 B", "23 B")
        mouse = ActionChains(self.page.driver)
        rows = self.page.driver.find_element(By.CSS_SELECTOR, "#open tbody")
        mouse.move_to_element(rows).perform()
        second.close()
        self.see("#open .gone td:nth-child(2)", ports[0])
        self.see("#open td:nth-child(2)", *ports)
        mouse.move_by_offset(0, -200).perform()
        self.see("#open td:nth-child(2)", ports[1])
        self.see("#ended td:nth-child(2)", ports[0])
        first.sendall(b"exit")
        self.see("#unlisted", "nobody is connected")
        self.see("#ended td:nth-child(2)", ports[1], ports[0])
        self.page.wait(lambda: self.page.texts("#ended td:nth-child(9)")[0].startswith("exit, "))
        self.page.wait(
            lambda: "L" in self.page.ask("document.querySelector('.rate path').getAttribute('d')")
        )
        self.is_clean()

    def test_the_wire(self) -> None:
        daemon = self.watched("--delay=0.001", "--status-bytes")
        self.page.open(self.url, 360, 640)
        self.see("#state", "serving")
        client = self.client(daemon)
        self.page.wait(lambda: self.page.texts("#open a"))
        self.fits()
        self.page.ask("document.querySelector('#open a').focus()")
        self.page.driver.switch_to.active_element.send_keys(Keys.ENTER)
        self.see("#client", f"127.0.0.1:{client.getsockname()[1]}")
        self.see("#server", f"127.0.0.1:{daemon.port()}")
        self.see(".bytes", "Welcome!")
        client.sendall(b"TracySarah")  # the tutorial's "sticky packets"
        self.assertEqual(client.recv(1024), b"Hello, TracySarah!")
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(client.recv(1024), b"")
        self.see(".bytes", "Welcome!", "TracySarah", "Hello, TracySarah!")
        told = ["connect", "write", "read", "held", "write", "released", "peer-end", "close"]
        self.see_events(*told, "gone")
        self.see("[data-kind=read] .count", "10 bytes")
        self.see("[data-kind=gone] text:last-child", "over: the client ended it")
        self.fits()
        self.page.driver.refresh()
        self.see_events(*told, "gone")
        self.page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
        self.page.wait(lambda: self.page.ask("document.querySelector('#wire').hidden"))
        self.is_clean()

    def test_resets_and_exits(self) -> None:
        daemon = self.watched()
        self.page.open(self.url)
        self.see("#state", "serving")
        client = self.client(daemon)
        self.page.wait(lambda: self.page.texts("#open a"))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        self.page.wait(lambda: self.page.texts("#ended a"))
        self.page.ask("location.hash = '#1'")
        self.see_events("connect", "write", "gone")
        self.see("[data-kind=write] .bytes")
        self.see("[data-kind=write] .count", "8 bytes")
        self.see("[data-kind=gone] .bad", "over: the connection broke")
        self.assertIn("--status-bytes", self.page.texts("#caption")[0])
        tutorial_client(daemon.port())
        self.page.ask("location.hash = '#2'")
        self.see_events("connect", *["write", "read"] * 4, "close", "gone")
        self.see("[data-kind=gone] text:last-child", "over: exit")
        self.page.ask("location.hash = '#3'")
        self.page.wait(lambda: "not recorded" in self.page.texts("#caption")[0])
        self.is_clean()

    def test_what_clients_send_is_text(self) -> None:
        daemon = self.watched("--status-bytes")
        self.page.open(self.url)
        self.see("#state", "serving")
        client = self.client(daemon)
        for name in HOSTILE:
            client.sendall(name)
            self.assertEqual(client.recv(1024), b"Hello, %b!" % name)
        self.page.ask("location.hash = '#1'")
        self.see("[data-kind=read] .bytes", *SEEN)
        self.assertEqual(self.page.texts("#paper :is(script, img)"), [])
        client.sendall(b"x" * 1000)
        self.page.wait(lambda: self.page.texts("[data-kind=read] .count")[-1] == "1,000 bytes")
        self.assertTrue(self.page.texts("[data-kind=read] .bytes")[-1].endswith("x…"))
        self.is_clean()

    def test_it_drains_ends_and_is_back(self) -> None:
        daemon = self.watched("--drain-grace=600")
        self.page.open(self.url)
        self.see("#state", "serving")
        client = self.client(daemon)
        self.page.wait(lambda: self.page.texts("#open a"))
        self.page.ask("location.hash = '#1'")
        self.see_events("connect", "write")
        daemon.process.send_signal(signal.SIGTERM)
        self.see("#state", "draining: it ends once these conversations are over")
        self.see("#open td:nth-child(9)", "draining")
        self.is_clean()
        client.close()
        daemon.wait()
        self.see(".stale #state", "not reachable, tries again")
        again = self.daemon("--port=0", "--status=tcp:" + self.url.rpartition(":")[2][:-1])
        again.port()
        self.see("#state", "serving")
        self.page.wait(lambda: "not recorded" in self.page.texts("#caption")[0])
        self.see_events()

    def test_windows_of_any_width(self) -> None:
        daemon = self.watched()
        self.client(daemon)
        state = "document.querySelector('#open td:nth-child(9)')"
        for width in (360, 700, 710, 768, 1080, 1100, 1280):
            self.page.open(self.url, width)
            self.see("#open td:nth-child(9)", "has said nothing yet")
            self.fits()
            self.assertLessEqual(self.page.ask(f"{state}.getBoundingClientRect().right"), width)
            self.assertGreater(self.page.ask(f"{state}.clientWidth"), 100, width)
        self.is_clean()

    def test_behind_a_balancer(self) -> None:
        daemon = self.watched("--proxy-from=127.0.0.1")
        self.page.open(self.url)
        self.see("#state", "serving")
        client = self.enterContext(socket.create_connection(("127.0.0.1", daemon.port()), PATIENCE))
        client.sendall(b"PROXY TCP4 198.51.100.123 192.0.2.2 1234 9999\r\n")
        self.assertEqual(client.recv(8), b"Welcome!")
        balancer = f"127.0.0.1:{client.getsockname()[1]}"
        self.see("#open td:nth-child(1)", f"198.51.100.123 via {balancer}")
        self.see("#open td:nth-child(2)", "1234")
        cell = "document.querySelector('#open td')"
        self.page.wait(lambda: self.page.ask(f"{cell}.scrollWidth <= {cell}.clientWidth"))
        self.fits()
        self.is_clean()

    def test_as_part_of_a_program(self) -> None:
        port = free_port()
        self.enterContext(
            Program([sys.executable, "-c", PROGRAM, str(port)], self.folder)
        ).wait_for("listens")
        self.page.open(f"http://127.0.0.1:{port}/")
        self.see("#state", "serving")
        self.see("#name", f"127.0.0.1:{port}")
        self.assertRegex(self.page.texts("#facts")[0], r"^\w+Reactor · up ")

    def test_too_many_pages(self) -> None:
        self.watched()
        address = ("127.0.0.1", int(self.url.rpartition(":")[2][:-1]))
        others = [socket.create_connection(address, PATIENCE) for _ in range(4)]
        for other in others:
            self.enterContext(other)
            other.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertIn(b"200 OK", other.recv(1024))
        self.page.open(self.url)
        self.see(".stale #state", "4 pages watch already: close one of them.")
        others[0].close()
        self.see("#state", "serving")
