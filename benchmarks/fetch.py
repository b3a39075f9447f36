"""Fetchers side by side against an nginx on loopback: C{make bench-fetch}.

Every round runs every client once, in turn. The figures are medians with their spread; a ratio is
the median of the rounds' ratios, since a machine that slows down for a while slows both sides.
"""

import argparse
import asyncio
import http.client
import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

SMALL = 1000
BIG = 1 << 30
AT_ONCE = 64
UVLOOP = "RawAgent on uvloop"
Fetch = Callable[[str], Awaitable[bytes]]
Write = Callable[[bytes], object]


def blocking(fetch: Callable[[str], bytes], url: str, count: int) -> None:
    for _ in range(count):
        fetch(url)


def tutorial(url: str) -> bytes:
    """The tutorial's loop."""
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port)) as connection:
        request = f"GET {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n\r\n"
        connection.send(request.encode())
        pieces = []
        while piece := connection.recv(1024):
            pieces.append(piece)
    _, body = b"".join(pieces).split(b"\r\n\r\n", 1)
    return body


def by_http_client(url: str) -> bytes:
    place = urlsplit(url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port)
    connection.request("GET", place.path, headers={"Connection": "close"})
    body = connection.getresponse().read()
    connection.close()
    return body


async def many(fetch: Fetch, url: str, count: int, at_once: int) -> None:
    """Fetch a page C{count} times, C{at_once} at a time, on the loop that is running."""
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            body = await fetch(url)
            assert len(body) == SMALL

    if at_once == 1:
        await work()
    elif "twisted.internet.reactor" in sys.modules:
        from twisted.internet.defer import Deferred, gatherResults

        await gatherResults([Deferred.fromCoroutine(work()) for _ in range(at_once)])
    else:
        await asyncio.gather(*(work() for _ in range(at_once)))


async def timed(fetch: Fetch, url: str, count: int, at_once: int) -> float:
    await many(fetch, url, count // 10 + at_once, at_once)
    begun = time.perf_counter()
    await many(fetch, url, count, at_once)
    return count / (time.perf_counter() - begun)


def on_reactor(name: str, url: str, count: int, at_once: int) -> float:
    if name == UVLOOP:
        from hello_service.uvloop_reactor.reactor import install

        install()
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred
    from twisted.internet.task import react
    from twisted.web.client import Agent, readBody

    from hello_service.fetch import RawAgent

    if name == "treq":
        import treq

        async def fetch(url: str) -> bytes:
            response = await treq.get(url, persistent=False)
            return bytes(await response.content())
    else:
        agent: Any = Agent(reactor) if name == "Agent" else RawAgent(reactor)

        async def fetch(url: str) -> bytes:
            return await readBody(await agent.request(b"GET", url.encode()))

    rates: list[float] = []

    async def main(reactor: Any) -> None:
        rates.append(await timed(fetch, url, count, at_once))

    try:
        react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
    except SystemExit:
        return rates[0]
    return 0


async def on_asyncio(name: str, url: str, count: int, at_once: int) -> float:
    if name == "aiohttp":
        import aiohttp

        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def by_aiohttp(url: str) -> bytes:
                async with session.get(url) as response:
                    return await response.read()

            return await timed(by_aiohttp, url, count, at_once)
    import httpx

    limits = httpx.Limits(max_keepalive_connections=0, max_connections=None)
    async with httpx.AsyncClient(limits=limits) as client:

        async def by_httpx(url: str) -> bytes:
            return (await client.get(url)).content

        return await timed(by_httpx, url, count, at_once)


def rate(name: str, url: str, count: int, at_once: int) -> float:
    """Return pages a second of one client, in this process."""
    if name in (UVLOOP, "RawAgent", "Agent", "treq"):
        return on_reactor(name, url, count, at_once)
    if name in ("aiohttp", "httpx"):
        return asyncio.run(on_asyncio(name, url, count, at_once))
    if name == "curl":
        command = ["curl", "--silent", "--header", "Connection: close", f"{url}?[1-{count}]"]
        if at_once > 1:
            command += ["--parallel", "--parallel-max", str(at_once)]
        begun = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        return count / (time.perf_counter() - begun)
    fetch = tutorial if name == "tutorial" else by_http_client
    blocking(fetch, url, count // 10)
    begun = time.perf_counter()
    blocking(fetch, url, count)
    return count / (time.perf_counter() - begun)


async def save_on_reactor(reactor: Any, name: str, url: str, write: Write) -> None:
    import treq
    from twisted.web.client import Agent

    if name == "treq":
        response = await treq.get(url, unbuffered=True)
    else:
        response = await Agent(reactor).request(b"GET", url.encode())
    await treq.collect(response, write)


async def save_on_asyncio(name: str, url: str, write: Write) -> None:
    if name == "aiohttp":
        import aiohttp

        async with aiohttp.ClientSession() as session, session.get(url) as response:
            async for piece in response.content.iter_any():
                write(piece)
    else:
        import httpx

        async with httpx.AsyncClient() as client, client.stream("GET", url) as response:
            async for piece in response.aiter_bytes():
                write(piece)


def save(name: str, url: str, write: Write) -> None:
    """Write a big page as it arrives."""
    if name in ("Agent", "treq"):
        from twisted.internet.defer import Deferred
        from twisted.internet.task import react

        react(lambda reactor: Deferred.fromCoroutine(save_on_reactor(reactor, name, url, write)))
    elif name in ("aiohttp", "httpx"):
        asyncio.run(save_on_asyncio(name, url, write))
    else:
        place = urlsplit(url)
        connection = http.client.HTTPConnection(str(place.hostname), place.port)
        connection.request("GET", place.path)
        response = connection.getresponse()
        while piece := response.read(256 * 1024):
            write(piece)


def nginx(stack: ExitStack, folder: Path) -> str:
    """Serve a folder until the stack is left; return its URL."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        sys.exit("nginx is not installed: apt-get install nginx, or brew install nginx.")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    paths = " ".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr;"
        f" events {{ worker_connections 2048; }} http {{ access_log off; sendfile on; {paths}"
        f" server {{ listen 127.0.0.1:{port}; root {folder}; }} }}"
    )
    process = subprocess.Popen([program, "-e", "stderr", "-c", str(folder / "conf")])
    stack.callback(process.wait)
    stack.callback(process.terminate)
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return f"http://127.0.0.1:{port}"
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                sys.exit("nginx does not start: see what it said above.")
            time.sleep(0.01)


def whole(command: list[str]) -> tuple[float, int]:
    """Run a command; return its wall time in seconds and its peak memory in KiB."""
    begun = time.perf_counter()
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=quiet)
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - begun
    if status:
        sys.exit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}.")
    return seconds, usage.ru_maxrss


def report(title: str, unit: str, figures: dict[str, list[float]], base: str) -> None:
    """Print medians, spread, and ratios to one of them."""
    print(f"\n{title} ({unit}; median, least to most, ratio to {base})")
    for name, values in figures.items():
        ratio = median(one / other for one, other in zip(values, figures[base], strict=True))
        spread = f"{min(values):.4g} to {max(values):.4g}"
        print(f"  {name:22} {median(values):10.4g}   {spread:20} {ratio:6.2f}")


def rates(url: str, rounds: int, count: int, at_once: int, names: list[str]) -> None:
    figures: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            command = [sys.executable, "-W", "ignore", __file__, "--worker", name, "--url", url]
            command += ["--count", str(count), "--at-once", str(at_once)]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
            figures[name].append(float(done.stdout))
    report(f"small pages, {at_once} at a time", "pages a second", figures, "Agent")


def times(title: str, rounds: int, out: Path, commands: dict[str, list[str]], base: str) -> None:
    """Time whole processes, each of which writes a new file."""
    for command in commands.values():
        whole(command)
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    memory: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            out.unlink(missing_ok=True)
            wall, peak = whole(command)
            seconds[name].append(wall)
            memory[name].append(peak / 1024)
    report(title, "seconds", seconds, base)
    report(title, "MiB of memory at most", memory, base)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=2000, help="small pages a round")
    parser.add_argument("--only", choices=["small", "big", "start"])
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--at-once", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--save", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.save:
        with options.save.open("wb", buffering=0) as file:
            save(options.worker, options.url, file.write)
        return
    if options.worker:
        print(rate(options.worker, options.url, options.count, options.at_once))
        return
    # An installed package has its bytecode: let the first run write ours.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with ExitStack() as stack:
        memory = "/dev/shm" if os.path.isdir("/dev/shm") else None  # the disk is nobody's fault
        folder = Path(stack.enter_context(TemporaryDirectory(dir=memory)))
        folder.chmod(0o755)
        (folder / "small").write_bytes(b"x" * SMALL)
        with (folder / "big").open("wb") as file:
            file.truncate(BIG)
        url = nginx(stack, folder)
        curl = shutil.which("curl") or sys.exit("curl is not installed.")
        hello = str(Path(sys.executable).with_name("hello-fetch"))
        out = folder / "out"
        if options.only in (None, "small"):
            names = [UVLOOP, "RawAgent", "Agent", "treq", "aiohttp", "httpx", "curl"]
            others = ["http.client", "tutorial"]
            rates(f"{url}/small", options.rounds, options.count, 1, names + others)
            rates(f"{url}/small", options.rounds, options.count, AT_ONCE, names)
        if options.only in (None, "big"):
            commands = {
                "curl": [curl, "-s", "-o", str(out), f"{url}/big"],
                "hello-fetch": [hello, "-q", "-o", str(out), f"{url}/big"],
            }
            worker = [sys.executable, "-W", "ignore", __file__, "--url", f"{url}/big"]
            for name in ("Agent", "treq", "aiohttp", "httpx", "http.client"):
                commands[name] = [*worker, "--worker", name, "--save", str(out)]
            times("1 GiB to a file", options.rounds, out, commands, "curl")
        if options.only in (None, "start"):
            bare = [sys.executable, "-c", "from twisted.internet import reactor"]
            commands = {
                "import reactor": bare,
                "hello-fetch": [hello, "-q", "-o", str(out), f"{url}/small"],
                "curl": [curl, "-s", "-o", str(out), f"{url}/small"],
            }
            times("start to a saved page", options.rounds * 6, out, commands, "import reactor")


if __name__ == "__main__":
    main()
