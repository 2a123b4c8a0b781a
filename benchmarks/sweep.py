"""What does a sweep gain by giving the engine all trials with one prompt together? The real one: engine, store and rows included.

Ways, each with 16 variants (a temperature of its own each) of one prompt of some 600 tokens, and the same seeds. sweep: ``puna.experiments``
with 8 jobs into a store on disk. one by one: the same trials as plain streams, one after the other, each of which finds the prompt in
the cache. uncached: the same with llama.cpp's prompt cache off. Neither of these two stores anything.

Method: each way starts the engine anew, cold, as a sweep does; seconds of the sweep are those of its answers, rows in the store included,
without the model's loading, and so are those of the others. The ways take turns, in an order that changes round by round. Ratio: seconds
of a way over those of the sweep in the same round; all rounds are shown. evaluated: prompt tokens that were computed, by the usage of
all rows, over the length of the prompt. It is checked that all ways give the same texts, and that each row has its own sampling and seed.
Run: python benchmarks/sweep.py [--rounds N] [--tokens N]. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import together
from puna import config
from puna.experiments import sweep as sweeping
from puna.experiments.plan import Cell, Plan, Target
from puna.experiments.store import Store
from puna.generation import Prompt
from puna.messages import Dialog, Role

VARIANTS, JOBS, LENGTH = 16, 8, 600
WORDS = "The road to the high pasture is long and the llama knows every stone of it. "

Measured = tuple[float, list[str], float]
"""Seconds, the texts in the order of the variants, and prompt tokens evaluated over the prompt's length."""


def plan_of(tokens: int, kind: int) -> Plan:
    """One prompt, a temperature for each variant; one repeat, whose seed is the round's. kind: makes prompts of different rounds differ."""
    ask = Dialog().append(Role.USER, f"Round {kind}. " + WORDS * 32 + "What does the llama know?")
    cells = tuple(
        Cell(n, "here", "story", "", "none", "auto", f"temperature={sampling.temperature}", ask, sampling=replace(sampling, seed=None),
             given=frozenset({"temperature", "max_tokens"}))
        for n, sampling in enumerate(together.samplings(VARIANTS, tokens))
    )  # fmt: skip
    return Plan("benchmark", {"kind": kind}, (Target("here"),), cells, (1000 + kind,))


async def by_sweep(made: Plan) -> tuple[Measured, Prompt]:
    """The real thing; also the prompt, for the other ways."""
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "runs.db") as store:
        run = store.begin(made)
        done = await sweeping.sweep(made, store, run, jobs=JOBS)
        rows = store.rows(run)
        assert all(row.ok for row in rows)
        assert [row.outcome.sampling for row in rows] == [replace(c.sampling, seed=made.seeds[0]) for c in made.cells]
        ids = store.prompt_ids(rows[0].ids_sha256)
        evaluated = sum(row.outcome.usage.evaluated for row in rows if row.outcome.usage)
    return (done.progress.seconds, [row.output for row in rows], evaluated / len(ids)), Prompt((), ids)


async def plain(way: together.Way, prompt: Prompt, made: Plan) -> Measured:
    """Plain streams on an engine that was just started."""
    wanted = config.settings({"slots": JOBS, "threads": 1, "context": 1024})
    spine = await config.open_spine(wanted, config.find_model(wanted))
    try:
        stops = tuple(
            stop for stop in (spine.format.stops if spine.format else ()) if stop.strip() not in spine.info.control
        )
        samplings = [replace(cell.sampling, seed=made.seeds[0], stop=stops) for cell in made.cells]
        began = time.perf_counter()
        told = await way(spine.engine, prompt, samplings)
        seconds = time.perf_counter() - began
    finally:
        await spine.engine.close()
    return seconds, [text for text, _ in told], sum(usage.evaluated for _, usage in told) / len(prompt.ids)


async def once(turn: int, tokens: int) -> tuple[dict[str, Measured], int]:
    """All ways, in the order of this round; also the length of the prompt."""
    made = plan_of(tokens, turn)
    first, prompt = await by_sweep(made) if turn % 2 == 0 else (None, await _prompt(made))
    found: dict[str, Measured] = {}
    ways: dict[str, Callable[[], Awaitable[Measured]]] = {
        "one by one": lambda: plain(together.one_by_one, prompt, made),
        "uncached": lambda: plain(together.uncached, prompt, made),
    }
    for name in list(ways)[:: 1 if turn % 4 < 2 else -1]:
        found[name] = await ways[name]()
    found["sweep"] = first if first is not None else (await by_sweep(made))[0]
    return found, len(prompt.ids)


async def _prompt(made: Plan) -> Prompt:
    wanted = config.settings({"slots": 1, "threads": 1, "context": 1024})
    spine = await config.open_spine(wanted, config.find_model(wanted))
    try:
        return Prompt((), (await spine.engine.encode(spine.format.render(made.cells[0].ask))))  # type: ignore[union-attr, arg-type]
    finally:
        await spine.engine.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=32)
    args = parser.parse_args()
    seconds: dict[str, list[float]] = {"sweep": [], "one by one": [], "uncached": []}
    evaluated, length, load = [], 0, os.getloadavg()[0]
    for turn in range(args.rounds):
        found, length = asyncio.run(once(turn, args.tokens))
        assert all(texts == found["sweep"][1] for _, texts, _ in found.values()), {
            n: t for n, (_, t, _) in found.items()
        }
        for name, (took, _, _) in found.items():
            seconds[name].append(took)
        evaluated.append(round(found["sweep"][2], 3))
        print(
            f"round {turn}:",
            {name: round(took, 2) for name, (took, _, _) in found.items()},
            "evaluated",
            evaluated[-1],
            flush=True,
        )
    ratios = {
        name: [round(took / own, 2) for took, own in zip(seconds[name], seconds["sweep"], strict=True)]
        for name in ("one by one", "uncached")
    }
    short = [f"{name} {statistics.median(ratios[name])} < {together.TARGETS[name]}" for name in ratios
             if statistics.median(ratios[name]) < together.TARGETS[name]]  # fmt: skip
    short += [f"evaluated {max(evaluated)}"] if max(evaluated) > together.TARGETS["evaluated"] else []
    print(f"missed: {'; '.join(short) or 'no target'}")
    quartiles = {name: statistics.quantiles(of, n=4) if len(of) > 1 else of for name, of in ratios.items()}
    facts = {
        "benchmark": "sweep",
        "rounds": args.rounds,
        "tokens": args.tokens,
        "prompt": length,
        "variants": VARIANTS,
        "jobs": JOBS,
    }
    print(json.dumps({**facts, "cores": os.cpu_count(), "load": round(load, 1), "seconds": seconds, "ratios": ratios,
                      "quartiles": quartiles, "evaluated": evaluated, "missed": short}))  # fmt: skip


if __name__ == "__main__":
    main()
