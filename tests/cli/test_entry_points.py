"""hello-client as a process, and other programs in its place."""

import signal
import socket
import subprocess

from hello_service import __version__
from tests.processes import PATIENCE, ProcessTestCase, program, run

CONVERSATION = "Welcome!\nHello, Michael!\nHello, Tracy!\nHello, Sarah!\n"


class HelloClientTests(ProcessTestCase):
    def test_prints_the_conversation(self) -> None:
        port = self.daemon().port()
        client = run("hello-client", f"--port={port}")
        self.assertEqual((client.returncode, client.stdout, client.stderr), (0, CONVERSATION, ""))

    def test_ipv6(self) -> None:
        port = self.daemon("--port=0", "--interface=::1").port()
        client = run("hello-client", "--host=::1", f"--port={port}")
        self.assertEqual((client.returncode, client.stdout), (0, CONVERSATION))

    def test_a_name_and_line_framing(self) -> None:
        port = self.daemon("--port=0", "--framing=line").port()
        client = run("hello-client", "--host=localhost", f"--port={port}")
        self.assertEqual((client.returncode, client.stdout), (0, CONVERSATION))

    def test_a_unix_socket(self) -> None:
        daemon = self.daemon("--listen=unix:hello.sock")
        daemon.wait_for("Waiting for connection")
        client = run("hello-client", "--connect=unix:hello.sock", "李雷", cwd=self.folder)
        self.assertEqual((client.returncode, client.stdout), (0, "Welcome!\nHello, 李雷!\n"))

    def test_names_from_standard_input(self) -> None:
        port = self.daemon().port()
        for text, answers in (
            ("Tracy\n\n Sarah \nexit\nnobody\n", "Hello, Tracy!\nHello, Sarah!\n"),
            ("李雷", "Hello, 李雷!\n"),
            ("", ""),
        ):
            client = run("hello-client", f"--port={port}", "-", input=text)
            self.assertEqual((client.returncode, client.stdout), (0, "Welcome!\n" + answers))
        names = self.folder / "names"
        names.write_text("Tracy\n" * 1000)
        with names.open() as file:
            client = run("hello-client", f"--port={port}", "-", stdin=file)
        self.assertEqual(client.stdout, "Welcome!\n" + "Hello, Tracy!\n" * 1000)

    def test_a_bad_name_from_standard_input(self) -> None:
        port = self.daemon().port()
        client = run("hello-client", f"--port={port}", "-", input="x" * 1025)
        self.assertEqual(client.returncode, 2)
        self.assertRegex(client.stderr, r"\Ahello-client: error: A name is one line .*\n\Z")

    def test_refused(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
        client = run("hello-client", f"--port={port}")
        self.assertEqual((client.returncode, client.stdout), (4, ""))
        self.assertRegex(client.stderr, rf"\Ahello-client: REFUSED: 127.0.0.1:{port} .*\.\n\Z")

    def test_an_unknown_host(self) -> None:
        client = run("hello-client", "--host=nosuch.invalid")
        self.assertEqual((client.returncode, client.stdout), (3, ""))
        self.assertRegex(client.stderr, r"\Ahello-client: DNS: nosuch.invalid:9999: .*\.\n\Z")

    def test_a_server_that_says_nothing(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            client = run("hello-client", f"--port={port}", "--timeout=0.2")
        self.assertEqual((client.returncode, client.stdout), (6, ""))
        self.assertRegex(client.stderr, r"\Ahello-client: TIMEOUT: .* the greeting: .*\.\n\Z")

    def test_ctrl_c(self) -> None:
        self.heed_ctrl_c()
        port = self.daemon("--port=0", "--delay=3600").port()
        client = subprocess.Popen(
            [program("hello-client"), f"--port={port}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with client:
            assert client.stdout is not None
            self.assertEqual(client.stdout.readline(), "Welcome!\n")
            client.send_signal(signal.SIGINT)
            output, errors = client.communicate(timeout=PATIENCE)
        self.assertEqual((client.returncode, output, errors), (-signal.SIGINT, "", ""))

    def test_a_broken_pipe_ends_quietly(self) -> None:
        port = self.daemon().port()
        client = subprocess.Popen(
            [program("hello-client"), f"--port={port}", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert client.stdout is not None
        self.assertEqual(client.stdout.readline(), "Welcome!\n")
        client.stdout.close()
        client.stdout = None
        _, errors = client.communicate("Tracy\nSarah\n", timeout=PATIENCE)
        self.assertEqual((client.returncode, errors), (141, ""))

    def test_an_output_that_cannot_be_written(self) -> None:
        port = self.daemon().port()
        for redirection, status, words in (
            (">/dev/full", 11, "FILE: the output cannot be written (No space left"),
            (">&-", 0, ""),
            ("- <&-", 2, "Standard input is closed"),
        ):
            shell = run("sh", "-c", f"{program('hello-client')} --port={port} {redirection}")
            self.assertEqual(shell.returncode, status, shell.stderr)
            self.assertIn(words, shell.stderr)
            self.assertNotIn("Traceback", shell.stderr)

    def test_version(self) -> None:
        self.assertEqual(run("hello-client", "--version").stdout, f"hello_service {__version__}\n")


class NetcatTests(ProcessTestCase):
    def test_lines_and_half_close(self) -> None:
        port = str(self.daemon().port())
        for text, answer in (
            ("Michael", "Welcome!Hello, Michael!"),
            ("Michael\nTracy\n", "Welcome!Hello, Michael!\nHello, Tracy!\n"),
            ("Michael\r\nexit\r\nnobody\r\n", "Welcome!Hello, Michael!\r\n"),
        ):
            netcat = run("nc", "-N", "127.0.0.1", port, input=text.encode(), text=False)
            self.assertEqual(netcat.stdout, answer.encode())
