"""The spine: one turn, from what a caller wrote to deltas and a receipt. Policy lives in the wings, effects in engines.

understand (parse what was written) -> render in the model's format -> encode -> fit the window -> stream -> account.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from puna.dialog.budget import Budget, Counter
from puna.dialog.prune import Dropped
from puna.engines.base import Engine, EngineInfo, Speaks
from puna.engines.counts import Counts
from puna.errors import ContextWindowError, InputError
from puna.formats.base import Writer
from puna.formats.counting import PromptCounter
from puna.formats.understand import Understood, understand
from puna.generation import MAX_SEED, Prompt
from puna.messages import Dialog
from puna.turn import Ask, Turn

LONG_PROMPT = 4_000
"""Characters from which a prompt is read in a thread; below, a thread costs more than the reading."""


class Spine:
    """A started engine and the format of its model. raw: never parse a text prompt.

    format: None where the engine takes messages, so that rendering is its own affair. counter: makes what counts prompts
    by the model's own vocabulary, when that is needed for the first time; blocks. reads: where it takes messages, a written prompt of
    a known family is sent as the messages in it.
    """

    def __init__(
        self,
        engine: Engine,
        info: EngineInfo,
        format: Writer | None,  # noqa: A002
        *,
        raw: bool = False,
        counter: Callable[[], PromptCounter] | None = None,
        reads: bool = False,
    ) -> None:
        self.engine = engine
        self.info = info if format is not None else info.of_messages()
        self.format = None if self.info.speaks is Speaks.MESSAGES else format
        self.raw = raw
        self.reads = reads
        self._counts = Counts(engine, self.info, counter)

    @property
    def writes(self) -> str | None:
        """Name of the format in which prompts are written; None where that is the endpoint's affair."""
        return None if self.format is None else self.format.name

    async def prepare(self, ask: Ask) -> Turn:
        """Everything up to the first token.

        Raises:
            DialogError: the prompt cannot be understood, or the model's format cannot express it.
            ContextWindowError: prompt and requested tokens do not fit the window, whatever the policy may drop.
        """
        understood = await self._understood(ask)
        ids, tokens = await self._measured(ask, understood)
        dropped: tuple[Dropped, ...] = ()
        sampling, extras, context = ask.sampling, ask.extras, self.info.context
        told: tuple[str, ...] = ()
        if not context or tokens is None:
            told, extras = ask.uncounted(self.info.build), replace(extras, open_end=ask.open_end)
        elif (room := context - tokens) > 0 and (ask.open_end or (ask.cap and sampling.max_tokens > room)):
            told, sampling = ask.capped(room), replace(sampling, max_tokens=room)
        elif ask.open_end:
            raise ContextWindowError(tokens, 0, context)
        elif sampling.max_tokens > room:
            understood, ids, dropped = await self._shortened(ask, tokens)
        seed = sampling.seed
        return Turn(
            engine=self.engine,
            info=self.info,
            prompt=ask.prompt_of(understood.segments, ids, understood.dialog),
            sampling=replace(sampling, seed=secrets.randbelow(MAX_SEED + 1) if seed is None else seed),
            written=understood.written,
            source=understood.source,
            format=understood.format,
            defaulted=ask.defaulted,
            extra_stops=understood.stops(self.format, self.info.control),
            findings=(*understood.findings, *told),
            dropped=dropped,
            extras=extras,
            ignored=ask.without_effect(self.info.found),
        )

    async def encoded(self, ask: Ask) -> Prompt:
        """The exact prompt with its ids, also one that does not fit the window.

        Raises:
            DialogError: the prompt cannot be understood, or the model's format cannot express it.
            InputError: nobody here knows the vocabulary.
        """
        understood = await self._understood(ask)
        if self.info.speaks is Speaks.IDS:
            return ask.prompt_of(understood.segments, await self._ids(ask, understood), understood.dialog)
        return await self._counts.server.prompt_of(understood.messages)

    async def fitted(self, ask: Ask) -> tuple[Prompt, tuple[Dropped, ...]]:
        """The prompt that ``prepare`` would have sent, and the messages that the policy would have left out.

        Raises:
            ContextWindowError, DialogError: as ``prepare``. InputError: the server renders messages and does not tell how.
        """
        turn = await self.prepare(ask)
        if turn.prompt.segments or turn.prompt.dialog is None:
            return turn.prompt, turn.dropped
        return await self._counts.server.prompt_of(turn.prompt.dialog), turn.dropped

    async def budget(self, ask: Ask) -> Budget:
        """Where the window's tokens go when this is sent as it is, nothing dropped; the reserve is ``max_tokens``.

        Raises:
            DialogError: the prompt cannot be understood, or the model's format cannot express it.
            InputError: the window or the vocabulary is not known, or the window is too small for the reserve.
        """
        context, reserve = self.info.context, 0 if ask.open_end else ask.sampling.max_tokens
        if not context:
            raise InputError(f"{self.info.build} does not tell its context window; say how many tokens it holds")
        understood = await self._understood(ask)
        if understood.dialog is None:
            tokens = len((await self.encoded(ask)).ids)
            return Budget(context, reserve, system=0, pinned=0, history=0, turn=tokens, overhead=0)
        found = await self._counts.budget(understood.dialog, reserve=reserve, pinned=ask.pinned)
        return replace(found, turn=found.turn + (0 if ask.begun is None else len(ask.begun.ids)))

    async def counter(self) -> Counter:
        """What counts prompts exactly, for who puts one together; raises as ``Counts.counter``."""
        return await self._counts.counter()

    async def spelled(self, ids: Sequence[int]) -> list[bytes]:
        """What each token stands for, shape (n,); a control token as its text.

        Raises:
            InputError: an id that the vocabulary has not; or nothing here knows the vocabulary.
        """
        return await self._counts.spelled(ids)

    async def _measured(self, ask: Ask, understood: Understood) -> tuple[tuple[int, ...], int | None]:
        """The ids of the prompt, and how many there are; None where nobody here knows, or nothing depends on it."""
        if self.info.speaks is Speaks.IDS:
            ids = await self._ids(ask, understood)
            if not ids:
                raise InputError("the prompt must not be empty; give the text that the model shall continue")
            return ids, len(ids)
        matters = ask.policy != "none" and self.info.context and self.info.speaks is Speaks.MESSAGES
        return (), await self._counts.told(understood.dialog) if matters and understood.dialog is not None else None

    async def _ids(self, ask: Ask, understood: Understood) -> tuple[int, ...]:
        if not isinstance(ask.prompt, tuple):
            ids = await self.engine.encode(understood.segments)
            return ids if ask.begun is None else ids + ask.begun.ids
        await self.spelled(sorted(set(ask.prompt)))
        return ask.prompt

    async def _shortened(self, ask: Ask, tokens: int) -> tuple[Understood, tuple[int, ...], tuple[Dropped, ...]]:
        """A dialog that is too long, without the turns that the policy drops; counted by the engine once more."""
        max_tokens, context = ask.sampling.max_tokens, self.info.context
        reserve = max_tokens + (0 if ask.begun is None else len(ask.begun.ids))
        may_drop = ask.policy != "none" and reserve < context
        if not may_drop or not self._counts.known or not isinstance(ask.prompt, Dialog):
            raise ContextWindowError(tokens, max_tokens, context)
        kept = await self._counts.fit(ask.prompt, reserve=reserve, policy=ask.policy, pinned=ask.pinned)
        understood = await self._understood(replace(ask, prompt=kept.dialog))
        ids, left = await self._measured(ask, understood)
        if left is not None and left + max_tokens > context:
            raise ContextWindowError(left, max_tokens, context)
        return understood, ids, kept.dropped

    async def _understood(self, ask: Ask) -> Understood:
        """A megabyte of markers takes seconds to read, and nobody else's stream may stand still for that."""
        info = self.info
        if info.context and self.format is not None:  # what cannot fit is not read and encoded, which may take minutes
            ask.check_size(info.context)
        if self.format is None and (ask.begun or ask.continues):
            raise InputError("an answer can only be continued where the model is; this engine takes whole messages")
        work = partial(
            understand,
            ask.prompt,
            self.format,
            raw=ask.raw or self.raw,
            continues=ask.continues,
            bos=info.bos,
            control=info.control,
            escape=info.speaks is not Speaks.IDS and not info.safe,
            reads=self.reads,
        )
        return work() if ask.size < LONG_PROMPT else await asyncio.to_thread(work)
