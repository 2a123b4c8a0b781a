"""Servers that are not what was expected: raw sockets that say what a test gives them, stall, go on for ever, or speak TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

CERTIFICATES = Path(__file__).parent / "certificates"


class Hang:
    """In what a server says: nothing more, until the client leaves."""


class Forever:
    """In what a server says: this, again and again, until the client leaves."""

    def __init__(self, data: bytes) -> None:
        self.data = data


Act = bytes | Hang | Forever


async def _do(act: Act, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if isinstance(act, Hang):
        await reader.read()
        return
    data = act if isinstance(act, bytes) else act.data
    while True:
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(0)
        if not isinstance(act, Forever) or writer.is_closing():
            return


@asynccontextmanager
async def strange(
    *connections: list[Act], certificate: str | None = None, listens: bool = True
) -> AsyncGenerator[str, None]:
    """The address. connections: what is said to each request, one a connection, the last one again and again.

    listens: whether it hears the request out before it speaks; else its first byte is enough.
    """
    acts: Iterator[list[Act]] = iter(connections[:-1])

    open_: set[asyncio.Task[None] | None] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_.add(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await reader.readuntil(b"\r\n\r\n") if listens else await reader.read(1)
            length = [
                int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
            ]
            await reader.readexactly(sum(length))
            for act in next(acts, connections[-1]):
                await _do(act, reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    tls = None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(CERTIFICATES / certificate)
    listening = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        await asyncio.gather(*(task for task in open_ if task), return_exceptions=True)
