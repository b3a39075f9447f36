import errno

from twisted.internet import defer, error
from twisted.trial.unittest import SynchronousTestCase

from hello_service.cli.trouble import Trouble, connect_trouble


class ConnectTroubleTests(SynchronousTestCase):
    def test_every_kind(self) -> None:
        for failure, trouble in (
            (error.DNSLookupError(), Trouble.DNS),
            (error.UnknownHostError(), Trouble.DNS),
            (ValueError("invalid hostname"), Trouble.DNS),
            (error.TimeoutError(), Trouble.TIMEOUT),
            (error.TCPTimedOutError(), Trouble.TIMEOUT),
            (defer.TimeoutError(), Trouble.TIMEOUT),
            (error.ConnectionRefusedError(), Trouble.REFUSED),
            (error.ConnectError(errno.ENOENT, "No such file"), Trouble.REFUSED),
            (error.ConnectError(errno.ECONNRESET, "Reset"), Trouble.RESET),
            (error.NoRouteError(), Trouble.UNREACHABLE),
            (error.ConnectError(errno.EACCES, "Denied"), Trouble.UNREACHABLE),
            (error.ConnectError(errno.EMFILE, "Too many"), Trouble.UNREACHABLE),
            (OSError(errno.ENFILE, "Too many"), Trouble.UNREACHABLE),
            (OverflowError("port"), Trouble.UNREACHABLE),
        ):
            told = connect_trouble(failure, "server:9999", 5)
            self.assertIs(told.trouble, trouble, repr(failure))
            self.assertTrue(str(told).startswith(f"{trouble.name}: server:9999"))
            self.assertTrue(str(told).endswith(f". See docs/errors.md#{trouble.name.lower()}."))

    def test_reason(self) -> None:
        """The reason is the system's, without the words that Twisted puts around it."""
        for failure, reason in (
            (error.NoRouteError(errno.ENETUNREACH, "x"), "(Network is unreachable): check"),
            (error.ConnectError(errno.EACCES, "x"), "(Permission denied): check"),
            (error.NoRouteError(), "(No route to host): check"),
        ):
            self.assertIn(reason, str(connect_trouble(failure, "h:1", 5)))

    def test_few_descriptors(self) -> None:
        for code in (errno.EMFILE, errno.ENFILE):
            for failure in (error.ConnectError(code, "Too many"), OSError(code, "Too many")):
                self.assertIn("ulimit -n 64", str(connect_trouble(failure, "h:1", 5)))

    def test_statuses_are_a_contract(self) -> None:
        self.assertEqual(
            {trouble.name: trouble.value for trouble in Trouble},
            {
                "DNS": 3,
                "REFUSED": 4,
                "UNREACHABLE": 5,
                "TIMEOUT": 6,
                "RESET": 7,
                "PROTOCOL": 8,
                "TLS": 9,
                "STATUS": 10,
                "FILE": 11,
                "SIZE": 12,
            },
        )
