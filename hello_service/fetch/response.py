"""A response as L{IResponse}, which keeps what was on the wire."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple, Protocol, cast

from twisted.internet.defer import AlreadyCalledError
from twisted.internet.interfaces import IAddress, IProtocol, IPushProducer, ITransport
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IClientRequest, IResponse
from zope.interface import implementer

from hello_service.fetch.errors import Abandoned, ResponseError
from hello_service.fetch.head import Head
from hello_service.fetch.reader import Ending
from hello_service.fetch.wire import Wire


class Connection(Protocol):
    """What a response needs of the connection that it comes from."""

    def pause(self) -> None:
        """Stop reading."""

    def resume(self) -> None:
        """Read again."""

    def move_to(self, target: int, moved: Callable[[int], None]) -> None:
        """Move what comes of the body into a file, where that can be."""

    def abort(self) -> None:
        """Give up; the response hears of its end later, when the connection is gone."""


class Receiver(Protocol):
    """Takes a body."""

    def data_received(self, data: bytes) -> None:
        """Take the next bytes."""

    def body_ended(self, error: ResponseError | None) -> None:
        """Take the end; the body is whole unless there is an error."""


@implementer(IClientRequest)
@dataclass(eq=False, slots=True)
class ClientRequest:
    """The request as the caller gave it."""

    method: bytes
    absoluteURI: bytes
    headers: Headers


@implementer(IResponse, IPushProducer)
class RawResponse:
    """The answer to one request; also the transport of the protocol that gets the body.

    While its consumer pauses it delivers nothing, not even what it has read already.

    @ivar wire: what was on the wire.
    """

    previousResponse: IResponse | None = None

    def __init__(
        self,
        head: Head,
        length: int | None,
        request: ClientRequest,
        wire: Wire,
        connection: Connection,
    ) -> None:
        self._head = head
        self.version = (b"HTTP", 1, int(head.version[2:]))
        self.code = head.status
        self.phrase = head.reason
        self.length = UNKNOWN_LENGTH if length is None else length
        self.request = request
        self.wire = wire
        self.disconnecting = False
        self._connection = connection
        self._receiver: Receiver | None = None
        self._paused = False
        self._pending: deque[bytes] = deque()
        self._ended = False
        self._error: ResponseError | None = None

    @cached_property
    def headers(self) -> Headers:
        """The fields of the head; L{wire} has them in their order and case."""
        headers = Headers()
        for name, value in self._head.fields:
            headers.addRawHeader(name, value)
        return headers

    @property
    def wanted(self) -> bool:
        """Whether somebody takes the body, or all of it is here already."""
        return self._receiver is not None or self._ended

    def setPreviousResponse(self, response: IResponse) -> None:
        self.previousResponse = response

    def deliverBody(self, protocol: IProtocol) -> None:
        """Give the body to a protocol, whose transport can pause, resume and stop it.

        Its C{connectionLost} gets C{ResponseDone}; C{PotentialDataLoss} if only the close delimits
        the body; or C{ResponseFailed} with a L{ResponseError} as its reason.
        """
        self._take_receiver(_ProtocolReceiver(protocol, self))
        try:
            protocol.makeConnection(cast(ITransport, self))
        except BaseException:
            self.abortConnection()
            raise
        self.deliver_pending()

    def deliver_to(self, receiver: Receiver) -> None:
        """Give the body to a receiver, without the price of L{deliverBody}'s reasons."""
        self._take_receiver(receiver)
        self.deliver_pending()

    def move_to(self, target: int, moved: Callable[[int], None]) -> None:
        """Let the kernel move the body into a file while it has nothing but bytes for it.

        The receiver gets what does not go this way, which may be everything, and the end.

        @param target: the descriptor of a regular file, to which the receiver writes.
        @param moved: is told how many bytes came into it.
        """
        if not (self._paused or self._pending or self._ended):
            self._connection.move_to(target, moved)

    def _take_receiver(self, receiver: Receiver) -> None:
        if self._receiver is not None or self.disconnecting:
            raise RuntimeError("the body of a response can be delivered once")
        self._receiver = receiver

    def deliver_pending(self) -> None:
        """Deliver what is held, then read on, or tell the end."""
        if self._paused or self._receiver is None:
            return
        try:
            while self._pending:
                self._receiver.data_received(self._pending.popleft())
                if self._paused:
                    return
        except BaseException:
            self.abortConnection()
            raise
        if not self._ended:
            self._connection.resume()
        elif not self.disconnecting:
            self.disconnecting = True
            receiver, self._receiver = self._receiver, None
            receiver.body_ended(self._error)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the body off the wire."""
        if self._receiver is None or self._paused:
            self._pending.append(data)
        else:
            self._receiver.data_received(data)

    def body_ended(self, error: ResponseError | None) -> None:
        """Take the end of the body, after its last bytes."""
        self._ended = True
        self._error = error
        del self._connection
        self.deliver_pending()

    def pauseProducing(self) -> None:
        self._paused = True
        if not self._ended:
            self._connection.pause()

    def resumeProducing(self) -> None:
        self._paused = False
        self.deliver_pending()

    def stopProducing(self) -> None:
        self.abortConnection()

    def loseConnection(self) -> None:
        """Give the rest of the body up."""
        self.abortConnection()

    def abortConnection(self) -> None:
        """Give the rest of the body up."""
        cut = bool(self._pending)
        self._pending.clear()
        self._paused = False
        if not self._ended:
            self._connection.abort()
            return
        if cut and self._error is None:
            self._error = Abandoned()
        self.deliver_pending()

    def getPeer(self) -> IAddress | None:
        return self.wire.peer

    def getHost(self) -> IAddress | None:
        return self.wire.local


class _ProtocolReceiver:
    """Hands a body to an L{IProtocol}, the end with the reasons that L{IResponse} promises."""

    def __init__(self, protocol: IProtocol, response: RawResponse) -> None:
        self._protocol = protocol
        self._response = response
        self.data_received: Any = protocol.dataReceived

    def body_ended(self, error: ResponseError | None) -> None:
        reasons = _reasons()
        if error:
            reason = Failure(reasons.failed([Failure(error)], self._response))
        elif self._response.wire.ending is Ending.CLOSE:
            reason = reasons.unsure
        else:
            reason = reasons.done
        try:
            self._protocol.connectionLost(reason)
        except AlreadyCalledError:
            # The Deferred of readBody, once cancelled, has fired, and is fired again here.
            if not isinstance(error, Abandoned):
                raise


class _Reasons(NamedTuple):
    done: Failure
    unsure: Failure
    failed: Callable[[list[Failure], IResponse], Exception]


@cache
def _reasons() -> _Reasons:
    # To import these takes 20 ms, which a consumer that does without L{IProtocol} need not pay.
    from twisted.web.client import ResponseDone, ResponseFailed
    from twisted.web.http import PotentialDataLoss

    done = Failure(ResponseDone("Response body fully received"))
    return _Reasons(done, Failure(PotentialDataLoss()), ResponseFailed)
