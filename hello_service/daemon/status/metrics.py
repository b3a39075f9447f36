"""The counters as Prometheus reads them; prometheus_client is imported when they are asked for.

Names and units are by https://prometheus.io/docs/practices/naming/: base units, C{_total} for what
only grows.
"""

from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from hello_service.daemon.status.counters import BOUNDS
from hello_service.daemon.status.figures import Figures

if TYPE_CHECKING:
    from prometheus_client import Metric


class NoMetrics(Exception):
    """The extra for metrics is not installed; it says so in one sentence."""


def exposition(figures: Figures) -> tuple[bytes, bytes]:
    """Write Prometheus' text format.

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
            yield from _of_the_daemon(figures)
            yield from _of_its_connections(figures)

    registry = CollectorRegistry()
    registry.register(_Asked())
    return generate_latest(registry), CONTENT_TYPE_LATEST.encode()


def _of_the_daemon(figures: Figures) -> Iterator["Metric"]:
    from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

    yield InfoMetricFamily("daemon_build", "What runs.", dict(figures.build))
    for name, help_text, value in (
        ("daemon_start_time_seconds", "When the daemon started, since 1970.", figures.started),
        ("daemon_draining", "Whether it stops: 1, else 0.", figures.draining),
        ("daemon_max_connections", "Connections that may be open.", figures.most),
        (
            "daemon_certificate_expires_timestamp_seconds",
            "When the TLS certificate expires, since 1970.",
            figures.expires,
        ),
    ):
        if value is not None:
            yield GaugeMetricFamily(name, help_text, value)


def _of_its_connections(figures: Figures) -> Iterator["Metric"]:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    totals = figures.totals
    yield GaugeMetricFamily("daemon_connections_open", "Connections that are open.", totals.open)
    for name, help_text, value in (
        ("daemon_connections_accepted", "Connections that have begun.", totals.accepted),
        ("daemon_connections_closed", "Connections that have ended.", totals.closed),
        ("daemon_probes", "Connections that ended without a byte from the client.", totals.probes),
        ("daemon_received_bytes", "Bytes read from clients.", totals.bytes_in),
        ("daemon_sent_bytes", "Bytes written to clients.", totals.bytes_out),
        ("daemon_messages", "Messages answered.", totals.messages),
    ):
        if value is not None:
            yield CounterMetricFamily(name, help_text, value)
    for name, help_text, label, counts in (
        ("connections_refused", "Connections that a limit refused.", "limit", figures.refused),
        ("handshakes_failed", "TLS handshakes that came to nothing.", "cause", figures.handshakes),
    ):
        by_label = CounterMetricFamily(f"daemon_{name}", help_text, labels=[label])
        for word, count in counts.items():
            by_label.add_metric([word], count)
        yield by_label
    bounds = [*map(str, BOUNDS), "+Inf"]
    yield HistogramMetricFamily(
        "daemon_connection_duration_seconds",
        "How long the connections that have ended were open.",
        list(zip(bounds, accumulate(totals.durations), strict=True)),
        totals.seconds,
    )
