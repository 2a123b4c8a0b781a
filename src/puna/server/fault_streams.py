"""What faults do to an answer on its way: to its records, and to the ASGI messages that carry them.

Knows bytes and where they end; nothing of files, chance or what an error is called. ``after`` counts records, or chunks
where there is one for each; what would strike after more of them than there are strikes at the last.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing

from starlette.types import Message, Send

Records = AsyncGenerator[bytes, None]

_BODY = "http.response.body"


class Cutter:
    """Cuts a run of bytes at places that have nothing to do with how it came. size: bytes of the largest piece."""

    def __init__(self, size: int, dice: random.Random) -> None:
        self._size = size
        self._dice = dice
        self._buffer = bytearray()
        self._next = dice.randint(1, size)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Pieces that are whole now. What is left over waits for what comes next."""
        self._buffer += data
        while len(self._buffer) >= self._next:
            piece = bytes(self._buffer[: self._next])
            del self._buffer[: self._next]
            self._next = self._dice.randint(1, self._size)
            yield piece

    def rest(self) -> bytes:
        """What is left at the end; it may be empty."""
        left = bytes(self._buffer)
        self._buffer.clear()
        return left


async def slowed(records: Records, after: int, pause: Callable[[], Awaitable[None]]) -> Records:
    """A pause before each record beyond the first ``after``."""
    passed = 0
    async with aclosing(records):
        async for record in records:
            if passed >= after:
                await pause()
            passed += 1
            yield record


async def spoiled(records: Records, after: int) -> Records:
    """One record lacks its last byte before the line break: no JSON object or list is whole without it."""
    passed = 0
    async with aclosing(_marked(records)) as marked:
        async for record, last in marked:
            if passed == after or (last and passed < after):
                text = record.rstrip(b"\r\n")
                yield text[:-1] + record[len(text) :]
            else:
                yield record
            passed += 1


async def unended(records: Records) -> Records:
    """The last record lacks its line breaks."""
    async with aclosing(_marked(records)) as marked:
        async for record, last in marked:
            yield record.rstrip(b"\r\n") if last else record


async def broken(records: Records, after: int, error: Exception) -> Records:
    """``after`` records pass, then the error is raised. The work behind the records has ended by then."""
    passed = 0
    async with aclosing(records):
        async for record in records:
            yield record
            passed += 1
            if passed >= after:
                break
    raise error


async def scattered(records: Records, cutter: Cutter) -> Records:
    """The same bytes in other pieces: records share a piece or are spread over several, characters too."""
    async with aclosing(records):
        try:
            async for record in records:
                for piece in cutter.feed(record):
                    yield piece
        except Exception:
            if left := cutter.rest():
                yield left
            raise
    if left := cutter.rest():
        yield left


async def _marked(records: Records) -> AsyncGenerator[tuple[bytes, bool], None]:
    """Each record, and whether it is the last. So each comes when the next one does."""
    held: bytes | None = None
    async with aclosing(records):
        try:
            async for record in records:
                if held is not None:
                    yield held, False
                held = record
        except Exception:
            if held is not None:
                yield held, False
            raise
    if held is not None:
        yield held, True


class Splitting:
    """Sends a body in pieces that end anywhere, each in a message of its own."""

    def __init__(self, send: Send, cutter: Cutter) -> None:
        self._send = send
        self._cutter = cutter

    async def __call__(self, message: Message) -> None:
        """Pass a message on."""
        if message["type"] != _BODY:
            await self._send(message)
            return
        for piece in self._cutter.feed(message.get("body", b"")):
            await self._send({"type": _BODY, "body": piece, "more_body": True})
        if not message.get("more_body", False):
            await self._send({"type": _BODY, "body": self._cutter.rest()})


class Ending:
    """Ends a body inside a chunk: ``after`` chunks go out whole, then a piece of the next. The rest is swallowed.

    clean: the body ends as if it were complete. Otherwise it is left open: an ASGI server closes the connection when an app
    returns without having ended its body (uvicorn 0.54, ``httptools_impl.py`` and ``h11_impl.py``, ``run_asgi``).
    error: raised once it has struck, so that the work ends; not raised where there is no more work to end.
    """

    def __init__(self, send: Send, after: int, dice: random.Random, error: Exception, *, clean: bool) -> None:
        self._send = send
        self._after = after
        self._dice = dice
        self._error = error
        self._clean = clean
        self._held = b""
        self._passed = 0
        self._over = False

    async def __call__(self, message: Message) -> None:
        """Pass a message on, or a part of it, or nothing."""
        if self._over:
            return
        if message["type"] != _BODY:
            await self._send(self._undeclared(message) if self._clean else message)
            return
        more = message.get("more_body", False)
        if body := message.get("body", b""):
            await self._pass_held()
            self._held = body
        if not more or (body and self._passed == self._after):
            await self._end()
            if more:
                raise self._error

    async def _pass_held(self) -> None:
        """One chunk is held back until the next: it might be the last, and then the one to cut."""
        if self._held:
            self._passed += 1
            held, self._held = self._held, b""
            await self._send({"type": _BODY, "body": held, "more_body": True})

    async def _end(self) -> None:
        self._over = True
        # Not after all but the line break: that would be no cut to speak of.
        length = len(self._held.rstrip(b"\r\n"))
        piece = self._held[: self._dice.randrange(1, length)] if length > 1 else b""
        if piece or self._clean:
            await self._send({"type": _BODY, "body": piece, "more_body": not self._clean})

    @staticmethod
    def _undeclared(message: Message) -> Message:
        """Without its length a body may be shorter and still end cleanly."""
        kept = [(name, value) for name, value in message.get("headers", ()) if name.lower() != b"content-length"]
        return {**message, "headers": kept}
