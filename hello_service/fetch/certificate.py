"""Is a certificate for a host? RFC 9525, as https has it (RFC 9110, section 4.3.4); no I/O."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_LABEL = r"[a-z0-9_-]{1,63}"
_PATTERN = re.compile(rf"(?:\*\.{_LABEL}\.)?{_LABEL}(?:\.{_LABEL})*")
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")

_NO_HOST = "the certificate names no host: have it issued anew, with the host's name in it"

SHOWN = 3
"""Names of a certificate that a message lists."""


def address(host: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address that a host is written as, or C{None} for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def is_number(host: str) -> bool:
    """Return whether a name ends in a number: resolvers take C{0x7f.1} for an address."""
    return bool(_NUMBER.fullmatch(host.lower())) and address(host) is None


def names_fault(certificate: "Certificate", host: str) -> str | None:
    """Say why a certificate is not the host's, and what to do; C{None} if it is.

    Only subjectAltName counts. A wildcard stands for the whole first label, never for an address.
    A malformed name matches nothing, but does not spoil a good one beside it.

    @param host: a name in ASCII without a trailing dot, or an address without brackets.
    @raises Exception: if the names of the certificate cannot be read.
    """
    from cryptography.x509 import DNSName, ExtensionNotFound, IPAddress, SubjectAlternativeName

    try:
        names = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound:
        return _NO_HOST
    patterns = names.get_values_for_type(DNSName)
    addresses = names.get_values_for_type(IPAddress)
    if address(host) in addresses or any(_matches(each, host) for each in patterns):
        return None
    form = " as an IP address" if address(host) else ""
    malformed = [each for each in patterns if not _well_formed(each)]
    if malformed:
        return (
            f"the certificate is malformed, it gives {malformed[0][:100]!r} as a DNS name:"
            f" have it issued anew, with {host!r} in it{form}"
        )
    if not patterns and not addresses:
        return _NO_HOST
    found = [*patterns, *map(str, addresses)]
    listed = " and ".join(map(repr, found[:SHOWN]))
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return (
        f"the certificate is for {listed}{more}, not for {host!r}: use a name that it has, or have"
        " it issued anew"
    )


def _well_formed(pattern: str) -> bool:
    lowered = pattern.lower()
    return bool(_PATTERN.fullmatch(lowered)) and not _NUMBER.fullmatch(lowered)


def _matches(pattern: str, host: str) -> bool:
    if not _well_formed(pattern):
        return False
    pattern, host = pattern.lower(), host.lower()
    if pattern.startswith("*."):
        return pattern[1:] == host[len(host.partition(".")[0]) :]
    return pattern == host
