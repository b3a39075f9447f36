"""Connections that a balancer passes on: its PROXY header first, then the protocol.

Twisted's C{haproxy:} endpoint builds the protocol before the header is there, which is too late for
one that speaks first or counts its hosts. Its parsers lose a header that comes in pieces, and take
much that is none, as does the package proxy-protocol: ports like C{+80}, for one.
"""

from typing import Any

from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from hello_service.address import address_text
from hello_service.daemon.balancers import Balancers
from hello_service.daemon.limits import LimitedFactory
from hello_service.daemon.proxy_header import BadHeader, Header, HeaderReader

DEADLINE = 3.0
"""Seconds that a header may take: enough for a lost packet of it to be sent again."""


@implementer(IProtocolFactory)
class ProxiedFactory:
    """Has balancers send a header before a factory's protocol is built, and others none.

    What the protocol sees is the connection of the client: its transport's C{getPeer} returns the
    client's address, and its C{via} is the balancer's, as text.

    @param limits: what refuses connections, somewhere within C{factory}, too.
    @param factory: builds the protocols, or TLS around them.
    """

    def __init__(
        self,
        clock: IReactorTime,
        limits: LimitedFactory,
        trusted: Balancers,
        factory: IProtocolFactory,
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._trusted = trusted
        self._factory = factory
        self.doStart = factory.doStart
        self.doStop = factory.doStop

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        """Build what awaits a header, or the factory's protocol for who is no balancer."""
        if addr not in self._trusted:
            return self._factory.buildProtocol(addr)
        if refusal := self._limits.refuse_beyond_total():
            return refusal
        return AwaitedHeader(self._clock, self._limits, self._factory, addr)


class AwaitedHeader(Protocol):
    """A connection whose header is not there yet, one of the daemon's `Connections`."""

    transport: Any  # any stream transport of Twisted's or ours, which all let C{protocol} be set
    host = None
    in_handshake = False
    answering = False
    bytes_in = 0
    bytes_out = 0
    started = 0.0

    _deadline: IDelayedCall

    def __init__(
        self,
        clock: IReactorTime,
        limits: LimitedFactory,
        factory: IProtocolFactory,
        balancer: IAddress,
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._next = factory
        self._balancer = balancer
        self._reader = HeaderReader()

    def account(self) -> dict[str, object]:
        """Return nothing: no message has been counted."""
        return {}

    def drain(self, reason: str) -> None:
        """Close: nothing is owed."""
        self._forget()
        self.transport.loseConnection()

    def abort(self) -> None:
        """Close at once, by a reset."""
        self._forget()
        self.transport.abortConnection()

    def connectionMade(self) -> None:
        self.started = self._clock.seconds()
        self._deadline = self._clock.callLater(
            DEADLINE, self._refuse, f"it was not there after {DEADLINE:g} seconds"
        )
        self._limits.connections.add(self)

    def dataReceived(self, data: bytes) -> None:
        self.bytes_in += len(data)
        try:
            header = self._reader.feed(data)
        except BadHeader as error:
            self._refuse(str(error))
            return
        if header:
            self._forget()
            self._limits.connections.hand_over(self)
            self._hand_over(header)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._deadline.active() and self.bytes_in:  # else it was a check of the port
            self._tell("the connection ended within it")
        self._forget()
        self._limits.connections.discard(self)

    def _hand_over(self, header: Header) -> None:
        transport, client = self.transport, header.source
        protocol = self._next.buildProtocol(client or self._balancer)
        if protocol is None:
            transport.abortConnection()
            return
        if client is not None:
            transport.via = address_text(self._balancer)
            transport.getPeer = lambda: client
        transport.protocol = protocol
        protocol.makeConnection(transport)
        if header.rest:
            protocol.dataReceived(header.rest)

    def _refuse(self, why: str) -> None:
        self._tell(why)
        self.abort()

    def _tell(self, why: str) -> None:
        self._limits.refuse("proxy", via=address_text(self._balancer), why=why)

    def _forget(self) -> None:
        if self._deadline.active():
            self._deadline.cancel()
