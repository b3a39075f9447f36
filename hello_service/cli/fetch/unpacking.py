"""Which codings of a body are undone before it is saved."""

from twisted.web.http_headers import Headers

from hello_service.cli.escaping import escaped
from hello_service.fetch.coding import known_codings

_PACKED_NAMES = (".gz", ".tgz", ".taz", ".gzip", ".svgz")
_PACKED_TYPES = ("application/gzip", "application/x-gzip", "application/x-tgz")


def codings_to_undo(headers: Headers, name: str) -> tuple[list[str], str]:
    """Return the codings of a body to undo, and what the user has to know about the others.

    What its name or its type calls packed stays packed, for servers send such files as they are,
    and say C{Content-Encoding: gzip} of them.

    @param name: under which the body is saved.
    @return: codings as L{Decoder} takes them; a sentence without full stop, or nothing.
    """
    header = b",".join(headers.getRawHeaders(b"content-encoding", []))
    codings = known_codings(header.decode("latin-1"))
    if codings is None:
        return [], f"the body is saved as {escaped(header)}: only gzip and deflate are undone"
    if codings[:1] != ["gzip"]:
        return codings, ""
    media_type = headers.getRawHeaders("content-type", [""])[0].partition(";")[0].strip().lower()
    if name.lower().endswith(_PACKED_NAMES):
        what = "name"
    elif media_type in _PACKED_TYPES:
        what = "Content-Type"
    else:
        return codings, ""
    return codings[1:], f"the body stays packed, as its {what} says: gunzip unpacks it"
