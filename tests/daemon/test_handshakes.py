from OpenSSL import SSL
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.handshakes import Handshakes

LEFT = Failure(ConnectionDone())
ABORTED = Failure(ConnectionAborted())
REFUSED = Failure(SSL.Error([("SSL routines", "", "unsupported protocol")]))


class HandshakesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.handshakes = Handshakes(self.clock)
        self.handshakes.running = True
        self.enterContext(capturedLogs())

    def count(self, *reasons: Failure) -> list[str]:
        """Count some; return what is logged then and within the next minute."""
        with capturedLogs() as events:
            for reason in reasons:
                self.handshakes.count(reason, reason is ABORTED)
            self.clock.advance(60)
        return [formatEvent(event) for event in events]

    def test_the_first_at_once_the_others_within_the_minute(self) -> None:
        self.assertEqual(
            self.count(LEFT, LEFT, LEFT),
            ["TLS handshakes that the client left: 1.", "TLS handshakes that the client left: 2."],
        )
        self.assertEqual(self.count(LEFT), ["TLS handshakes that the client left: 1."])
        self.clock.advance(60)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_each_cause(self) -> None:
        self.count(LEFT)
        with capturedLogs() as events:
            self.count(REFUSED, LEFT)
        self.assertEqual([event["log_level"].name for event in events], ["warn", "info"])
        self.assertEqual(
            self.count(LEFT, REFUSED, ABORTED, REFUSED),
            [
                "TLS handshakes that the client left: 1.",
                "TLS handshakes failed: 2, the last for this reason: unsupported protocol.",
                "TLS handshakes aborted: 1, for they took more than 10 seconds.",
            ],
        )

    def test_totals_from_the_start_on(self) -> None:
        self.assertEqual(self.handshakes.totals, {"late": 0, "failed": 0, "left": 0})
        for _ in range(2):
            self.count(LEFT, REFUSED, ABORTED, LEFT)
        self.assertEqual(self.handshakes.totals, {"late": 2, "failed": 2, "left": 4})

    def test_a_failure_that_says_nothing(self) -> None:
        for error in (SSL.Error(), SSL.Error([]), SSL.SysCallError(-1, "x")):
            (line,) = self.count(Failure(error))
            self.assertEqual(line, "TLS handshakes failed: 1, the last for this reason: unknown.")
            self.clock.advance(60)

    def test_it_stops(self) -> None:
        self.handshakes.count(LEFT, False)
        with capturedLogs() as events:
            self.handshakes.count(LEFT, False)
            self.handshakes.stop()
            self.assertEqual(len(events), 1)
            self.handshakes.count(LEFT, False)
            self.handshakes.count(LEFT, False)
            self.handshakes.stop()
        self.assertEqual([event["count"] for event in events], [1, 1, 1])
        self.assertEqual(self.clock.getDelayedCalls(), [])
