"""Runs Twisted's own tests of reactors on the uvloop reactor.

By C{python -m tests.uvloop_reactor.twisted_suite}.

A program of its own, since it has to name the reactor before Twisted's tests are imported.
"""

import asyncio
import sys
import unittest
from collections.abc import Iterator

import uvloop
from twisted.internet.test.reactormixins import ReactorBuilder
from twisted.trial.reporter import VerboseTextReporter
from twisted.trial.runner import TestLoader, TrialRunner
from twisted.trial.unittest import SynchronousTestCase

from hello_service.uvloop_reactor.reactor import UvloopReactor as Reactor

MODULES = (
    "test_base",
    "test_core",
    "test_fdset",
    "test_newtls",
    "test_posixbase",
    "test_process",
    "test_tcp",
    "test_threads",
    "test_time",
    "test_tls",
    "test_udp",
    "test_unix",
)

_LOG_PREFIX = (
    "twisted.python.log is not told whose event it is: that alone takes as long as all of uvloop's"
    " work on a short message"
)
_CHANGE_UID = "fails on every reactor where other users may not run this interpreter"
_WAIT = "connections wait in the backlog where Twisted accepts and closes them"
_NOT_PAUSED = "a producer is paused when the system does not take what is written; here it does"
LEFT_OUT = {
    ("test_tcp", "test_logPrefix"): _LOG_PREFIX,
    ("test_tls", "test_logPrefix"): _LOG_PREFIX,
    ("test_tcp", "test_closePeerOnEMFILE"): _WAIT,
    ("test_tls", "test_closePeerOnEMFILE"): _WAIT,
    ("test_tcp", "test_streamingProducer"): _NOT_PAUSED,
    ("test_process", "test_changeUID"): _CHANGE_UID,
}
"""Why a test of Twisted's is not run."""


def UvloopReactor(case: SynchronousTestCase) -> Reactor:
    """Make a reactor for one of Twisted's tests; its classes are named after this function."""
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    case.addCleanup(asyncio.set_event_loop, None)
    case.addCleanup(loop.close)
    return Reactor(loop)


def cases(suite: unittest.TestSuite) -> Iterator[SynchronousTestCase]:
    """Go through the test cases of a suite."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from cases(test)
        else:
            yield test  # type: ignore[misc]


def main(folder: str) -> int:
    """Run the tests in a folder; return the exit status."""
    ReactorBuilder._reactors = [f"{__name__}.UvloopReactor"]
    suite = TestLoader().loadByNames([f"twisted.internet.test.{name}" for name in MODULES])
    for case in cases(suite):
        module, _, method = case.id().rsplit(".", 2)
        reason = LEFT_OUT.get((module.rpartition(".")[2], method))
        if reason:
            case.skip = reason
    result = TrialRunner(VerboseTextReporter, workingDirectory=folder).run(suite)
    return int(not result.wasSuccessful())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
