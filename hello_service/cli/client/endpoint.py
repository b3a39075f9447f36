"""Where C{hello-client --connect} leads, and what is wrong with it if it leads nowhere."""

from typing import Any

from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IStreamClientEndpoint

from hello_service.values import BadValue

_IPV6 = r"in an IPv6 address write each colon as \:, like tcp:\:\:1:9999"
_FORMS = {
    "tcp": f"write tcp:HOST:PORT, like tcp:127.0.0.1:9999; {_IPV6}",
    "unix": r"write unix:PATH, like unix:/run/hello.sock, and each colon in the path as \:",
}


def client_endpoint(reactor: Any, description: str) -> IStreamClientEndpoint:
    """Make the endpoint that a Twisted endpoint description stands for.

    @raises BadValue: with the sentence that says how to write it.
    @raises TroubleError: if it needs TLS, and there can be none.
    """
    kind, _, rest = description.partition(":")
    match kind:
        case "tls":
            # It takes the fetcher's TLS along, which nothing else here needs.
            from hello_service.cli.client.tls_endpoint import tls_endpoint

            return tls_endpoint(reactor, description)
        case "ssl":
            raise BadValue("ssl: does not check whose the server is: write tls:HOST:PORT.")
    try:
        if not rest:
            raise ValueError
        endpoint: IStreamClientEndpoint = clientFromString(reactor, description)
    except Exception as error:  # what endpoints raise for wrong arguments has no common base
        raise BadValue(f"{description!r} is not an endpoint: {_advice(kind)}.") from error
    return endpoint


def _advice(kind: str) -> str:
    if kind in _FORMS:
        return _FORMS[kind]
    if "/" in kind:
        return "write the path of a UNIX socket as unix:PATH"
    return "begin with tcp:, tls: or unix:, or give HOST and PORT by --host and --port"
