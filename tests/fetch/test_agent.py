"""Tests of L{hello_service.fetch.agent}, alone and in what Twisted and treq put around it."""

import gzip
import sys
from collections.abc import Callable
from http.cookiejar import CookieJar
from typing import Any, cast

import treq.client
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.ssl import optionsForClientTLS
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.test.iosim import ConnectionCompleter, IOPump
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import (
    BrowserLikeRedirectAgent,
    ContentDecoderAgent,
    CookieAgent,
    GzipDecoder,
    RedirectAgent,
    ResponseFailed,
    readBody,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IResponse
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hello_service.fetch import Ending, InvalidRequest, RawAgent, WireHeaders
from hello_service.fetch.errors import Abandoned
from hello_service.fetch.response import RawResponse
from tests.fetch.test_sending import AtOnce
from tests.fetching import LOCAL, V4, Body, Endpoints, FetchTestCase


class AgentTests(FetchTestCase):
    """What the agent takes."""

    def test_interface(self) -> None:
        """It is an agent."""
        self.assertTrue(verifyObject(IAgent, RawAgent(self.reactor)))

    def test_refused(self) -> None:
        """What cannot be sent fails the request, and no connection is made."""
        for method, uri, headers in (
            (b"GET\r\nX: y", b"http://h/", None),
            (b"GET", b"http://h/\r\nX: y", None),
            (b"GET", b"http://h/\0", None),
            (b"GET", b"http://\xff/", None),
            (b"GET", b"gopher://h/", None),
            (b"GET", b"http://h/", WireHeaders([(b"A", b"b\r\nX: y")])),
        ):
            self.failureResultOf(self.request(method, uri, headers), InvalidRequest)
        self.assertEqual((self.reactor.tcpClients, self.resolver.asked), ([], []))

    def test_text(self) -> None:
        """Text where bytes have to be is told to be bytes."""
        agent: Any = self.agent()
        for method, uri, words in (
            ("GET", b"http://h/", "the method 'GET' is a str and has to be bytes: write b'GET'"),
            (b"GET", "http://h/", "the URI 'http://h/' is a str and has to be bytes: write b'http"),
            (b"GET", "http://h/ü", "has to be bytes: encode it as UTF-8"),
            (None, b"http://h/", "the method has to be bytes, and is of type NoneType"),
            (b"GET", 1, "the URI has to be bytes, and is of type int"),
        ):
            error = self.failureResultOf(agent.request(method, uri), InvalidRequest).value
            self.assertIn(words, str(error))

    def test_headers(self) -> None:
        """Headers keep their order and case."""
        self.request(headers=WireHeaders([(b"x-B", b"1"), (b"X-a", b"2")]))
        sent = self.connect().value()
        self.assertTrue(sent.endswith(b"Connection: close\r\nx-B: 1\r\nX-a: 2\r\n\r\n"))

    def test_without_tls(self) -> None:
        """Without the extra for TLS, https says which one to install."""
        self.patch_modules("twisted.internet.ssl")
        error = self.failureResultOf(self.request(uri=b"https://h/"), InvalidRequest).value
        self.assertIn("pip install 'hello_service[tls]'", str(error))

    def patch_modules(self, name: str) -> None:
        """Let a module be missing."""
        modules: dict[str, Any] = sys.modules
        module = modules[name]
        modules[name] = None
        self.addCleanup(modules.__setitem__, name, module)


class GivenUpTests(FetchTestCase):
    """Bodies that are given up when all of them is here already."""

    def deliver(self, then: Callable[[RawResponse], None]) -> Body:
        response = self.fetched(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
        body = GivesUp(response, then)
        response.deliverBody(body)
        return body

    def test_before_its_bytes(self) -> None:
        """A body without its bytes is not whole."""
        for then in (RawResponse.loseConnection, RawResponse.stopProducing):
            body = self.deliver(then)
            self.assertEqual(body.data, b"")
            failed: Any = body.reasons[0].value
            self.assertIsInstance(failed.reasons[0].value, Abandoned)

    def test_while_paused(self) -> None:
        """Who pauses and then gives up hears of the end."""

        def pause_and_stop(response: RawResponse) -> None:
            response.pauseProducing()
            response.stopProducing()

        body = self.deliver(pause_and_stop)
        self.assertEqual(len(body.reasons), 1)


class GivesUp(Body):
    """Does something to its response as soon as it is connected."""

    def __init__(self, response: RawResponse, then: Callable[[RawResponse], None]) -> None:
        super().__init__()
        self._response = response
        self._then = then

    def connectionMade(self) -> None:
        self._then(self._response)


@implementer(IStreamClientEndpoint)
class Never:
    """An endpoint that takes its time."""

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        self.cancelled = False
        return Deferred(lambda _: setattr(self, "cancelled", True))


@implementer(IStreamClientEndpoint)
class Stubborn:
    """An endpoint that goes on connecting when it is told not to."""

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        self.factory = factory
        return Deferred(lambda _: None)

    def connected(self) -> StringTransport:
        """Let it connect."""
        protocol = self.factory.buildProtocol(V4)
        assert protocol
        transport = StringTransport(LOCAL, V4)
        protocol.makeConnection(transport)
        protocol.connectionLost(Failure(ConnectionDone()))
        return transport


@implementer(IStreamClientEndpoint)
class Raising:
    """An endpoint with a fault."""

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        raise ZeroDivisionError


class EndpointTests(FetchTestCase):
    """The caller's own endpoints."""

    def test_used(self) -> None:
        """An endpoint makes the connection."""
        endpoints = Endpoints(TCP4ClientEndpoint(self.reactor, "127.0.0.1", 8080))
        answer = self.agent(endpoints).request(b"GET", b"http://h:444/a?b")
        transport = self.connect()
        self.assertIn(b"Host: h:444\r\n", transport.value())
        self.assertEqual(endpoints.uris[0].toBytes(), b"http://h:444/a?b")
        self.peer._wrappedProtocol.dataReceived(b"HTTP/1.1 204 No Content\r\n\r\n")
        response = self.response(answer)
        self.assertIsNone(response.wire.times.resolved)
        self.assertIsNotNone(response.wire.times.connected)

    def test_names(self) -> None:
        """An endpoint factory gets a name in ASCII."""
        endpoints = Endpoints(Never())
        self.agent(endpoints).request(b"GET", "http://b\u00fccher.example/\u00fc".encode())
        self.assertEqual(endpoints.uris[0].toBytes(), b"http://xn--bcher-kva.example/%C3%BC")

    def test_raising(self) -> None:
        """An endpoint that raises fails the request, and leaves nothing behind."""
        answer = self.agent(Endpoints(Raising())).request(b"GET", b"http://h/")
        self.failureResultOf(answer, ZeroDivisionError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        """A request that ends early ends its endpoint's attempt."""
        endpoint = Never()
        answer = self.agent(Endpoints(endpoint), timeout=3).request(b"GET", b"http://h/")
        self.reactor.advance(3)
        self.failureResultOf(answer)
        self.assertTrue(endpoint.cancelled)

    def test_connected_late(self) -> None:
        """An endpoint that connects after the request ended has its connection closed, unused."""
        for end in (Deferred.cancel, lambda _: self.reactor.advance(3)):
            endpoint = Stubborn()
            answer = self.agent(Endpoints(endpoint), timeout=3).request(b"GET", b"http://h/")
            end(answer)
            self.failureResultOf(answer)
            transport = endpoint.connected()
            self.assertEqual((transport.value(), transport.disconnected), (b"", True))
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_connected_late_by_tls(self) -> None:
        """So has one that does TLS, before the handshake begins."""
        endpoint = Stubborn()
        options = optionsForClientTLS("h")
        factory = Endpoints(wrapClientTLS(options, endpoint))
        answer = self.agent(factory).request(b"GET", b"https://h/")
        answer.cancel()
        self.failureResultOf(answer)
        self.assertTrue(endpoint.connected().disconnected)

    def test_failing(self) -> None:
        """An endpoint factory that raises fails the request."""
        factory: Any = object()
        answer = self.agent(factory).request(b"GET", b"http://h/")
        self.failureResultOf(answer, AttributeError)


class Page(Resource):
    """A page with one method of its own."""

    isLeaf = True

    def __init__(self, render: Any) -> None:
        super().__init__()
        self._render = render

    def render_GET(self, request: Request) -> Any:
        return self._render(request)

    render_POST = render_GET


class SiteTestCase(SynchronousTestCase):
    """The real C{Site}, in memory."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.completer = ConnectionCompleter(self.reactor)
        self.root = Resource()
        self.requests: list[Request] = []
        self.bodies: list[tuple[bytes, bytes]] = []
        self.pumps: list[IOPump] = []
        self.site = Site(self.root, reactor=self.reactor)
        self.agent = RawAgent(self.reactor)

    def page(self, name: bytes, render: Any) -> None:
        def answer(request: Request) -> Any:
            self.requests.append(request)
            self.bodies.append((request.method, cast(Any, request).content.read()))
            return render(request)

        self.root.putChild(name, Page(answer))

    def serve(self) -> None:
        """Take connections, as often as there are any."""
        self.reactor.listenTCP(80, self.site)
        while pump := self.completer.succeedOnce():
            self.pumps.append(pump)
            pump.flush()

    def get(self, agent: Any, uri: bytes, method: bytes = b"GET", **kwargs: Any) -> Any:
        """Return the response to a request."""
        answer: Deferred[IResponse] = agent.request(method, uri, **kwargs)
        self.serve()
        return self.successResultOf(answer)

    def body(self, response: Any) -> bytes:
        reading = readBody(response)
        for pump in self.pumps:
            pump.flush()
        return self.successResultOf(reading)

    def redirect(self, name: bytes, to: bytes, code: int = 302) -> None:
        def render(request: Request) -> bytes:
            request.setResponseCode(code)
            request.setHeader(b"location", to)
            return b"moved"

        self.page(name, render)


class SiteTests(SiteTestCase):
    """C{Site} understands us, and we it."""

    def test_length(self) -> None:
        """A page with a length."""
        self.page(b"a", lambda request: b"hello")
        response = self.get(self.agent, b"http://127.0.0.1/a")
        self.assertEqual(self.body(response), b"hello")
        self.assertIs(response.wire.ending, Ending.LENGTH)

    def test_chunks(self) -> None:
        """A page in chunks, larger than what is read at once."""
        page = bytes(range(256)) * 4096

        def render(request: Request) -> Any:
            for start in range(0, len(page), 100_000):
                request.write(page[start : start + 100_000])
            request.finish()
            return NOT_DONE_YET

        self.page(b"a", render)
        response = self.get(self.agent, b"http://127.0.0.1/a")
        self.assertEqual(self.body(response), page)
        self.assertIs(response.wire.ending, Ending.LAST_CHUNK)

    def test_head(self) -> None:
        """HEAD brings no body."""
        self.page(b"a", lambda request: b"hello")
        answer = self.agent.request(b"HEAD", b"http://127.0.0.1/a")
        self.serve()
        response = self.successResultOf(answer)
        self.assertEqual((self.body(response), response.length), (b"", 0))


class CompositionTests(SiteTestCase):
    """The agents that wrap others."""

    def test_redirects(self) -> None:
        """C{RedirectAgent} and its browser-like kin follow, and keep the history."""
        for kind in (RedirectAgent, BrowserLikeRedirectAgent):
            self.redirect(b"a", b"/b")
            self.page(b"b", lambda request: b"hello")
            agent = kind(self.agent)
            response = self.get(agent, b"http://127.0.0.1/a")
            self.assertEqual(self.body(response), b"hello")
            self.assertEqual(response.previousResponse.code, 302)
            self.assertIn(b"\r\nLocation: /b\r\n", response.previousResponse.wire.head)

    def test_circle(self) -> None:
        """They fail as they do, with our response in their error."""
        self.redirect(b"a", b"/a")
        answer = RedirectAgent(self.agent, redirectLimit=3).request(b"GET", b"http://127.0.0.1/a")
        self.serve()
        failed: Any = self.failureResultOf(answer, ResponseFailed).value
        self.assertEqual(failed.response.code, 302)

    def test_secrets(self) -> None:
        """Headers of ours go through them, secrets not to another origin."""
        self.redirect(b"a", b"http://127.0.0.2/b")
        self.page(b"b", lambda request: b"hello")
        headers = WireHeaders([(b"authorization", b"secret"), (b"x-a", b"b")])
        self.get(RedirectAgent(self.agent), b"http://127.0.0.1/a", headers=headers)
        first, second = self.requests
        self.assertTrue(first.requestHeaders.hasHeader(b"authorization"))
        self.assertFalse(second.requestHeaders.hasHeader(b"authorization"))
        self.assertTrue(second.requestHeaders.hasHeader(b"x-a"))

    def gzipped(self) -> None:
        def render(request: Request) -> bytes:
            request.setHeader(b"content-encoding", b"gzip")
            return gzip.compress(b"hello " * 1000)

        self.page(b"a", render)

    def test_gzip(self) -> None:
        """C{ContentDecoderAgent} asks for gzip and undoes it."""
        self.gzipped()
        agent = ContentDecoderAgent(self.agent, [(b"gzip", GzipDecoder)])
        response = self.get(agent, b"http://127.0.0.1/a")
        self.assertEqual(self.body(response), b"hello " * 1000)
        self.assertTrue(self.requests[0].requestHeaders.hasHeader(b"accept-encoding"))

    def test_cookies(self) -> None:
        """C{CookieAgent} takes cookies and brings them back."""

        def render(request: Request) -> bytes:
            request.addCookie(b"a", b"b")
            return b"hello"

        self.page(b"a", render)
        agent = CookieAgent(self.agent, CookieJar())
        for _ in range(2):
            self.body(self.get(agent, b"http://127.0.0.1/a"))
        self.assertEqual(self.requests[1].getCookie(b"a"), b"b")

    def post(self, agent: Any, uri: bytes) -> Any:
        """Return the response to a request with a body."""
        body = AtOnce(UNKNOWN_LENGTH, b"hel", b"lo")
        return self.get(agent, uri, b"POST", bodyProducer=body)

    def test_body_redirected(self) -> None:
        """A body goes where the first request goes; redirects that ask for it again fail."""
        self.page(b"b", lambda request: b"hello")
        for code in (302, 307):
            self.redirect(b"a", b"/b", code)
            agent = RedirectAgent(self.agent)
            answer = agent.request(b"POST", b"http://127.0.0.1/a", None, AtOnce(2, b"hi"))
            self.serve()
            error: Any = self.failureResultOf(answer, ResponseFailed).value
            self.assertEqual(error.response.code, code)
        self.redirect(b"a", b"/b", 303)
        for kind in (RedirectAgent, BrowserLikeRedirectAgent):
            response = self.post(kind(self.agent), b"http://127.0.0.1/a")
            self.assertEqual(self.body(response), b"hello")
        hi, hello = (b"POST", b"hi"), (b"POST", b"hello")
        self.assertEqual(self.bodies, [hi, hi, hello, (b"GET", b""), hello, (b"GET", b"")])

    def test_body_and_gzip(self) -> None:
        """C{ContentDecoderAgent} lets a body pass."""
        self.gzipped()
        agent = ContentDecoderAgent(self.agent, [(b"gzip", GzipDecoder)])
        self.assertEqual(self.body(self.post(agent, b"http://127.0.0.1/a")), b"hello " * 1000)
        self.assertEqual(self.bodies, [(b"POST", b"hello")])

    def test_body_and_cookies(self) -> None:
        """So does C{CookieAgent}."""

        def render(request: Request) -> bytes:
            request.addCookie(b"a", b"b")
            return b"hello"

        self.page(b"a", render)
        agent = CookieAgent(self.agent, CookieJar())
        for _ in range(2):
            self.body(self.post(agent, b"http://127.0.0.1/a"))
        self.assertEqual(self.requests[1].getCookie(b"a"), b"b")
        self.assertEqual(self.bodies, [(b"POST", b"hello")] * 2)

    def test_treq(self) -> None:
        """treq's client works on it: redirects, cookies, gzip and text."""
        self.redirect(b"b", b"/a")
        self.gzipped()
        client = treq.client.HTTPClient(self.agent)
        answer = client.get(
            "http://127.0.0.1/b", params={"q": "ü"}, headers=Headers({"x-a": ["b"]})
        )
        self.serve()
        response = self.successResultOf(Deferred.fromCoroutine(_awaited(answer)))
        self.assertEqual([previous.code for previous in response.history()], [302])
        text = response.text()
        for pump in self.pumps:
            pump.flush()
        self.assertEqual(self.successResultOf(text), "hello " * 1000)
        self.assertEqual(self.requests[0].uri, b"/b?q=%C3%BC")

    def test_treq_streams(self) -> None:
        """treq hands a body on piece by piece."""
        self.page(b"a", lambda request: b"hello")
        client = treq.client.HTTPClient(self.agent)
        answer = client.get("http://127.0.0.1/a", unbuffered=True)
        self.serve()
        pieces: list[bytes] = []
        done = self.successResultOf(answer).collect(pieces.append)
        for pump in self.pumps:
            pump.flush()
        self.successResultOf(done)
        self.assertEqual(b"".join(pieces), b"hello")


async def _awaited(answer: Any) -> Any:
    return await answer
