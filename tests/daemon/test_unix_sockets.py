import grp
import os
import pwd
import shutil
import socket
import stat
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase, TestCase

from hello_service.daemon.obstacles import Unusable
from hello_service.daemon.unix_sockets import UNIXEndpoint, unix_endpoint
from tests.processes import missing

NOBODY = 65534


class Noted(Protocol):
    """Says hello to whoever connects."""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"Welcome")
        self.transport.loseConnection()


class UNIXTestCase(TestCase):
    def setUp(self) -> None:
        self.folder = Path(mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = self.folder / "h.sock"

    async def listen(self, path: Path | str = "", **options: int) -> Any:
        """Listen until the test ends."""
        endpoint = UNIXEndpoint(reactor, str(path or self.path), 5, **options)
        factory = Factory.forProtocol(Noted)
        factory.noisy = False
        port = await endpoint.listen(factory)
        self.addCleanup(self.stop, port)
        return port

    async def stop(self, port: Any) -> None:
        """Stop, unless it has."""
        if port.connected:
            await maybeDeferred(port.stopListening)

    def stale(self) -> None:
        """Leave a socket that nobody listens on, as a daemon does that is killed."""
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(str(self.path))

    async def assert_greets(self) -> None:
        greeted: Deferred[bytes] = Deferred()

        class Client(Protocol):
            def dataReceived(self, data: bytes) -> None:
                greeted.callback(data)

        factory = Factory.forProtocol(Client)
        await UNIXClientEndpoint(reactor, str(self.path)).connect(factory)
        self.assertEqual(await greeted, b"Welcome")

    def attempt(self) -> Deferred[IListeningPort]:
        return UNIXEndpoint(reactor, str(self.path), 5).listen(Factory())

    async def refused(self, path: Path | str = "", **options: int) -> str:
        """Fail to listen; return the reason."""
        try:
            await self.listen(path, **options)
        except Unusable as error:
            sentence = error.sentence
        else:
            self.fail("it listens")
        self.assertRegex(sentence, r"\A[^\n]+[^.]\.\Z")
        return sentence


class ListeningTests(UNIXTestCase):
    async def test_its_file_comes_and_goes(self) -> None:
        port = await self.listen()
        self.assertEqual(os.listdir(self.folder), ["h.sock"])
        self.assertEqual(port.getHost().name, os.fsencode(self.path))
        self.assertIn("h.sock", repr(port))
        await self.assert_greets()
        await self.stop(port)
        self.assertEqual(os.listdir(self.folder), [])

    async def test_the_file_goes_at_once(self) -> None:
        port = await self.listen()
        stopping = maybeDeferred(port.stopListening)
        self.assertEqual(os.listdir(self.folder), [])
        await stopping

    async def test_a_reactor_that_ends_removes_it_too(self) -> None:
        port: Any = await self.listen()
        port.stopReading()
        port.connectionLost(None)
        self.assertEqual(os.listdir(self.folder), [])

    async def test_as_many_wait_as_the_backlog_says(self) -> None:
        port = await self.listen()
        port.stopReading()
        waiting = 0
        with self.assertRaises(BlockingIOError):
            while True:
                client = self.enterContext(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(str(self.path))
                waiting += 1
        self.assertEqual(waiting, 5 + 1)  # Linux lets in one more

    async def test_modes(self) -> None:
        for mode in (0o600, 0o660, 0o666, 0o777):
            port = await self.listen(mode=mode)
            self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), mode)
            await self.stop(port)

    async def test_owners(self) -> None:
        if os.geteuid() != 0:
            missing("only root can give a file away")
        await self.listen(user=1, group=2)
        found = self.path.stat()
        self.assertEqual((found.st_uid, found.st_gid), (1, 2))

    async def test_a_group_alone(self) -> None:
        group = os.getgroups()[-1] if os.getgroups() else os.getegid()
        await self.listen(group=group)
        found = self.path.stat()
        self.assertEqual((found.st_uid, found.st_gid), (os.geteuid(), group))

    async def test_what_cannot_be_given_away(self) -> None:
        if os.geteuid() != 0:
            self.assertIn("start as root", await self.refused(user=0))
            return
        os.chmod(self.folder, 0o777)
        os.seteuid(NOBODY)
        try:
            self.assertIn("start as root", await self.refused(user=0))
        finally:
            os.seteuid(0)
        self.assertEqual(os.listdir(self.folder), [])


class UNIXEndpointTests(SynchronousTestCase):
    def make(self, **parts: str) -> UNIXEndpoint:
        return unix_endpoint(None, "5", **{"address": "/run/h", **parts})

    def assert_wrong(self, words: str, **parts: str) -> None:
        error = self.assertRaises(ValueError, self.make, **parts)
        self.assertIn(words, str(error))

    def test_modes(self) -> None:
        for text, mode in (("660", 0o660), ("0660", 0o660), ("0o600", 0o600), ("0", 0)):
            self.assertEqual(self.make(mode=text)._mode, mode)
        for text in ("999", "", "-1", "rw", "1777", "0x1", "6 6", "²"):
            self.assert_wrong(f"mode={text} is not a file mode", mode=text)

    def test_lock_files(self) -> None:
        for text in "01":
            self.make(lockfile=text)
        self.assert_wrong("lockfile=", lockfile="yes")

    def test_no_path(self) -> None:
        self.assert_wrong("the path of the socket is missing", address="")

    def test_users_and_groups(self) -> None:
        user, group = pwd.getpwuid(0), grp.getgrgid(0)
        endpoint = self.make(user=user.pw_name, group=group.gr_name)
        self.assertEqual((endpoint._user, endpoint._group), (0, 0))
        endpoint = self.make(user="4294967294", group="65534")
        self.assertEqual((endpoint._user, endpoint._group), (4294967294, 65534))
        endpoint = self.make()
        self.assertEqual((endpoint._user, endpoint._group), (-1, -1))

    def test_which_are_none(self) -> None:
        for kind, table in (("user", "passwd"), ("group", "group")):
            for name in ("nosuch", "-1", "\udcff", "²", "no such"):
                self.assert_wrong(
                    f"{kind}={name} is not a {kind} of this machine: `getent {table}`",
                    **{kind: name},
                )
            self.assert_wrong(f"{kind}= is empty: give a name or a number", **{kind: ""})
            for number in ("4294967295", "9" * 5000):
                self.assert_wrong(f"{kind}={number} is too large", **{kind: number})
