"""The tutorial's server, a thread for each connection, without its wait."""

import socket
import threading


def converse(connection: socket.socket) -> None:
    connection.sendall(b"Welcome!")
    while (data := connection.recv(1024)) and data != b"exit":
        connection.sendall(b"Hello, " + data + b"!")
    connection.close()


with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
    print(listening.getsockname()[1], flush=True)
    threading.stack_size(256 * 1024)
    while True:
        threading.Thread(target=converse, args=(listening.accept()[0],), daemon=True).start()
