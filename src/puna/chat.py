"""The spine: one turn, from what a caller wrote to deltas and a receipt. Policy lives in the wings, effects in engines.

understand (parse what was written) -> render in the model's format -> encode -> fit the window -> stream -> account.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import fields, replace

from puna.dialog.prune import Dropped, fit
from puna.engines.base import Engine, EngineInfo
from puna.errors import ContextWindowError, InputError
from puna.formats.base import Writer
from puna.formats.counting import PromptCounter
from puna.formats.understand import RAW, Understood, as_written, for_endpoint, read, rendered
from puna.generation import MAX_SEED, Kind, Prompt, Sampling, Segment, Written
from puna.messages import Dialog, Role
from puna.turn import Ask, Turn

CHARACTERS_PER_TOKEN = 64
"""A prompt of more characters than so many for each token of the window is not even read; text has 2 to 5."""

LONG_PROMPT = 4_000
"""Characters from which a prompt is read in a thread; below, a thread costs more than the reading."""


class Spine:
    """A started engine and the format of its model. raw: never parse a text prompt.

    format: None where the engine takes messages, so that rendering is its own affair. counter: makes what counts prompts
    by the model's own vocabulary, when that is needed for the first time; blocks.
    """

    def __init__(
        self,
        engine: Engine,
        info: EngineInfo,
        format: Writer | None,  # noqa: A002
        *,
        raw: bool = False,
        counter: Callable[[], PromptCounter] | None = None,
    ) -> None:
        self.engine = engine
        self.info = info
        self.format = format
        self.raw = raw
        self._make_counter = counter
        self._counter: PromptCounter | None = None

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
        self._check_size(ask)
        understood = await self._understood(ask)
        dropped: tuple[Dropped, ...] = ()
        ids: tuple[int, ...] = ()
        sampling, findings = ask.sampling, understood.findings
        if self.format is not None:
            ids = await self._ids(ask, understood)
            if not ids:
                raise InputError("the prompt must not be empty; give the text that the model shall continue")
            room = self.info.context - len(ids)
            if room > 0 and (ask.open_end or (ask.cap and sampling.max_tokens > room)):
                findings = (*findings, *ask.capped(room))
                sampling = replace(sampling, max_tokens=room)
            elif ask.open_end:
                raise ContextWindowError(len(ids), 0, self.info.context)
            elif sampling.max_tokens > room:
                understood, ids, dropped = await self._fitted(ask, len(ids))
                findings = understood.findings
        seed = sampling.seed
        return Turn(
            engine=self.engine,
            info=self.info,
            prompt=_prompt(ask, understood, ids),
            sampling=replace(sampling, seed=secrets.randbelow(MAX_SEED + 1) if seed is None else seed),
            written=understood.written,
            source=understood.source,
            format=understood.format,
            defaulted=tuple(entry.name for entry in fields(Sampling) if entry.name not in ask.given),
            extra_stops=self._extra_stops(understood.format),
            findings=findings,
            dropped=dropped,
            extras=ask.extras,
            ignored=ask.ignored,
        )

    async def encoded(self, ask: Ask) -> Prompt:
        """The exact prompt with its ids, also one that does not fit the window.

        Raises:
            DialogError: the prompt cannot be understood, or the model's format cannot express it.
        """
        self._check_size(ask)
        understood = await self._understood(ask)
        return _prompt(ask, understood, await self._ids(ask, understood))

    async def spelled(self, ids: Sequence[int]) -> list[bytes]:
        """What each token stands for, shape (n,); a control token as its text.

        Raises:
            InputError: an id that the vocabulary has not; or nothing here knows the vocabulary.
        """
        tokenizer = (await self._counts()).tokenizer
        control = {number: text.encode() for text, number in tokenizer.control.items()}

        def spell() -> list[bytes]:
            return [control.get(token) or tokenizer.bytes_of(token) for token in ids]

        return spell() if len(ids) < LONG_PROMPT else await asyncio.to_thread(spell)

    async def _counts(self) -> PromptCounter:
        if self._counter is None:
            if self._make_counter is None:
                raise InputError("the vocabulary is not known here; ask the endpoint that has the model")
            self._counter = await asyncio.to_thread(self._make_counter)
        return self._counter

    async def _ids(self, ask: Ask, understood: Understood) -> tuple[int, ...]:
        if not isinstance(ask.prompt, tuple):
            ids = await self.engine.encode(understood.segments)
            return ids if ask.begun is None else ids + ask.begun.ids
        await self.spelled(sorted(set(ask.prompt)))
        return ask.prompt

    async def _fitted(self, ask: Ask, tokens: int) -> tuple[Understood, tuple[int, ...], tuple[Dropped, ...]]:
        """A dialog that is too long, without the turns that the policy drops; counted by the engine once more."""
        max_tokens, context = ask.sampling.max_tokens, self.info.context
        reserve = max_tokens + (0 if ask.begun is None else len(ask.begun.ids))
        may_drop = ask.policy != "none" and reserve < context
        if not may_drop or self._make_counter is None or not isinstance(ask.prompt, Dialog):
            raise ContextWindowError(tokens, max_tokens, context)
        counter = await self._counts()
        kept = await asyncio.to_thread(
            fit, ask.prompt, counter, context=context, reserve=reserve, policy=ask.policy, pinned=ask.pinned
        )
        understood = await self._understood(replace(ask, prompt=kept.dialog))
        ids = await self._ids(ask, understood)
        if len(ids) + max_tokens > context:
            raise ContextWindowError(len(ids), max_tokens, context)
        return understood, ids, kept.dropped

    def _extra_stops(self, written_as: str) -> tuple[str, ...]:
        """The format's stops that are plain text to this model; its control tokens the engine knows by itself."""
        if written_as == RAW or self.format is None:
            return ()
        return tuple(stop for stop in self.format.stops if stop.strip() not in self.info.control)

    def _check_size(self, ask: Ask) -> None:
        """Refuse what cannot fit, whatever the policy drops, before it is read and encoded, which may take minutes."""
        if self.format is None or isinstance(ask.prompt, tuple):
            return
        texts = ask.staying
        size, context = sum(map(len, texts)), self.info.context
        if size > context * CHARACTERS_PER_TOKEN or len(texts) > context:
            raise InputError(
                f"the prompt has {size} characters in {len(texts)} texts, but the context window holds {context} tokens, for which "
                f"at most {context * CHARACTERS_PER_TOKEN} characters in {context} texts are read; shorten the prompt, or serve the "
                "model with a larger --context"
            )

    async def _understood(self, ask: Ask) -> Understood:
        """A megabyte of markers takes seconds to read, and nobody else's stream may stand still for that."""
        prompt = ask.prompt
        size = sum(len(m.content) for m in prompt) if isinstance(prompt, Dialog) else len(prompt)
        if size < LONG_PROMPT or isinstance(prompt, tuple):
            return self._understand(ask)
        return await asyncio.to_thread(self._understand, ask)

    def _understand(self, ask: Ask) -> Understood:
        prompt = ask.prompt
        if self.format is None and (ask.begun or ask.continues):
            raise InputError("an answer can only be continued where the model is; this engine takes whole messages")
        if isinstance(prompt, tuple):
            return Understood((), Written.AS_IS, RAW)
        if self.format is None:
            return for_endpoint(prompt)
        if isinstance(prompt, Dialog):
            return rendered(prompt, self.format, continue_last=ask.continues)
        if ask.raw or self.raw:
            return as_written(prompt, bos=self.info.bos)
        return read(prompt, self.format, bos=self.info.bos, control=self.info.control)


def _prompt(ask: Ask, understood: Understood, ids: tuple[int, ...]) -> Prompt:
    begun = () if ask.begun is None else (Segment(Kind.CONTENT, ask.begun.text, Role.ASSISTANT),)
    return Prompt((*understood.segments, *begun), ids, understood.dialog)
