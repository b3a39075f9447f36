"""Where a real daemon listens, and what it says where it cannot."""

import os
import resource
import signal
import socket
import stat

from tests.certificates import certificate_pem
from tests.processes import PATIENCE, TWISTD, Daemon, ProcessTestCase, free_port, missing, run

ALONE = (*TWISTD, "--pidfile=")


class PlacesTestCase(ProcessTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.folder / "h.sock"
        self.place = f"--listen=unix:{self.path}"

    def listening(self, *arguments: str, command: tuple[str, ...] = ALONE) -> Daemon:
        """Start a daemon that listens on a UNIX socket."""
        daemon = self.daemon(*(arguments or (self.place,)), command=command)
        daemon.wait_for(r"Waiting for connection\.\.\. .*h\.sock")
        return daemon

    def assert_greets(self) -> None:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(str(self.path))
            self.assertEqual(client.recv(8), b"Welcome!")

    def refuse(self, *arguments: str) -> str:
        """Start what cannot start; return the sentence."""
        started = run(*ALONE, "hello", *arguments, cwd=self.folder)
        self.assertEqual(started.returncode, 1, started.stdout)
        self.assertNotIn("Traceback", started.stdout + started.stderr)
        self.assertEqual(started.stderr.count("\n"), 1, started.stderr)
        return started.stderr


class UNIXTests(PlacesTestCase):
    def test_after_a_kill_it_starts_again(self) -> None:
        daemon = self.listening()
        daemon.stop(signal.SIGKILL)
        self.assertTrue(self.path.is_socket())
        os.symlink(str(os.getpid()), f"{self.path}.lock")  # an older version's; the process lives
        daemon = self.listening()
        self.assert_greets()
        daemon.stop()
        self.assertEqual(os.listdir(self.folder), ["h.sock.lock"])

    def test_of_several_that_start_at_once_one_serves(self) -> None:
        self.listening().stop(signal.SIGKILL)
        daemons = [self.daemon(self.place, command=ALONE) for _ in range(3)]
        told = [daemon.wait_for(r"Waiting for|h\.sock is ")[0] for daemon in daemons]
        self.assertEqual(sorted(told), ["Waiting for", "h.sock is ", "h.sock is "])
        for daemon, words in zip(daemons, told, strict=True):
            if words != "Waiting for":
                self.assertEqual(daemon.wait(), 1)
        self.assert_greets()

    def test_one_that_serves_is_left_alone(self) -> None:
        self.listening()
        before = self.path.stat()
        self.assertIn("is in use, for a server answers there", self.refuse(self.place))
        self.assertTrue(os.path.samestat(before, self.path.stat()))
        self.assert_greets()

    def test_a_newer_daemons_file_outlives_the_older_one(self) -> None:
        older = self.listening()
        self.path.unlink()
        self.listening()
        older.stop()
        self.assert_greets()

    def test_a_start_that_fails_leaves_no_file(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            busy = f"--listen=tcp:{other.getsockname()[1]}:interface=127.0.0.1"
            self.assertIn("another program", self.refuse(self.place, busy))
        self.assertEqual(os.listdir(self.folder), [])

    def test_owner_and_mode_and_a_user_of_its_own(self) -> None:
        if os.geteuid() != 0:
            missing("only root can drop root")
        os.chmod(self.folder, 0o711)
        own = self.folder / "own"
        own.mkdir()
        os.chown(own, 65534, 65534)
        for folder, left in ((own, []), (self.folder, ["h.sock"])):
            self.path = folder / "h.sock"
            daemon = self.listening(
                f"--listen=unix:{self.path}:mode=660:user=65534:group=1",
                command=(*ALONE, "--uid=65534", "--gid=65534"),
            )
            found = self.path.stat()
            self.assertEqual((found.st_uid, found.st_gid), (65534, 1))
            self.assertEqual(stat.S_IMODE(found.st_mode), 0o660)
            self.assert_greets()
            daemon.stop()
            self.assertEqual([name for name in os.listdir(folder) if name != "own"], left)
        daemon.wait_for(r"h\.sock is left behind \(Permission denied\)")
        self.listening(f"--listen=unix:{self.path}").stop()

    def test_what_is_wrong_is_named(self) -> None:
        (self.folder / "file").touch()
        for place, words in (
            ("unix:nosuch/h.sock", "mkdir -p nosuch"),
            ("unix:file", "a file but not a socket"),
            ("unix:.", "is a folder"),
            (f"unix:{'x' * 108}", "of 108 bytes"),
            ("unix:h.sock:mode=999", "mode=999"),
            ("unix:h.sock:user=", "user= is empty"),
            ("unix:h.sock:group=nosuch", "group=nosuch"),
        ):
            self.assertIn(words, self.refuse(f"--listen={place}"))
        self.assertEqual(os.listdir(self.folder), ["file"])


class TCPTests(PlacesTestCase):
    def test_both_families_on_one_port(self) -> None:
        port = free_port()
        four, six = f"tcp:{port}", f"tcp6:{port}"
        for places in ((four, six), (six, four)):
            sentence = self.refuse(*(f"--listen={place}" for place in places))
            self.assertIn(f"{places[0]} and {places[1]} collide", sentence)
            self.assertIn(f"{six} alone serves IPv4 and IPv6, so leave {four} out", sentence)
        daemon = self.daemon(f"--listen=tcp6:{port}", command=ALONE)
        daemon.wait_for("Waiting for connection")
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, port), PATIENCE) as client:
                self.assertEqual(client.recv(8), b"Welcome!")

    def test_the_same_twice(self) -> None:
        place = f"--listen=tcp:{free_port()}:interface=127.0.0.1"
        self.assertIn("given to this daemon twice", self.refuse(place, place))
        self.assertIn("the same file", self.refuse(self.place, f"{self.place}:mode=600"))
        self.assertEqual(os.listdir(self.folder), [])

    def test_addresses(self) -> None:
        self.daemon("--port=0", "--interface=[::1]").wait_for(r"listening on \[::1\]:")
        for option, words in (
            ("--interface=127.0.0.1:9999", "--interface 127.0.0.1 --port 9999"),
            ("--interface=::1:x", "'::1:x' is not an address"),
            ("--listen=tcp6:9999:interface=::1", r"write the address as interface=\:\:1"),
        ):
            self.assertIn(words, self.refuse(option))

    def test_keys(self) -> None:
        pem = self.folder / "server.pem"
        pem.write_bytes(certificate_pem("localhost"))
        other = self.folder / "other.pem"
        other.write_bytes(certificate_pem("localhost"))
        for place, words in (
            ("ssl:0:privateKey=nosuch.pem", "privateKey=nosuch.pem is not there"),
            ("ssl:0:certKey=nosuch.pem", "certKey=nosuch.pem is not there"),
            ("ssl:0:certKey=other.pem", "privateKey=server.pem is not the key of"),
            ("tls:nosuch:0", "path=nosuch is not a folder"),
        ):
            self.assertIn(words, self.refuse(f"--listen={place}"))


class DescriptorTests(PlacesTestCase):
    def test_a_burst_waits_for_descriptors(self) -> None:
        daemon = self.listening(self.place, "--listen=tcp:0:interface=127.0.0.1")
        port = int(daemon.wait_for(r"127\.0\.0\.1:(\d+)\)")[1])
        self.assert_greets()
        daemon.wait_for("closed")
        pid = daemon.process.pid
        highest = max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1 + 30, hard))
        clients = []
        for _ in range(100):
            clients.append(self.enterContext(socket.create_connection(("127.0.0.1", port))))
        clients.append(self.enterContext(socket.socket(socket.AF_UNIX)))
        clients[-1].connect(str(self.path))
        daemon.wait_for("Accepting no connections: Too many open files")
        waiting = [client for client in clients if not self.greeted(client)]
        self.assertGreater(len(waiting), 60)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
        for client in waiting:
            client.settimeout(PATIENCE)
            self.assertEqual(client.recv(8), b"Welcome!")

    def greeted(self, client: socket.socket) -> bool:
        """Say whether a client is let in already; it fails if the client is turned away."""
        client.setblocking(False)
        try:
            greeting = client.recv(8)
        except BlockingIOError:
            return False
        self.assertEqual(greeting, b"Welcome!")
        return True
