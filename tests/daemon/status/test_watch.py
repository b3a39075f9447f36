from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.proxied import AwaitedHeader
from hello_service.daemon.status.watch import ENDED, GRACE, LISTED, Watch
from hello_service.server import HelloFactory, HelloProtocol


class WatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.factory = HelloFactory(self.clock)
        self.watch = Watch(self.clock, self.factory.connections, text=False)

    def connect(self, port: int = 54321) -> HelloProtocol:
        peer = IPv4Address("TCP", "127.0.0.1", port)
        protocol = self.factory.buildProtocol(peer)
        transport = StringTransport(IPv4Address("TCP", "127.0.0.1", 9999), peer)
        protocol.makeConnection(transport)
        return protocol

    def rows(self, which: str = "connections") -> list[dict[str, Any]]:
        rows = self.watch.rows()[which]
        assert isinstance(rows, list)
        return rows

    def recorded(self, *protocols: HelloProtocol) -> list[bool]:
        return [type(protocol) is not HelloProtocol for protocol in protocols]

    def test_a_row(self) -> None:
        self.watch.begin()
        protocol = self.connect()
        self.clock.advance(2)
        protocol.dataReceived(b"Michael")
        self.clock.advance(1)
        self.assertEqual(
            self.rows(),
            [{"id": 1, "peer": "127.0.0.1:54321", "local": "127.0.0.1:9999", "via": None,
              "age": 3.0, "quiet": 1.0, "state": "open", "messages": 1, "received": 7, "sent": 23}],
        )  # fmt: skip

    def test_one_that_has_ended(self) -> None:
        self.watch.begin()
        protocol = self.connect()
        self.clock.advance(2)
        protocol.dataReceived(b"exit")
        protocol.connectionLost(connectionDone)
        self.clock.advance(4)
        self.assertEqual(self.rows(), [])
        (row,) = self.rows("ended")
        self.assertEqual(
            (row["id"], row["age"], row["ago"], row["state"], row["reason"]),
            (1, 2.0, 4.0, "ended", "exit"),
        )

    def test_the_newest_first(self) -> None:
        before = self.connect(1)
        self.clock.advance(1)
        self.watch.begin()
        self.connect(2)
        self.clock.advance(1)
        self.connect(3)
        self.assertEqual([row["peer"][-1] for row in self.rows()], ["3", "2", "1"])
        found = [wire and wire.whole for wire in map(self.watch.find, range(1, 5))]
        self.assertEqual(found, [True, True, False, None])
        before.connectionLost(connectionDone)
        self.assertEqual([row["id"] for row in self.rows("ended")], [3])
        self.assertIsNotNone(self.watch.find(3))

    def test_the_newest_are_listed(self) -> None:
        def ports() -> list[str]:
            return [row["peer"].partition(":")[2] for row in self.rows()]

        for port in range(1, LISTED + 51):
            self.connect(port)
            self.clock.advance(1)
        self.watch.begin()
        self.assertEqual(ports(), [str(port) for port in range(LISTED + 50, 50, -1)])
        newest = next(iter(reversed(tuple(self.factory.connections))))
        newest.connectionLost(connectionDone)
        self.assertEqual(ports(), [str(port) for port in range(LISTED + 49, 49, -1)])
        self.connect(7777)
        self.assertEqual(ports(), ["7777", *(str(port) for port in range(LISTED + 49, 50, -1))])

    def test_nothing_is_recorded_while_nobody_looks(self) -> None:
        first = self.connect()
        self.watch.begin()
        second = self.connect()
        self.rows()
        self.assertEqual(self.recorded(first, second), [True, True])
        self.watch.end()
        self.clock.advance(GRACE)
        third = self.connect()
        self.assertEqual(self.recorded(first, second, third), [False] * 3)
        self.assertIsNone(self.watch.find(1))

    def test_somebody_who_is_soon_back(self) -> None:
        self.watch.begin()
        self.watch.begin()
        protocol = self.connect()
        self.watch.end()
        self.clock.advance(2 * GRACE)
        self.watch.end()
        self.clock.advance(GRACE - 1)
        self.watch.begin()
        self.clock.advance(GRACE)
        self.assertEqual((self.rows()[0]["id"], self.recorded(protocol)), (1, [True]))

    def test_no_more_than_so_many(self) -> None:
        old = [self.connect(port) for port in range(1, LISTED + 3)]
        self.watch.begin()
        self.assertEqual((len(self.rows()), self.watch.rows()["unlisted"]), (LISTED, 2))
        self.assertEqual(self.recorded(*old).count(True), LISTED)
        new = self.connect()
        self.assertEqual((len(self.rows()), self.watch.rows()["unlisted"]), (LISTED, 3))
        self.assertEqual(self.recorded(*old, new).count(True), LISTED)
        self.assertEqual(self.recorded(new), [True])
        for protocol in old:
            protocol.connectionLost(connectionDone)
        self.assertEqual((len(self.rows()), len(self.rows("ended"))), (1, ENDED))

    def test_what_somebody_follows_is_kept(self) -> None:
        self.watch.begin()
        followed, other = self.connect(), self.connect()
        wire = self.watch.find(1)
        assert wire
        wire.pins += 1
        for _ in range(LISTED - 1):
            self.connect()
        self.assertEqual(self.recorded(followed, other), [True, False])

    def test_who_awaits_a_header_is_not_listed(self) -> None:
        awaiting: Any = object.__new__(AwaitedHeader)
        self.factory.connections.add(awaiting)
        self.watch.begin()
        self.factory.connections.add(object.__new__(AwaitedHeader))
        self.assertEqual((self.rows(), self.watch.rows()["unlisted"]), ([], 2))
