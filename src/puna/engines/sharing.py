"""One prompt for several generations: evaluated in one slot, copied to the others. Knows llama.cpp's native HTTP API.

llama.cpp's slots share nothing. So the first generation that has a slot evaluates the prompt there and has the slot written to a
file, in memory where the system allows; the others wait, and have the file read into their own slots. Every bit of it is what
they would have computed themselves.
"""

from __future__ import annotations

import asyncio
import secrets
import weakref
from collections.abc import Callable, Coroutine
from dataclasses import replace
from http import HTTPStatus
from typing import TypeVar

from puna.engines.base import Event
from puna.engines.completion import complaint, records, request
from puna.engines.served import Served
from puna.errors import EngineError
from puna.generation import End, Prompt, Sampling

T = TypeVar("T")

WORTH = 64
"""Fewer tokens than that are evaluated and not copied: one batch holds them (``worker.LARGEST_BATCH``)."""


class Shared:
    """The prompt of so many generations. Each calls ``fill`` once it has a slot, and ``leave`` when it needs the file no more.

    The file is removed when all have left; also when nobody refers to this any more, for a generator that is closed before its
    first step never gets to say that it leaves.
    """

    def __init__(self, prompt: Prompt, members: int, cache_reuse: int) -> None:
        self._prompt = prompt
        self._members = members
        self._cache_reuse = cache_reuse
        self._evaluating = asyncio.Lock()
        self._name = ""
        self._of: Served | None = None
        self._remove: Callable[[], object] = str

    async def fill(self, served: Served, slot: int) -> int | None:
        """See that a slot holds the prompt, as far as that is worth it. If it had to be evaluated: tokens that were cached before.

        Raises:
            EngineError: llama.cpp refused.
        """
        async with self._evaluating:  # whoever is cancelled in it leaves it to the next one
            if self._of is not served and self._members > 1:
                cached = await self._evaluate(served, slot)
                await whole(self._save(served, slot))
                return cached
        missing = len(self._prompt.ids) - served.contents.common(slot, self._prompt.ids)
        if self._name and self._of is served and missing >= WORTH:
            await whole(self._restore(served, slot))
        return None

    def leave(self) -> None:
        """One generation needs the file no more."""
        self._members -= 1
        if not self._members:
            self._remove()

    async def _evaluate(self, served: Served, slot: int) -> int:
        """One token is the least that can be asked for; it is not kept."""
        only = Sampling(temperature=0, max_tokens=1, seed=0)
        body = request(self._prompt, only, cache_reuse=self._cache_reuse) | {"id_slot": slot}
        async with served.http.post("/completion", json=body) as answer:
            if answer.status != HTTPStatus.OK:
                raise EngineError(complaint(await answer.read()))
            async for said in records(answer):
                served.contents.hear(slot, self._prompt.ids, said)
                if said.get("stop"):
                    return int(said["timings"]["cache_n"])
        raise EngineError("the engine ended the evaluation of the prompt too early; see its log")

    async def _save(self, served: Served, slot: int) -> None:
        """Where there is no room for the file, every generation evaluates the prompt itself."""
        name = secrets.token_hex(8)
        self._remove()
        self._remove = weakref.finalize(self, (served.folder / name).unlink, missing_ok=True)
        saved = await _act(served, slot, "save", name)
        self._of = served
        self._name = name if saved else ""
        if not saved:
            self._remove()

    async def _restore(self, served: Served, slot: int) -> None:
        served.contents.put(slot, ())  # what a refusal leaves
        if await _act(served, slot, "restore", self._name):
            served.contents.put(slot, self._prompt.ids)


async def _act(served: Served, slot: int, action: str, name: str) -> bool:
    async with served.http.post(f"/slots/{slot}", params={"action": action}, json={"filename": name}) as answer:
        await answer.read()
        return answer.status == HTTPStatus.OK


async def whole(work: Coroutine[None, None, T]) -> T:
    """Do a short work to its end, whoever cancels it meanwhile: llama.cpp would do it all the same, later."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # it concerns nobody any more
        raise


def led(event: Event, cached: int | None) -> Event:
    """An event of a generation that evaluated the prompt beforehand, where it did: its usage tells of that."""
    if cached is None or not isinstance(event, End) or event.usage is None:
        return event
    return replace(event, usage=replace(event.usage, cached=min(cached, event.usage.cached)))
