"""Echoes on the uvloop reactor with 40 descriptors, for C{test_port}: prints its port, and logs."""

import resource
import sys
from typing import Any

from twisted.internet.protocol import Factory
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.protocols.wire import Echo

from hello_service.uvloop_reactor.reactor import install


def main() -> None:
    """Serve until a signal comes."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
    install()
    from twisted.internet import reactor

    factory: Any = Factory.forProtocol(Echo)
    port: Any = reactor.listenTCP(0, factory, 100, "127.0.0.1")
    print(port.getHost().port, flush=True)
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)])
    reactor.run()


if __name__ == "__main__":
    main()
