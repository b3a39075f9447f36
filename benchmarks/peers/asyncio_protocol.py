"""An asyncio Protocol, on the loop of Python's or, given C{uvloop}, on uvloop's.

The yardstick: with C{lines} it answers lines as fast as a bare protocol can, without a limit to
their length and blind to exit in the middle.
"""

import asyncio
import sys


class Hello(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(b"Welcome!")

    def data_received(self, data: bytes) -> None:
        if data == b"exit":
            self.transport.close()
        else:
            self.transport.write(b"Hello, " + data + b"!")


class Lines(Hello):
    held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(b"Welcome!\r\n")

    def data_received(self, data: bytes) -> None:
        *lines, self.held = (self.held + data).split(b"\n")
        if lines:
            self.transport.write(b"Hello, " + b"!\nHello, ".join(lines) + b"!\n")


async def main() -> None:
    loop = asyncio.get_running_loop()
    protocol = Lines if "lines" in sys.argv else Hello
    server = await loop.create_server(protocol, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.create_future()


if "uvloop" in sys.argv:
    import uvloop

    uvloop.run(main())
else:
    asyncio.run(main())
