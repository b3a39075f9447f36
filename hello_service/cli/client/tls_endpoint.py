"""The endpoint C{tls:HOST:PORT} of hello-client, with the checks and the words of https.

It takes the place of Twisted's, which accepts a certificate whose names it cannot read, and which
is connected before the handshake.
"""

import re
from functools import partial
from pathlib import Path
from typing import Any, cast

from twisted.internet.endpoints import HostnameEndpoint, clientFromString
from twisted.internet.interfaces import IStreamClientEndpoint

from hello_service.cli.client.secured import SecuredEndpoint
from hello_service.cli.trouble import Trouble, TroubleError
from hello_service.fetch.request import InvalidRequest, NoTLS, ascii_name
from hello_service.fetch.tls import tls_host
from hello_service.fetch.tls_words import Advice
from hello_service.fetch.trust import OwnHandshake
from hello_service.values import BadValue, positive_seconds

_PARTS = ("host", "port", "timeout", "bindAddress", "certificate", "privateKey", "trustRoots",
          "endpoint")  # fmt: skip
"""What Twisted's C{tls:} takes, in its order."""


def tls_endpoint(reactor: Any, description: str) -> IStreamClientEndpoint:
    """Make the endpoint that C{tls:...} describes.

    @raises BadValue: if it describes none, or names a file that is not as it should be.
    @raises TroubleError: if no certificate can be for that host, or the extra is not installed.
    """
    advice = Advice(
        f"leave TLS out, with tcp: in place of {description.partition(':')[0]}:",
        "add certificate=FILE and privateKey=FILE to the endpoint",
    )
    try:
        given = _parts(description)
        host = ascii_name(given["host"])
        below = _below(reactor, host, given)
        handshake = partial(OwnHandshake, tls_host(host), advice, given.get("trustRoots"))
        handshake()  # can there be TLS at all?
        handshake = partial(handshake, **_trust(given), **_own(given))
    except NoTLS as error:
        raise TroubleError(Trouble.TLS, f"{error}.") from None
    except InvalidRequest:
        raise _bad(description, f"{given['host']!r} is not a host name") from None
    except KeyError as error:
        raise _bad(description, f"it has no {error.args[0]}") from None
    except OSError as error:
        what = f"{str(error.filename)!r} cannot be read ({error.strerror})"
        raise _bad(description, what) from None
    except (ValueError, BadValue) as error:
        raise _bad(description, str(error).rstrip(".")) from None
    return SecuredEndpoint(description, below, handshake)


def _bad(description: str, why: str) -> BadValue:
    return BadValue(f"{description!r} is not an endpoint: {why}: write one like tls:HOST:9999.")


def _parts(description: str) -> dict[str, str]:
    r"""Take a description apart at its colons and C{=}, but for those after C{\}."""
    given: dict[str, str] = {}
    _, *fields = re.findall(r"(?:^|:)((?:[^\\:]|\\.?)*)", description, re.DOTALL)
    if len(fields) > len(_PARTS):
        raise ValueError("it has too many parts, put \\ before a colon within one")
    for name, field in zip(_PARTS, fields, strict=False):
        named = re.match(r"(\w+)=(.*)", field, re.DOTALL)
        key, value = named.groups() if named else (name, field)
        if key not in _PARTS:
            raise ValueError(f"{key!r} is none of {', '.join(_PARTS)}")
        given[key] = re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
    return {key: value for key, value in given.items() if value}


def _below(reactor: Any, host: str, given: dict[str, str]) -> IStreamClientEndpoint:
    if "endpoint" in given:
        try:
            return cast(IStreamClientEndpoint, clientFromString(reactor, given["endpoint"]))
        except Exception:  # endpoints may fail with anything
            raise ValueError(f"{given['endpoint']!r} is none below TLS") from None
    port, timeout = given["port"], given.get("timeout", "30")
    if not re.fullmatch("[0-9]{1,5}", port):
        raise ValueError(f"{port!r} is not a port, put \\ before each colon of an IPv6 address")
    bind = (given["bindAddress"], 0) if "bindAddress" in given else None
    return HostnameEndpoint(reactor, host, int(port), positive_seconds(timeout), bind)


def _trust(given: dict[str, str]) -> dict[str, Any]:
    """Trust the certificates in a folder's C{.pem} files, one each, if there is one."""
    if "trustRoots" not in given:
        return {}
    from OpenSSL.crypto import Error
    from twisted.internet.ssl import Certificate, trustRootFromCertificates

    folder = Path(given["trustRoots"])
    try:
        roots = [Certificate.loadPEM(file.read_bytes()) for file in folder.iterdir()
                 if file.suffix.lower() == ".pem"]  # fmt: skip
    except Error:
        raise ValueError(f"not every .pem in {str(folder)!r} has a certificate") from None
    return {"trustRoot": trustRootFromCertificates(roots)}


def _own(given: dict[str, str]) -> dict[str, Any]:
    """Show a certificate of ours, if there is one."""
    if "certificate" not in given:
        return {}
    from twisted.internet.ssl import PrivateCertificate

    files = [Path(given[name]) for name in ("certificate", "privateKey") if name in given]
    data = b"\n".join(file.read_bytes() for file in files)
    try:
        own = PrivateCertificate.loadPEM(data)
    except Exception:  # OpenSSL's and Twisted's errors have no base of their own
        raise ValueError(
            f"{' and '.join(map(repr, map(str, files)))} is not a certificate with its key, as PEM"
        ) from None
    return {"privateKey": own.privateKey.original, "certificate": own.original}
