"""The open connections of a daemon, for all who count, end or wait for them."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, MutableSet
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred

from hello_service.daemon.probes import ProbesService


class Connection(Protocol):
    """What a protocol lets others know of its connection, and do to it.

    @ivar host: the peer's IP address; C{None} where it has none.
    @ivar started: when the connection was made, by the reactor's clock.
    @ivar bytes_in: how many bytes have been read.
    @ivar bytes_out: how many bytes have been written.
    @ivar in_handshake: whether its TLS handshake is not over.
    @ivar answering: whether it is the daemon's turn to say something, not the peer's.
    """

    @property
    def host(self) -> str | None: ...
    @property
    def started(self) -> float: ...
    @property
    def bytes_in(self) -> int: ...
    @property
    def bytes_out(self) -> int: ...
    @property
    def in_handshake(self) -> bool: ...
    @property
    def answering(self) -> bool: ...

    def account(self) -> dict[str, object]:
        """Return what it has counted itself."""

    def drain(self, reason: str) -> None:
        """Send what is owed, then close."""

    def abort(self) -> None:
        """Close at once."""


def _plain(host: str | None) -> str | None:
    """Give a host one name: to C{::}, IPv4 clients come as C{::ffff:1.2.3.4} (RFC 4291, 2.5.5)."""
    return host and host.removeprefix("::ffff:")


AnyConnection = TypeVar("AnyConnection", bound=Connection)


class Connections(MutableSet[AnyConnection]):
    """A set of connections: a protocol adds itself when it is connected and discards itself when
    its connection is lost.

    @ivar fields: what each record of them in the log has besides its own.
    @ivar probes: what counts those that said nothing, if the log is not to tell of each.
    """

    fields: Mapping[str, object] = {}
    probes: ProbesService | None = None

    def __init__(self) -> None:
        self._open: dict[AnyConnection, None] = {}
        self._hosts: Counter[str | None] | None = None
        self._waiting: list[Deferred[None]] = []
        self._opened: Callable[[AnyConnection], object] | None = None
        self._closed: Callable[[AnyConnection], object] | None = None

    def add(self, value: AnyConnection) -> None:
        """Add one, if it is not there."""
        if value in self._open:
            return
        self._open[value] = None
        if self._hosts is not None:
            self._hosts[_plain(value.host)] += 1
        if self._opened is not None:
            self._opened(value)

    def discard(self, value: AnyConnection) -> None:
        """Take one out, if it is there."""
        if value not in self._open:
            return
        self.hand_over(value)
        if self._closed is not None:
            self._closed(value)
        if not self._open:
            waiting, self._waiting = self._waiting, []
            for emptied in waiting:
                emptied.callback(None)

    def hand_over(self, value: AnyConnection) -> None:
        """Take one out that goes on as another, which is to be added: nothing has ended."""
        self._open.pop(value, None)
        if self._hosts is not None:
            host = _plain(value.host)
            self._hosts[host] -= 1
            if not self._hosts[host]:
                del self._hosts[host]

    def __contains__(self, value: object) -> bool:
        return value in self._open

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[AnyConnection]:
        """Go through those that are open now, whichever end on the way, the oldest first."""
        return iter(tuple(self._open))

    def from_host(self, host: str | None) -> int:
        """Count those from one host; the counts are kept only once somebody has asked."""
        return self._counts()[_plain(host)]

    def from_busiest_host(self) -> int:
        """Count those from the host that has most."""
        return max((count for host, count in self._counts().items() if host), default=0)

    def tell_opened(self, opened: Callable[[AnyConnection], object] | None) -> None:
        """Have a function called with each connection when it is made, or none any more."""
        self._opened = opened

    def tell_closed(self, closed: Callable[[AnyConnection], object]) -> None:
        """Have a function called with each connection when it is lost."""
        self._closed = closed

    def _counts(self) -> Counter[str | None]:
        if self._hosts is None:
            self._hosts = Counter(_plain(connection.host) for connection in self._open)
        return self._hosts

    def emptied(self) -> Deferred[None]:
        """Wait until there is none; may be cancelled."""
        emptied: Deferred[None] = Deferred()
        if self._open:
            self._waiting.append(emptied)
        else:
            emptied.callback(None)
        return emptied
