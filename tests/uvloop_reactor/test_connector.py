"""How a connector of the uvloop reactor connects, next to Twisted's on epoll."""

import errno
import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import twisted.test
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import DNSLookupError, NotConnectingError
from twisted.internet.interfaces import IResolverSimple
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.internet.ssl import CertificateOptions, PrivateCertificate
from twisted.internet.tcp import makeBinding
from twisted.python.failure import Failure
from zope.interface import implementer

from hello_service.uvloop_reactor.reactor import UvloopReactor
from tests.uvloop_reactor.conversing import Peer, ReactorTestCase


def open_sockets() -> int:
    """Return how many there are."""
    return sum(
        os.readlink(descriptor).startswith("socket:")
        for descriptor in Path("/proc/self/fd").iterdir()
        if descriptor.is_symlink()  # all but that of the folder
    )


class Recorder(ClientFactory):
    """Notes what its connector tells it, and stops the reactor at the end.

    @ivar sockets: how many are open at the end.
    @ivar then: what else is done in its methods, by their names, with the connector.
    """

    noisy = False

    def __init__(self, reactor: Any, notes: list[object], then: dict[str, Any]) -> None:
        self.reactor = reactor
        self.notes = notes
        self.then = then

    def startFactory(self) -> None:
        self.notes.append("start")

    def stopFactory(self) -> None:
        self.notes.append("stop")
        self.sockets = open_sockets()
        self.reactor.callLater(0, self.end)

    def end(self) -> None:
        self.sockets = open_sockets()
        if self.reactor.running:
            self.reactor.stop()

    def startedConnecting(self, connector: Any) -> None:
        self.connector = connector
        self.note("startedConnecting", connector, connector.state)

    def buildProtocol(self, addr: Any) -> Any:
        self.notes.append(("buildProtocol", type(addr), addr.host))
        return self.then.get("buildProtocol", self.closing)()

    def closing(self) -> Any:
        protocol: Any = Protocol()
        connected = self.then.get("connectionMade", lambda transport: transport.loseConnection())
        protocol.connectionMade = lambda: connected(protocol.transport)
        protocol.connectionLost = lambda reason: self.notes.append(("connectionLost", reason.type))
        return protocol

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self.note("clientConnectionFailed", connector, reason.type, str(reason.value))

    def clientConnectionLost(self, connector: Any, reason: Failure) -> None:
        self.note("clientConnectionLost", connector, reason.type)

    def note(self, name: str, connector: Any, *more: object) -> None:
        self.notes.append((name, *more))
        self.then.get(name, lambda connector: None)(connector)


@implementer(IResolverSimple)
class Names:
    """Resolves every name to what a test says."""

    def __init__(self, answer: Callable[[], Deferred[str]]) -> None:
        self.answer = answer

    def getHostByName(self, name: str, timeout: object = ()) -> Deferred[str]:
        return self.answer()


def listening(test: Any, host: str = "127.0.0.1", backlog: int = 10) -> socket.socket:
    """Listen on a port; connections wait in the backlog."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.create_server((host, 0), family=family, backlog=backlog)
    test.addCleanup(server.close)
    return server


def busy(test: Any) -> socket.socket:
    """Listen on a port whose backlog is full, so that no connection to it is made (tcp(7))."""
    server = listening(test, backlog=0)
    first = socket.create_connection(server.getsockname())
    test.addCleanup(first.close)
    return server


class ConnectorTestCase(ReactorTestCase):
    def connect(
        self,
        make: Callable[[], Any],
        port: int,
        host: str = "127.0.0.1",
        then: dict[str, Any] | None = None,
        names: Callable[[], Deferred[str]] | None = None,
        **options: Any,
    ) -> list[object]:
        """Connect on a reactor of its own until the factory stops; return what it was told."""
        notes: list[object] = []
        self.reactor = make()
        if names is not None:
            self.reactor.installResolver(Names(names))
        self.factory = factory = Recorder(self.reactor, notes, then or {})

        def start() -> None:
            self.sockets_before = open_sockets()
            self.reactor.connectTCP(host, port, factory, **options)

        self.reactor.callLater(0, start)
        self.run_reactor()
        return notes

    def alike(self, port: int, host: str = "127.0.0.1", **options: Any) -> list[object]:
        """See that both reactors tell the factory the same, and leave no socket open."""
        told = []
        for make in (self.epoll_reactor, self.uvloop_reactor):
            told.append(self.connect(make, port, host, **options))
            self.assertEqual(self.factory.sockets, self.sockets_before)
            self.assertEqual(self.reactor.removeAll(), [])
        self.assertEqual(*told)
        return told[1]


class ConnectorTests(ConnectorTestCase):
    def closed_port(self) -> int:
        with socket.create_server(("127.0.0.1", 0)) as server:
            number: int = server.getsockname()[1]
        return number

    def test_connected(self) -> None:
        port = listening(self).getsockname()[1]
        self.assertIn("clientConnectionLost", repr(self.alike(port)))

    def test_connected_by_ipv6(self) -> None:
        port = listening(self, "::1").getsockname()[1]
        for host in ("::1", "::1%1"):
            with self.subTest(host):
                told: list[object] = []

                def made(transport: Any, told: Any = told) -> None:
                    told.append((transport.getPeer(), transport.getHost().host))
                    transport.abortConnection()

                self.alike(port, host, then={"connectionMade": made})
                self.assertEqual(*told)

    def test_what_a_transport_says(self) -> None:
        port = listening(self).getsockname()[1]
        told: list[object] = []

        def note(transport: Any) -> None:
            told.append([transport.logstr, transport.logPrefix(), "127.0.0.1" in repr(transport)])

        def made(transport: Any) -> None:
            note(transport)
            told.append([transport.getPeer(), transport.getHost().host, transport.connected])
            transport.loseConnection()

        then = {
            "startedConnecting": lambda connector: note(connector.transport),
            "connectionMade": made,
        }
        self.alike(port, then=then)
        self.assertEqual(told[:3], told[3:])

    def test_what_a_connector_says(self) -> None:
        port = listening(self).getsockname()[1]
        told: list[object] = []

        def note(connector: Any) -> None:
            told.append([connector.state, connector.getDestination(), connector.timeout])
            self.assertIn("Connector", repr(connector))

        def started(connector: Any) -> None:
            note(connector)
            self.assertRaises(RuntimeError, connector.connect)

        def lost(connector: Any) -> None:
            note(connector)
            self.assertRaises(NotConnectingError, connector.stopConnecting)

        self.alike(port, then={"startedConnecting": started, "clientConnectionLost": lost})
        self.assertEqual(told[:2], told[2:])

    def test_options_of_the_socket_before_it_is_connected(self) -> None:
        port = listening(self).getsockname()[1]
        told: list[object] = []

        def started(connector: Any) -> None:
            connector.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

        def made(transport: Any) -> None:
            told.append(transport.getTcpKeepAlive())
            transport.loseConnection()

        self.alike(port, then={"startedConnecting": started, "connectionMade": made})
        self.assertEqual(told, [True, True])

    def test_refused(self) -> None:
        told = self.alike(self.closed_port())
        self.assertIn("ConnectionRefusedError", repr(told))

    def test_no_route(self) -> None:
        """TCP connects to no broadcast address."""
        self.assertIn("NoRouteError", repr(self.alike(1, "127.255.255.255")))

    def test_connected_again(self) -> None:
        for name, port in (
            ("clientConnectionFailed", self.closed_port()),
            ("clientConnectionLost", listening(self).getsockname()[1]),
        ):
            with self.subTest(name):
                then: dict[str, Any] = {}

                def again(connector: Any) -> None:
                    if connector.factory.notes.count(connector.factory.notes[-1]) < 3:
                        connector.connect()

                then[name] = again
                told = self.alike(port, then=then)
                self.assertEqual([told.count("start"), told.count("stop")], [1, 1])
                self.assertEqual(repr(told).count(name), 3)

    def test_stopped_at_once(self) -> None:
        port = listening(self).getsockname()[1]
        for way in ("stopConnecting", "disconnect"):
            with self.subTest(way):

                def started(connector: Any, way: str = way) -> None:
                    getattr(connector, way)()

                told = self.alike(port, then={"startedConnecting": started})
                self.assertIn("UserError", repr(told))

    def test_disconnected(self) -> None:
        port = listening(self).getsockname()[1]

        def made(transport: Any) -> None:
            transport.connector.disconnect()

        self.assertIn("ConnectionDone", repr(self.alike(port, then={"connectionMade": made})))

    def test_aborted_when_it_is_made(self) -> None:
        port = listening(self).getsockname()[1]
        told = self.alike(
            port, then={"connectionMade": lambda transport: transport.abortConnection()}
        )
        self.assertIn("ConnectionAborted", repr(told))

    def test_stopped_while_the_transport_is_made(self) -> None:
        server = listening(self)

        def started(connector: Any) -> None:
            connector.reactor.loop.call_soon(connector.stopConnecting)

        told = self.connect(
            self.uvloop_reactor, server.getsockname()[1], then={"startedConnecting": started}
        )
        self.assertEqual(repr(told).count("UserError"), 1)
        self.assertNotIn("buildProtocol", repr(told))
        self.assertEqual(server.accept()[0].recv(10), b"")

    def test_no_protocol(self) -> None:
        port = listening(self).getsockname()[1]
        told = self.alike(port, then={"buildProtocol": lambda: None})
        self.assertIn("ConnectionDone", repr(told))

    def test_an_error_instead_of_a_protocol(self) -> None:
        port = listening(self).getsockname()[1]
        told = self.connect(self.uvloop_reactor, port, then={"buildProtocol": lambda: 1 / 0})
        self.assertIn("clientConnectionFailed", repr(told))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_port_that_cannot_be(self) -> None:
        for host in ("127.0.0.1", "::1"):
            for port in (-1, 65536):
                with self.subTest(host=host, port=port):
                    self.alike(port, host)

    def test_bound(self) -> None:
        server = listening(self)
        for binding in (
            ("127.0.0.2", 0),
            makeBinding("127.0.0.2", 0, True, True),
        ):
            with self.subTest(binding):
                self.alike(server.getsockname()[1], bindAddress=binding)
                for _ in range(2):
                    accepted, peer = server.accept()
                    accepted.close()
                    self.assertEqual(peer[0], "127.0.0.2")

    def test_bound_by_ipv6(self) -> None:
        self.alike(listening(self, "::1").getsockname()[1], "::1", bindAddress=("::1", 0))

    def test_bound_to_what_is_taken(self) -> None:
        server = listening(self)
        told = self.alike(server.getsockname()[1], bindAddress=server.getsockname())
        self.assertIn("ConnectBindError", repr(told))

    def test_no_descriptor_left(self) -> None:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        port = listening(self).getsockname()[1]

        def connect_without(reactor: Any) -> None:
            lowest = os.open(os.devnull, os.O_RDONLY)
            os.close(lowest)
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
            reactor.connectTCP("127.0.0.1", port, Recorder(reactor, notes, {}))
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)

        told = []
        for make in (self.epoll_reactor, self.uvloop_reactor):
            notes: list[object] = []
            self.reactor = make()
            self.reactor.callWhenRunning(connect_without, self.reactor)
            self.run_reactor()
            told.append(notes)
        self.assertEqual(*told)
        self.assertIn("ConnectBindError", repr(notes))
        self.assertIn(os.strerror(errno.EMFILE), repr(notes))


class NameTests(ConnectorTestCase):
    def test_found(self) -> None:
        port = listening(self).getsockname()[1]
        told = self.alike(port, "a.test", names=lambda: succeed("127.0.0.1"))
        self.assertIn("clientConnectionLost", repr(told))

    def test_unknown(self) -> None:
        told = self.alike(1, "a.test", names=lambda: fail(DNSLookupError("no such name")))
        self.assertIn("DNSLookupError", repr(told))

    def test_stopped_while_it_is_looked_up(self) -> None:
        for answer in ("127.0.0.1", DNSLookupError()):
            with self.subTest(answer):

                def names() -> Deferred[str]:
                    self.looked_up: Deferred[str] = Deferred()
                    self.reactor.callLater(0, self.factory.connector.stopConnecting)
                    return self.looked_up

                def failed(connector: Any, answer: Any = answer) -> None:
                    connector.reactor.callLater(0, self.looked_up.callback, answer)

                told = self.alike(1, "a.test", names=names, then={"clientConnectionFailed": failed})
                self.assertIn("UserError", repr(told))

    def test_timeout(self) -> None:
        told = self.alike(1, "a.test", names=Deferred, timeout=0.01)
        self.assertIn("TimeoutError", repr(told))

    def test_a_scope_that_does_not_exist(self) -> None:
        for make in (self.epoll_reactor, self.uvloop_reactor):
            with self.assertRaises(OSError):
                make().connectTCP("fe80::1%nowhere", 1, ClientFactory())


class PendingTests(ConnectorTestCase):
    """Connections that are not made at once."""

    def test_timeout(self) -> None:
        told = self.alike(busy(self).getsockname()[1], timeout=0.1)
        self.assertIn("TimeoutError", repr(told))

    def test_stopped(self) -> None:
        def started(connector: Any) -> None:
            connector.reactor.callLater(0.1, connector.stopConnecting)

        told = self.alike(
            busy(self).getsockname()[1], timeout=None, then={"startedConnecting": started}
        )
        self.assertIn("UserError", repr(told))

    def test_shutdown(self) -> None:
        def started(connector: Any) -> None:
            connector.reactor.callLater(0.1, connector.reactor.stop)

        told = self.alike(busy(self).getsockname()[1], then={"startedConnecting": started})
        self.assertIn("clientConnectionFailed", repr(told))

    def test_connected_after_a_timeout(self) -> None:
        """The second attempt's socket has the descriptor of the first one's."""
        server = busy(self)

        def failed(connector: Any) -> None:
            server.accept()[0].close()
            connector.connect()

        told = self.connect(
            self.uvloop_reactor,
            server.getsockname()[1],
            then={"clientConnectionFailed": failed},
            timeout=0.1,
        )
        self.assertIn("clientConnectionLost", repr(told))

    def later(self, do: str) -> list[object]:
        """Connect to a listening socket that does something while the connection is pending."""
        told = []
        for make in (self.epoll_reactor, self.uvloop_reactor):
            server = busy(self)

            def started(connector: Any, server: socket.socket = server) -> None:
                connector.reactor.callLater(0.1, lambda: self.kept.append(getattr(server, do)()))

            self.kept: list[Any] = []
            told.append(
                self.connect(make, server.getsockname()[1], then={"startedConnecting": started})
            )
            for accepted, _ in filter(None, self.kept):
                accepted.close()
        self.assertEqual(*told)
        return told[0]

    def test_connected(self) -> None:
        self.assertIn("clientConnectionLost", repr(self.later("accept")))

    def test_refused(self) -> None:
        self.assertIn("ConnectionRefusedError", repr(self.later("close")))


class TLSTests(ReactorTestCase):
    def test_the_client_may_be_the_server_of_the_handshake(self) -> None:
        certificate = Path(twisted.test.__path__[0], "server.pem")
        options = PrivateCertificate.loadPEM(certificate.read_bytes()).options()

        def made(server: Any, reactor: UvloopReactor) -> None:
            server.transport.startTLS(CertificateOptions(), False)
            server.transport.write(b"hi")

        def client_made(client: Any) -> None:
            client.transport.startTLS(options, False)
            client.dataReceived = received

        def received(data: bytes) -> None:
            self.client.received += data
            self.client.transport.loseConnection()

        _, client = self.converse(made, client_made)
        self.assertEqual(client.received, b"hi")


class OrderTests(ConnectorTestCase):
    """What is called later, with no delay, comes after connectionMade and before a client reads."""

    def order(self, make: Callable[[], Any]) -> list[list[str]]:
        """Connect a client and a server that both write, and call themselves later."""
        self.reactor = make()
        notes = []
        factories: list[Any] = [Factory(), ClientFactory()]
        for factory in factories:
            notes.append(self.noted(factory))
        self.running = 2
        port: Any = self.reactor.listenTCP(0, factories[0], interface="127.0.0.1")
        self.reactor.connectTCP("127.0.0.1", port.getHost().port, factories[1])
        self.run_reactor()
        notes[0].remove("read")
        return notes

    def noted(self, factory: Any) -> list[str]:
        notes: list[str] = []

        def build(addr: object) -> Any:
            notes.append("build")
            self.reactor.callLater(0, notes.append, "later")
            return protocol

        def made() -> None:
            notes.append("made")
            protocol.transport.write(b"hi")

        def received(data: bytes) -> None:
            notes.append("read")
            protocol.transport.loseConnection()

        protocol: Any = Peer(self.ended)
        protocol.connectionMade, protocol.dataReceived = made, received
        factory.buildProtocol = build
        return notes

    def test_order(self) -> None:
        orders = [self.order(make) for make in (self.epoll_reactor, self.uvloop_reactor)]
        order = ["build", "made", "later"]
        self.assertEqual(orders, [[order, [*order, "read"]]] * 2)
