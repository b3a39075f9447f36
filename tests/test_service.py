import resource
import signal
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from twisted.application.service import IServiceMaker
from twisted.internet.address import IPv4Address
from twisted.logger import capturedLogs
from twisted.plugin import getPlugins
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase, TestCase

from hello_service import __version__
from hello_service.conversation import Framing
from hello_service.daemon.limits import RESERVE
from hello_service.service import Options, makeService
from tests.connections import HalfCloseTransport


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
        names = ("reuse-port", "quiet-probes", "status-bytes", "reveal")
        self.assertEqual([options.pop(flag) for flag in names], [False] * 4)
        self.assertEqual(set(options.values()), {None})

    def test_wrong_uses(self) -> None:
        for arguments in (
            ["--framing", "json"],
            ["--delay", "-1"],
            ["--delay", "nan"],
        ):
            self.assertRaises(UsageError, parsed, *arguments)

    def test_reveal_needs_a_name_and_a_line(self) -> None:
        for arguments in ([], ["--name=a"], ["--framing=line"], ["--name=a", "--framing=stream"]):
            error = self.assertRaises(UsageError, parsed, "--reveal", *arguments)
            self.assertIn("give --name and --framing line", str(error))
        self.assertTrue(parsed("--reveal", "--name=a", "--framing=line")["reveal"])
        self.assertRaises(UsageError, parsed, "--listen=tcp:1", "--port=1")

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

    async def greeting(self, *arguments: str) -> tuple[str, bytes]:
        """Return what a daemon calls itself in the log, and how it greets."""
        service: Any = makeService(parsed("--port=0", "--framing=line", *arguments))
        with capturedLogs() as events:
            service.startService()
        (port,) = service.ports
        protocol = port.factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 54321))
        transport = HalfCloseTransport()
        protocol.makeConnection(transport)
        protocol.connectionLost()
        await service.stopService()
        (event,) = (event for event in events if event.get("event") == "listening")
        return event.get("name", ""), transport.value()

    async def test_a_name_is_on_the_wire_only_where_asked_for(self) -> None:
        revealed = b"Welcome! I am web-1, you are 192.0.2.1:54321.\r\n"
        self.assertEqual(await self.greeting(), ("", b"Welcome!\r\n"))
        self.assertEqual(await self.greeting("--name=web-1"), ("web-1", b"Welcome!\r\n"))
        self.assertEqual(await self.greeting("--name=web-1", "--reveal"), ("web-1", revealed))

    def test_more_connections_than_descriptors_end_the_process(self) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        options = parsed("--port=0", f"--max-connections={hard}")
        raised = self.assertRaises(SystemExit, makeService, options)
        self.assertIn(f"{hard - RESERVE} at most", str(raised.code))

    def test_a_wrong_endpoint_ends_the_process(self) -> None:
        raised = self.assertRaises(SystemExit, makeService, parsed("--listen", "nosuch:1"))
        self.assertIn("there is no kind of endpoint 'nosuch'", str(raised.code))
