"""A connection that hello-client has only once its TLS is known to be with the right server."""

from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.error import ConnectionClosed, ConnectionLost
from twisted.internet.interfaces import (
    IHandshakeListener,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from hello_service.cli.trouble import HandshakeUnfinished, Trouble, TroubleError
from hello_service.fetch.errors import ResponseError, TLSFailed
from hello_service.fetch.tls import Handshake


@implementer(IStreamClientEndpoint)
class SecuredEndpoint:
    """Connects once the handshake is over and the certificate is known to be the host's.

    An attempt fails with a L{TroubleError}, or with what the endpoint below fails with; one that is
    cancelled during the handshake with L{HandshakeUnfinished}.
    """

    def __init__(
        self, place: str, below: IStreamClientEndpoint, handshake: Callable[[], Handshake]
    ) -> None:
        """
        @param place: how the server is named in messages.
        @param handshake: makes one for each connection.
        """
        self._place = place
        self._below = below
        self._handshake = handshake

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        handshake = self._handshake()
        securing = _Securing(self._place, handshake, protocolFactory)
        factory = Factory.forProtocol(lambda: securing)
        factory.noisy = False
        securing.start(wrapClientTLS(handshake, self._below).connect(factory))
        return securing.done


@implementer(IHandshakeListener)
class _Securing(Protocol):
    """Passes everything between the connection and a protocol, once that may have it."""

    transport: ITCPTransport

    def __init__(self, place: str, handshake: Handshake, factory: IProtocolFactory) -> None:
        self.done: Deferred[IProtocol] = Deferred(self._cancelled)
        self._place = place
        self._handshake = handshake
        self._factory = factory
        self._protocol: IProtocol | None = None
        self._heard = False

    def start(self, connecting: Deferred[IProtocol]) -> None:
        self._connecting = connecting
        connecting.addErrback(self.done.errback)

    def connectionMade(self) -> None:
        self._go_on(self._handshake.raise_fault)

    def handshakeCompleted(self) -> None:
        if self._go_on(partial(self._handshake.check, self.transport)):
            protocol = self._factory.buildProtocol(self.transport.getPeer())
            assert protocol
            self._protocol = protocol
            protocol.makeConnection(self.transport)
            self.done.callback(protocol)

    def dataReceived(self, data: bytes) -> None:
        assert self._protocol
        self._heard = True
        self._protocol.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        error = None
        if not self._heard:
            error = self._handshake.failure(reason, self._protocol is not None)
        if error:
            reason = Failure(self._trouble(error))
        elif not reason.check(ConnectionClosed):
            reason = Failure(ConnectionLost())
        if self._protocol:
            self._protocol.connectionLost(reason)
        elif not self.done.called:
            self.done.errback(reason)

    def _go_on(self, step: Callable[[], None]) -> bool:
        try:
            step()
        except TLSFailed as error:
            self.transport.abortConnection()
            self.done.errback(self._trouble(error))
            return False
        return True

    def _trouble(self, error: ResponseError) -> TroubleError:
        if isinstance(error, TLSFailed):
            return TroubleError(Trouble.TLS, f"{self._place}: {error}.")
        return TroubleError(
            Trouble.RESET, f"{self._place}: {error}: try again, or look into its log."
        )

    def _cancelled(self, done: Deferred[IProtocol]) -> None:
        if self.transport:
            self.transport.abortConnection()
            done.errback(HandshakeUnfinished(self._place))
        else:
            self._connecting.cancel()
