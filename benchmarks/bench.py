"""Compares hello_service with other servers: C{make bench}, or C{make bench QUICK=1}."""

import argparse
import os
import platform
import resource
import select
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import cast

import load

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "performance.md"
PLOT = HERE.parent / "docs" / "performance.svg"
YARDSTICK = "asyncio Protocol on uvloop"
OURS, PLAIN = "hello_service on uvloop", "plain Twisted on epoll"


@dataclass(frozen=True)
class Peer:
    """A server to compare with.

    @ivar lines: whether it can answer lines.
    @ivar most: how many connections it can hold.
    """

    name: str
    command: tuple[str, ...]
    lines: bool = True
    most: int = 10**6
    python: bool = True


def python_peer(
    name: str, file: str, *arguments: str, lines: bool = False, most: int = 10**6
) -> Peer:
    return Peer(name, (sys.executable, str(HERE / "peers" / file), *arguments), lines, most)


PEERS = [
    python_peer("threads, the tutorial's", "threads.py", most=1000),
    python_peer("asyncio streams", "asyncio_streams.py"),
    python_peer("asyncio Protocol", "asyncio_protocol.py", lines=True),
    python_peer(YARDSTICK, "asyncio_protocol.py", "uvloop", lines=True),
    python_peer("gevent", "gevent_server.py"),
    python_peer(PLAIN, "plain_twisted.py", lines=True),
    python_peer("hello_service on epoll", "ours.py", lines=True),
    python_peer(OURS, "ours.py", "uvloop", lines=True),
]


def compiled_peers(folder: str) -> list[Peer]:
    """Compile the peers whose compilers are installed."""
    peers = []
    for name, source, compile_ in (
        ("C epoll", "epoll_server.c", ["cc", "-O2", "-w", "-o"]),
        ("Go", "server.go", ["go", "build", "-o"]),
    ):
        if shutil.which(compile_[0]):
            target = f"{folder}/{source}.out"
            subprocess.run([*compile_, target, HERE / "peers" / source], check=True)
            peers.append(Peer(name, (target,), python=False))
    return peers


Measure = Callable[[int, int, float], float]


@dataclass
class Case:
    """One thing to measure.

    @ivar measure: called with port, pid and seconds; returns one figure.
    @ivar failures: why a peer has no figure.
    """

    name: str
    unit: str
    measure: Measure
    lines: bool = False
    connections: int = 64
    once: bool = False
    figures: dict[str, list[float]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def median(self, peer: str) -> float:
        return statistics.median(self.figures[peer])

    @contextmanager
    def failing(self, peer: str) -> Iterator[None]:
        """Note why a peer has no figure."""
        try:
            yield
        except (OSError, load.NoFigure) as error:
            self.failures[peer] = str(error)
            self.figures.pop(peer, None)


def ping_pong(name: str, connections: int, size: int) -> Case:
    questions = [
        (b"%0*d" % (size, number), b"Hello, %0*d!" % (size, number)) for number in range(64)
    ]

    def measure(port: int, pid: int, seconds: float) -> float:
        answers, used = load.ask_and_check(port, pid, connections, b"Welcome!", questions, seconds)
        return used / answers * 1e6

    return Case(name, "us/message", measure, connections=connections)


def pipeline(depth: int) -> Case:
    names = [b"%016d" % number for number in range(depth)]
    question = b"".join(b"%b\n" % name for name in names)
    answer = b"".join(b"Hello, %b!\n" % name for name in names)

    def measure(port: int, pid: int, seconds: float) -> float:
        answers, used = load.ask_and_check(
            port, pid, 64, b"Welcome!\r\n", [(question, answer)], seconds
        )
        return used / answers / depth * 1e6

    return Case(f"lines, {depth} at once", "us/line", measure, lines=True)


def churn(port: int, pid: int, seconds: float) -> float:
    done, used = load.connect_and_exit(port, pid, 16, b"Welcome!", seconds)
    return used / done * 1e6


def idle(count: int) -> Case:
    def measure(port: int, pid: int, seconds: float) -> float:
        return load.idle_bytes(port, pid, count, b"Welcome!") / 1024

    return Case(
        f"{count:,} idle connections", "KiB/connection", measure, connections=count, once=True
    )


def cases(quick: bool) -> list[Case]:
    return [
        ping_pong("1 connection", 1, 16),
        ping_pong("64 connections", 64, 16),
        ping_pong("1000 connections", 1000, 16),
        ping_pong("64 connections, 1 KiB", 64, 1024),
        pipeline(16),
        pipeline(128),
        Case("connect, welcome, exit", "us/connection", churn),
        idle(2_000 if quick else 10_000),
    ]


def start(servers: ExitStack, peer: Peer, lines: bool, core: int | None) -> subprocess.Popen[str]:
    """Start a server that is killed when the stack is left."""
    process = servers.enter_context(
        subprocess.Popen(
            [*peer.command, *(["lines"] if lines else [])],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # tracebacks of peers about clients that are gone
            text=True,
            preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
        )
    )
    servers.callback(process.kill)
    return process


def port(process: subprocess.Popen[str]) -> int:
    """Wait for the port that a server prints."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], load.PATIENCE)
    if not ready or not (line := process.stdout.readline()):
        command = shlex.join(cast(list[str], process.args))
        raise load.NoFigure(f"does not start: run `{command}` to see why")
    return int(line)


def run_case(case: Case, peers: list[Peer], rounds: int, seconds: float, core: int | None) -> None:
    """Measure a case; the peers take turns, and one that fails drops out."""
    able = [p for p in peers if (p.lines or not case.lines) and case.connections <= p.most]
    with ExitStack() as servers:
        started = [(peer.name, start(servers, peer, case.lines, core)) for peer in able]
        ports: dict[str, int] = {}
        for name, process in started:
            with case.failing(name):
                ports[name] = port(process)
        for round_ in range(1 if case.once else rounds):
            first = round_ % len(started)
            for name, process in started[first:] + started[:first]:
                if name not in case.failures:
                    with case.failing(name):
                        figure = case.measure(ports[name], process.pid, seconds)
                        case.figures.setdefault(name, []).append(figure)
    print(f"{case.name} ({case.unit})", flush=True)
    for name in sorted(case.figures, key=case.median):
        middle = case.median(name)
        low, high = min(case.figures[name]), max(case.figures[name])
        ratio = f"  {middle / case.median(YARDSTICK):5.2f}" if YARDSTICK in case.figures else ""
        print(f"  {name:28} {middle:8.2f}  [{low:.2f} - {high:.2f}]{ratio}", flush=True)
    for name, why in case.failures.items():
        print(f"  {name:28} {why}", flush=True)


def machine() -> str:
    """Describe the machine and the versions."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    names = ("twisted", "uvloop", "gevent")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    return (
        f"{model}, {len(os.sched_getaffinity(0))} cores; Linux {platform.release()};"
        f" Python {platform.python_version()}, {versions}"
    )


def best_python(case: Case, peers: list[Peer]) -> float | None:
    """Return the least median of the other servers in Python."""
    python = {p.name for p in peers if p.python and not p.name.startswith("hello_service")}
    return min(map(case.median, python & set(case.figures)), default=None)


def table(measured: list[Case], peers: list[Peer]) -> str:
    """Make the page's table: median, least, most, and the ratio to the best other in Python."""
    lines = [
        "| | "
        + " | ".join(f"{case.name}, {case.unit.replace('us', 'µs')}" for case in measured)
        + " |",
        "|---" * (len(measured) + 1) + "|",
    ]
    for peer in peers:
        cells = []
        for case in measured:
            figures = case.figures.get(peer.name)
            if not figures:
                cells.append(case.failures.get(peer.name, ""))
                continue
            middle, best = case.median(peer.name), best_python(case, peers)
            span = f" ({min(figures):.2f} to {max(figures):.2f})" if len(figures) > 1 else ""
            ratio = f" **{middle / best:.2f}**" if best else ""
            cells.append(f"{middle:.2f}{span}{ratio}")
        lines.append(f"| {peer.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(measured: list[Case], peers: list[Peer]) -> None:
    """Draw a panel for each case."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "hello_service"
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(2, 4, figsize=(16, 7), layout="constrained")
    for case, panel in zip(measured, panels.flat, strict=True):
        names = [peer.name for peer in reversed(peers) if peer.name in case.figures]
        medians = [case.median(name) for name in names]
        spread = [
            [median - min(case.figures[name]) for name, median in zip(names, medians, strict=True)],
            [max(case.figures[name]) - median for name, median in zip(names, medians, strict=True)],
        ]
        colours = ["tab:orange" if name.startswith("hello") else "tab:gray" for name in names]
        panel.barh(names, medians, xerr=spread, color=colours)
        panel.set_title(case.name)
        panel.set_xlabel(case.unit.replace("us", "µs"))
    figure.suptitle("CPU time and memory of the server: less is better")
    figure.savefig(PLOT, metadata={"Date": None})


def write_page(measured: list[Case], peers: list[Peer]) -> None:
    """Put the figures into the page, between its two marks."""
    start, end = "<!-- figures -->", "<!-- end of figures -->"
    before, _, rest = PAGE.read_text().partition(start)
    after = rest.partition(end)[2]
    text = (
        f"{start}\nMade by `make bench` on {machine()}.\n\n{table(measured, peers)}\n\n"
        f"![The same as a plot]({PLOT.name})\n{end}"
    )
    PAGE.write_text(before + text + after)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="take under two minutes, and leave docs/ alone"
    )
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument(
        "--peers", default="", help="peers whose name contains one of these, by comma"
    )
    parser.add_argument("--rounds", type=int)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    cores = sorted(os.sched_getaffinity(0))
    server_core = cores[0] if len(cores) > 1 else None
    rounds, seconds = (3, 0.2) if options.quick else (5, 1.0)
    rounds = options.rounds or rounds
    with tempfile.TemporaryDirectory() as folder:
        peers = compiled_peers(folder) + PEERS
        wanted = options.peers.split(",")
        peers = [p for p in peers if any(word in p.name for word in wanted)]
        measured = [case for case in cases(options.quick) if options.only in case.name]
        where = machine()
        if server_core is not None:
            os.sched_setaffinity(0, {cores[1]})
        print(where)
        for case in measured:
            run_case(case, peers, rounds, seconds, server_core)
    if server_core is not None:
        os.sched_setaffinity(0, cores)
    print(f"\n{table(measured, peers)}")
    if not (options.quick or options.only or options.peers):
        write_page(measured, peers)
        with suppress(ImportError):
            plot(measured, peers)


if __name__ == "__main__":
    main()
