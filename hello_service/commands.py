"""The commands' entry points: Ctrl+C ends them quietly even while they are still being imported."""

import sys
from signal import SIGINT
from typing import NoReturn


def hello_client() -> NoReturn:
    """Run C{hello-client}."""
    try:
        from hello_service.client_command import main

        main()
    except KeyboardInterrupt:
        sys.exit(128 + SIGINT)


def hello_fetch() -> NoReturn:
    """Run C{hello-fetch}."""
    try:
        from hello_service.fetch_command import main

        main()
    except KeyboardInterrupt:
        sys.exit(128 + SIGINT)
