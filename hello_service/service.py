"""The daemon: what `twistd hello` can be told, and the service made of it."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NoReturn, TextIO, cast

from twisted.application.service import IService
from twisted.internet.abstract import isIPv6Address
from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.interfaces import (
    IListeningPort,
    IReactorCore,
    IReactorFromThreads,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.python.usage import Options as BaseOptions
from twisted.python.usage import UsageError

from hello_service import ERRORS_PAGE, __version__
from hello_service.address import address_text
from hello_service.daemon.activation import (
    adopted_endpoint,
    inherited_sockets,
    starting_environment,
)
from hello_service.daemon.connections import Connections
from hello_service.daemon.drain import DrainingService, hurry_on_second_signal
from hello_service.daemon.limits import ExhaustionService, LimitedFactory, raise_descriptor_limit
from hello_service.daemon.listening import (
    MAXIMUM_BACKLOG,
    ListeningService,
    server_endpoint,
    shared_endpoint,
)
from hello_service.daemon.notify import Notifier, NotifyService
from hello_service.daemon.reload import ReloadService
from hello_service.daemon.sweep import SweepService
from hello_service.server import Framing, HelloFactory, HelloProtocol
from hello_service.values import BadValue, not_empty, positive_seconds, seconds, whole_number

_log = Logger()


def _framing(text: str) -> Framing:
    try:
        return Framing(text)
    except ValueError:
        names = ", ".join(framing.value for framing in Framing)
        raise BadValue(f"{text!r} is not one of {names}.") from None


class Options(BaseOptions):
    """What may follow C{twistd hello}.

    They are the arguments of `build`, where the defaults stand; what was not given is C{None}.
    """

    optParameters: ClassVar = [
        ["port", "p", None, "TCP port, 0 for any free one [default: 9999]",
         whole_number(0, 65535)],
        ["interface", "i", None, "Address to listen on, :: or 0.0.0.0 for all"
         " [default: 127.0.0.1]", not_empty],
        ["backlog", "b", None, "How many connections may wait to be accepted"
         " [default: the system's maximum]", whole_number(1, MAXIMUM_BACKLOG)],
        ["framing", "f", None, "What a message is: one read (stream, the tutorial's), a line, or"
         " what the first read looks like (auto) [default: auto]", _framing],
        ["delay", "d", None, "Seconds between reading and answering, 1 in the tutorial"
         " [default: 0]", seconds],
        ["max-connections", "m", None, "How many connections there may be; more are closed at once"
         " [default: what the descriptors allow]", whole_number(1, MAXIMUM_BACKLOG)],
        ["max-per-host", None, None, "How many there may be from one IP address"
         " [default: any number]", whole_number(1, MAXIMUM_BACKLOG)],
        ["idle-timeout", None, None, "Seconds after which a client that sends nothing is"
         " disconnected [default: never]", positive_seconds],
        ["max-lifetime", None, None, "Seconds after which any client is disconnected"
         " [default: never]", positive_seconds],
        ["drain-delay", None, None, "Seconds to go on listening once told to stop, for balancers"
         " [default: 0]", seconds],
        ["drain-timeout", None, None, "Seconds that clients then have to take their answers"
         " [default: 10]", seconds],
    ]  # fmt: skip
    optFlags: ClassVar = [
        ["reuse-port", "r", "Let other daemons that say so, too, listen on the same port"],
    ]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self["listen"] = []

    def opt_listen(self, endpoint: str) -> None:
        """Endpoint to listen on, in place of --port and --interface; may be repeated."""
        self["listen"].append(endpoint)

    def opt_version(self) -> NoReturn:
        """Display hello_service's version and exit."""
        print(f"hello_service {__version__}")
        sys.exit()

    @property
    def says_where(self) -> bool:
        """Whether --port or --interface is given."""
        return not self["port"] is self["interface"] is None

    def postOptions(self) -> None:
        """Check what one option says against another.

        @raises UsageError: if --listen comes with --port, --interface or --reuse-port.
        """
        if self["listen"] and self.says_where:
            raise UsageError(
                "--listen says where to listen in full: leave --port and --interface out, or"
                " write them as one more --listen, like tcp:9999:interface=127.0.0.1."
            )
        if self["listen"] and self["reuse-port"]:
            raise UsageError(
                "--reuse-port is for --port, an endpoint knows nothing of it: leave out --listen."
            )


def build(
    reactor: Any,
    *,
    port: int = 9999,
    interface: str = "127.0.0.1",
    listen: Sequence[str] = (),
    inherited: Sequence[tuple[str, IStreamServerEndpoint]] = (),
    reuse_port: bool = False,
    backlog: int = MAXIMUM_BACKLOG,
    framing: Framing = Framing.AUTO,
    delay: float = 0.0,
    max_connections: int | None = None,
    max_per_host: int | None = None,
    idle_timeout: float | None = None,
    max_lifetime: float | None = None,
    drain_delay: float = 0.0,
    drain_timeout: float = 10.0,
    stderr: TextIO | None = None,
    notifier: Notifier | None = None,
) -> DrainingService:
    """Make the service of a hello daemon.

    @param reactor: L{IReactorCore}, L{IReactorTime} and what the endpoints ask of it.
    @param listen: endpoint strings, in place of C{port} and C{interface}.
    @param inherited: endpoints with the names that messages give them, in place of all the others.
    @param reuse_port: share C{port} with daemons that do so, too.
    @param backlog: connections that may wait to be accepted, for endpoints that do not say.
    @param delay: seconds between reading and answering.
    @param max_connections: how many there may be, if there is a limit, and of one host the next.
    @param idle_timeout: seconds after which a silent client is disconnected, and any the next.
    @param drain_delay: seconds to listen on when it stops, and for clients to end the next.
    @param stderr: where a start that fails is explained, closed once the service runs.
    @param notifier: what tells the service manager, if there is one.
    @raises ValueError: with a sentence, if an endpoint string is wrong.
    """
    if not listen:
        kind = "tcp6" if isIPv6Address(interface) else "tcp"
        listen = [f"{kind}:{port}:interface={quoteStringArgument(interface)}"]
    notifier = notifier or Notifier()
    if inherited:
        endpoints = list(inherited)
    elif reuse_port:
        endpoints = [(listen[0], shared_endpoint(reactor, port, interface, backlog))]
    else:
        endpoints = [(place, server_endpoint(reactor, place, backlog)) for place in listen]
    connections: Connections[HelloProtocol] = Connections()
    hello = HelloFactory(reactor, framing, delay, connections)
    listening = ListeningService(
        reactor,
        endpoints,
        LimitedFactory(reactor, hello, connections, max_connections, max_per_host),
        _announce,
        stderr,
        lambda: reactor.callWhenRunning(notifier.ready),
        ERRORS_PAGE,
    )
    service = DrainingService(reactor, listening, connections, notifier, drain_delay, drain_timeout)

    def status() -> str:
        return f"Conversations: {len(connections)}" + ", draining" * service.draining

    service.addService(ExhaustionService(reactor, listening))  # type: ignore[no-untyped-call]
    service.addService(NotifyService(reactor, notifier, status))  # type: ignore[no-untyped-call]
    if idle_timeout or max_lifetime:
        service.addService(SweepService(reactor, connections, idle_timeout, max_lifetime))  # type: ignore[no-untyped-call]
    return service


def _announce(port: IListeningPort) -> None:
    address = address_text(port.getHost())
    _log.info(
        "Waiting for connection... (listening on {address})", event="listening", address=address
    )


def sockets_to_adopt(options: Options, environ: Mapping[str, str]) -> dict[int, str]:
    """Return the inherited sockets, none if the options say where to listen."""
    passed = inherited_sockets(environ)
    if not (options["listen"] or options["reuse-port"] or options.says_where):
        return passed
    if passed and not any(place.startswith("systemd:") for place in options["listen"]):
        _log.warn(
            "Not used, for the options say where to listen: {names}.",
            names=", ".join(passed.values()),
        )
    return {}


def makeService(options: Options) -> IService:
    """Make the service of C{twistd hello}; what cannot be ends the process with a sentence."""
    from twisted.internet import reactor

    room = raise_descriptor_limit()
    # A descriptor of its own: twistd shuts the terminal's when it daemonizes, and listens after.
    stderr = os.fdopen(os.dup(2), "w", errors="backslashreplace")
    given = {name.replace("-", "_"): value for name, value in options.items() if value is not None}
    try:
        notifier = Notifier.from_environment(os.environ)
        if given.setdefault("max_connections", room) > room:
            raise ValueError(
                f"--max-connections may be {room} at most with this limit of open descriptors:"
                " raise that with `ulimit -n`, or LimitNOFILE= in a systemd unit."
            )
        inherited = [
            (name, adopted_endpoint(reactor, descriptor, name))
            for descriptor, name in sockets_to_adopt(options, starting_environment()).items()
        ]
        service = build(reactor, inherited=inherited, stderr=stderr, notifier=notifier, **given)
    except ValueError as error:
        stderr.close()
        sys.exit(str(error))
    threads = cast(IReactorFromThreads, reactor)
    service.addService(ReloadService(threads, notifier, {}))  # type: ignore[no-untyped-call]
    cast(IReactorCore, reactor).callWhenRunning(hurry_on_second_signal, threads, service)
    return service
