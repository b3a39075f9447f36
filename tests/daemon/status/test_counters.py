from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.connections import Connections
from hello_service.daemon.status.counters import BOUNDS, Counters, Totals
from tests.connections import FakeConnection


class CountersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.connections: Connections[FakeConnection] = Connections()
        self.counters = Counters(self.clock, self.connections)

    def connect(self, bytes_in: int, bytes_out: int, **account: object) -> FakeConnection:
        connection = FakeConnection(self.connections, started=self.clock.seconds())
        connection.bytes_in, connection.bytes_out = bytes_in, bytes_out
        connection.counted = account
        return connection

    def test_nothing_yet(self) -> None:
        nothing = Totals(0, 0, 0, 0, 0, None, (0,) * (len(BOUNDS) + 1), 0.0)
        self.assertEqual(self.counters.totals(), nothing)
        self.assertEqual(nothing.accepted, 0)

    def test_the_open_and_the_closed(self) -> None:
        first = self.connect(1, 10, messages=2)
        self.connect(2, 20, messages=3)
        before = self.counters.totals()
        self.clock.advance(0.5)
        first.end()
        after = self.counters.totals()
        for totals in (before, after):
            self.assertEqual(
                (totals.accepted, totals.bytes_in, totals.bytes_out, totals.messages), (2, 3, 30, 5)
            )
        self.assertEqual((before.open, before.closed, before.seconds), (2, 0, 0.0))
        self.assertEqual((after.open, after.closed, after.seconds), (1, 1, 0.5))

    def test_those_that_said_nothing(self) -> None:
        connections = [self.connect(0, 8), self.connect(0, 8), self.connect(1, 8)]
        connections[0].in_handshake = True
        self.assertEqual(self.counters.totals().probes, 0)
        for connection in connections:
            connection.end()
        totals = self.counters.totals()
        self.assertEqual((totals.closed, totals.probes), (3, 1))

    def test_since_when(self) -> None:
        self.clock.advance(5)
        self.assertEqual(Counters(self.clock, self.connections).since, 5)
        self.assertEqual(self.counters.since, 0)

    def test_who_counts_no_messages(self) -> None:
        self.connect(1, 1).end()
        self.assertIsNone(self.counters.totals().messages)

    def test_durations(self) -> None:
        for seconds in (0.0, BOUNDS[0], BOUNDS[0] * 2, BOUNDS[-1], BOUNDS[-1] + 1):
            connection = self.connect(0, 0)
            self.clock.rightNow, connection.started = seconds, 0.0
            connection.end()
        durations = self.counters.totals().durations
        self.assertEqual((durations[0], durations[1], durations[-2], durations[-1]), (2, 1, 1, 1))
        self.assertEqual(sum(durations), 5)

    def test_a_clock_that_was_set_back(self) -> None:
        connection = self.connect(0, 0)
        connection.started = 10.0
        connection.end()
        self.assertEqual(self.counters.totals().seconds, 0.0)
