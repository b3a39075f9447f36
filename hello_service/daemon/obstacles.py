"""What keeps a place from being listened on, said in one sentence."""

import errno
import os
import socket
from collections.abc import Iterable
from enum import Enum

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress

from hello_service.address import host_port


class Obstacle(Enum):
    """Why a place cannot be listened on; the value is the word that a page may explain it under."""

    IN_USE = "in-use"
    NOT_ALLOWED = "not-allowed"
    NOT_HERE = "not-here"
    OTHER = "cannot-listen"


class Unusable(Exception):
    """A place that cannot be listened on, for a reason that its endpoint has put in words.

    @ivar sentence: what is wrong with the place and what to do, to follow its name.
    """

    def __init__(self, sentence: str, obstacle: Obstacle = Obstacle.OTHER) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.obstacle = obstacle


def explain(
    place: str,
    error: BaseException,
    ours: Iterable[tuple[str, IAddress]] = (),
    beside: Iterable[tuple[str, IAddress]] = (),
) -> tuple[Obstacle, str]:
    """Say why a place cannot be listened on, and what to do.

    @param ours: the places that this daemon listens on already, and their addresses.
    @param beside: those on which it serves others than its clients.
    """
    for other, address in beside:
        if _takes(address, error):
            return Obstacle.IN_USE, (
                f"{place} is taken by this daemon itself, which listens on {other} already: let"
                " one of the two listen elsewhere."
            )
    match error:
        case Unusable():
            return error.obstacle, f"{place} {error.sentence}"
        case CannotListenError(port=int(port), interface=host):
            return _explain_tcp(place, host or "", port, error.socketError, ours)
        case CannotListenError(port=str() | bytes() as path):
            return _explain_unix(place, path, error.socketError, ours)
        case _:
            return _explain_other(place, error)


def _explain_tcp(
    place: str,
    host: str,
    port: int,
    error: BaseException,
    ours: Iterable[tuple[str, IAddress]],
) -> tuple[Obstacle, str]:
    name = host_port(host, port) if host else place
    match getattr(error, "errno", None):
        case errno.EADDRINUSE:
            for other, address in ours:
                if wider := _wider(host, port, address):
                    return Obstacle.IN_USE, _collision(place, other, host, wider)
            return Obstacle.IN_USE, (
                f"{name} is in use by another program: `ss -p -ltn 'sport = :{port}'` shows"
                " which; stop that one or listen elsewhere."
            )
        case errno.EACCES:
            return Obstacle.NOT_ALLOWED, (
                f"{name} takes a right that this user has not, as all ports below 1024: choose a"
                " higher one, or start as root with --uid and --gid, or grant"
                " CAP_NET_BIND_SERVICE (AmbientCapabilities= in a systemd unit)."
            )
        case errno.EADDRNOTAVAIL | socket.EAI_NONAME:
            return Obstacle.NOT_HERE, (
                f"{name} is not on this machine: choose one of the addresses that `ip address`"
                " lists, or 0.0.0.0 for all of them."
            )
        case _:
            return _explain_other(name, error)


def _takes(address: IAddress, error: BaseException) -> bool:
    match error:
        case CannotListenError(socketError=OSError(errno=errno.EADDRINUSE), port=int(port)):
            return bool(_wider(error.interface or "", port, address))
        case CannotListenError(socketError=OSError(errno=errno.EADDRINUSE), port=path):
            return isinstance(address, UNIXAddress) and _same_file(address.name, path)
    return False


def _wider(host: str, port: int, address: IAddress) -> str:
    """Return which of two hosts takes in the other, or nothing if their ports do not collide."""
    if not isinstance(address, IPv4Address | IPv6Address) or address.port != port:
        return ""
    host, other = host or "0.0.0.0", address.host or "0.0.0.0"
    for one, another in ((host, other), (other, host)):
        if one in ("::", another) or (one == "0.0.0.0" and ":" not in another):
            return one
    return ""


def _collision(place: str, other: str, host: str, wider: str) -> str:
    both = f"{other} and {place} collide, and both are this daemon's own --listen"
    if place == other:
        return f"{place} is given to this daemon twice: leave one of the two --listen out."
    if wider == "::":
        all_of_it, part = (place, other) if host == "::" else (other, place)
        return f"{both}: {all_of_it} alone serves IPv4 and IPv6, so leave {part} out."
    return f"{both}: leave one of them out, or give it another port."


def _explain_unix(
    place: str, path: str | bytes, error: BaseException, ours: Iterable[tuple[str, IAddress]]
) -> tuple[Obstacle, str]:
    if getattr(error, "errno", None) != errno.EADDRINUSE:
        return _explain_other(place, error)
    for other, address in ours:
        if isinstance(address, UNIXAddress) and _same_file(address.name, path):
            return Obstacle.IN_USE, (
                f"{other} and {place} are the same file, and both are this daemon's own --listen:"
                " leave one of them out."
            )
    return Obstacle.IN_USE, (
        f"{place} is in use, for a server answers there: `ss -p -lx` shows which; stop that one"
        " or choose another file."
    )


def _same_file(one: str | bytes | None, another: str | bytes) -> bool:
    return one is not None and os.path.realpath(os.fsencode(one)) == os.path.realpath(
        os.fsencode(another)
    )


def _explain_other(place: str, error: BaseException) -> tuple[Obstacle, str]:
    why = getattr(error, "strerror", None) or str(error).rstrip(".")
    return Obstacle.OTHER, f"Cannot listen on {place}: {why}."
