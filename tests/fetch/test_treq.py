"""treq's own tests, with L{RawAgent} where they have Twisted's C{Agent}."""

import gzip
import json
from base64 import b64encode
from pkgutil import iter_modules
from typing import Any, cast

import treq.test
import treq.test.test_testing
import treq.test.test_treq_integration
import treq.testing
from twisted.internet.defer import Deferred
from twisted.internet.ssl import Certificate, PrivateCertificate
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import URI, BrowserLikePolicyForHTTPS
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer

from hello_service.fetch import RawAgent
from tests.certificates import certificate_pem

INTEGRATION: Any = treq.test.test_treq_integration
STUBS: Any = treq.test.test_testing

JSON = "application/json; charset=UTF-8"

NOT_RUN = {
    "test_agentspy": "its agents keep requests",
    "test_api": "its agents count calls",
    "test_auth": "its agents keep requests",
    "test_client": "its agents are mocks",
    "test_content": "its responses are mocks",
    "test_cookies": "it has jars alone",
    "test_multipart": "its consumers are files",
    "test_response": "its responses are made by hand",
}
"""Modules of treq's tests without an agent that sends anything, whose place RawAgent could take."""

OTHERWISE = {
    "test_handles_invalid_schemes": "a request that cannot be sent fails with InvalidRequest",
    "test_handles_failing_asynchronous_requests": "one that is cancelled with CancelledError",
}
"""Tests in which RawAgent fails with other errors than Agent: docs/fetching.md says so."""


class Bin(Resource):
    """Says what it was asked, as httpbin does, which treq's tests are written for."""

    isLeaf = True

    def render(self, request: Request) -> Any:
        place = cast(Any, request).path.decode().strip("/").split("/")
        match place:
            case ["gzip"]:
                request.setHeader(b"content-encoding", b"gzip")
                return gzip.compress(_json(gzipped=True))
            case ["basic-auth", user, password]:
                return self._authenticated(request, user, password)
            case ["cookies"]:
                return _json(cookies=_text(request.received_cookies))
            case ["cookies", "set"]:
                for name, (value,) in request.args.items():
                    request.addCookie(name, value)
                return self._moved(request, b"/cookies")
            case ["redirect-to"]:
                return self._moved(request, request.args[b"url"][0])
            case ["redirect" | "relative-redirect", "1"]:
                return self._moved(request, b"/get")
            case ["delay", _]:
                return NOT_DONE_YET
        headers = {
            name.decode(): b",".join(values).decode()
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        fields = {name: values[0] for name, values in request.args.items()}
        data = cast(Any, request).content.read().decode()
        return _json(headers=headers, data=data, form=_text(fields), files=_text(fields))

    def _authenticated(self, request: Request, user: str, password: str) -> bytes:
        given = request.getHeader(b"authorization")
        if given != b"Basic " + b64encode(f"{user}:{password}".encode()):
            request.setResponseCode(401)
        return _json(authenticated=True, user=user)

    def _moved(self, request: Request, place: bytes) -> bytes:
        request.setResponseCode(302)
        request.setHeader(b"location", place)
        return b""


def _json(**values: object) -> bytes:
    return json.dumps(values).encode()


def _text(values: dict[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in values.items()}


@implementer(IAgent)
class Tidy:
    """An agent that gives up, in the end, the bodies that a test did not want."""

    def __init__(self, agent: RawAgent) -> None:
        self._agent = agent
        self._responses: list[Any] = []

    def request(self, *arguments: Any) -> Any:
        return self._agent.request(*arguments).addCallback(self._keep)

    def _keep(self, response: IResponse) -> IResponse:
        self._responses.append(response)
        return response

    def tidy(self) -> None:
        for response in self._responses:
            response.abortConnection()


class TableTests(SynchronousTestCase):
    """What is said of treq's tests is true."""

    def test_modules(self) -> None:
        """Those that run and those that do not are all that there are."""
        modules = {each.name for each in iter_modules(treq.test.__path__)}
        run = {module.__name__.rpartition(".")[2] for module in (STUBS, INTEGRATION)}
        self.assertEqual({name for name in modules if name.startswith("test_")}, {*NOT_RUN, *run})


class IntegrationTests(INTEGRATION.TreqIntegrationTests):  # type: ignore[misc]
    """treq against a server."""

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.pool = INTEGRATION.HTTPConnectionPool(reactor, False)
        self.listen()
        self.addCleanup(self.agent.tidy)

    def listen(self) -> None:
        port = self.reactor.listenTCP(0, Site(Bin()), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.baseurl = f"http://127.0.0.1:{port.getHost().port}"
        self.agent = Tidy(RawAgent(self.reactor))

    async def test_json(self) -> None:
        """JSON is sent as such."""
        response = await self.post("/post", json={"a": [1]})
        await self.assert_data(response, '{"a":[1]}')
        self.assertEqual(response.request.headers.getRawHeaders("content-type"), [JSON])


class SecureIntegrationTests(IntegrationTests):
    """The same by https."""

    def listen(self) -> None:
        pem = certificate_pem("localhost")
        options = PrivateCertificate.loadPEM(pem).options()
        port = self.reactor.listenSSL(0, Site(Bin()), options, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.baseurl = f"https://localhost:{port.getHost().port}"
        policy = BrowserLikePolicyForHTTPS(Certificate.loadPEM(pem))
        self.agent = Tidy(RawAgent(self.reactor, policy_for_https=policy))


@implementer(IAgent)
class StubAgent:
    """What treq's stub makes its agent by; its https has no TLS, so by http it has to go."""

    def __init__(self, agent: RawAgent) -> None:
        self._agent = agent

    @classmethod
    def usingEndpointFactory(cls, reactor: Any, endpointFactory: Any) -> "StubAgent":
        return cls(RawAgent(reactor, endpoint_factory=endpointFactory))

    def request(
        self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None
    ) -> Deferred[IResponse]:
        if uri.startswith(b"https:"):
            place = URI.fromBytes(uri)
            headers = Headers() if headers is None else headers.copy()
            headers.setRawHeaders(b"host", [place.netloc])
            uri = b"http://%b:%d%b" % (place.host, place.port, place.originForm)
        return self._agent.request(method, uri, headers, bodyProducer)


class StubbingTests(STUBS.StubbingTests):  # type: ignore[misc]
    """treq's client against resources in memory."""

    def setUp(self) -> None:
        self.patch(treq.testing, "Agent", StubAgent)

    def run(self, result: Any) -> Any:
        if self._testMethodName in OTHERWISE:
            setattr(self, self._testMethodName, self.otherwise)
        return super().run(result)

    def otherwise(self) -> None:
        """See the test fail."""
        test = getattr(STUBS.StubbingTests, self._testMethodName)
        self.assertRaises(self.failureException, test, self)


class StringStubbingTests(STUBS.StringStubbingTests):  # type: ignore[misc]
    """treq's client against strings."""

    def setUp(self) -> None:
        self.patch(treq.testing, "Agent", StubAgent)


class RequestSequenceTests(STUBS.RequestSequenceTests):  # type: ignore[misc]
    """treq's client against a sequence of answers."""

    def setUp(self) -> None:
        self.patch(treq.testing, "Agent", StubAgent)
        super().setUp()
