"""Agents that ask real servers by https."""

import os
from typing import Any, cast

from cryptography import x509
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import Certificate
from twisted.python.failure import Failure
from twisted.web.client import BrowserLikePolicyForHTTPS
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from hello_service.fetch.agent import RawAgent
from hello_service.fetch.errors import TLSFailed
from hello_service.fetch.exchange import Settings
from hello_service.fetch.response import RawResponse
from hello_service.fetch.wire import Observer
from tests.certificates import Issued
from tests.fetching import Endpoints
from tests.tls_servers import TLSServer, TLSTestCase


@implementer(IPolicyForHTTPS)
class Policy:
    """Gives each connection the same creator; keeps what it was asked for."""

    def __init__(self, creator: object) -> None:
        self._creator = creator
        self.asked: list[tuple[bytes, int]] = []

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        self.asked.append((hostname, port))
        return cast(IOpenSSLClientConnectionCreator, self._creator)


class Losses(Observer):
    """Gets an item for each connection of an agent's that is lost."""

    def __init__(self) -> None:
        self.queue: DeferredQueue[None] = DeferredQueue()

    def lost(self, reason: Failure) -> None:
        self.queue.put(None)


class HTTPSTestCase(TLSTestCase):
    """Agents that trust the authority."""

    def setUp(self) -> None:
        super().setUp()
        self.trust_file = self.folder / "authority.pem"
        self.trust_file.write_bytes(self.authority.pem)
        self.set_environ("SSL_CERT_FILE", str(self.trust_file))
        self.set_environ("SSL_CERT_DIR", str(self.folder / "none"))
        self.lost = Losses()

    def set_environ(self, name: str, value: str | None) -> None:
        """Set a variable until the test is over; C{None} unsets it."""
        before = os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value

        def restore() -> None:
            os.environ.pop(name, None)
            if before is not None:
                os.environ[name] = before

        self.addCleanup(restore)

    def agent(self, policy: Any = None, endpoint: Any = None, **settings: Any) -> RawAgent:
        return RawAgent(
            self.reactor,
            Settings(observer=self.lost, **settings),
            policy_for_https=policy,
            endpoint_factory=Endpoints(endpoint) if endpoint else None,
        )

    def agents(self) -> tuple[RawAgent, RawAgent]:
        """Return one with the policy that it has by itself, and one with a caller's."""
        root = Certificate.loadPEM(self.authority.pem)
        return self.agent(), self.agent(BrowserLikePolicyForHTTPS(root))

    async def get(self, host: str, server: TLSServer, agent: RawAgent | None = None) -> RawResponse:
        """Ask a server for a page under a name."""
        uri = f"https://{host}:{server.port}/".encode()
        try:
            return cast(RawResponse, await (agent or self.agent()).request(b"GET", uri))
        finally:
            await server.end()
            await self.lost.queue.get()

    async def refused(
        self, host: str, server: TLSServer, agent: RawAgent | None = None, kind: Any = TLSFailed
    ) -> str:
        """Ask, see it fail with nothing sent; return what is said."""
        asking = Deferred.fromCoroutine(self.get(host, server, agent))
        error = await self.assertFailure(asking, kind)
        self.assertEqual(server.received, b"")
        return str(error)

    def issue(self, *names: x509.GeneralName, **more: Any) -> Issued:
        return self.authority.issue(x509.SubjectAlternativeName(names), **more)
