import errno
import os
import socket

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.obstacles import Obstacle, Unusable, explain


def refused(number: int, host: str | None = "127.0.0.1", port: object = 80) -> CannotListenError:
    text = os.strerror(number) if number > 0 else "unknown"
    return CannotListenError(host, port, OSError(number, text))


class ExplainTests(SynchronousTestCase):
    def test_every_reason_not_to_listen(self) -> None:
        for error, obstacle, words in (
            (refused(errno.EADDRINUSE), Obstacle.IN_USE, ["127.0.0.1:80 is", "'sport = :80'"]),
            (refused(errno.EADDRINUSE, "::1"), Obstacle.IN_USE, ["[::1]:80 is", "'sport = :80'"]),
            (refused(errno.EADDRINUSE, ""), Obstacle.IN_USE, ["tcp:80 is in use by another"]),
            (refused(errno.EADDRINUSE, None, b"/h"), Obstacle.IN_USE, ["tcp:80", "ss -p -lx"]),
            (refused(errno.EADDRINUSE, None, "/h"), Obstacle.IN_USE, ["tcp:80", "ss -p -lx"]),
            (refused(errno.EACCES), Obstacle.NOT_ALLOWED, ["127.0.0.1:80", "CAP_NET_BIND_SERV"]),
            (refused(errno.EADDRNOTAVAIL), Obstacle.NOT_HERE, ["127.0.0.1:80", "ip address"]),
            (refused(socket.EAI_NONAME), Obstacle.NOT_HERE, ["127.0.0.1:80", "ip address"]),
            (refused(errno.EIO), Obstacle.OTHER, ["127.0.0.1:80", os.strerror(errno.EIO)]),
            (refused(errno.EIO, None, b"/h"), Obstacle.OTHER, ["tcp:80", os.strerror(errno.EIO)]),
            (Unusable("is red."), Obstacle.OTHER, ["tcp:80 is red."]),
            (OverflowError("It is too large."), Obstacle.OTHER, ["tcp:80: It is too large."]),
        ):
            found, sentence = explain("tcp:80", error)
            self.assertEqual(found, obstacle, sentence)
            self.assertRegex(sentence, r"\A[^\n]+[^.]\.\Z")
            for word in words:
                self.assertIn(word, sentence)


class CollisionTests(SynchronousTestCase):
    """Two places of one daemon."""

    def explain(
        self, host: str | None, ours: IAddress, place: str = "new", port: object = 80
    ) -> str:
        obstacle, sentence = explain(place, refused(errno.EADDRINUSE, host, port), [("old", ours)])
        self.assertEqual(obstacle, Obstacle.IN_USE)
        return sentence

    def test_both_families_and_one(self) -> None:
        sentence = self.explain("::", IPv4Address("TCP", "0.0.0.0", 80))
        self.assertIn("old and new collide", sentence)
        self.assertIn("new alone serves IPv4 and IPv6, so leave old out.", sentence)
        for host in ("", "127.0.0.1", "::1"):
            sentence = self.explain(host, IPv6Address("TCP", "::", 80))
            self.assertIn("old alone serves IPv4 and IPv6, so leave new out.", sentence)

    def test_the_same_twice(self) -> None:
        sentence = self.explain("127.0.0.1", IPv4Address("TCP", "127.0.0.1", 80), "old")
        self.assertIn("old is given to this daemon twice", sentence)

    def test_all_addresses_and_one(self) -> None:
        for host, other in (("", "127.0.0.1"), ("127.0.0.1", "0.0.0.0"), ("127.0.0.1", "")):
            sentence = self.explain(host, IPv4Address("TCP", other, 80))
            self.assertIn("old and new collide", sentence)
            self.assertIn("leave one of them out", sentence)

    def test_the_same_file(self) -> None:
        ours = UNIXAddress(os.fsencode(os.path.abspath("h.sock")))
        sentence = self.explain(None, ours, port=b"./h.sock")
        self.assertIn("old and new are the same file", sentence)

    def test_with_a_port_beside_its_own(self) -> None:
        file = UNIXAddress(os.fsencode(os.path.abspath("h.sock")))
        for error, ours, words in (
            (refused(errno.EADDRINUSE), IPv4Address("TCP", "0.0.0.0", 80), "by this daemon itself"),
            (refused(errno.EADDRINUSE, None), IPv6Address("TCP", "::", 80), "daemon itself, which"),
            (refused(errno.EADDRINUSE, None, b"h.sock"), file, "listens on old already: let one"),
            (refused(errno.EADDRINUSE), IPv4Address("TCP", "0.0.0.0", 81), "another program"),
            (refused(errno.EADDRINUSE, None, b"x.sock"), file, "a server answers there"),
            (refused(errno.EADDRINUSE, None, b"h.sock"), IPv4Address("TCP", "::", 80), "answers"),
            (refused(errno.EACCES), IPv4Address("TCP", "0.0.0.0", 80), "takes a right"),
        ):
            _, sentence = explain("new", error, beside=[("old", ours)])
            self.assertIn(words, sentence)

    def test_what_does_not_collide(self) -> None:
        for host, ours in (
            ("127.0.0.1", IPv4Address("TCP", "127.0.0.1", 81)),
            ("127.0.0.1", IPv4Address("TCP", "127.0.0.2", 80)),
            ("", IPv6Address("TCP", "::1", 80)),
            ("::1", IPv4Address("TCP", "0.0.0.0", 80)),
            ("127.0.0.1", UNIXAddress(b"h.sock")),
        ):
            self.assertIn("another program", self.explain(host, ours))
        for other in (UNIXAddress(b"other.sock"), UNIXAddress(None), IPv4Address("TCP", "::", 1)):
            self.assertIn("ss -p -lx", self.explain(None, other, port=b"h.sock"))
