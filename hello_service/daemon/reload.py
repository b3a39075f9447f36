"""Reloading on SIGHUP, which ends a plain twistd."""

import os
import signal
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger

from hello_service.daemon.notify import Notifier


class NotReloaded(Exception):
    """A sentence about what cannot be reloaded; it stays as it was."""


class ReloadService(Service):
    """Reloads on SIGHUP while it runs; must start and stop in the main thread.

    On a terminal SIGHUP keeps its meaning, that the terminal is closed: the daemon must not live
    on unseen.

    @param reloads: what is reloaded, by the name that the log gives it. One that raises is logged
        and keeps none of the others from it.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorFromThreads,
        notifier: Notifier,
        reloads: Mapping[str, Callable[[], object]],
    ) -> None:
        self._reactor = reactor
        self._notifier = notifier
        self._reloads = reloads
        self._former: Any = None

    def privilegedStartService(self) -> None:
        """Take over the signal, before a service that is started after this one listens."""
        if self._former is None:
            self._former = signal.getsignal(signal.SIGHUP)
            if not os.isatty(0):
                signal.signal(signal.SIGHUP, self._hang_up)

    def startService(self) -> None:
        """Take over the signal, if C{privilegedStartService} has not been called."""
        super().startService()  # type: ignore[no-untyped-call]
        self.privilegedStartService()

    def stopService(self) -> None:
        """Give the signal back."""
        super().stopService()  # type: ignore[no-untyped-call]
        signal.signal(signal.SIGHUP, self._former)
        self._former = None

    def _hang_up(self, number: int, frame: FrameType | None) -> None:
        self._reactor.callFromThread(self._reload)

    def _reload(self) -> None:
        self._notifier.reloading()
        reloaded = []
        for name, reload in self._reloads.items():
            try:
                reload()
            except NotReloaded as error:
                self._log.error("Cannot reload {name}: {why}",
                                event="kept", name=name, why=str(error))  # fmt: skip
            except OSError as error:
                self._log.error("Cannot reload {name}: {why}.", name=name, why=error.strerror)
            except Exception:
                self._log.failure("Cannot reload {name}", name=name)
            else:
                reloaded.append(name)
        self._log.info("Reloaded {what}.", what=", ".join(reloaded) or "nothing")
        self._notifier.ready()
