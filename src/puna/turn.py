"""What a caller asks of a model, and the turn that is made of it: prepared, then streamed, then accounted for.

Knows engines and receipts; no format. The spine (``puna.chat``) makes turns.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, fields, replace

from puna.dialog.prune import Dropped
from puna.dialog.turns import cut
from puna.engines.base import Engine, EngineInfo, Event, Scored
from puna.errors import EngineError, InputError
from puna.generation import (
    MAX_SEED,
    NO_EXTRAS,
    Delta,
    End,
    Extras,
    Finish,
    Kind,
    Prompt,
    Receipt,
    Sampling,
    Segment,
    Written,
)
from puna.messages import Dialog, Role

CHARACTERS_PER_TOKEN = 64
"""A prompt of more characters than so many for each token of the window is not even read; text has 2 to 5."""


@dataclass(frozen=True, slots=True)
class Begun:
    """An answer that has begun, as the model made it: the model goes on after exactly these tokens. ids: shape (n,)."""

    text: str
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """What a caller wants. given: names of the sampling parameters that the caller set; the others are defaults.

    prompt: text, messages, or token ids, which go to the model as they are. raw: never parse a text. policy: what to do with
    messages that do not fit the window, one of ``puna.dialog.prune.POLICIES``. cap: ``max_tokens`` is lowered to what the window
    leaves, where it leaves anything. open_end: no ``max_tokens`` was set, and all that the window leaves is meant. ignored: what
    the caller sent to no effect, for the receipt. pinned: indices of messages that the policy keeps. begun: what follows the
    prompt. continues: the last message is the assistant's begun answer, as text.
    """

    prompt: str | Dialog | tuple[int, ...]
    sampling: Sampling = field(default_factory=Sampling)
    given: frozenset[str] = frozenset()
    raw: bool = False
    policy: str = "none"
    extras: Extras = NO_EXTRAS
    cap: bool = False
    open_end: bool = False
    ignored: tuple[str, ...] = ()
    pinned: tuple[int, ...] = ()
    begun: Begun | None = None
    continues: bool = False

    @property
    def staying(self) -> tuple[str, ...]:
        """The texts that no policy takes away."""
        if isinstance(self.prompt, tuple):
            return ()
        if isinstance(self.prompt, str):
            return (self.prompt,)
        turns = cut(self.prompt, self.pinned)
        gone = set() if self.policy == "none" else set(turns.droppable)
        return tuple(
            m.content for m, turn in zip(self.prompt, turns.of, strict=True) if turn is None or turn not in gone
        )

    @property
    def defaulted(self) -> tuple[str, ...]:
        """The sampling parameters that the caller left to their defaults."""
        return tuple(entry.name for entry in fields(Sampling) if entry.name not in self.given)

    @property
    def size(self) -> int:
        """Characters of text that are to be read; token ids have none."""
        if isinstance(self.prompt, tuple):
            return 0
        return len(self.prompt) if isinstance(self.prompt, str) else sum(len(m.content) for m in self.prompt)

    def check_size(self, context: int) -> None:
        """Refuse what cannot fit a window of ``context`` tokens, whatever the policy drops.

        Raises:
            InputError: more characters, or more messages, than so many tokens could stand for.
        """
        if isinstance(self.prompt, tuple):
            return
        texts = self.staying
        size = sum(map(len, texts))
        if size > context * CHARACTERS_PER_TOKEN or len(texts) > context:
            raise InputError(
                f"the prompt has {size} characters in {len(texts)} texts, but the context window holds {context} tokens, for which "
                f"at most {context * CHARACTERS_PER_TOKEN} characters in {context} texts are read; shorten the prompt, or serve the "
                "model with a larger --context"
            )

    def prompt_of(self, segments: tuple[Segment, ...], ids: tuple[int, ...], dialog: Dialog | None) -> Prompt:
        """The prompt that was made of it, with the answer that has begun."""
        begun = () if self.begun is None else (Segment(Kind.CONTENT, self.begun.text, Role.ASSISTANT),)
        return Prompt((*segments, *begun), ids, dialog)

    def without_effect(self, found: Mapping[str, object]) -> tuple[str, ...]:
        """What of it has no effect. found: of the server that is asked, as in ``EngineInfo``."""
        passed_over = found.get("ignores")
        names = passed_over if isinstance(passed_over, list | tuple) else ()
        return (*self.ignored, *(name for name in names if name in self.given))

    def uncounted(self, build: str) -> tuple[str, ...]:
        """What a caller whose policy could have left turns out should know where nobody can count them."""
        if self.policy == "none" or not isinstance(self.prompt, Dialog) or not cut(self.prompt, self.pinned).droppable:
            return ()
        return (
            f"the policy {self.policy} has left out nothing, for {build} does not tell its window or how long a prompt is",
        )

    def capped(self, room: int) -> tuple[str, ...]:
        """What a caller who set a longest answer should know where ``room`` tokens are left for it."""
        if self.open_end:
            return ()
        return (f"max_tokens was lowered from {self.sampling.max_tokens} to {room}, which is what the window leaves",)


@dataclass(frozen=True, slots=True)
class Turn:
    """A prepared turn: everything that is known before the first token."""

    engine: Engine
    info: EngineInfo
    prompt: Prompt
    sampling: Sampling
    written: Written
    source: str | None
    format: str
    defaulted: tuple[str, ...]
    extra_stops: tuple[str, ...]
    findings: tuple[str, ...]
    dropped: tuple[Dropped, ...] = ()
    extras: Extras = NO_EXTRAS
    ignored: tuple[str, ...] = ()

    def facts(self, *, prompts: bool) -> Mapping[str, object]:
        """What its receipt will tell, but for how it ends."""
        receipt = self._receipt(End(Finish.UNKNOWN, None))
        ends = {*receipt.outcome(), "scored"}
        return {name: value for name, value in receipt.as_json(prompts=prompts).items() if name not in ends}

    def again(self, n: int) -> Turn:
        """The same turn, but for a seed that is ``n`` higher: another answer to the same prompt."""
        seed = ((self.sampling.seed or 0) + n) % (MAX_SEED + 1)
        return replace(self, sampling=replace(self.sampling, seed=seed))

    def answers(self, n: int) -> list[AsyncGenerator[Delta | Receipt, None]]:
        """Streams of ``n`` answers to the same prompt: this turn's, then as ``again`` makes them."""
        return together([self, *(self.again(k) for k in range(1, n))])

    async def score(self, top: int) -> tuple[Scored, Receipt]:
        """Log-probabilities of the prompt's own tokens, with ``top`` alternatives each; nothing is generated.

        Raises:
            InputError: the engine cannot do it.
        """
        scored = await self.engine.score(self.prompt.ids, top)
        receipt = self._receipt(End(Finish.LENGTH, scored.usage, scored.timing))
        return scored, replace(receipt, scored=scored.timing, generates=False)

    @property
    def effective(self) -> Sampling:
        """What the engine is told: the sampling, with the stops of the format."""
        return replace(self.sampling, stop=(*self.sampling.stop, *self.extra_stops))

    def stream(self) -> AsyncGenerator[Delta | Receipt, None]:
        """Deltas in order, then exactly one receipt. Closing the iterator early stops the generation."""
        return self.told(self.engine.stream(self.prompt, self.effective, self.extras))

    async def told(self, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Delta | Receipt, None]:
        """The engine's events for this turn, with a receipt for an end; closed with this iterator.

        Raises:
            EngineError: as the engine; what had come until then is its ``partial``.
        """
        pieces: list[str] = []
        try:
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, End):
                        yield self._receipt(event)
                        return
                    pieces.append(event.text)
                    yield event
        except EngineError as error:
            raise _after(error, pieces) from error.__cause__
        silent = "the engine's stream broke off without saying why; ask again, and see the engine's log"
        raise _after(EngineError(silent), pieces)

    def _receipt(self, end: End) -> Receipt:
        asked_for = end.stopped_by in self.sampling.stop
        return Receipt(
            written=self.written,
            source=self.source,
            format=self.format,
            sampling=self.sampling,
            defaulted=self.defaulted,
            finish=end.finish,
            usage=end.usage,
            timing=end.timing,
            model=self.info.model,
            engine=self.info.build,
            stopped_by=end.stopped_by if asked_for else None,
            findings=self.findings,
            dropped=tuple(entry.as_json() for entry in self.dropped),
            ignored=self.ignored,
            extras=self.extras,
            prompt=self.prompt,
            reproducible=self.info.reproducible,
            remote=end.remote,
            server=self.info.found,
        )


def _after(error: EngineError, pieces: Sequence[str]) -> EngineError:
    error.partial = "".join(pieces) if pieces else None
    return error


def together(turns: Sequence[Turn]) -> list[AsyncGenerator[Delta | Receipt, None]]:
    """A stream for each turn, to be read at the same time; a prompt that all of them share is evaluated once, where that can be."""
    first = turns[0] if turns else None
    if first is None or not first.prompt.ids or any(not _alike(turn, first) for turn in turns):
        return [turn.stream() for turn in turns]
    streams = first.engine.together(first.prompt, [(turn.effective, turn.extras) for turn in turns])
    return [turn.told(events) for turn, events in zip(turns, streams, strict=True)]


def _alike(turn: Turn, other: Turn) -> bool:
    return turn.engine is other.engine and turn.prompt == other.prompt
