"""Has pytest-twisted's tests run on the uvloop reactor: C{pytest -p tests.sockets_on_uvloop}."""

import pytest_twisted

from hello_service.uvloop_reactor.reactor import UvloopReactor, install


def _install() -> None:
    pytest_twisted._install_reactor(reactor_installer=install, reactor_type=UvloopReactor)


pytest_twisted.reactor_installers["default"] = _install
