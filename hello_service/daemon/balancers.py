"""Which peers are balancers, whose PROXY headers are believed."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from hello_service.values import BadValue

_EXAMPLE = "write addresses like 10.0.0.0/8, 192.0.2.7 or fd00::/8, or the word unix"


@dataclass(frozen=True)
class Balancers:
    """Addresses that are trusted.

    @ivar unix: whether whoever connects to a UNIX socket is trusted.
    """

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    unix: bool = False

    def __contains__(self, peer: IAddress) -> bool:
        match peer:
            case IPv4Address() | IPv6Address():
                address = ip_address(peer.host)
                # A socket on :: sees IPv4 in the clothes of IPv6 (RFC 4291, 2.5.5).
                plain = getattr(address, "ipv4_mapped", None) or address
                return any(plain in network for network in self.networks)
            case UNIXAddress():
                return self.unix
            case _:
                return False


def balancers(text: str) -> Balancers:
    """Read networks and the word C{unix}, with commas between them.

    @raises BadValue: with a sentence, if one of them is neither.
    """
    words = [word.strip() for word in text.split(",")]
    networks = tuple(_network(word) for word in words if word != "unix")
    return Balancers(networks, "unix" in words)


def _network(text: str) -> IPv4Network | IPv6Network:
    _, slash, bits = text.partition("/")
    try:
        if "%" in text or (slash and not (bits.isascii() and bits.isdigit())):
            raise ValueError
        network = ip_network(text, strict=False)
    except ValueError:
        raise BadValue(f"{text!r} is no address or network: {_EXAMPLE}.") from None
    if slash and ip_address(text.partition("/")[0]) != network.network_address:
        raise BadValue(f"{text!r} is an address within a network: write {network} for that.")
    return network
