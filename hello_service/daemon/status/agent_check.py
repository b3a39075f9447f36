"""What HAProxy's agent-check is told: whether the daemon takes new connections.

The words are those of HAProxy's configuration manual, section 5.2, C{agent-check}. C{drain} is the
administrative state: connections go on, new ones go elsewhere. Only the agent ends it, by C{ready}.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IAddress, ITCPTransport
from twisted.internet.protocol import Protocol, ServerFactory

READY = b"up ready\n"
DRAIN = b"drain\n"


class AgentCheck(Protocol):
    """Says one line and closes; nothing is read."""

    transport: ITCPTransport

    def __init__(self, line: bytes) -> None:
        self._line = line

    def connectionMade(self) -> None:
        self.transport.write(self._line)
        self.transport.loseConnection()


class AgentFactory(ServerFactory):
    """Builds an `AgentCheck` for each connection.

    @param draining: whether the daemon stops.
    """

    noisy = False

    def __init__(self, draining: Callable[[], bool]) -> None:
        self._draining = draining

    def buildProtocol(self, addr: IAddress | None) -> AgentCheck:
        return AgentCheck(DRAIN if self._draining() else READY)
