"""The tutorial's client (step 3 of docs/tutorial.md), a Twisted protocol with awaitable methods."""

import re
from contextlib import suppress

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from hello_service.conversation import READ_SIZE

__all__ = ["READ_SIZE", "HelloClient", "WrongAnswer", "encode_name"]


_INTRODUCTION = re.compile(rb" I am [^\r\n]+, you are [^\r\n]+\.(?=\r\n)")
"""What the greeting says besides, with C{--reveal}: see docs/protocol.md."""


class WrongAnswer(Exception):
    """The server sent other bytes than the language has in this place."""

    def __init__(self, expected: bytes, received: bytes) -> None:
        super().__init__(f"expected {expected!r}, received {received!r}")
        self.expected = expected
        self.received = received


class IConnection(ITCPTransport, IPushProducer):
    """What a stream transport is to a client that reads only when it waits."""


def encode_name(name: str) -> bytes:
    """Encode a name as the one message that it is to be in any framing.

    @raises ValueError: with a sentence, for a name that would not be one message.
    """
    try:
        message = name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name!r} is not text in UTF-8: write it so.") from None
    if not message or b"\n" in message or len(message) > READ_SIZE:
        raise ValueError(f"A name is one line of 1 to {READ_SIZE} bytes: {name[:40]!r} is not.")
    if message == b"exit":
        raise ValueError("'exit' ends the conversation, it cannot be greeted: leave it out.")
    return message


class HelloClient(Protocol):
    """The client's side of one conversation, one step at a time::

        client = await connectProtocol(endpoint, HelloClient())
        await client.welcome()
        print(await client.hello("Michael"))
        await client.exit()

    Each step is complete when all its bytes are there, however many reads brought them, and
    raises L{WrongAnswer} on the first byte that differs, or the reason (L{ConnectionDone},
    L{ConnectionLost}) if the connection is lost first. A wrong answer aborts the connection, and so
    does a step that is cancelled, by L{Deferred.addTimeout} for one: its late answer would be taken
    for the next one's. In C{line} framing, which the greeting tells, it talks in lines.
    """

    transport: IConnection

    def __init__(self) -> None:
        self._received = b""
        self._expected = b""
        self._line_end = b""
        self._may_be_lines = False
        self._waiting: Deferred[None] | None = None
        self._lost: Failure | None = None

    async def welcome(self) -> str:
        """Read the greeting; return it with who is here and who there, if it came along."""
        await self._expect(b"Welcome!")
        self._may_be_lines = True
        return f"Welcome!{self._take_introduction()}"

    async def hello(self, name: str) -> str:
        """Say a name, read the answer.

        @raises ValueError: if `encode_name` does.
        """
        message = encode_name(name)
        self.transport.write(message + self._line_end)
        await self._expect(b"Hello, %b!%b" % (message, self._line_end))
        return f"Hello, {name}!"

    async def exit(self) -> None:
        """Say C{exit}, wait until the server has closed the connection."""
        self.transport.write(b"exit" + self._line_end)
        with suppress(ConnectionDone):
            await self._expect(b"")

    def dataReceived(self, data: bytes) -> None:
        self._received += data
        self._check()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = reason
        self._check()

    def _expect(self, expected: bytes) -> Deferred[None]:
        waiting: Deferred[None] = Deferred(self._give_up)
        self._expected = expected
        self._waiting = waiting
        self.transport.resumeProducing()
        self._check()
        return waiting

    def _check(self) -> None:
        if not self._waiting or (self._may_be_lines and not self._know_lines()):
            return
        outcome = None
        if self._expected and self._received.startswith(self._expected):
            self._received = self._received[len(self._expected) :]
            self.transport.pauseProducing()
        elif not self._expected.startswith(self._received):
            outcome = Failure(WrongAnswer(self._expected, self._received))
            self.transport.abortConnection()
        elif self._lost:
            outcome = self._lost
        else:
            return
        waiting, self._waiting = self._waiting, None
        waiting.callback(outcome)

    def _know_lines(self) -> bool:
        """Find out from what follows the greeting whether it was a line; return whether we did."""
        self._take_introduction()
        if self._received in (b"", b"\r") or self._may_introduce():
            return self._lost is not None
        self._may_be_lines = False
        if self._received.startswith(b"\r\n"):
            self._received = self._received[2:]
            self._line_end = b"\r\n"
            self.transport.write(self._line_end)  # the message has been sent without
            if self._expected:
                self._expected += self._line_end
        return True

    def _take_introduction(self) -> str:
        if found := _INTRODUCTION.match(self._received):
            self._received = self._received[found.end() :]
            return found[0].decode(errors="backslashreplace")
        return ""

    def _may_introduce(self) -> bool:
        whole = b"\n" in self._received or len(self._received) > READ_SIZE
        return not whole and self._received.startswith(b" I am "[: len(self._received)])

    def _give_up(self, _: Deferred[None]) -> None:
        self._waiting = None
        self.transport.abortConnection()
