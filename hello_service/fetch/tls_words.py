"""Why TLS failed, in a sentence that says what to do next."""

import os
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from OpenSSL.crypto import X509

_AUTHORITIES = (
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls",
    "/etc/pki/ca-trust",
)
"""Where systems keep the certificates of authorities: what pyOpenSSL looks for, or around it."""

_RUNS_IT = "tell whoever runs the server"


@dataclass(frozen=True)
class Advice:
    """What to do next, in the terms of who asked for TLS.

    @ivar plain: if the server does none.
    @ivar certificate: if the server wants a certificate from us.
    @ivar trust: how to trust an authority that the platform does not know.
    """

    plain: str
    certificate: str
    trust: str = "name the file of its authority's certificate in SSL_CERT_FILE"


FOR_HTTPS = Advice(
    "ask for http://, or for the port that does TLS",
    "it is not for everyone; from code, give RawAgent a policy_for_https that has one",
)


class Refusal(NamedTuple):
    """What the chain of certificates was refused for.

    @ivar code: of OpenSSL's C{X509_V_ERR_...}, which never change.
    @ivar depth: 0 for the server's own certificate, more for an authority's.
    """

    code: int
    depth: int
    certificate: "X509"


_UNKNOWN_ISSUER = (2, 20, 21)
_SELF_SIGNED = (18, 19)
_OTHERS = {
    23: "was revoked",
    24: "is no authority's, but signed another",
    25: "is too far from its authority",
    26: "is not one for servers",
    47: "is for a name that its authority may not certify",
    66: "has a key too small to be safe",
    67: "has a key too small to be safe",
    68: "is signed with a hash too weak to be safe",
}


def refusal_sentence(refusal: Refusal, trusted: str | None, advice: Advice) -> str:
    """Say what a certificate was refused for.

    @param trusted: the file or folder of the authorities, if not the platform's.
    """
    certificate = refusal.certificate.to_cryptography()
    whose = "the certificate"
    if refusal.depth:
        whose = f"the certificate of the authority {_short(certificate.subject.rfc4514_string())}"
    trust = _trust_advice(trusted, advice.trust)
    match refusal.code:
        case 9:
            since = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
            return f"{whose} is not valid before {since}: check this machine's clock, or {_RUNS_IT}"
        case 10:
            until = f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
            return f"{whose} expired on {until}: {_RUNS_IT}, or check this machine's clock"
        case code if code in _SELF_SIGNED:
            return f"{whose} is self-signed, and not trusted here: {trust}"
        case 7:
            issuer = _short(certificate.issuer.rfc4514_string())
            return (
                f"{whose} has a wrong signature, or is from another {issuer} than the one known"
                f" here: {trust}"
            )
        case code if code in _UNKNOWN_ISSUER and not _readable(certificate):
            return f"{whose} is malformed: {_RUNS_IT}"
        case code if code in _UNKNOWN_ISSUER:
            issuer = _short(certificate.issuer.rfc4514_string())
            return f"{whose} is from {issuer}, which is not trusted here: {trust}"
    what = _OTHERS.get(refusal.code, f"is not valid (X.509 error {refusal.code})")
    return f"{whose} {what}: {_RUNS_IT}"


def failure_sentence(
    error: BaseException | None, host: str, advice: Advice, accepted: bool = False
) -> str:
    """Say why the handshake failed, from what it failed with.

    @param accepted: whether the server's certificate was trusted before that.
    """
    text = _reason(error)
    if type(error).__name__ == "VerificationError":  # service_identity's, by Twisted's check
        return f"the certificate is not for {host!r}: check the name, or {_RUNS_IT}"
    if "certificate verify failed" in text:
        return f"the certificate is not one that the policy for https trusts: {_RUNS_IT}"
    if "wrong version number" in text:
        return f"the server does not speak TLS on this port: {advice.plain}"
    if "certificate required" in text or (accepted and "handshake failure" in text):
        return f"the server wants a certificate from its clients: {advice.certificate}"
    if any(each in text for each in _NOTHING_SHARED):
        return (
            "the server offers no version or cipher of TLS that is safe enough:"
            f" it needs TLS 1.2 or newer; {_RUNS_IT}"
        )
    if "unrecognized name" in text:
        return f"the server has no site called {host!r}: check the name"
    if " alert " in text:
        alert = text.partition(" alert ")[2]
        return f"the server broke off with the alert {alert!r}: look into its log"
    return f"what the server sent breaks the rules of TLS: try again, or {_RUNS_IT}"


_NOTHING_SHARED = (
    "handshake failure",
    "protocol version",
    "insufficient security",
    "unsupported protocol",
    "too small",
    "renegotiation disabled",
)


def _readable(certificate: "Certificate") -> bool:
    """OpenSSL finds no issuer for a certificate whose extensions it cannot read."""
    try:
        return bool(certificate.extensions)
    except ValueError:
        return False


def _reason(error: BaseException | None) -> str:
    """Return what OpenSSL says at last, in a list of (library, function, reason)."""
    match getattr(error, "args", ()):
        case ([*_, (_, _, str(text))],):
            return text
    return ""


def _short(name: str) -> str:
    return repr(name if len(name) <= 100 else f"{name[:100]}...")


def _trust_advice(trusted: str | None, advice: str) -> str:
    if trusted is not None:
        return f"put the authority's certificate into {trusted!r}, if you trust it"
    file, folders = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file is not None:
        return _file_advice(file)
    if folders is not None and not any(map(_holds_something, folders.split(os.pathsep))):
        return f"SSL_CERT_DIR names {folders!r}, where there are no certificates; correct it"
    if folders is None and not any(map(_holds_something, _AUTHORITIES)):
        return (
            "this machine has no list of authorities; install the package ca-certificates, or name"
            " a file of certificates in SSL_CERT_FILE"
        )
    return f"if you trust it, {advice}"


def _file_advice(file: str) -> str:
    named = f"SSL_CERT_FILE names {file!r}"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        with open(file, "rb"):
            context.load_verify_locations(file)
    except FileNotFoundError:
        return f"{named}, which does not exist; correct it"
    except ssl.SSLError as error:
        if error.reason == "NO_CERTIFICATE_OR_CRL_FOUND":
            return f"{named}, in which there is no certificate; put the authority's there, as PEM"
        return f"{named}, in which a certificate is damaged; put it there anew, as PEM"
    except OSError as error:
        return f"{named}, which cannot be read ({error.strerror}); correct that"
    return f"{named}, which does not have its authority; add it there, if you trust it"


def _holds_something(place: str) -> bool:
    try:
        return os.path.isfile(place) or bool(os.listdir(place))
    except OSError:
        return False
