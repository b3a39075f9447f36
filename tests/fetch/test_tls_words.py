"""Tests of L{hello_service.fetch.tls_words}: sentences for what no test server does."""

from OpenSSL import SSL
from OpenSSL.crypto import X509
from service_identity import VerificationError
from twisted.trial.unittest import SynchronousTestCase

from hello_service.fetch.tls_words import FOR_HTTPS, Refusal, failure_sentence, refusal_sentence
from tests.certificates import issue


class WordsTests(SynchronousTestCase):
    """Sentences for what no test server does."""

    def setUp(self) -> None:
        issued = issue(None, authority=True, common_name=f"{'x' * 60}/{'y' * 60}")
        self.certificate = X509.from_cryptography(issued.certificate)

    def refusal(self, code: int, depth: int = 0) -> str:
        return refusal_sentence(Refusal(code, depth, self.certificate), "/roots", FOR_HTTPS)

    def test_codes(self) -> None:
        """Each has its own sentence, and one remains for the others."""
        said = {self.refusal(code) for code in (2, 7, 9, 10, 18, 23, 24, 25, 26, 47, 66, 68, 99)}
        self.assertEqual(len(said), 13)
        for sentence in said:
            self.assertRegex(sentence, r"\Athe certificate .*: .*")
        self.assertIn("X.509 error 99", self.refusal(99))
        self.assertIn("put the authority's certificate into '/roots'", self.refusal(20))

    def test_authority(self) -> None:
        """The authority's own certificate can be the one that is refused; names are cut."""
        said = self.refusal(10, depth=1)
        self.assertIn(
            f"the certificate of the authority 'CN={'y' * 60},CN={'x' * 33}...' expired on", said
        )

    def test_twisteds_check(self) -> None:
        """A policy of the caller's that finds the name to be wrong."""
        said = failure_sentence(VerificationError(errors=[]), "a.example", FOR_HTTPS)
        self.assertIn("the certificate is not for 'a.example'", said)

    def test_last_reason(self) -> None:
        """OpenSSL says first what it found in the certificate, at last what follows from that."""
        error = SSL.Error(
            [("X509 V3 routines", "", "invalid certificate"),
             ("SSL routines", "", "certificate verify failed")]
        )  # fmt: skip
        said = failure_sentence(error, "a.example", FOR_HTTPS)
        self.assertIn("not one that the policy for https trusts", said)

    def test_anything(self) -> None:
        """An error that has nothing of OpenSSL's."""
        for error in (None, SSL.Error(), SSL.Error([]), ValueError("a")):
            self.assertIn("rules of TLS", failure_sentence(error, "a.example", FOR_HTTPS))
