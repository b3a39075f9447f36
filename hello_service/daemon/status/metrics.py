"""The counters as Prometheus reads them; prometheus_client is imported when they are asked for.

Names and units are by https://prometheus.io/docs/practices/naming/: base units, C{_total} for what
only grows.
"""

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING

from hello_service.daemon.status.counters import BOUNDS, Totals

if TYPE_CHECKING:
    from prometheus_client import Metric


class NoMetrics(Exception):
    """The extra for metrics is not installed; it says so in one sentence."""


def exposition(
    totals: Totals, refused: Mapping[str, int], build: Mapping[str, str]
) -> tuple[bytes, bytes]:
    """Write Prometheus' text format.

    @param refused: how many connections each limit has refused.
    @param build: labels that tell one daemon, and what it runs on, from another.
    @return: the text, and its media type.
    @raises NoMetrics: if prometheus_client is not installed.
    """
    try:
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        from prometheus_client.registry import Collector
    except ImportError:
        raise NoMetrics(
            "/metrics takes the extra `status`: run `pip install prometheus-client` in the daemon's"
            " environment and ask again."
        ) from None

    class _Asked(Collector):
        def collect(self) -> Iterator["Metric"]:
            return _families(totals, refused, build)

    registry = CollectorRegistry()
    registry.register(_Asked())
    return generate_latest(registry), CONTENT_TYPE_LATEST.encode()


def _families(
    totals: Totals, refused: Mapping[str, int], build: Mapping[str, str]
) -> Iterator["Metric"]:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        InfoMetricFamily,
    )

    yield InfoMetricFamily("daemon_build", "What runs.", dict(build))
    yield GaugeMetricFamily("daemon_connections_open", "Connections that are open.", totals.open)
    for name, help_text, value in (
        ("daemon_connections_accepted", "Connections that have begun.", totals.accepted),
        ("daemon_connections_closed", "Connections that have ended.", totals.closed),
        ("daemon_received_bytes", "Bytes read from clients.", totals.bytes_in),
        ("daemon_sent_bytes", "Bytes written to clients.", totals.bytes_out),
        ("daemon_messages", "Messages answered.", totals.messages),
    ):
        if value is not None:
            yield CounterMetricFamily(name, help_text, value)
    by_limit = CounterMetricFamily(
        "daemon_connections_refused", "Connections that a limit refused.", labels=["limit"]
    )
    for limit, count in refused.items():
        by_limit.add_metric([limit], count)
    yield by_limit
    bounds = [*map(str, BOUNDS), "+Inf"]
    yield HistogramMetricFamily(
        "daemon_connection_duration_seconds",
        "How long the connections that have ended were open.",
        list(zip(bounds, accumulate(totals.durations), strict=True)),
        totals.seconds,
    )
