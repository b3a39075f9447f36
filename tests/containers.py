"""Containers of an image that tests/dockerfile.py has built: processes as a container engine runs
them, from a tree that cannot be written to, in namespaces of their own."""

import os
import subprocess
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.dockerfile import ENGINE, Stage
from tests.processes import Program, missing, program, run

NAMESPACES = (*ENGINE, "--net", "--ipc", "--uts", "--kill-child=KILL")
NO_RIGHTS = ("--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")


def can_contain() -> None:
    """Skip the test where nobody can: the machine, and not what is installed, forbids it."""
    for name in ("unshare", "nsenter", "setpriv", "chroot", "ip"):
        program(name)
    if os.geteuid() != 0:
        missing("only root can do what a container engine does")
    tried = run(*ENGINE, "--net", "mount", "-t", "proc", "proc", "/proc")
    if tried.returncode:
        raise SkipTest(f"there can be no containers here: {tried.stderr.strip()}")


class Container(Program):
    """A container, for as long as the context lasts.

    @param image: the last stage of the image.
    @param options: what stands behind the image's name, in place of its C{CMD}.
    """

    def __init__(self, image: Stage, folder: Path, *options: str) -> None:
        self._image = image
        words = *image.entrypoint, *(options or image.command)
        contained = *image.over_tree("ro"), *self._as_user("--pdeathsig=KILL"), *words
        super().__init__([program(NAMESPACES[0]), *NAMESPACES[1:], *contained], folder)

    def _as_user(self, *more: str) -> list[str]:
        user, group = self._image.user.split(":")
        return ["/usr/bin/setpriv", f"--reuid={user}", f"--regid={group}", *NO_RIGHTS, *more]

    @property
    def leader(self) -> int:
        """Its first process, by the id that it has outside."""
        pid = self.process.pid
        (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(child)

    def exec(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run one more command in it to its end."""
        enter = "nsenter", f"--target={self.leader}", "--mount", "--pid", "--net", "--root"
        return run(*enter, *self._image.environment, *self._as_user(), *command)
