"""A real daemon that says who it is, and the real client."""

from tests.processes import ProcessTestCase, run


class RevealTests(ProcessTestCase):
    def test_the_client_shows_who_answers(self) -> None:
        daemon = self.daemon("--port=0", "--framing=line", "--name=web-1", "--reveal")
        asked = run("hello-client", f"--port={daemon.port()}", "Tracy")
        peer = daemon.wait_for(r"Accept new connection from (.*)\.\.\.$")[1]
        greeting = f"Welcome! I am web-1, you are {peer}."
        self.assertEqual((asked.stdout, asked.stderr), (f"{greeting}\nHello, Tracy!\n", ""))

    def test_a_wrong_use_is_one_line(self) -> None:
        for arguments in (("--reveal",), ("--name=%x",), ("--keepalive=x",)):
            refused = run("twistd", "--nodaemon", "hello", *arguments, cwd=self.folder)
            self.assertEqual((refused.returncode, refused.stderr.count("\n")), (1, 1))
            self.assertRegex(
                refused.stderr, r"\Atwistd hello: --\w+.* See `twistd hello --help`\.$"
            )
