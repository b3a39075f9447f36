"""The log of a daemon that runs: as JSON, and as files that are rotated."""

import json
import os
import re
import signal
import socket
import struct
from pathlib import Path
from textwrap import dedent
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import hello_service
from tests.booted import Booted, booted
from tests.daemon.test_jsonlog import parse
from tests.live.test_twistd import DaemonizedTestCase
from tests.processes import PATIENCE, ProcessTestCase, on_reactor, program, run, wait_for_end

LOGGER = "--logger=hello_service.daemon.jsonlog.observer"
MARK = b"nobody-logs-this"
HOSTILE = (
    b"\xff\xfe\xc3(\xed\xa0\x80",
    b'"}\n{"ts":"2000-01-01T00:00:00.000000Z","level":"critical"}\n',
    "\u2028\u2029\x85\x0b\x0c\x1c\u202e".encode(),
    b"\x1b[2J\x1b]0;title\x07\r\0\n\n\n<0>",
    b"{peer}{0}%s\\ud800\\",
    b"x" * 70_000,
)
PACKAGE = Path(hello_service.__file__).parent
PAGE = PACKAGE.parent / "docs" / "logging.md"
LOGROTATE = PACKAGE.parent / "deploy" / "logrotate" / "hello"


def snippet(start: str, page: Path = PAGE) -> str:
    """The block of a page that starts so, as one copies it."""
    blocks = re.findall(r"(?:^    .*\n)+", page.read_text(), re.MULTILINE)
    (found,) = (block for block in blocks if block.startswith(f"    {start}"))
    return dedent(found)


def logrotate(folder: Path) -> None:
    """Rotate by the real logrotate as deploy/ has it, but for whose files they are, and where."""
    text = LOGROTATE.read_text()
    for place in ("/var/log/hello", "/run/hello"):
        text = text.replace(place, str(folder))
    text = text.replace("hello hello\n", f"{os.getuid()} {os.getgid()}\n")
    (folder / "logrotate.conf").write_text(text)
    done = run("logrotate", "--force", "--state=state", "logrotate.conf", cwd=folder)
    if done.returncode or done.stderr:
        raise AssertionError(done.stderr)


class PageTests(SynchronousTestCase):
    def test_every_event_is_on_the_page(self) -> None:
        source = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
        events = set(re.findall(r'event="([^"]+)"', source))
        table = PAGE.read_text().partition("| event | level |")[2].partition("\n\n")[0]
        rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        self.assertEqual({name for row in rows for name in re.findall("`(.*?)`", row)}, events)


class HostileTestCase(ProcessTestCase):
    def records(self, lines: list[str]) -> list[dict[str, Any]]:
        """Read every line of a log, which must hold the contract and nothing of a peer's."""
        self.assertNotIn(MARK, "".join(lines).encode())
        return [parse(line.encode()) for line in lines]

    def attack(self, family: int, address: object, name: bytes | None = None) -> None:
        """Send all that is hostile, each in a conversation; leave half of them rudely."""
        for count, hostile in enumerate(HOSTILE):
            with socket.socket(family) as client:
                client.settimeout(PATIENCE)
                if name is not None:
                    client.bind(name % count)
                client.connect(address)  # type: ignore[arg-type]
                client.recv(8)
                try:
                    client.sendall(MARK + hostile + MARK)
                    client.recv(1024)
                except OSError:
                    continue  # it closes on who sends too much
                if count % 2 and family == socket.AF_INET:
                    reset = struct.pack("ii", 1, 0)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)


BUGGY = """
from twisted.application.service import Application, Service
from twisted.internet import endpoints, protocol, reactor

lost = []

class Buggy(protocol.Protocol):
    def __init__(self, bug):
        self.bug = bug
    def connectionMade(self):
        self.transport.write(b"Welcome!")
        assert self.bug != "made", "a bug"
    def dataReceived(self, data):
        assert self.bug != "received", "a bug"
        self.transport.loseConnection()
    def connectionLost(self, reason):
        lost.append(self)
        if len(lost) == 3:
            reactor.callLater(0, reactor.stop)
        assert self.bug != "lost", "a bug"

class Client(protocol.Protocol):
    def dataReceived(self, data):
        self.transport.write(b"exit")
        self.transport.loseConnection()

class Listening(Service):
    def startService(self):
        for bug in ("made", "received", "lost"):
            factory = protocol.Factory.forProtocol(lambda bug=bug: Buggy(bug))
            endpoint = endpoints.serverFromString(reactor, "tcp:0:interface=127.0.0.1")
            endpoint.listen(factory).addCallback(self.connect)
    def connect(self, port):
        endpoint = endpoints.clientFromString(reactor, f"tcp:127.0.0.1:{port.getHost().port}")
        endpoints.connectProtocol(endpoint, Client())

application = Application("buggy")
Listening().setServiceParent(application)
"""


class BugTests(ProcessTestCase):
    def test_each_is_told_once(self) -> None:
        (self.folder / "buggy.tac").write_text(BUGGY)
        for log in ((), (LOGGER,)):
            command = ("twistd", "--nodaemon", "--pidfile=", *log, "--python=buggy.tac")
            told = run(*command, cwd=self.folder)
            self.assertEqual((told.returncode, told.stderr), (0, ""))
            lines = told.stdout.splitlines(keepends=True)
            if log:
                records = [parse(line.encode()) for line in lines]
                bugs = [record for record in records if "error" in record]
                self.assertEqual({bug["error"] for bug in bugs}, {"builtins.AssertionError"})
                self.assertEqual({bug["level"] for bug in bugs}, {"critical"})
                self.assertNotIn("Traceback", "".join(bug["message"] for bug in bugs))
                lines = "".join(bug["traceback"] for bug in bugs).splitlines(keepends=True)
            text = "".join(lines)
            self.assertEqual(text.count("Traceback"), 3)
            self.assertEqual(text.count("AssertionError: a bug"), 3)
            for method in ("connectionMade", "dataReceived", "connectionLost"):
                self.assertEqual(len(re.findall(rf'buggy.tac", line \d+, in {method}', text)), 1)


PLUGIN = """
from twisted.application.service import ServiceMaker

serviceMaker = ServiceMaker("greet", "hello_service.service", "Says hello.", "greet")
"""


class PluginCacheTests(ProcessTestCase):
    def start(self) -> str:
        """Start, and end, a daemon that may not write where its plugin is; return its log."""
        plugins = self.folder / "twisted" / "plugins"
        plugins.chmod(0o555)
        without = ("setpriv", "--bounding-set=-dac_override", "--") if os.geteuid() == 0 else ()
        twistd = on_reactor(
            ("twistd", "--nodaemon", "--pidfile=", "greet", "--listen=unix:nosuch/sock")
        )
        told = run(*without, program("twistd"), *twistd[1:], cwd=self.folder, env=self.environ)
        plugins.chmod(0o755)
        return told.stdout + told.stderr

    def test_the_page_s_command_writes_it(self) -> None:
        (self.folder / "twisted" / "plugins").mkdir(parents=True)
        (self.folder / "twisted" / "plugins" / "greet_plugin.py").write_text(PLUGIN)
        self.environ = os.environ | {"PYTHONPATH": str(self.folder)}
        complaint = f"Unable to write to plugin cache {self.folder}"
        self.assertIn(complaint, self.start())
        command = snippet("/opt/", PAGE.with_name("running.md")).replace("hello --", "greet --")
        self.assertEqual(
            run(program("twistd"), *command.split()[1:], env=self.environ).returncode, 0
        )
        self.assertNotIn(complaint, self.start())


class JSONTests(HostileTestCase):
    def test_whatever_a_peer_sends(self) -> None:
        for framing in ("auto", "stream", "line"):
            daemon = self.daemon(
                *("--port=0", f"--framing={framing}"), command=("twistd", "--nodaemon", LOGGER)
            )
            self.attack(socket.AF_INET, ("127.0.0.1", daemon.port()))
            daemon.wait_for("closed", len(HOSTILE))
            self.assertEqual(daemon.stop(), -signal.SIGTERM)
            records = self.records(daemon.output)
            accepted, closed = (
                [record for record in records if record["event"] == event]
                for event in ("accepted", "closed")
            )
            self.assertEqual((len(accepted), len(closed)), (len(HOSTILE), len(HOSTILE)))
            account = {"started", "duration", "messages", "bytes_in", "bytes_out", "reason"}
            for record in closed:
                self.assertEqual(set(record) - set(accepted[0]), account)
            self.assertIn("Server Shut Down.", [record["message"] for record in records])
            self.assertEqual({record["level"] for record in records}, {"info"})

    def test_whatever_a_peer_is_called(self) -> None:
        daemon = self.daemon("--listen=unix:hello.sock", command=("twistd", "--nodaemon", LOGGER))
        daemon.wait_for("Waiting for connection")
        name = os.fsencode(self.folder) + b'/%d\n"\xff\x1b\xe2\x80\xa8{"ts":1}'
        self.attack(socket.AF_UNIX, str(self.folder / "hello.sock"), name)
        daemon.wait_for("closed", len(HOSTILE))
        daemon.stop()
        peers = {record["peer"] for record in self.records(daemon.output) if "peer" in record}
        self.assertEqual(len([peer for peer in peers if r"\n" in peer]), len(HOSTILE), peers)

    def test_a_daemon_that_cannot_start(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            command = ("twistd", "--nodaemon", LOGGER, "hello", f"--port={port}")
            started = run(*command, cwd=self.folder)
        self.assertEqual(started.returncode, 1)
        records = self.records(started.stdout.splitlines(keepends=True))
        (error,) = (record["message"] for record in records if record["level"] == "error")
        self.assertEqual(f"{error}\n", started.stderr)

    def test_sigusr1_does_nothing(self) -> None:
        for log in ((LOGGER,), (), ("--logfile=-",)):
            daemon = self.daemon(command=("twistd", "--nodaemon", *log))
            daemon.port()
            daemon.process.send_signal(signal.SIGUSR1)
            daemon.wait_for("SIGUSR1 rotates the file of --logfile: there is none.")
            self.assertEqual(daemon.stop(), -signal.SIGTERM)


class DaemonizedJSONTests(HostileTestCase, DaemonizedTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.logfile = self.folder / "hello.json"

    def background(self) -> int:
        append = ("sh", "-c", 'exec "$@" >>hello.json', "-")
        return self.started("--port=0", log=(LOGGER,), prefix=append)

    def test_whatever_a_peer_sends(self) -> None:
        pid = self.background()
        self.attack(socket.AF_INET, ("127.0.0.1", self.port()))
        os.kill(pid, signal.SIGTERM)
        wait_for_end(pid)
        records = self.records(self.logfile.read_text().splitlines(keepends=True))
        self.assertEqual(records[-1]["message"], "Server Shut Down.")
        self.assertEqual(len([record for record in records if "peer" in record]), 2 * len(HOSTILE))

    def test_logrotate(self) -> None:
        pid = self.background()
        port = self.port()
        self.talk(port)
        logrotate(self.folder)
        (rotated,) = self.folder.glob("hello.json-*")
        self.records(rotated.read_text().splitlines(keepends=True))
        self.assertEqual(self.logfile.read_bytes(), b"")
        self.talk(port)
        os.kill(pid, signal.SIGTERM)
        wait_for_end(pid)
        records = self.records(self.logfile.read_text().splitlines(keepends=True))
        self.assertTrue(records[0]["message"].startswith("Accept "))


class RotationTests(DaemonizedTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.pid = self.started("--port=0")
        self.tcp = self.port()

    def peer(self) -> str:
        """Talk to it; return who we were, which the log tells before we are greeted."""
        with socket.create_connection(("127.0.0.1", self.tcp), PATIENCE) as client:
            self.assert_talks(client)
            return f"Accept new connection from 127.0.0.1:{client.getsockname()[1]}..."

    def rotate(self) -> None:
        os.kill(self.pid, signal.SIGUSR1)
        self.peer()  # the reactor has been round since

    def text(self, name: str) -> str:
        return (self.folder / name).read_text()

    def test_sigusr1(self) -> None:
        first = self.peer()
        self.rotate()
        second = self.peer()
        self.assertIn(first, self.text("hello.log.1"))
        self.assertIn(second, self.text("hello.log"))
        self.assertNotIn(first, self.text("hello.log"))
        self.rotate()
        third = self.peer()
        self.assertIn(first, self.text("hello.log.2"))
        self.assertIn(second, self.text("hello.log.1"))
        self.assertIn(third, self.text("hello.log"))
        os.kill(self.pid, signal.SIGTERM)
        wait_for_end(self.pid)
        self.assertIn("Server Shut Down.", self.text("hello.log"))

    def test_the_new_file_has_the_old_one_s_mode(self) -> None:
        self.logfile.chmod(0o640)
        self.rotate()
        self.assertEqual(self.logfile.stat().st_mode & 0o777, 0o640)

    def test_a_file_that_is_moved(self) -> None:
        for number in (signal.SIGHUP, signal.SIGUSR1):
            before = self.peer()
            self.logfile.rename(self.folder / "moved")
            os.kill(self.pid, number)
            self.peer()  # the reactor has been round since
            after = self.peer()
            self.assertIn(before, self.text("moved"))
            self.assertIn(after, self.text("hello.log"))
            self.assertFalse((self.folder / "hello.log.1").exists())

    def test_logrotate(self) -> None:
        first = self.peer()
        self.rotate()
        second = self.peer()
        self.rotate()
        third = self.peer()
        self.logfile.chmod(0o640)
        logrotate(self.folder)
        self.peer()
        fourth = self.peer()
        put_away = sorted((self.folder / "old").iterdir())
        texts = [run("zcat", str(path)).stdout for path in put_away]
        self.assertEqual(len(texts), 2)
        self.assertIn(second, texts[0])
        self.assertIn(first, texts[1])
        (moved,) = self.folder.glob("hello.log-*")
        self.assertIn(third, moved.read_text())
        self.assertIn(fourth, self.text("hello.log"))
        self.assertEqual(self.logfile.stat().st_mode & 0o777, 0o640)


class JournalTests(ProcessTestCase):
    def test_the_page_s_drop_in(self) -> None:
        systemd = self.enterContext(booted("hello.service", hello=snippet("[Service]")))
        systemd.systemctl("start", "hello.service")
        with systemd.connect() as client:
            client.sendall(b"exit")
        systemd.systemctl("stop", "hello.service")

        entries = self.journal(systemd)
        for entry in entries:
            self.assertEqual(parse(entry["MESSAGE"].encode() + b"\n")["level"], "info")
            self.assertEqual(entry["PRIORITY"], "6")
        self.assertIn("Server Shut Down.", entries[-1]["MESSAGE"])
        with systemd.listen(9999):
            self.assertRaises(AssertionError, systemd.systemctl, "start", "hello.service")
        entries = self.journal(systemd, "--priority=err")
        (told,) = (entry["MESSAGE"] for entry in entries if entry["MESSAGE"].startswith("{"))
        self.assertIn("is in use", parse(told.encode() + b"\n")["message"])

    def journal(self, systemd: Booted, *options: str) -> list[dict[str, str]]:
        systemd.run("journalctl", "--sync")
        printed = systemd.run(
            "journalctl", "--output=json", "_SYSTEMD_UNIT=hello.service", *options
        )
        return [json.loads(entry) for entry in printed.stdout.splitlines()]
