import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.endpoints import TCP6ServerEndpoint, quoteStringArgument
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon import endpoints
from hello_service.daemon.endpoints import (
    MAXIMUM_BACKLOG,
    interface_address,
    is_private,
    server_endpoint,
    shared_endpoint,
)
from hello_service.daemon.unix_sockets import UNIXEndpoint
from hello_service.values import BadValue
from tests.certificates import certificate_pem
from tests.processes import run


def listen(description: str, *backlog: int) -> tuple[Any, ...]:
    """Listen on an endpoint; return port, backlog and interface."""
    reactor = MemoryReactor()
    server_endpoint(reactor, description, *backlog).listen(Factory())
    ((port, _, waiting, interface),) = reactor.tcpServers
    return port, waiting, interface


class ServerEndpointTests(SynchronousTestCase):
    def test_backlog(self) -> None:
        self.assertEqual(listen("tcp:9999"), (9999, MAXIMUM_BACKLOG, ""))
        self.assertEqual(listen("tcp:9999", 7), (9999, 7, ""))
        self.assertEqual(listen("tcp6:9999", 7), (9999, 7, "::"))

    def test_its_own_backlog_wins(self) -> None:
        self.assertEqual(listen("tcp:9999:backlog=5", 7), (9999, 5, ""))
        self.assertEqual(listen("tcp:9999:127.0.0.1:5", 7), (9999, 5, "127.0.0.1"))

    def test_addresses(self) -> None:
        for written, interface in (
            ("tcp:1:interface=", ""),
            (r"tcp:1:interface=\:\:1", "::1"),
            (r"tcp6:1:interface=[\:\:1]", "::1"),
            (r"tcp6:1:interface=fe80\:\:1%lo", "fe80::1%lo"),
            ("TCP:1:interface=0.0.0.0", "0.0.0.0"),
        ):
            self.assertEqual(listen(written)[2], interface)

    def test_behind_haproxy(self) -> None:
        with capturedLogs() as events:
            self.assertEqual(listen("haproxy:tcp:9999", 7), (9999, 7, ""))
        self.assertEqual([event["log_level"] for event in events], [LogLevel.warn])
        self.assertTrue(formatEvent(events[0]).startswith("Use --proxy-from in place of haproxy:,"))
        self.assertEqual(listen(r"haproxy:tcp6:9999:interface=\:\:1", 7), (9999, 7, "::1"))

    def test_unix(self) -> None:
        self.assertIsInstance(server_endpoint(MemoryReactor(), "unix:/run/h:660"), UNIXEndpoint)

    def test_a_kind_that_only_a_plugin_knows(self) -> None:
        self.patch(endpoints, "_PARTS", {})
        self.assertIsInstance(server_endpoint(MemoryReactor(), "tcp6:1"), TCP6ServerEndpoint)
        self.assert_wrong("tcp6:http", "tcp6 does not take this")

    def assert_wrong(self, description: str, *words: str) -> str:
        sentence = str(self.assertRaises(ValueError, server_endpoint, None, description))
        self.assertRegex(sentence, r"\A[^\n]+[^.]\.\Z")
        for word in (f"Cannot listen on '{description}': ", *words):
            self.assertIn(word, sentence)
        return sentence

    def test_no_such_kind(self) -> None:
        for description in ("", ":", "9999", "nosuch:1", "stdio:", "haproxy", "haproxy:nosuch:1"):
            self.assert_wrong(
                description, "haproxy, ssl, systemd, tcp, tcp6, tls, unix:", "tcp:9999"
            )

    def test_ports(self) -> None:
        for kind in ("tcp", "tcp6", "ssl", "haproxy:tcp"):
            self.assert_wrong(kind, "the port is missing")
            for port in ("", "http", "65536", "-1", "+1", "1_0", "²", "1.5", "9" * 5000):
                self.assert_wrong(
                    f"{kind}:port={port}", f"port '{port}' is not a number from 0 to 6"
                )
        self.assert_wrong("tcp:127.0.0.1:9999", "port '127.0.0.1' is no", "interface=127.0.0.1")
        self.assert_wrong("tls:/:http", "port 'http'")

    def test_backlogs(self) -> None:
        for backlog in ("", "0", "-1", "many", "2147483648", "1" + "0" * 15):
            for place in ("tcp:1", "unix:/run/h"):
                self.assert_wrong(
                    f"{place}:backlog={backlog}", f"backlog '{backlog}' is not a number"
                )

    def test_interfaces(self) -> None:
        self.assert_wrong("tcp:1:interface=127.1", "'127.1' is not an address")
        self.assert_wrong(r"tcp:1:interface=127.0.0.1\:9", "an address and a port")
        self.assert_wrong("tcp6:1:interface=127.0.0.1", "tcp6 takes an IPv6 address")
        self.assert_wrong("tcp6:1:interface=::1", r"interface=\:\:1")

    def test_an_address_in_place_of_a_kind(self) -> None:
        self.assert_wrong("127.0.0.1:80", "like tcp:9999 or tcp:80:interface=127.0.0.1.")
        self.assert_wrong("127.0.0.1", "like tcp:9999 or tcp:9999:interface=127.0.0.1.")
        self.assert_wrong("nosuch:80", "like tcp:9999 or unix:/run/name.sock.")

    def test_parts(self) -> None:
        self.assert_wrong("tcp:1:nosuch=1", "no 'nosuch='", "port, interface and backlog")
        self.assert_wrong("tcp:1:=", "no '='")
        self.assert_wrong("tcp:1:::1", "too many parts", r"a colon within a value is written \:")
        self.assert_wrong("tcp:1:port=2", "twice")
        self.assert_wrong("tcp:1\\", "backslash")

    def test_colons_in_paths(self) -> None:
        self.assert_wrong("unix:/run/a:b", "mode=b", r"a colon within a value is written \:")
        self.assert_wrong("ssl:1:privateKey=/etc/a:b", "'b'", r"a colon within a value is written")
        self.assertNotIn("colon", self.assert_wrong("unix:/run/a:mode=b", "mode=b"))

    def test_what_twisted_refuses_beyond_that(self) -> None:
        # The system counts no socket's index that high, and Twisted not so many digits.
        self.assert_wrong(f"systemd:INET:index={'9' * 5000}", "systemd does not take this")

    def test_systemd(self) -> None:
        for description in ("systemd:domain=INET:index=7", "systemd:domain=INET:name=hello"):
            self.assert_wrong(description, "systemd-socket-activate")
        for description in (
            "systemd",
            "systemd:INET",
            "systemd:index=0",
            "systemd:INET:index=0:name=a",
        ):
            self.assert_wrong(description, "a domain and either an index or a name")
        self.assert_wrong("systemd:NOSUCH:index=0", "'NOSUCH' is not INET, INET6 or UNIX")
        for index in ("", "a", "-1", "²"):
            self.assert_wrong(f"systemd:INET:index={index}", f"index '{index}' is not a number")


class TLSEndpointTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = Path(self.enterContext(TemporaryDirectory()))
        self.key = folder / "server.pem"
        self.key.write_bytes(certificate_pem("localhost"))

    def assert_wrong(self, description: str, words: str) -> None:
        error = self.assertRaises(ValueError, server_endpoint, MemoryReactor(), description)
        self.assertIn(words, str(error))

    def test_ssl(self) -> None:
        reactor = MemoryReactor()
        place = f"ssl:1:privateKey={quoteStringArgument(str(self.key))}"
        server_endpoint(reactor, place, 7).listen(Factory())
        self.assertEqual((reactor.sslServers[0][0], reactor.sslServers[0][3]), (1, 7))
        server_endpoint(reactor, f"{place}:sslmethod=TLS_METHOD")
        self.assert_wrong(f"{place}:sslmethod=nosuch", "sslmethod 'nosuch'")
        self.assert_wrong(f"{place}:sslmethod=Context", "sslmethod 'Context'")
        self.assert_wrong("ssl:1:privateKey=nosuch", "privateKey=nosuch is not there")

    def test_tls(self) -> None:
        server_endpoint(MemoryReactor(), f"tls:{self.key.parent}:1")
        self.assert_wrong("tls", "the folder of its keys is missing")
        self.assert_wrong("tls:", "the folder of its keys is missing")
        self.assert_wrong("tls:nosuch", "path=nosuch is not a folder")
        (self.key.parent / "bad.pem").write_text("-----BEGIN CERTIFICATE-----\n")
        self.assert_wrong(f"tls:{self.key.parent}", "the endpoint tls does not take this")

    def test_without_its_extra(self) -> None:
        for place in ("ssl:443", "tls:/etc/keys:443"):
            told = run(
                sys.executable,
                "-c",
                "import sys; sys.modules['OpenSSL'] = None\n"
                "from hello_service.daemon.endpoints import server_endpoint\n"
                "try: server_endpoint(None, sys.argv[1])\n"
                "except ValueError as error: print(error)",
                place,
            )
            self.assertIn("pip install 'twisted[tls]'", told.stdout, told.stderr)


class SharedEndpointTests(SynchronousTestCase):
    def test_two_may_listen(self) -> None:
        for interface in ("127.0.0.1", "::1"):
            reactor = MemoryReactor()
            shared_endpoint(reactor, 1, interface, 5).listen(Factory())
            server: Any = reactor.tcpServers[0]
            binding, _, backlog, where = server
            self.assertTrue(binding._reusePort)
            self.assertEqual((backlog, where), (5, interface))


class InterfaceAddressTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        for text, address in (
            ("127.0.0.1", "127.0.0.1"),
            ("0.0.0.0", "0.0.0.0"),
            ("::", "::"),
            ("[::1]", "::1"),
            ("fe80::1%eth0", "fe80::1%eth0"),
            ("::ffff:127.0.0.1", "::ffff:127.0.0.1"),
            ("localhost", "localhost"),
            ("nosuch.invalid", "nosuch.invalid"),
        ):
            self.assertEqual(interface_address(text), address)

    def test_what_is_none(self) -> None:
        for text in (
            "", "::1:x", "localhost:9999", "127.0.0.256", "127.1",
            "[::1", "[localhost]", "http://127.0.0.1", ":9999", "*", "[]", "[::1]:", "1\x1b",
        ):  # fmt: skip
            error = self.assertRaises(BadValue, interface_address, text)
            self.assertIn("is not an address: write an IPv4 or IPv6 address", str(error))
            self.assertTrue(str(error).isprintable())

    def test_a_port_with_it(self) -> None:
        for text, address in (
            ("127.0.0.1:9999", "127.0.0.1"),
            ("[::1]:9999", "::1"),
            ("0.0.0.0:9999", "0.0.0.0"),
        ):
            error = self.assertRaises(BadValue, interface_address, text)
            self.assertIn("--port 9999", str(error))
            self.assertIn(f"only {address} here", str(error))


class PrivateTests(SynchronousTestCase):
    def test_whom_only_this_machine_reaches(self) -> None:
        for place in (
            "tcp:1:interface=127.0.0.1",
            "TCP:1:127.9.9.9",
            "tcp:port=1:interface=localhost",
            r"tcp6:1:interface=\:\:1",
            r"tcp:1:interface=[\:\:1]",
            "unix:/run/x",
        ):
            self.assertTrue(is_private(place), place)

    def test_whom_others_may_reach(self) -> None:
        for place in (
            "tcp:1",
            "tcp6:1",
            "tcp:1:interface=0.0.0.0",
            "tcp:1:interface=10.127.0.0",
            "tcp:1:interface=127.example",
            r"tcp6:1:interface=\:\:",
            "systemd:domain=INET:name=status",
            "haproxy:tcp:1:interface=127.0.0.1",
            "ssl:1:interface=127.0.0.1",
        ):
            self.assertFalse(is_private(place), place)
