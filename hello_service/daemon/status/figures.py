"""What the metrics and the page are made of."""

from collections.abc import Mapping
from dataclasses import dataclass

from hello_service.daemon.status.counters import Totals


@dataclass(frozen=True)
class Figures:
    """All numbers there are, at one moment.

    @ivar build: labels that tell one daemon, and what it runs on, from another.
    @ivar started: when the daemon started, in seconds since 1970.
    @ivar draining: whether it stops.
    @ivar most: how many connections there may be, if there is a limit.
    @ivar most_per_host: how many from one IP address.
    @ivar busiest: how many are from the address that has most, if that is limited.
    @ivar refused: how many connections each limit has refused.
    @ivar handshakes: how many TLS handshakes came to nothing, for each cause.
    @ivar expires: when the TLS certificate expires, in seconds since 1970, if there is one.
    """

    build: Mapping[str, str]
    started: float
    draining: bool
    most: int | None
    most_per_host: int | None
    busiest: int | None
    totals: Totals
    refused: Mapping[str, int]
    handshakes: Mapping[str, int]
    expires: float | None

    def overview(self, now: float) -> dict[str, object]:
        """Return what the page tells above its list of connections, see events.py."""
        totals = self.totals
        return {
            **self.build,
            "now": now,
            "uptime": now - self.started,
            "draining": self.draining,
            "open": totals.open,
            "accepted": totals.accepted,
            "closed": totals.closed,
            "probes": totals.probes,
            "messages": totals.messages,
            "received": totals.bytes_in,
            "sent": totals.bytes_out,
            "refused": self.refused,
            "most": self.most,
            "most_per_host": self.most_per_host,
            "busiest": self.busiest,
            "handshakes": self.handshakes,
            "certificate": self.expires,
        }
