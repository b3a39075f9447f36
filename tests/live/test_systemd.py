"""The shipped units, as far as they can be tried without a running systemd."""

import re

from tests.booted import UNITS
from tests.processes import ProcessTestCase, program, run


class UnitTests(ProcessTestCase):
    def copy(self, *names: str) -> list[str]:
        """Copy shipped unit files, with the twistd that is installed here; return where to."""
        for name in names:
            text = (UNITS / name).read_text()
            copy = self.folder / name
            copy.parent.mkdir(exist_ok=True)
            twistd = f'"{program("twistd")}"'
            copy.write_text(text.replace("/opt/hello_service/bin/twistd", twistd))
        return [str(self.folder / name) for name in names]

    def test_systemd_finds_no_fault(self) -> None:
        *units, _, _ = self.copy(
            "hello.service", "hello.socket", "hello@.service", "hello.service.d/socket.conf",
            "hello.service.d/tls.conf",
        )  # fmt: skip
        shipped = [path for path in UNITS.rglob("*") if path.is_file()]
        self.assertEqual(len(shipped), len(units) + 2)
        verified = run("systemd-analyze", "verify", "--recursive-errors=one", *units)
        self.assertEqual((verified.returncode, verified.stdout, verified.stderr), (0, "", ""))

    def assert_exposed(self, most: float, unit: str) -> None:
        """How much systemd finds that a unit could do to the system, of 10."""
        analysed = run("systemd-analyze", "security", "--offline=yes", "--no-pager", unit)
        exposure = re.search(r"exposure level for \S+: ([0-9.]+)", analysed.stdout)
        assert exposure is not None, analysed
        self.assertLessEqual(float(exposure[1]), most)

    def test_they_are_shut_in(self) -> None:
        for unit in self.copy("hello.service", "hello@.service"):
            self.assert_exposed(1.2, unit)

    def test_tls_takes_nothing_away(self) -> None:
        unit, _ = self.copy("hello.service", "hello.service.d/tls.conf")
        self.assert_exposed(1.2, unit)

    def test_behind_the_socket_it_is_more_so(self) -> None:
        unit, _, _ = self.copy("hello.service", "hello.socket", "hello.service.d/socket.conf")
        self.assert_exposed(0.5, unit)

    def test_an_address_that_comes_late_is_waited_for(self) -> None:
        for unit in ("hello.service", "hello@.service"):
            lines = (UNITS / unit).read_text().splitlines()
            for line in ("StartLimitIntervalSec=0", "Restart=on-failure", "RestartSec=1"):
                self.assertIn(line, lines)

    def test_the_socket_tells_of_keepalive_what_the_daemon_does(self) -> None:
        socket_unit = (UNITS / "hello.socket").read_text()
        told = dict(re.findall(r"^(KeepAlive\w*)=(\w+)$", socket_unit, re.MULTILINE))
        names = ("KeepAlive", "KeepAliveTimeSec", "KeepAliveIntervalSec", "KeepAliveProbes")
        self.assertEqual(told, dict(zip(names, ("yes", "60", "15", "4"), strict=True)))

    def test_they_differ_in_nothing_else(self) -> None:
        one, many = ((UNITS / name).read_text() for name in ("hello.service", "hello@.service"))
        sandbox = re.compile(r"^LimitNOFILE=.*\Z", re.MULTILINE | re.DOTALL)
        self.assertEqual(sandbox.findall(one), sandbox.findall(many))
