"""Counts an engine's prompts and spells its tokens: by the model's vocabulary, or by asking the server. Knows no turn and no engine's name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from puna.dialog.budget import Budget, Counter, budget_of
from puna.dialog.prune import Fit, fit
from puna.engines.base import Engine, EngineInfo, Renders, Speaks, innermost
from puna.errors import EngineError, InputError
from puna.formats.counting import PromptCounter
from puna.messages import Dialog

MANY = 4_000
"""Tokens from which they are spelled in a thread; below, a thread costs more than the spelling."""


class Counts:
    """Of one engine. make: makes what counts by the model's own vocabulary, when that is needed for the first time; blocks."""

    def __init__(self, engine: Engine, info: EngineInfo, make: Callable[[], PromptCounter] | None) -> None:
        self._engine = innermost(engine)
        self._info = info
        self._make = make
        self._counter: PromptCounter | None = None

    @property
    def known(self) -> bool:
        """Whether prompts can be counted."""
        if self._info.speaks is Speaks.MESSAGES:
            return isinstance(self._engine, Renders) and self._engine.renders
        return self._make is not None

    @property
    def server(self) -> Renders:
        """The server that tells what prompt it makes of messages.

        Raises:
            InputError: it does not.
        """
        if isinstance(self._engine, Renders) and self._engine.renders:
            return self._engine
        raise InputError(
            f"{self._info.build} takes messages and does not tell what prompt it makes of them, nor how long that is; ask a server "
            "that does, or name the model's format where the server takes token ids"
        )

    async def counter(self) -> Counter:
        """What counts prompts.

        Raises:
            InputError: the vocabulary is not known, and the server does not tell.
        """
        return self.server.counter() if self._info.speaks is Speaks.MESSAGES else await self._own()

    async def told(self, dialog: Dialog) -> int | None:
        """Tokens of the prompt that asks for an answer; None where nobody tells: a server refuses by itself what is too long."""
        if not self.known:
            return None
        with suppress(EngineError, InputError):
            return await asyncio.to_thread((await self.counter()).prompt, dialog)
        return None

    async def fit(self, dialog: Dialog, *, reserve: int, policy: str, pinned: Iterable[int]) -> Fit:
        """The dialog, shortened by a policy; raises as ``puna.dialog.prune.fit``, and as ``counter``."""
        counter, context = await self.counter(), self._info.context
        return await asyncio.to_thread(
            fit, dialog, counter, context=context, reserve=reserve, policy=policy, pinned=pinned
        )

    async def budget(self, dialog: Dialog, *, reserve: int, pinned: Iterable[int]) -> Budget:
        """Where the tokens of the window go; raises as ``puna.dialog.budget.budget_of``, and as ``counter``."""
        counter, context = await self.counter(), self._info.context
        return await asyncio.to_thread(budget_of, dialog, counter, context=context, reserve=reserve, pinned=pinned)

    async def spelled(self, ids: Sequence[int]) -> list[bytes]:
        """What each token stands for, shape (n,); a control token as its text.

        Raises:
            InputError: an id that the vocabulary has not; or nothing here knows the vocabulary.
        """
        tokenizer = (await self._own()).tokenizer
        control = {number: text.encode() for text, number in tokenizer.control.items()}

        def spell() -> list[bytes]:
            return [control.get(token) or tokenizer.bytes_of(token) for token in ids]

        # A server's vocabulary may have to be asked for.
        here = len(ids) < MANY and not self._info.found
        return spell() if here else await asyncio.to_thread(spell)

    async def _own(self) -> PromptCounter:
        if self._counter is None:
            if self._make is None:
                raise InputError("the vocabulary is not known here; ask the endpoint that has the model")
            self._counter = await asyncio.to_thread(self._make)
        return self._counter
