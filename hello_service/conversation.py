"""The hello language, without I/O: bytes in, the bytes owed out (docs/protocol.md states it)."""

import re
from enum import Enum

READ_SIZE = 1024
"""Bytes in the longest message: the tutorial's C{recv(1024)}, step 2 of docs/tutorial.md."""

LINE_TOO_LONG = b"A line has at most %d bytes: send a shorter one.\r\n" % READ_SIZE

# A message is over-long unless a line end, or a CR that may yet become one, follows its last
# allowed byte. The pattern starts with a literal so that the search is a memchr.
_OVERLONG = re.compile(rb"\n[^\n]{%d}(?!\r?(?:\n|\Z))" % READ_SIZE)
_EXIT = re.compile(rb"\nexit\r?\n")
# All that begins a character of UTF-8 without ending it (RFC 3629, section 4).
_CUT_CHARACTER = re.compile(
    rb"(?:[\xc2-\xf4]|\xe0[\xa0-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]|\xed[\x80-\x9f]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]?|[\xf1-\xf3][\x80-\xbf]{1,2}|\xf4[\x80-\x8f][\x80-\xbf]?)\Z"
)


def _may_be_overlong(data: bytes) -> bool:
    """Tell, much faster than the pattern, whether a line has more than C{READ_SIZE} bytes.

    A CR at its end counts, so the pattern has the last word.
    """
    start = 0
    while len(data) - start > READ_SIZE:
        end = data.rfind(b"\n", start, start + READ_SIZE + 1)
        if end < 0:
            return True
        start = end + 1
    return False


class Framing(Enum):
    """What a message is."""

    AUTO = "auto"
    """What the first read decides: `LINE` if it ends in LF, else `STREAM`."""
    STREAM = "stream"
    """What one read returned, at most `READ_SIZE` bytes: the tutorial's."""
    LINE = "line"
    """What stands before LF or CR LF, at most `READ_SIZE` bytes."""


class Conversation:
    """One conversation's state, from the greeting to its end.

    @ivar greeting: the bytes to send on connect.
    @ivar finished: nothing that is fed from now on is answered; send what is owed, then close.
    @ivar cut_short: it finished before the end of what was fed, so more may be under way.
    @ivar reason: why it finished: C{exit}, C{end} of the stream, or a line C{too-long}.
    @ivar messages: how many were answered.
    """

    __slots__ = ("_held", "_lines", "cut_short", "finished", "greeting", "messages", "reason")

    def __init__(self, framing: Framing = Framing.AUTO) -> None:
        self.greeting = b"Welcome!\r\n" if framing is Framing.LINE else b"Welcome!"
        self.finished = False
        self.cut_short = False
        self.reason = ""
        self.messages = 0
        self._lines = None if framing is Framing.AUTO else framing is Framing.LINE
        self._held = b""

    def introduce(self, name: str, peer: str) -> None:
        """Have the greeting, a line, say who is here and who there."""
        self.greeting = f"Welcome! I am {name}, you are {peer}.\r\n".encode()

    def feed(self, data: bytes) -> bytes:
        """Take what one read returned, of any length but 0; return the answers now owed."""
        if self.finished:
            return b""
        if self._lines is None:
            self._lines = data.endswith(b"\n")
        if self._lines:
            return self._answer_lines(data)
        if len(data) <= READ_SIZE:
            return self._answer_read(data)
        return self._answer_reads(data)

    def end(self) -> bytes:
        """Take the end of the stream; return the answers still owed."""
        self._finish("end")
        rest, self._held = self._held, b""
        if rest in (b"", b"exit"):
            return b""
        if len(rest) > READ_SIZE:
            self._finish("too-long")
            return LINE_TOO_LONG
        self.messages += 1
        return b"Hello, %b!" % rest

    def _finish(self, reason: str) -> None:
        self.finished = True
        self.reason = reason

    def _answer_reads(self, data: bytes) -> bytes:
        starts = range(0, len(data), READ_SIZE)
        return b"".join([self._answer_read(data[start : start + READ_SIZE]) for start in starts])

    def _answer_read(self, data: bytes) -> bytes:
        if data == b"exit" and not self._held:
            self._finish("exit")
            return b""
        if self._held:
            data = self._held + data
            self._held = b""
        if data[-1] >= 0x80 and (cut := _CUT_CHARACTER.search(data[-3:])):
            self._held = cut[0]
            data = data[: -len(cut[0])]
            if not data:
                return b""
        self.messages += 1
        return b"Hello, %b!" % data

    def _answer_lines(self, data: bytes) -> bytes:
        data = self._held + data
        last_words = b""
        if (
            len(data) > READ_SIZE
            and _may_be_overlong(data)
            and (overlong := _OVERLONG.search(b"\n" + data))
        ):
            data = data[: overlong.start()]
            last_words = LINE_TOO_LONG
            self.cut_short = True
            self._finish("too-long")
        # One byte is looked for in a tenth of the time of four, and few names have an x.
        if data.find(b"x") >= 0 and (exit_line := _EXIT.search(b"\n" + data)):
            self.cut_short = self.finished or exit_line.end() <= len(data)
            self._finish("exit")
            data = data[: exit_line.start()]
            last_words = b""
        end = data.rfind(b"\n") + 1
        self._held = data[end:]
        if not end:
            return last_words
        # All lines at once. Each "!" goes in before a LF, and then to the CR's other side: only
        # what was CR LF has CR and our "!" before the LF now.
        self.messages += data.count(b"\n")
        answers = b"Hello, " + data[: end - 1].replace(b"\n", b"!\nHello, ") + b"!\n"
        if answers.find(b"\r") >= 0:
            answers = answers.replace(b"\r!\n", b"!\r\n")
        return answers + last_words
