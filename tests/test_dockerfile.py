"""The shipped Dockerfile fits the daemon, the client and the Deployment; live tests build it."""

from twisted.trial.unittest import SynchronousTestCase

from hello_service.cli.client.options import parse_options
from hello_service.service import Options
from tests.dockerfile import DOCKERFILE, Instruction, instructions
from tests.kubernetes import shipped


class ReaderTests(SynchronousTestCase):
    def read(self, text: str) -> list[Instruction]:
        return list(instructions(text))

    def test_flags_comments_and_lines_that_go_on(self) -> None:
        text = '# no\nFROM a AS b\n\nCOPY --from=b /a \\\n  # no\n  /b\nRUN ["a", \\\n "b=c"]\n'
        begin, copy, run = self.read(text)
        self.assertEqual(begin, ("FROM", {}, "a AS b"))
        self.assertEqual((copy.flags, copy.rest.split()), ({"from": "b"}, ["/a", "/b"]))
        self.assertEqual(run.command, ["a", "b=c"])

    def test_what_takes_a_shell_is_refused(self) -> None:
        (run,) = self.read("RUN pip install hello_service")
        with self.assertRaises(ValueError):
            run.command  # noqa: B018


class DockerfileTests(SynchronousTestCase):
    def setUp(self) -> None:
        # Of each instruction but COPY and RUN, the last is what counts.
        self.last = {step.word: step for step in instructions(DOCKERFILE.read_text())}

    def test_it_stops_before_docker_kills_it(self) -> None:
        options = Options()
        options.parseOptions(self.last["CMD"].command)
        drain = sum(options[f"drain-{part}"] or 0 for part in ("delay", "grace", "timeout"))
        self.assertTrue(0 < drain < 10, drain)

    def test_the_check_is_a_command_of_the_client(self) -> None:
        _, *said = self.last["HEALTHCHECK"].command
        patience = parse_options(said).timeout
        self.assertEqual(self.last["HEALTHCHECK"].flags["timeout"], "5s")
        self.assertLess(patience, 5)

    def test_its_user_is_the_deployments(self) -> None:
        context = shipped("Deployment")["spec"]["template"]["spec"]["securityContext"]
        user = f"{context['runAsUser']}:{context['runAsGroup']}"
        self.assertEqual(self.last["USER"].rest, user)

    def test_both_stages_have_the_same_base(self) -> None:
        bases = [step.rest.split()[0] for step in instructions(DOCKERFILE.read_text())
                 if step.word == "FROM"]  # fmt: skip
        self.assertEqual(bases, bases[:1] * 2)
