"""What do several generations with one prompt gain when the engine evaluates that once for all of them?

Ways, each with the same prompt, samplings (a temperature of its own for each variant) and seeds. together: ``Engine.together``,
read at the same time. one by one: a stream after the other, each of which finds the prompt in the cache. uncached: the same with
llama.cpp's prompt cache off. at once: as many plain streams as there are variants, started together.

Method: the embedded engine as ``puna serve`` starts it. The ways take turns, in an order that changes round by round; before each
of them every slot is filled with something else, so that all begin cold. Ratio: seconds of a way over those of together in the same
round; median, least and greatest of the rounds. evaluated: prompt tokens that were computed, by the usage of all variants, over the
length of the prompt. It is checked that all ways give the same texts. Then prompts of several lengths, together (whatever
``WORTH`` says) against at once: where sharing begins to be worth it.
Run: python benchmarks/together.py [--rounds N] [--tokens N]. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from puna import config
from puna.engines import sharing
from puna.engines.completion import events, request
from puna.generation import NO_EXTRAS, Delta, End, Prompt, Sampling, Usage

if TYPE_CHECKING:
    from puna.engines.base import Event

PROMPT = 600
CASES = {"16 variants, 8 slots": (16, 8), "4 variants, 4 slots": (4, 4)}
TARGETS = {"one by one": 1.6, "uncached": 5.0, "evaluated": 1.2}
"""Of the first case."""

LENGTHS = (16, 32, 48, 64, 96, 128, 256)

Told = tuple[str, Usage]
Way = Callable[[Any, Prompt, Sequence[Sampling]], Awaitable[list[Told]]]


def samplings(count: int, tokens: int) -> list[Sampling]:
    """A temperature and a seed for each variant."""
    return [Sampling(temperature=round(0.2 + 0.1 * n, 1), max_tokens=tokens, seed=n) for n in range(count)]


def prompt_of(length: int, kind: int = 0) -> Prompt:
    """So many tokens without sense."""
    return Prompt((), tuple((n * 31 + kind * 997) % 40_000 + 100 for n in range(length)))


async def read(stream: AsyncIterable[Event]) -> Told:
    """A stream to its very end, which frees the slot."""
    found = [event async for event in stream]
    end = found[-1]
    assert isinstance(end, End)
    assert end.usage is not None
    return "".join(event.text for event in found if isinstance(event, Delta)), end.usage


async def together(engine: Any, prompt: Prompt, wanted: Sequence[Sampling]) -> list[Told]:
    """The way that is measured."""
    return await asyncio.gather(*map(read, engine.together(prompt, [(each, NO_EXTRAS) for each in wanted])))


async def at_once(engine: Any, prompt: Prompt, wanted: Sequence[Sampling]) -> list[Told]:
    """Plain streams at the same time."""
    return await asyncio.gather(*[read(engine.stream(prompt, each)) for each in wanted])


async def one_by_one(engine: Any, prompt: Prompt, wanted: Sequence[Sampling]) -> list[Told]:
    """Plain streams, one after the other."""
    return [await read(engine.stream(prompt, each)) for each in wanted]


async def uncached(engine: Any, prompt: Prompt, wanted: Sequence[Sampling]) -> list[Told]:
    """The same without llama.cpp's prompt cache."""
    told = []
    for each in wanted:
        body = request(prompt, each) | {"cache_prompt": False, "id_slot": 0}
        async with engine.http.post("/completion", json=body) as answer:
            told.append(await read(events(answer, 0, 0)))
    return told


WAYS: dict[str, Way] = {"together": together, "one by one": one_by_one, "uncached": uncached, "at once": at_once}


async def cool(engine: Any) -> None:
    """Something else in every slot."""
    short = Sampling(max_tokens=1, seed=0)
    await asyncio.gather(*[read(engine.stream(Prompt((), (5000 + n, 7)), short)) for n in range(engine.slots.size)])


@dataclass
class Figures:
    """Of one way."""

    seconds: list[float] = field(default_factory=list)
    evaluated: list[float] = field(default_factory=list)
    over_together: list[float] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """Median, least, greatest."""
        return {
            "seconds": round(statistics.median(self.seconds), 2),
            "over_together": [round(f(self.over_together), 2) for f in (statistics.median, min, max)],
            "evaluated": round(statistics.median(self.evaluated), 3),
        }


async def once(engine: Any, way: Way, prompt: Prompt, wanted: Sequence[Sampling]) -> tuple[float, list[Told]]:
    """Seconds of one way from cold, and what it gave."""
    await cool(engine)
    began = time.perf_counter()
    told = await way(engine, prompt, wanted)
    return time.perf_counter() - began, told


async def case(variants: int, slots: int, rounds: int, tokens: int) -> dict[str, Figures]:
    """All ways on one engine."""
    spine = await _engine(slots)
    found = {name: Figures() for name in WAYS}
    try:
        for turn in range(rounds):
            order = list(WAYS)[turn % len(WAYS) :] + list(WAYS)[: turn % len(WAYS)]
            texts = {}
            for name in order:
                took, told = await once(spine.engine, WAYS[name], prompt_of(PROMPT, turn), samplings(variants, tokens))
                texts[name] = [text for text, _ in told]
                found[name].seconds.append(took)
                found[name].evaluated.append(sum(usage.evaluated for _, usage in told) / PROMPT)
            assert all(text == texts["together"] for text in texts.values()), texts
            for figures in found.values():
                figures.over_together.append(figures.seconds[-1] / found["together"].seconds[-1])
    finally:
        await spine.engine.close()
    return found


async def lengths(rounds: int) -> dict[int, list[float]]:
    """At once over together, 4 variants of 8 tokens on 4 slots, by the length of the prompt."""
    spine = await _engine(4)
    ratios: dict[int, list[float]] = {length: [] for length in LENGTHS}
    worth = sharing.WORTH
    sharing.WORTH = 0
    try:
        for turn in range(3 * rounds):
            for length in LENGTHS:
                prompt, wanted = prompt_of(length, turn), samplings(4, 8)
                took = {}
                for way in (together, at_once) if turn % 2 else (at_once, together):
                    took[way], _ = await once(spine.engine, way, prompt, wanted)
                ratios[length].append(took[at_once] / took[together])
    finally:
        sharing.WORTH = worth
        await spine.engine.close()
    return {length: [round(f(found), 2) for f in (statistics.median, min, max)] for length, found in ratios.items()}


async def _engine(slots: int) -> Any:
    wanted = config.settings({"slots": slots, "context": 1024, "prompt_cache": 0})
    return await config.open_spine(wanted, config.find_model(wanted))


def missed(found: dict[str, Figures]) -> list[str]:
    """Targets that the first case misses."""
    is_ = {name: statistics.median(found[name].over_together) for name in ("one by one", "uncached")}
    short = [f"{name} {is_[name]:.2f} < {TARGETS[name]}" for name in is_ if is_[name] < TARGETS[name]]
    evaluated = max(found["together"].evaluated)
    return short + ([f"evaluated {evaluated:.2f}"] if evaluated > TARGETS["evaluated"] else [])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=32)
    args = parser.parse_args()
    cases: dict[str, object] = {}
    short: list[str] = []
    for name, (variants, slots) in CASES.items():
        found = asyncio.run(case(variants, slots, args.rounds, args.tokens))
        short += missed(found) if not cases else []
        cases[name] = told = {way: figures.as_json() for way, figures in found.items()}
        print(name, *(f"  {way:<11} {figures}" for way, figures in told.items()), sep="\n", flush=True)
    by_length = asyncio.run(lengths(args.rounds))
    print(f"at once over together, by prompt length: {by_length}\nmissed: {'; '.join(short) or 'no target'}")
    load = os.getloadavg()[0]
    facts = {"benchmark": "together", "rounds": args.rounds, "tokens": args.tokens, "cores": os.cpu_count()}
    print(
        json.dumps({**facts, "load": round(load, 1), "cases": cases, "at_once_by_length": by_length, "missed": short})
    )


if __name__ == "__main__":
    main()
