"""How an address is written where people read it."""

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress


def host_port(host: str, port: int) -> str:
    """Write a host, or an address without brackets, and a port."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def address_text(address: IAddress | None) -> str:
    """Write C{127.0.0.1:9999}, C{[::1]:9999} or C{unix:'/run/hello'}; nothing in it is raw."""
    match address:
        case IPv4Address() | IPv6Address():
            return host_port(address.host, address.port)
        case UNIXAddress(name=bytes(name)):
            return f"unix:{name.decode(errors='surrogateescape')!r}"
        case UNIXAddress():
            return "unix:"
        case _:
            return repr(address)
