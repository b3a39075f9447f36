"""All steps of C{make test} are run and counted, whatever becomes of the others."""

import sys
from contextlib import redirect_stdout
from io import StringIO

from twisted.trial.unittest import SynchronousTestCase

from tests.run import Step, counts, main


def says(line: str, status: int = 0) -> Step:
    """A step that prints a line and ends."""
    return Step((sys.executable, "-c", f"print({line!r}); raise SystemExit({status})"))


class CountsTests(SynchronousTestCase):
    def test_last_lines(self) -> None:
        for line, numbers in (
            ("464 passed in 45.77s", (464, 0, 0)),
            ("= 1 failed, 20 passed, 3 skipped, 2 errors in 65.30s (0:01:05) =", (20, 3, 3)),
            ("1 error in 0.05s", (0, 1, 0)),
            ("no tests ran in 0.01s", (0, 0, 0)),
            ("PASSED (skips=2, successes=500)", (500, 0, 2)),
            ("FAILED (failures=1, errors=2, successes=7)", (7, 3, 0)),
            ("PASSED (expectedFailures=1, successes=7)", (7, 0, 0)),
        ):
            self.assertEqual(tuple(counts(line).values()), numbers, line)

    def test_other_lines(self) -> None:
        self.assertEqual(counts("TOTAL 5 passed"), {})


class RunTests(SynchronousTestCase):
    def run_all(self, *steps: Step) -> tuple[int, str]:
        with redirect_stdout(StringIO()) as shown:
            status = main(steps)
        return status, shown.getvalue()

    def test_the_sum_is_the_last_line(self) -> None:
        status, shown = self.run_all(
            says("2 passed, 1 skipped in 0.10s"), says("PASSED (successes=3)"), says("clean")
        )
        self.assertEqual((status, shown.splitlines()[-1]), (0, "5 passed, 0 failed, 1 skipped"))

    def test_a_failure_keeps_nothing_from_being_run(self) -> None:
        status, shown = self.run_all(
            says("unclean", 1), says("1 failed, 2 passed in 0.10s", 1), says("3 passed in 0.10s")
        )
        self.assertEqual((status, shown.splitlines()[-1]), (1, "5 passed, 2 failed, 0 skipped"))

    def test_the_environment(self) -> None:
        show = "import os; print(os.environ['TEST_REACTOR'], os.environ['PATH'] != '')"
        step = Step((sys.executable, "-c", show), {"TEST_REACTOR": "uvloop"})
        self.assertIn("\nuvloop True\n", self.run_all(step)[1])
