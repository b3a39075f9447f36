"""Tests of L{hello_service.cli.fetch.connecting}, through the command."""

import os
import sys
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

from twisted.internet import ssl
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectionRefusedError
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from hello_service.cli.fetch.connecting import INSECURE
from hello_service.cli.fetch.option_groups import SOCKET_PATH
from hello_service.cli.fetch.options import parse_options
from hello_service.cli.fetch.trouble import fetch_trouble
from hello_service.cli.trouble import Trouble, TroubleError
from hello_service.fetch.errors import TLSFailed
from hello_service.fetch.request import parse_url
from hello_service.fetch.way import Way
from hello_service.fetch.wire import Times, Wire
from hello_service.values import BadValue
from tests.cli.fetch.test_command import PAGE, URL, CommandTestCase, head
from tests.processes import full_pipe

NODE = "192.0.2.7"


class ConnectingTestCase(CommandTestCase):
    """Options about connections."""

    def usage(self, *arguments: str) -> str:
        """Return what is said about arguments that are wrong."""
        with redirect_stderr(StringIO()) as said:
            self.assertEqual(self.assertRaises(SystemExit, parse_options, arguments).code, 2)
        return said.getvalue().splitlines()[-1]

    def goes_to(self) -> tuple[str, int]:
        """Where the connection that was begun last goes."""
        host, port, *_ = self.reactor.tcpClients[-1]
        return host, port

    def followed(self, url: str, *arguments: str) -> Deferred[int]:
        """Begin at http://h/, and be redirected."""
        command = self.start("-L", *arguments, "http://h/")
        self.answered(command, head(f"Location: {url}", "Content-Length: 0", status="302 Found"))
        return command


class ConnectToTests(ConnectingTestCase):
    """--connect-to and --unix-socket."""

    def test_node(self) -> None:
        """The connection goes to the node; the request is for the URL's host."""
        for to, end in (
            (NODE, (NODE, 80)),
            (f"{NODE}:8080", (NODE, 8080)),
            ("[2001:db8::7]", ("2001:db8::7", 80)),
            ("[2001:db8::7]:8080", ("2001:db8::7", 8080)),
        ):
            self.fetch_page("--connect-to", to, "http://h/page", answer=PAGE)
            self.assertEqual(self.goes_to(), end)
            self.assertIn(b"\r\nHost: h\r\n", self.transport.value())
        self.assertEqual(self.resolver.asked, [])

    def test_family(self) -> None:
        """A node that has no address of the family that is wanted."""
        command = self.start("-6", "--connect-to", NODE, "http://h/")
        self.assert_trouble(command, Trouble.DNS, f"{NODE} is an address of the other family")

    def test_name(self) -> None:
        """A node's name is looked up, and named if it has no address."""
        command = self.start("--connect-to", "node:8080", "http://h/")
        self.assertEqual(self.resolver.asked[-1][:2], ("node", 8080))
        self.resolver.resolve([])
        self.assert_trouble(command, Trouble.DNS, "node:8080: this name has no address")

    def test_refused(self) -> None:
        """What refuses is the node, which is named; what answers wrongly is the site."""
        command = self.start("--connect-to", NODE, "http://h/")
        self.refuse(ConnectionRefusedError())
        self.assert_trouble(command, Trouble.REFUSED, f"{NODE}:80 refused")
        command = self.start("--connect-to", NODE, "http://h/")
        self.answered(command)
        self.assert_trouble(command, Trouble.RESET, "h: the connection was closed")

    def test_slow(self) -> None:
        """A node that does not answer is named, too."""
        command = self.start("--timeout", "3", "--connect-to", NODE, "http://h/")
        self.reactor.pump([3, 0, 0])
        self.assert_trouble(command, Trouble.TIMEOUT, f"{NODE}:80 did not answer within 3 sec")

    def test_redirect_to_another_port(self) -> None:
        """A redirect of the host's to https is for the node, unless a port was named."""
        self.followed("https://H./secret", "--connect-to", NODE)
        self.assertEqual(self.goes_to(), (NODE, 443))
        self.assertEqual(self.said(), "")
        self.followed("https://h/", "--connect-to", f"{NODE}:8080")
        self.assertEqual(self.resolver.asked[-1][:2], ("h", 443))
        self.assertIn(
            "hello-fetch: the connection to h:443 is made without --connect-to, meant for h:80"
            " alone.\n",
            self.said(),
        )
        self.followed("/other", "--connect-to", f"{NODE}:8080")
        self.assertEqual(self.goes_to(), (NODE, 8080))

    def test_redirect_to_another_host(self) -> None:
        """A redirect to another host goes there, and this is said, but for --quiet."""
        arguments = ("--connect-to", NODE, "--proxy-header", "v1")
        self.followed("http://192.0.2.9:81/", *arguments)
        self.assertEqual(self.goes_to(), ("192.0.2.9", 81))
        self.assertIn(
            "the connection to 192.0.2.9:81 is made without --connect-to and --proxy-header, meant"
            " for h alone.\n",
            self.said(),
        )
        self.assertTrue(self.connect().value().startswith(b"GET "))
        said = self.said()
        self.followed("http://192.0.2.9:81/", "-q", *arguments)
        self.assertEqual(self.said(), said)

    def test_back(self) -> None:
        """A redirect back to the host goes to the node again."""
        command = self.followed("http://192.0.2.9/", "--connect-to", NODE)
        self.answered(command, head("Location: http://h/page", status="302 Found"))
        self.assertEqual(self.goes_to(), (NODE, 80))

    def test_socket(self) -> None:
        """A UNIX socket is connected to, for the URL's port alone."""
        command = self.start("-L", "--unix-socket", "s", "http://h/")
        path, factory, *_ = self.reactor.unixClients[-1]
        self.assertEqual(path, b"s")
        peer = factory.buildProtocol(UNIXAddress("s"))
        transport = StringTransport(UNIXAddress(None), UNIXAddress("s"))
        peer.makeConnection(transport)
        self.assertIn(b"\r\nHost: h\r\n", transport.value())
        peer.dataReceived(head("Location: https://h/", "Content-Length: 0", status="302 Found"))
        self.assertEqual(self.resolver.asked[-1][:2], ("h", 443))
        self.assertIn("is made without --unix-socket, meant for h:80 alone.", self.said())
        command.cancel()
        self.failureResultOf(command, CancelledError)

    def test_no_socket(self) -> None:
        """A socket that cannot be connected to is named."""
        command = self.start("--unix-socket", "s", "http://h/")
        factory = self.reactor.unixClients[-1][1]
        factory.clientConnectionFailed(self.reactor.connectors[-1], Failure(ConnectError(2)))
        self.assert_trouble(command, Trouble.REFUSED, "unix:'s' refused")

    def test_values(self) -> None:
        """What is no host, no socket and no version is told with what to write."""
        for bad in ("a/b", "http://a", "::1", "a:0", "a:99999", "", "a b"):
            said = self.usage("--connect-to", bad, "h")
            self.assertIn(f"{bad!r} is not HOST or HOST:PORT: write one like 192.0.2.7:8080", said)
        self.assertEqual(parse_options(["--connect-to", "a:", "h"]).connect_to, ("a", None))
        self.assertIn("It is empty", self.usage("--unix-socket", "", "h"))
        parse_options(["--unix-socket", "s" * SOCKET_PATH, "h"])
        said = self.usage("--unix-socket", "s" * (SOCKET_PATH + 1), "h")
        self.assertIn(f"at most {SOCKET_PATH} bytes: go to its folder", said)
        self.assertIn(
            "not allowed with", self.usage("--unix-socket", "s", "--connect-to", "a", "h")
        )
        self.assertIn("write v1 or v2.", self.usage("--proxy-header", "2", "h"))


class ProxyHeaderTests(ConnectingTestCase):
    """--proxy-header."""

    def test_first(self) -> None:
        """The header comes before the request, on each connection to the host."""
        begin = b"PROXY TCP4 192.0.2.99 192.0.2.7 4321 80\r\nGET /"
        command = self.start("-L", "--proxy-header", "v1", "--connect-to", NODE, "http://h/")
        self.answered(command, head("Location: /other", "Content-Length: 0", status="302 Found"))
        self.assertTrue(self.transport.value().startswith(begin + b" HTTP"))
        self.answered(command, PAGE)
        self.assertTrue(self.transport.value().startswith(begin + b"other HTTP"))
        self.assertEqual(self.successResultOf(command), 0)

    def test_trace(self) -> None:
        """It is seen in the trace, as it goes out."""
        self.fetch_page("--proxy-header", "v2", "-v", URL, answer=PAGE)
        self.assertIn("> sent 28 bytes\n  > 000000  0d 0a 0d 0a 00 0d 0a 51 55 49 54", self.said())

    def test_not_expected(self) -> None:
        """Who refuses may have expected none, on a port for TLS, too."""
        begin = ("--proxy-header", "v1", "--connect-to", NODE)
        command = self.start(*begin, "http://h:8080/")
        self.answered(command)
        self.assert_trouble(command, Trouble.RESET, "leave --proxy-header out")
        self.fetch_page(*begin, "http://h:8080/", answer=head(status="400 No"))
        self.assertIn("if the server expects no PROXY header", self.said())
        self.assertNotIn("https", self.said())
        error = TLSFailed("no TLS")
        for opening, words in ((b"PROXY", ", or leave --proxy-header out"), (b"", "no TLS.")):
            error.wire = Wire(b"", Times(0.0), opening=opening)
            trouble = fetch_trouble(error, parse_url("https://h/"), Way("h", 443), 30.0)
            self.assertIs(trouble.trouble, Trouble.TLS)
            self.assertIn(words, str(trouble))


class TrustTests(ConnectingTestCase):
    """--cacert and --insecure."""

    def test_insecure(self) -> None:
        """It says so each time, even to who wants to hear nothing."""
        for flag in ("-k", "--insecure"):
            self.start(flag, "-q", URL)
        self.assertEqual(self.said(), f"hello-fetch: {INSECURE}\n" * 2)

    def test_cacert(self) -> None:
        """A file that has nobody to trust is an error before anything else, by http, too."""
        error = self.assertRaises(BadValue, self.start, "--cacert", "nosuch", URL)
        self.assertEqual(
            str(error), "--cacert: 'nosuch' does not exist: name a file of certificates."
        )
        self.assertEqual(self.reactor.tcpClients, [])
        self.assertIn("not allowed with", self.usage("--cacert", "a", "-k", "h"))

    def test_without_tls(self) -> None:
        """Without the extra for TLS, a file is no use, and the extra is named."""
        modules: dict[str, Any] = sys.modules
        self.addCleanup(modules.__setitem__, "twisted.internet.ssl", ssl)
        modules["twisted.internet.ssl"] = None
        error = self.assertRaises(TroubleError, self.start, "--cacert", "nosuch", URL)
        self.assertIs(error.trouble, Trouble.TLS)
        self.assertIn("pip install 'hello_service[tls]'", error.sentence)


class MaxTimeTests(ConnectingTestCase):
    """--max-time."""

    SAID = "it was not done after 5 seconds: give it more with --max-time"

    def test_connecting(self) -> None:
        """The time to connect is part of it."""
        command = self.start("-m", "5", URL)
        self.reactor.advance(5)
        self.assert_trouble(command, Trouble.TIMEOUT, f"192.0.2.1: {self.SAID}")
        self.assertTrue(self.reactor.connectors[0]._disconnected)

    def test_body(self) -> None:
        """A byte a second does not put it off; what came is kept."""
        command = self.start("--max-time", "5", "--timeout", "3", URL)
        self.answered(command, head(), close=False)
        for _ in range(4):
            self.reactor.advance(1)
            self.peer.dataReceived(b"x")
        self.assertNoResult(command)
        self.reactor.advance(1)
        self.reset()
        self.assert_trouble(command, Trouble.TIMEOUT, self.SAID)
        self.assertEqual(self.files(), {"page.part": b"xxxx"})
        self.assertIn("What arrived (4 bytes) is in 'page.part'.", self.said())

    def test_redirects(self) -> None:
        """Redirects are part of it; what is named is where it was then."""
        command = self.start("-L", "-m", "5", "http://192.0.2.1/")
        for number in range(4):
            self.reactor.advance(1)
            location = f"Location: http://192.0.2.{number + 2}/"
            self.answered(command, head(location, "Content-Length: 0", status="302 Found"))
        self.reactor.advance(1)
        self.assert_trouble(command, Trouble.TIMEOUT, f"192.0.2.5: {self.SAID}")

    def test_reader(self) -> None:
        """Whoever reads the page is part of it, also once all of it has come."""
        reader, writer = full_pipe()
        self.addCleanup(os.close, reader)
        self.out = self.enterContext(open(writer, "wb", buffering=0))
        command = self.start("-m", "5", "-o", "-", URL)
        self.answered(command, PAGE)
        self.assertNoResult(command)
        self.reactor.advance(5)
        self.assert_trouble(command, Trouble.TIMEOUT, self.SAID)

    def test_in_time(self) -> None:
        """A page that arrives in time leaves nothing behind."""
        self.fetch_page("-m", "5", URL, answer=PAGE)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_interrupted(self) -> None:
        """What ends the command ends the time, too."""
        command = self.start("-m", "5", URL)
        command.cancel()
        self.failureResultOf(command, CancelledError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class ProxyOfTheEnvironmentTests(ConnectingTestCase):
    """http_proxy and its like."""

    def told(self, *arguments: str, **environ: str) -> str:
        """Return what is said at the start, in an environment."""
        self.patch(os, "environ", environ)
        before = self.said()
        self.start(*arguments, "http://192.0.2.1/")
        return self.said().removeprefix(before)

    def test_told(self) -> None:
        """A proxy for the place is ignored in so many words, without its password."""
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            said = self.told(**{name: "http://user:secret@proxy:3128"})
            self.assertEqual(
                said,
                f"hello-fetch: {name} in the environment is ignored: the connection goes through no"
                " proxy.\n",
            )

    def test_not_told(self) -> None:
        """One for other places is not spoken of, nor anything with --quiet."""
        for environ in (
            {"https_proxy": "proxy"},
            {"http_proxy": ""},
            {"http_proxy": "proxy", "no_proxy": "192.0.2.1"},
        ):
            self.assertEqual(self.told(**environ), "")
        self.assertEqual(self.told("-q", http_proxy="proxy"), "")
