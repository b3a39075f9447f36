"""The process's limits."""

import resource
from contextlib import suppress


def raise_descriptor_limit() -> None:
    """Raise the soft limit of open descriptors to the hard one: a connection takes one each."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError):  # macOS knows no unlimited soft limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
