"""What does a busy neighbour cost the engine, with libgomp's own spinning and with puna's GOMP_SPINCOUNT?

Method: the embedded engine as ``puna serve`` starts it, 8 slots, once per setting and number of neighbours (processes that
do nothing but compute), round by round. prefill: a prompt of 400 new tokens. eight: 8 streams of 32 tokens at a time.
single: one stream of 48. Figures are tokens/s, medians of the rounds.
Run: python benchmarks/sharing.py [--rounds N]. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from puna import config
from puna.engines.process import SPIN_COUNT
from puna.generation import End, Prompt, Sampling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from puna.engines.base import Engine

VARIABLE = "GOMP_SPINCOUNT"
LIBGOMP_DEFAULT = "300000"
"""Of libgomp where OMP_WAIT_POLICY is not set (https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html)."""


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """So many processes that compute."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


async def generate(engine: Engine, ids: tuple[int, ...], tokens: int, seed: int) -> End:
    """One stream to its end."""
    sampling = Sampling(temperature=1, top_p=1, top_k=0, max_tokens=tokens, seed=seed)
    events = [event async for event in engine.stream(Prompt((), ids), sampling)]
    end = events[-1]
    assert isinstance(end, End)
    return end


async def measure(spin: str, count: int) -> dict[str, float]:
    """Tokens/s of one setting beside so many neighbours."""
    os.environ[VARIABLE] = spin
    wanted = config.settings({"slots": 8, "context": 2048})
    spine = await config.open_spine(wanted, config.find_model(wanted))
    try:
        with neighbours(count):
            long = tuple(n * 31 % 40_000 + 100 for n in range(400))
            prefill = await generate(spine.engine, long, 1, 0)
            single = await generate(spine.engine, tuple(range(200, 230)), 48, 0)
            began = time.monotonic()
            prompts = [tuple(range(300 + 9 * n, 330 + 9 * n)) for n in range(8)]
            ends = await asyncio.gather(*[generate(spine.engine, ids, 32, n) for n, ids in enumerate(prompts)])
            took = time.monotonic() - began
    finally:
        await spine.engine.close()
    assert single.usage is not None
    return {
        "prefill": len(long) / prefill.timing.prefill,
        "single": (single.usage.output - 1) / single.timing.decode,
        "eight": sum(end.usage.output for end in ends if end.usage) / took,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    found: dict[str, dict[str, float]] = {}
    for count in (0, 1, 2):
        runs: dict[str, list[dict[str, float]]] = {"libgomp": [], "puna": []}
        for _ in range(rounds):
            for name, spin in (("libgomp", LIBGOMP_DEFAULT), ("puna", SPIN_COUNT)):
                runs[name].append(asyncio.run(measure(spin, count)))
        for name, figures in runs.items():
            medians = {key: round(statistics.median(run[key] for run in figures), 1) for key in figures[0]}
            found[f"{name}, {count} neighbours"] = medians
            print(f"{name:<8} {count} neighbours: {medians}", flush=True)
    print(json.dumps({"benchmark": "sharing", "rounds": rounds, "cores": os.cpu_count(), "tokens_per_s": found}))


if __name__ == "__main__":
    main()
