"""Requests that can be shown to others."""

import re

_REQUEST_LINE = re.compile(rb"\S+ \S+ HTTP/1\.1\r\n")
_LOGIN = re.compile(rb"(?im)^((?:proxy-)?authorization:[ \t]*(?:\S+[ \t]+)?)([^\r\n]*)")


def is_head(sent: bytes) -> bool:
    """Whether the head of a request begins what is sent."""
    return _REQUEST_LINE.match(sent) is not None


def redacted(sent: bytes) -> bytes:
    """Put a star in place of each byte of a password or a token, if a head of a request is sent."""
    if not is_head(sent):
        return sent
    head, end, body = sent.partition(b"\r\n\r\n")
    return _LOGIN.sub(lambda match: match[1] + b"*" * len(match[2]), head) + end + body
