"""A fetch in memory: the test is the network and the server."""

from collections.abc import Callable, Iterable
from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IHostResolution,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import URI
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgentEndpointFactory, IBodyProducer, IResponse
from zope.interface import implementer

from hello_service.fetch import RawAgent, Settings
from hello_service.fetch.response import RawResponse

V4 = IPv4Address("TCP", "192.0.2.1", 80)
V6 = IPv6Address("TCP", "2001:db8::1", 80)
LOCAL = IPv4Address("TCP", "192.0.2.99", 4321)


@implementer(IHostResolution)
class Resolver:
    """Resolves a name when, and to what, the test says."""

    name = ""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, Any]] = []

    def resolveHostName(
        self,
        receiver: IResolutionReceiver,
        host: str,
        port: int = 0,
        addressTypes: Any = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        self.asked.append((host, port, addressTypes))
        self._receiver = receiver
        receiver.resolutionBegan(self)
        return self

    def resolve(self, addresses: Iterable[Any]) -> None:
        for address in addresses:
            self._receiver.addressResolved(address)
        self._receiver.resolutionComplete()

    def cancel(self) -> None:
        raise NotImplementedError  # as Twisted's own does


@implementer(IAgentEndpointFactory)
class Endpoints:
    """Leads every URI to one place."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self.endpoint = endpoint
        self.uris: list[URI] = []

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        self.uris.append(uri)
        return self.endpoint


@implementer(IBodyProducer)
class Producer:
    """Writes what the test says; knows what it was told."""

    consumer: Any

    def __init__(self, length: Any = UNKNOWN_LENGTH) -> None:
        self.length = length
        self.done: Deferred[None] = Deferred()
        self.told: list[str] = []

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        self.told.append("start")
        self.consumer = consumer
        return self.done

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


class Body(Protocol):
    """Takes a body, and says how it ended."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.reasons: list[Failure] = []

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)

    def dataReceived(self, data: bytes) -> None:
        self.pieces.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.reasons.append(reason)


class FetchTestCase(SynchronousTestCase):
    """An agent whose connections end in the test."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.resolver = Resolver()
        self.reactor.installNameResolver(cast(Any, self.resolver))
        self.now = 100.0

    def monotonic(self) -> float:
        """A clock that goes on by one second whenever it is asked."""
        self.now += 1
        return self.now

    def agent(
        self, endpoint_factory: IAgentEndpointFactory | None = None, **settings: Any
    ) -> RawAgent:
        return RawAgent(
            self.reactor,
            Settings(**{"monotonic": self.monotonic, **settings}),
            endpoint_factory=endpoint_factory,
        )

    def request(
        self,
        method: bytes = b"GET",
        uri: bytes = b"http://192.0.2.1/",
        headers: Headers | None = None,
        **settings: Any,
    ) -> Deferred[IResponse]:
        return self.agent(**settings).request(method, uri, headers)

    def connect(self, attempt: int = -1) -> StringTransport:
        """Let an attempt succeed; C{self.peer} is our protocol then."""
        factory: Any = self.reactor.tcpClients[attempt][2]
        address = self.reactor.connectors[attempt].getDestination()
        self.peer: Any = factory.buildProtocol(address)
        transport = StringTransport(LOCAL, address)
        self.peer.makeConnection(transport)
        return transport

    def refuse(self, reason: Exception, attempt: int = -1) -> None:
        """Let an attempt fail."""
        factory = self.reactor.tcpClients[attempt][2]
        factory.clientConnectionFailed(self.reactor.connectors[attempt], Failure(reason))

    def close(self) -> None:
        self.peer.connectionLost(Failure(ConnectionDone()))

    def reset(self) -> None:
        self.peer.connectionLost(Failure(ConnectionLost()))

    def response(self, answer: Deferred[IResponse]) -> RawResponse:
        return cast(RawResponse, self.successResultOf(answer))

    def fetched(self, *pieces: bytes, **request: Any) -> RawResponse:
        """Return the response to a request that is answered by these pieces."""
        answer = self.request(**request)
        self.transport = self.connect()
        for piece in pieces:
            self.peer.dataReceived(piece)
        return self.response(answer)

    def body_of(self, response: IResponse, then: Callable[[], None] = lambda: None) -> Body:
        body = Body()
        response.deliverBody(body)
        then()
        return body
