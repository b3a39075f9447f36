import os
import re
import sys
from contextlib import redirect_stderr
from io import StringIO
from tempfile import TemporaryFile
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.test.iosim import ConnectionCompleter, IOPump
from twisted.trial.unittest import SynchronousTestCase

from hello_service.cli.client.command import MISSING, greet
from hello_service.cli.client.options import parse_options
from hello_service.cli.console import Console, Outlet
from hello_service.cli.trouble import Trouble, TroubleError
from hello_service.server import Framing, HelloFactory
from hello_service.values import BadValue


class Greeter(Protocol):
    transport: ITransport

    def connectionMade(self) -> None:
        self.transport.write(b"Welcome!")


class Liar(Greeter):
    def dataReceived(self, data: bytes) -> None:
        self.transport.write(b"Goodbye!")


class CommandTestCase(SynchronousTestCase):
    """The command against a server in memory."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.completer = ConnectionCompleter(self.reactor)
        self.is_terminal = False
        self.out: Any = self.enterContext(TemporaryFile())
        self.err = self.enterContext(TemporaryFile())

    def serve(self, factory: Factory | None = None) -> None:
        self.reactor.listenTCP(9999, factory or HelloFactory(self.reactor))

    def start(self, *arguments: str) -> Deferred[int]:
        console = Console(
            Outlet(self.reactor, self.out.fileno(), is_terminal=self.is_terminal),
            Outlet(self.reactor, self.err.fileno()),
        )
        return Deferred.fromCoroutine(greet(parse_options(arguments), self.reactor, console))

    def printed(self) -> str:
        self.out.seek(0)
        printed: bytes = self.out.read()
        return printed.decode()

    def said(self) -> str:
        self.err.seek(0)
        return self.err.read().decode()

    def accept(self) -> IOPump:
        pump = self.completer.succeedOnce()
        assert pump is not None
        pump.flush()
        return pump

    def refuse(self) -> None:
        self.completer.failOnce()
        self.reactor.advance(0.3)  # HostnameEndpoint looks for another address

    def assert_trouble(self, command: Deferred[int], trouble: Trouble, *words: str) -> None:
        error = self.failureResultOf(command, TroubleError).value
        self.assertIs(error.trouble, trouble)
        for word in words:
            self.assertIn(word, str(error))


class ConversationTests(CommandTestCase):
    def test_prints_what_the_tutorials_client_prints(self) -> None:
        self.serve()
        command = self.start()
        self.accept()
        self.assertEqual(self.successResultOf(command), 0)
        self.assertEqual(
            self.printed(),
            "Welcome!\nHello, Michael!\nHello, Tracy!\nHello, Sarah!\n",
        )
        self.assertEqual(self.said(), "")

    def test_greets_whom_it_is_told(self) -> None:
        self.serve()
        command = self.start("李雷", "x y")
        self.accept()
        self.assertEqual(self.successResultOf(command), 0)
        self.assertEqual(self.printed(), "Welcome!\nHello, 李雷!\nHello, x y!\n")

    def test_prints_who_answers(self) -> None:
        self.serve(HelloFactory(self.reactor, Framing.LINE, name="web-1"))
        command = self.start("Tracy")
        self.accept()
        self.assertEqual(self.successResultOf(command), 0)
        self.assertRegex(self.printed(), r"\AWelcome! I am web-1, you are .*\.\nHello, Tracy!\n\Z")

    def test_names_from_standard_input(self) -> None:
        read, write = os.pipe()
        os.write(write, b"Tracy\n\n Sarah \nexit\nnobody\n")
        os.close(write)
        self.patch(sys, "stdin", self.enterContext(os.fdopen(read)))
        self.serve()
        command = self.start("-")
        pump = self.accept()
        (lines,) = self.reactor.getReaders()
        lines.doRead()
        pump.flush()
        self.assertEqual(self.successResultOf(command), 0)
        self.assertEqual(self.printed(), "Welcome!\nHello, Tracy!\nHello, Sarah!\n")

    def test_no_standard_input(self) -> None:
        self.patch(sys, "stdin", None)
        self.serve()
        command = self.start("-")
        self.accept()
        self.failureResultOf(command, BadValue)

    def test_where_it_connects(self) -> None:
        for arguments, host, port in (
            ([], "127.0.0.1", 9999),
            (["--port", "80"], "127.0.0.1", 80),
            (["--host", "[127.0.0.1]"], "127.0.0.1", 9999),
            (["--connect", "tcp:192.0.2.1:81"], "192.0.2.1", 81),
        ):
            self.start(*arguments)
            self.reactor.advance(0)
            self.assertEqual(self.reactor.tcpClients[-1][:2], (host, port))

    def test_an_unknown_endpoint(self) -> None:
        error = self.failureResultOf(self.start("--connect", "nosuch:1"), BadValue).value
        self.assertIn("nosuch:1", str(error))

    def test_a_terminal_cannot_be_driven(self) -> None:
        self.serve()
        for is_terminal, line in ((True, "Hello, a\\u202eb!"), (False, "Hello, a\u202eb!")):
            self.is_terminal = is_terminal
            command = self.start("a\u202eb")
            self.accept()
            self.assertEqual(self.successResultOf(command), 0)
            self.assertEqual(self.printed().splitlines()[-1], line)

    def test_an_output_that_is_full(self) -> None:
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        self.out = self.enterContext(open(write, "wb", buffering=0))
        os.set_blocking(write, False)
        filled = 0
        while count := self.out.write(bytes(4096)):
            filled += count
        self.serve()
        command = self.start("Tracy")
        pump = self.accept()
        self.assertNoResult(command)
        while filled:
            filled -= len(os.read(read, filled))
        (writer,) = self.reactor.getWriters()
        writer.doWrite()
        pump.flush()
        self.assertEqual(self.successResultOf(command), 0)
        self.assertEqual(os.read(read, 99), b"Welcome!\nHello, Tracy!\n")


class TroubleTests(CommandTestCase):
    def test_refused(self) -> None:
        command = self.start()
        self.refuse()
        self.assert_trouble(command, Trouble.REFUSED, "127.0.0.1:9999")

    def test_ipv6_is_named_in_brackets(self) -> None:
        command = self.start("--host", "::1")
        self.refuse()
        self.assert_trouble(command, Trouble.REFUSED, "[::1]:9999")

    def test_an_endpoint_that_fails_in_its_own_way(self) -> None:
        command = self.start("--connect", "tcp:127.0.0.1:9999")
        self.completer.failOnce(Failure(OverflowError("port must be 0-65535.")))
        self.assert_trouble(command, Trouble.UNREACHABLE, "ports are 1 to 65535")

    def test_no_connection_in_time(self) -> None:
        command = self.start("--timeout", "5")
        self.reactor.advance(5)
        self.assert_trouble(command, Trouble.TIMEOUT, "127.0.0.1:9999", "5 seconds")

    def test_no_greeting_in_time(self) -> None:
        self.serve(Factory.forProtocol(Protocol))
        command = self.start("--timeout", "5")
        self.accept()
        self.reactor.advance(5)
        self.assert_trouble(command, Trouble.TIMEOUT, "the greeting", "5 seconds")

    def test_no_answer_in_time(self) -> None:
        self.serve(HelloFactory(self.reactor, delay=60))
        command = self.start("Tracy")
        self.accept()
        self.reactor.advance(10)
        self.assert_trouble(command, Trouble.TIMEOUT, "'Tracy'", "10 seconds")

    def test_a_wrong_answer(self) -> None:
        self.serve(Factory.forProtocol(Liar))
        command = self.start("Tracy")
        self.accept()
        self.assert_trouble(command, Trouble.PROTOCOL, "'Tracy'", "Goodbye!", "Hello, Tracy!")

    def test_an_early_close(self) -> None:
        self.serve(HelloFactory(self.reactor, delay=1))
        command = self.start("Tracy")
        pump = self.accept()
        pump.client.connectionLost(Failure(ConnectionDone()))
        self.assert_trouble(command, Trouble.RESET, "127.0.0.1:9999 closed", "'Tracy'")

    def test_a_reset(self) -> None:
        self.serve(HelloFactory(self.reactor, delay=1))
        command = self.start("Tracy")
        pump = self.accept()
        pump.client.connectionLost(Failure(ConnectionLost()))
        self.assert_trouble(command, Trouble.RESET, "127.0.0.1:9999 broke off the connection")

    def test_interrupted(self) -> None:
        command = self.start()
        command.cancel()
        self.failureResultOf(command, CancelledError)

    def test_interrupted_in_a_conversation(self) -> None:
        self.serve(HelloFactory(self.reactor, delay=1))
        command = self.start()
        self.accept()
        command.cancel()
        self.failureResultOf(command, CancelledError)


class CountTests(CommandTestCase):
    def test_times_each_answer(self) -> None:
        self.serve()
        command = self.start("--count", "4", "--interval", "2", "Tracy", "Sarah")
        pump = self.accept()
        for _ in range(3):
            self.reactor.advance(2)
            pump.flush()
        self.assertEqual(self.successResultOf(command), 0)
        number = r"\d+\.\d\d"
        self.assertRegex(
            self.printed(),
            rf"\AWelcome!\n(Hello, Tracy! {number} ms\nHello, Sarah! {number} ms\n){{2}}"
            rf"4 sent, 4 answered, min/avg/max {number}/{number}/{number} ms\n\Z",
        )

    def test_a_second_between_names_by_default(self) -> None:
        self.serve()
        command = self.start("--count", "2")
        pump = self.accept()
        self.reactor.advance(0.9)
        pump.flush()
        self.assertNoResult(command)
        self.reactor.advance(0.1)
        pump.flush()
        self.assertEqual(self.successResultOf(command), 0)

    def test_goes_on_after_trouble(self) -> None:
        self.serve()
        command = self.start("--count", "3")
        self.refuse()
        self.reactor.advance(1)
        pump = self.accept()
        pump.server.connectionLost(Failure(ConnectionDone()))
        pump.client.connectionLost(Failure(ConnectionDone()))
        self.reactor.advance(1)
        self.assertEqual(self.successResultOf(command), MISSING)
        self.assertEqual(
            re.findall("[A-Z]{3,}", self.said()),
            [Trouble.REFUSED.name, Trouble.RESET.name],
        )
        self.assertIn("2 sent, 1 answered, min/avg/max", self.printed())

    def test_after_a_reset_the_next_name_goes_over_a_new_connection(self) -> None:
        self.serve()
        command = self.start("--count", "3")
        pump = self.accept()
        pump.client.connectionLost(Failure(ConnectionLost()))
        self.reactor.advance(1)
        self.assertIn(" RESET: ", self.said())
        self.reactor.advance(1)
        self.accept()
        self.assertEqual(self.successResultOf(command), MISSING)
        self.assertEqual(self.printed().count("Welcome!\n"), 2)
        self.assertIn("3 sent, 2 answered", self.printed())

    def test_says_exit_at_the_end_and_waits_for_the_close(self) -> None:
        class Listener(Greeter):
            def dataReceived(self, data: bytes) -> None:
                heard.append(data)
                if data != b"exit":
                    self.transport.write(b"Hello, %b!" % data)

        heard: list[bytes] = []
        self.serve(Factory.forProtocol(Listener))
        command = self.start("--count", "1", "Tracy")
        pump = self.accept()
        self.assertEqual(heard, [b"Tracy", b"exit"])
        self.assertNoResult(command)
        pump.server.transport.loseConnection()
        pump.flush()
        self.assertEqual(self.successResultOf(command), 0)

    def test_no_answer_at_all(self) -> None:
        command = self.start("--count", "1")
        self.refuse()
        self.assertEqual(self.successResultOf(command), MISSING)
        self.assertEqual(self.printed(), "0 sent, 0 answered\n")

    def test_interrupted_it_still_counts(self) -> None:
        self.serve()
        command = self.start("--count", "9")
        self.accept()
        command.cancel()
        self.failureResultOf(command, CancelledError)
        self.assertIn("1 sent, 1 answered", self.printed())


class UsageTests(CommandTestCase):
    def test_wrong_uses(self) -> None:
        for arguments in (
            ["--port", "0"],
            ["--port", "65536"],
            ["--timeout", "-1"],
            ["--timeout", "0"],
            ["--host", ""],
            ["--host", "127.0.0.1:9999"],
            ["--connect", ""],
            ["--count", "0"],
            ["--interval", "1"],
            ["--connect", "tcp:a:1", "--port", "1"],
            ["--connect", "tcp:a:1", "--host", "a"],
            ["-", "a"],
            ["-", "--count", "1"],
            ["exit"],
            [""],
            ["--nosuch"],
        ):
            with redirect_stderr(StringIO()):
                error = self.assertRaises(SystemExit, parse_options, arguments)
            self.assertEqual(error.code, 2, arguments)
