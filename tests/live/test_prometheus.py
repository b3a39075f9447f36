"""deploy/prometheus, with a real Prometheus that scrapes a real daemon."""

import json
import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import isnan
from pathlib import Path
from queue import Queue
from time import monotonic
from typing import Any, Self
from urllib.parse import urlencode

from twisted.trial.unittest import SynchronousTestCase

from tests.certificates import certificate_pem
from tests.processes import PATIENCE, ProcessTestCase, Program, program, run
from tests.tutorial import tutorial_client

SHIPPED = Path(__file__).parent.parent.parent / "deploy/prometheus"

DASHBOARD = json.loads((SHIPPED / "dashboard.json").read_text())

OTHER_WORDS = {"sum", "le", "cause", "up"}
"""What stands in expressions besides functions and the metrics of a daemon."""


def expressions() -> Iterator[tuple[str, str]]:
    """What the dashboard asks for: the title of each panel, and a query, without variables."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "1m")
            yield panel["title"], re.sub(r"\$\w+", ".+", expression)


def metrics_in(expression: str) -> set[str]:
    """The metrics that an expression names."""
    bare = re.sub(r"\{.*?\}|\[.*?\]|[\d.]+", " ", expression)
    return set(re.findall(r"\b[a-z_]+\b(?! *\()", bare)) - OTHER_WORDS


class Alerted:
    """Takes alerts as Alertmanager does, for as long as the context lasts."""

    def __init__(self) -> None:
        alerts: Queue[dict[str, Any]] = Queue()

        class Takes(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                for alert in json.loads(self.rfile.read(int(self.headers["Content-Length"]))):
                    alerts.put(alert)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._alerts = alerts
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Takes)
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05])
        self.port: int = self._server.server_address[1]
        self.annotations: dict[str, str] = {}

    def wait_for(self, *names: str) -> None:
        """Wait until each has fired."""
        while set(names) - self.annotations.keys():
            alert = self._alerts.get(timeout=PATIENCE)
            self.annotations[alert["labels"]["alertname"]] = alert["annotations"]["description"]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class ShippedTests(SynchronousTestCase):
    def promtool(self, *arguments: str) -> str:
        checked = run("promtool", *arguments)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        return checked.stdout

    def test_the_files_are_valid(self) -> None:
        told = self.promtool("check", "config", str(SHIPPED / "prometheus.yml"))
        self.assertIn("SUCCESS: 8 rules found", told)

    def test_when_each_alert_fires(self) -> None:
        self.promtool("test", "rules", str(Path(__file__).with_name("alerts.yml")))

    def test_the_panels_lie_side_by_side(self) -> None:
        taken: set[tuple[int, int]] = set()
        for panel in DASHBOARD["panels"]:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24)
            cells = {
                (place["x"] + x, place["y"] + y)
                for x in range(place["w"])
                for y in range(place["h"])
            }
            self.assertFalse(cells & taken, panel["title"])
            taken |= cells
        ids = [panel["id"] for panel in DASHBOARD["panels"]]
        self.assertEqual(len(set(ids)), len(ids))

    def test_the_dashboard_takes_whatever_prometheus_there_is(self) -> None:
        uids = set(re.findall(r'"uid": "(.*?)"', json.dumps(DASHBOARD["panels"])))
        self.assertEqual(uids, {"${datasource}"})


class ScrapedTests(ProcessTestCase):
    """What Prometheus makes of a daemon that knows all troubles."""

    def setUp(self) -> None:
        super().setUp()
        self.alerted = self.enterContext(Alerted())
        (self.folder / "server.pem").write_bytes(certificate_pem("localhost"))
        self.watched = self.daemon(
            "--port=0", "--tls-port=0", "--tls-certificate=server.pem",
            "--status=tcp:0:interface=127.0.0.1", "--max-connections=4", "--drain-delay=600",
        )  # fmt: skip
        self.tls_port = int(self.watched.wait_for(r"Waiting for connection.*:(\d+)\)", 2)[1])
        self.status = int(self.watched.wait_for(r"Status on 127\.0\.0\.1:(\d+)\.")[1])
        self.converse()
        prometheus = self.prometheus()
        self.api = int(prometheus.wait_for(r'"Listening on" address=127\.0\.0\.1:(\d+)')[1])

    def prometheus(self) -> Program:
        """Run it with the shipped files, but quicker: alerts wait for nothing."""
        rules = (SHIPPED / "rules.yml").read_text()
        (self.folder / "rules.yml").write_text(re.sub(r"\n +for: .*", "", rules))
        shipped, alerting, to = (SHIPPED / "prometheus.yml").read_text().partition("# alerting:\n")
        told = shipped + (alerting + to).replace("# ", "")
        for before, after in (
            (":9909", f":{self.status}"),
            (":9093", f":{self.alerted.port}"),
            ("scrape_interval: 15s", "scrape_interval: 500ms"),
            ("15s", "100ms"),
        ):
            self.assertIn(before, told)
            told = told.replace(before, after)
        (self.folder / "quick.yml").write_text(told)
        command = [
            program("prometheus"), "--config.file=quick.yml", "--storage.tsdb.path=data",
            "--web.listen-address=127.0.0.1:0",
        ]  # fmt: skip
        return self.enterContext(Program(command, self.folder))

    def connect(self, port: int) -> socket.socket:
        return self.enterContext(socket.create_connection(("127.0.0.1", port), PATIENCE))

    def converse(self) -> None:
        self.assertEqual(len(tutorial_client(self.watched.port())), 4)

    def make_trouble(self) -> None:
        """Say nothing, say what is no TLS, and fill the daemon until it refuses somebody."""
        silent = self.connect(self.watched.port())
        self.assertEqual(silent.recv(8), b"Welcome!")
        silent.close()
        no_tls = self.connect(self.tls_port)
        no_tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
        self.watched.wait_for("TLS handshakes failed: 1")
        self.watched.wait_for(r"Connection from .* closed\.", 3)
        for _ in range(4):
            self.assertEqual(self.connect(self.watched.port()).recv(8), b"Welcome!")
        with self.assertRaises(ConnectionResetError):  # as early as while it connects
            self.connect(self.watched.port()).recv(1)

    def get(self, port: int, path: str) -> str:
        connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        with closing(connection):
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def ask(self, path: str, **query: str) -> Any:
        """Ask Prometheus; return the data of its answer."""
        answer = json.loads(self.get(self.api, f"/api/v1/{path}?{urlencode(query)}"))
        self.assertEqual(answer["status"], "success", answer)
        return answer["data"]

    def values(self, expression: str) -> list[float]:
        """Ask for some values until there are any: after a scrape that took too long, none are."""
        until = monotonic() + PATIENCE
        found: list[Any] = []
        while not found:
            self.assertLess(monotonic(), until, expression)
            found = self.ask("query", query=expression)["result"]
        return [float(each["value"][1]) for each in found]

    def test_all_is_seen(self) -> None:
        self.alerted.wait_for("DaemonCertificateExpires")  # hence it has scraped
        self.converse()
        self.make_trouble()
        self.alerted.wait_for("DaemonHandshakesFail", "DaemonNearMaxConnections", "DaemonRefuses")
        self.assert_known_names()
        for title, expression in expressions():
            self.assertFalse(any(map(isnan, self.values(expression))), title)
        self.watched.process.send_signal(signal.SIGTERM)
        self.alerted.wait_for("DaemonStuckInDrain")
        self.watched.stop()
        self.alerted.wait_for("DaemonDown")
        self.assertNotIn("error", "".join(self.alerted.annotations.values()))

    def assert_known_names(self) -> None:
        """See that all metrics which the files name are there, and of the kind they should be."""
        metrics = self.get(self.status, "/metrics")
        checked = run("promtool", "check", "metrics", input=metrics)
        self.assertEqual((checked.returncode, checked.stderr), (0, ""))
        exported = set(re.findall(r"^daemon_\w+", metrics, re.MULTILINE))
        rules = [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]
        self.assertEqual({rule["health"] for rule in rules}, {"ok"})
        for named in [*(query for _, query in expressions()), *(rule["query"] for rule in rules)]:
            self.assertLessEqual(metrics_in(named), exported, named)
