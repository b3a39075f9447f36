from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, IOPump, connect
from twisted.trial.unittest import SynchronousTestCase

from hello_service.client import HelloClient, WrongAnswer, encode_name
from hello_service.conversation import READ_SIZE, Framing
from hello_service.server import HelloFactory
from tests.splits import splits


class EncodeNameTests(SynchronousTestCase):
    def test_one_message(self) -> None:
        self.assertEqual(encode_name("李雷"), "李雷".encode())
        self.assertEqual(encode_name("x" * READ_SIZE), b"x" * READ_SIZE)

    def test_what_is_not_one_message(self) -> None:
        for name in ("", "a\n", "a\nb", "exit", "x" * (READ_SIZE + 1), "\udcff"):
            self.assertRaises(ValueError, encode_name, name)


class HelloClientTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.transport = StringTransport()
        self.client = HelloClient()
        self.client.makeConnection(self.transport)

    def welcomed(self) -> None:
        self.client.dataReceived(b"Welcome!")
        self.successResultOf(self.client.welcome())

    def test_an_answer_is_complete_when_all_its_bytes_are_there(self) -> None:
        for reads in splits(b"Welcome!"):
            client = HelloClient()
            client.makeConnection(StringTransport())
            welcome = Deferred.fromCoroutine(client.welcome())
            for read in reads:
                self.assertNoResult(welcome)
                client.dataReceived(read)
            self.assertEqual(self.successResultOf(welcome), "Welcome!")
        self.welcomed()
        for reads in splits("Hello, 李雷!".encode()):
            hello = Deferred.fromCoroutine(self.client.hello("李雷"))
            self.assertEqual(self.transport.value(), "李雷".encode())
            self.transport.clear()
            for read in reads:
                self.assertNoResult(hello)
                self.client.dataReceived(read)
            self.assertEqual(self.successResultOf(hello), "Hello, 李雷!")

    def test_a_name_that_is_not_one_message(self) -> None:
        self.failureResultOf(self.client.hello("exit"), ValueError)
        self.assertEqual(self.transport.value(), b"")

    def test_exit_waits_for_the_close(self) -> None:
        self.welcomed()
        leaving = Deferred.fromCoroutine(self.client.exit())
        self.assertEqual(self.transport.value(), b"exit")
        self.assertNoResult(leaving)
        self.client.connectionLost()
        self.successResultOf(leaving)

    def test_a_wrong_answer_fails_at_its_first_wrong_byte(self) -> None:
        self.welcomed()
        hello = Deferred.fromCoroutine(self.client.hello("Tracy"))
        self.client.dataReceived(b"Hello, ")
        self.assertNoResult(hello)
        self.client.dataReceived(b"S")
        error = self.failureResultOf(hello, WrongAnswer).value
        self.assertEqual(error.expected, b"Hello, Tracy!")
        self.assertEqual(error.received, b"Hello, S")
        self.assertIn("Hello, S", str(error))
        self.assertTrue(self.transport.disconnected)

    def test_more_than_the_answer_is_wrong_too(self) -> None:
        self.client.dataReceived(b"Welcome!Hello, nobody!")
        self.successResultOf(self.client.welcome())
        self.failureResultOf(self.client.hello("Tracy"), WrongAnswer)

    def test_bytes_after_exit(self) -> None:
        self.client.dataReceived(b"Welcome!Hello!")
        self.successResultOf(self.client.welcome())
        self.failureResultOf(self.client.exit(), WrongAnswer)

    def test_a_server_that_closes_early(self) -> None:
        hello = Deferred.fromCoroutine(self.client.hello("Tracy"))
        self.client.dataReceived(b"Hello, Tr")
        self.client.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(hello, ConnectionDone)
        self.failureResultOf(self.client.hello("Sarah"), WrongAnswer)

    def test_a_server_that_has_closed(self) -> None:
        self.client.connectionLost(Failure(ConnectionLost()))
        self.failureResultOf(self.client.welcome(), ConnectionLost)
        self.failureResultOf(self.client.hello("Sarah"), ConnectionLost)
        self.failureResultOf(self.client.exit(), ConnectionLost)

    def test_reads_only_while_it_waits(self) -> None:
        self.welcomed()
        self.assertEqual(self.transport.producerState, "paused")
        hello = Deferred.fromCoroutine(self.client.hello("Tracy"))
        self.assertEqual(self.transport.producerState, "producing")
        self.client.dataReceived(b"Hello, Tracy!")
        self.successResultOf(hello)
        self.assertEqual(self.transport.producerState, "paused")

    def test_a_step_given_up_aborts_the_connection(self) -> None:
        clock = Clock()
        hello = Deferred.fromCoroutine(self.client.hello("Tracy")).addTimeout(5, clock)
        clock.advance(5)
        self.failureResultOf(hello, TimeoutError)
        self.assertTrue(self.transport.disconnected)
        self.client.dataReceived(b"Hello, Tracy!")


class HelloClientAndServerTests(SynchronousTestCase):
    def connect(self, framing: Framing, name: str = "") -> tuple[HelloClient, IOPump]:
        address = IPv4Address("TCP", "127.0.0.1", 9999)
        server = HelloFactory(Clock(), framing, name=name).buildProtocol(address)
        client = HelloClient()
        pump = connect(server, FakeTransport(server, True), client, FakeTransport(client, False))
        return client, pump

    def talk_at_every_split(self, greeting: bytes) -> None:
        """Greet, and answer one name, by a server that sends lines."""
        for reads in splits(greeting + b"Hello, Tracy!\r\n"):
            client, transport = HelloClient(), StringTransport()
            client.makeConnection(transport)
            steps = [Deferred.fromCoroutine(client.welcome())]
            for read in reads:
                client.dataReceived(read)
                if steps[-1].called and len(steps) == 1:
                    steps.append(Deferred.fromCoroutine(client.hello("Tracy")))
            self.assertEqual(self.successResultOf(steps[-1]), "Hello, Tracy!")
            self.assertEqual(transport.value(), b"Tracy\r\n")

    def test_a_greeting_that_is_a_line_at_every_split(self) -> None:
        self.talk_at_every_split(b"Welcome!\r\n")

    def test_a_greeting_that_introduces_at_every_split(self) -> None:
        self.talk_at_every_split(b"Welcome! I am x, you are y.\r\n")

    def test_who_introduces_is_returned_if_it_came_along(self) -> None:
        for name in (b"x", b"w\xc3\xa9b", b"\xff"):
            client = HelloClient()
            client.makeConnection(StringTransport())
            client.dataReceived(b"Welcome! I am %b, you are y.\r\n" % name)
            self.assertEqual(
                self.successResultOf(client.welcome()),
                f"Welcome! I am {name.decode(errors='backslashreplace')}, you are y.",
            )

    def test_what_introduces_nobody(self) -> None:
        for rest in (b" I am x.\r\n", b" I am x, you are y.\n", b" I am " + b"x" * 1100, b" You"):
            client = HelloClient()
            client.makeConnection(StringTransport())
            client.dataReceived(b"Welcome!" + rest)
            self.assertEqual(self.successResultOf(client.welcome()), "Welcome!")
            self.failureResultOf(client.hello("Tracy"), WrongAnswer)

    def test_a_server_with_a_name(self) -> None:
        client, pump = self.connect(Framing.LINE, "web-1")
        steps = [client.welcome(), client.hello("李雷"), client.exit()]
        answers = []
        for step in steps:
            answer = Deferred.fromCoroutine(step)
            pump.flush()
            answers.append(self.successResultOf(answer))
        greeting = "Welcome! I am web-1, you are 127.0.0.1:9999."
        self.assertEqual(answers, [greeting, "Hello, 李雷!", None])

    def test_nobody_to_greet(self) -> None:
        for framing in Framing:
            client, pump = self.connect(framing)
            for step in (client.welcome(), client.exit()):
                outcome = Deferred.fromCoroutine(step)
                pump.flush()
                self.successResultOf(outcome)

    def test_a_greeting_cut_off_in_its_line_end(self) -> None:
        client = HelloClient()
        client.makeConnection(StringTransport())
        client.dataReceived(b"Welcome!\r")
        self.successResultOf(client.welcome())
        hello = Deferred.fromCoroutine(client.hello("Tracy"))
        self.assertNoResult(hello)
        client.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(hello, WrongAnswer)

    def test_every_framing(self) -> None:
        for framing in Framing:
            client, pump = self.connect(framing)
            steps = [client.welcome(), client.hello("李雷"), client.hello("a\rb"), client.exit()]
            answers = []
            for step in steps:
                answer = Deferred.fromCoroutine(step)
                pump.flush()
                answers.append(self.successResultOf(answer))
            self.assertEqual(answers, ["Welcome!", "Hello, 李雷!", "Hello, a\rb!", None])
