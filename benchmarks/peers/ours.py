"""hello_service's daemon, as twistd runs it but for its log; given C{uvloop}, on that reactor."""

import sys

from hello_service.conversation import Framing

if "uvloop" in sys.argv:
    from hello_service.uvloop_reactor.reactor import install
else:
    from twisted.internet.epollreactor import install
install()

from twisted.internet import reactor  # noqa: E402
from twisted.logger import globalLogBeginner  # noqa: E402

from hello_service.daemon import DaemonService, Settings  # noqa: E402
from hello_service.server import HelloFactory  # noqa: E402


def tell_port(event: dict[str, object]) -> None:
    if "address" in event:
        print(str(event["address"]).rpartition(":")[2], flush=True)


framing = Framing.LINE if "lines" in sys.argv else Framing.STREAM
service = DaemonService(reactor, HelloFactory(reactor, framing), Settings(port=0))
globalLogBeginner.beginLoggingTo([tell_port], redirectStandardIO=False)
service.startService()
reactor.run()
