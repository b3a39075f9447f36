"""Listening by TLS, with a certificate that can be renewed while the daemon runs."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from twisted.application.internet import TimerService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IListeningPort,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from zope.interface import implementer

from hello_service.daemon.reload import NotReloaded
from hello_service.daemon.tls_files import ServerTLS, TLSFiles, in_words

_AHEAD = timedelta(days=14)
_DAY = timedelta(days=1)
_HOUR = 3600.0


@implementer(IOpenSSLServerConnectionCreator)
class CertificateService(TimerService):
    """Gives each new connection the latest certificate that is of use, and warns of its end.

    @param files: absolute paths, for a daemon goes to another folder.
    @param check: seconds between looks at the files, at most; 0 is never.
    @raises ValueError: with a sentence, if a file is of no use. A certificate that is not valid
        now is served all the same, and complained about: to refuse would not help its clients.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, files: TLSFiles, check: float) -> None:
        super().__init__(min(check or _HOUR, _HOUR), self._look)  # type: ignore[no-untyped-call]
        self.clock = self._clock = clock
        self._files = files
        self._check = check
        self._state = files.state()
        self._tls = files.load()
        self._told: datetime | None = None

    @property
    def expires(self) -> datetime:
        """When the certificate that new connections get expires."""
        return self._tls.expires

    def startService(self) -> None:
        """Tell of the certificate, and watch it."""
        self._tell("Loaded")
        super().startService()  # type: ignore[no-untyped-call]

    def serverConnectionForTLS(self, tlsProtocol: object) -> Any:
        """Make the TLS of one connection."""
        from OpenSSL import SSL

        return SSL.Connection(self._tls.context)

    def endpoint(self, below: IStreamServerEndpoint) -> IStreamServerEndpoint:
        """Put TLS on an endpoint."""
        return _TLSEndpoint(self._clock, below, self)

    def reload(self) -> None:
        """Have new connections get what the files hold now.

        @raises NotReloaded: with a sentence, if that is of no use; all stays as it was.
        """
        self._state = self._files.state()
        try:
            self._tls = self._load_valid()
        except ValueError as error:
            raise NotReloaded(f"{error} The one before is still served.") from None
        self._told = None
        self._tell("Reloaded")

    def _load_valid(self) -> ServerTLS:
        loaded = self._files.load()
        try:
            loaded.check_dates(self._now())
        except ValueError as error:
            raise ValueError(f"--tls-certificate={self._files.certificate}: {error}") from None
        return loaded

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.seconds(), UTC)

    def _tell(self, done: str) -> None:
        self._log.info(
            "{done} tls certificate (valid until {until}).",
            event="certificate",
            done=done,
            until=in_words(self.expires),
            expires=self.expires.timestamp(),
        )

    def _look(self) -> None:
        if self._check and self._files.state() != self._state:
            try:
                self.reload()
            except NotReloaded as error:
                self._log.error("Cannot reload tls certificate: {why}",
                                event="kept", why=str(error))  # fmt: skip
        now = self._now()
        if self._told is None or now - self._told >= _DAY:
            self._warn(now)

    def _warn(self, now: datetime) -> None:
        left = self.expires - now
        try:
            self._tls.check_dates(now)
        except ValueError as error:
            why = str(error)
        else:
            if left > _AHEAD:
                return
            why = f"it expires on {in_words(self.expires)}, in {left.days} days: renew it."
        self._told = now
        self._log.warn(
            "The TLS certificate in {file}: {why}",
            event="expiry",
            file=self._files.certificate,
            why=why,
            days=left.days,
            expires=self.expires.timestamp(),
        )


@implementer(IStreamServerEndpoint)
class _TLSEndpoint:
    def __init__(
        self,
        clock: IReactorTime,
        below: IStreamServerEndpoint,
        creator: IOpenSSLServerConnectionCreator,
    ) -> None:
        self._clock = clock
        self._below = below
        self._creator = creator

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        from twisted.protocols.tls import TLSMemoryBIOFactory

        return self._below.listen(
            TLSMemoryBIOFactory(self._creator, False, protocolFactory, self._clock)
        )


def certificate_service(
    clock: IReactorTime,
    listens: bool,
    certificate: str | None,
    key: str | None,
    client_ca: str | None,
    check: float,
) -> CertificateService | None:
    """Make the service of what the options say, if they say something.

    @param listens: whether there is a place to listen on by TLS.
    @raises ValueError: with a sentence, if an option is missing or a file is of no use.
    """
    if certificate is None:
        if listens or key is not None or client_ca is not None:
            raise ValueError(
                "A certificate is missing, to listen by TLS: add --tls-certificate FILE, and"
                " --tls-key FILE unless the key is in the same file."
            )
        return None
    if not listens:
        raise ValueError(
            "--tls-certificate is given, but nothing listens by TLS: add --tls-port N, or"
            " FileDescriptorName=tls to the socket unit."
        )
    paths = [path and os.path.abspath(path) for path in (key, client_ca)]
    return CertificateService(clock, TLSFiles(os.path.abspath(certificate), *paths), check)
