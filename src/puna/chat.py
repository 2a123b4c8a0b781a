"""The spine: one turn, from what a caller wrote to deltas and a receipt. Policy lives in the wings, effects in engines.

understand (parse what was written) -> render in the model's format -> encode -> fit the window -> stream -> account.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, fields, replace

from puna.dialog.budget import Counter
from puna.dialog.prune import Dropped, fit
from puna.engines.base import Engine, EngineInfo
from puna.errors import ContextWindowError, EngineError, InputError
from puna.formats.base import Writer
from puna.formats.understand import RAW, Understood, as_written, for_endpoint, read, rendered
from puna.generation import MAX_SEED, Delta, End, Prompt, Receipt, Sampling, Written
from puna.messages import Dialog

LONG_PROMPT = 20_000
"""Characters from which a prompt is read in a thread; below, a thread costs more than the reading."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a caller wants. given: names of the sampling parameters that the caller set; the others are defaults.

    policy: what to do with messages that do not fit the window, one of ``puna.dialog.prune.POLICIES``.
    """

    prompt: str | Dialog
    sampling: Sampling = field(default_factory=Sampling)
    given: frozenset[str] = frozenset()
    raw: bool = False
    policy: str = "none"


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

    async def stream(self) -> AsyncGenerator[Delta | Receipt, None]:
        """Deltas in order, then exactly one receipt. Closing the iterator early stops the generation."""
        effective = replace(self.sampling, stop=(*self.sampling.stop, *self.extra_stops))
        async with aclosing(self.engine.stream(self.prompt, effective)) as events:
            async for event in events:
                if isinstance(event, End):
                    yield self._receipt(event)
                    return
                yield event
        raise EngineError("the engine's stream broke off without saying why; ask again, and see the engine's log")

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
            remote=end.remote,
        )


class Spine:
    """A started engine and the format of its model. raw: never parse a text prompt.

    format: None where the engine takes messages, so that rendering is its own affair. counter: makes what counts prompts
    by the model's own vocabulary, when one is too long for the first time; blocks.
    """

    def __init__(
        self,
        engine: Engine,
        info: EngineInfo,
        format: Writer | None,  # noqa: A002
        *,
        raw: bool = False,
        counter: Callable[[], Counter] | None = None,
    ) -> None:
        self.engine = engine
        self.info = info
        self.format = format
        self.raw = raw
        self._make_counter = counter
        self._counter: Counter | None = None

    async def prepare(self, ask: Ask) -> Turn:
        """Everything up to the first token.

        Raises:
            DialogError: the prompt cannot be understood, or the model's format cannot express it.
            ContextWindowError: prompt and requested tokens do not fit the window, whatever the policy may drop.
        """
        understood = await self._understood(ask)
        dropped: tuple[Dropped, ...] = ()
        ids: tuple[int, ...] = ()
        if self.format is not None:
            ids = await self.engine.encode(understood.segments)
            if not ids:
                raise InputError("the prompt must not be empty; give the text that the model shall continue")
            if len(ids) + ask.sampling.max_tokens > self.info.context:
                understood, ids, dropped = await self._fitted(ask, len(ids))
        seed = ask.sampling.seed
        return Turn(
            engine=self.engine,
            info=self.info,
            prompt=Prompt(understood.segments, ids, understood.dialog),
            sampling=replace(ask.sampling, seed=secrets.randbelow(MAX_SEED + 1) if seed is None else seed),
            written=understood.written,
            source=understood.source,
            format=understood.format,
            defaulted=tuple(entry.name for entry in fields(Sampling) if entry.name not in ask.given),
            extra_stops=self._extra_stops(understood.format),
            findings=understood.findings,
            dropped=dropped,
        )

    async def _fitted(self, ask: Ask, tokens: int) -> tuple[Understood, tuple[int, ...], tuple[Dropped, ...]]:
        """A dialog that is too long, without the turns that the policy drops; counted by the engine once more."""
        reserve, context = ask.sampling.max_tokens, self.info.context
        may_drop = ask.policy != "none" and reserve < context
        if not may_drop or self._make_counter is None or not isinstance(ask.prompt, Dialog):
            raise ContextWindowError(tokens, reserve, context)
        if self._counter is None:
            self._counter = await asyncio.to_thread(self._make_counter)
        counter = self._counter
        kept = await asyncio.to_thread(fit, ask.prompt, counter, context=context, reserve=reserve, policy=ask.policy)
        understood = await self._understood(replace(ask, prompt=kept.dialog))
        ids = await self.engine.encode(understood.segments)
        if len(ids) + reserve > context:
            raise ContextWindowError(len(ids), reserve, context)
        return understood, ids, kept.dropped

    def _extra_stops(self, written_as: str) -> tuple[str, ...]:
        """The format's stops that are plain text to this model; its control tokens the engine knows by itself."""
        if written_as == RAW or self.format is None:
            return ()
        return tuple(stop for stop in self.format.stops if stop.strip() not in self.info.control)

    async def _understood(self, ask: Ask) -> Understood:
        """A megabyte of markers takes seconds to read, and nobody else's stream may stand still for that."""
        size = sum(len(m.content) for m in ask.prompt) if isinstance(ask.prompt, Dialog) else len(ask.prompt)
        if size < LONG_PROMPT:
            return self._understand(ask)
        return await asyncio.to_thread(self._understand, ask)

    def _understand(self, ask: Ask) -> Understood:
        if self.format is None:
            return for_endpoint(ask.prompt)
        if isinstance(ask.prompt, Dialog):
            return rendered(ask.prompt, self.format)
        if ask.raw or self.raw:
            return as_written(ask.prompt, bos=self.info.bos)
        return read(ask.prompt, self.format, bos=self.info.bos, control=self.info.control)
