import os
import signal
import socket
import stat
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from hello_service.daemon.activation import (
    adopted_endpoint,
    inherited_sockets,
    starting_environment,
)
from tests.processes import (
    PATIENCE,
    TWISTD,
    Daemon,
    ProcessTestCase,
    free_port,
    free_ports,
    on_reactor,
    program,
    run,
    wait_for_end,
)


class StartingEnvironmentTests(ProcessTestCase):
    def test_it_outlives_the_import_of_endpoints(self) -> None:
        told = run(
            "sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=a exec "$0" -c "$1"',
            sys.executable,
            "import twisted.internet.endpoints\n"
            "from hello_service.daemon.activation import inherited_sockets, starting_environment\n"
            "print(inherited_sockets(starting_environment()))",
        )  # fmt: skip
        self.assertEqual((told.stdout, told.stderr), ("{3: 'descriptor 3 (a)'}\n", ""))

    def test_this_one(self) -> None:
        self.assertIn("PATH", starting_environment())

    def test_of_a_process_that_may_not_read_it(self) -> None:
        told = run(
            sys.executable,
            "-c",
            "import ctypes, os\n"
            "from pathlib import Path\n"
            "from hello_service.daemon.activation import starting_environment\n"
            "if not os.geteuid(): os.setuid(65534)\n"
            "ctypes.CDLL(None).prctl(4, 0)  # PR_SET_DUMPABLE\n"
            "try: print(Path('/proc/self/environ').read_bytes())\n"
            "except PermissionError: print(starting_environment())",
        )
        self.assertEqual(told.stdout, "{}\n", told.stderr)


class InheritedSocketsTests(SynchronousTestCase):
    def inherited(self, **environ: str) -> dict[int, str]:
        return inherited_sockets({"LISTEN_PID": str(os.getpid()), **environ})

    def test_names_or_none(self) -> None:
        self.assertEqual(self.inherited(LISTEN_FDS="2"), {3: "descriptor 3", 4: "descriptor 4"})
        self.assertEqual(
            self.inherited(LISTEN_FDS="3", LISTEN_FDNAMES="a::b"),
            {3: "descriptor 3 (a)", 4: "descriptor 4", 5: "descriptor 5 (b)"},
        )

    def test_for_another_process_or_none(self) -> None:
        self.assertEqual(self.inherited(LISTEN_PID=str(os.getppid()), LISTEN_FDS="2"), {})
        self.assertEqual(inherited_sockets({}), {})

    def test_a_number_that_is_none(self) -> None:
        for text in ("abc", "", "-3", "30000000"):
            error = self.assertRaises(ValueError, self.inherited, LISTEN_FDS=text)
            self.assertRegex(str(error), r"^LISTEN_FDS is .*, not a number .*\.$")
        self.assertEqual(self.inherited(), {})


class AdoptedEndpointTests(TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))

    async def assert_greets(self, listening: socket.socket) -> None:
        """Greet a client through an endpoint made of the socket."""
        address = listening.getsockname()
        client = self.enterContext(socket.socket(listening.family))
        client.connect(address)
        endpoint = adopted_endpoint(reactor, listening.detach(), "descriptor 3")
        greeted: Deferred[None] = Deferred()
        port = await endpoint.listen(Factory.forProtocol(lambda: Greeting(greeted)))
        await greeted
        self.assertEqual(client.recv(7), b"Welcome")
        await maybeDeferred(port.stopListening)

    async def test_tcp(self) -> None:
        await self.assert_greets(socket.create_server(("127.0.0.1", 0)))
        await self.assert_greets(socket.create_server(("::1", 0), family=socket.AF_INET6))

    async def test_a_unix_sockets_file_is_left_alone(self) -> None:
        path = self.folder / "hello.sock"
        listening = socket.create_server(str(path), family=socket.AF_UNIX)
        path.chmod(0o600)
        await self.assert_greets(listening)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)

    async def test_systemd_listens_on(self) -> None:
        path = str(self.folder / "hello.sock")
        for listening in (
            socket.create_server(path, family=socket.AF_UNIX),
            socket.create_server(("127.0.0.1", 0)),
        ):
            with listening.dup() as kept:
                await self.assert_greets(listening)
                with socket.socket(kept.family) as client:
                    client.connect(kept.getsockname())

    def test_anything_else(self) -> None:
        bound = socket.create_server(("127.0.0.1", 0))
        with (
            bound,
            socket.create_connection(bound.getsockname()) as connected,
            socket.socket() as fresh,
            socket.socket(type=socket.SOCK_DGRAM) as datagrams,
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as packets,
            open(self.folder / "file", "w") as file,
        ):
            packets.bind(str(self.folder / "hello.sock"))
            packets.listen()
            for other in (connected, fresh, datagrams, packets, file):
                error = self.assertRaises(
                    ValueError, adopted_endpoint, reactor, other.fileno(), "descriptor 3 (a)"
                )
                self.assertRegex(str(error), r"^systemd passed descriptor 3 \(a\), .*Accept=no\.$")
                os.fstat(other.fileno())


class Greeting(Protocol):
    def __init__(self, greeted: Deferred[None]) -> None:
        self.greeted = greeted

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"Welcome")
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.greeted.callback(None)


class ActivatedTests(ProcessTestCase):
    """The daemon under systemd-socket-activate, which starts it with the first connection."""

    def activated(self, *options: str, hello: tuple[str, ...] = ("--delay=0",)) -> Daemon:
        daemon = self.daemon(*hello, command=("systemd-socket-activate", *options, *self.twistd))
        daemon.wait_for("Listening on", len([o for o in options if o.startswith("--listen")]))
        return daemon

    def setUp(self) -> None:
        super().setUp()
        self.twistd = [program("twistd"), *on_reactor(TWISTD)[1:]]

    def greet(self, family: int, address: object) -> None:
        with socket.socket(family) as client:
            client.settimeout(PATIENCE)
            client.connect(address)  # type: ignore[arg-type]
            self.assertEqual(client.recv(8), b"Welcome!")

    def test_all_sockets_without_names(self) -> None:
        port, path = free_port(), self.folder / "hello.sock"
        daemon = self.activated(f"--listen=127.0.0.1:{port}", f"--listen={path}")
        self.greet(socket.AF_INET, ("127.0.0.1", port))
        self.greet(socket.AF_UNIX, str(path))
        daemon.wait_for("Waiting for connection", 2)
        self.assertEqual(daemon.stop(), -signal.SIGTERM)
        self.assertTrue(path.is_socket())

    def test_both_families_with_names(self) -> None:
        ports = free_ports(2)
        self.activated(
            f"--listen=127.0.0.1:{ports[0]}", f"--listen=[::1]:{ports[1]}", "--fdname=a:b"
        )
        self.greet(socket.AF_INET6, ("::1", ports[1]))
        self.greet(socket.AF_INET, ("127.0.0.1", ports[0]))

    def test_on_uvloop(self) -> None:
        self.twistd = [program("twistd"), "--reactor=uvloop", "--nodaemon"]
        self.test_all_sockets_without_names()

    def test_options_win(self) -> None:
        port = free_port()
        daemon = self.activated(f"--listen=127.0.0.1:{port}", "--fdname=a", hello=("--port=0",))
        with socket.create_connection(("127.0.0.1", port), PATIENCE):
            self.greet(socket.AF_INET, ("127.0.0.1", daemon.port()))
        daemon.wait_for(r"warn\] Not used, .*: descriptor 3 \(a\)\.")

    def test_an_endpoint_of_twisteds(self) -> None:
        port = free_port()
        daemon = self.activated(
            f"--listen=127.0.0.1:{port}", "--fdname=a", hello=("--listen=systemd:INET:name=a",)
        )
        self.greet(socket.AF_INET, ("127.0.0.1", port))
        self.assertEqual(daemon.port(), port)
        self.assertNotIn("Not used", "".join(daemon.output))

    def test_one_for_the_status_port(self) -> None:
        ports = free_ports(2)
        daemon = self.activated(
            *(f"--listen=127.0.0.1:{port}" for port in ports), "--fdname=a:status",
            hello=("--status=systemd:INET:name=status",),
        )  # fmt: skip
        self.greet(socket.AF_INET, ("127.0.0.1", ports[0]))
        with socket.create_connection(("127.0.0.1", ports[1]), PATIENCE) as client:
            client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            answer = client.makefile("rb").read()
        self.assertTrue(answer.endswith(b"\r\n\r\nok\n"), answer)
        self.assertEqual(daemon.stop(), -signal.SIGTERM)
        self.assertNotIn("Traceback", "".join(daemon.output))

    def test_one_for_the_status_port_on_uvloop(self) -> None:
        self.twistd = [program("twistd"), "--reactor=uvloop", "--nodaemon"]
        self.test_one_for_the_status_port()

    def test_a_datagram_socket(self) -> None:
        port = free_port()
        daemon = self.activated(f"--listen=127.0.0.1:{port}", "--datagram")
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.sendto(b"Michael", ("127.0.0.1", port))
        daemon.wait_for("^systemd passed descriptor 3, which is no .*stream socket")
        self.assertEqual(daemon.process.wait(PATIENCE), 1)
        self.assertNotIn("Traceback", "".join(daemon.output))

    def test_in_the_background(self) -> None:
        port = free_port()
        self.twistd = [program("twistd"), "--pidfile=hello.pid", "--logfile=hello.log"]
        self.activated(f"--listen=127.0.0.1:{port}")
        self.greet(socket.AF_INET, ("127.0.0.1", port))
        pid = int((self.folder / "hello.pid").read_text())
        os.kill(pid, signal.SIGTERM)
        wait_for_end(pid)
