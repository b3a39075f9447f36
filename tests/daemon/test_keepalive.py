"""What the sockets of accepted connections are told of keepalive, on the reactor of the test."""

import socket
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from hello_service.daemon.activation import adopted_endpoint
from hello_service.daemon.protocol import DaemonFactory, DaemonProtocol
from hello_service.daemon.service import DaemonService
from hello_service.daemon.settings import Settings
from tests.processes import trial_on_uvloop


class Shown(DaemonProtocol):
    """Shows the socket of its connection to its factory."""

    factory: "ShownFactory"

    def opened(self) -> None:
        self.factory.accepted.callback(self.transport.getHandle())  # type: ignore[attr-defined]


class ShownFactory(DaemonFactory):
    protocol = Shown

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.accepted: Deferred[Any] = Deferred()


class KeepaliveTests(TestCase):
    async def options(
        self, settings: Settings, descriptor: int = -1
    ) -> tuple[int, tuple[int, int, int]]:
        """Connect; return the accepted socket's SO_KEEPALIVE, and seconds, seconds and probes."""
        from twisted.internet import reactor

        factory = ShownFactory(reactor)
        inherited = []
        if descriptor >= 0:
            inherited = [("here", adopted_endpoint(reactor, descriptor, "here"))]
        service = DaemonService(reactor, factory, settings, inherited=inherited)
        service.startService()
        (port,) = service.ports
        address: Any = port.getHost()
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        with socket.socket(family) as client:
            client.setblocking(False)
            client.connect_ex((address.host, address.port))
            handle = await factory.accepted
            shown = handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            idle, interval, count = (
                handle.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            )
        await service.stopService()
        return shown, (idle, interval, count)

    async def test_by_default_after_a_minute(self) -> None:
        self.assertEqual(await self.options(Settings(port=0)), (1, (60, 15, 4)))

    async def test_after_other_seconds(self) -> None:
        for settings in (
            Settings(port=0, keepalive=9),
            Settings(port=0, keepalive=9, interface="::1"),
            Settings(port=0, keepalive=9, reuse_port=True),
            Settings(listen=["tcp:0:interface=127.0.0.1"], keepalive=9),
        ):
            self.assertEqual(await self.options(settings), (1, (9, 3, 4)))

    async def test_never(self) -> None:
        shown, (idle, _, _) = await self.options(Settings(port=0, keepalive=0))
        self.assertEqual(shown, 0)
        self.assertNotEqual(idle, 60)

    async def test_on_a_socket_that_is_inherited(self) -> None:
        inherited = socket.create_server(("127.0.0.1", 0))
        found = await self.options(Settings(keepalive=30), inherited.detach())
        self.assertEqual(found, (1, (30, 8, 4)))

    async def test_never_leaves_an_inherited_socket_what_it_has(self) -> None:
        inherited = socket.create_server(("127.0.0.1", 0))
        inherited.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        shown, _ = await self.options(Settings(keepalive=0), inherited.detach())
        self.assertEqual(shown, 1)

    async def test_not_on_unix_sockets(self) -> None:
        from twisted.internet import reactor

        folder = Path(self.enterContext(TemporaryDirectory()))
        settings = Settings(listen=[f"unix:{folder}/socket"])
        service = DaemonService(reactor, ShownFactory(reactor), settings)
        service.startService()
        ports: list[Any] = service.ports
        keepalive = ports[0].socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        self.assertEqual(keepalive, 0)
        await service.stopService()


class OnUvloopTests(SynchronousTestCase):
    def test_the_same(self) -> None:
        done = trial_on_uvloop(f"{__name__}.KeepaliveTests")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("PASSED (successes=6)", done.stdout)
