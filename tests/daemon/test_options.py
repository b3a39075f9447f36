import sys
from typing import ClassVar

from twisted.python.usage import Options, UsageError
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.balancers import balancers
from hello_service.daemon.options import DaemonOptions
from hello_service.daemon.settings import Settings


def parsed(*arguments: str) -> DaemonOptions:
    options = DaemonOptions()
    options.parseOptions(arguments)
    return options


class OptionsTests(SynchronousTestCase):
    def test_what_was_given(self) -> None:
        options = parsed(
            *("--port", "0", "--interface", "::", "--backlog", "5"),
            *("--max-connections", "7", "--max-per-host", "3"),
            *("--proxy-from", "10.0.0.0/8,unix"),
            *("--idle-timeout", "60", "--max-lifetime", "3600.5"),
            *("--drain-delay", "0", "--drain-grace", "1", "--drain-timeout", "20"),
            *("--status", "tcp:1", "--agent", "tcp:2"),
            *("--keepalive", "0", "--name", "50%%"),
        )
        self.assertEqual(
            options,
            {
                "port": 0,
                "interface": "::",
                "backlog": 5,
                "max-connections": 7,
                "max-per-host": 3,
                "proxy-from": balancers("10.0.0.0/8,unix"),
                "idle-timeout": 60.0,
                "max-lifetime": 3600.5,
                "drain-delay": 0.0,
                "drain-grace": 1.0,
                "drain-timeout": 20.0,
                "status": "tcp:1",
                "agent": "tcp:2",
                "keepalive": 0,
                "name": "50%",
                "quiet-probes": False,
                "status-bytes": False,
                "listen": [],
                "tls-listen": [],
                "tls-port": None,
                "tls-certificate": None,
                "tls-key": None,
                "tls-client-ca": None,
                "tls-check": None,
                "reuse-port": False,
            },
        )

    def test_nothing_given(self) -> None:
        options = parsed()
        self.assertEqual((options.pop("listen"), options.pop("tls-listen")), ([], []))
        flags = [options.pop(flag) for flag in ("reuse-port", "quiet-probes", "status-bytes")]
        self.assertEqual(flags, [False] * 3)
        self.assertEqual(set(options.values()), {None})

    def test_listen_repeats(self) -> None:
        self.assertEqual(parsed("--listen=tcp:1", "--listen=unix:a")["listen"], ["tcp:1", "unix:a"])
        self.assertEqual(parsed()["listen"], [])

    def test_settings(self) -> None:
        self.assertEqual(parsed().settings(), Settings(listen=[], tls_listen=[]))
        self.assertEqual(
            parsed("--port=0", "--reuse-port", "--drain-delay=0.5").settings(),
            Settings(port=0, reuse_port=True, drain_delay=0.5, listen=[], tls_listen=[]),
        )
        self.assertEqual(
            parsed("--quiet-probes", "--name=a", "--keepalive=0").settings(),
            Settings(quiet_probes=True, name="a", keepalive=0, listen=[], tls_listen=[]),
        )
        self.assertEqual(parsed("--listen=tcp:1").settings().listen, ["tcp:1"])

    def test_tls(self) -> None:
        files = ("--tls-certificate=a", "--tls-key=b", "--tls-client-ca=c", "--tls-check=0")
        places = ("--tls-listen=tcp:1", "--tls-listen=unix:a", "--tls-port=0", "--interface=::")
        settings = parsed(*files, *places, "--listen=tcp:2").settings()
        self.assertEqual(settings.tls_listen, ["tcp:1", "unix:a"])
        told = settings.tls_certificate, settings.tls_key, settings.tls_client_ca
        self.assertEqual(told, ("a", "b", "c"))
        self.assertEqual((settings.tls_port, settings.tls_check), (0, 0.0))
        self.assertIsNone(settings.port)
        parsed("--tls-port=0", "--port=0", "--interface=::", "--reuse-port")
        self.assertFalse(parsed("--tls-certificate=a").says_where)
        for place in ("--tls-port=0", "--tls-listen=tcp:1"):
            self.assertTrue(parsed(place).says_where)
        self.assertIn("--tls-listen says", self.error("--tls-listen=tcp:1", "--interface=::"))

    def test_wrong_uses(self) -> None:
        for arguments in (
            ["--port", "65536"],
            ["--port", "http"],
            ["--port", "-1"],
            ["--interface", ""],
            ["--backlog", "0"],
            ["--max-connections", "0"],
            ["--max-per-host", "0"],
            ["--proxy-from", "localhost"],
            ["--idle-timeout", "0"],
            ["--max-lifetime", "0"],
            ["--drain-delay", "-1"],
            ["--drain-grace", "-1"],
            ["--drain-timeout", "inf"],
            ["--status", ""],
            ["--agent", ""],
            ["--keepalive", "-1"],
            ["--keepalive", "32768"],
            ["--name", ""],
            ["--listen", "tcp:1", "--port", "0"],
            ["--listen", "tcp:1", "--interface", "::"],
            ["--listen", "tcp:1", "--reuse-port"],
            ["--tls-port", "65536"],
            ["--tls-certificate", ""],
            ["--tls-check", "-1"],
            ["--tls-listen", "tcp:1", "--reuse-port"],
            ["--nosuch"],
            ["stray"],
        ):
            self.assertRaises(UsageError, parsed, *arguments)

    def error(self, *arguments: str) -> str:
        """Return what is said of a wrong use."""
        return str(self.assertRaises(UsageError, parsed, *arguments))

    def test_errors_name_the_option_that_is_meant(self) -> None:
        number = "'x' is not a whole number from 0 to 65535."
        for arguments in (["--port=x"], ["--port", "x"], ["-p", "x"], ["-px"], ["--po=x"]):
            self.assertEqual(self.error(*arguments), f"--port: {number}")
        self.assertEqual(
            self.error("--idle=-1"), "--idle-timeout: '-1' is not a number of seconds above 0."
        )

    def test_what_is_no_option(self) -> None:
        self.assertEqual(self.error("--nosuch"), "--nosuch is not an option.")
        self.assertEqual(self.error("--x"), "--x is not an option.")
        self.assertEqual(self.error("-x"), "-x is not an option.")
        self.assertEqual(self.error("--\x1b[31m"), r"'--\x1b[31m' is not an option.")
        self.assertEqual(
            self.error("--max-conections=1"),
            "--max-conections is not an option: do you mean --max-connections?",
        )

    def test_options_without_their_values_and_with_values_of_none(self) -> None:
        for arguments in (["--port"], ["--po"]):
            self.assertEqual(self.error(*arguments), "--port needs a value.")
        self.assertEqual(self.error("-p"), "-p needs a value.")
        for argument in ("--reuse-port=yes", "--reuse=yes"):
            self.assertEqual(self.error(argument), "--reuse-port takes no value.")

    def test_what_is_short_for_several(self) -> None:
        self.assertEqual(
            self.error("--max=1"),
            "--max can be --max-connections, --max-lifetime, --max-per-host: write more of it.",
        )

    def test_a_place_that_is_no_option(self) -> None:
        for place, options in (
            ("9999", "--port 9999"),
            (":9999", "--port 9999"),
            ("localhost:9999", "--interface 127.0.0.1 --port 9999"),
            ("[::1]:80", "--interface ::1 --port 80"),
        ):
            self.assertEqual(self.error(place), f"{place!r} is not an option: write {options}.")
        self.assertEqual(
            self.error("stray", "9"), "'stray' is not an option: options begin with --."
        )

    def test_interfaces(self) -> None:
        for text, interface in (
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("::", "::"),
            ("fe80::1%eth0", "fe80::1%eth0"),
            ("localhost", "localhost"),
        ):
            self.assertEqual(parsed("--interface", text)["interface"], interface)
        for text in ("::1:x", "127.0.0.256"):
            self.assertIn(
                f"--interface: '{text}' is not an address: write an IPv4 or IPv6 address",
                self.error("--interface", text),
            )
        for text, options in (
            ("127.0.0.1:9999", "--interface 127.0.0.1 --port 9999"),
            ("[::1]:9999", "--interface ::1 --port 9999"),
            (":9999", "--port 9999"),
            ("9999", "--port 9999"),
        ):
            self.assertEqual(
                self.error("--interface", text),
                f"--interface: {text!r} has a port in it: write {options}.",
            )


class Parent(Options):
    """Stands for twistd."""

    subCommands: ClassVar = [["shout", None, DaemonOptions, "Shout."]]
    optFlags: ClassVar = [["nodaemon", "n", "Stay."]]


class SubcommandTests(SynchronousTestCase):
    def test_an_error_ends_the_process_with_one_line(self) -> None:
        self.patch(sys, "argv", ["/usr/bin/twistd"])
        parent = Parent()
        raised = self.assertRaises(SystemExit, parent.parseOptions, ["shout", "--port=x"])
        self.assertEqual(
            raised.code,
            "twistd shout: --port: 'x' is not a whole number from 0 to 65535."
            " See `twistd shout --help`.",
        )

    def test_an_option_of_twistd_behind_the_subcommand(self) -> None:
        self.patch(sys, "argv", ["/usr/bin/twistd"])
        for option in ("-n", "--nodaemon"):
            raised = self.assertRaises(SystemExit, Parent().parseOptions, ["shout", option])
            self.assertEqual(
                raised.code,
                f"twistd shout: {option} is an option of twistd: write it before shout."
                " See `twistd shout --help`.",
            )

    def test_no_error(self) -> None:
        parent = Parent()
        parent.parseOptions(["shout", "--port=0"])
        self.assertEqual(parent.subOptions["port"], 0)
