"""How a command ends when it is told to: by the signal, as the shell that started it expects."""

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn


def die_by(number: int) -> NoReturn:
    """End this process by a signal, as if nothing had handled it.

    A shell ends its loop when the command in it dies by SIGINT, and goes on when it exits with 130.
    """
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    sys.exit(128 + number)  # it is blocked


class EndSignals:
    """Cancels what runs when SIGINT or SIGTERM comes; one that the parent ignores stays ignored.

    @ivar number: the signal that came last.
    """

    NUMBERS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, reactor: Any, cancel: Callable[[], object]) -> None:
        self.number: int = signal.SIGINT
        self._reactor = reactor
        self._cancel = cancel
        self._ignored = [n for n in self.NUMBERS if signal.getsignal(n) == signal.SIG_IGN]

    def install(self) -> None:
        """Handle the signals, in place of whatever handles them now."""
        for number in self.NUMBERS:
            signal.signal(number, signal.SIG_IGN if number in self._ignored else self._came)

    def _came(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self._reactor.callFromThread(self._cancel)
