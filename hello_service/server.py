"""The tutorial's server (step 2 of docs/tutorial.md) as a Twisted protocol and its factory."""

from typing import Any

from twisted.internet.interfaces import IAddress, IReactorTime

from hello_service.address import address_text
from hello_service.conversation import READ_SIZE, Conversation, Framing
from hello_service.daemon.connections import Connections
from hello_service.daemon.protocol import DaemonFactory, DaemonProtocol

__all__ = ["Framing", "HelloFactory", "HelloProtocol"]


class HelloProtocol(DaemonProtocol):
    """Holds one conversation."""

    ACCEPTED = "Accept new connection from {peer}..."

    _unanswered = b""

    def __init__(
        self,
        clock: IReactorTime,
        peer: IAddress | None,
        connections: Connections[Any],
        conversation: Conversation,
        delay: float,
    ) -> None:
        super().__init__(clock, peer, connections)
        self._conversation = conversation
        self._delay = delay

    def opened(self) -> None:
        if self._delay:
            self.transport.bufferSize = READ_SIZE  # type: ignore[attr-defined]
        self.write(self._conversation.greeting)

    def dataReceived(self, data: bytes) -> None:
        """Answer at once, or later: all of C{received} in one call, for this is the hot path."""
        self.bytes_in += len(data)
        if self.closing:  # the peer lingers
            return
        if self._delay:
            self._answer_later(data)
            return
        conversation = self._conversation
        if answers := conversation.feed(data):
            self.bytes_out += len(answers)
            self.transport.write(answers)
        if conversation.finished:
            self.close(conversation.reason, not conversation.cut_short)

    def ended(self) -> None:
        self.write(self._conversation.end())
        self.reason = self._conversation.reason

    def flush(self) -> None:
        if self.answering and self.timer:
            self.timer.cancel()
            self._answer_now()

    def account(self) -> dict[str, object]:
        return {"messages": self._conversation.messages}

    def _answer_later(self, data: bytes) -> None:
        if not self.answering:
            self.hold()
            self.timer = self.clock.callLater(self._delay, self._answer_now)
        self._unanswered += data  # TLS delivers while paused what it has already read

    def _answer_now(self) -> None:
        data, self._unanswered = self._unanswered, b""
        conversation = self._conversation
        self.write(conversation.feed(data))
        if conversation.finished:
            self.close(conversation.reason, not conversation.cut_short)
        else:
            self.release()


class HelloFactory(DaemonFactory):
    """Builds a `HelloProtocol` for each connection.

    @param clock: what times the waits, usually the reactor.
    @param framing: what a message is.
    @param delay: seconds between reading and answering; the tutorial's server waits 1.
    @param name: who its greeting says it is, and to whom; for `Framing.LINE` alone.
    """

    def __init__(
        self,
        clock: IReactorTime,
        framing: Framing = Framing.AUTO,
        delay: float = 0.0,
        name: str = "",
    ) -> None:
        super().__init__(clock)
        self._framing = framing
        self._delay = delay
        self._name = name

    def buildProtocol(self, addr: IAddress | None) -> HelloProtocol:
        conversation = Conversation(self._framing)
        if self._name:
            conversation.introduce(self._name, address_text(addr))
        protocol = HelloProtocol(self.clock, addr, self.connections, conversation, self._delay)
        protocol.factory = self
        return protocol
