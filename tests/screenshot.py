"""Takes the pictures of the page in docs/: of a daemon whose clients have talked for a minute."""

import random
import socket
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

from tests.browser import Browser, browser
from tests.processes import PATIENCE, Daemon, free_port

DOCS = Path(__file__).parent.parent / "docs"
SECONDS = 60.0
WIDTH, HEIGHT, SCALE = 1200, 650, 1.5


def connect(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), PATIENCE)
    client.recv(1024)
    return client


def talk(port: int, stopped: Event, chance: random.Random) -> None:
    """Hold conversations with pauses, one after another."""
    while not stopped.wait(chance.uniform(0, 3)):
        with connect(port) as client:
            for name in (b"Michael", b"Tracy", b"Sarah"):
                client.sendall(name)
                client.recv(1024)
                stopped.wait(chance.uniform(0.2, 2))
            client.sendall(b"exit")


def stick(client: socket.socket, stopped: Event) -> None:
    """Say a name, and two more while the server waits."""
    stopped.wait(0.4)
    client.sendall(b"Michael")
    for name in (b"Tracy", b"Sarah"):
        stopped.wait(0.3)
        client.sendall(name)
    for _ in range(2):
        client.recv(1024)


def take(page: Browser, url: str, port: int) -> None:
    """Have clients talk, then open the wire of one of them."""
    stopped = Event()
    page.open(url, WIDTH, HEIGHT, SCALE)
    page.wait(lambda: page.texts("#state") == ["serving"])
    with ExitStack() as end:
        threads = [Thread(target=talk, args=(port, stopped, random.Random(i))) for i in range(3)]
        for thread in threads:
            thread.start()
            end.callback(thread.join)
        end.callback(stopped.set)
        stopped.wait(SECONDS)
        silent = end.enter_context(connect(port))
        stopped.wait(0.5)
        sticky = end.enter_context(connect(port))
        stick(sticky, stopped)
        _, number = sticky.getsockname()
        page.ask(f"document.querySelector('[aria-label$=\":{number}\"]').click()")
        page.wait(lambda: len(page.texts(".bytes")) == 5)
        stopped.wait(4)
        for scheme in ("light", "dark"):
            feature = {"name": "prefers-color-scheme", "value": scheme}
            page.command("Emulation.setEmulatedMedia", features=[feature])
            stopped.wait(0.5)
            page.picture(DOCS / f"page-{scheme}.webp")
        silent.sendall(b"exit")


def main() -> None:
    port = free_port()
    status = f"--status=tcp:{port}:interface=127.0.0.1"
    options = ["--port=9999", "--framing=stream", "--delay=1", "--name=web-1", "--status-bytes"]
    with (
        TemporaryDirectory() as folder,
        Daemon(Path(folder), status, "--max-connections=64", *options) as daemon,
    ):
        take(browser(), f"http://127.0.0.1:{port}/", daemon.port())


if __name__ == "__main__":
    main()
