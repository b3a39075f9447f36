import signal
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.connections import Connections
from hello_service.daemon.drain import DrainingService, hurry_on_second_signal
from hello_service.daemon.notify import Notifier
from tests.connections import FakeConnection
from tests.daemon.test_reload import Reactor


class Listening(Service):
    """Stops at once, or when the test says so."""

    stopped: Deferred[None] | None = None
    privileged = False

    def __init__(self, other: Service) -> None:
        self.other = other

    def privilegedStartService(self) -> None:
        self.privileged = True

    def startService(self) -> None:
        assert self.other.running
        super().startService()

    def stopService(self) -> Deferred[None] | None:
        super().stopService()
        return self.stopped


class Told(Notifier):
    """Notes what the service manager is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def _send(self, *assignments: str) -> None:
        self.told.extend(assignments)


class DrainTestCase(SynchronousTestCase):
    delay = 0.0

    def setUp(self) -> None:
        self.clock = Clock()
        self.other = Service()
        self.listening = Listening(self.other)
        self.connections: Connections[FakeConnection] = Connections()
        self.notifier = Told()
        self.service = DrainingService(
            self.clock, self.listening, self.connections, self.notifier, self.delay, 10.0
        )
        self.service.addService(self.other)
        self.service.startService()

    def stop(self) -> Deferred[Any]:
        stopped = self.service.stopService()
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))
        return stopped


class DrainingServiceTests(DrainTestCase):
    def test_listens_once_all_services_are_started(self) -> None:
        self.assertFalse(self.listening.privileged)
        self.service.privilegedStartService()
        self.assertTrue(self.listening.privileged)
        self.assertTrue(self.listening.running)
        self.assertTrue(self.other.running)
        self.assertFalse(self.service.draining)

    def test_without_connections_it_stops_at_once_and_says_nothing(self) -> None:
        with capturedLogs() as events:
            self.successResultOf(self.stop())
        self.assertEqual(events, [])
        self.assertFalse(self.listening.running)
        self.assertFalse(self.other.running)
        self.assertFalse(self.service.running)

    def test_connections_are_drained_once_nothing_listens(self) -> None:
        self.listening.stopped = Deferred()
        connection = FakeConnection(self.connections)
        stopped = self.stop()
        self.assertTrue(self.service.draining)
        self.assertEqual(connection.told, [])
        self.listening.stopped.callback(None)
        self.listening.stopped = None
        self.assertEqual(connection.told, ["shutdown"])
        self.successResultOf(stopped)

    def test_waits_for_the_last_connection(self) -> None:
        first, second = (FakeConnection(self.connections, slow=True) for _ in range(2))
        stopped = self.stop()
        first.end()
        self.clock.advance(9)
        self.assertNoResult(stopped)
        self.assertTrue(self.other.running)
        second.end()
        self.successResultOf(stopped)
        self.assertFalse(self.other.running)
        self.assertEqual(second.told, ["shutdown"])

    def test_aborts_and_counts_the_rest(self) -> None:
        slow = [FakeConnection(self.connections, slow=True) for _ in range(2)]
        FakeConnection(self.connections)
        stopped = self.stop()
        self.clock.pump([1] * 9)
        with capturedLogs() as events:
            self.clock.advance(1)
        self.successResultOf(stopped)
        self.assertEqual([connection.told for connection in slow], [["shutdown", "abort"]] * 2)
        self.assertIn("Connections aborted: 2.", [formatEvent(event) for event in events])

    def test_tells_of_its_progress(self) -> None:
        connections = [FakeConnection(self.connections, slow=True) for _ in range(3)]
        with capturedLogs() as events:
            self.stop()
            self.clock.advance(1)
            connections.pop().end()
            self.clock.advance(1)
        self.assertEqual(
            [formatEvent(event) for event in events],
            [f"Draining, connections left: {count}." for count in (3, 3, 2)],
        )
        for connection in connections:
            connection.end()

    def test_connections_may_have_time_to_end_by_themselves(self) -> None:
        self.service = DrainingService(
            self.clock, self.listening, self.connections, self.notifier, grace=5.0
        )
        self.service.startService()
        first, second = (FakeConnection(self.connections) for _ in range(2))
        stopped = self.stop()
        self.assertFalse(self.listening.running)
        self.clock.advance(4.9)
        self.assertEqual(first.told, [])
        first.end()
        self.clock.advance(0.1)
        self.successResultOf(stopped)
        self.assertEqual((first.told, second.told), ([], ["shutdown"]))

    def test_none_is_waited_for_in_vain(self) -> None:
        self.service = DrainingService(
            self.clock, self.listening, self.connections, self.notifier, grace=5.0
        )
        self.service.startService()
        connection = FakeConnection(self.connections)
        stopped = self.stop()
        connection.end()
        self.successResultOf(stopped)

    def test_what_listens_beside_it_stops_last(self) -> None:
        beside = Listening(self.other)
        self.service = DrainingService(
            self.clock, self.listening, self.connections, self.notifier, beside=[beside]
        )
        self.service.privilegedStartService()
        self.service.startService()
        self.assertTrue(beside.privileged)
        connection = FakeConnection(self.connections, slow=True)
        stopped = self.stop()
        self.assertEqual((self.listening.running, beside.running), (0, 1))
        connection.end()
        self.successResultOf(stopped)
        self.assertFalse(beside.running)

    def test_tells_the_service_manager(self) -> None:
        connection = FakeConnection(self.connections, slow=True)
        self.stop()
        extension = "EXTEND_TIMEOUT_USEC=5000000"
        self.assertEqual(self.notifier.told, ["STOPPING=1", extension])
        self.clock.pump([1, 1])
        self.assertEqual(self.notifier.told, ["STOPPING=1", *[extension] * 3])
        connection.end()

    def test_hurried(self) -> None:
        connection = FakeConnection(self.connections, slow=True)
        stopped = self.stop()
        self.service.hurry()
        self.successResultOf(stopped)
        self.assertEqual(connection.told, ["shutdown", "abort"])

    def test_hurried_before_it_stops(self) -> None:
        FakeConnection(self.connections, slow=True)
        self.service.hurry()
        stopped = self.stop()
        self.clock.advance(0)
        self.successResultOf(stopped)

    def test_hurried_while_listening_takes_its_time_to_stop(self) -> None:
        self.listening.stopped = Deferred()
        FakeConnection(self.connections, slow=True)
        stopped = self.stop()
        self.service.hurry()
        self.listening.stopped.callback(None)
        self.listening.stopped = None
        self.clock.advance(0)
        self.successResultOf(stopped)

    def test_starts_again(self) -> None:
        self.service.hurry()
        self.successResultOf(self.stop())
        self.service.startService()
        self.assertFalse(self.service.draining)
        connection = FakeConnection(self.connections, slow=True)
        stopped = self.stop()
        self.clock.advance(9)
        self.assertNoResult(stopped)
        connection.end()
        self.successResultOf(stopped)


class DelayTests(DrainTestCase):
    delay = 5.0

    def test_goes_on_listening(self) -> None:
        connection = FakeConnection(self.connections)
        with capturedLogs() as events:
            stopped = self.stop()
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["Draining, connections left: 1.", "Listening for 5 seconds more."],
        )
        self.assertTrue(self.service.draining)
        self.clock.advance(4.9)
        self.assertTrue(self.listening.running)
        self.assertEqual(connection.told, [])
        self.clock.advance(0.1)
        self.assertFalse(self.listening.running)
        self.successResultOf(stopped)

    def test_hurried(self) -> None:
        FakeConnection(self.connections, slow=True)
        stopped = self.stop()
        self.service.hurry()
        self.assertFalse(self.listening.running)
        self.clock.advance(0)
        self.successResultOf(stopped)


class HurryOnSecondSignalTests(DrainTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.received: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
            signal.signal(number, lambda number, _: self.received.append(number))
        hurry_on_second_signal(Reactor(), self.service)
        FakeConnection(self.connections, slow=True)

    def test_the_first_means_what_it_meant(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                self.setUp()
                signal.raise_signal(number)
                self.assertEqual(self.received, [number])
                stopped = self.stop()
                self.assertNoResult(stopped)
                self.service.hurry()

    def test_one_that_is_ignored_stays_so(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        hurry_on_second_signal(Reactor(), self.service)
        signal.raise_signal(signal.SIGINT)
        self.assertIs(signal.getsignal(signal.SIGINT), signal.SIG_IGN)
        signal.raise_signal(signal.SIGTERM)
        self.assertEqual(self.received, [signal.SIGTERM])

    def test_the_second_means_now(self) -> None:
        signal.raise_signal(signal.SIGTERM)
        stopped = self.stop()
        signal.raise_signal(signal.SIGINT)
        self.successResultOf(stopped)
        self.assertEqual(self.received, [signal.SIGTERM])

    def test_two_before_it_stops(self) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        stopped = self.stop()
        self.clock.advance(0)
        self.successResultOf(stopped)
        self.assertEqual(self.received, [signal.SIGINT])

    def test_the_first_while_it_stops_for_another_reason(self) -> None:
        stopped = self.stop()
        signal.raise_signal(signal.SIGTERM)
        self.successResultOf(stopped)
        self.assertEqual(self.received, [])
