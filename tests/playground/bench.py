"""A workbench over the storyteller, for tests without HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from puna.chat import Spine
from puna.formats import catalog
from puna.formats.counting import PromptCounter
from puna.playground.workbench import Workbench

from .storyteller import Storyteller


def spine_of(engine: Storyteller, family: str = "llama2") -> Spine:
    """A spine as the configuration makes it."""
    form = catalog.get(family)
    return Spine(engine, engine.info, form, counter=lambda: PromptCounter(form, engine.words))


class Bench:
    """A workbench whose work is waited for."""

    def __init__(self, family: str = "llama2", *, context: int = 4096) -> None:
        self.engine = Storyteller(context=context)
        self.bench = Workbench(spine_of(self.engine, family), "llama-2-7b")

    def info(self) -> dict[str, Any]:
        return self.bench.info()

    def anatomy(self, **body: Any) -> dict[str, Any]:
        return asyncio.run(self.bench.anatomy(body))

    def lint(self, **body: Any) -> dict[str, Any]:
        return asyncio.run(self.bench.lint(body))

    def generate(self, **body: Any) -> list[dict[str, Any]]:
        return asyncio.run(collected(self.bench.generate(body)))

    def compare(self, **body: Any) -> list[dict[str, Any]]:
        return asyncio.run(collected(self.bench.compare(body)))


async def collected(records: AsyncGenerator[dict[str, object], None]) -> list[dict[str, Any]]:
    """All records."""
    return [record async for record in records]


def joined(segments: Sequence[Mapping[str, Any]]) -> str:
    """The text of an anatomy's tokens."""
    return "".join(token[1] for segment in segments for token in segment["tokens"])


def text_of(records: Sequence[Mapping[str, Any]]) -> str:
    """The text of an answer's records."""
    return "".join(record["t"] for record in records if record["type"] == "tok")


def tokens_of(records: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """An answer's tokens as a page sends them to have it continued."""
    return [[record["id"], record["t"]] for record in records if record["type"] == "tok"]


def user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def assistant(content: str) -> dict[str, str]:
    return {"role": "assistant", "content": content}
