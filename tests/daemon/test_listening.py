import errno
import os
import socket
import sys
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hello_service.daemon.listening import (
    MAXIMUM_BACKLOG,
    CannotListen,
    ListeningService,
    server_endpoint,
)
from tests.processes import run


@implementer(IStreamServerEndpoint)
class SlowEndpoint:
    """Listens when the test says so."""

    def __init__(self) -> None:
        self.outcome: Deferred[IListeningPort] = Deferred()
        self.attempts = 0

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        self.attempts += 1
        return self.outcome


class ServerEndpointTests(SynchronousTestCase):
    def backlog(self, description: str, *backlog: int) -> int:
        reactor = MemoryReactor()
        server_endpoint(reactor, description, *backlog).listen(Factory())
        found: int = (reactor.tcpServers + reactor.unixServers)[0][2]
        return found

    def test_backlog(self) -> None:
        self.assertEqual(self.backlog("tcp:9999"), MAXIMUM_BACKLOG)
        self.assertEqual(self.backlog("tcp:9999", 7), 7)
        self.assertEqual(self.backlog("unix:/run/hello", 7), 7)

    def test_its_own_backlog_wins(self) -> None:
        self.assertEqual(self.backlog("tcp:9999:backlog=5", 7), 5)
        self.assertEqual(self.backlog("tcp:9999:127.0.0.1:5", 7), 5)

    def assert_wrong(self, description: str, *words: str) -> None:
        sentence = str(self.assertRaises(ValueError, server_endpoint, None, description))
        for word in (repr(description), *words):
            self.assertIn(word, sentence)

    def test_what_is_not_an_endpoint(self) -> None:
        for description in ("", "9999", "tcp", "tcp:http", "nosuch:1", "tcp:1:nosuch=1", "tcp:1:="):
            self.assert_wrong(description, "tcp:9999", "unix:")

    def test_tls_without_its_extra(self) -> None:
        for kind in ("ssl", "tls"):
            told = run(
                sys.executable,
                "-c",
                "import sys; sys.modules['OpenSSL'] = None\n"
                "from hello_service.daemon.listening import server_endpoint\n"
                "try: server_endpoint(None, sys.argv[1])\n"
                "except ValueError as error: print(error)",
                f"{kind}:443",
            )
            self.assertIn("pip install 'twisted[tls]'", told.stdout, told.stderr)

    def test_a_missing_systemd_socket(self) -> None:
        for description in ("systemd:domain=INET:index=7", "systemd:domain=INET:name=hello"):
            self.assert_wrong(description, "systemd-socket-activate")


class ListeningServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactor()
        self.failures: list[CannotListen] = []
        self.ports: list[IListeningPort] = []

    def service(self, **endpoints: IStreamServerEndpoint) -> ListeningService:
        return ListeningService(
            list(endpoints.items()), Factory(), self.ports.append, failed=self.failures.append
        )

    def test_listens_on_every_endpoint(self) -> None:
        service = self.service(
            a=server_endpoint(self.reactor, "tcp:80"), b=server_endpoint(self.reactor, "tcp:81")
        )
        service.privilegedStartService()
        self.assertEqual([server[0] for server in self.reactor.tcpServers], [80, 81])
        self.assertEqual(len(self.ports), 2)
        service.startService()
        self.assertEqual(len(self.ports), 2)
        self.assertTrue(service.running)

    def test_stops_listening_and_starts_again(self) -> None:
        service = self.service(a=server_endpoint(self.reactor, "tcp:80"))
        service.startService()
        self.successResultOf(service.stopService())
        self.assertFalse(service.running)
        self.assertEqual(len(self.ports), 1)
        service.startService()
        self.assertEqual(len(self.ports), 2)

    def test_pauses_and_resumes(self) -> None:
        told: list[str] = []

        class Port:
            def stopReading(self) -> None:
                told.append("stop")

            def startReading(self) -> None:
                told.append("start")

        endpoint = SlowEndpoint()
        service = self.service(a=endpoint)
        service.startService()
        service.pause()
        self.assertEqual(told, [])
        endpoint.outcome.callback(cast(IListeningPort, Port()))
        service.pause()
        service.resume()
        self.assertEqual(told, ["stop", "start"])

    def test_one_that_cannot_stop_keeps_none_from_it(self) -> None:
        stopped: list[str] = []

        class Port:
            def stopListening(self) -> None:
                stopped.append("stopped")
                raise FileNotFoundError("hello.sock")

        service = self.service(a=SlowEndpoint(), b=SlowEndpoint())
        service.startService()
        for _, endpoint in service._endpoints:
            assert isinstance(endpoint, SlowEndpoint)
            endpoint.outcome.callback(cast(IListeningPort, Port()))
        with capturedLogs() as events:
            self.successResultOf(service.stopService())
        self.assertEqual(stopped, ["stopped"] * 2)
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["a is not cleaned up: hello.sock.", "b is not cleaned up: hello.sock."],
        )

    def start_failing(self, error: Exception, place: str = "tcp:9999") -> str:
        """Start a service whose endpoint fails; return the sentence."""
        endpoint = SlowEndpoint()
        endpoint.outcome.errback(Failure(error))
        service = ListeningService(
            [(place, endpoint)], Factory(), self.ports.append, page="docs/page.md"
        )
        with capturedLogs() as events:
            raised = self.assertRaises(CannotListen, service.startService)
        self.assertFalse(service.running)
        sentence = str(raised)
        self.assertNotIn("\n", sentence)
        self.assertEqual([event["sentence"] for event in events], [sentence])
        return sentence

    def test_every_reason_not_to_listen(self) -> None:
        for number, host, port, obstacle, words in (
            (errno.EADDRINUSE, "127.0.0.1", 80, "in-use", ["127.0.0.1:80 is", "'sport = :80'"]),
            (errno.EADDRINUSE, "::1", 80, "in-use", ["[::1]:80 is in use", "'sport = :80'"]),
            (errno.EADDRINUSE, None, b"/run/hello", "in-use", ["tcp:9999", "ss -p -lx", "remove"]),
            (errno.EACCES, "127.0.0.1", 80, "not-allowed", ["127.0.0.1:80", "CAP_NET_BIND_SERV"]),
            (errno.EADDRNOTAVAIL, "192.0.2.1", 80, "not-here", ["192.0.2.1:80", "ip address"]),
            (socket.EAI_NONAME, "nosuch", 80, "not-here", ["nosuch:80", "ip address"]),
            (
                errno.ENOENT,
                None,
                b"/nosuch/hello",
                "cannot-listen",
                ["tcp:9999", "make the folder"],
            ),
            (errno.EACCES, None, b"/root/hello", "cannot-listen", ["tcp:9999", "may not write"]),
            (errno.EIO, "", 80, "cannot-listen", ["tcp:9999", os.strerror(errno.EIO)]),
        ):
            reason = OSError(number, os.strerror(number) if number > 0 else "unknown")
            sentence = self.start_failing(CannotListenError(host, port, reason))
            for word in (*words, f" See docs/page.md#{obstacle}."):
                self.assertIn(word, sentence)

    def test_a_lock_that_is_held(self) -> None:
        error = CannotListenError(None, b"/run/hello", "Cannot acquire lock")
        self.assertIn("is in use", self.start_failing(error, "unix:/run/hello"))

    def test_any_other_error(self) -> None:
        self.assertIn("0-65535", self.start_failing(OverflowError("bind(): port must be 0-65535.")))
        self.assertIn(
            "make the folder", self.start_failing(FileNotFoundError(errno.ENOENT, "lock"))
        )

    def test_after_a_failure_it_can_start(self) -> None:
        failing, slow = SlowEndpoint(), SlowEndpoint()
        failing.outcome.errback(Failure(OSError(errno.EIO, "broken")))
        never = SlowEndpoint()
        service = self.service(
            a=server_endpoint(self.reactor, "tcp:80"), b=slow, c=failing, d=never
        )
        self.assertRaises(CannotListen, service.startService)
        failing.outcome = Deferred()
        service.startService()
        self.assertTrue(service.running)

    def test_an_endpoint_that_takes_its_time(self) -> None:
        endpoint = SlowEndpoint()
        service = self.service(a=endpoint)
        service.privilegedStartService()
        service.startService()
        self.assertEqual(endpoint.attempts, 1)
        with capturedLogs() as events:
            self.successResultOf(service.stopService())
        self.assertEqual(events, [])
        self.assertEqual(self.failures, [])

    def test_a_late_failure_is_told(self) -> None:
        endpoint = SlowEndpoint()
        self.service(a=endpoint).startService()
        with capturedLogs() as events:
            endpoint.outcome.errback(Failure(OSError(errno.EIO, "broken")))
        (failure,) = self.failures
        self.assertIn("broken", str(failure))
        self.assertEqual(events[0]["sentence"], str(failure))
