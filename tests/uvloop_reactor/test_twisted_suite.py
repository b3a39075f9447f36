"""Twisted's own tests pass on the uvloop reactor."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

FEWEST = 360
"""Twisted 26.10 has a few more tests than this for one reactor; with fewer, not all were run."""


class TwistedSuiteTests(SynchronousTestCase):
    timeout = 300

    def test_twisted_s_own_tests_pass(self) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory())
        finished = subprocess.run(
            [sys.executable, "-m", "tests.uvloop_reactor.twisted_suite", f"{folder}/trial"],
            cwd=Path(__file__).parent.parent.parent,
            capture_output=True,
            text=True,
            timeout=self.timeout,
        )
        self.assertEqual(finished.returncode, 0, finished.stdout + finished.stderr)
        successes = re.search(r"successes=(\d+)", finished.stdout)
        assert successes, finished.stdout
        self.assertGreater(int(successes[1]), FEWEST)
