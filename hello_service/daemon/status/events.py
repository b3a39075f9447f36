"""What the page listens to: Server-Sent Events, as the HTML standard has them, section 9.2.

C{state} is how the daemon is and which connections it has, twice a second; C{wire} is what has
happened on the connection that was asked for, C{missing} that it is not recorded.
"""

import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from zope.interface import implementer

from hello_service.daemon.status.bounded import DEADLINE, STAYING
from hello_service.daemon.status.figures import Figures
from hello_service.daemon.status.http import Answer, StatusRequest
from hello_service.daemon.status.watch import Watch
from hello_service.daemon.status.wire import Wire

INTERVAL = 0.5
"""Seconds between two looks."""

_STREAM = b"text/event-stream"


def _names_an_address(host: str) -> bool:
    """Whether a Host header has an address, not a name: DNS may lead any name here."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or isIPAddress(name) or isIPv6Address(name)


def _event(name: str, data: Mapping[str, object]) -> bytes:
    text = json.dumps(data, separators=(",", ":"))
    return f"event: {name}\ndata: {text}\n\n".encode()


class Events:
    """The page that streams. What all viewers are told is added up once for all of them.

    @param figures: adds up what there is to tell besides the connections.
    @param text: whether what clients send is told. Then only a page that was opened by an address
        may listen: another site could have its own name lead here, and would be told all.
    """

    def __init__(
        self,
        clock: IReactorTime,
        watch: Watch,
        figures: Callable[[], Figures],
        text: bool,
    ) -> None:
        self._clock = clock
        self._watch = watch
        self._figures = figures
        self._text = text
        self._viewers: list[_Viewer] = []
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def __call__(self, request: StatusRequest) -> Answer | None:
        """Begin to stream, or say why not."""
        host = request.getHeader(b"host") or b""
        if self._text and not _names_an_address(host.decode(errors="replace")):
            why = b"What clients send is shown here: open the page by an address or by localhost.\n"
            return Answer(HTTPStatus.FORBIDDEN, why)
        if request.method == b"HEAD":
            return Answer(HTTPStatus.OK, b"", _STREAM)
        if not request.channel.transport.stay():
            why = b"%d pages watch already: close one of them.\n" % STAYING
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, why)
        request.begin(HTTPStatus.OK, _STREAM)
        self._begin(_Viewer(self._clock, self._watch, request), request)
        return None

    def _begin(self, viewer: "_Viewer", request: StatusRequest) -> None:
        self._watch.begin()
        finished: Deferred[None] = request.notifyFinish()
        finished.addErrback(self._end, viewer)
        viewer.start(request.args.get(b"wire", [None])[0])
        viewer.look(self._state())
        if not self._viewers:
            self._looking.start(INTERVAL, now=False)
        self._viewers.append(viewer)

    def _end(self, _: object, viewer: "_Viewer") -> None:
        self._viewers.remove(viewer)
        if not self._viewers:
            self._looking.stop()
        viewer.leave()
        self._watch.end()

    def _look(self) -> None:
        state = self._state()
        for viewer in tuple(self._viewers):
            viewer.look(state)

    def _state(self) -> bytes:
        overview = self._figures().overview(self._clock.seconds())
        return _event("state", {**overview, "bytes": self._text, **self._watch.rows()})


@implementer(IPushProducer)
class _Viewer:
    """A page that listens. One that does not read is told nothing, and not kept for long."""

    def __init__(self, clock: IReactorTime, watch: Watch, request: Any) -> None:
        self._clock = clock
        self._watch = watch
        self._request = request
        self._wire: Wire | None = None
        self._told = 0
        self._paused: float | None = None

    def start(self, asked: bytes | None) -> None:
        """Begin, and follow the wire whose number is asked for."""
        self._request.registerProducer(self, True)
        self._request.write(b"retry: 2000\n\n")
        if asked is not None:
            self._follow(asked)

    def look(self, state: bytes) -> None:
        """Tell the state, and what is new on the wire."""
        if self._paused is None:
            self._request.write(state)
            self._send_wire()
        elif self._clock.seconds() - self._paused > DEADLINE:
            self._request.channel.transport.abortConnection()

    def leave(self) -> None:
        """Follow no further."""
        if self._wire is not None:
            self._wire.pins -= 1

    def pauseProducing(self) -> None:
        self._paused = self._clock.seconds()

    def resumeProducing(self) -> None:
        self._paused = None

    def stopProducing(self) -> None:
        """The connection is lost: C{notifyFinish} says so, too."""

    def _follow(self, asked: bytes) -> None:
        number = int(asked) if re.fullmatch(rb"[0-9]{1,15}", asked) else 0
        self._wire = self._watch.find(number)
        if self._wire is None:
            self._request.write(_event("missing", {"id": number}))
        else:
            self._wire.pins += 1

    def _send_wire(self) -> None:
        wire = self._wire
        if wire is None:
            return
        first, events = wire.since(self._told)
        if events:
            one = wire.connection
            self._request.write(_event("wire", {
                "id": wire.number, "peer": one.peer, "local": one.local, "whole": wire.whole,
                "first": first, "missed": first - self._told, "events": events,
            }))  # fmt: skip
            self._told = first + len(events)
