"""A real systemd for tests, in namespaces of its own over what is installed on this machine."""

import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SkipTest

import hello_service
from tests.namespaces import Network
from tests.processes import PATIENCE, program, run

CHECKOUT = Path(hello_service.__file__).parent.parent
UNITS = CHECKOUT / "deploy" / "systemd"

_CREDENTIALS = struct.Struct("3i")


def can_boot() -> None:
    """Skip the test where nobody can boot: the machine, and not what is installed, forbids it."""
    for name in ("unshare", "nsenter", "setpriv", "ldconfig", "systemctl", "journalctl"):
        program(name)
    tried = run(
        *("unshare", "--mount", "--pid", "--net", "--cgroup", "--fork", "sh", "-ec"),
        "mount --make-rprivate /; mount -t proc proc /proc; mount -t cgroup2 cgroup2 /mnt;"
        ' mkdir "/mnt/$1"; rmdir "/mnt/$1"',
        *("-", f"probe-{os.getpid()}"),
    )
    if tried.returncode:
        raise SkipTest(f"no systemd can be booted here: {tried.stderr.strip()}")


class Booted:
    """What can be done with a systemd that runs.

    @param leader: the process id, out here, of its first process.
    @param network: its network.
    """

    def __init__(self, leader: int, network: Network) -> None:
        self._nsenter = ("nsenter", "--all", f"--target={leader}")
        self._network = network

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in there to its end."""
        return run(*self._nsenter, *command, cwd="/")

    def systemctl(self, *arguments: str) -> None:
        """Run systemctl, which must succeed."""
        done = self.run("systemctl", *arguments)
        if done.returncode:
            raise AssertionError(done.stderr + self.run("journalctl", "--lines=50").stdout)

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).stdout.strip()

    def wait_for(self, pattern: str, count: int = 1) -> None:
        """Wait until C{count} lines of the journal match."""
        # To kill nsenter would leave an orphan, which holds up the end of it all.
        follow = "journalctl --follow --lines=all & read -r _; kill $!"
        journal = subprocess.Popen(
            [*self._nsenter, "sh", "-c", follow],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert journal.stdin is not None
        assert journal.stdout is not None
        patience = threading.Timer(PATIENCE, journal.stdin.close)
        patience.start()
        lines = []
        with journal:
            for line in journal.stdout:
                lines.append(line)
                count -= bool(re.search(pattern, line))
                if not count:
                    break
            patience.cancel()
            journal.stdin.close()
            journal.wait(PATIENCE)
        if count:
            raise AssertionError(f"no {pattern!r} in:\n{''.join(lines)}")

    def connect(self, port: int = 9999) -> socket.socket:
        """Connect to a port on its loopback interface."""
        return self._network.connect(port)

    def listen(self, port: int) -> socket.socket:
        """Listen on a port of its loopback interface."""
        return self._network.listen(port)


@contextmanager
def booted(*shipped: str, **drop_ins: str) -> Iterator[Booted]:
    """Boot a systemd, for as long as the context lasts.

    @param shipped: which of the shipped unit files, or folders of them, it has.
    @param drop_ins: what a drop-in adds to a service, by its name.
    """
    can_boot()
    with (
        TemporaryDirectory() as name,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify,
    ):
        folder = Path(name)
        units = folder / "units"
        units.mkdir()
        for unit in shipped:
            copy: Callable[..., object] = (
                shutil.copytree if (UNITS / unit).is_dir() else shutil.copy
            )
            (units / unit).parent.mkdir(exist_ok=True)
            copy(UNITS / unit, units / unit)
        for service, text in drop_ins.items():
            drop_in = units / f"{service}.service.d"
            drop_in.mkdir(exist_ok=True)
            (drop_in / "test.conf").write_text(text)
        notify.bind(str(folder / "notify"))
        notify.settimeout(PATIENCE)
        notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        place = sys.base_prefix, sysconfig.get_path("purelib"), str(CHECKOUT)
        script = subprocess.Popen(
            ["unshare", "--mount", "sh", str(CHECKOUT / "tests" / "booted.sh"), name, *place],
            stdin=subprocess.PIPE,
        )
        try:
            told = b""
            while b"READY=1" not in told:
                told, control, _, _ = notify.recvmsg(4096, socket.CMSG_SPACE(_CREDENTIALS.size))
            leader, _, _ = _CREDENTIALS.unpack(control[0][2])
            with Network(leader) as network:
                yield Booted(leader, network)
        finally:
            script.communicate(timeout=PATIENCE)
