import sys
from dataclasses import replace
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.status.counters import BOUNDS, Totals
from hello_service.daemon.status.figures import Figures
from hello_service.daemon.status.metrics import NoMetrics, exposition

BUILD = {"name": "hello", "version": "1.0", "reactor": "EPollReactor"}

FIGURES = Figures(
    build=BUILD,
    started=1000.5,
    draining=False,
    most=960,
    most_per_host=None,
    busiest=None,
    totals=Totals(2, 3, 1, 40, 50, 6, (1, 1, 0, 0, 0, 0, 0, 0, 1), 90000.5),
    refused={"total": 7, "host": 0},
    handshakes={"late": 0, "failed": 8},
    expires=2000.5,
)

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(figures: Figures) -> tuple[Samples, dict[str, str]]:
    """Return what Prometheus reads: the samples, and the type of each family."""
    text, media_type = exposition(figures)
    assert media_type.startswith(b"text/plain; version=")
    families = list(text_string_to_metric_families(text.decode()))
    return (
        {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        },
        {family.name: family.type for family in families},
    )


class MetricsTests(SynchronousTestCase):
    def test_what_prometheus_reads(self) -> None:
        found, types = samples(FIGURES)
        for name, value, labels in (
            ("daemon_build_info", 1, BUILD),
            ("daemon_start_time_seconds", 1000.5, {}),
            ("daemon_draining", 0, {}),
            ("daemon_max_connections", 960, {}),
            ("daemon_certificate_expires_timestamp_seconds", 2000.5, {}),
            ("daemon_connections_open", 2, {}),
            ("daemon_connections_accepted_total", 5, {}),
            ("daemon_connections_closed_total", 3, {}),
            ("daemon_probes_total", 1, {}),
            ("daemon_received_bytes_total", 40, {}),
            ("daemon_sent_bytes_total", 50, {}),
            ("daemon_messages_total", 6, {}),
            ("daemon_connections_refused_total", 7, {"limit": "total"}),
            ("daemon_connections_refused_total", 0, {"limit": "host"}),
            ("daemon_handshakes_failed_total", 0, {"cause": "late"}),
            ("daemon_handshakes_failed_total", 8, {"cause": "failed"}),
            ("daemon_connection_duration_seconds_bucket", 1, {"le": "0.01"}),
            ("daemon_connection_duration_seconds_bucket", 2, {"le": str(BOUNDS[-1])}),
            ("daemon_connection_duration_seconds_bucket", 3, {"le": "+Inf"}),
            ("daemon_connection_duration_seconds_count", 3, {}),
            ("daemon_connection_duration_seconds_sum", 90000.5, {}),
        ):
            self.assertEqual(found[name, frozenset(labels.items())], value, name)
        self.assertEqual(types["daemon_connections_open"], "gauge")
        self.assertEqual(types["daemon_connections_accepted"], "counter")
        self.assertEqual(types["daemon_connection_duration_seconds"], "histogram")

    def test_draining(self) -> None:
        found, _ = samples(replace(FIGURES, draining=True))
        self.assertEqual(found["daemon_draining", frozenset()], 1)

    def test_what_there_is_not(self) -> None:
        _, types = samples(FIGURES)
        without = replace(FIGURES.totals, messages=None)
        _, fewer = samples(replace(FIGURES, totals=without, most=None, expires=None))
        self.assertEqual(
            types.keys() - fewer.keys(),
            {
                "daemon_messages",
                "daemon_max_connections",
                "daemon_certificate_expires_timestamp_seconds",
            },
        )

    def test_without_the_extra(self) -> None:
        modules: dict[str, Any] = sys.modules
        self.addCleanup(modules.update, prometheus_client=modules["prometheus_client"])
        modules["prometheus_client"] = None
        error = self.assertRaises(NoMetrics, exposition, FIGURES)
        self.assertIn("pip install prometheus-client", str(error))
