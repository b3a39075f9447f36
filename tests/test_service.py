import resource
import signal
from contextlib import redirect_stdout
from io import StringIO

from twisted.application.service import IServiceMaker
from twisted.logger import capturedLogs
from twisted.plugin import getPlugins
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase, TestCase

from hello_service import __version__
from hello_service.conversation import Framing
from hello_service.daemon.limits import RESERVE
from hello_service.service import Options, makeService


def parsed(*arguments: str) -> Options:
    options = Options()
    options.parseOptions(arguments)
    return options


class OptionsTests(SynchronousTestCase):
    def test_what_was_given(self) -> None:
        options = parsed("--framing", "line", "--delay", "0.5", "--port", "0")
        told = options["framing"], options["delay"], options["port"]
        self.assertEqual(told, (Framing.LINE, 0.5, 0))

    def test_nothing_given(self) -> None:
        options = parsed()
        self.assertEqual((options.pop("listen"), options.pop("tls-listen")), ([], []))
        self.assertFalse(options.pop("reuse-port"))
        self.assertEqual(set(options.values()), {None})

    def test_wrong_uses(self) -> None:
        for arguments in (
            ["--framing", "json"],
            ["--delay", "-1"],
            ["--delay", "nan"],
        ):
            self.assertRaises(UsageError, parsed, *arguments)

    def test_version(self) -> None:
        output = StringIO()
        with redirect_stdout(output):
            self.assertFalse(self.assertRaises(SystemExit, parsed, "--version").code)
        self.assertEqual(output.getvalue(), f"hello_service {__version__}\n")


class PluginTests(TestCase):
    async def test_twistd_finds_it(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        (maker,) = [plugin for plugin in getPlugins(IServiceMaker) if plugin.tapname == "hello"]
        self.assertIs(maker.options, Options)
        service = maker.makeService(parsed("--port", "0"))
        with capturedLogs() as events:
            service.startService()
        await service.stopService()
        self.assertIn("127.0.0.1:", events[-1]["address"])

    def test_more_connections_than_descriptors_end_the_process(self) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        options = parsed("--port=0", f"--max-connections={hard}")
        raised = self.assertRaises(SystemExit, makeService, options)
        self.assertIn(f"{hard - RESERVE} at most", str(raised.code))

    def test_a_wrong_endpoint_ends_the_process(self) -> None:
        raised = self.assertRaises(SystemExit, makeService, parsed("--listen", "nosuch:1"))
        self.assertIn("there is no kind of endpoint 'nosuch'", str(raised.code))
