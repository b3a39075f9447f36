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
from tests.processes import PATIENCE, ProcessTestCase, run, wait_for_end

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


def snippet(start: str) -> str:
    """The block of the page that starts so, as one copies it."""
    blocks = re.findall(r"(?:^    .*\n)+", PAGE.read_text(), re.MULTILINE)
    (found,) = (block for block in blocks if block.startswith(f"    {start}"))
    return dedent(found)


def logrotate(folder: Path, text: str) -> None:
    """Rotate by the real logrotate as the page has it, but for whose files they are, and where."""
    text = text.replace("/var/log/hello", str(folder)).replace("hello.json", "hello.log")
    text = text.replace("hello hello", f"{os.getuid()} {os.getgid()}")
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

    def test_sigusr1_ends_it(self) -> None:
        daemon = self.daemon(command=("twistd", "--nodaemon", LOGGER))
        daemon.port()
        self.assertEqual(daemon.stop(signal.SIGUSR1), -signal.SIGUSR1)


class DaemonizedJSONTests(HostileTestCase, DaemonizedTestCase):
    def background(self) -> int:
        append = ("sh", "-c", 'exec "$@" >>hello.log', "-")
        return self.started("--port=0", log=(LOGGER,), prefix=append)

    def test_whatever_a_peer_sends(self) -> None:
        pid = self.background()
        self.attack(socket.AF_INET, ("127.0.0.1", self.port()))
        os.kill(pid, signal.SIGTERM)
        wait_for_end(pid)
        records = self.records(self.logfile.read_text().splitlines(keepends=True))
        self.assertEqual(records[-1]["message"], "Server Shut Down.")
        self.assertEqual(len([record for record in records if "peer" in record]), 2 * len(HOSTILE))

    def test_the_page_s_logrotate(self) -> None:
        pid = self.background()
        port = self.port()
        self.talk(port)
        logrotate(self.folder, snippet("/var/log/hello/hello.json"))
        (rotated,) = self.folder.glob("hello.log-*")
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

    def test_a_file_that_is_renamed_stays_the_log(self) -> None:
        self.logfile.rename(self.folder / "hello.log-renamed")
        self.rotate()
        later = self.peer()
        self.assertFalse(self.logfile.exists())
        self.assertIn(later, self.text("hello.log-renamed"))

    def test_a_file_that_is_renamed_and_made_anew(self) -> None:
        first = self.peer()
        self.logfile.rename(self.folder / "hello.log-renamed")
        self.logfile.touch()
        self.rotate()
        later = self.peer()
        self.assertIn(first, self.text("hello.log-renamed"))
        self.assertEqual(self.text("hello.log.1"), "")
        self.assertIn(later, self.text("hello.log"))

    def test_the_page_s_logrotate(self) -> None:
        first = self.peer()
        self.rotate()
        second = self.peer()
        self.rotate()
        third = self.peer()
        logrotate(self.folder, snippet("/var/log/hello/hello.log.[1-9]*"))
        put_away = sorted((self.folder / "old").iterdir())
        texts = [run("zcat", str(path)).stdout for path in put_away]
        self.assertEqual(len(texts), 2)
        self.assertIn(second, texts[0])
        self.assertIn(first, texts[1])
        self.assertEqual(list(self.folder.glob("hello.log*")), [self.logfile])
        self.assertIn(third, self.text("hello.log"))
        self.rotate()
        self.assertIn(third, self.text("hello.log.1"))


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
