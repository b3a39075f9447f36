"""What a daemon's command line can say, and errors in it told in one line."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from difflib import get_close_matches
from getopt import GetoptError
from typing import Any, ClassVar

from twisted.python.usage import Options, UsageError

from hello_service.daemon.balancers import balancers
from hello_service.daemon.endpoints import MAXIMUM_BACKLOG, interface_address
from hello_service.daemon.keepalive import LONGEST
from hello_service.daemon.own_name import own_name
from hello_service.daemon.settings import Settings
from hello_service.values import BadValue, not_empty, positive_seconds, seconds, whole_number

_PLACE = re.compile(r"(?:(?P<host>[^:]*|\[.*\]):)?(?P<port>\d{1,5})")


def parameter(
    name: str, short: str | None, description: str, read: Callable[[str], Any]
) -> list[Any]:
    """Make a row of C{optParameters} whose errors name the option.

    @param read: reads the value, or raises L{BadValue}.
    """

    def read_named(text: str) -> Any:
        try:
            return read(text)
        except BadValue as error:
            raise UsageError(f"--{name}: {error}") from None

    return [name, short, None, description, read_named]


def _interface(text: str) -> str:
    host = not_empty(text)
    if place := _PLACE.fullmatch(text):
        raise BadValue(f"{text!r} has a port in it: write {_as_options(place)}.")
    return interface_address(host)


def _as_options(place: re.Match[str]) -> str:
    host = (place["host"] or "").strip("[]").replace("localhost", "127.0.0.1")
    return f"--interface {host} --port {place['port']}" if host else f"--port {place['port']}"


class DaemonOptions(Options):
    """What may follow C{twistd NAME}, for any daemon; a subclass adds its own C{optParameters}.

    What was not given is C{None}; `Settings` has the defaults. As a subcommand of twistd or twist
    it ends the process on an error, with one line and status 1.
    """

    optParameters: ClassVar = [
        parameter("port", "p", "TCP port, 0 for any free one [default: 9999]",
                  whole_number(0, 65535)),
        parameter("tls-port", None, "TCP port for TLS, too; without --port, for TLS alone",
                  whole_number(0, 65535)),
        parameter("tls-certificate", None, "PEM file of the certificate for TLS, and of those that"
                  " lead to its authority", not_empty),
        parameter("tls-key", None, "PEM file of its key [default: in the same file]", not_empty),
        parameter("tls-client-ca", None, "PEM file of the authorities whose certificates clients"
                  " must have [default: they need none]", not_empty),
        parameter("tls-check", None, "Seconds after which a change of these files is noticed, 0 for"
                  " on SIGHUP only [default: 60]", seconds),
        parameter("interface", "i", "Address to listen on, :: or 0.0.0.0 for all"
                  " [default: 127.0.0.1]", _interface),
        parameter("backlog", "b", "How many connections may wait to be accepted"
                  " [default: the system's maximum]", whole_number(1, MAXIMUM_BACKLOG)),
        parameter("max-connections", "m", "How many connections there may be; more are closed at"
                  " once [default: what the descriptors allow]", whole_number(1, MAXIMUM_BACKLOG)),
        parameter("max-per-host", None, "How many there may be from one IP address"
                  " [default: any number]", whole_number(1, MAXIMUM_BACKLOG)),
        parameter("proxy-from", None, "Balancers whose connections begin with a PROXY header, like"
                  " 10.0.0.0/8,unix [default: none]", balancers),
        parameter("idle-timeout", None, "Seconds after which a client that sends nothing is"
                  " disconnected [default: never]", positive_seconds),
        parameter("max-lifetime", None, "Seconds after which any client is disconnected"
                  " [default: never]", positive_seconds),
        parameter("keepalive", None, "Seconds of quiet after which the system finds out whether a"
                  " TCP client is still there, 0 for never [default: 60]",
                  whole_number(0, LONGEST)),
        parameter("name", None, "What the daemon calls itself in the log and in its status; %H is"
                  " the host's name, %% a percent sign [default: nothing]", own_name),
        parameter("drain-delay", None, "Seconds to go on listening once told to stop, for"
                  " balancers [default: 0]", seconds),
        parameter("drain-grace", None, "Seconds that conversations then have to end by themselves"
                  " [default: 0]", seconds),
        parameter("drain-timeout", None, "Seconds that clients then have to take their answers"
                  " [default: 10]", seconds),
        parameter("status", None, "Endpoint of HTTP with a page for people, /healthz, /readyz and"
                  " /metrics, like tcp:9909:interface=127.0.0.1 [default: none]", not_empty),
        parameter("agent", None, "Endpoint that answers HAProxy's agent-check, like"
                  " tcp:9919:interface=127.0.0.1 [default: none]", not_empty),
    ]  # fmt: skip
    optFlags: ClassVar[list[list[str | None]]] = [
        ["quiet-probes", None, "Count clients that say nothing, and log the others only"],
        ["status-bytes", None, "Show on that page what clients send, to who is on this machine"],
        ["reuse-port", "r", "Let other daemons that say so, too, listen on the same ports"],
    ]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self["listen"] = []
        self["tls-listen"] = []

    def opt_listen(self, endpoint: str) -> None:
        """Endpoint to listen on, in place of --port and --interface; may be repeated."""
        self["listen"].append(endpoint)

    def opt_tls_listen(self, endpoint: str) -> None:
        """Endpoint to listen on by TLS, like tcp:9443; may be repeated."""
        self["tls-listen"].append(endpoint)

    def settings(self) -> Settings:
        """Return what was said, and the defaults."""
        said = {field.name: self[field.name.replace("_", "-")] for field in fields(Settings)}
        return Settings(**{name: value for name, value in said.items() if value is not None})

    @property
    def says_where(self) -> bool:
        """Whether an option says where to listen."""
        named = any(self[name] is not None for name in ("port", "tls-port", "interface"))
        return named or bool(self["listen"] or self["tls-listen"] or self["reuse-port"])

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Parse a command line.

        @raises UsageError: with one sentence; C{SystemExit} with it, if this is a subcommand.
        """
        try:
            self._parse(options)
        except UsageError as error:
            if self.parent is None:
                raise
            command = f"{os.path.basename(sys.argv[0])} {self.parent.subCommand}"
            sys.exit(f"{command}: {error} See `{command} --help`.")

    def parseArgs(self, *stray: str) -> None:
        """Refuse what is no option.

        @raises UsageError: if there is any.
        """
        if not stray:
            return
        place = _PLACE.fullmatch(stray[0])
        advice = f"write {_as_options(place)}" if place else "options begin with --"
        raise UsageError(f"{stray[0]!r} is not an option: {advice}.")

    def postOptions(self) -> None:
        """Check what one option says against another.

        @raises UsageError: if --listen or --tls-listen comes with what it knows nothing of.
        """
        given = [name for name in ("listen", "tls-listen") if self[name]]
        if not given:
            return
        ports = {self["port"], self["tls-port"]} - {None}
        if (self["listen"] and self["port"] is not None) or (self["interface"] and not ports):
            raise UsageError(
                f"--{given[0]} says where to listen in full: leave --port and --interface out, or"
                f" write them as one more --{given[0]}, like tcp:9999:interface=127.0.0.1."
            )
        if self["reuse-port"]:
            raise UsageError(
                "--reuse-port is for --port, an endpoint knows nothing of it: leave out"
                f" --{given[0]}."
            )

    def _parse(self, options: Sequence[str] | None) -> None:
        try:
            super().parseOptions(options)  # type: ignore[no-untyped-call]
        except UsageError as error:
            if isinstance(error.__context__, GetoptError):
                raise UsageError(self._explain(error.__context__)) from None
            raise

    def _explain(self, error: GetoptError) -> str:
        if f"--{error.opt}" not in error.msg:
            known = f"{error.opt}:" in self.shortOpt
            return f"-{error.opt} needs a value." if known else self._unknown(f"-{error.opt}")
        meant = [name for name in self.longOpt if name.startswith(error.opt)]
        names = sorted({name.rstrip("=") for name in self.longOpt})
        if f"{error.opt}=" in meant:
            return f"--{error.opt} needs a value."
        if error.opt in meant:
            return f"--{error.opt} takes no value."
        if meant:
            each = ", ".join(f"--{name.rstrip('=')}" for name in sorted(meant))
            return f"--{error.opt} can be {each}: write more of it."
        near = get_close_matches(error.opt, names, 1)
        return self._unknown(f"--{error.opt}", f": do you mean --{near[0]}?" if near else ".")

    def _unknown(self, option: str, advice: str = ".") -> str:
        if self.parent is not None and option.lstrip("-") in self.parent.synonyms:
            command = os.path.basename(sys.argv[0])
            return f"{option} is an option of {command}: write it before {self.parent.subCommand}."
        name = option if option.isprintable() else ascii(option)
        return f"{name} is not an option{advice}"
