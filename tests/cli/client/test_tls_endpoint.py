"""hello-client by C{tls:} against real servers on loopback."""

import sys
from ipaddress import ip_address
from tempfile import TemporaryFile
from typing import Any, cast

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hello_service.cli.client.command import greet
from hello_service.cli.client.options import parse_options
from hello_service.cli.client.secured import SecuredEndpoint
from hello_service.cli.client.tls_endpoint import tls_endpoint
from hello_service.cli.console import Console, Outlet
from hello_service.cli.trouble import Trouble, TroubleError
from hello_service.fetch.tls import Handshake
from hello_service.server import HelloFactory
from hello_service.values import BadValue
from tests.certificates import dns, issue
from tests.processes import run, trial_on_uvloop
from tests.tls_servers import Plain, TLSServer, TLSTestCase

SILENT = Console(Outlet(None, None), Outlet(None, None))


class EndpointTestCase(TLSTestCase):
    """Servers that are trusted by the folder C{trustRoots}."""

    def setUp(self) -> None:
        super().setUp()
        (self.folder / "authority.pem").write_bytes(self.authority.pem)
        (self.folder / "README").write_text("not looked at")

    def serve(self, *names: x509.GeneralName, **more: Any) -> TLSServer:
        """Serve hello with a certificate that is trusted."""
        issued = self.authority.issue(x509.SubjectAlternativeName(names))
        return TLSServer(self, issued, **{"factory": HelloFactory(self.reactor), **more})

    async def greet(self, host: str, port: int, *more: str, arguments: Any = ()) -> str:
        """Run the command; return what it prints."""
        place = ":".join(("tls", host, str(port), f"trustRoots={self.folder}", *more))
        options = parse_options([f"--connect={place}", *arguments, "Michael"])
        with TemporaryFile() as printed:
            console = Console(Outlet(self.reactor, printed.fileno()), Outlet(self.reactor, None))
            self.status = await greet(options, self.reactor, console)
            printed.seek(0)
            return str(printed.read(), "utf-8")

    async def trouble(self, trouble: Trouble, host: str, port: int, *more: str, **kw: Any) -> str:
        """Run the command, which fails; return what it says after the place."""
        running = Deferred.fromCoroutine(self.greet(host, port, *more, **kw))
        error: Any = await self.assertFailure(running, TroubleError)
        self.assertIs(error.trouble, trouble, str(error))
        self.assertTrue(error.sentence.startswith(f"tls:{host}:{port}:"), error.sentence)
        return str(error.sentence)


class ServerTests(EndpointTestCase):
    """A hello server by TLS."""

    async def test_theirs(self) -> None:
        """The certificate is the host's: the conversation goes on as by TCP."""
        address = x509.IPAddress(ip_address("127.0.0.1"))
        for host, name in (
            ("a.example", x509.DNSName("a.example")),
            ("a.example.", x509.DNSName("*.b.example")),
            ("bücher.example", x509.DNSName("xn--bcher-kva.example")),
            ("127.0.0.1", address),
        ):
            server = self.serve(name, x509.DNSName("a.example"))
            printed = await self.greet(host, server.port)
            self.assertEqual((printed, self.status), ("Welcome!\nHello, Michael!\n", 0))
            await server.end()

    async def test_not_theirs(self) -> None:
        """The certificate is not the host's: nothing is sent."""
        for names, said in (
            ([x509.DNSName("b.example")], "is for 'b.example', not for 'a.example'"),
            ([x509.RFC822Name("me@a.example")], "names no host"),
            ([x509.DNSName("*.example")], "malformed"),
            ([x509.UniformResourceIdentifier("a:b:c"), x509.DNSName("b.example")], "not for"),
        ):
            server = self.serve(*names)
            self.assertIn(said, await self.trouble(Trouble.TLS, "a.example", server.port))
            await server.end()
            self.assertEqual(server.received, b"")

    async def test_intermediate(self) -> None:
        """An authority in the folder need not be a root."""
        middle = issue(None, self.authority.own, authority=True, common_name="Middle")
        (self.folder / "authority.pem").write_bytes(middle.pem)
        server = TLSServer(
            self, issue(dns("a.example"), middle), factory=HelloFactory(self.reactor)
        )
        self.assertIn("Hello, Michael!", await self.greet("a.example", server.port))
        await server.end()

    async def test_untrusted(self) -> None:
        """The certificate is not trusted, which is said in the words of https."""
        server = TLSServer(self, issue(dns("a.example")))
        said = await self.trouble(Trouble.TLS, "a.example", server.port)
        self.assertIn("is self-signed, and not trusted here: put the authority's", said)
        self.assertIn(f"into {str(self.folder)!r}", said)
        await server.end()

    async def test_client_certificate(self) -> None:
        """A server that wants a certificate from us says so, unless it gets one."""

        def wants_one(context: SSL.Context) -> None:
            context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)

        server = self.serve(x509.DNSName("a.example"), setup=wants_one)
        said = await self.trouble(Trouble.TLS, "a.example", server.port)
        self.assertIn("add certificate=FILE and privateKey=FILE to the endpoint", said)
        await server.end()
        both = self.folder / "both"
        both.write_bytes(issue(dns("me.example")).pem)
        for files in ([f"certificate={both}"], [f"certificate={both}", f"privateKey={both}"]):
            await self.greet("a.example", server.port, *files)
            await server.end()

    async def test_closed_after_the_handshake(self) -> None:
        """A server that closes without a greeting is told as by TCP."""

        @implementer(IHandshakeListener)
        class Closing(Protocol):
            def handshakeCompleted(self) -> None:
                cast(Any, self.transport).loseConnection()

        factory = Factory.forProtocol(Closing)
        server = self.serve(x509.DNSName("a.example"), factory=factory)
        said = await self.trouble(Trouble.RESET, "a.example", server.port)
        self.assertIn("closed the connection before the greeting was whole", said)
        await server.end()

    async def test_broken_later(self) -> None:
        """TLS that breaks once something has come is a connection that broke."""

        class Breaking(Protocol):
            def connectionMade(self) -> None:
                cast(Any, self.transport).write(b"Welcome!")

            def dataReceived(self, data: bytes) -> None:
                cast(Any, self.transport).transport.transport.write(b"\x17\x03\x03\0\x05hello")

        factory = Factory.forProtocol(Breaking)
        server = self.serve(x509.DNSName("a.example"), factory=factory)
        said = await self.trouble(Trouble.RESET, "a.example", server.port)
        self.assertNotIn("SSL", said)
        await server.end()


class HandshakeTests(EndpointTestCase):
    """What answers is no TLS."""

    def listen(self, plain: Plain) -> int:
        port = self.reactor.listenTCP(0, plain, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    async def test_plain(self) -> None:
        """A server without TLS."""
        plain = Plain(b"Welcome!")
        said = await self.trouble(Trouble.TLS, "a.example", self.listen(plain))
        self.assertIn("does not speak TLS on this port: leave TLS out, with tcp: in", said)
        await plain.over

    async def test_cut(self) -> None:
        """A handshake that is cut short is no failure of TLS."""
        plain = Plain(end="abortConnection")
        said = await self.trouble(Trouble.RESET, "a.example", self.listen(plain))
        self.assertIn("the connection broke during the TLS handshake: try again", said)
        await plain.over

    async def test_never_ends(self) -> None:
        """A handshake that takes too long says which step did."""
        plain = Plain()
        place = f"tls:a.example:{self.listen(plain)}"
        running = Deferred.fromCoroutine(
            greet(parse_options([f"--connect={place}", "--timeout=0.3"]), self.reactor, SILENT)
        )
        error: Any = await self.assertFailure(running, TroubleError)
        self.assertIs(error.trouble, Trouble.TIMEOUT)
        self.assertIn("did not finish the TLS handshake within 0.3 seconds", error.sentence)
        await plain.over

    async def test_refused(self) -> None:
        """Where nothing listens TLS is not to blame."""
        port = self.reactor.listenTCP(0, Plain(), interface="127.0.0.1")
        number = port.getHost().port
        await port.stopListening()
        running = Deferred.fromCoroutine(self.greet("a.example", number))
        error: Any = await self.assertFailure(running, TroubleError)
        self.assertIs(error.trouble, Trouble.REFUSED)


class DescriptionTests(EndpointTestCase):
    """What is not an endpoint for TLS, or not yet."""

    def describe(self, *parts: str) -> Any:
        return tls_endpoint(MemoryReactorClock(), ":".join(("tls", *parts)))

    def test_bad(self) -> None:
        """What is wrong is said in one sentence."""
        empty = self.folder / "empty"
        empty.mkdir()
        (empty / "a.pem").write_text("nothing")
        for parts, said in (
            ([""], "it has no host"),
            (["h"], "it has no port"),
            (["h", "x"], "'x' is not a port"),
            (["h\\\\", "x"], "'x' is not a port"),
            (["h", "1\\"], "'1\\\\' is not a port"),
            (["2001:db8::1", "9999"], "put \\ before each colon of an IPv6 address"),
            (["h", "1", "0"], "'0' is not a number of seconds above 0"),
            (["h", "1", "color=red"], "'color' is none of host, port"),
            (["h"] * 9, "too many parts"),
            (["\u2603" * 70, "1"], "is not a host name"),
            (["h", "endpoint=foo"], "'foo' is none below TLS"),
            (["h", "1", f"certificate={self.folder}/nosuch"], "nosuch' cannot be read (No such"),
            (["h", "1", f"certificate={empty}/a.pem"], "a.pem' is not a certificate with its key"),
            (["h", "1", f"trustRoots={self.folder}/nosuch"], "nosuch' cannot be read (No such"),
            (["h", "1", f"trustRoots={empty}"], "not every .pem in"),
        ):
            error = self.assertRaises(BadValue, self.describe, *parts)
            self.assertIn(said, str(error))
            self.assertTrue(str(error).endswith(": write one like tls:HOST:9999."), str(error))

    def test_number(self) -> None:
        """An address in an odd spelling, which no certificate is for."""
        error = self.assertRaises(TroubleError, self.describe, "0x7f.1", "9999")
        self.assertIs(error.trouble, Trouble.TLS)
        self.assertIn("write the address in full", error.sentence)

    async def test_below(self) -> None:
        """TLS goes over any endpoint, and the name is only for the certificate then."""
        server = self.serve(x509.DNSName("a.example"))
        below = f"endpoint=tcp\\:127.0.0.1\\:{server.port}"
        printed = await self.greet("a.example", 1, below)
        self.assertEqual(printed, "Welcome!\nHello, Michael!\n")
        await server.end()

    async def test_bound(self) -> None:
        """An address to connect from, and a time for it."""
        server = self.serve(x509.DNSName("a.example"))
        printed = await self.greet("a.example", server.port, "timeout=9", "bindAddress=127.0.0.1")
        self.assertEqual(printed, "Welcome!\nHello, Michael!\n")
        await server.end()

    async def test_policy_that_fails(self) -> None:
        """A file that OpenSSL does not take, at the time of the handshake."""
        server = self.serve(x509.DNSName("a.example"))

        def failing() -> Handshake:
            return Handshake("a.example", cast(Any, object()))

        below = TCP4ClientEndpoint(self.reactor, "127.0.0.1", server.port)
        connecting = SecuredEndpoint("tls:x", below, failing).connect(Factory())
        error: Any = await self.assertFailure(connecting, TroubleError)
        self.assertIs(error.trouble, Trouble.TLS)
        await server.end()

    def test_cancelled(self) -> None:
        """An attempt that is given up before it is connected ends the one below."""
        reactor = MemoryReactorClock()
        connecting = tls_endpoint(reactor, "tls:127.0.0.1:9999").connect(Factory())
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError, ConnectingCancelledError)
        self.assertEqual(reactor.getDelayedCalls(), [])

    def test_ssl(self) -> None:
        """Twisted's older C{ssl:}, which checks no name unless told to, is not taken."""
        running = Deferred.fromCoroutine(
            greet(parse_options(["--connect=ssl:h:1"]), self.reactor, SILENT)
        )
        self.assertIn("write tls:HOST:PORT", str(self.failureResultOf(running, BadValue).value))


class ProcessTests(SynchronousTestCase):
    """What is imported, and what is not there."""

    def loaded(self, *code: str) -> str:
        done = run(sys.executable, "-c", "\n".join(("import sys", *code)))
        return done.stdout + done.stderr

    def test_imports(self) -> None:
        """Without TLS, hello-client imports neither the fetcher nor what TLS takes."""
        found = self.loaded(
            "from hello_service.cli.client import command",
            "from twisted.internet.testing import MemoryReactorClock",
            "command.client_endpoint(MemoryReactorClock(), 'tcp:127.0.0.1:9999')",
            "strangers = ('hello_service.fetch', 'h11', 'twisted.web')",
            "print([name for name in sys.modules if name.startswith(strangers)])",
        )
        self.assertEqual(found, "[]\n")

    def test_missing(self) -> None:
        """Without the extra, the message names it."""
        found = self.loaded(
            "sys.modules['OpenSSL'] = None",
            "sys.argv[1:] = ['--connect=tls:127.0.0.1:9']",
            "from hello_service.cli.client.command import main",
            "main()",
        )
        self.assertEqual(
            found,
            "hello-client: TLS: TLS needs its extra: pip install 'hello_service[tls]'."
            " See docs/errors.md#tls.\n",
        )

    def test_on_uvloop(self) -> None:
        """The tests of this file with servers, on the reactor of uvloop."""
        cases = [f"{__name__}.{name}" for name in ("ServerTests", "HandshakeTests")]
        done = trial_on_uvloop(*cases)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
