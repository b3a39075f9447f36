import errno
import socket
from tempfile import TemporaryDirectory
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.internet.tcp import makeBinding
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from hello_service.address import address_text
from hello_service.daemon.balancers import balancers
from hello_service.daemon.endpoints import MAXIMUM_BACKLOG, server_endpoint
from hello_service.daemon.limits import ExhaustionService
from hello_service.daemon.listening import CannotListen
from hello_service.daemon.notify import Notifier
from hello_service.daemon.service import DaemonService
from hello_service.daemon.settings import Settings
from tests.connections import Echo, EchoFactory, HalfCloseTransport
from tests.daemon.test_listening import SlowEndpoint
from tests.processes import free_port

READY = b"GET /readyz HTTP/1.1\r\n\r\n"


class DaemonServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()

    def service(self, settings: Settings | None = None, **arguments: Any) -> DaemonService:
        """Make a service of the protocol that echoes."""
        return DaemonService(self.reactor, EchoFactory(self.reactor), settings, **arguments)

    def listen(self, **settings: Any) -> tuple[Any, ...]:
        """Start a service; return its only server's port, factory, backlog and interface."""
        self.service(Settings(**settings)).startService()
        (server,) = self.reactor.tcpServers
        found: tuple[Any, ...] = server
        return found

    def test_the_tutorials_place(self) -> None:
        port, factory, backlog, interface = self.listen()
        self.assertEqual((port, backlog, interface), (9999, MAXIMUM_BACKLOG, "127.0.0.1"))
        self.assertIsInstance(factory.buildProtocol(None), Echo)

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
        self.service(Settings(listen=["tcp:1", "tcp6:2"])).startService()
        self.assertEqual([server[0] for server in self.reactor.tcpServers], [1, 2])

    def test_an_endpoint_given_twice(self) -> None:
        self.service(Settings(listen=["tcp:1", "tcp:1"])).startService()
        self.assertEqual(len(self.reactor.tcpServers), 2)

    def test_a_wrong_endpoint(self) -> None:
        self.assertRaises(ValueError, self.service, Settings(listen=["nosuch:1"]))

    def connect(self, factory: Any, host: str = "192.0.2.1") -> HalfCloseTransport:
        transport = HalfCloseTransport()
        factory.buildProtocol(IPv4Address("TCP", host, 1)).makeConnection(transport)
        return transport

    def test_limits(self) -> None:
        factory = self.listen(max_connections=3, max_per_host=2)[1]
        hosts = ("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3")
        refused = [self.connect(factory, host).disconnected for host in hosts]
        self.assertEqual(refused, [False, False, True, False, True])

    def test_a_port_that_is_not_twisteds_reads_no_proxy_headers(self) -> None:
        service = self.service(Settings(proxy_from=balancers("127.0.0.1")))
        error = self.assertRaises(CannotListen, service.startService)
        self.assertEqual(
            str(error),
            "Cannot listen on tcp:9999:interface=127.0.0.1: it cannot read PROXY headers: listen"
            " on tcp: for them.",
        )

    def test_two_that_read_proxy_headers(self) -> None:
        told = Settings(listen=["tcp:1", "HAProxy:tcp:2"], proxy_from=balancers("127.0.0.1"))
        error = self.assertRaises(ValueError, self.service, told)
        self.assertEqual(
            str(error),
            "Cannot listen on 'HAProxy:tcp:2': leave haproxy: out, for --proxy-from has the PROXY"
            " header read already.",
        )

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
        service = self.service(Settings(drain_delay=3.0, drain_timeout=4.0))
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
        for name, before in (("", ""), ("web-1", "web-1: ")):
            with self.subTest(name):
                self.setUp()
                told = [f"{before}Connections: {rest}" for rest in ("0", "1", "1, draining")]
                self.assertEqual(self.statuses(name), told)

    def statuses(self, name: str) -> list[str]:
        """Return what the service manager is told, one connection long."""
        told: list[str] = []

        class Told(Notifier):
            def __init__(self) -> None:
                super().__init__()
                self.active = True

            def status(self, text: str) -> None:
                told.append(text)

        service = self.service(Settings(name=name), notifier=Told())
        service.startService()
        self.connect(self.reactor.tcpServers[0][1])
        self.reactor.advance(1)
        service.stopService()
        self.reactor.advance(1)
        return told

    def test_the_name_in_the_log(self) -> None:
        for name, fields in (("", {}), ("web-1", {"name": "web-1"})):
            with self.subTest(name), capturedLogs() as events:
                self.setUp()
                factory = self.listen(name=name)[1]
                protocol = factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1))
                protocol.makeConnection(HalfCloseTransport())
                protocol.connectionLost()
                told = [
                    (event["event"], {"name": event["name"]} if "name" in event else {})
                    for event in events
                ]
                kinds = ("listening", "accepted", "closed")
                self.assertEqual(told, [(kind, fields) for kind in kinds])

    def test_says_that_it_waits(self) -> None:
        with capturedLogs() as events:
            self.listen()
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["Listening on 0.0.0.0:9999."],
        )

    def test_inherited_endpoints(self) -> None:
        inherited = [("descriptor 3", server_endpoint(self.reactor, "tcp:3"))]
        self.service(inherited=inherited).startService()
        self.assertEqual([server[0] for server in self.reactor.tcpServers], [3])

    def test_tells_nothing_before_the_reactor_runs(self) -> None:
        told: list[str] = []

        class Told(Notifier):
            def ready(self) -> None:
                told.append("ready")

        self.service(notifier=Told()).startService()
        self.assertEqual(told, [])
        self.reactor.run()
        self.assertEqual(told, ["ready"])

    def test_waits_while_no_descriptor_is_left(self) -> None:
        service = self.service()
        self.assertEqual(len([part for part in service if isinstance(part, ExhaustionService)]), 1)

    def test_tells_once_all_listen_and_the_reactor_runs(self) -> None:
        told: list[str] = []

        class Told(Notifier):
            def ready(self) -> None:
                told.append("ready")

        slow = SlowEndpoint()
        inherited = [("a", server_endpoint(self.reactor, "tcp:1")), ("b", slow)]
        self.service(inherited=inherited, notifier=Told()).startService()
        self.reactor.run()
        self.assertEqual(told, [])
        slow.outcome.callback(self.successResultOf(inherited[0][1].listen(Factory())))
        self.assertEqual(told, ["ready"])

    def beside(self, **settings: Any) -> DaemonService:
        """Start a service with a status and an agent port."""
        service = self.service(Settings(status="tcp:1", agent="tcp:2", **settings))
        service.startService()
        return service

    def ask(self, place: int, said: bytes = b"") -> bytes:
        """Connect to the server at some place in their order; return what it answers."""
        transport = HalfCloseTransport()
        factory: Any = self.reactor.tcpServers[place][1]
        protocol = factory.buildProtocol(None)
        protocol.makeConnection(transport)
        if said:
            protocol.dataReceived(said)
        answer: bytes = transport.value()
        return answer

    def test_who_watches_it_is_served_first(self) -> None:
        with capturedLogs() as events:
            self.beside()
        self.assertEqual([server[0] for server in self.reactor.tcpServers], [1, 2, 9999])
        named = [event.get("event") for event in events]
        self.assertEqual(named, ["status", "agent", "listening"])

    def test_who_watches_it_sees_it_drain(self) -> None:
        service = self.beside(drain_delay=3.0, max_connections=1, name="web-1")
        for _ in range(2):
            self.connect(self.reactor.tcpServers[2][1])
        self.assertIn(b"200 OK", self.ask(0, READY))
        self.assertEqual(self.ask(1), b"up ready\n")
        metrics = self.ask(0, READY.replace(b"readyz", b"metrics"))
        for line in (
            b'daemon_build_info{name="web-1",reactor="MemoryReactorClock",version=""} 1.0',
            b"daemon_draining 0.0",
            b"daemon_max_connections 1.0",
            b"daemon_start_time_seconds 0.0",
            b"daemon_connections_open 1.0",
            b'daemon_connections_refused_total{limit="total"} 1.0',
        ):
            self.assertIn(line, metrics)
        self.assertNotIn(b"certificate", metrics)
        service.stopService()
        self.assertIn(b"503 ", self.ask(0, READY))
        self.assertIn(b"daemon_draining 1.0", self.ask(0, READY.replace(b"readyz", b"metrics")))
        self.assertEqual(self.ask(1), b"drain\n")
        service.hurry()

    def test_a_wrong_endpoint_of_who_watches_it(self) -> None:
        for settings in (Settings(status="nosuch:1"), Settings(agent="nosuch:1")):
            self.assertRaises(ValueError, self.service, settings)

    def test_bytes_are_shown_on_this_machine_alone(self) -> None:
        self.service(Settings(status="tcp:1:interface=127.0.0.1", status_bytes=True))
        for place in (None, "tcp:1", "tcp:1:interface=192.0.2.1"):
            error = self.assertRaises(
                ValueError, self.service, Settings(status=place, status_bytes=True)
            )
            self.assertIn("give --status an endpoint that only this machine reaches", str(error))

    def test_the_page_follows_its_connections(self) -> None:
        self.beside(name="web-1")
        self.connect(self.reactor.tcpServers[2][1])
        told = self.ask(0, READY.replace(b"readyz", b"events"))
        for part in (
            b'"name":"web-1"',
            b'"reactor":"MemoryReactorClock"',
            b'"bytes":false',
            b'"peer":"192.0.2.1:1"',
        ):
            self.assertIn(part, told)

    def failing(self) -> DaemonService:
        """Make a service that cannot listen."""
        endpoint = SlowEndpoint()
        endpoint.outcome.errback(Failure(OSError(errno.EIO, "broken")))
        return self.service(inherited=[("here", endpoint)], page="docs/page.md")

    def test_cannot_listen_and_then_nothing_runs(self) -> None:
        raised = self.assertRaises(CannotListen, self.failing().startService)
        self.assertRegex(str(raised), r"^Cannot listen on here: .*broken.* See docs/page.md#")
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertFalse(self.reactor.hasStopped)

    def test_cannot_listen_under_a_parent(self) -> None:
        parent = MultiService()
        parent.startService()
        self.assertRaises(CannotListen, self.failing().setServiceParent, parent)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertFalse(self.reactor.hasStopped)

    def test_an_endpoint_that_fails_later(self) -> None:
        failed: list[CannotListen] = []
        for tell in (lambda _: None, failed.append):
            slow = SlowEndpoint()
            service = self.service(inherited=[("here", slow)], failed=tell)
            service.startService()
            slow.outcome.errback(Failure(OSError(errno.EIO, "broken")))
            self.assertTrue(service.running)
        self.assertEqual(len(failed), 1)


class PortsTests(TestCase):
    async def test_a_busy_place_beside_it_and_then_nothing_listens(self) -> None:
        from twisted.internet import reactor

        with socket.create_server(("127.0.0.1", 0)) as busy:
            place = f"tcp:{busy.getsockname()[1]}:interface=127.0.0.1"
            free = "tcp:0:interface=127.0.0.1"
            service = DaemonService(
                reactor, EchoFactory(reactor), Settings(port=0, status=free, agent=place)
            )
            for start in (service.privilegedStartService, service.startService):
                with capturedLogs() as events:
                    error = self.assertRaises(CannotListen, start)
                self.assertIn("is in use by another program", str(error))
                status = next(event for event in events if event.get("event") == "status")
                host, _, port = status["address"].rpartition(":")
                await deferLater(reactor, 0)
                self.assertRaises(ConnectionRefusedError, socket.create_connection, (host, port))

    async def test_two_that_want_one_place(self) -> None:
        from twisted.internet import reactor

        folder = self.enterContext(TemporaryDirectory())
        for place in (f"tcp:{free_port()}:interface=127.0.0.1", f"unix:{folder}/sock"):
            for settings in (
                Settings(listen=[place], status=place),
                Settings(listen=[place], agent=place),
                Settings(port=0, status=place, agent=place),
            ):
                service = DaemonService(reactor, EchoFactory(reactor), settings)
                error = self.assertRaises(CannotListen, service.startService)
                self.assertIn(f"which listens on {place} already: let one of the two", str(error))
                await deferLater(reactor, 0)

    async def test_the_ports_that_it_listens_on(self) -> None:
        from twisted.internet import reactor

        service = DaemonService(
            reactor, EchoFactory(reactor), Settings(listen=["tcp:0:interface=127.0.0.1"] * 2)
        )
        self.assertEqual(service.ports, [])
        service.startService()
        one, other = (address_text(port.getHost()) for port in service.ports)
        self.assertNotEqual(one, other)
        await service.stopService()
        self.assertEqual(service.ports, [])
