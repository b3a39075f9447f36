"""The shipped units, run by a real systemd."""

import select
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor

from twisted.trial.unittest import SynchronousTestCase

from tests.booted import Booted, booted
from tests.certificates import Authority, dns

ON_UVLOOP = """[Service]
ExecStart=
ExecStart=/opt/hello_service/bin/twistd --nodaemon --pidfile= --reactor=uvloop hello
"""

LATE = """[Service]
RestartSec=10ms
ExecStart=
ExecStart=/opt/hello_service/bin/twistd --nodaemon --pidfile= hello --interface=192.0.2.1
"""

KEEPALIVE = """[Service]
ExecStart=
ExecStart=/opt/hello_service/bin/twistd --nodaemon --pidfile= --reactor={} hello -p{} --keepalive=1
"""

SLOW_STOP = """[Service]
TimeoutStopSec=1
ExecStart=
ExecStart=/opt/hello_service/bin/twistd --nodaemon --pidfile= hello --drain-timeout=3
"""


class BootTestCase(SynchronousTestCase):
    def boot(self, *shipped: str, **drop_ins: str) -> Booted:
        return self.enterContext(booted(*shipped, **drop_ins))

    def started(self, *shipped: str, unit: str = "hello.service", **drop_ins: str) -> Booted:
        systemd = self.boot(*shipped, **drop_ins)
        systemd.systemctl("start", unit)
        return systemd

    def greet(self, systemd: Booted) -> None:
        with systemd.connect() as client:
            self.assertEqual(client.recv(8), b"Welcome!")
            client.sendall(b"Michael")
            self.assertEqual(client.recv(1024), b"Hello, Michael!")

    def assert_shut_in(self, systemd: Booted, unit: str) -> None:
        pid = systemd.show(unit, "MainPID")
        status = dict(
            line.split(":\t", 1)
            for line in systemd.run("cat", f"/proc/{pid}/status").stdout.splitlines()
        )
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
        self.assertEqual({int(status[name], 16) for name in ("CapEff", "CapBnd")}, {0})
        self.assertNotIn("0", status["Uid"].split())
        inside = ("nsenter", "--mount", f"--target={pid}")
        self.assertEqual(systemd.run("ls", "/home").stdout, "somebody\n")
        self.assertEqual(systemd.run(*inside, "ls", "/home").stdout, "")
        refused = systemd.run(*inside, "touch", "/var/file")
        self.assertIn("Read-only file system", refused.stderr)
        self.assertEqual(systemd.run("touch", "/var/file").returncode, 0)


class ServiceTests(BootTestCase):
    def test_it_is_active_when_it_listens(self) -> None:
        systemd = self.started("hello.service")
        self.greet(systemd)
        self.assertEqual(systemd.show("hello.service", "ActiveState"), "active")
        with systemd.connect() as client:
            client.recv(8)
            status = ""
            for _ in range(1000):
                status = systemd.show("hello.service", "StatusText")
                if status == "Conversations: 1":
                    break
            self.assertEqual(status, "Conversations: 1")

    def test_it_is_not_active_when_it_cannot_listen(self) -> None:
        systemd = self.boot("hello.service")
        with systemd.listen(9999):
            self.assertRaises(AssertionError, systemd.systemctl, "start", "hello.service")
        systemd.wait_for("127.0.0.1:9999 is in use by another program")
        self.assertNotEqual(systemd.show("hello.service", "ActiveState"), "active")

    def test_it_waits_for_an_address_that_comes_late(self) -> None:
        systemd = self.boot("hello.service", hello=LATE)
        self.assertRaises(AssertionError, systemd.systemctl, "start", "hello.service")
        systemd.wait_for("192.0.2.1:9999 is not on this machine", 7)  # systemd gives up after 5
        address = systemd.run("ip", "address", "add", "192.0.2.1/32", "dev", "lo")
        self.assertEqual(address.returncode, 0, address.stderr)
        systemd.wait_for("Started hello.service")
        self.assertEqual(systemd.show("hello.service", "ActiveState"), "active")

    def test_whoever_is_gone_without_a_word_goes(self) -> None:
        epoll, uvloop = (KEEPALIVE.format(*how) for how in (("epoll", 9999), ("uvloop", 9998)))
        drop_ins = {"hello": epoll, "hello@": uvloop}
        systemd = self.started("hello.service", "hello@.service", **drop_ins)
        systemd.systemctl("start", "hello@1.service")
        with systemd.connect() as client, systemd.connect(9998) as other:
            for each in (client, other):
                self.assertEqual(each.recv(8), b"Welcome!")
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            down = systemd.run("ip", "link", "set", "lo", "down")
            self.assertEqual(down.returncode, 0, down.stderr)
            systemd.wait_for(r"Connection from .* closed\.", 2)

    def test_checks_of_its_port_are_counted(self) -> None:
        systemd = self.started("hello.service")
        for _ in range(3):
            with systemd.connect() as client:
                self.assertEqual(client.recv(8), b"Welcome!")
        systemd.systemctl("stop", "hello.service")
        systemd.wait_for(r"Connections that said nothing: 3\.")
        self.assertNotIn("Accept new", systemd.run("journalctl", "--no-pager").stdout)

    def test_it_lives_through_a_reload(self) -> None:
        systemd = self.started("hello.service")
        with systemd.connect() as client:
            client.recv(8)
            pid = systemd.show("hello.service", "MainPID")
            for count in (1, 2):
                systemd.systemctl("reload", "hello.service")
                systemd.wait_for("Reloaded nothing", count)
            client.sendall(b"Michael")
            self.assertEqual(client.recv(1024), b"Hello, Michael!")
        self.assertEqual(systemd.show("hello.service", "MainPID"), pid)
        self.greet(systemd)

    def test_the_watchdog_restarts_one_that_hangs(self) -> None:
        systemd = self.started("hello.service", hello="[Service]\nWatchdogSec=1")
        systemd.systemctl("kill", "--signal=STOP", "hello.service")
        systemd.wait_for("hello.service: Failed with result 'watchdog'")
        systemd.wait_for("Started hello.service", 2)
        self.greet(systemd)

    def test_it_stops_cleanly(self) -> None:
        systemd = self.started("hello.service")
        with systemd.connect() as client:
            client.recv(8)
            systemd.systemctl("stop", "hello.service")
            self.assertEqual(client.recv(8), b"")
        self.assertEqual(systemd.show("hello.service", "ActiveState"), "inactive")
        self.assertEqual(systemd.show("hello.service", "Result"), "success")

    def test_it_drains_for_longer_than_systemd_would_wait(self) -> None:
        systemd = self.started("hello.service", hello=SLOW_STOP)
        with systemd.connect() as client:
            client.setblocking(False)
            while select.select([], [client], [], 1)[1]:
                client.send(b"Michael\n" * 8192)
            systemd.systemctl("stop", "hello.service")
        systemd.wait_for(r"Connections aborted: 1\.")
        self.assertEqual(systemd.show("hello.service", "Result"), "success")

    def test_it_is_shut_in(self) -> None:
        self.assert_shut_in(self.started("hello.service"), "hello.service")

    def test_two_on_one_port(self) -> None:
        systemd = self.started("hello@.service", unit="hello@1.service")
        systemd.systemctl("start", "hello@2.service")
        self.assert_shut_in(systemd, "hello@2.service")
        systemd.systemctl("stop", "hello@1.service")
        self.greet(systemd)


class TLSTests(BootTestCase):
    SHIPPED = ("hello.service", "hello.service.d/tls.conf")

    def test_the_service_gets_files_that_root_alone_may_read(self) -> None:
        authority = Authority()
        systemd = self.boot(*self.SHIPPED)
        key, mark, certificate = authority.issue(dns("localhost")).pem.partition(b"-----BEGIN CERT")
        for name, data in (("key.pem", key), ("certificate.pem", mark + certificate)):
            script = 'mkdir -p /etc/hello; printf %s "$2" >"/etc/hello/$1"; chmod 600 /etc/hello/*'
            self.assertEqual(systemd.run("sh", "-c", script, "-", name, data.decode()).stderr, "")
        systemd.systemctl("start", "hello.service")
        self.greet(systemd)
        trust = ssl.create_default_context(cadata=authority.pem.decode())
        with trust.wrap_socket(systemd.connect(9443), server_hostname="localhost") as client:
            self.assertEqual(client.recv(8), b"Welcome!")
        systemd.systemctl("reload", "hello.service")
        systemd.wait_for(r"Reloaded tls certificate \(valid until")
        self.assert_shut_in(systemd, "hello.service")


class SocketTests(BootTestCase):
    SHIPPED = ("hello.service", "hello.service.d/socket.conf", "hello.socket")

    def test_the_first_connection_starts_it_without_a_network(self) -> None:
        systemd = self.started(*self.SHIPPED, unit="hello.socket")
        self.assertEqual(systemd.show("hello.service", "ActiveState"), "inactive")
        self.greet(systemd)
        self.assertEqual(systemd.show("hello.service", "ActiveState"), "active")
        pid = systemd.show("hello.service", "MainPID")
        networks = {systemd.run("readlink", f"/proc/{p}/ns/net").stdout for p in ("1", pid)}
        self.assertEqual(len(networks), 2)

    def assert_a_restart_loses_nobody(self, **drop_ins: str) -> None:
        systemd = self.started(*self.SHIPPED, unit="hello.service", **drop_ins)
        pid = systemd.show("hello.service", "MainPID")
        served = 0
        with ThreadPoolExecutor(1) as other:
            restart = other.submit(systemd.systemctl, "restart", "hello.service")
            while not restart.done():
                with systemd.connect() as client:
                    self.assertEqual(client.recv(8), b"Welcome!")
                served += 1
            restart.result()
        self.greet(systemd)
        self.assertGreater(served, 1)
        self.assertNotEqual(systemd.show("hello.service", "MainPID"), pid)

    def test_a_restart_loses_nobody(self) -> None:
        self.assert_a_restart_loses_nobody()

    def test_a_restart_on_uvloop_loses_nobody(self) -> None:
        self.assert_a_restart_loses_nobody(hello=ON_UVLOOP)
