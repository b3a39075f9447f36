"""The files of a TLS server, from their paths to what its connections are made with."""

import os
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hello_service.daemon.key_files import load_pair, read_certificates

if TYPE_CHECKING:
    from OpenSSL import SSL

_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2: forward secret and authenticated, all


@dataclass(frozen=True)
class ServerTLS:
    """What connections are made with, and when its certificate begins and ends, in UTC."""

    context: "SSL.Context"
    begins: datetime
    expires: datetime

    def check_dates(self, now: datetime) -> None:
        """See that the certificate is valid now.

        @raises ValueError: with a sentence, if it is not.
        """
        if now >= self.expires:
            raise ValueError(
                f"it expired on {in_words(self.expires)}, so clients refuse it: renew it."
            )
        if now < self.begins:
            raise ValueError(
                f"it is not valid before {in_words(self.begins)}, so clients refuse it: check the"
                " clock of this machine, or wait."
            )


def in_words(moment: datetime) -> str:
    """Write a moment, in UTC, for people."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True)
class TLSFiles:
    """The paths of PEM files.

    @ivar certificate: the server's certificate, and behind it those that lead to an authority.
    @ivar key: its key, if that is not in the same file.
    @ivar client_ca: the authorities that sign clients' certificates, if clients must have one.
    """

    certificate: str
    key: str | None = None
    client_ca: str | None = None

    def state(self) -> list[tuple[int, int, int] | None]:
        """Return what differs if a file has been written or replaced."""
        paths = [self.certificate, self.key, self.client_ca]
        return [_state(path) for path in paths if path is not None]

    def load(self) -> ServerTLS:
        """Read all files; dates are not checked.

        @raises ValueError: with a sentence about the file that is of no use.
        """
        try:
            from OpenSSL import SSL, crypto
        except ImportError:
            raise ValueError(
                "--tls-certificate needs TLS: `pip install 'twisted[tls]'` brings it."
            ) from None
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_cipher_list(_CIPHERS)
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.set_session_id(b"daemon")  # without it, none that asks for certificates resumes
        certificate = f"--tls-certificate={self.certificate}"
        key = f"--tls-key={self.key}" if self.key else f"--tls-key is not given, and {certificate}"
        own = load_pair(context, certificate, key)
        if self.client_ca is not None:
            store: Any = context.get_cert_store()
            for authority in read_certificates(f"--tls-client-ca={self.client_ca}"):
                store.add_cert(crypto.X509.from_cryptography(authority))
                context.add_client_ca(authority)
            context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
        return ServerTLS(context, own.not_valid_before_utc, own.not_valid_after_utc)


def _state(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
