"""The tutorial's server and client to compare with (steps 2 and 3 of docs/tutorial.md)."""

import socket
import threading
import time
from typing import Self

CONVERSATION = ["Welcome!", "Hello, Michael!", "Hello, Tracy!", "Hello, Sarah!"]
"""What the tutorial's client prints."""


class TutorialServer:
    """A thread for each connection; reads once, waits, answers.

    @param delay: the wait in seconds, 1 in the tutorial.
    """

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._converse, args=[connection])
            self._threads.append(thread)
            thread.start()

    def _converse(self, connection: socket.socket) -> None:
        with connection:
            connection.sendall(b"Welcome!")
            while True:
                data = connection.recv(1024)
                time.sleep(self._delay)
                text = data.decode("utf-8")
                if text in ("", "exit"):
                    return
                connection.sendall(f"Hello, {text}!".encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join()


def tutorial_client(port: int) -> list[str]:
    """Greet the tutorial's three names; return what its client prints."""
    printed = []
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.connect(("127.0.0.1", port))
        printed.append(client.recv(1024).decode("utf-8"))
        for name in [b"Michael", b"Tracy", b"Sarah"]:
            client.send(name)
            printed.append(client.recv(1024).decode("utf-8"))
        client.send(b"exit")
    return printed
