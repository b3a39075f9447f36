"""Requests that can be shown to others."""

import re

_REQUEST_LINE = re.compile(rb"\S+ \S+ HTTP/1\.1\r\n")
_LOGIN = re.compile(rb"(?im)^((?:proxy-)?authorization:[ \t]*(?:\S+[ \t]+)?)([^\r\n]*)")


def redacted(sent: bytes) -> bytes:
    """Put a star in place of each byte of a password or a token, if a head of a request is sent."""
    if not _REQUEST_LINE.match(sent):
        return sent
    head, end, body = sent.partition(b"\r\n\r\n")
    return _LOGIN.sub(lambda match: match[1] + b"*" * len(match[2]), head) + end + body
