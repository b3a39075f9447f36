import os
import select
import socket
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, TestCase

from hello_service.daemon.activation import adopted_endpoint
from hello_service.daemon.closing import accept_the_last, refuse_new
from hello_service.daemon.endpoints import server_endpoint
from hello_service.daemon.listening import CannotListen, ListeningService
from tests.daemon.test_listening import SlowEndpoint
from tests.processes import PATIENCE


class Greeting(Protocol):
    """Says a word and closes."""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"Welcome!")
        self.transport.loseConnection()


class RefusalTests(TestCase):
    def test_nothing_new_begins_and_what_waits_stays(self) -> None:
        if sys.platform != "linux":
            raise SkipTest("the filter is Linux's")
        with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as late:
            early = socket.create_connection(server.getsockname())
            refuse_new(server)
            late.setblocking(False)
            late.connect_ex(server.getsockname())
            self.assertEqual(select.select([], [late], [], 0.2)[1], [])
            accepted, _ = server.accept()
            with early, accepted:
                accepted.send(b"Welcome!")
                self.assertEqual(early.recv(8), b"Welcome!")

    def test_where_there_is_no_filter(self) -> None:
        left, right = socket.socketpair()
        with left, right:
            left.close()
            refuse_new(left)


class Port:
    """A port on which somebody waits for ever."""

    reads = 0

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))

    def fileno(self) -> int:
        return self.socket.fileno()

    def doRead(self) -> None:
        self.reads += 1


class LastTests(TestCase):
    timeout = PATIENCE

    def test_there_is_an_end_to_it(self) -> None:
        port = Port()
        with port.socket, socket.create_connection(port.socket.getsockname()):
            accept_the_last(port)
        self.assertEqual(port.reads, 4096)

    async def test_who_waits_is_served_when_the_port_is_closed(self) -> None:
        from twisted.internet import reactor

        lost: Deferred[None] = Deferred()
        served = 0

        class Counted(Greeting):
            def connectionLost(self, *_: Any) -> None:
                nonlocal served
                served += 1
                if served == 20:
                    lost.callback(None)

        service = ListeningService(
            [("here", server_endpoint(reactor, "tcp:0:interface=127.0.0.1"))],
            Factory.forProtocol(Counted),
            lambda _: None,
        )
        service.startService()
        (port,) = service.ports
        place = ("127.0.0.1", port.getHost().port)
        clients = [socket.create_connection(place) for _ in range(20)]
        await service.stopService()
        await lost
        for client in clients:
            with client:
                self.assertEqual(client.recv(8), b"Welcome!")
        self.assertRaises(ConnectionRefusedError, socket.create_connection, place)

    async def test_a_socket_that_is_inherited_stays_as_it_is(self) -> None:
        from twisted.internet import reactor

        with socket.create_server(("127.0.0.1", 0)) as inherited:
            service = ListeningService(
                [("here", adopted_endpoint(reactor, os.dup(inherited.fileno()), "here"))],
                Factory.forProtocol(Greeting),
                lambda _: None,
            )
            service.startService()
            await service.stopService()
            socket.create_connection(inherited.getsockname(), PATIENCE).close()

    async def test_nobody_is_accepted_where_the_start_fails(self) -> None:
        from twisted.internet import reactor

        late = SlowEndpoint()
        built: list[object] = []

        class Building(Factory):
            def buildProtocol(self, addr: object) -> Protocol:
                built.append(addr)
                return Greeting()

        service = ListeningService(
            [("here", server_endpoint(reactor, "tcp:0:interface=127.0.0.1")), ("there", late)],
            Building(),
            lambda _: None,
        )
        service.privilegedStartService()
        (port,) = service.ports
        with socket.create_connection(("127.0.0.1", port.getHost().port)):
            late.outcome.errback(Failure(OSError("broken")))
            self.assertRaises(CannotListen, service.startService)
            await deferLater(reactor, 0)
        self.assertEqual(built, [])
