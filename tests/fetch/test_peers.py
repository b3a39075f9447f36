"""The fetcher against real servers, over real sockets on loopback."""

import gzip
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    UNIXClientEndpoint,
    UNIXServerEndpoint,
    wrapClientTLS,
)
from twisted.internet.interfaces import IAddress, IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, PrivateCertificate, optionsForClientTLS
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.client import readBody
from twisted.web.iweb import IPolicyForHTTPS
from twisted.web.server import Site
from twisted.web.static import Data
from zope.interface import implementer

from hello_service.fetch import Ending, Observer, RawAgent, Settings
from hello_service.fetch.errors import PeerReset
from hello_service.fetch.response import RawResponse
from tests.certificates import certificate_pem
from tests.fetching import Endpoints
from tests.nginx import nginx
from tests.processes import program

BIG = bytes(range(256)) * 16 * 1024
"""4 MiB: many reads."""


class Leaf(Data):
    """One page at every place."""

    isLeaf = True


class PeerTestCase(TestCase):
    """A fetch on the real reactor."""

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.agent = RawAgent(reactor)
        self.folder = Path(self.enterContext(TemporaryDirectory()))

    def listen(self, factory: Any, tls: Any = None) -> int:
        """Serve on a free port of loopback until the test is over."""
        if tls:
            port = self.reactor.listenSSL(0, factory, tls, interface="127.0.0.1")
        else:
            port = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return cast(int, port.getHost().port)

    async def fetch(self, uri: str, agent: Any = None) -> tuple[RawResponse, bytes]:
        answer = await (agent or self.agent).request(b"GET", uri.encode())
        response = cast(RawResponse, answer)
        body = await readBody(response)
        return response, body

    async def start(self, *command: str, **options: Any) -> tuple[subprocess.Popen[str], str]:
        """Run a server until the test is over; return the first line that it prints."""
        process = subprocess.Popen(
            [program(command[0]), *command[1:]],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )
        assert process.stdout

        def stop() -> None:
            process.kill()
            process.wait()
            assert process.stdout
            process.stdout.close()

        self.addCleanup(stop)
        return process, cast(str, await deferToThread(process.stdout.readline))


class NginxTestCase(PeerTestCase):
    """nginx, as Debian has it."""

    async def serve(self, location: str = "") -> str:
        """Start nginx on a unix socket, whose path it need not choose."""
        self.place = self.folder.resolve() / "nginx.sock"
        command = nginx(
            self.folder,
            f"server {{ listen unix:{self.place}; root {self.folder.resolve()}; {location} }}",
        )
        process, line = await self.start(*command)
        assert process.stdout
        while line and "start worker" not in line and "epoll" not in line:
            line = await deferToThread(process.stdout.readline)
        endpoint = UNIXClientEndpoint(self.reactor, str(self.place))
        self.agent = RawAgent(self.reactor, endpoint_factory=Endpoints(endpoint))
        return "http://localhost/"


class NginxTests(NginxTestCase):
    """Pages from nginx."""

    async def test_length(self) -> None:
        """A file of many reads, over a unix socket."""
        (self.folder / "big").write_bytes(BIG)
        response, body = await self.fetch(await self.serve() + "big")
        self.assertEqual(body, BIG)
        self.assertIs(response.wire.ending, Ending.LENGTH)
        self.assertIn(b"\r\nServer: nginx", response.wire.head)

    async def test_chunks(self) -> None:
        """A page that nginx compresses comes in chunks."""
        (self.folder / "page.html").write_bytes(b"hello " * 10_000)
        url = await self.serve("gzip on; gzip_http_version 1.0; gzip_proxied any;")
        from twisted.web.http_headers import Headers

        headers = Headers({b"accept-encoding": [b"gzip"]})
        response = await self.agent.request(b"GET", f"{url}page.html".encode(), headers)
        body = await readBody(response)
        self.assertEqual(gzip.decompress(body), b"hello " * 10_000)
        self.assertIs(cast(RawResponse, response).wire.ending, Ending.LAST_CHUNK)

    async def test_redirect(self) -> None:
        """A folder without its slash is elsewhere."""
        (self.folder / "sub").mkdir()
        response, _ = await self.fetch(await self.serve() + "sub")
        self.assertEqual(response.code, 301)


class PythonTests(PeerTestCase):
    """C{python -m http.server}, which speaks HTTP/1.0."""

    async def test_page(self) -> None:
        """A page with a length, in HTTP/1.0."""
        (self.folder / "page").write_bytes(BIG)
        command = (sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0")
        _, line = await self.start(*command)
        port = line.split(" port ")[1].split()[0]
        response, body = await self.fetch(f"http://127.0.0.1:{port}/page")
        self.assertEqual((body, response.version), (BIG, (b"HTTP", 1, 0)))
        response, _ = await self.fetch(f"http://127.0.0.1:{port}/no")
        self.assertEqual(response.code, 404)


class NodeTests(PeerTestCase):
    """node's http server, which chunks what it is not told the length of."""

    SERVER = """
        const server = require("http").createServer((request, response) => {
            response.writeEarlyHints({ link: "</style.css>; rel=preload" });
            response.writeHead(200, { Trailer: "X-Sum" });
            for (let i = 0; i < 100; i++) response.write("hello ".repeat(1000));
            response.addTrailers({ "X-Sum": "600000" });
            response.end();
        });
        server.listen(0, "127.0.0.1", () => console.log(server.address().port));
    """

    async def test_page(self) -> None:
        """Early hints, chunks and trailers."""
        _, line = await self.start("node", "-e", self.SERVER)
        response, body = await self.fetch(f"http://localhost:{line.strip()}/")
        self.assertEqual(body, b"hello " * 100_000)
        wire = response.wire
        self.assertEqual(len(wire.interim), 1)
        self.assertIn(b"</style.css>", wire.interim[0])
        self.assertEqual(wire.trailers, b"X-Sum: 600000\r\n\r\n")
        times = wire.times
        moments = [
            times.started, times.resolved, times.connected, times.first_byte,
            times.head_complete, times.body_complete,
        ]  # fmt: skip
        self.assertNotIn(None, moments)
        self.assertEqual(moments, sorted(cast(list[float], moments)))


class Once(Protocol):
    """Answers once."""

    transport: Any

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(self._answer)


class OnceFactory(Factory):
    """Answers each connection with the same bytes.

    @ivar latest: the connection made last.
    """

    latest: Once

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def buildProtocol(self, addr: IAddress | None) -> Any:
        self.latest = Once(self._answer)
        return self.latest


class SocketTests(PeerTestCase):
    """What only real sockets do."""

    async def test_unix(self) -> None:
        """A unix socket, through an endpoint."""
        path = str(self.folder / "s")
        site = Site(Leaf(b"hello", "text/plain"))
        port = await UNIXServerEndpoint(self.reactor, path).listen(site)
        self.addCleanup(port.stopListening)
        endpoints = Endpoints(UNIXClientEndpoint(self.reactor, path))
        agent = RawAgent(self.reactor, endpoint_factory=endpoints)
        self.assertEqual((await self.fetch("http://any/", agent))[1], b"hello")

    async def test_reset(self) -> None:
        """A connection that is reset inside the body."""
        factory = OnceFactory(b"HTTP/1.1 200 OK\r\n\r\nhel")
        port = self.listen(factory)
        response = cast(
            RawResponse, await self.agent.request(b"GET", b"http://127.0.0.1:%d/" % port)
        )
        done: Deferred[Any] = Deferred()

        class Receiver:
            def data_received(self, data: bytes) -> None:
                factory.latest.transport.abortConnection()

            def body_ended(self, error: Any) -> None:
                done.callback(error)

        response.deliver_to(Receiver())
        error = await done
        self.assertIsInstance(error, PeerReset)
        self.assertIs(response.wire.ending, Ending.RESET)


@implementer(IPolicyForHTTPS)
class Trust:
    """Trusts one certificate."""

    def __init__(self, pem: bytes) -> None:
        self._root = Certificate.loadPEM(pem)

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        return optionsForClientTLS(hostname.decode(), trustRoot=self._root)


class Heard(Observer):
    """Writes down when TLS was agreed on, and when something was sent."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def secured(self) -> None:
        self.events.append("secured")

    def sent(self, data: bytes) -> None:
        self.events.append(f"sent {len(data)}")


class TLSTests(PeerTestCase):
    """https."""

    def serve(self, *names: str, page: bytes = b"hello") -> str:
        """Serve a page with a certificate for some names, which C{self.agent} trusts."""
        self.pem = certificate_pem(*names)
        own = PrivateCertificate.loadPEM(self.pem)
        self.heard = Heard()
        self.settings = Settings(observer=self.heard)
        trust = cast(Any, Trust(self.pem))
        self.agent = RawAgent(self.reactor, self.settings, policy_for_https=trust)
        site = Site(Leaf(page, "text/plain"))
        return f"https://localhost:{self.listen(site, own.options())}/"

    async def test_trusted(self) -> None:
        """With a certificate that is trusted, a page is fetched."""
        url = self.serve("localhost", page=BIG)
        response, body = await self.fetch(url)
        self.assertEqual(body, BIG)
        self.assertEqual(self.heard.events[:2], ["secured", f"sent {len(response.wire.request)}"])
        self.assertIs(response.wire.ending, Ending.LENGTH)
        self.assertIsNotNone(response.wire.times.secured)

    async def test_by_an_endpoint(self) -> None:
        """TLS that an endpoint of the caller's does is timed, too."""
        url = self.serve("localhost")
        port = int(url.rpartition(":")[2].rstrip("/"))
        creator = Trust(self.pem).creatorForNetloc(b"localhost", port)
        endpoint = wrapClientTLS(creator, HostnameEndpoint(self.reactor, "localhost", port))
        agent = RawAgent(self.reactor, self.settings, endpoint_factory=Endpoints(endpoint))
        response, body = await self.fetch(url, agent)
        self.assertEqual(body, b"hello")
        self.assertIsNotNone(response.wire.times.secured)
        self.assertIn("secured", self.heard.events)
