"""The commands' entry points: Ctrl+C ends them quietly even while they are still being imported."""

import sys

INTERRUPTED = 130
"""The exit status after Ctrl+C, as shells have it: 128 and the number of SIGINT."""


def hello_client() -> None:
    """Run C{hello-client}."""
    try:
        from hello_service.cli.client import main

        main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def hello_fetch() -> None:
    """Run C{hello-fetch}."""
    try:
        from hello_service.cli.fetch import main

        main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
