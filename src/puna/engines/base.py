"""What an engine is: a prompt and a sampling go in, an async iterator of events comes out. Knows no format."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from puna.generation import Delta, End, Prompt, Sampling, Segment

Event = Delta | End


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine says of itself. context: tokens of one request's window; slots: requests at a time.

    control: texts of the model's control tokens. bos: the text of the token that starts a prompt where the
    vocabulary demands one, else None.
    """

    model: str
    build: str
    context: int
    slots: int
    control: frozenset[str] = frozenset()
    bos: str | None = None


@runtime_checkable
class Engine(Protocol):
    """An engine, embedded or remote. ``start`` before use, ``close`` after it; both may be called twice."""

    @property
    def ready(self) -> bool:
        """Whether it can answer now: started, and not closed or lost since."""

    async def start(self) -> EngineInfo:
        """Load the model or find the server.

        Raises:
            ModelFileError: the model file cannot be used.
            EngineError: anything else that keeps it from starting.
        """

    async def close(self) -> None:
        """End every stream with EngineStoppedError and free everything, child processes included."""

    async def encode(self, segments: tuple[Segment, ...]) -> tuple[int, ...]:
        """Token ids of a prompt by this model's vocabulary, shape (n,); content never becomes a control id."""

    def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Event, None]:
        """Deltas in order, then one End. Closing the iterator early frees the slot.

        Raises:
            EngineBusyError: the queue is full. EngineError: the generation failed.
        """
