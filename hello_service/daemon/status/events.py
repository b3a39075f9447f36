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


class Events:
    """The page that streams.

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
        asked = request.args.get(b"wire", [None])[0]
        _Viewer(self._clock, self._watch, self._state, request, asked).start()
        return None

    def _state(self) -> dict[str, object]:
        overview = self._figures().overview(self._clock.seconds())
        return {**overview, "bytes": bool(self._text), **self._watch.rows()}


@implementer(IPushProducer)
class _Viewer:
    """A page that listens. One that does not read is told nothing, and not kept for long."""

    def __init__(
        self,
        clock: IReactorTime,
        watch: Watch,
        state: Callable[[], Mapping[str, object]],
        request: StatusRequest,
        asked: bytes | None,
    ) -> None:
        self._clock = clock
        self._watch = watch
        self._state = state
        self._request: Any = request
        self._asked = asked
        self._wire: Wire | None = None
        self._told = 0
        self._paused: float | None = None
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def start(self) -> None:
        """Tell for the first time, and from then on."""
        self._watch.begin()
        self._request.notifyFinish().addErrback(self._stop)
        self._request.registerProducer(self, True)
        self._request.write(b"retry: 2000\n\n")
        if self._asked is not None:
            self._follow(self._asked)
        self._looking.start(INTERVAL)

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
            self._send("missing", {"id": number})
        else:
            self._wire.pins += 1

    def _look(self) -> None:
        if self._paused is None:
            self._send("state", self._state())
            self._send_wire()
        elif self._clock.seconds() - self._paused > DEADLINE:
            self._request.channel.transport.abortConnection()

    def _send_wire(self) -> None:
        wire = self._wire
        if wire is None:
            return
        first, events = wire.since(self._told)
        if events:
            one = wire.connection
            self._send("wire", {
                "id": wire.number, "peer": one.peer, "local": one.local, "whole": wire.whole,
                "first": first, "missed": first - self._told, "events": events,
            })  # fmt: skip
            self._told = first + len(events)

    def _send(self, event: str, data: Mapping[str, object]) -> None:
        text = json.dumps(data, separators=(",", ":"))
        self._request.write(f"event: {event}\ndata: {text}\n\n".encode())

    def _stop(self, _: object) -> None:
        self._looking.stop()
        self._watch.end()
        if self._wire is not None:
            self._wire.pins -= 1
