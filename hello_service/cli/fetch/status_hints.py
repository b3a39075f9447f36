"""What to do about an answer of 4xx or 5xx, as far as its head says."""

import re
from datetime import UTC, datetime

from hello_service.cli.escaping import escaped
from hello_service.cli.fetch.asked import Asked
from hello_service.cli.fetch.trouble import may_want_tls
from hello_service.fetch.request import parse_url
from hello_service.fetch.response import RawResponse

SHOWN = 100
"""Characters of a header's value that are quoted."""

READ = 1000
"""Bytes of WWW-Authenticate that are read: a few challenges."""

_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*(?:"|\Z)')
_SCHEME = re.compile(rb"(?:\A|,)[ \t]*([A-Za-z][\w-]*)(?![\w-]|[ \t]*=)")
_SECONDS = re.compile(r"[0-9]{1,9}")


def status_hint(response: RawResponse, asked: Asked, first: Asked, now: float) -> str:
    """Say what a status may mean, and what to do next.

    @param asked: what this is the answer to.
    @param first: what was asked for before any redirect.
    @param now: seconds since 1970.
    @return: a sentence without full stop, or nothing if the status says all.
    """
    code = response.code
    match code:
        case 400 if response.wire.opening:
            return "400 is about the request: if the server expects no PROXY header, leave it out"
        case 400 if may_want_tls(parse_url(asked.url)) and not _speaks_json(response):
            return "400 is about the request: if this port is one for TLS, ask for https://"
        case 401:
            return f"401 {_login(response, asked, first)}"
        case 403 if not _has(asked, b"user-agent"):
            return "403 may be for all that send no User-Agent: try -H 'User-Agent: Mozilla/5.0'"
        case 405:
            allowed = _quoted(response, b"allow")
            other = f"and takes {allowed}" if allowed else "and does not say which it takes"
            return f"405 means that the page takes no {_method(asked)}, {other}: write it with -X"
        case 407:
            return (
                "407 is from a proxy on the way, which wants a login of its own: send it with"
                " -H 'Proxy-Authorization: ...'"
            )
        case 411:
            return "411 wants the length of the body beforehand: save it in a file, for -d @FILE"
        case 413 if asked.body:
            return "413 means that the server takes no body as large as this: send a smaller one"
        case 415 if asked.body:
            return (
                f"415 means that the page takes no {_content_type(asked)}: name what the body is,"
                " as in -H 'Content-Type: application/json'"
            )
        case 426:
            return f"426 {_upgrade(_quoted(response, b'upgrade'))}"
        case 429:
            return f"429 means that you ask too often: {_when(response, now)}"
        case 497:
            return "497 means that this port is one for TLS: ask for https://"
        case 502 | 503 | 504:
            return _balancer(response, now)
    return ""


def _speaks_json(response: RawResponse) -> bool:
    """A program that was asked, and not a server that takes the request for a mistaken one."""
    return "json" in _quoted(response, b"content-type")


def _login(response: RawResponse, asked: Asked, first: Asked) -> str:
    if _has(asked, b"authorization"):
        return "means that this login is not taken: check user name and password"
    if _has(first, b"authorization"):
        return (
            f"wants a login, and yours is for {'{}://{}:{}'.format(*first.origin)} alone: ask for"
            f" {escaped(asked.url)} itself, if you trust it"
        )
    challenges = b", ".join(response.headers.getRawHeaders(b"www-authenticate", []))[:READ]
    schemes = [name.decode() for name in _SCHEME.findall(_QUOTED.sub(b'""', challenges))]
    if "basic" in map(str.lower, schemes):
        return "wants to know who asks: write -u USER"
    by = f" by {', '.join(schemes)[:SHOWN]}" if schemes else ", and does not say how"
    return f"wants a login{by}: send it with -H 'Authorization: ...'"


def _upgrade(wanted: str) -> str:
    if "TLS" in wanted.upper():
        return "wants TLS: ask for https://"
    if "websocket" in wanted.lower():
        return "means that a WebSocket is there, and no page: open it with a client for WebSockets"
    return f"wants another protocol ({wanted or 'unnamed'}): hello-fetch speaks HTTP/1.1 alone"


def _balancer(response: RawResponse, now: float) -> str:
    server = _quoted(response, b"server") or _quoted(response, b"via")
    whose = f" ({server})" if server else ""
    says = f"{response.code} is what a balancer or proxy{whose} says when the server behind it"
    match response.code:
        case 502:
            return f"{says} gave no answer that it could pass on: look into both logs"
        case 504:
            return f"{says} did not answer in time: look into that server's log"
    return (
        f"503 means that the server{whose}, or what is behind it, takes no requests now:"
        f" {_when(response, now)}"
    )


def _when(response: RawResponse, now: float) -> str:
    """Read Retry-After (RFC 9110, section 10.2.3)."""
    value = response.headers.getRawHeaders(b"retry-after", [b""])[0].decode("latin-1").strip()
    if _SECONDS.fullmatch(value):
        return f"try again in {int(value)} s"
    try:
        moment = datetime.strptime(value, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    except ValueError:
        return "try again later"
    seconds = max(moment.timestamp() - now, 0)
    return f"try again in {seconds:.0f} s, at {moment:%Y-%m-%d %H:%M:%S} UTC"


def _has(asked: Asked, name: bytes) -> bool:
    return any(given.lower() == name for given, _ in asked.headers)


def _content_type(asked: Asked) -> str:
    values = [value for name, value in asked.headers if name.lower() == b"content-type"]
    return _short(b", ".join(values))


def _method(asked: Asked) -> str:
    return _short(asked.method)


def _quoted(response: RawResponse, name: bytes) -> str:
    return _short(b", ".join(response.headers.getRawHeaders(name, [])))


def _short(value: bytes) -> str:
    return escaped(value[:SHOWN])[:SHOWN].replace("\n", " ")
