"""From a string to an endpoint, or to the sentence that says what is wrong with it."""

import re
import socket
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.endpoints import (
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    serverFromString,
)
from twisted.internet.interfaces import IStreamServerEndpoint, IStreamServerEndpointStringParser
from twisted.internet.tcp import makeBinding
from twisted.logger import Logger
from twisted.plugin import getPlugins
from twisted.protocols.haproxy import proxyEndpoint

from hello_service.daemon.endpoint_strings import (
    ESCAPED,
    name_all,
    put_together,
    quoted,
    take_apart,
)
from hello_service.daemon.key_files import check_key_files, check_key_folder
from hello_service.daemon.unix_sockets import unix_endpoint
from hello_service.values import BadValue

_log = Logger()

MAXIMUM_BACKLOG = 2**31 - 1
"""What listen(2) cuts down to the system's maximum, net.core.somaxconn."""

_HOST_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_.-]+")

_PARTS = {
    "ssl": (
        "port", "privateKey", "certKey", "sslmethod", "interface", "backlog", "extraCertChain",
        "dhParameters",
    ),
    "systemd": ("domain", "index", "name"),
    "tcp": ("port", "interface", "backlog"),
    "tcp6": ("port", "backlog", "interface"),
    "tls": ("path", "port", "backlog", "interface"),
    "unix": ("address", "mode", "backlog", "lockfile", "user", "group"),
}  # fmt: skip
"""The kinds of endpoints that are known here, each with its parts in the order of Twisted's."""


def server_endpoint(
    reactor: Any, description: str, backlog: int = MAXIMUM_BACKLOG
) -> IStreamServerEndpoint:
    """Make the endpoint of a string, whose own C{backlog=} wins.

    @raises ValueError: with the sentence that says what is wrong with it.
    """
    try:
        return _endpoint(reactor, description, backlog)
    except (ValueError, BadValue) as error:
        raise ValueError(f"Cannot listen on {quoted(description)}: {error}") from error


def _endpoint(reactor: Any, description: str, backlog: int) -> IStreamServerEndpoint:
    (kind, *values), named = take_apart(description)
    kind = kind.lower()
    if kind == "haproxy":
        _log.warn(
            "Use --proxy-from in place of haproxy:, which gives the balancer's address for the"
            " client's when a connection opens, loses headers that come in pieces, and believes"
            " anyone."
        )
        wrapped = description.partition(":")[2]
        return proxyEndpoint(_endpoint(reactor, wrapped, backlog))
    if kind not in _PARTS:
        return _foreign_endpoint(reactor, description, kind)
    try:
        parts = name_all(_PARTS[kind], values, named)
        if "backlog" in _PARTS[kind]:
            parts.setdefault("backlog", str(backlog))
        _check(kind, parts)
        if kind == "unix":
            return unix_endpoint(reactor, **parts)
        return _twisteds_endpoint(reactor, kind, put_together(kind, parts))
    except (ValueError, BadValue) as error:
        if len(values) < 2:
            raise
        raise ValueError(f"{str(error).removesuffix('.')}; {ESCAPED}.") from error


def shared_endpoint(
    reactor: object, port: int, interface: str, backlog: int = MAXIMUM_BACKLOG
) -> IStreamServerEndpoint:
    """Make an endpoint on a TCP port for all who share it; the system spreads clients over them."""
    binding: Any = makeBinding(interface, port, reuseAddress=True, reusePort=True)
    endpoint = TCP6ServerEndpoint if isIPv6Address(interface) else TCP4ServerEndpoint
    return endpoint(reactor, binding, backlog, interface)


def is_private(description: str) -> bool:
    """Whether only this machine reaches what listens there: on loopback, or on a UNIX socket.

    @raises ValueError: with a sentence, if the endpoint string is wrong.
    """
    (kind, *values), named = take_apart(description)
    match kind.lower():
        case "unix":
            return True
        case "tcp" | "tcp6" as known:
            host = name_all(_PARTS[known], values, named).get("interface", "").strip("[]")
            return host in ("localhost", "::1") or (isIPAddress(host) and host.startswith("127."))
        case _:
            return False


def interface_address(text: str) -> str:
    """Read an IPv4 or IPv6 address to listen on; the brackets around it that a URL has are dropped.

    The name of an address, such as localhost, is left to the system that resolves it.

    @raises BadValue: with a sentence, if it is neither or has a port behind it.
    """
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if isIPAddress(bare) or isIPv6Address(bare) or _HOST_NAME.fullmatch(text):
        return bare
    with_port = re.fullmatch(r"\[?(.*?)\]?:([0-9]+)", text)
    if with_port and (isIPAddress(with_port[1]) or isIPv6Address(with_port[1])):
        raise BadValue(
            f"{quoted(text)} is an address and a port: give the port by --port {with_port[2]}, or"
            f" as in --listen tcp:{with_port[2]}, and only {with_port[1]} here."
        )
    raise BadValue(
        f"{quoted(text)} is not an address: write an IPv4 or IPv6 address of this machine, like"
        " 127.0.0.1 or ::1; 0.0.0.0 is all of IPv4, :: both families."
    )


def _check(kind: str, parts: dict[str, str]) -> None:
    """See that a kind has the parts that it must have, and that their values make sense."""
    match kind:
        case "systemd":
            _check_systemd(parts)
        case "unix":
            parts.setdefault("address", "")
        case "tls" if not parts.get("path"):
            raise ValueError("the folder of its keys is missing, as in tls:/etc/keys:9443.")
        case "ssl" | "tcp" | "tcp6" if "port" not in parts:
            raise ValueError(f"the port is missing, as in {kind}:9999.")
    _check_number("port", parts, 0, 65535, ", as in tcp:9999:interface=127.0.0.1")
    _check_number("backlog", parts, 1, MAXIMUM_BACKLOG)
    if address := parts.get("interface"):
        parts["interface"] = interface_address(address)
        if kind in ("tcp6", "tls") and not isIPv6Address(parts["interface"]):
            raise ValueError(f"{kind} takes an IPv6 address, and {address} is none.")
    if kind in ("ssl", "tls"):
        _check_tls(kind, parts)


def _check_number(
    name: str, parts: dict[str, str], least: int, most: int, example: str = ""
) -> None:
    text = parts.get(name, str(most))
    if not (re.fullmatch("0*[0-9]{1,10}", text) and least <= int(text) <= most):
        raise ValueError(f"{name} {quoted(text)} is not a number from {least} to {most}{example}.")


def _check_systemd(parts: dict[str, str]) -> None:
    if "domain" not in parts or ("index" in parts) == ("name" in parts):
        raise ValueError(
            "a domain and either an index or a name are needed, as in systemd:domain=INET:index=0"
            " or systemd:domain=INET:name=hello."
        )
    if not hasattr(socket, f"AF_{parts['domain']}"):
        raise ValueError(f"domain {quoted(parts['domain'])} is not INET, INET6 or UNIX.")
    if not parts.get("index", "0").isdecimal():
        raise ValueError(f"index {quoted(parts['index'])} is not a number.")


def _check_tls(kind: str, parts: dict[str, str]) -> None:
    try:
        import twisted.internet.ssl  # noqa: F401
        from OpenSSL import SSL
    except ImportError:
        raise ValueError("it needs TLS: `pip install 'twisted[tls]'` brings it.") from None
    if kind == "tls":
        check_key_folder(parts["path"])
        return
    check_key_files(parts)
    method = parts.get("sslmethod", "TLS_METHOD")
    if not (method.endswith("_METHOD") and hasattr(SSL, method)):
        raise ValueError(f"sslmethod {quoted(method)} is not one of OpenSSL's: leave it out.")


def _twisteds_endpoint(reactor: Any, kind: str, description: str) -> IStreamServerEndpoint:
    try:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, description)
    except Exception as error:
        if kind == "systemd" and isinstance(error, LookupError):
            raise ValueError(
                "systemd has not passed that socket: start the daemon by its socket unit, or under"
                " `systemd-socket-activate --listen=PORT --fdname=NAME`."
            ) from None
        raise ValueError(
            f"the endpoint {kind} does not take this: check each of its parts; {ESCAPED}."
        ) from None
    return endpoint


def _foreign_endpoint(reactor: Any, description: str, kind: str) -> IStreamServerEndpoint:
    """Make an endpoint of a kind that only a plugin of Twisted's knows."""
    kinds = {plugin.prefix for plugin in getPlugins(IStreamServerEndpointStringParser)}
    kinds = (kinds | _PARTS.keys()) - {"stdio"}  # which is one conversation, and not a place
    if kind.lower() not in kinds:
        port = description.partition(":")[2] or "9999"
        like = f"tcp:{port}:interface={kind}" if isIPAddress(kind) else "unix:/run/name.sock"
        raise ValueError(
            f"there is no kind of endpoint {quoted(kind)}; there are {', '.join(sorted(kinds))}:"
            f" write one like tcp:9999 or {like}."
        )
    return _twisteds_endpoint(reactor, kind, description)
