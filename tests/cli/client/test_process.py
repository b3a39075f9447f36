"""hello-client as a process, and other programs in its place."""

import os
import signal
import socket
import subprocess

from hello_service import __version__
from tests.processes import PATIENCE, ProcessTestCase, full_pipe, in_shell, program, run

CONVERSATION = "Welcome!\nHello, Michael!\nHello, Tracy!\nHello, Sarah!\n"


class HelloClientTests(ProcessTestCase):
    def greeted(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a client that ends with the test at the latest; wait until it is greeted."""
        client = self.enterContext(
            subprocess.Popen(
                [program("hello-client"), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        self.addCleanup(client.kill)
        assert client.stdout is not None
        self.assertEqual(client.stdout.readline(), "Welcome!\n")
        return client

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
        port = self.daemon("--port=0", "--delay=3600").port()
        client = self.greeted(f"--port={port}")
        client.send_signal(signal.SIGINT)
        output, errors = client.communicate(timeout=PATIENCE)
        self.assertEqual((client.returncode, output, errors), (-signal.SIGINT, "", ""))

    def test_a_broken_pipe_ends_quietly(self) -> None:
        port = self.daemon().port()
        client = self.greeted(f"--port={port}", "-")
        assert client.stdout is not None
        client.stdout.close()
        client.stdout = None
        _, errors = client.communicate("Tracy\nSarah\n", timeout=PATIENCE)
        self.assertEqual((client.returncode, errors), (141, ""))

    def test_an_output_that_cannot_be_written(self) -> None:
        port = self.daemon().port()
        for redirection, status, words in (
            (">/dev/full", 11, "FILE: the output cannot be written (No space left"),
            ("- <&-", 2, "Standard input is closed"),
        ):
            shell = run("sh", "-c", f"{in_shell('hello-client')} --port={port} {redirection}")
            self.assertEqual(shell.returncode, status, shell.stderr)
            self.assertIn(words, shell.stderr)
            self.assertNotIn("Traceback", shell.stderr)

    def test_a_closed_output(self) -> None:
        daemon = self.daemon()
        shell = run("sh", "-c", f"{in_shell('hello-client')} --port={daemon.port()} >&-")
        self.assertEqual((shell.returncode, shell.stderr), (0, ""))
        daemon.wait_for(r"Connection from .* closed\.")

    def test_closed_errors(self) -> None:
        for arguments, status in (("--host=nosuch.invalid", 3), ("--nosuch", 2)):
            for streams in ("2>&-", "<&- 2>&-"):
                shell = run("sh", "-c", f"{in_shell('hello-client')} {arguments} {streams}")
                self.assertEqual((shell.returncode, shell.stdout), (status, ""))
                self.assertEqual(shell.stderr, "")

    def test_the_output_of_a_reader_that_sleeps(self) -> None:
        daemon = self.daemon()
        for count, waits in ((1, True), (2, False)):
            read, write = full_pipe()
            self.addCleanup(os.close, read)
            os.set_blocking(write, waits)
            client = subprocess.Popen(
                [program("hello-client"), f"--port={daemon.port()}"],
                stdout=write,
                stderr=subprocess.PIPE,
                text=True,
            )
            os.close(write)
            with client:
                daemon.wait_for("Accept new connection", count)
                client.send_signal(signal.SIGINT)
                _, errors = client.communicate(timeout=PATIENCE)
            self.assertEqual((client.returncode, errors), (-signal.SIGINT, ""))

    def test_two_ctrl_c_at_once(self) -> None:
        port = self.daemon("--port=0", "--delay=3600").port()
        client = self.greeted(f"--port={port}")
        client.send_signal(signal.SIGSTOP)
        for _ in range(2):
            client.send_signal(signal.SIGINT)
            client.send_signal(signal.SIGTERM)
        client.send_signal(signal.SIGCONT)
        _, errors = client.communicate(timeout=PATIENCE)
        self.assertIn(client.returncode, (-signal.SIGINT, -signal.SIGTERM))
        self.assertEqual(errors, "")

    def test_ctrl_c_ends_a_loop_of_the_shell(self) -> None:
        port = self.daemon("--port=0", "--delay=3600").port()
        loop = f"for turn in 1 2; do {in_shell('hello-client')} --port={port}; done; echo on"
        shell = subprocess.Popen(
            [program("bash"), "-c", loop], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        with shell:
            assert shell.stdout is not None
            self.assertEqual(shell.stdout.readline(), "Welcome!\n")
            os.killpg(shell.pid, signal.SIGINT)
            output, _ = shell.communicate(timeout=PATIENCE)
        self.assertEqual((shell.returncode, output), (-signal.SIGINT, ""))

    def test_an_ignored_ctrl_c_stays_ignored(self) -> None:
        port = self.daemon("--port=0", "--delay=0.01").port()
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        client = self.greeted(f"--port={port}", "-")
        client.send_signal(signal.SIGINT)
        output, _ = client.communicate("Tracy\n", timeout=PATIENCE)
        self.assertEqual((client.returncode, output), (0, "Hello, Tracy!\n"))

    def test_sigterm(self) -> None:
        port = self.daemon("--port=0", "--delay=3600").port()
        client = self.greeted(f"--port={port}")
        client.terminate()
        self.assertEqual(client.wait(PATIENCE), -signal.SIGTERM)

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
