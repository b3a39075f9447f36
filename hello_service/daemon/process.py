"""A daemon as a process of its own, under twistd."""

import atexit
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, NoReturn, TextIO, TypedDict, Unpack

from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IReactorTime
from twisted.logger import ILogObserver, Logger

from hello_service.daemon.activation import (
    adopted_endpoint,
    inherited_sockets,
    starting_environment,
    without_taken,
)
from hello_service.daemon.drain import hurry_on_second_signal
from hello_service.daemon.global_reactor import global_reactor
from hello_service.daemon.limits import raise_descriptor_limit
from hello_service.daemon.listening import CannotListen
from hello_service.daemon.notify import Notifier
from hello_service.daemon.options import DaemonOptions
from hello_service.daemon.protocol import DaemonFactory
from hello_service.daemon.reload import ReloadService
from hello_service.daemon.service import DaemonService
from hello_service.daemon.twistd_log import TwistdLog, rotate_on_signal

_log = Logger()

_FOR_TLS = " (tls)"  # behind the descriptor of a socket that systemd names so


class CannotStart(SystemExit, Exception):
    """The service cannot start, and the sentence that says why has been written.

    An C{Exception} to twistd, so that it removes its pidfile and tells the waiting parent of a
    daemon; a C{SystemExit} of status 1 to the interpreter, so that there is no traceback.
    """

    code = 1


class ProcessService(DaemonService):
    """A daemon's service that ends the process with a sentence if it cannot start.

    @param stderr: where the sentence is written, closed once the service runs: a daemon must not
        hold on to its terminal.
    @param observer: what twistd logs to, unless it has one of its own.
    """

    def __init__(
        self,
        reactor: Any,
        *arguments: Any,
        stderr: TextIO,
        observer: ILogObserver | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(reactor, *arguments, failed=self._fail, **settings)
        self._reactor = reactor
        self._stderr = stderr
        self._observer = observer

    def setServiceParent(self, parent: Any) -> None:
        """Join twistd's application, and give it the observer before it begins to log."""
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]
        if self._observer is not None:
            parent.setComponent(ILogObserver, self._observer)

    def privilegedStartService(self) -> None:
        """Listen.

        @raises CannotStart: if it cannot.
        """
        try:
            super().privilegedStartService()
        except CannotListen as error:
            self._give_up(error)

    def startService(self) -> None:
        """Start, and listen if C{privilegedStartService} has not been called.

        @raises CannotStart: if it cannot listen.
        """
        try:
            super().startService()
        except CannotListen as error:
            self._give_up(error)
        self._stderr.close()

    def _give_up(self, error: CannotListen) -> NoReturn:
        with suppress(OSError):  # it may be closed or full
            print(error, file=self._stderr, flush=True)
        raise CannotStart(str(error)) from None

    def _fail(self, error: CannotListen) -> None:
        atexit.register(end_with, 1)  # twistd knows no other status once its reactor has run
        with suppress(ReactorNotRunning):  # it stops already
            self._reactor.stop()


def end_with(status: int) -> None:
    """End the process with a status, as an exit handler, after those registered earlier."""
    atexit.unregister(end_with)
    atexit._run_exitfuncs()
    for output in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # full, closed or not there
            output.flush()
    os._exit(status)


def sockets_to_adopt(options: DaemonOptions, environ: Mapping[str, str]) -> dict[int, str]:
    """Return the inherited sockets, none if the options say where to listen.

    Those that the status and the agent port take are left to them.
    """
    passed = inherited_sockets(environ)
    for beside in ("status", "agent"):
        passed = without_taken(passed, options[beside] or "")
    if not options.says_where:
        return passed
    if passed and not any(place.startswith("systemd:") for place in options["listen"]):
        _log.warn(
            "Not used, for the options say where to listen: {names}.",
            names=", ".join(passed.values()),
        )
    return {}


class Texts(TypedDict, total=False):
    """How a daemon speaks of itself, see `DaemonService`."""

    announce: Callable[..., None]
    counted: str
    page: str
    version: str


def twistd_service(
    options: DaemonOptions,
    make_factory: Callable[[IReactorTime], DaemonFactory],
    reloads: Mapping[str, Callable[[], object]] | None = None,
    **texts: Unpack[Texts],
) -> DaemonService:
    """Make the service of C{twistd NAME}, which takes over the process.

    It raises the limit of descriptors, writes the log, listens on inherited sockets (by TLS on
    those that systemd calls C{tls}), tells the service manager, reloads on SIGHUP, rotates the log
    on SIGUSR1 and hurries on a second signal.
    What cannot be ends the process with a sentence and status 1.

    @param make_factory: called with the reactor.
    @param reloads: what SIGHUP reloads, see `ReloadService`.
    """
    reactor = global_reactor()
    room = raise_descriptor_limit()
    # A descriptor of its own: twistd shuts the terminal's when it daemonizes, and listens after.
    stderr = os.fdopen(os.dup(2), "w", errors="backslashreplace")
    settings = options.settings()
    try:
        notifier = Notifier.from_environment(os.environ)
        if (settings.max_connections or room) > room:
            raise ValueError(
                f"--max-connections may be {room} at most with this limit of open descriptors:"
                " raise that with `ulimit -n`, or LimitNOFILE= in a systemd unit."
            )
        adopted = [
            (name, adopted_endpoint(reactor, descriptor, name))
            for descriptor, name in sockets_to_adopt(options, starting_environment()).items()
        ]
        log = TwistdLog(options.parent or {}, reactor)
        service = ProcessService(
            reactor,
            make_factory(reactor),
            replace(settings, max_connections=settings.max_connections or room),
            inherited=[place for place in adopted if not place[0].endswith(_FOR_TLS)],
            inherited_tls=[place for place in adopted if place[0].endswith(_FOR_TLS)],
            notifier=notifier,
            stderr=stderr,
            observer=log.observer,
            **texts,
        )
    except ValueError as error:
        stderr.close()
        sys.exit(str(error))
    log_file = {"log": log.file.reopen} if log.file else {}
    told = {**log_file, **service.reloads, **(reloads or {})}
    service.addService(ReloadService(reactor, notifier, told))  # type: ignore[no-untyped-call]
    rotate_on_signal(reactor, log.file)
    reactor.callWhenRunning(hurry_on_second_signal, reactor, service)
    return service
