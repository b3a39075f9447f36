import os
import resource
import signal
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from twisted.application.service import IServiceMaker
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory
from twisted.internet.tcp import makeBinding
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.plugin import getPlugins
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase, TestCase

from hello_service import __version__
from hello_service.conversation import Framing
from hello_service.daemon.limits import RESERVE
from hello_service.daemon.listening import MAXIMUM_BACKLOG, server_endpoint
from hello_service.daemon.notify import Notifier
from hello_service.server import HelloProtocol
from hello_service.service import Options, build, makeService, sockets_to_adopt
from tests.daemon.test_listening import SlowEndpoint
from tests.test_server import HalfCloseTransport


def parsed(*arguments: str) -> Options:
    options = Options()
    options.parseOptions(arguments)
    return options


class OptionsTests(SynchronousTestCase):
    def test_what_was_given(self) -> None:
        options = parsed(
            *("--port", "0", "--interface", "::", "--backlog", "5"),
            *("--framing", "line", "--delay", "0.5"),
            *("--max-connections", "7", "--max-per-host", "3"),
            *("--idle-timeout", "60", "--max-lifetime", "3600.5"),
            *("--drain-delay", "0", "--drain-timeout", "20"),
        )
        self.assertEqual(
            options,
            {
                "port": 0,
                "interface": "::",
                "backlog": 5,
                "framing": Framing.LINE,
                "delay": 0.5,
                "max-connections": 7,
                "max-per-host": 3,
                "idle-timeout": 60.0,
                "max-lifetime": 3600.5,
                "drain-delay": 0.0,
                "drain-timeout": 20.0,
                "listen": [],
                "reuse-port": False,
            },
        )

    def test_nothing_given(self) -> None:
        options = parsed()
        self.assertEqual((options.pop("listen"), options.pop("reuse-port")), ([], False))
        self.assertEqual(set(options.values()), {None})

    def test_listen_repeats(self) -> None:
        self.assertEqual(parsed("--listen=tcp:1", "--listen=unix:a")["listen"], ["tcp:1", "unix:a"])
        self.assertEqual(parsed()["listen"], [])

    def test_wrong_uses(self) -> None:
        for arguments in (
            ["--port", "65536"],
            ["--port", "http"],
            ["--port", "-1"],
            ["--interface", ""],
            ["--backlog", "0"],
            ["--framing", "json"],
            ["--delay", "-1"],
            ["--delay", "nan"],
            ["--max-connections", "0"],
            ["--max-per-host", "0"],
            ["--idle-timeout", "0"],
            ["--max-lifetime", "0"],
            ["--drain-delay", "-1"],
            ["--drain-timeout", "inf"],
            ["--listen", "tcp:1", "--port", "0"],
            ["--listen", "tcp:1", "--interface", "::"],
            ["--listen", "tcp:1", "--reuse-port"],
            ["--nosuch"],
            ["stray"],
        ):
            self.assertRaises(UsageError, parsed, *arguments)

    def test_version(self) -> None:
        output = StringIO()
        with redirect_stdout(output):
            self.assertFalse(self.assertRaises(SystemExit, parsed, "--version").code)
        self.assertEqual(output.getvalue(), f"hello_service {__version__}\n")


class BuildTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()

    def listen(self, **arguments: Any) -> tuple[Any, ...]:
        """Start a service; return its only server's port, factory, backlog and interface."""
        build(self.reactor, **arguments).startService()
        (server,) = self.reactor.tcpServers
        found: tuple[Any, ...] = server
        return found

    def test_the_tutorials_place(self) -> None:
        port, factory, backlog, interface = self.listen()
        self.assertEqual((port, backlog, interface), (9999, MAXIMUM_BACKLOG, "127.0.0.1"))
        self.assertIsInstance(factory.buildProtocol(None), HelloProtocol)

    def test_another_place(self) -> None:
        port, _, backlog, interface = self.listen(port=0, interface="0.0.0.0", backlog=5)
        self.assertEqual((port, backlog, interface), (0, 5, "0.0.0.0"))

    def test_ipv6(self) -> None:
        self.assertEqual(self.listen(interface="::1")[3], "::1")

    def test_a_shared_port(self) -> None:
        for interface in ("127.0.0.1", "::1"):
            with self.subTest(interface):
                self.setUp()
                port, _, backlog, where = self.listen(
                    port=1, interface=interface, backlog=5, reuse_port=True
                )
                shared = makeBinding(interface, 1, reuseAddress=True, reusePort=True)
                self.assertEqual((port, backlog, where), (shared, 5, interface))

    def test_endpoints(self) -> None:
        build(self.reactor, listen=["tcp:1", "unix:/run/hello"]).startService()
        self.assertEqual(len(self.reactor.tcpServers), 1)
        self.assertEqual(self.reactor.unixServers[0][0], "/run/hello")

    def test_an_endpoint_given_twice(self) -> None:
        build(self.reactor, listen=["tcp:1", "tcp:1"]).startService()
        self.assertEqual(len(self.reactor.tcpServers), 2)

    def test_a_wrong_endpoint(self) -> None:
        self.assertRaises(ValueError, build, self.reactor, listen=["nosuch:1"])

    def test_framing_and_delay(self) -> None:
        factory = self.listen(framing=Framing.LINE, delay=1.0)[1]
        transport = HalfCloseTransport()
        protocol = factory.buildProtocol(None)
        protocol.makeConnection(transport)
        self.assertEqual(transport.value(), b"Welcome!\r\n")
        protocol.dataReceived(b"a\n")
        self.reactor.advance(1)
        self.assertEqual(transport.value(), b"Welcome!\r\nHello, a!\n")

    def connect(self, factory: Any, host: str = "192.0.2.1") -> HalfCloseTransport:
        transport = HalfCloseTransport()
        factory.buildProtocol(IPv4Address("TCP", host, 1)).makeConnection(transport)
        return transport

    def test_limits(self) -> None:
        factory = self.listen(max_connections=3, max_per_host=2)[1]
        hosts = ("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3")
        refused = [self.connect(factory, host).disconnected for host in hosts]
        self.assertEqual(refused, [False, False, True, False, True])

    def test_time_limits(self) -> None:
        for limit in ("idle_timeout", "max_lifetime"):
            with self.subTest(limit):
                self.setUp()
                transport = self.connect(self.listen(**{limit: 40.0})[1])
                self.reactor.pump([1] * 39)
                self.assertFalse(transport.half_closed)
                self.reactor.pump([1] * 2)
                self.assertTrue(transport.half_closed)

    def test_stops(self) -> None:
        service = build(self.reactor, drain_delay=3.0, drain_timeout=4.0)
        service.startService()
        transport = self.connect(self.reactor.tcpServers[0][1])
        service.stopService()
        self.reactor.advance(2.9)
        self.assertFalse(transport.half_closed)
        self.reactor.advance(0.1)
        self.assertTrue(transport.half_closed)
        self.reactor.advance(3.9)
        self.assertFalse(transport.disconnected)
        self.reactor.advance(0.1)
        self.assertTrue(transport.disconnected)

    def test_the_status(self) -> None:
        told: list[str] = []

        class Told(Notifier):
            def __init__(self) -> None:
                super().__init__()
                self.active = True

            def status(self, text: str) -> None:
                told.append(text)

        service = build(self.reactor, notifier=Told())
        service.startService()
        self.connect(self.reactor.tcpServers[0][1])
        self.reactor.advance(1)
        service.stopService()
        self.reactor.advance(1)
        self.assertEqual(
            told, ["Conversations: 0", "Conversations: 1", "Conversations: 1, draining"]
        )

    def test_says_that_it_waits(self) -> None:
        with capturedLogs() as events:
            self.listen()
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["Waiting for connection... (listening on 0.0.0.0:9999)"],
        )

    def test_inherited_endpoints(self) -> None:
        inherited = [("descriptor 3", server_endpoint(self.reactor, "unix:/run/hello"))]
        build(self.reactor, inherited=inherited).startService()
        self.assertEqual(self.reactor.unixServers[0][0], "/run/hello")
        self.assertEqual(self.reactor.tcpServers, [])

    def test_tells_once_all_listen_and_the_reactor_runs(self) -> None:
        told: list[str] = []

        class Told(Notifier):
            def ready(self) -> None:
                told.append("ready")

        slow = SlowEndpoint()
        inherited = [("a", server_endpoint(self.reactor, "tcp:1")), ("b", slow)]
        build(self.reactor, inherited=inherited, notifier=Told()).startService()
        self.reactor.run()
        self.assertEqual(told, [])
        slow.outcome.callback(self.successResultOf(inherited[0][1].listen(Factory())))
        self.assertEqual(told, ["ready"])


class SocketsToAdoptTests(SynchronousTestCase):
    def adopted(self, *arguments: str, names: str = "a:b") -> tuple[list[int], list[str]]:
        """Which descriptors of two are adopted, and what is logged."""
        environ = {
            "LISTEN_PID": str(os.getpid()),
            "LISTEN_FDS": str(len(names.split(":"))),
            "LISTEN_FDNAMES": names,
        }
        with capturedLogs() as events:
            found = sockets_to_adopt(parsed(*arguments), environ)
        return list(found), [formatEvent(event) for event in events]

    def test_all_of_them(self) -> None:
        self.assertEqual(self.adopted("--framing=line", "--backlog=5"), ([3, 4], []))

    def test_options_that_say_where_to_listen_win(self) -> None:
        for option in ("--port=0", "--interface=::", "--listen=tcp:0", "--reuse-port"):
            warning = (
                "Not used, for the options say where to listen: descriptor 3 (a), descriptor 4 (b)."
            )
            self.assertEqual(self.adopted(option), ([], [warning]))

    def test_an_endpoint_of_twisteds_uses_them(self) -> None:
        self.assertEqual(self.adopted("--listen=tcp:0", "--listen=systemd:INET:name=a"), ([], []))

    def test_none_inherited(self) -> None:
        for arguments in ((), ("--port=0",)):
            with capturedLogs() as events:
                self.assertEqual(sockets_to_adopt(parsed(*arguments), {}), {})
            self.assertEqual(events, [])


class PluginTests(TestCase):
    async def test_twistd_finds_it(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        (maker,) = [plugin for plugin in getPlugins(IServiceMaker) if plugin.tapname == "hello"]
        self.assertIs(maker.options, Options)
        service = maker.makeService(parsed("--port", "0"))
        with capturedLogs() as events:
            service.startService()
        await service.stopService()
        self.assertIn("127.0.0.1:", events[-1]["address"])

    def test_more_connections_than_descriptors_end_the_process(self) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        options = parsed("--port=0", f"--max-connections={hard}")
        raised = self.assertRaises(SystemExit, makeService, options)
        self.assertIn(f"{hard - RESERVE} at most", str(raised.code))

    def test_a_wrong_endpoint_ends_the_process(self) -> None:
        raised = self.assertRaises(SystemExit, makeService, parsed("--listen", "nosuch:1"))
        self.assertIn("'nosuch:1' is not an endpoint", str(raised.code))
