"""gevent's StreamServer."""

import socket

from gevent.server import StreamServer


def converse(connection: socket.socket, address: object) -> None:
    connection.sendall(b"Welcome!")
    while (data := connection.recv(1024)) and data != b"exit":
        connection.sendall(b"Hello, " + data + b"!")
    connection.close()


server = StreamServer(("127.0.0.1", 0), converse, backlog=4096)
server.start()
print(server.server_port, flush=True)
server.serve_forever()
