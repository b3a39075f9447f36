"""The project's one line about the global reactor: what twistd calls has no other way to get it."""

from typing import Any


def global_reactor() -> Any:
    """Return the reactor that this process runs; only once twistd has chosen it."""
    from twisted.internet import reactor

    return reactor
