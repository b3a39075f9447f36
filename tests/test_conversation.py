from twisted.trial.unittest import SynchronousTestCase

import hello_service.conversation
from hello_service.conversation import LINE_TOO_LONG, READ_SIZE, Conversation, Framing
from tests.splits import splits


def feed_all(conversation: Conversation, reads: list[bytes], end: bool = False) -> bytes:
    answers = b"".join([conversation.feed(read) for read in reads])
    return answers + conversation.end() if end else answers


class GreetingTests(SynchronousTestCase):
    def test_no_newline(self) -> None:
        self.assertEqual(Conversation(Framing.STREAM).greeting, b"Welcome!")
        self.assertEqual(Conversation(Framing.AUTO).greeting, b"Welcome!")

    def test_line(self) -> None:
        self.assertEqual(Conversation(Framing.LINE).greeting, b"Welcome!\r\n")

    def test_who_is_here_and_who_there(self) -> None:
        conversation = Conversation(Framing.LINE)
        conversation.introduce("wéb", "[::1]:5")
        self.assertEqual(conversation.greeting, "Welcome! I am wéb, you are [::1]:5.\r\n".encode())


class StreamTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.conversation = Conversation(Framing.STREAM)

    def test_every_read_is_a_message(self) -> None:
        for reads in splits(b"TracySarah"):
            self.assertEqual(
                feed_all(Conversation(Framing.STREAM), reads),
                b"".join(b"Hello, " + read + b"!" for read in reads),
            )

    def test_line_ends_are_part_of_the_message(self) -> None:
        self.assertEqual(self.conversation.feed(b"a\r\nb\n"), b"Hello, a\r\nb\n!")

    def test_reads_of_1024_bytes(self) -> None:
        self.assertEqual(
            self.conversation.feed(b"x" * (2 * READ_SIZE + 1)),
            (b"Hello, " + b"x" * READ_SIZE + b"!") * 2 + b"Hello, x!",
        )
        self.assertFalse(self.conversation.finished)

    def test_exit(self) -> None:
        self.assertEqual(self.conversation.feed(b"exit"), b"")
        self.assertTrue(self.conversation.finished)
        self.assertFalse(self.conversation.cut_short)

    def test_exit_is_a_whole_read(self) -> None:
        for message in (b"exit\n", b" exit", b"Exit", b"exi", b"exitexit"):
            self.assertEqual(self.conversation.feed(message), b"Hello, " + message + b"!")
        self.assertFalse(self.conversation.finished)

    def test_exit_in_two_reads_is_two_messages(self) -> None:
        self.assertEqual(feed_all(self.conversation, [b"ex", b"it"]), b"Hello, ex!Hello, it!")

    def test_exit_after_a_full_read(self) -> None:
        answer = b"Hello, " + b"x" * READ_SIZE + b"!"
        self.assertEqual(self.conversation.feed(b"x" * READ_SIZE + b"exit"), answer)
        self.assertTrue(self.conversation.finished)
        self.assertFalse(self.conversation.cut_short)

    def test_nothing_after_exit_is_answered(self) -> None:
        self.conversation.feed(b"exit")
        self.assertEqual(self.conversation.feed(b"Michael"), b"")
        self.assertEqual(self.conversation.end(), b"")

    def test_bytes_are_answered_as_they_came(self) -> None:
        every = bytes(range(256))
        self.assertEqual(self.conversation.feed(every), b"Hello, " + every + b"!")

    def test_characters_stay_whole_at_every_split(self) -> None:
        text = "é你😀a߿￿"
        for reads in splits(text.encode()):
            answers = feed_all(Conversation(Framing.STREAM), reads).decode()
            self.assertEqual(answers.replace("Hello, ", "").replace("!", ""), text)

    def test_every_character_stays_whole_from_its_first_byte_on(self) -> None:
        for character in "\x80\u07ff\u0800\u1000\ud7ff\ue000\uffff\U00010000\U00040000\U0010ffff":
            encoded = character.encode()
            for end in range(1, len(encoded)):
                conversation = Conversation(Framing.STREAM)
                self.assertEqual(conversation.feed(encoded[:end]), b"")
                self.assertEqual(conversation.feed(encoded[end:]), b"Hello, " + encoded + b"!")

    def test_what_ends_in_ascii_is_not_searched_for_a_character(self) -> None:
        self.patch(hello_service.conversation, "_CUT_CHARACTER", None)
        self.assertEqual(self.conversation.feed("é\x7f".encode()), "Hello, é\x7f!".encode())
        self.assertRaises(AttributeError, self.conversation.feed, b"\x80")

    def test_part_of_a_character_is_held_back(self) -> None:
        self.assertEqual(self.conversation.feed("a😀".encode()[:3]), b"Hello, a!")
        self.assertEqual(self.conversation.feed("😀".encode()[2:3]), b"")
        self.assertEqual(self.conversation.feed("😀".encode()[3:]), "Hello, 😀!".encode())

    def test_what_is_held_back_precedes_exit(self) -> None:
        self.assertEqual(self.conversation.feed(b"\xe4"), b"")
        self.assertEqual(self.conversation.feed(b"exit"), b"Hello, \xe4exit!")
        self.assertFalse(self.conversation.finished)

    def test_what_is_held_back_is_sent_at_the_end(self) -> None:
        self.conversation.feed(b"a\xf0\x9f\x98")
        self.assertEqual(self.conversation.end(), b"Hello, \xf0\x9f\x98!")
        self.assertTrue(self.conversation.finished)

    def test_what_cannot_become_a_character_is_not_held_back(self) -> None:
        for message in (b"\xff", b"\x80", b"\xc0", b"\xed\xa0", b"\xf5\x80", b"\xe0\x80", b"a\xf8"):
            self.assertEqual(self.conversation.feed(message), b"Hello, " + message + b"!")

    def test_a_character_across_the_read_size(self) -> None:
        data = b"x" * (READ_SIZE - 1) + "你".encode()
        self.assertEqual(
            self.conversation.feed(data),
            b"Hello, " + b"x" * (READ_SIZE - 1) + b"!" + "Hello, 你!".encode(),
        )


class LineTests(SynchronousTestCase):
    def assert_answers(self, data: bytes, answers: bytes, end: bytes = b"") -> None:
        """The same answers at every split, and after them with the stream's end."""
        for reads in splits(data):
            conversation = Conversation(Framing.LINE)
            self.assertEqual(feed_all(conversation, reads), answers)
            self.assertEqual(conversation.end(), end)

    def test_the_answer_ends_as_its_message_ended(self) -> None:
        self.assert_answers(
            b"a\nb\r\n\n\r\nc\n", b"Hello, a!\nHello, b!\r\nHello, !\nHello, !\r\nHello, c!\n"
        )

    def test_cr_is_part_of_a_message_but_before_lf(self) -> None:
        self.assert_answers(b"a\rb\r\r\n", b"Hello, a\rb\r!\r\n")

    def test_our_own_signs_in_messages(self) -> None:
        self.assert_answers(b"\r!\n!\r\nHello, \n", b"Hello, \r!!\nHello, !!\r\nHello, Hello, !\n")

    def test_a_last_line_without_an_end_counts(self) -> None:
        self.assert_answers(b"a\nb", b"Hello, a!\n", end=b"Hello, b!")
        self.assert_answers(b"a\nb\r", b"Hello, a!\n", end=b"Hello, b\r!")
        self.assert_answers(b"\xe4", b"", end=b"Hello, \xe4!")

    def test_exit(self) -> None:
        for exit_line in (b"exit\n", b"exit\r\n"):
            for reads in splits(b"a\n" + exit_line):
                conversation = Conversation(Framing.LINE)
                self.assertEqual(feed_all(conversation, reads), b"Hello, a!\n")
                self.assertTrue(conversation.finished)
                self.assertFalse(conversation.cut_short)

    def test_exit_without_an_end(self) -> None:
        self.assert_answers(b"a\nexit", b"Hello, a!\n")

    def test_exit_is_a_whole_line(self) -> None:
        self.assert_answers(
            b"exits\nan exit\nexit\r\r\n",
            b"Hello, exits!\nHello, an exit!\nHello, exit\r!\r\n",
        )

    def test_nothing_after_exit_is_answered(self) -> None:
        for line in (b"b\n", b"exit\n", b"x", b"\n", b"x" * 2000):
            conversation = Conversation(Framing.LINE)
            self.assertEqual(conversation.feed(b"a\nexit\n" + line), b"Hello, a!\n")
            self.assertTrue(conversation.finished)
            self.assertTrue(conversation.cut_short)
            self.assertEqual(conversation.feed(b"c\n") + conversation.end(), b"")

    def test_the_longest_line(self) -> None:
        line = b"x" * READ_SIZE
        for end in (b"\n", b"\r\n"):
            for tail in (b"", b"a\n"):
                self.assertEqual(
                    Conversation(Framing.LINE).feed(line + end + tail),
                    b"Hello, " + line + b"!" + end + (tail and b"Hello, a!\n"),
                )
        self.assert_answers(line + b"\r\n", b"Hello, " + line + b"!\r\n")
        self.assert_answers(line, b"", end=b"Hello, " + line + b"!")

    def test_a_longer_line_ends_the_conversation(self) -> None:
        line = b"x" * (READ_SIZE + 1)
        for before, answer in ((b"", b""), (b"a\r\n", b"Hello, a!\r\n")):
            for after in (b"", b"\n", b"\r\n", b"\r", b"y" * 3000, b"\nexit\n"):
                for reads in ([before + line + after], [before, line + after]):
                    conversation = Conversation(Framing.LINE)
                    self.assertEqual(
                        feed_all(conversation, reads, end=True), answer + LINE_TOO_LONG
                    )
                    self.assertTrue(conversation.finished)
                    self.assertTrue(conversation.cut_short)

    def test_a_longer_line_in_pieces(self) -> None:
        for tail in (b"x", b"\rx", b"\r\r\n", b"xy\nexit\n"):
            for reads in splits(b"x" * READ_SIZE + tail):
                conversation = Conversation(Framing.LINE)
                self.assertEqual(feed_all(conversation, reads), LINE_TOO_LONG)

    def test_a_longer_line_by_its_last_cr(self) -> None:
        self.assert_answers(b"x" * READ_SIZE + b"\r", b"", end=LINE_TOO_LONG)

    def test_many_short_lines_are_not_a_long_one(self) -> None:
        self.assertEqual(Conversation(Framing.LINE).feed(b"a\n" * 5000), b"Hello, a!\n" * 5000)


class AutoTests(SynchronousTestCase):
    def test_the_first_read_decides(self) -> None:
        for first, framing in (
            (b"a", Framing.STREAM),
            (b"a\r", Framing.STREAM),
            (b"a\nb", Framing.STREAM),
            (b"exit", Framing.STREAM),
            (b"\xe4", Framing.STREAM),
            (b"\n", Framing.LINE),
            (b"a\n", Framing.LINE),
            (b"a\r\nb\r\n", Framing.LINE),
            (b"exit\n", Framing.LINE),
        ):
            reads = [first, b"c\nd", b"\n", b"e"]
            auto, explicit = Conversation(), Conversation(framing)
            self.assertEqual(feed_all(auto, reads, end=True), feed_all(explicit, reads, end=True))

    def test_no_read_at_all(self) -> None:
        conversation = Conversation()
        self.assertEqual(conversation.end(), b"")
        self.assertTrue(conversation.finished)


class AccountTests(SynchronousTestCase):
    def account(self, framing: Framing, *reads: bytes, end: bool = False) -> tuple[str, int, bool]:
        """Hold a conversation; return why it finished, how many it answered, whether cut short."""
        conversation = Conversation(framing)
        feed_all(conversation, list(reads), end)
        self.assertEqual(conversation.finished, bool(conversation.reason))
        return conversation.reason, conversation.messages, conversation.cut_short

    def test_streams(self) -> None:
        full = b"x" * READ_SIZE
        for reads, end, account in (
            ([], False, ("", 0, False)),
            ([b"a", b"b", full + b"c"], False, ("", 4, False)),
            ([b"a", b"exit"], False, ("exit", 1, False)),
            ([full + b"exit"], False, ("exit", 1, False)),
            ([b"a", b"\xe4"], False, ("", 1, False)),
            ([b"a", b"\xe4"], True, ("end", 2, False)),
            ([b"a"], True, ("end", 1, False)),
        ):
            self.assertEqual(self.account(Framing.STREAM, *reads, end=end), account)

    def test_lines_at_every_split(self) -> None:
        for data, end, account in (
            (b"a\nb\r\n\nc", False, ("", 3, False)),
            (b"a\nb\r\n\nc", True, ("end", 4, False)),
            (b"a\nexit\n", False, ("exit", 1, False)),
            (b"a\nexit", True, ("end", 1, False)),
        ):
            for reads in splits(data):
                self.assertEqual(self.account(Framing.LINE, *reads, end=end), account, reads)

    def test_over_long_lines(self) -> None:
        over_long = b"x" * (READ_SIZE + 1)
        cut_short = ("too-long", 1, True)
        self.assertEqual(self.account(Framing.LINE, b"a\n" + over_long), cut_short)
        self.assertEqual(self.account(Framing.LINE, b"a\n" + over_long + b"\nexit\n"), cut_short)
        by_its_cr = b"a\n" + b"x" * READ_SIZE + b"\r"
        self.assertEqual(self.account(Framing.LINE, by_its_cr, end=True), ("too-long", 1, False))
