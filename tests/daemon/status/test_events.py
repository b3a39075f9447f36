import json
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import connectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.status.bounded import DEADLINE, STAYING, BoundedFactory
from hello_service.daemon.status.counters import Counters
from hello_service.daemon.status.events import INTERVAL, Events
from hello_service.daemon.status.figures import Figures
from hello_service.daemon.status.http import StatusFactory
from hello_service.daemon.status.watch import GRACE, Watch
from hello_service.server import HelloFactory, HelloProtocol


class Transport(StringTransport):
    aborted = False
    producer: Any

    def abortConnection(self) -> None:
        self.aborted = True


class EventsTestCase(SynchronousTestCase):
    """Has a port with a page that streams, beside a daemon with connections.

    @cvar text: whether what clients send is shown.
    """

    text = True

    def setUp(self) -> None:
        self.clock = MemoryReactorClock()
        self.hello = HelloFactory(self.clock)
        self.counters = Counters(self.clock, self.hello.connections)
        watch = Watch(self.clock, self.hello.connections, self.text)
        events = Events(self.clock, watch, self.figures, self.text)
        pages = StatusFactory(self.clock, {b"/events": events})
        self.factory = BoundedFactory(self.clock, pages)
        self.factory.doStart()
        self.asked_for_figures = 0

    def figures(self) -> Figures:
        self.asked_for_figures += 1
        return Figures(
            build={"name": "web-1", "version": "1", "reactor": "R"}, started=0.0, draining=False,
            most=10, most_per_host=9, busiest=1, totals=self.counters.totals(),
            refused={"total": 3}, handshakes={"late": 1}, expires=1e9,
        )  # fmt: skip

    def connect(self) -> HelloProtocol:
        protocol = self.hello.buildProtocol(IPv4Address("TCP", "127.0.0.1", 54321))
        protocol.makeConnection(StringTransport())
        return protocol

    def ask(
        self, path: str = "/events", host: str = "127.0.0.1:9909", method: str = "GET"
    ) -> tuple[Any, Transport]:
        """Send a request; return what to lose the connection by, and the transport."""
        protocol = self.factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        assert protocol
        transport = Transport()
        protocol.makeConnection(transport)
        protocol.dataReceived(
            f"{method} {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode(errors="surrogateescape")
        )
        return protocol, transport

    def told(self, transport: Transport) -> list[tuple[str, dict[str, Any]]]:
        """Return the events that have come, and forget them."""
        events = transport.value().decode().partition("\r\n\r\n")[2] or transport.value().decode()
        transport.clear()
        found = []
        for block in events.split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.splitlines())
            if "event" in lines:
                found.append((lines["event"], json.loads(lines["data"])))
        return found


class EventsTests(EventsTestCase):
    def test_the_state(self) -> None:
        self.connect()
        _, transport = self.ask()
        head, _, _ = transport.value().partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.0 200 OK\r\n"))
        self.assertIn(b"\r\nContent-Type: text/event-stream\r\n", head)
        ((event, state),) = self.told(transport)
        self.assertEqual(event, "state")
        rows = state.pop("connections")
        self.assertEqual([row["peer"] for row in rows], ["127.0.0.1:54321"])
        self.assertEqual(
            state,
            {"name": "web-1", "version": "1", "reactor": "R", "now": 0.0, "uptime": 0.0,
             "draining": False, "bytes": True, "open": 1, "accepted": 1, "closed": 0, "probes": 0,
             "messages": 0, "received": 0, "sent": 8, "refused": {"total": 3}, "most": 10,
             "most_per_host": 9, "busiest": 1, "handshakes": {"late": 1}, "certificate": 1e9,
             "unlisted": 0, "ended": []},
        )  # fmt: skip
        self.clock.advance(INTERVAL)
        self.assertEqual([event for event, _ in self.told(transport)], ["state"])

    def test_all_is_added_up_once_for_all_pages(self) -> None:
        transports = [self.ask()[1] for _ in range(STAYING)]
        for transport in transports:
            self.assertEqual([event for event, _ in self.told(transport)], ["state"])
        self.assertEqual(self.asked_for_figures, STAYING)
        self.clock.advance(INTERVAL)
        for transport in transports:
            self.assertEqual([event for event, _ in self.told(transport)], ["state"])
        self.assertEqual(self.asked_for_figures, STAYING + 1)

    def test_it_stays_longer_than_others(self) -> None:
        _, transport = self.ask()
        for _ in range(int(3 * DEADLINE / INTERVAL)):
            self.clock.advance(INTERVAL)
        self.assertFalse(transport.aborted)

    def test_a_wire(self) -> None:
        self.ask()
        protocol = self.connect()
        _, transport = self.ask("/events?wire=1")
        (_, (event, wire)) = self.told(transport)
        self.assertEqual(event, "wire")
        kinds = [one["kind"] for one in wire.pop("events")]
        self.assertEqual(kinds, ["connect", "write"])
        self.assertEqual(
            wire,
            {"id": 1, "peer": "127.0.0.1:54321", "local": "10.0.0.1:12345", "whole": True,
             "first": 0, "missed": 0},
        )  # fmt: skip
        self.clock.advance(INTERVAL)
        self.assertEqual([event for event, _ in self.told(transport)], ["state"])
        for _ in range(200):
            protocol.dataReceived(b"Michael")
        self.clock.advance(INTERVAL)
        (_, (_, wire)) = self.told(transport)
        self.assertEqual((wire["first"], wire["missed"], len(wire["events"])), (152, 150, 250))
        self.assertEqual(wire["events"][-1]["text"], "Hello, Michael!")
        protocol.connectionLost(connectionDone)
        self.clock.advance(INTERVAL)
        (_, (_, wire)) = self.told(transport)
        self.assertEqual((wire["first"], wire["events"][0]["kind"]), (402, "gone"))

    def test_a_wire_that_is_not_there(self) -> None:
        for asked, number in (("9", 9), ("", 0), ("-1", 0), ("9" * 99, 0), ("%ff", 0)):
            _, transport = self.ask(f"/events?wire={asked}")
            self.assertEqual(self.told(transport)[0], ("missing", {"id": number}), asked)
            self.factory.doStop()
            self.factory.doStart()

    def test_nothing_is_left_when_the_page_goes(self) -> None:
        protocol = self.connect()
        self.ask()
        page, transport = self.ask("/events?wire=1")
        self.assertIsNot(type(protocol), HelloProtocol)
        page.connectionLost(connectionDone)
        self.assertIsNot(type(protocol), HelloProtocol)
        for page in list(self.factory.protocols):
            page.connectionLost(connectionDone)
        transport.clear()
        self.clock.advance(GRACE)
        self.assertIs(type(protocol), HelloProtocol)
        self.assertEqual((transport.value(), self.clock.getDelayedCalls()), (b"", []))

    def test_a_page_that_does_not_read(self) -> None:
        _, transport = self.ask()
        transport.clear()
        transport.producer.pauseProducing()
        self.clock.advance(DEADLINE)
        self.assertEqual((transport.value(), transport.aborted), (b"", False))
        transport.producer.resumeProducing()
        self.clock.advance(INTERVAL)
        self.assertEqual([event for event, _ in self.told(transport)], ["state"])
        transport.producer.pauseProducing()
        self.clock.advance(DEADLINE + INTERVAL)
        self.assertTrue(transport.aborted)

    def test_no_more_than_so_many(self) -> None:
        pages = [self.ask() for _ in range(STAYING)]
        _, transport = self.ask()
        self.assertIn(b" 503 Service Unavailable\r\n", transport.value())
        self.assertTrue(transport.value().endswith(b"4 pages watch already: close one of them.\n"))
        pages[0][0].connectionLost(connectionDone)
        _, transport = self.ask()
        self.assertIn(b" 200 OK\r\n", transport.value())

    def test_a_head_alone(self) -> None:
        page, transport = self.ask(method="HEAD")
        self.assertTrue(transport.disconnecting)
        page.connectionLost(connectionDone)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_names_that_may_lead_anywhere(self) -> None:
        for host in ("127.0.0.1:9909", "localhost:9909", "localhost", "[::1]:9909"):
            page, transport = self.ask(host=host)
            self.assertIn(b" 200 OK\r\n", transport.value(), host)
            page.connectionLost(connectionDone)
        for host in (
            "evil.example",
            "127.0.0.1.evil.example:9909",
            "[::1",
            "",
            "localhost.evil",
            "\udcff",
        ):
            _, transport = self.ask(host=host)
            self.assertIn(b" 403 Forbidden\r\n", transport.value(), host)


class WithoutTextTests(EventsTestCase):
    text = False

    def test_any_name_may_lead_here(self) -> None:
        _, transport = self.ask(host="status.example")
        ((_, state),) = self.told(transport)
        self.assertIs(state["bytes"], False)
