"""One TCP connection to a host: its addresses resolved and raced (RFC 8305).

It does less than an L{HostnameEndpoint}, and so is faster. A failed attempt starts the next at
once, an address is not resolved, and an observer hears of each step.
"""

from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from socket import AF_INET, AF_INET6, AddressFamily
from typing import Any

from twisted.internet import error
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IDelayedCall,
    IHostResolution,
    IProtocol,
    IResolutionReceiver,
)
from twisted.internet.protocol import ClientFactory
from twisted.python.failure import Failure
from zope.interface import implementer

ATTEMPT_DELAY = 0.25
"""Seconds before the next address is tried beside the last (RFC 8305, section 8)."""

Address = IPv4Address | IPv6Address | UNIXAddress

_KINDS: dict[AddressFamily | None, list[type[IPv4Address] | type[IPv6Address]]] = {
    None: [IPv4Address, IPv6Address],
    AF_INET: [IPv4Address],
    AF_INET6: [IPv6Address],
}


class ConnectObserver:
    """Hears of the steps of a race; does nothing with them."""

    def resolving(self, host: str) -> None:
        """A name is being looked up."""

    def resolved(self, addresses: Sequence[IAddress]) -> None:
        """The addresses are known, in the order in which they will be tried."""

    def connecting(self, address: IAddress) -> None:
        """An attempt begins."""

    def failed(self, address: IAddress, reason: Failure) -> None:
        """An attempt has failed."""


@implementer(IResolutionReceiver)
class Race:
    """Connects a protocol to the first address of a host that answers."""

    def __init__(
        self,
        reactor: Any,
        protocol: IProtocol,
        on_resolved: Callable[[], None],
        on_failure: Callable[[Failure], None],
        observer: ConnectObserver,
        family: AddressFamily | None = None,
    ) -> None:
        """
        @param reactor: L{IReactorTCP}, L{IReactorTime}, L{IReactorPluggableNameResolver}.
        @param on_resolved: called once the addresses are known.
        @param on_failure: called once with the reason if no attempt succeeds; a race that is
            cancelled is silent.
        @param family: the only family to use, if not any.
        """
        self.reactor = reactor
        self.observer = observer
        self._protocol = protocol
        self._on_resolved = on_resolved
        self._on_failure = on_failure
        self._kinds = _KINDS[family]
        self._waiting: list[Address] = []
        self._running: list[_Attempt] = []
        self._timer: IDelayedCall | None = None
        self._over = False

    def start(self, host: str, port: int) -> None:
        """Begin; C{host} is a name or an address without brackets."""
        for kind, is_literal in ((IPv4Address, isIPAddress), (IPv6Address, isIPv6Address)):
            if is_literal(host):
                self._waiting = [kind("TCP", host, port)] if kind in self._kinds else []
                self.resolutionComplete()
                return
        self.observer.resolving(host)
        self.reactor.nameResolver.resolveHostName(self, host, port, addressTypes=self._kinds)

    def start_at(self, path: str) -> None:
        """Begin with a UNIX socket as the only address."""
        self._waiting = [UNIXAddress(path)]
        self.resolutionComplete()

    def cancel(self) -> None:
        """Stop all attempts."""
        self._over = True
        self._stop_timer()
        for attempt in self._running:
            attempt.connector.disconnect()

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """A race that is cancelled lets it end: Twisted's own cannot be cancelled."""

    def addressResolved(self, address: Address) -> None:  # type: ignore[override]
        if address not in self._waiting:
            self._waiting.append(address)

    def resolutionComplete(self) -> None:
        if self._over:
            return
        self._on_resolved()
        if len(self._waiting) > 1:
            self._waiting = _interleaved(self._waiting)
        self.observer.resolved(self._waiting)
        if self._waiting:
            self._attempt()
        else:
            self._on_failure(Failure(error.DNSLookupError()))

    def won(self, attempt: "_Attempt") -> IProtocol | None:
        """Take the attempt that has connected, and stop the others.

        @return: C{None}, with which Twisted closes the connection, if it comes too late.
        """
        if self._over:
            return None
        self._running.remove(attempt)
        self.cancel()
        return self._protocol

    def lost(self, attempt: "_Attempt", reason: Failure) -> None:
        """Take an attempt that has failed."""
        if self._over:
            return
        self._running.remove(attempt)
        self.observer.failed(attempt.address, reason)
        self._stop_timer()
        if self._waiting:
            self._attempt()
        elif not self._running:
            self._over = True
            self._on_failure(reason)

    def _attempt(self) -> None:
        attempt = _Attempt(self, self._waiting.pop(0))
        self._running.append(attempt)
        self.observer.connecting(attempt.address)
        attempt.start()
        if self._waiting:
            self._timer = self.reactor.callLater(ATTEMPT_DELAY, self._attempt)

    def _stop_timer(self) -> None:
        if self._timer and self._timer.active():
            self._timer.cancel()


class _Attempt(ClientFactory):
    """One address being connected to."""

    connector: IConnector
    noisy = False

    def __init__(self, race: Race, address: Address) -> None:
        self._race = race
        self.address = address

    def start(self) -> None:
        reactor, address = self._race.reactor, self.address
        # The race is timed as a whole.
        if isinstance(address, UNIXAddress):
            self.connector = reactor.connectUNIX(address.name, self, None)
        else:
            self.connector = reactor.connectTCP(address.host, address.port, self, None)

    def buildProtocol(self, addr: IAddress | None) -> IProtocol | None:  # type: ignore[override]
        protocol = self._race.won(self)
        if protocol:
            # Twisted's connector and transport refer to each other, and to this.
            del self._race, self.connector
        return protocol

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        self._race.lost(self, reason)


def _interleaved(addresses: list[Address]) -> list[Address]:
    """Let families alternate, the first address staying first (RFC 8305, section 4)."""
    first = [address for address in addresses if type(address) is type(addresses[0])]
    others = [address for address in addresses if type(address) is not type(addresses[0])]
    pairs = chain.from_iterable(zip_longest(first, others))
    return [address for address in pairs if address is not None]
