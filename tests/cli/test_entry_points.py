"""What comes before either command."""

import signal
import sys

from twisted.trial.unittest import SynchronousTestCase

from hello_service.cli import entry_points
from hello_service.cli.client import command
from tests.processes import in_shell, run


class StartTests(SynchronousTestCase):
    def test_interrupted_while_it_is_imported(self) -> None:
        """Ctrl+C ends it by the signal then, too."""

        def main() -> None:
            raise KeyboardInterrupt

        died: list[int] = []
        self.patch(entry_points, "die_by", died.append)
        self.patch(command, "main", main)
        entry_points.hello_client()
        self.assertEqual(died, [signal.SIGINT])

    def test_few_descriptors(self) -> None:
        for typed in ("hello-client", "hello-fetch http://127.0.0.1:1/"):
            for limit in (8, 12):
                name, _, rest = typed.partition(" ")
                # By the interpreter: where its path has a space, the script begins with a shell.
                started = f"{in_shell(sys.executable)} {in_shell(name)} {rest}"
                shell = run("sh", "-c", f"ulimit -n {limit}; {started}")
                self.assertEqual((shell.returncode, shell.stdout), (5, ""))
                self.assertRegex(
                    shell.stderr, rf"\A{name}: UNREACHABLE: .* raise the limit, with ulimit .*\n\Z"
                )
