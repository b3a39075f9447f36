"""Runs all that C{make test} runs, and ends with the counts of all of it in one line.

A step that fails keeps no other from being run. One that counts no tests, such as the linters,
counts as a failure if it fails, and not at all if it passes.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

# pytest leaves these to trial: they take the longest, whatever the reactor.
PACKAGE, CONTAINER = "tests/live/test_package.py", "tests/live/test_container.py"
TWISTED_SUITE = "tests/uvloop_reactor/test_twisted_suite.py"
PYTEST = ("-m", "pytest", "-p", "no:twisted", "--quiet")


class Step(NamedTuple):
    """Something to run: a command, and what its environment has besides."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = MappingProxyType({})


def python(*arguments: str, **environment: str) -> Step:
    return Step((sys.executable, *arguments), environment)


STEPS = (
    Step(("make", "--no-print-directory", "lint")),
    python("-m", "coverage", "erase"),
    python(
        *("-m", "coverage", "run", *PYTEST, "--numprocesses=3"),
        *("--ignore=tests/live", f"--ignore={TWISTED_SUITE}"),
    ),
    python("-m", "coverage", "combine", "--quiet"),
    python("-m", "coverage", "report"),
    python(
        *(*PYTEST, "--numprocesses=4", f"--ignore={PACKAGE}", f"--ignore={CONTAINER}"),
        "tests/live",
    ),
    python(
        *("-W", "error::ResourceWarning", "-m", "twisted.trial", "--jobs=4", "tests"),
        TEST_REACTOR="uvloop",
    ),
    python("-m", "pytest", "--quiet", "tests/sockets"),
    python("-m", "pytest", "--quiet", "-p", "tests.sockets_on_uvloop", "tests/sockets"),
)
"""Each test is run twice: by pytest, its twistd on the default reactor, and by trial, on uvloop.

Those of C{tests/live} are left out of what is measured: the others reach each line without them,
and to measure their many processes takes a quarter as long again.
"""

KINDS = {
    "passed": r"(\d+) passed|successes=(\d+)",
    "failed": r"(\d+) (?:failed|errors?\b)|(?:failures|errors|unexpectedSuccesses)=(\d+)",
    "skipped": r"(\d+) skipped|skips=(\d+)",
}
"""What counts in the last line of pytest and of trial."""


def counts(line: str) -> dict[str, int]:
    """Return what the last line of pytest or trial counts; nothing of any other line."""
    if not re.search(r" in \d+\.\d+s|^(PASSED|FAILED)", line):
        return {}
    return {
        kind: sum(int(one or other) for one, other in re.findall(pattern, line))
        for kind, pattern in KINDS.items()
    }


def run(step: Step) -> Counter[str]:
    """Run a step, show what it prints, and return what it counts."""
    print(f"\n$ {shlex.join(step.command)}", flush=True)
    found: dict[str, int] = {}
    with subprocess.Popen(
        step.command,
        env={**os.environ, **step.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            found = counts(line) or found
    if process.returncode and not found.get("failed"):
        found["failed"] = 1
    return Counter(found)


def main(steps: Sequence[Step] = STEPS) -> int:
    """Run every step; return the exit status."""
    found = Counter(passed=0, failed=0, skipped=0)
    for step in steps:
        found.update(run(step))
    print("\n" + ", ".join(f"{number} {kind}" for kind, number in found.items()))
    return 1 if found["failed"] else 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main())
