"""A server that answers each request with the bytes that a test gives it, in the test's own event loop."""

import asyncio
import json
from contextlib import asynccontextmanager

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
"""The head of a stream that ends with its connection."""


def whole(status: int, body: object, media: str = "application/json") -> bytes:
    """An answer that is sent at once."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {media}\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    return head.encode() + data


def events(*values):
    """Server-sent events."""
    return b"".join(b"data: " + (v if isinstance(v, bytes) else json.dumps(v).encode()) + b"\n\n" for v in values)


MISSING = whole(404, {"error": {"message": "Not Found"}})
QUIET = frozenset({"/props"})
"""Asked for to find out who a server is; what has no such route says so, and no test counts that."""


class Server:
    """answers: what each request gets, in order; the last one again and again. asked: path and body of every request."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self.heads = []
        self.url = ""

    async def handle(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
        )
        body = await reader.readexactly(length)
        path = head.split()[1].decode()
        if path in QUIET:
            writer.write(MISSING)
            await writer.drain()
            writer.close()
            return
        self.heads.append(head.decode())
        self.asked.append((path, json.loads(body) if body else None))
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        for part in [answer] if isinstance(answer, bytes) else answer:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def serving(*answers):
    server = Server(*answers)
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()
