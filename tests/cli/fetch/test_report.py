"""C{--report}: what is told of every outcome, and that it has the shape that is promised."""

import json
import os
from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO
from operator import methodcaller
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from OpenSSL.crypto import X509
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from hello_service.cli.console import Outlet
from hello_service.cli.fetch.exchange_record import CERTIFICATES, NAMES, ExchangeRecord
from hello_service.cli.fetch.options import parse_options
from hello_service.cli.fetch.report import Report
from hello_service.cli.run import status_of
from hello_service.cli.trouble import Trouble
from hello_service.fetch.negotiated import Negotiated
from hello_service.fetch.proxy_header import version_1, version_2
from hello_service.fetch.wire import Times, Wire
from tests.certificates import dns, issue
from tests.cli.fetch.test_command import PAGE, URL, CommandTestCase, head

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "report.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)


class ReportTestCase(CommandTestCase):
    """A fetch with a report in a file."""

    def begin(self, *arguments: str, **console: Any) -> Deferred[int]:
        """Begin; the Deferred is of the exit status."""
        command = self.start("--report", "json:report", *arguments, **console)

        async def ended() -> int:
            return await command

        return Deferred.fromCoroutine(
            status_of("hello-fetch", ended(), Outlet(self.reactor, self.err.fileno()))
        )

    def report(self, text: str | None = None) -> Any:
        """Return the report, whose shape is as promised."""
        report = json.loads(Path("report").read_text() if text is None else text)
        VALIDATOR.validate(report)
        return report

    def of(self, command: Deferred[int], word: str | None) -> Any:
        """Return the report of a command that is over, which tells what its status tells."""
        report = self.report()
        status = self.successResultOf(command)
        self.assertEqual(report["exit_status"], status)
        self.assertEqual(report["error"] and report["error"]["word"], word)
        if word and word in Trouble.__members__:
            self.assertEqual(status, Trouble[word].value)
            self.assertIn(f"{word}: {report['error']['sentence']} See ", self.said())
            self.assertEqual(report["error"]["see"], f"docs/errors.md#{word.lower()}")
        return report


class ReportTests(ReportTestCase):
    """What is told of a page that came."""

    def test_page(self) -> None:
        """All of it."""
        command = self.begin("-H", "X-a: ü", URL)
        fields = ["X-A:  1", "x-a: \xe9", "Content-Length: 5"]
        raw = "\r\n".join(["HTTP/1.1 200 Fine", *fields, "", ""])
        self.answered(command, head(status="103 Early") + raw.encode("latin-1") + b"hello" + b"!!")
        report = self.of(command, None)
        self.assertEqual(report["url"], URL)
        request = report["request"]
        self.assertEqual((request["method"], request["url"], request["body"]), ("GET", URL, 0))
        self.assertEqual(request["head"].encode("latin-1"), self.transport.value())
        [attempt] = report["addresses"]
        self.assertEqual((attempt["ip"], attempt["port"]), ("192.0.2.1", 80))
        self.assertEqual((attempt["won"], attempt["error"]), (True, None))
        self.assertLessEqual(attempt["began"], attempt["ended"])
        self.assertEqual(report["peer"], {"ip": "192.0.2.1", "port": 80})
        self.assertEqual(report["local"], {"ip": "192.0.2.99", "port": 4321})
        self.assertIsNone(report["tls"])
        times = report["times"]
        self.assertIsNone(times.pop("secured"))
        self.assertEqual(list(times.values()), sorted(times.values()))
        self.assertLessEqual(times["body"], report["seconds"])
        self.assertEqual(
            report["response"],
            {
                "version": "1.1", "status": 200, "reason": "Fine",
                "headers": [["X-A", "1"], ["x-a", "\xe9"], ["Content-Length", "5"]],
                "raw": raw, "interim": [103], "framing": "length", "length": 5,
                "ending": "length", "trailers": "", "body": 5, "excess": 2,
            },
        )  # fmt: skip
        self.assertEqual(report["earlier"], [])
        received = len(head(status="103 Early")) + len(raw) + 7
        sent = len(self.transport.value())
        self.assertEqual(report["bytes"], {"sent": sent, "received": received})
        self.assertEqual(
            report["saved"],
            {"file": "page", "size": 5, "arrived": 5, "whole": True, "replaced": False},
        )

    def test_framings(self) -> None:
        """How a body was delimited, and how it ended."""
        chunked = head("Transfer-Encoding: chunked")
        for answer, framing, ending, trailers in (
            (chunked + b"2\r\nhi\r\n0\r\nA: b\r\n\r\n", "chunked", "last_chunk", "A: b\r\n\r\n"),
            (chunked + b"2\r\nhi\r\n0\r\n", "chunked", "close_after_last_chunk", ""),
            (head() + b"hi", "close", "close", ""),
            (head(status="204 No Content"), "none", "length", ""),
        ):
            command = self.begin("-o", "x", URL)
            self.answered(command, answer)
            response = self.of(command, None)["response"]
            told = (response["framing"], response["ending"], response["trailers"])
            self.assertEqual(told, (framing, ending, trailers))
            self.assertIsNone(response["length"])
        command = self.begin("--head", URL)
        self.answered(command, head("Content-Length: 5"))
        report = self.of(command, None)
        self.assertEqual(report["request"]["method"], "HEAD")
        self.assertEqual((report["response"]["framing"], report["saved"]), ("none", None))

    def test_standard_output(self) -> None:
        """Without a file it is the last line of standard output."""
        command = self.start("--report", "json", "--trace", URL)
        self.answered(command, PAGE)
        self.assertEqual(self.successResultOf(command), 0)
        *_, last = self.printed().decode().splitlines()
        self.assertEqual(self.report(last)["exit_status"], 0)
        self.assertIn(" ms  connecting to 192.0.2.1:80\n", self.said())

    def test_standard_output_after_half_a_line(self) -> None:
        """It is a line of its own, whatever comes before it."""
        command = self.start("--report", "json:/dev/stdout", URL)
        self.answered(command, b"HTTP/1.1 200")
        self.assert_trouble(command, Trouble.RESET)
        before, last = self.printed().decode().splitlines()
        self.assertEqual(before, "HTTP/1.1 200")
        response = self.report(last)["response"]
        self.assertEqual((response["raw"], response["status"]), ("HTTP/1.1 200", None))

    def test_secrets(self) -> None:
        """What only the server is to know is not told, in whatever case it is sent."""
        secrets = ("Authorization: Basic c2VjcmV0", "cookie: secret=1", "PROXY-Authorization: x c")
        options = [word for secret in secrets for word in ("-H", secret)]
        command = self.begin(*options, "-H", "Other: shown", URL)
        self.answered(command, PAGE)
        report = self.of(command, None)
        self.assertIn(
            "Authorization: ***\r\ncookie: ***\r\nPROXY-Authorization: ***\r\nOther: shown\r\n",
            report["request"]["head"],
        )
        self.assertIn(b"secret=1", self.transport.value())
        self.assertNotIn("secret", Path("report").read_text())

    def test_redirects(self) -> None:
        """Each hop is told as the last one is."""
        command = self.begin("--follow", URL)
        self.answered(command, head("Location: http://192.0.2.2/b", status="302 Found") + b"more")
        self.answered(command, PAGE)
        report = self.of(command, None)
        [hop] = report["earlier"]
        self.assertEqual((hop["request"]["url"], hop["response"]["status"]), (URL, 302))
        self.assertEqual(hop["peer"]["ip"], "192.0.2.1")
        self.assertIsNone(hop["response"]["ending"])
        self.assertEqual((report["url"], report["request"]["url"]), (URL, "http://192.0.2.2/b"))
        self.assertGreaterEqual(report["times"]["started"], hop["times"]["head"])

    def test_continued(self) -> None:
        """What came now is told apart from what there is."""
        command = self.begin(URL)
        self.answered(command, head('ETag: "a"', "Content-Length: 5") + b"hel")
        saved = self.of(command, "RESET")["saved"]
        self.assertEqual((saved["file"], saved["size"]), ("page.part", 3))
        self.assertFalse(saved["whole"])
        command = self.begin("--continue", URL)
        rest = head('ETag: "a"', "Content-Range: bytes 3-4/5", status="206 Partial Content")
        self.answered(command, rest + b"lo")
        saved = self.of(command, None)["saved"]
        self.assertEqual((saved["size"], saved["arrived"], saved["whole"]), (5, 2, True))

    def test_addresses(self) -> None:
        """Those that failed, and why, and those that were given up."""
        command = self.begin("http://h/page")
        addresses = [IPv4Address("TCP", f"192.0.2.{i}", 80) for i in (1, 2, 3)]
        self.resolver.resolve(addresses)
        self.refuse(ConnectionRefusedError())
        self.reactor.advance(1)
        self.connect(1)
        self.peer.dataReceived(PAGE)
        self.close()
        tried = self.of(command, None)["addresses"]
        told = [(each["ip"], each["won"], each["ended"] is not None) for each in tried]
        self.assertEqual(
            told,
            [("192.0.2.1", False, True), ("192.0.2.2", True, True), ("192.0.2.3", False, False)],
        )
        self.assertEqual([each["error"] is not None for each in tried], [True, False, False])

    def test_unix_socket(self) -> None:
        """A socket is told by its path; a PROXY header is no part of the request."""
        command = self.begin("--unix-socket", "/run/x", "--proxy-header", "v1", URL)
        factory: Any = self.reactor.unixClients[-1][1]
        path = UNIXAddress(b"/run/x")
        self.peer = factory.buildProtocol(path)
        self.peer.makeConnection(StringTransport(UNIXAddress(None), path))
        self.peer.dataReceived(PAGE)
        self.close()
        report = self.of(command, None)
        self.assertEqual((report["peer"], report["local"]), ({"path": "/run/x"}, {"path": ""}))
        self.assertTrue(report["request"]["head"].startswith("GET /page "))
        self.assertGreater(report["bytes"]["sent"], len(report["request"]["head"]))

    def test_peer_by_another_name(self) -> None:
        """A peer that is written otherwise than the address that was tried has still won."""
        command = self.begin(URL)
        factory: Any = self.reactor.tcpClients[-1][2]
        peer = IPv4Address("TCP", "192.0.2.77", 80)
        self.peer = factory.buildProtocol(peer)
        self.peer.makeConnection(StringTransport(peer, peer))
        self.peer.dataReceived(PAGE)
        self.close()
        self.assertTrue(self.of(command, None)["addresses"][0]["won"])


class OutcomeTests(ReportTestCase):
    """What is told of what went wrong."""

    def test_dns(self) -> None:
        """A name without an address."""
        command = self.begin("http://h/")
        self.resolver.resolve([])
        report = self.of(command, "DNS")
        self.assertEqual((report["addresses"], report["response"]), ([], None))
        self.assertIsNone(report["request"]["head"])

    def test_refused(self) -> None:
        """An address where nothing listens."""
        command = self.begin(URL)
        self.refuse(ConnectionRefusedError())
        report = self.of(command, "REFUSED")
        self.assertFalse(report["addresses"][0]["won"])
        self.assertIsNone(report["peer"])
        self.assertIsNone(report["times"]["connected"])

    def test_timeouts(self) -> None:
        """No connection, no answer, and no end."""
        command = self.begin(URL)
        self.reactor.pump([31])
        self.assertIsNone(self.of(command, "TIMEOUT")["times"]["connected"])
        command = self.begin(URL)
        self.connect()
        self.reactor.pump([31, 0, 0, 0])
        report = self.of(command, "TIMEOUT")
        self.assertIsNone(report["times"]["first_byte"])
        self.assertIsNotNone(report["request"]["head"])
        command = self.begin("--max-time", "5", URL)
        self.answered(command, PAGE[:-2], close=False)
        self.reactor.advance(6)
        self.close()
        report = self.of(command, "TIMEOUT")
        self.assertEqual(report["saved"]["size"], 3)
        self.assertIsNone(report["times"]["body"])
        command = self.begin("--max-time", "5", "-d", "body", URL)
        self.answered(command, PAGE[:9], close=False)
        self.reactor.advance(6)
        self.close()
        report = self.of(command, "TIMEOUT")
        self.assertEqual(report["request"]["body"], 4)
        self.assertEqual(report["response"]["raw"].encode(), PAGE[:9])

    def test_reset(self) -> None:
        """An answer that breaks off."""
        command = self.begin(URL)
        self.answered(command, PAGE[:-2], close=False)
        self.reset()
        response = self.of(command, "RESET")["response"]
        self.assertEqual((response["ending"], response["body"]), ("reset", 3))

    def test_protocol(self) -> None:
        """What is not HTTP, and a redirect that leads nowhere."""
        command = self.begin(URL)
        self.answered(command, b"SSH-2.0\r\n", close=False)
        response = self.of(command, "PROTOCOL")["response"]
        self.assertEqual((response["raw"], response["headers"]), ("SSH-2.0\r\n", []))
        self.assertIsNone(response["framing"])
        command = self.begin("--follow", URL)
        self.answered(command, head(status="302 Found"), close=False)
        self.assertEqual(self.of(command, "PROTOCOL")["response"]["status"], 302)

    def test_status(self) -> None:
        """A status that is taken for a failure."""
        command = self.begin("--fail", URL)
        self.answered(command, head("Content-Length: 0", status="404 No"))
        report = self.of(command, "STATUS")
        self.assertEqual((report["response"]["status"], report["saved"]), (404, None))

    def test_file(self) -> None:
        """A page that cannot be written: before it is asked for, at once, and at the end."""
        Path("page.part").mkdir()
        command = self.begin(URL)
        self.answered(command, PAGE, close=False)
        self.assertEqual(self.of(command, "FILE")["response"]["status"], 200)
        command = self.begin("--continue", "-o", ".", URL)
        report = self.of(command, "FILE")
        self.assertEqual((report["request"], report["response"]), (None, None))

    def test_output(self) -> None:
        """Standard output that cannot be written, or that nobody reads."""
        with open("/dev/full", "wb", buffering=0) as self.out:
            command = self.begin(URL)
            self.answered(command, PAGE)
            self.of(command, "FILE")
        reader, self.out = self.pipe()
        os.close(reader)
        command = self.begin("-o", "-", URL)
        self.answered(command, PAGE)
        report = self.of(command, "PIPE")
        self.assertEqual(report["saved"]["file"], "-")
        self.assertFalse(report["saved"]["whole"])

    def test_size(self) -> None:
        """A page that is too large."""
        command = self.begin("--max-size", "4", URL)
        self.answered(command, PAGE)
        self.of(command, "SIZE")

    def test_signal(self) -> None:
        """A command that is ended from without, at any time, waits for nobody."""
        for answer in (None, b"", PAGE[:-2]):
            command = self.start("--report", "json:report", URL)
            if answer is not None:
                self.answered(command, answer, close=False)
            command.cancel()
            if answer is not None:
                self.close()
            self.failureResultOf(command, CancelledError)
            report = self.report()
            self.assertEqual(report["error"]["word"], "SIGNAL")
            self.assertEqual(report["error"]["see"], None)
            self.assertIsNone(report["exit_status"])
            self.assertEqual(report["request"]["head"] is None, answer is None)


class DestinationTests(ReportTestCase):
    """Where a report goes."""

    def test_old_report(self) -> None:
        """No report of an earlier fetch is taken for this one's."""
        Path("report").write_text("old")
        self.begin(URL)
        self.assertEqual(Path("report").read_text(), "")

    def test_no_place(self) -> None:
        """What cannot be written is told before anything is asked."""
        os.mkfifo("fifo")
        for file, why in (("no/report", "No such file"), ("fifo", "nobody reads it")):
            command = Deferred.fromCoroutine(self.constructed("--report", f"json:{file}", URL))
            self.assert_trouble(command, Trouble.FILE, repr(file), why, "--report json:FILE")
        self.assertEqual(self.reactor.tcpClients, [])

    async def constructed(self, *arguments: str) -> int:
        return await self.start(*arguments)

    def test_no_room(self) -> None:
        """A report that cannot be written is an error, but of a fetch that had one already."""
        command = self.start("--report", "json:/dev/full", URL)
        self.answered(command, PAGE)
        self.failureResultOf(command, OSError)
        self.assertEqual(self.files(), {"page": b"hello"})
        command = self.start("--report", "json:/dev/full", URL)
        self.answered(command, PAGE[:-2])
        self.assert_trouble(command, Trouble.RESET)

    def test_wrong_uses(self) -> None:
        """What is no report, and what would mix it with the page, or lose it."""
        Path("link").symlink_to("old")
        for arguments in (
            ("--report", "xml"),
            ("--report", "json:"),
            ("--report", "json", "-o", "-"),
            ("--report", "json:/dev/stdout", "-o", "/dev/stdout"),
            ("--report", "json:page"),
            ("--report", "json:./old.part", "-o", "link"),
        ):
            with redirect_stderr(StringIO()) as said:
                self.assertRaises(SystemExit, parse_options, [*arguments, URL])
            self.assertRegex(said.getvalue(), r"json:FILE\.\n\Z")
        for use in (["json:page", "-I"], ["json:/dev/null", "-o", "/dev/null"]):
            parse_options(["--report", *use, URL])


class Sink:
    """Takes a report."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, data: str) -> None:
        self.text += data

    async def drained(self) -> None:
        """Nothing waits."""


class HearingTests(SynchronousTestCase):
    """What a report hears of an exchange."""

    def told(self, hear: Callable[[Report], None]) -> Any:
        """Return the report of a command in which this happens; its clock goes by seconds."""
        sink = Sink()
        seconds = iter(range(99))
        report = Report(URL, sink, lambda: float(next(seconds)), lambda: 0.0)

        async def fetch() -> int:
            report.begin(b"POST", URL.encode())
            hear(report)
            return 0

        self.successResultOf(Deferred.fromCoroutine(report.of(fetch())))
        told = json.loads(sink.text)
        VALIDATOR.validate(told)
        self.assertEqual(told["began"], "1970-01-01T00:00:00.000000Z")
        return told

    def test_tls(self) -> None:
        """A chain is told up to its tenth certificate, of which each may be unreadable."""
        sound = issue(dns(*[f"{number}.example" for number in range(200)])).certificate
        shown = Negotiated("TLSv1.3", None, "http/1.1", [X509.from_cryptography(sound)] * 99)

        def hear(report: Report) -> None:
            report.negotiated(shown)
            report.secured()

        told = self.told(hear)
        self.assertEqual(told["times"]["secured"], 2)
        tls = told["tls"]
        self.assertEqual(
            (tls["protocol"], tls["cipher"], tls["alpn"]), ("TLSv1.3", None, "http/1.1")
        )
        self.assertEqual(len(tls["chain"]), CERTIFICATES)
        self.assertEqual(tls["chain"][0]["names"][:2], ["0.example", "1.example"])
        self.assertEqual(len(tls["chain"][0]["names"]), NAMES)
        unread: Any = [None]
        told = self.told(lambda report: report.negotiated(Negotiated("TLSv1.2", "C", None, unread)))
        self.assertEqual(told["tls"]["chain"][0]["ends"], None)

    def test_body(self) -> None:
        """A body that is sent after the head is no head, and moves no time."""

        def hear(report: Report) -> None:
            for data in (b"POST / HTTP/1.1\r\n\r\nbo", b"dy"):
                report.sent(data)
            report.received(b"H")
            report.received(b"T")

        told = self.told(hear)
        self.assertEqual(told["request"]["head"], "POST / HTTP/1.1\r\n\r\n")
        self.assertEqual(told["bytes"], {"sent": 23, "received": 2})
        self.assertEqual((told["times"]["sent"], told["times"]["first_byte"]), (2, 3))

    def response(self, head: bytes) -> Any:
        """Return what is told of a head."""
        exchange = ExchangeRecord(b"GET", URL.encode(), lambda: 0.0)
        exchange.wire = Wire(b"", Times(0.0), head=head)
        told = exchange.told(0.0)["response"]
        VALIDATOR.evolve(schema=SCHEMA["properties"]["response"]).validate(told)
        return told

    def test_refused_heads(self) -> None:
        """A head that is not whole says nothing; one that is refused as a whole is still read."""
        self.assertIsNone(self.response(b"HTTP/1.1 200 OK")["status"])
        self.assertIsNone(self.response(b"HTTP/1.1 200 Okay")["status"])
        self.assertEqual(self.response(b"HTTP/1.1 101 Go\r\n\r\n")["status"], 101)
        folded = self.response(b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n")
        self.assertEqual(folded["headers"], [["A", "b c"]])

    @given(st.binary(min_size=1))
    def test_any_head(self, data: bytes) -> None:
        """Whatever came is told as it came."""
        for raw in (data, b"HTTP/1.1 200 OK\r\n" + data + b"\r\n\r\n"):
            self.assertEqual(self.response(raw)["raw"].encode("latin-1"), raw)

    def test_proxy_headers(self) -> None:
        """A PROXY header of either version is no request."""
        ends = IPv4Address("TCP", "192.0.2.1", 80), IPv4Address("TCP", "192.0.2.2", 81)
        for version in (version_1, version_2):
            for local, peer in (ends, (UNIXAddress(None), UNIXAddress(b"/run/x"))):
                told = self.told(methodcaller("sent", version(local, peer)))
                self.assertIsNone(told["request"]["head"])
                self.assertIsNone(told["times"]["sent"])
