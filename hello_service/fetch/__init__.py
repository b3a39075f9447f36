"""The fetcher: an HTTP agent over a raw TCP connection, which keeps what was on the wire.

L{RawAgent} goes wherever Twisted's C{Agent} goes. C{request.py} writes a request; C{exchange.py}
sends it, and C{sending.py} its body, over a connection. C{way.py} says where that goes,
C{happy_eyeballs.py} makes it, C{tls.py} secures it, and C{trust.py} says with whom. C{reader.py}
reads the answer, and C{response.py} delivers it. C{wire.py} keeps the bytes of both, with their
times; C{errors.py} has an exception for each thing that can go wrong.

Open C{agent.py} first. Nothing here knows of the commands or of the hello language.
"""

from hello_service.fetch.agent import RawAgent
from hello_service.fetch.errors import ResponseError
from hello_service.fetch.exchange import Settings
from hello_service.fetch.headers import WireHeaders
from hello_service.fetch.reader import Ending
from hello_service.fetch.request import InvalidRequest
from hello_service.fetch.trust import UncheckedHandshake, trusting
from hello_service.fetch.way import Way
from hello_service.fetch.wire import Observer, Wire

__all__ = [
    "Ending",
    "InvalidRequest",
    "Observer",
    "RawAgent",
    "ResponseError",
    "Settings",
    "UncheckedHandshake",
    "Way",
    "Wire",
    "WireHeaders",
    "trusting",
]
