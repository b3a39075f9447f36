"""Puts load on a server with epoll, and checks every byte of its answers."""

import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path

WARM_UP = 0.1
"""Seconds of load before the first measured message."""


PATIENCE = 30
"""Seconds after which a server that says nothing has no figure."""


class NoFigure(Exception):
    """A server gave a wrong answer, or none in time."""


def wait(poll: select.epoll) -> list[tuple[int, int]]:
    """Return the descriptors with something to read, and their events."""
    if ready := poll.poll(PATIENCE):
        return ready
    raise NoFigure(f"no answer in {PATIENCE} seconds")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, its ended threads included."""
    return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def connect(port: int, greeting: bytes) -> socket.socket:
    """Connect and read the greeting."""
    client = socket.create_connection(("127.0.0.1", port), PATIENCE)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    received = b""
    while len(received) < len(greeting) and (data := client.recv(100)):
        received += data
    if received != greeting:
        raise NoFigure(f"{received!r}, not {greeting!r}")
    return client


@contextmanager
def connections(port: int, count: int, greeting: bytes) -> Iterator[list[socket.socket]]:
    """Open connections and read their greetings; close them in the end."""
    clients: list[socket.socket] = []
    try:
        for _ in range(count):
            clients.append(connect(port, greeting))
        yield clients
    finally:
        for client in clients:
            client.close()


def ask_and_check(
    port: int,
    pid: int,
    count: int,
    greeting: bytes,
    questions: list[tuple[bytes, bytes]],
    seconds: float,
) -> tuple[int, float]:
    """Ask one of the questions on each connection, again and again.

    @param questions: what to send, and what is to come back.
    @return: how often an answer came, and the server's CPU seconds meanwhile.
    """
    with connections(port, count, greeting) as clients, select.epoll() as poll:
        state = {}
        for number, client in enumerate(clients):
            question, answer = questions[number % len(questions)]
            state[client.fileno()] = [client.send, client.recv, question, answer, len(answer), b""]
            poll.register(client.fileno(), select.EPOLLIN)
            client.setblocking(False)
            client.send(question)
        answers = 0
        before = 0.0
        measured_from = time.monotonic() + WARM_UP
        until = inf
        while (now := time.monotonic()) < until or not answers:
            if until == inf and now >= measured_from:
                before, answers, until = cpu_seconds(pid), 0, now + seconds
            for descriptor, _ in wait(poll):
                one = state[descriptor]
                send, recv, question, answer, length, received = one
                data = recv(length + 1)
                if data == answer:
                    answers += 1
                    send(question)
                    continue
                received += data
                if len(received) < length and data and answer.startswith(received):
                    one[5] = received
                elif received == answer:
                    one[5] = b""
                    answers += 1
                    send(question)
                else:
                    raise NoFigure(f"{received[:80]!r}, not {answer[:80]!r}")
        return answers, cpu_seconds(pid) - before


def connect_and_exit(
    port: int, pid: int, count: int, greeting: bytes, seconds: float
) -> tuple[int, float]:
    """Connect, read the greeting, say exit, wait for the close; C{count} clients at a time."""
    address = ("127.0.0.1", port)
    done = 0
    with select.epoll() as poll:
        clients: dict[int, tuple[socket.socket, bytes]] = {}

        def start() -> None:
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(address)
            clients[client.fileno()] = client, b""
            poll.register(client.fileno(), select.EPOLLIN)

        for _ in range(count):
            start()
        before = 0.0
        measured_from = time.monotonic() + WARM_UP
        until = inf
        while (now := time.monotonic()) < until or not done:
            if until == inf and now >= measured_from:
                before, done, until = cpu_seconds(pid), 0, now + seconds
            for descriptor, _ in wait(poll):
                client, received = clients[descriptor]
                data = client.recv(100)
                if not data and received == greeting:
                    del clients[descriptor]
                    client.close()
                    done += 1
                    start()
                    continue
                received += data
                clients[descriptor] = client, received
                if received == greeting:
                    client.send(b"exit")
                elif not data or not greeting.startswith(received):
                    raise NoFigure(f"{received!r}, not {greeting!r}")
        used = cpu_seconds(pid) - before
        for client, _ in clients.values():
            client.close()
    return done, used


def idle_bytes(port: int, pid: int, count: int, greeting: bytes) -> float:
    """Return how many bytes of resident memory each of C{count} idle connections takes."""
    connect(port, greeting).close()
    before = resident_bytes(pid)
    with connections(port, count, greeting):
        return (resident_bytes(pid) - before) / count
