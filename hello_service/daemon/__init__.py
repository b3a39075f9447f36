"""The kit: what any Twisted daemon takes along. Nothing in this package knows of hello.

A daemon on the kit is a `DaemonProtocol` with its `DaemonFactory`, a `DaemonOptions`, and a
C{makeService} that calls `twistd_service`; examples/shout is one in sixty lines. Inside another
program, `DaemonService` with `Settings` is the same daemon, but leaves the process alone; where it
cannot listen, its start raises `CannotListen`.

Open service.py first: it puts the parts together, each of which is a file here. process.py adds
what only a process of its own needs, protocol.py is what a connection is to all of them.
"""

from hello_service.daemon.connections import Connections
from hello_service.daemon.listening import CannotListen
from hello_service.daemon.options import DaemonOptions, parameter
from hello_service.daemon.process import twistd_service
from hello_service.daemon.protocol import DaemonFactory, DaemonProtocol
from hello_service.daemon.service import DaemonService
from hello_service.daemon.settings import Settings

__all__ = [
    "CannotListen",
    "Connections",
    "DaemonFactory",
    "DaemonOptions",
    "DaemonProtocol",
    "DaemonService",
    "Settings",
    "parameter",
    "twistd_service",
]
