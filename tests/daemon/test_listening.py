import errno
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hello_service.daemon.endpoints import server_endpoint
from hello_service.daemon.listening import CannotListen, ListeningService
from hello_service.daemon.obstacles import Obstacle, Unusable


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
        self.assertEqual(port.told, [])
        endpoint.outcome.callback(cast(IListeningPort, port))
        service.pause()
        service.resume()
        self.assertEqual(port.told, ["stop", "start"])

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

    def test_a_late_failure_is_told(self) -> None:
        endpoint = SlowEndpoint()
        self.service(a=endpoint).startService()
        with capturedLogs() as events:
            endpoint.outcome.errback(Failure(OSError(errno.EIO, "broken")))
        (failure,) = self.failures
        self.assertIn("broken", str(failure))
        self.assertEqual(events[0]["sentence"], str(failure))
