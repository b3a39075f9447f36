import errno
import socket
from typing import Any, cast

from twisted.internet import reactor, tcp
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.testing import MemoryReactor
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from hello_service.daemon.endpoints import server_endpoint
from hello_service.daemon.listening import CannotListen, ListeningService
from hello_service.daemon.obstacles import Obstacle, Unusable
from tests.daemon.test_accepting import Descriptors


@implementer(IStreamServerEndpoint)
class SlowEndpoint:
    """Listens when the test says so."""

    def __init__(self) -> None:
        self.outcome: Deferred[IListeningPort] = Deferred()
        self.attempts = 0

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        self.attempts += 1
        return self.outcome


class NotedPort:
    """Notes what it is told to do."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def startReading(self) -> None:
        self.told.append("start")

    def stopReading(self) -> None:
        self.told.append("stop")

    def stopListening(self) -> None:
        self.told.append("end")

    def getHost(self) -> None:
        """It is nowhere."""


class ListeningServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactor()
        self.failures: list[CannotListen] = []
        self.ports: list[IListeningPort] = []

    def service(self, **endpoints: IStreamServerEndpoint) -> ListeningService:
        return ListeningService(
            list(endpoints.items()), Factory(), self.ports.append, failed=self.failures.append
        )

    def test_listens_on_every_endpoint(self) -> None:
        service = self.service(
            a=server_endpoint(self.reactor, "tcp:80"), b=server_endpoint(self.reactor, "tcp:81")
        )
        service.privilegedStartService()
        self.assertEqual([server[0] for server in self.reactor.tcpServers], [80, 81])
        self.assertEqual(len(self.ports), 2)
        service.startService()
        self.assertEqual(len(self.ports), 2)
        self.assertTrue(service.running)

    def test_stops_listening_and_starts_again(self) -> None:
        service = self.service(a=server_endpoint(self.reactor, "tcp:80"))
        service.startService()
        self.successResultOf(service.stopService())
        self.assertFalse(service.running)
        self.assertEqual(len(self.ports), 1)
        service.startService()
        self.assertEqual(len(self.ports), 2)

    def test_pauses_and_resumes(self) -> None:
        port, endpoint = NotedPort(), SlowEndpoint()
        service = self.service(a=endpoint)
        service.startService()
        service.pause()
        self.assertEqual((port.told, service.paused), ([], 0))
        endpoint.outcome.callback(cast(IListeningPort, port))
        service.pause()
        self.assertEqual((port.told, service.paused), (["stop"], 1))
        service.resume()
        self.assertEqual((port.told, service.paused), (["stop", "start"], 0))
        service.pause()
        service.stopService()
        self.assertEqual(service.paused, 0)

    def test_one_that_cannot_stop_keeps_none_from_it(self) -> None:
        stopped: list[str] = []

        class Port:
            def stopListening(self) -> None:
                stopped.append("stopped")
                raise FileNotFoundError("hello.sock")

        service = self.service(a=SlowEndpoint(), b=SlowEndpoint())
        service.startService()
        for _, endpoint in service._endpoints:
            assert isinstance(endpoint, SlowEndpoint)
            endpoint.outcome.callback(cast(IListeningPort, Port()))
        with capturedLogs() as events:
            self.successResultOf(service.stopService())
        self.assertEqual(stopped, ["stopped"] * 2)
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["a is not cleaned up: hello.sock.", "b is not cleaned up: hello.sock."],
        )

    def start_failing(self, error: Exception, place: str = "tcp:9999") -> str:
        """Start a service whose endpoint fails; return the sentence."""
        endpoint = SlowEndpoint()
        endpoint.outcome.errback(Failure(error))
        service = ListeningService(
            [(place, endpoint)], Factory(), self.ports.append, page="docs/page.md"
        )
        with capturedLogs() as events:
            raised = self.assertRaises(CannotListen, service.startService)
        self.assertFalse(service.running)
        sentence = str(raised)
        self.assertNotIn("\n", sentence)
        self.assertEqual([event["sentence"] for event in events], [sentence])
        return sentence

    def test_the_reason_and_its_section(self) -> None:
        busy = CannotListenError("127.0.0.1", 80, OSError(errno.EADDRINUSE, "busy"))
        sentence = self.start_failing(busy)
        self.assertIn("127.0.0.1:80 is in use by another program", sentence)
        self.assertTrue(sentence.endswith(" See docs/page.md#in-use."), sentence)
        sentence = self.start_failing(Unusable("is red.", Obstacle.NOT_HERE))
        self.assertEqual(sentence, "tcp:9999 is red. See docs/page.md#not-here.")

    def test_two_of_its_own_that_collide(self) -> None:
        failing = SlowEndpoint()
        failing.outcome.errback(
            Failure(CannotListenError("::", 80, OSError(errno.EADDRINUSE, "busy")))
        )
        service = self.service(a=server_endpoint(self.reactor, "tcp:80"), b=failing)
        error = self.assertRaises(CannotListen, service.startService)
        self.assertIn("a and b collide", str(error))

    def test_then_none_listens(self) -> None:
        ports = [NotedPort(), NotedPort()]
        endpoints = {}
        for name, port in zip("ab", ports, strict=True):
            endpoints[name] = SlowEndpoint()
            endpoints[name].outcome.callback(cast(IListeningPort, port))
        slow, failing = SlowEndpoint(), SlowEndpoint()
        failing.outcome.errback(Failure(OSError(errno.EIO, "broken")))
        never = SlowEndpoint()
        service = self.service(**endpoints, slow=slow, failing=failing, never=never)
        self.assertRaises(CannotListen, service.startService)
        self.assertEqual([port.told for port in ports], [["end"]] * 2)
        self.assertTrue(slow.outcome.called)  # cancelled
        self.assertEqual((never.attempts, service.ports), (0, {}))

    def test_after_a_failure_it_can_start(self) -> None:
        failing, slow = SlowEndpoint(), SlowEndpoint()
        failing.outcome.errback(Failure(OSError(errno.EIO, "broken")))
        never = SlowEndpoint()
        service = self.service(
            a=server_endpoint(self.reactor, "tcp:80"), b=slow, c=failing, d=never
        )
        self.assertRaises(CannotListen, service.startService)
        failing.outcome = Deferred()
        service.startService()
        self.assertTrue(service.running)

    def test_an_endpoint_that_takes_its_time(self) -> None:
        endpoint = SlowEndpoint()
        service = self.service(a=endpoint)
        service.privilegedStartService()
        service.startService()
        self.assertEqual(endpoint.attempts, 1)
        with capturedLogs() as events:
            self.successResultOf(service.stopService())
        self.assertEqual(events, [])
        self.assertEqual(self.failures, [])

    def test_a_failure_between_the_two_steps_of_the_start(self) -> None:
        port, listening, failing = NotedPort(), SlowEndpoint(), SlowEndpoint()
        listening.outcome.callback(cast(IListeningPort, port))
        service = self.service(a=listening, b=failing)
        service.privilegedStartService()
        failing.outcome.errback(Failure(OSError(errno.EIO, "broken")))
        error = self.assertRaises(CannotListen, service.startService)
        self.assertIn("broken", str(error))
        self.assertEqual((port.told, service.running, self.failures), (["end"], False, []))

    def test_a_late_failure_is_told(self) -> None:
        endpoint = SlowEndpoint()
        self.service(a=endpoint).startService()
        with capturedLogs() as events:
            endpoint.outcome.errback(Failure(OSError(errno.EIO, "broken")))
        (failure,) = self.failures
        self.assertIn("broken", str(failure))
        self.assertEqual(events[0]["sentence"], str(failure))


class AcceptingTests(Descriptors, TestCase):
    """Real sockets, at the limit of descriptors."""

    def listen(self, count: int) -> tuple[ListeningService, list[Any]]:
        """Listen on so many ports until the test ends; return them, too."""
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        self.accepted: list[Any] = []
        factory = Factory.forProtocol(Protocol)
        factory.noisy = False
        build = factory.buildProtocol

        def note(address: IAddress) -> IProtocol | None:
            self.accepted.append(build(address))
            return self.accepted[-1]  # type: ignore[no-any-return]

        self.patch(factory, "buildProtocol", note)
        ports: list[Any] = []
        service = ListeningService([("a", endpoint)] * count, factory, ports.append)
        service.startService()
        self.addCleanup(service.stopService)
        self.addCleanup(self.end)
        return service, ports

    async def end(self) -> None:
        for protocol in self.accepted:
            protocol.transport.abortConnection()
        await deferLater(reactor, 0, lambda: None)

    def connect(self, port: Any, count: int) -> list[socket.socket]:
        """Have clients wait for a port to accept them."""
        address = (port.getHost().host, port.getHost().port)
        clients = [self.enterContext(socket.create_connection(address)) for _ in range(count)]
        for client in clients:
            client.setblocking(False)
        return clients

    def test_a_burst_waits_and_none_is_closed(self) -> None:
        service, ports = self.listen(2)
        clients = self.connect(ports[0], 20)
        self.leave(10)
        ports[0].doRead()
        first = len(self.accepted), service.paused
        ports[0].doRead()
        self.leave_all()  # a failure is told only if there are descriptors
        self.assertEqual(first, (10, 2))
        self.assertEqual(len(self.accepted), 10)
        for client in clients:
            self.assertRaises(BlockingIOError, client.recv, 1)
        service.resume()
        for _ in range(10):  # at least one each time
            ports[0].doRead()
        self.assertEqual((len(self.accepted), service.paused), (20, 0))

    async def test_a_port_that_accepts_in_its_own_way_keeps_its_socket(self) -> None:
        class Own(tcp.Port):
            def doRead(self) -> None:
                """Accept nobody."""

        port = Own(0, Factory.forProtocol(Protocol), interface="127.0.0.1", reactor=reactor)
        port.startListening()
        endpoint = SlowEndpoint()
        endpoint.outcome.callback(port)
        service = ListeningService([("a", endpoint)], Factory(), lambda _: None)
        service.startService()
        self.assertIsInstance(port.socket, socket.socket)
        await service.stopService()

    async def test_what_wraps_the_factory_of_a_port_is_below_its_tls(self) -> None:
        tls, within = Factory(), Factory.forProtocol(Protocol)
        port: Any = tcp.Port(0, tls, interface="127.0.0.1", reactor=reactor)
        port.startListening()
        endpoint = SlowEndpoint()
        endpoint.outcome.callback(port)
        wrapped: list[IProtocolFactory] = []

        def wrap(factory: IProtocolFactory) -> IProtocolFactory:
            wrapped.append(factory)
            return within

        service = ListeningService([("a", endpoint)], Factory(), lambda _: None, below=wrap)
        service.startService()
        self.assertEqual(wrapped, [tls])
        self.assertIs(port.factory.buildProtocol(None).factory, within)
        await service.stopService()

    async def test_started_again(self) -> None:
        service, ports = self.listen(1)
        await service.stopService()
        service.startService()
        self.connect(ports[-1], 5)
        self.leave(3)
        ports[-1].doRead()
        self.leave_all()
        self.assertEqual(len(self.accepted), 3)

    def test_none_left_at_all(self) -> None:
        service, (port,) = self.listen(1)
        (client,) = self.connect(port, 1)
        self.leave(0)
        port.doRead()
        self.leave_all()
        self.assertEqual((self.accepted, service.paused), ([], 1))
        self.assertNotIn(port, cast(Any, reactor).getReaders())
        self.assertRaises(BlockingIOError, client.recv, 1)
        service.resume()
        self.assertIn(port, cast(Any, reactor).getReaders())
        port.doRead()
        self.assertEqual(len(self.accepted), 1)
