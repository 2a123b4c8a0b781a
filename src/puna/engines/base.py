"""What an engine is: a prompt and a sampling go in, an async iterator of events comes out. Knows no format."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol, runtime_checkable

from puna.generation import NO_EXTRAS, Delta, End, Extras, Logprob, Prompt, Sampling, Segment, Timing, Usage
from puna.messages import Dialog

Event = Delta | End

Variant = tuple[Sampling, Extras]
"""How one of several generations with the same prompt goes."""


class Speaks(StrEnum):
    """What an engine takes for a prompt."""

    IDS = "ids"
    """Token ids: the format is rendered and encoded here, and no text in a message can become a control token."""
    MESSAGES = "messages"
    """Messages: the server has the format."""
    TEXT = "text"
    """Text: the format is rendered here, and the server encodes it."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine says of itself. context: tokens of one request's window; slots: requests at a time; 0 where nobody knows.

    control: texts of the model's control tokens. bos: the text of the token that starts a prompt where the
    vocabulary demands one, else None. reproducible: whether the same prompt, sampling and seed give the same answer, whatever
    else runs and whatever is cached; None where nobody knows. speaks: what it takes. safe: whether it keeps text in a message from
    becoming a control token, sent as messages or text; ids always do. found: what a server was found to be and to offer, JSON values by
    name, for receipts; ``ignores`` lists the sampling parameters that it is known to pass over.
    """

    model: str
    build: str
    context: int
    slots: int
    control: frozenset[str] = frozenset()
    bos: str | None = None
    reproducible: bool | None = None
    speaks: Speaks = Speaks.IDS
    safe: bool = True
    found: Mapping[str, object] = field(default_factory=dict)

    def of_messages(self) -> EngineInfo:
        """The same engine, where it is given messages: what is told of prompts holds for these."""
        now = {"prompts": str(Speaks.MESSAGES), "safe": self.safe}
        found = {name: now.get(name, value) for name, value in self.found.items()}
        return replace(self, speaks=Speaks.MESSAGES, found=found)


@dataclass(frozen=True, slots=True)
class Scored:
    """How likely a model holds a given text. tokens: one for each id, None before the first that was scored.

    timing: waiting for a slot, and the scoring itself as its prefill.
    """

    tokens: tuple[Logprob | None, ...]
    usage: Usage
    timing: Timing = field(default_factory=Timing)

    @property
    def known(self) -> tuple[Logprob, ...]:
        """Those that were scored: of ids[start:], in order."""
        return tuple(token for token in self.tokens if token is not None)


@runtime_checkable
class Engine(Protocol):
    """An engine, embedded or remote. ``start`` before use, ``close`` after it; both may be called twice."""

    @property
    def ready(self) -> bool:
        """Whether it can answer now: started, and not closed or lost since."""

    @property
    def state(self) -> str:
        """``loading`` before it can answer for the first time, ``ready``, ``restarting`` or ``stopped``."""

    @property
    def waiting(self) -> int:
        """How many requests wait for a slot."""

    @property
    def restarts(self) -> int:
        """How often its process was lost and started again."""

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

    def stream(self, prompt: Prompt, sampling: Sampling, extras: Extras = NO_EXTRAS) -> AsyncGenerator[Event, None]:
        """Deltas in order, then one End. Closing the iterator early frees the slot.

        Raises:
            InputError: an extra that this engine does not have. EngineBusyError: the queue is full. EngineError: the
                generation failed.
        """

    def together(self, prompt: Prompt, variants: Sequence[Variant]) -> Sequence[AsyncGenerator[Event, None]]:
        """A stream for each variant of one prompt, which is evaluated once where the engine can do that.

        Read them at the same time. Each stands alone otherwise: it waits for a slot as others do, has its own End (cached counts
        what it did not evaluate itself) and its own failure, and may be closed alone.
        """

    async def score(self, ids: tuple[int, ...], top: int, start: int = 1) -> Scored:
        """Log-probabilities of the tokens ids[start:], each with its ``top`` likeliest alternatives; top: 0 to the whole vocabulary.

        start: 1 (the first token has nothing before it) to len(ids).

        Raises:
            InputError: this engine cannot do it, an id is none of its vocabulary, or start is out of range. EngineError: it failed.
        """


class Counting(Protocol):
    """Counts prompts of messages as ``puna.dialog.budget.Counter`` has it. Blocks."""

    def prompt(self, dialog: Dialog) -> int:
        """Tokens of the prompt that asks for an answer to this dialog."""

    def costs(self, dialog: Dialog) -> tuple[int, ...]:
        """Tokens that each message adds, shape (len(dialog),)."""


@runtime_checkable
class Renders(Protocol):
    """A server that takes messages and tells what prompt it makes of them."""

    @property
    def renders(self) -> bool:
        """Whether it does; known once it is started."""

    async def prompt_of(self, dialog: Dialog) -> Prompt:
        """The exact prompt with its ids.

        Raises:
            InputError: the server does not tell. EngineError: it failed.
        """

    def counter(self) -> Counting:
        """What counts prompts by asking the server."""


@runtime_checkable
class Begins(Protocol):
    """A server that takes messages and tells what an answer that has begun looks like behind them."""

    async def begun(self, dialog: Dialog) -> Prompt:
        """The exact prompt with its ids, the last message being an answer that has begun; raises as ``Renders.prompt_of``."""


@runtime_checkable
class Wraps(Protocol):
    """An engine around another one."""

    @property
    def engine(self) -> Engine:
        """The one inside."""


def innermost(engine: Engine) -> Engine:
    """The engine itself, without those around it."""
    while isinstance(engine, Wraps):
        engine = engine.engine
    return engine


def each_alone(engine: Engine, prompt: Prompt, variants: Sequence[Variant]) -> list[AsyncGenerator[Event, None]]:
    """``together`` for an engine that has nothing to share."""
    return [engine.stream(prompt, sampling, extras) for sampling, extras in variants]
