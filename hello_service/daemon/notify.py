"""What systemd is told of a daemon, by the sd_notify(3) protocol."""

import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Self
from weakref import finalize

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger


def number_from(environ: Mapping[str, str], name: str, most: int) -> int:
    """Return a number that the service manager has put into the environment, 0 if it has not.

    @raises ValueError: with a sentence, if it is no number from 0 to C{most}.
    """
    text = environ.get(name, "0")
    if text.isascii() and text.isdigit() and len(text) <= 20 and int(text) <= most:
        return int(text)
    raise ValueError(
        f"{name} is {text!r}, not a number from 0 to {most}: leave it to systemd, or unset it."
    )


class Notifier:
    """Sends datagrams to the service manager; without one, it does nothing.

    Sending never waits and never raises: a daemon serves on without its manager. What cannot be
    sent is lost; the first loss in a row is logged.

    @param address: C{NOTIFY_SOCKET}, a path or C{@} and a name in the abstract namespace.
    @param watchdog: C{WATCHDOG_USEC} in seconds, if the manager waits for `alive` that often.
    @ivar active: whether there is a service manager.
    """

    _log = Logger()

    def __init__(self, address: str = "", watchdog: float | None = None) -> None:
        self.watchdog = watchdog
        self.active = bool(address)
        self._stopping = False
        self._heard = True
        self._socket: socket.socket | None = None
        self._address = "\0" + address[1:] if address.startswith("@") else address
        if self.active:
            # Held for good: with its descriptors exhausted, a daemon is still alive.
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            finalize(self, self._socket.close)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Make the notifier that the service manager has asked for.

        The variables are left where they are: the manager ignores children of the daemon.
        C{WATCHDOG_PID} is compared at once, so that a daemon may fork after this.

        @raises ValueError: with a sentence, if one of them has no sense.
        """
        own = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        wait = number_from(environ, "WATCHDOG_USEC", 2**63) if own else 0
        return cls(environ.get("NOTIFY_SOCKET", ""), wait / 1e6 or None)

    def ready(self) -> None:
        """Tell that the start, or the reload, is finished; a daemon that stops is not ready."""
        if not self._stopping:
            self._send("READY=1")

    def status(self, text: str) -> None:
        """Tell people, in one line, how the daemon is."""
        self._send(f"STATUS={text}")

    def reloading(self) -> None:
        """Tell that a reload begins; `ready` ends it. To a stop it does not matter."""
        if self._stopping:
            return
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now}")

    def stopping(self) -> None:
        """Tell that the daemon stops."""
        self._stopping = True
        self._send("STOPPING=1")

    def extend_timeout(self, seconds: float) -> None:
        """Ask for C{seconds} more, from now on, to finish starting or stopping."""
        self._send(f"EXTEND_TIMEOUT_USEC={seconds * 1e6:.0f}")

    def alive(self) -> None:
        """Tell the watchdog that the daemon is alive."""
        self._send("WATCHDOG=1")

    def _send(self, *assignments: str) -> None:
        if self._socket is None:
            return
        message = "\n".join(assignments)
        try:
            self._socket.sendto(message.encode(errors="backslashreplace"), self._address)
            self._heard = True
        except OSError as error:
            if self._heard:
                self._log.warn("Cannot tell systemd {told!r}: {error}.",
                               told=message, error=error)  # fmt: skip
            self._heard = False


class NotifyService(Service):
    """Feeds the watchdog and keeps the status up to date.

    @param status: returns the status, in one line; asked once a second and sent if it is new.
    """

    def __init__(self, clock: IReactorTime, notifier: Notifier, status: Callable[[], str]) -> None:
        self._notifier = notifier
        self._status = status
        self._sent = ""
        self._calls: list[tuple[LoopingCall, float]] = []
        if notifier.active:
            self._calls.append((LoopingCall(self._tell), 1.0))
        if notifier.watchdog:
            self._calls.append((LoopingCall(notifier.alive), notifier.watchdog / 2))
        for call, _ in self._calls:
            call.clock = clock

    def startService(self) -> None:
        """Begin to tell."""
        super().startService()  # type: ignore[no-untyped-call]
        for call, interval in self._calls:
            call.start(interval)

    def stopService(self) -> None:
        """Tell nothing more."""
        super().stopService()  # type: ignore[no-untyped-call]
        for call, _ in self._calls:
            call.stop()

    def _tell(self) -> None:
        status = self._status()
        if status != self._sent:
            self._sent = status
            self._notifier.status(status)
