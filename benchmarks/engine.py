"""What does each option of the embedded engine cost and bring: prompt cache, flash attention, type of the KV cache, threads?

Method: one engine after the other, as ``puna serve`` starts it, each with one option changed; round by round, in an order that turns. prefill:
a prompt of so many new tokens. one: a stream of 48 tokens behind it. eight: as many streams at a time as there are slots. Tokens/s, medians of
the rounds. memory: MiB that the worker holds after all that, and what was planned for the KV cache. alike: whether log-probabilities of a
prompt that is evaluated alone, beside others, again from its slot and (with a prompt cache) after it had left its slot are equal to the last
digit. moved: the largest difference of a log-probability to those of the defaults, at the first answer's token.

sessions: 16 conversations take turns on 8 slots, by the MiB of the prompt cache: share of the second turns' prompts that was not evaluated
again, seconds of those turns, and MiB that the worker grew by.
Run: python benchmarks/engine.py [--rounds N] [--prompt N] [--small]. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import psutil

from puna import config
from puna.engines.machine import cores
from puna.generation import Delta, End, Extras, Prompt, Sampling, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from puna.engines.plan import Plan

SLOTS = 8
WINDOW = 1024
SESSIONS = 16
TURN = 300
ADDED = 20
VARIANTS: dict[str, dict[str, object]] = {
    "defaults": {},
    "flash_attention=off": {"flash_attention": "off"},
    "cache_type=q8_0": {"cache_type": "q8_0"},
    "cache_type=q4_0": {"cache_type": "q4_0"},
    "threads=all": {"threads": cores().usable},
    "threads=all, flash_attention=off": {"threads": cores().usable, "flash_attention": "off"},
    "batch_threads=1": {"batch_threads": 1},
    "prompt_cache=0": {"prompt_cache": 0},
}
CACHES = (0, 64, 256, 1024)


def ids(length: int, kind: int) -> tuple[int, ...]:
    """So many tokens without sense, of which no two kinds begin alike."""
    return tuple((n * 31 + kind * 997) % 40_000 + 100 for n in range(length))


@asynccontextmanager
async def engine(**changed: object) -> AsyncIterator[tuple[Any, Plan]]:
    """The engine with these settings, and what was planned for it."""
    wanted = config.settings({"slots": SLOTS, "context": WINDOW, **changed}, {})
    model = config.find_model(wanted)
    assert model is not None
    spine = await config.open_spine(wanted, model)
    try:
        yield spine.engine, config.plan_of(wanted, model)
    finally:
        await spine.engine.close()


async def ask(on: Any, prompt: tuple[int, ...], tokens: int, logprobs: int | None = None) -> tuple[list[Delta], End]:
    """One greedy stream to its end."""
    sampling = Sampling(temperature=0, max_tokens=tokens, seed=1)
    found = [event async for event in on.stream(Prompt((), prompt), sampling, Extras(logprobs))]
    assert isinstance(found[-1], End)
    return [event for event in found if isinstance(event, Delta)], found[-1]


def usage_of(end: End) -> Usage:
    """Of an end that has one."""
    assert end.usage is not None
    return end.usage


async def speeds(on: Any, length: int, turn: int) -> dict[str, float]:
    """Tokens/s."""
    _, first = await ask(on, ids(length, turn), 1)
    _, single = await ask(on, ids(64, turn + 100), 48)
    began = time.perf_counter()
    ends = await asyncio.gather(*[ask(on, ids(16, turn * SLOTS + n + 200), 32) for n in range(SLOTS)])
    made = sum(usage_of(end).output for _, end in ends)
    return {
        "prefill": usage_of(first).evaluated / first.timing.prefill,
        "one": usage_of(single).output / single.timing.decode,
        "eight": made / (time.perf_counter() - began),
    }


async def probabilities(on: Any, prompt: tuple[int, ...]) -> list[tuple[tuple[int, float], ...]]:
    """Of each token of a short answer: the likeliest tokens there."""
    deltas, _ = await ask(on, prompt, 6, 5)
    return [
        tuple((each.id, each.logprob) for each in (token.top or (token,))) for d in deltas for token in d.logprobs or ()
    ]


async def alike(on: Any, length: int) -> tuple[bool, list[tuple[tuple[int, float], ...]]]:
    """Whether a prompt has the same log-probabilities alone, from its slot, after it had left that, and beside others."""
    asked = ids(length, 7)
    alone = await probabilities(on, asked)
    told = [await probabilities(on, asked)]
    await asyncio.gather(*[ask(on, ids(80 + n, 900 + n), 4) for n in range(SLOTS)])
    others = [asyncio.ensure_future(ask(on, ids(400 + 37 * n, 950 + n), 12)) for n in range(3)]
    told.append(await probabilities(on, asked))
    await asyncio.gather(*others)
    return all(each == alone for each in told), alone


def held(on: Any) -> float:
    """MiB of the worker."""
    return float(psutil.Process(on.worker.pid).memory_info().rss / 2**20)


async def variant(changed: Mapping[str, object], length: int, turn: int) -> dict[str, Any]:
    """One engine with one option changed."""
    async with engine(**changed) as (on, plan):
        await ask(on, ids(32, 1), 2)
        found: dict[str, Any] = {
            **await speeds(on, length, turn),
            "memory": held(on),
            "kv_cache": plan.kv_cache / 2**20,
        }
        found["alike"], found["first"] = await alike(on, length)
    return found


async def sessions(mib: int, count: int) -> dict[str, float]:
    """Twice as many conversations as slots, two turns each."""
    async with engine(prompt_cache=mib) as (on, _):
        await asyncio.gather(*[ask(on, ids(WINDOW - 8, 600 + n), 1) for n in range(SLOTS)])
        before, grown = held(on), 0.0
        begun = [ids(TURN, n) for n in range(count)]
        for n, prompt in enumerate(begun):
            await ask(on, prompt, 4)
            grown = max(grown, held(on) - before)
            begun[n] = (*prompt, *ids(ADDED, n + 300))
        began, shares = time.perf_counter(), []
        for prompt in begun:
            _, end = await ask(on, prompt, 4)
            shares.append(usage_of(end).cached / len(prompt))
            grown = max(grown, held(on) - before)
        took = time.perf_counter() - began
        for n in range(2 * count):
            await ask(on, ids(TURN, n + 400), 1)
            grown = max(grown, held(on) - before)
    return {"share": round(statistics.mean(shares), 3), "seconds": round(took, 2), "grown": round(grown)}


def moved(one: list[tuple[tuple[int, float], ...]], other: list[tuple[tuple[int, float], ...]]) -> float:
    """The largest difference of a token's log-probability, at the first position."""
    first, second = dict(one[0]), dict(other[0])
    return max(abs(first[token] - second[token]) for token in first.keys() & second.keys())


async def measure(rounds: int, length: int, names: list[str]) -> dict[str, dict[str, Any]]:
    """All variants, round by round."""
    kept: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            kept[name].append(await variant(VARIANTS[name], length, turn))
    told: dict[str, dict[str, Any]] = {}
    for name, runs in kept.items():
        figures = ("prefill", "one", "eight", "memory", "kv_cache")
        told[name] = {what: round(statistics.median(run[what] for run in runs), 1) for what in figures}
        told[name]["alike"] = all(run["alike"] for run in runs)
        told[name]["moved"] = round(moved(runs[0]["first"], kept["defaults"][0]["first"]), 4)
    return told


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompt", type=int, default=500, help="tokens of the prompt")
    parser.add_argument("--small", action="store_true", help="a few variants, to see that it runs")
    args = parser.parse_args()
    names = list(VARIANTS)[:3] if args.small else list(VARIANTS)
    variants = asyncio.run(measure(args.rounds, args.prompt, names))
    print(*(f"{name:<34} {figures}" for name, figures in variants.items()), sep="\n", flush=True)
    caches = {}
    for mib in CACHES[:3:2] if args.small else CACHES:
        caches[mib] = asyncio.run(sessions(mib, SESSIONS))
        print(f"prompt_cache={mib:<21} {caches[mib]}", flush=True)
    facts = {"benchmark": "engine", "rounds": args.rounds, "prompt": args.prompt, "cores": cores().usable}
    load = round(os.getloadavg()[0], 1)
    print(json.dumps({**facts, "load": load, "variants": variants, "sessions": caches}))


if __name__ == "__main__":
    main()
