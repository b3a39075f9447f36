"""The files of keys and certificates that an endpoint string names, looked at before their use."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography import x509
    from OpenSSL import SSL

_READING = {
    errno.ENOENT: "is not there: check the path",
    errno.EISDIR: "is a folder: name a file",
    errno.EACCES: "may not be read by this user: check its permissions and its folder's",
}


def check_key_files(parts: dict[str, str]) -> None:
    """See that the files of an C{ssl:} endpoint are there, are of use, and fit each other.

    @param parts: the values of the endpoint string by their names.
    @raises ValueError: with a sentence that names the file.
    """
    from OpenSSL import SSL

    key = f"privateKey={parts.get('privateKey', 'server.pem')}"
    certificate = f"certKey={parts['certKey']}" if "certKey" in parts else key
    context = SSL.Context(SSL.TLS_METHOD)
    load_pair(context, certificate, key)
    if "extraCertChain" in parts:
        read_certificates(f"extraCertChain={parts['extraCertChain']}")
    if "dhParameters" in parts:
        parameters = f"dhParameters={parts['dhParameters']}"
        _read(parameters)
        with _reason(
            f"{parameters} has no parameters in it that can be read: leave it out, or make them by"
            " `openssl dhparam -out NEW 2048`."
        ):
            context.load_tmp_dh(_path(parameters).encode())


def load_pair(context: "SSL.Context", certificate: str, key: str) -> "x509.Certificate":
    """Give a context a certificate with those that lead from it to an authority, and its key.

    @param certificate: C{NAME=PATH}, as messages have it, and C{key} likewise.
    @return: the certificate.
    @raises ValueError: with a sentence that names the file that is of no use.
    """
    own, *others = read_certificates(certificate)
    private = _read_key(key)
    with _reason(
        f"{certificate} has a certificate that TLS does not take, for its key is too short or its"
        " kind too old: make a new one."
    ):
        context.use_certificate(own)
    with _reason(
        f"{key} is not the key of the certificate in {certificate}: name the two that were made"
        " together."
    ):
        context.use_privatekey(private)
    with _reason(f"{certificate} has a chain that TLS does not take: have it issued anew."):
        for other in others:
            context.add_extra_chain_cert(other)
    return own


def check_key_folder(path: str) -> None:
    """See that the folder of a C{tls:} endpoint has files in it that end in .pem.

    @raises ValueError: with a sentence that names it.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise ValueError(
            f"path={path} is not a folder: name one with the keys and certificates as .pem files."
        )
    for file in folder.glob("*.pem"):
        _read(f"path={file}")
        return
    raise ValueError(
        f"path={path} has no file whose name ends in .pem: put the keys and certificates there."
    )


def _path(name: str) -> str:
    return name.partition("=")[2]


@contextmanager
def _reason(sentence: str) -> Iterator[None]:
    """Say why OpenSSL does not take what it is given."""
    from OpenSSL import SSL

    try:
        yield
    except (SSL.Error, TypeError):  # a kind of key that is none for TLS, X25519 say
        raise ValueError(sentence) from None


def _read(name: str) -> bytes:
    try:
        return Path(_path(name)).read_bytes()
    except OSError as error:
        why = _READING.get(error.errno or 0) or f"cannot be read: {error.strerror}"
        raise ValueError(f"{name} {why}.") from None


def read_certificates(name: str) -> "list[x509.Certificate]":
    """Read the certificates of a PEM file, at least one.

    @param name: C{NAME=PATH}, as messages have it.
    @raises ValueError: with a sentence.
    """
    from cryptography.x509 import load_pem_x509_certificates

    data = _read(name)
    try:
        return load_pem_x509_certificates(data)
    except ValueError:
        raise ValueError(
            f"{name} has no certificate in it that can be read: it takes one in PEM form, which"
            " begins with -----BEGIN CERTIFICATE-----."
        ) from None


def _read_key(name: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = _read(name)
    try:
        return load_pem_private_key(data, None)
    except TypeError:
        raise ValueError(
            f"{name} is encrypted, and the daemon has nobody to ask for its password: store it"
            " without one, `openssl pkey -in KEY -out NEW`."
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(
            f"{name} has no private key in it that can be read: it takes one in PEM form, which"
            " begins with -----BEGIN PRIVATE KEY-----."
        ) from None
