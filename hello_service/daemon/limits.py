"""The process's limits."""

import resource


def raise_descriptor_limit() -> None:
    """Raise the soft limit of open descriptors to the hard one: a connection takes one each."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
