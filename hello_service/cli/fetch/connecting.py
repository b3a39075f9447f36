"""Where connections go and whom they trust, as the options say."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from hello_service.cli.fetch.options import Options
from hello_service.cli.trouble import Trouble, TroubleError
from hello_service.fetch.authorities import BadAuthorities
from hello_service.fetch.exchange import Settings
from hello_service.fetch.request import NoTLS, Place
from hello_service.fetch.tls_words import FOR_HTTPS
from hello_service.fetch.trust import HandshakeWith, OwnHandshake, UncheckedHandshake, trusting
from hello_service.fetch.way import Way
from hello_service.fetch.wire import Observer
from hello_service.values import BadValue

INSECURE = (
    "--insecure: no certificate is checked, so that anyone on the way can read and change what is"
    " sent and received."
)

_ADVICE = replace(FOR_HTTPS, trust="give the file of its authority's certificate to --cacert")

_CHANGES = ("connect_to", "unix_socket", "proxy_header")
"""The options that change the way."""


class Ways:
    """The ways to the hosts that a command asks.

    What changes the way is meant for the host that the user has named: to another, where a
    redirect may lead, the way is the usual one. An option that names a port, or a socket, is meant
    for the URL's port alone.
    """

    def __init__(self, options: Options, hint: Callable[[str], None]) -> None:
        """
        @param hint: is told, in a sentence, that a connection is made without the options.
        """
        self._options = options
        self._hint = hint

    def __call__(self, host: str, port: int) -> Way:
        options = self._options
        changes = [name for name in _CHANGES if getattr(options, name) is not None]
        if changes and not self._is_meant(host, port):
            flags = " and ".join(f"--{name.replace('_', '-')}" for name in changes)
            self._hint(
                f"the connection to {Way(host, port)} is made without {flags}, meant for"
                f" {self._meant()} alone."
            )
        return self.way(host, port)

    def way(self, host: str, port: int) -> Way:
        """Return the way to a host and port of a URL."""
        options = self._options
        if not self._is_meant(host, port):
            return Way(host, port)
        to, to_port = options.connect_to or (host, None)
        return Way(to, to_port or port, options.unix_socket, options.proxy_header)

    @property
    def _one_port(self) -> bool:
        options = self._options
        return options.unix_socket is not None or bool(options.connect_to and options.connect_to[1])

    def _is_meant(self, host: str, port: int) -> bool:
        place = self._options.place
        return _same(host, place.host) and (port == place.port or not self._one_port)

    def _meant(self) -> str:
        place = self._options.place
        return str(Way(place.host, place.port)) if self._one_port else place.host


def _same(one: str, other: str) -> bool:
    return one.lower().removesuffix(".") == other.lower().removesuffix(".")


def settings_of(options: Options, ways: Ways, observer: Observer) -> Settings:
    """Return what the agent is told.

    @raises BadValue: if the file of --cacert has nobody to trust.
    @raises TroubleError: if it is given, and the extra for TLS is not installed.
    """
    return Settings(
        connect_timeout=options.timeout,
        read_timeout=options.timeout,
        max_size=options.max_size,
        family=options.family,
        way_to=ways,
        handshake_with=_handshake_with(options),
        keep_framing=options.raw,
        observer=observer,
    )


def _handshake_with(options: Options) -> HandshakeWith:
    if options.insecure:
        return UncheckedHandshake
    if options.cacert is None:
        return partial(OwnHandshake, advice=_ADVICE)
    try:
        return trusting(options.cacert)
    except BadAuthorities as error:
        raise BadValue(f"--cacert: {error}.") from None
    except NoTLS as error:
        raise TroubleError(Trouble.TLS, f"{error}.") from None


def ignored_proxy(place: Place) -> str:
    """Say that a proxy is named in the environment, if one is for this place.

    @return: a sentence, or nothing.
    """
    names = [f"{scheme}_proxy" for scheme in (place.scheme, "all")]
    names = [each for name in names for each in (name, name.upper()) if os.environ.get(each)]
    if not names:
        return ""
    from urllib.request import proxy_bypass

    if proxy_bypass(f"{place.host}:{place.port}"):
        return ""
    return f"{names[0]} in the environment is ignored: the connection goes through no proxy."
