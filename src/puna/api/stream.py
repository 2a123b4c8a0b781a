"""An answer while it comes, for readers with and without a loop. Knows how a turn is begun and ended; no engine, no conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from puna.api.recording import Recording
from puna.generation import Delta, Receipt
from puna.sync import bridge


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. receipt: None where the stream was left before its end; text then holds what had arrived."""

    text: str
    receipt: Receipt | None

    def __str__(self) -> str:
        return self.text


class AsyncStream:
    """An answer that comes piece by piece: ``async for`` over it, as often as you like, or ``await`` it for the whole reply.

    The turn begins when the first reader asks for a piece, and goes on by itself until its end. It is stopped by ``stop``, by
    leaving ``async with``, when a reader that waits is cancelled, and when nobody holds the stream any more; what had come by
    then stays, here and in the conversation. Readers get an error of the turn after the pieces that came before it.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._read = 0

    @property
    def text(self) -> str:
        """What has come so far; waits for nothing."""
        return self.recording.text

    @property
    def tokens(self) -> tuple[Delta, ...]:
        """The pieces so far, with the log-probabilities of their tokens where they were asked for."""
        return tuple(self.recording.deltas)

    @property
    def receipt(self) -> Receipt | None:
        """What happened; None before the end, and where the turn did not come to it."""
        return self.recording.receipt

    @property
    def reply(self) -> Reply | None:
        """The answer, once the turn has ended or was stopped; None before."""
        return Reply(self.text, self.receipt) if self.recording.ended else None

    def __aiter__(self) -> AsyncPieces:
        return AsyncPieces(self)

    async def __anext__(self) -> str:
        return await self._next()

    def __await__(self) -> Generator[object, None, Reply]:
        return self._whole().__await__()

    def start(self) -> Self:
        """Begin the turn now rather than with the first reader, so that several conversations are answered at the same time.

        Raises:
            InputError: another turn of this conversation is under way.
        """
        self.recording.start(asyncio.get_running_loop())
        return self

    async def stop(self) -> None:
        """End the turn and keep what has come. A turn that has ended, or was not begun, only stays so."""
        self.recording.stop()
        await self.recording.until_gone()

    aclose = stop

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def __repr__(self) -> str:
        return _shown(self)

    def __del__(self) -> None:
        if hasattr(self, "recording"):
            self.recording.abandon()

    async def piece(self, n: int) -> str | None:
        """The n-th piece, from 0, waited for; None where the answer has fewer.

        Raises:
            PunaError: what ended the turn, where it has no such piece because of that.
        """
        self.start()
        try:
            return await self.recording.next(n)
        except asyncio.CancelledError:
            self.recording.stop()
            raise

    async def _next(self) -> str:
        piece = await self.piece(self._read)
        if piece is None:
            raise StopAsyncIteration
        self._read += 1
        return piece

    async def _whole(self) -> Reply:
        n = 0
        while await self.piece(n) is not None:
            n = max(n + 1, len(self.recording.deltas))
        return Reply(self.text, self.receipt)


class AsyncPieces:
    """One reader of a stream, from its beginning. No generator: what a loop leaves of one lives on until the loop finds time for it."""

    def __init__(self, stream: AsyncStream) -> None:
        self._stream = stream
        self._read = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        piece = await self._stream.piece(self._read)
        if piece is None:
            raise StopAsyncIteration
        self._read += 1
        return piece


class Stream:
    """``AsyncStream`` for synchronous callers: a ``for`` over it, as often as you like, or ``str()`` of it for the whole text.

    A reader that is interrupted while it waits (Ctrl-C) stops the turn. Any thread may read it or stop it.
    """

    def __init__(self, stream: AsyncStream) -> None:
        self._stream = stream
        self._read = 0

    @property
    def text(self) -> str:
        """What has come so far; waits for nothing."""
        return self._stream.text

    @property
    def tokens(self) -> tuple[Delta, ...]:
        """The pieces so far, with the log-probabilities of their tokens where they were asked for."""
        return self._stream.tokens

    @property
    def receipt(self) -> Receipt | None:
        """What happened; None before the end, and where the turn did not come to it."""
        return self._stream.receipt

    @property
    def reply(self) -> Reply | None:
        """The answer, once the turn has ended or was stopped; None before."""
        return self._stream.reply

    def __iter__(self) -> Iterator[str]:
        n = 0
        try:
            while (piece := self._piece(n)) is not None:
                yield piece
                n += 1
        except KeyboardInterrupt:
            self._stream.recording.stop()  # a notebook keeps the traceback, and by it this reader and its stream
            raise

    def __next__(self) -> str:
        piece = self._piece(self._read)
        if piece is None:
            raise StopIteration
        self._read += 1
        return piece

    def start(self) -> Self:
        """Begin the turn now rather than with the first reader, so that several conversations are answered at the same time.

        Raises:
            InputError: another turn of this conversation is under way.
        """
        self._stream.recording.start(bridge().loop)
        return self

    def wait(self) -> Reply:
        """The whole answer, once it is there.

        Raises:
            PunaError: what ended the turn early.
        """
        n = 0
        while self._piece(n) is not None:
            n = max(n + 1, len(self._stream.recording.deltas))
        return Reply(self.text, self.receipt)

    def __str__(self) -> str:
        return self.wait().text

    def __repr__(self) -> str:
        return _shown(self._stream, type(self).__name__)

    def stop(self) -> None:
        """End the turn and keep what has come. A turn that has ended, or was not begun, only stays so."""
        self._stream.recording.stop()
        self._stream.recording.wait_gone()

    close = stop

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _piece(self, n: int) -> str | None:
        try:
            self.start()
            return self._stream.recording.wait(n)
        except KeyboardInterrupt:
            self._stream.recording.stop()
            raise


def _shown(stream: AsyncStream, name: str = "AsyncStream") -> str:
    state = "ended" if stream.recording.ended else "under way" if stream.recording.started else "not begun"
    return f"<{name} {state}: {stream.text[:60]!r}>"
