"""The whole tutorial in one go: C{make demo}.

A daemon on a free port, the client's conversation with it, and a page fetched from a local web
server; then everything is stopped, and nothing is left behind.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

PAGE = "<!doctype html><title>Hello</title><p>Hello from a web server of your own.\n"


def program(name: str) -> str:
    """Find a command beside this Python, or anywhere."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    return found or sys.exit(f"{name} is not installed: pip install hello_service.")


@contextmanager
def server(command: list[str], folder: Path, pattern: str) -> Iterator[str]:
    """Run a server; give the port that it prints, and stop it in the end."""
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout
            for line in process.stdout:
                if match := re.search(pattern, line):
                    yield match[1]
                    break
            else:
                sys.exit(f"{' '.join(command)} did not start.")
        finally:
            process.terminate()


def step(number: int, title: str, command: list[str], folder: Path) -> None:
    """Show a command, and run it."""
    shown = " ".join([Path(command[0]).name, *command[1:]])
    print(f"\n== {number}. {title}\n$ {shown}", flush=True)
    subprocess.run(command, cwd=folder, check=True)


def main() -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "site").mkdir()
        (folder / "site" / "index.html").write_text(PAGE)
        web = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
        with server(web, folder / "site", r" port (\d+)") as port:
            url = f"http://127.0.0.1:{port}/"
            step(1, "The fetcher", [program("hello-fetch"), "-o", "page.html", url], folder)
            if (folder / "page.html").read_text() != PAGE:
                sys.exit("The page is not what was served.")
        daemon = [program("twistd"), "--nodaemon", "--pidfile=", "hello", "--port=0"]
        with server(daemon, folder, r"Waiting for connection\.\.\. .*:(\d+)\)") as port:
            print(f"\n== 2. The server\n$ {' '.join(['twistd', *daemon[1:]])}")
            print(f"Waiting for connection... (on port {port})")
            step(3, "The client", [program("hello-client"), f"--port={port}"], folder)
    print("\nEverything is stopped, nothing is left behind.")


if __name__ == "__main__":
    main()
