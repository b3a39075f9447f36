"""Every way in which a test cuts bytes."""

from collections.abc import Iterator


def splits(data: bytes) -> Iterator[list[bytes]]:
    """Cut bytes: not at all, in two at every place, and into single bytes."""
    yield [data]
    for place in range(1, len(data)):
        yield [data[:place], data[place:]]
    yield [data[place : place + 1] for place in range(len(data))]
