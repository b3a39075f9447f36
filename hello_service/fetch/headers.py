"""Request headers that keep the order and case in which they were given."""

from collections.abc import Iterable, Sequence

from twisted.web.http_headers import Headers


class WireHeaders(Headers):
    """C{Headers} that go onto the wire in the order and case in which they were added.

    Agents that wrap another one take, copy and extend them like C{Headers}.
    """

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]] = ()) -> None:
        super().__init__()
        self._pairs: list[tuple[bytes, bytes]] = []
        for name, value in pairs:
            self.addRawHeader(name, value)

    def copy(self) -> "WireHeaders":
        return WireHeaders(self._pairs)

    def addRawHeader(self, name: str | bytes, value: str | bytes) -> None:
        super().addRawHeader(name, value)
        self._pairs.append((_encoded(name, "latin-1"), _encoded(value, "utf-8")))

    def setRawHeaders(self, name: str | bytes, values: Sequence[str | bytes]) -> None:
        self.removeHeader(name)
        super().setRawHeaders(name, [])
        for value in values:
            self.addRawHeader(name, value)

    def removeHeader(self, name: str | bytes) -> None:
        encoded = _encoded(name, "latin-1")
        super().removeHeader(encoded)
        lowered = encoded.lower()
        self._pairs = [pair for pair in self._pairs if pair[0].lower() != lowered]

    def pairs(self) -> list[tuple[bytes, bytes]]:
        """Return names and values as they go onto the wire."""
        return list(self._pairs)


def header_pairs(headers: Headers | None) -> list[tuple[bytes, bytes]]:
    """Return names and values in the order in which they go onto the wire."""
    match headers:
        case None:
            return []
        case WireHeaders():
            return headers.pairs()
        case _:
            return [
                (name, value) for name, values in headers.getAllRawHeaders() for value in values
            ]


def _encoded(text: str | bytes, encoding: str) -> bytes:
    return text.encode(encoding) if isinstance(text, str) else text
