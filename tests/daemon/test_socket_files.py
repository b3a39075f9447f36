import fcntl
import os
import socket
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.logger import capturedLogs, formatEvent

from tests.daemon.test_unix_sockets import NOBODY, UNIXTestCase
from tests.processes import missing


class TakingOverTests(UNIXTestCase):
    async def test_a_socket_that_nobody_listens_on(self) -> None:
        self.stale()
        await self.listen()
        await self.assert_greets()

    async def test_a_lock_of_twisteds_port_whose_process_lives_again(self) -> None:
        self.stale()
        lock = f"{self.path}.lock"
        os.symlink(str(os.getpid()), lock)
        twisteds = UNIXServerEndpoint(reactor, str(self.path), wantPID=1)
        await self.assertFailure(twisteds.listen(Factory()), CannotListenError)
        await self.stop(await self.listen())
        self.assertEqual(os.readlink(lock), str(os.getpid()))

    async def test_one_that_somebody_listens_on(self) -> None:
        first = await self.listen()
        before = self.path.stat()
        error: Any = await self.assertFailure(self.attempt(), CannotListenError)
        self.assertEqual(error.port, str(self.path))
        self.assertTrue(os.path.samestat(before, self.path.stat()))
        await self.assert_greets()
        await self.stop(first)

    async def test_one_whose_backlog_is_full(self) -> None:
        with socket.create_server(str(self.path), family=socket.AF_UNIX, backlog=0):
            waiting = []
            while True:
                client = self.enterContext(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                waiting.append(client)
                try:
                    client.connect(str(self.path))
                except BlockingIOError:
                    break
            await self.assertFailure(self.attempt(), CannotListenError)
        self.assertTrue(self.path.is_socket())

    async def test_one_of_datagrams(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(str(self.path))
            await self.assertFailure(self.attempt(), CannotListenError)
        self.assertTrue(self.path.is_socket())

    async def test_what_is_no_socket_is_never_removed(self) -> None:
        self.path.write_text("precious")
        self.assertIn("a file but not a socket", await self.refused())
        self.assertEqual(self.path.read_text(), "precious")
        link = self.folder / "link"
        os.symlink("nowhere", link)
        self.assertIn("a file but not a socket", await self.refused(link))
        self.assertTrue(link.is_symlink())
        self.assertIn(f"like {self.folder}/name.sock", await self.refused(self.folder))

    async def test_another_daemons_newer_file_is_left_alone(self) -> None:
        first = await self.listen()
        os.unlink(self.path)
        second = await self.listen()
        await self.stop(first)
        await self.assert_greets()
        await self.stop(second)
        self.assertEqual(os.listdir(self.folder), [])

    async def test_a_file_that_is_gone_already(self) -> None:
        port = await self.listen()
        os.unlink(self.path)
        with capturedLogs() as events:
            await self.stop(port)
        self.assertEqual([event for event in events if event["log_level"].name != "info"], [])

    async def test_a_file_that_cannot_be_removed(self) -> None:
        port = await self.listen()
        moved = self.folder.rename(f"{self.folder}.moved")
        self.folder.write_text("")  # for the folder of the file is not a folder any more
        with capturedLogs() as events:
            await self.stop(port)
        told = [formatEvent(event) for event in events if event["log_level"].name == "warn"]
        self.assertEqual(
            told, [f"{self.path} is left behind (Not a directory); the next start takes it over."]
        )
        self.folder.unlink()
        moved.rename(self.folder)


class StartingTogetherTests(UNIXTestCase):
    async def test_a_daemon_that_starts_holds_off_another(self) -> None:
        lock = f"{self.path}.starting"
        with open(lock, "w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            self.stale()
            self.assertIn("another daemon that is starting", await self.refused())
            self.assertTrue(self.path.is_socket())
        await self.listen()
        self.assertFalse(os.path.exists(lock))

    async def test_the_lock_of_a_daemon_that_was_killed(self) -> None:
        Path(f"{self.path}.starting").touch()
        await self.listen()
        self.assertEqual(os.listdir(self.folder), ["h.sock"])

    async def test_a_link_in_the_place_of_the_lock(self) -> None:
        os.symlink(self.folder / "precious", f"{self.path}.starting")
        self.assertIn(f"needs {self.path}.starting while", await self.refused())
        self.assertFalse((self.folder / "precious").exists())

    async def test_a_folder_in_the_place_of_the_lock(self) -> None:
        Path(f"{self.path}.starting").mkdir()
        self.assertIn("see what it is and remove it", await self.refused())
        self.assertEqual(os.listdir(self.folder), ["h.sock.starting"])

    async def test_a_lock_that_is_removed_while_it_is_taken(self) -> None:
        lock, flock = f"{self.path}.starting", fcntl.flock
        replaced = iter([True, False])

        def take(descriptor: int, how: int) -> None:
            if (again := next(replaced, None)) is not None:  # the daemon that held it is done
                os.unlink(lock)
                if again:  # and another has begun
                    Path(lock).touch()
            flock(descriptor, how)

        self.patch(fcntl, "flock", take)
        await self.listen()
        self.assertIsNone(next(replaced, None))
        self.assertEqual(os.listdir(self.folder), ["h.sock"])

    async def test_the_lock_is_let_go_after_a_failure(self) -> None:
        self.path.mkdir()
        self.assertIn("is a folder", await self.refused())
        self.assertEqual(os.listdir(self.folder), ["h.sock"])


class RefusalTests(UNIXTestCase):
    async def test_a_loop_of_links(self) -> None:
        (self.folder / "loop").symlink_to("loop")
        self.assertIn("cannot be made: Too many", await self.refused(self.folder / "loop" / "h"))

    async def test_folders(self) -> None:
        self.assertIn(f"mkdir -p {self.folder}/a", await self.refused(self.folder / "a" / "h.sock"))
        (self.folder / "file").touch()
        self.assertIn(
            f"{self.folder}/file is not a folder",
            await self.refused(self.folder / "file" / "h.sock"),
        )

    async def test_long_paths(self) -> None:
        for length in (108, 300):
            path = f"{self.folder}/".ljust(length, "x")
            self.assertIn(f"of {length} bytes", await self.refused(path))
        self.assertEqual(os.listdir(self.folder), [])
        await self.listen(f"{self.folder}/".ljust(107, "x"))

    async def test_where_this_user_may_not(self) -> None:
        if os.geteuid() != 0:
            missing("only root can become a user who may not")
        others = self.folder / "others.sock"
        with socket.create_server(str(others), family=socket.AF_UNIX):
            os.chmod(others, 0o600)
            self.stale()
            os.chmod(self.folder, 0o1777)
            own = self.folder / "own"
            own.mkdir(mode=0o700)
            os.seteuid(NOBODY)
            try:
                self.assertIn("may not write", await self.refused(own / "h.sock"))
                self.assertIn("a socket of another user", await self.refused(others))
                self.assertIn("a socket of another user", await self.refused())
            finally:
                os.seteuid(0)
            os.chmod(self.path, 0o666)
            os.seteuid(NOBODY)
            try:
                self.assertIn(f"sudo rm {self.path}", await self.refused())
            finally:
                os.seteuid(0)
