"""Tests of L{hello_service.fetch.certificate}: whose a certificate is."""

from ipaddress import ip_address

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from hello_service.fetch.certificate import names_fault
from tests.certificates import issue

GOOD: list[tuple[str, list[x509.GeneralName]]] = [
    ("a.example", [x509.DNSName("a.example")]),
    ("A.Example", [x509.DNSName("a.example")]),
    ("a.example", [x509.DNSName("A.EXAMPLE")]),
    ("a.example.", [x509.DNSName("a.example")]),
    ("a.example", [x509.DNSName("b.example"), x509.DNSName("a.example")]),
    ("a.b.example", [x509.DNSName("*.b.example")]),
    ("localhost", [x509.DNSName("localhost")]),
    ("bücher.example", [x509.DNSName("xn--bcher-kva.example")]),
    ("bücher.b.example", [x509.DNSName("*.b.example")]),
    ("r3---sn-a.b.example", [x509.DNSName("*.b.example")]),
    ("a_b.example", [x509.DNSName("a_b.example")]),
    ("127.0.0.1", [x509.IPAddress(ip_address("127.0.0.1"))]),
    ("a.example", [x509.DNSName("*.*.x"), x509.DNSName("a.example")]),
    ("a.example", [x509.UniformResourceIdentifier("urn:a:b"), x509.DNSName("a.example")]),
]
"""Hosts, and the names of certificates that are theirs."""

BAD: list[tuple[str, list[x509.GeneralName], str]] = [
    ("a.example", [x509.DNSName("b.example")], "is for 'b.example', not for 'a.example'"),
    ("a.example.", [x509.DNSName("b.example")], "not for 'a.example'"),
    ("a.example", [x509.DNSName("a.example.evil.example")], "not for 'a.example'"),
    ("a.example", [x509.DNSName("example")], "not for 'a.example'"),
    ("a.example", [x509.RFC822Name("me@a.example")], "names no host"),
    ("a.example", [x509.UniformResourceIdentifier("https://a.example/")], "names no host"),
    ("a.example", [x509.UniformResourceIdentifier("urn:a:b")], "names no host"),
    ("a.example", [x509.DirectoryName(x509.Name([]))], "names no host"),
    ("a.example", [x509.UniformResourceIdentifier("a:b:c"), x509.DNSName("b.example")], "not for"),
    ("a.b.example", [x509.DNSName("*.*.example")], "malformed, it gives '*.*.example'"),
    ("a.b.example", [x509.DNSName("*")], "malformed, it gives '*' as"),
    ("a.example", [x509.DNSName("*.example")], "malformed, it gives '*.example'"),
    ("a.b.example", [x509.DNSName("a*.b.example")], "malformed"),
    ("a.b.example", [x509.DNSName("a.*.example")], "malformed"),
    ("a.example", [x509.DNSName("a.example\0.evil.example")], r"'a.example\x00.evil.example'"),
    ("a.example", [x509.DNSName("\x1b[2Ja.example")], r"'\x1b[2Ja.example'"),
    ("a.example", [x509.DNSName(" a.example")], "malformed"),
    ("a.example", [x509.DNSName("")], "malformed"),
    ("a.example", [x509.DNSName("a.example.")], "malformed"),
    ("a.example", [x509.DNSName("a..example")], "malformed"),
    ("bücher.example", [x509.DNSName("xn--bücher.example".encode().decode("ascii", "replace")
                                     .replace("\ufffd", "?"))], "malformed"),
    ("a.b.example", [x509.DNSName("*.a.b.example")], "not for 'a.b.example'"),
    ("b.example.x", [x509.DNSName("*.b.example.x")], "not for 'b.example.x'"),
    ("a.a.b.example", [x509.DNSName("*.b.example")], "not for 'a.a.b.example'"),
    ("127.0.0.1", [x509.DNSName("127.0.0.1")], "malformed, it gives '127.0.0.1' as a DNS name:"
     " have it issued anew, with '127.0.0.1' in it as an IP address"),
    ("127.0.0.1", [x509.DNSName("*.0.0.1")], "malformed"),
    ("127.0.0.1", [x509.IPAddress(ip_address("127.0.0.2"))], "is for '127.0.0.2', not for '127."),
    ("127.0.0.1", [x509.IPAddress(ip_address("::ffff:127.0.0.1"))], "not for '127.0.0.1'"),
    ("127.0.0.1", [x509.DNSName("localhost")], "is for 'localhost', not for '127.0.0.1'"),
    ("localhost", [x509.IPAddress(ip_address("127.0.0.1"))], "is for '127.0.0.1', not for 'loc"),
    ("a.example", [x509.DNSName(f"{n}.example") for n in "bcdef"],
     "for 'b.example' and 'c.example' and 'd.example' and 2 more, not for 'a.example'"),
]  # fmt: skip
"""Hosts, the names of certificates that are not theirs, and what is said."""


class NamesTests(SynchronousTestCase):
    """Whose a certificate is, without a connection."""

    def setUp(self) -> None:
        self.key = issue(None).key

    def fault(self, names: x509.ExtensionType | None, host: str) -> str | None:
        return names_fault(issue(names, key=self.key).certificate, host)

    def test_theirs(self) -> None:
        """A name of the certificate is the host's."""
        for host, names in GOOD:
            ascii_host = host.encode("idna").decode().rstrip(".")
            self.assertIsNone(self.fault(x509.SubjectAlternativeName(names), ascii_host), host)

    def test_not_theirs(self) -> None:
        """No name of the certificate is the host's."""
        for host, names, said in BAD:
            ascii_host = host.encode("idna").decode().rstrip(".")
            fault = self.fault(x509.SubjectAlternativeName(names), ascii_host)
            self.assertIn(said, fault or "", host)
            self.assertTrue((fault or "").isprintable())

    def test_none(self) -> None:
        """A certificate without names is nobody's, whatever its subject says."""
        certificate = issue(None, key=self.key, common_name="a.example").certificate
        self.assertIn("the certificate names no host", names_fault(certificate, "a.example") or "")

    def test_ipv6(self) -> None:
        """An IPv6 address is compared as a number."""
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("2001:db8::1"))])
        self.assertIsNone(self.fault(names, "2001:DB8:0::1"))
        self.assertIn("not for '2001:db8::2'", self.fault(names, "2001:db8::2") or "")
