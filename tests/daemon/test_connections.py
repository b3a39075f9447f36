from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.connections import Connections
from tests.connections import FakeConnection


class ConnectionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.connections: Connections[FakeConnection] = Connections()

    def test_has_what_is_open(self) -> None:
        first, second = (FakeConnection(self.connections) for _ in range(2))
        self.assertEqual(set(self.connections), {first, second})
        first.end()
        self.assertNotIn(first, self.connections)
        self.assertIn(second, self.connections)
        self.assertEqual(len(self.connections), 1)

    def test_they_may_end_while_they_are_gone_through(self) -> None:
        for _ in range(3):
            FakeConnection(self.connections)
        for connection in self.connections:
            connection.end()
        self.assertFalse(self.connections)

    def test_counts_those_of_a_host(self) -> None:
        first, _ = (FakeConnection(self.connections, "192.0.2.1") for _ in range(2))
        FakeConnection(self.connections, "192.0.2.2")
        FakeConnection(self.connections, None)
        counts = [self.connections.from_host(host) for host in ("192.0.2.1", "192.0.2.2", "nosuch")]
        self.assertEqual(counts, [2, 1, 0])
        first.end()
        self.assertEqual(self.connections.from_host("192.0.2.1"), 1)
        last = FakeConnection(self.connections, "192.0.2.3")
        self.assertEqual(self.connections.from_host("192.0.2.3"), 1)
        last.end()
        self.assertEqual(self.connections.from_host("192.0.2.3"), 0)

    def test_counts_those_of_the_busiest_host(self) -> None:
        self.assertEqual(self.connections.from_busiest_host(), 0)
        first, _ = (FakeConnection(self.connections, "192.0.2.1") for _ in range(2))
        for host in ("192.0.2.2", None, None, None):
            FakeConnection(self.connections, host)
        self.assertEqual(self.connections.from_busiest_host(), 2)
        first.end()
        self.assertEqual(self.connections.from_busiest_host(), 1)

    def test_added_twice_or_discarded_by_a_stranger(self) -> None:
        one = FakeConnection(self.connections)
        self.assertEqual(self.connections.from_host(one.host), 1)
        self.connections.add(one)
        self.connections.discard(FakeConnection(Connections()))
        self.assertEqual((len(self.connections), self.connections.from_host(one.host)), (1, 1))
        for _ in range(2):
            one.end()
            self.assertEqual((len(self.connections), self.connections.from_host(one.host)), (0, 0))
        FakeConnection(self.connections)
        self.assertEqual(self.connections.from_host(one.host), 1)

    def test_a_host_has_one_name(self) -> None:
        one = FakeConnection(self.connections, "::ffff:192.0.2.1")
        FakeConnection(self.connections, "192.0.2.1")
        self.assertEqual(self.connections.from_host("192.0.2.1"), 2)
        self.assertEqual(self.connections.from_host("::ffff:192.0.2.1"), 2)
        one.end()
        self.assertEqual(self.connections.from_host("192.0.2.1"), 1)

    def test_waits_for_the_last_one(self) -> None:
        first, second = (FakeConnection(self.connections) for _ in range(2))
        emptied = self.connections.emptied()
        first.end()
        self.assertNoResult(emptied)
        second.end()
        self.successResultOf(emptied)
        self.successResultOf(self.connections.emptied())

    def test_tells_of_each_that_is_lost(self) -> None:
        connections: Connections[FakeConnection] = Connections()
        lost: list[FakeConnection] = []
        connections.tell_closed(lost.append)
        first, _ = (FakeConnection(connections) for _ in range(2))
        first.end()
        first.end()
        self.assertEqual(lost, [first])

    def test_what_goes_on_as_another_has_not_ended(self) -> None:
        connections: Connections[FakeConnection] = Connections()
        lost: list[FakeConnection] = []
        connections.tell_closed(lost.append)
        first = FakeConnection(connections)
        emptied = connections.emptied()
        connections.hand_over(first)
        self.assertNoResult(emptied)
        FakeConnection(connections).end()
        self.successResultOf(emptied)
        self.assertEqual(len(lost), 1)

    def test_waiting_can_be_cancelled(self) -> None:
        connection = FakeConnection(self.connections)
        cancelled, other = self.connections.emptied(), self.connections.emptied()
        cancelled.cancel()
        self.failureResultOf(cancelled, CancelledError)
        connection.end()
        self.successResultOf(other)
