from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.connections import Connections
from hello_service.daemon.sweep import GRACE, SweepService
from tests.connections import FakeConnection


class SweepServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.connections: Connections[FakeConnection] = Connections()

    def start(self, idle: float | None = None, lifetime: float | None = None) -> SweepService:
        service = SweepService(self.clock, self.connections, idle, lifetime)
        service.startService()
        return service

    def connected(self, slow: bool = False) -> FakeConnection:
        return FakeConnection(self.connections, started=self.clock.seconds(), slow=slow)

    def test_one_that_never_sends_is_idle(self) -> None:
        self.start(idle=8)
        connection = self.connected()
        self.clock.pump([2] * 3)
        self.assertEqual(connection.told, [])
        self.clock.advance(2)
        self.assertEqual(connection.told, ["idle"])

    def test_one_that_sends_is_not(self) -> None:
        self.start(idle=8)
        connection = self.connected()
        for _ in range(20):
            connection.bytes_in += 1
            self.clock.pump([1] * 7)
        self.assertEqual(connection.told, [])
        self.clock.pump([1] * 10)
        self.assertEqual(connection.told, ["idle"])

    def test_one_that_waits_for_an_answer_is_not(self) -> None:
        self.start(idle=8)
        connection = self.connected()
        connection.answering = True
        self.clock.pump([1] * 20)
        self.assertEqual(connection.told, [])
        connection.answering = False
        self.clock.pump([1] * 10)
        self.assertEqual(connection.told, ["idle"])

    def test_one_that_sends_lives_no_longer_for_it(self) -> None:
        self.start(lifetime=8)
        connection = self.connected()
        for _ in range(8):
            self.assertEqual(connection.told, [])
            connection.bytes_in += 1
            self.clock.advance(1)
        self.assertEqual(connection.told, ["lifetime"])

    def test_both_limits(self) -> None:
        self.start(idle=4, lifetime=8)
        silent, talkative = self.connected(), self.connected()
        for _ in range(8):
            talkative.bytes_in += 1
            self.clock.advance(1)
        self.assertEqual((silent.told, talkative.told), (["idle"], ["lifetime"]))

    def test_one_that_does_not_end_is_told_once_and_aborted(self) -> None:
        self.start(idle=4)
        connection = self.connected(slow=True)
        self.clock.pump([1] * 4)
        self.clock.pump([1] * (int(GRACE) - 1))
        self.assertEqual(connection.told, ["idle"])
        self.clock.advance(1)
        self.assertEqual(connection.told, ["idle", "abort"])

    def test_looks_no_more_than_ten_times_a_second(self) -> None:
        self.start(idle=0.01)
        connection = self.connected()
        self.clock.advance(0.09)
        self.assertEqual(connection.told, [])
        self.clock.advance(0.02)
        self.assertEqual(connection.told, ["idle"])

    def test_stops(self) -> None:
        service = self.start(idle=4)
        connection = self.connected()
        self.successResultOf(service.stopService())
        self.clock.advance(100)
        self.assertEqual(connection.told, [])
