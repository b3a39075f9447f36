"""One request and its response over one connection, in time."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from socket import AddressFamily
from typing import Any, cast

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
    IProtocol,
    IStreamClientEndpoint,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.iweb import IResponse
from zope.interface import implementer

from hello_service.fetch.errors import (
    Abandoned,
    BodyFailed,
    Cancelled,
    ConnectTimeout,
    NotTaken,
    OutOfTime,
    ResponseError,
    Stalled,
    TLSFailed,
    as_agent_fails,
)
from hello_service.fetch.happy_eyeballs import Race
from hello_service.fetch.reader import ResponseReader
from hello_service.fetch.response import ClientRequest, RawResponse
from hello_service.fetch.sending import Sending
from hello_service.fetch.splicing import WORTH, Splicing, can_splice
from hello_service.fetch.tls import Handshake
from hello_service.fetch.trust import HandshakeWith, OwnHandshake
from hello_service.fetch.way import Way
from hello_service.fetch.wire import Observer, Wire

READ_SIZE = 256 * 1024
"""Bytes of a body read at once: with Twisted's own 64 KiB, a big one takes half as long again."""

LINGER = 2.0
"""Seconds that we wait for the peer's close after our own, once the response is whole."""


@dataclass(frozen=True, eq=False)
class Settings:
    """What all exchanges of an agent have in common.

    Times are in seconds, C{None} for no limit.

    @ivar connect_timeout: from the request to the connection, which includes resolving the name
        and every attempt.
    @ivar read_timeout: between two reads, and until somebody asks for the body; the time in which
        the consumer of the body pauses does not count. While a body is sent, the time in which
        the peer takes none of it; one that stops reading is given up after one to two times that.
    @ivar timeout: for the whole exchange.
    @ivar max_size: the most bytes that a body may have.
    @ivar family: the only address family to use, C{AF_INET} or C{AF_INET6}.
    @ivar way_to: makes the way to the host and port of a URL, if the agent has no endpoint factory.
    @ivar handshake_with: makes the handshake with a host, if the agent has no policy for https:
        L{OwnHandshake}, L{UncheckedHandshake} or what C{trusting} returns.
    @ivar keep_framing: deliver chunked bodies as they came, chunk sizes and trailers included.
    @ivar observer: hears of everything that happens.
    @ivar monotonic: the clock of L{Wire.times}.
    """

    connect_timeout: float | None = 30.0
    read_timeout: float | None = 60.0
    timeout: float | None = None
    max_size: int | None = None
    family: AddressFamily | None = None
    way_to: Callable[[str, int], Way] = Way
    handshake_with: HandshakeWith = OwnHandshake
    keep_framing: bool = False
    observer: Observer = field(default_factory=Observer)
    monotonic: Callable[[], float] = time.monotonic


@implementer(IHandshakeListener)
class Exchange(Protocol):
    """One request, its connection and its response."""

    transport: ITCPTransport

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        request: ClientRequest,
        wire: Wire,
        tls: Handshake | None,
        body: Sending | None,
    ) -> None:
        """
        @param tls: the handshake that must succeed before anything is sent, for https.
        @param body: what is sent after the request's head.
        """
        self.answer: Deferred[IResponse] = Deferred(lambda _: self._finish(Cancelled()))
        self._reactor = reactor
        self._settings = settings
        self._request = request
        self._wire = wire
        self._tls = tls
        self._body = body
        self._opening: Callable[[IAddress, IAddress], bytes] | None = None
        self._reader = ResponseReader(request.method, settings.max_size, settings.keep_framing)
        self._response: RawResponse | None = None
        self._stop_splicing: Callable[[], None] = lambda: None
        self._connecting: Race | Deferred[IProtocol] | None = None
        self._connected = False
        self._sent = False
        self._paused = False
        self._over = False
        self._abandoned = False
        self._started: float = reactor.seconds()
        self._heard = self._started
        self._timer: IDelayedCall | None = None

    def start(self, host: str, port: int) -> None:
        """Connect by our own race, the way that the settings lead to there."""
        way = self._settings.way_to(host, port)
        self._opening = way.opening
        self._arm()
        self._connecting = race = Race(
            self._reactor,
            self,
            self._resolved,
            self._not_connected,
            self._settings.observer,
            self._settings.family,
        )
        if way.socket is None:
            race.start(way.host, way.port)
        else:
            race.start_at(way.socket)

    def start_by(self, endpoint: IStreamClientEndpoint) -> None:
        """Connect by an endpoint of the caller's."""
        self._arm()
        factory = Factory.forProtocol(lambda: self)
        factory.noisy = False
        self._connecting = connecting = maybeDeferred(endpoint.connect, factory)
        connecting.addErrback(self._not_connected)

    def connectionMade(self) -> None:
        if self._over:  # an endpoint may connect after it was told not to
            self.transport.abortConnection()
            return
        settings, wire = self._settings, self._wire
        self._connected = True
        self._connecting = None
        self._heard = self._reactor.seconds()
        wire.times.connected = settings.monotonic()
        wire.local, wire.peer = self.transport.getHost(), self.transport.getPeer()
        settings.observer.connected(wire.local, wire.peer)
        self._arm()
        if self._opening:
            wire.opening = self._opening(wire.local, wire.peer)
            self.transport.write(wire.opening)
            settings.observer.sent(wire.opening)
        if self._tls:
            self._begin_tls(self._tls)
        else:
            self._send()

    def handshakeCompleted(self) -> None:
        self._wire.times.secured = self._settings.monotonic()
        self._tell_negotiated()
        self._settings.observer.secured()
        if self._tls and not self._sent:
            try:
                self._tls.check(self.transport)
            except TLSFailed as error:
                self._finish(error)
            else:
                self._send()

    def dataReceived(self, data: bytes) -> None:
        settings, wire, reader = self._settings, self._wire, self._reader
        self._heard = self._reactor.seconds()
        settings.observer.received(data)
        if self._over:
            if wire.ending:
                wire.excess += len(data)
            return
        if wire.times.first_byte is None:
            wire.times.first_byte = settings.monotonic()
        body = reader.feed(data)
        response = self._response
        if response is None:
            if reader.interim:
                wire.interim = [head.raw for head in reader.interim]
            if reader.head:
                response = self._begin_response()
        wire.received = reader.received
        if body and response:
            response.data_received(body)
        if reader.finished:
            self._finish(reader.error)
        if response and not self.answer.called:
            self.answer.callback(response)
            if not response.wanted:
                self.pause()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._connected = False
        self._stop_timer()
        self._stop_splicing()
        if self._body:
            self._body.stop()
        if self._wire.times.secured is None:
            self._tell_negotiated()
        self._settings.observer.lost(reason)
        if self._abandoned:
            self._end(Abandoned())
        if self._over:
            return
        error = None
        if self._tls and self._wire.times.first_byte is None:
            error = self._tls.failure(reason, self._sent)
        if error is None:
            self._reader.end(reason.check(ConnectionDone) is not None)
            error = self._reader.error
            if error and self._cut_body:
                error = type(error)(*self._position)
        self._finish(error)

    def pause(self) -> None:
        """Read nothing more for now."""
        if not (self._paused or self._over):
            self._paused = True
            self._stop_splicing()
            self.transport.pauseProducing()  # type: ignore[attr-defined]
            self._settings.observer.paused()  # which may resume it at once

    def resume(self) -> None:
        """Read again."""
        if self._paused and not self._over:
            self._paused = False
            self._heard = self._reactor.seconds()
            self.transport.resumeProducing()  # type: ignore[attr-defined]
            self._settings.observer.resumed()

    def abort(self) -> None:
        """Give the response up; it hears of its end when the connection is gone."""
        if not self._over:
            self._abandoned = True
            self._close(abort=True)

    def move_to(self, target: int, moved: Callable[[int], None]) -> None:
        """Move what comes of the body into a file, where that can be; no observer hears of it."""
        count = self._reader.skippable
        if self._tls or self._paused or self._over or count < WORTH:
            return
        if can_splice(self.transport):
            moved = partial(self._skip, moved)
            with suppress(OSError):  # for descriptors that it needs and the transport does not
                self._stop_splicing = Splicing(
                    self._reactor, self.transport, target, count, moved, self.dataReceived
                ).stop

    def _skip(self, moved: Callable[[int], None], count: int) -> None:
        self._heard = self._reactor.seconds()
        self._reader.received += count
        self._wire.received = self._reader.received
        moved(count)

    def _begin_tls(self, tls: Handshake) -> None:
        try:
            if tls.start(self.transport):
                self.handshakeCompleted()
        except TLSFailed as error:
            self._finish(error)

    def _tell_negotiated(self) -> None:
        if self._tls and (negotiated := self._tls.negotiated()):
            self._wire.tls = negotiated
            self._settings.observer.negotiated(negotiated)

    def _send(self) -> None:
        self._sent = True
        self.transport.write(self._wire.request)
        self._settings.observer.sent(self._wire.request)
        if self._body:
            self._body.start(
                self.transport,
                self._wire,
                self._settings.observer,
                self._body_flows,
                self._body_sent,
            )

    def _begin_response(self) -> RawResponse:
        reader, wire = self._reader, self._wire
        assert reader.head
        wire.times.head_complete = self._settings.monotonic()
        wire.head = reader.head.raw
        if not reader.finished:
            self.transport.bufferSize = READ_SIZE  # type: ignore[attr-defined]
        self._response = RawResponse(reader.head, reader.length, self._request, wire, self)
        if self._body and reader.head.status >= 300:  # the body is not wanted, or not here
            self._body.stop()
        return self._response

    def _body_flows(self) -> None:
        self._heard = self._reactor.seconds()

    def _body_sent(self, error: BodyFailed | None) -> None:
        self._heard = self._reactor.seconds()
        if self._over:
            self._close(abort=error is not None)
        elif error:
            self._finish(error)

    @property
    def _cut_body(self) -> bool:
        """Whether a body is not all sent, and no response makes up for it."""
        return self._sent and self._body is not None and not (self._body.whole or self._response)

    def _finish(self, error: ResponseError | None) -> None:
        if self._over:
            return
        if error or not (self._body and self._body.under_way):
            self._close(abort=error is not None)
        else:  # who answers early may still want the rest (RFC 9110, section 7.5)
            self._over = True
        self._end(error)

    def _end(self, error: ResponseError | None) -> None:
        """Tell whoever waits that this is the end."""
        reader, wire = self._reader, self._wire
        wire.ending, wire.trailers, wire.excess = reader.ending, reader.trailers, reader.excess
        if error:
            error.wire, wire.rest = wire, reader.rest
            wire.head = wire.head or reader.partial_head
        else:
            wire.times.body_complete = self._settings.monotonic()
        if self._response:
            self._response.body_ended(error)
        else:
            heard = wire.times.first_byte is not None
            self.answer.errback(as_agent_fails(cast(ResponseError, error), heard, self._cut_body))

    def _close(self, *, abort: bool) -> None:
        self._over = True
        self._stop_timer()
        self._stop_splicing()
        if self._body:
            self._body.stop()
        if self._connecting:
            self._connecting.cancel()
        if self._connected:
            self._settings.observer.closing()
            if abort:
                self.transport.abortConnection()
            else:
                self.transport.loseConnection()
                self._timer = self._reactor.callLater(LINGER, self.transport.abortConnection)

    def _stop_timer(self) -> None:
        if self._timer and self._timer.active():
            self._timer.cancel()

    def _resolved(self) -> None:
        self._wire.times.resolved = self._settings.monotonic()

    def _not_connected(self, reason: Failure) -> None:
        if not self._over:
            self._connecting = None
            self._close(abort=True)
            self.answer.errback(reason)

    def _due(self) -> float | None:
        """Return when the first limit of time runs out."""
        settings = self._settings
        if self._connected:
            seconds, since = settings.read_timeout, self._heard
        else:
            seconds, since = settings.connect_timeout, self._started
        due = None if seconds is None else since + seconds
        if settings.timeout is None:
            return due
        whole = self._started + settings.timeout
        return whole if due is None else min(due, whole)

    @property
    def _position(self) -> tuple[str, int, int | None]:
        if self._connected and not self._sent:
            return "during the TLS handshake", 0, None
        if self._body and self._cut_body and not self._reader.partial_head:
            return "while the body was sent", self._wire.sent, self._body.length
        return self._reader.position

    @property
    def _ours_to_move(self) -> bool:
        """Whether the peer waits for us: for the consumer of its body, or the producer of ours."""
        if self._paused and self._response and self._response.wanted:
            return True
        return self._body is not None and self._body.under_way and not self._body.paused

    def _arm(self) -> None:
        """Set the one timer to the first limit; what is read later only moves that further off."""
        due = self._due()
        if due is None:
            return
        if self._timer and self._timer.active():
            if self._timer.getTime() <= due:
                return
            self._timer.cancel()
        clock = self._reactor
        self._timer = clock.callLater(max(due - clock.seconds(), 0), self._tick)

    def _tick(self, turns: int = 2) -> None:
        """
        @param turns: how many more turns the reactor gets to read what has arrived, since it may
            have been held up; on uvloop it does not read before the second.
        """
        settings, position = self._settings, self._position
        now = self._reactor.seconds()
        if self._ours_to_move or (self._body and self._body.draining()):
            self._heard = now
        due = self._due()
        if due is None or due > now:
            self._arm()
        elif turns:
            self._timer = self._reactor.callLater(0, self._tick, turns - 1)
        elif self._over:
            self._close(abort=True)
        elif settings.timeout is not None and now >= self._started + settings.timeout:
            self._finish(OutOfTime(settings.timeout, *position))
        elif self._connected:
            stalled = NotTaken if self._cut_body else Stalled
            self._finish(stalled(settings.read_timeout or 0, *position))
        else:
            self._finish(ConnectTimeout(settings.connect_timeout or 0))
