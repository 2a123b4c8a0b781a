"""On how many of 20 seeds does each scenario of the demo show its lesson?

Method: every call of every scenario, with the demo's own sampling, on the embedded engine, seeds 0 to 19; a seed
counts when the scenario's own test finds the lesson in its answers. With --write the figures go where the demo reads
them. Run: python benchmarks/scenarios.py [--model NAME] [--seeds N] [--write]. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

import puna.cli
from puna import config
from puna.chat import Spine
from puna.cli.scenarios import MAX_TOKENS, SCENARIOS, Scenario, seeds_of
from puna.generation import Delta, Sampling
from puna.turn import Ask

RATES = Path(puna.cli.__file__).parent / "scenario_rates.json"


async def answers(spine: Spine, scenario: Scenario, seed: int) -> list[str]:
    """The answers of one seed, one per call."""
    found = []
    for call, call_seed in zip(scenario.calls, seeds_of(scenario, seed), strict=True):
        sampling = Sampling.of({**call.sampling, "max_tokens": MAX_TOKENS, "seed": call_seed})
        turn = await spine.prepare(Ask(call.prompt, sampling))
        found.append("".join([event.text async for event in turn.stream() if isinstance(event, Delta)]))
    return found


async def measure(settings: config.Settings, seeds: int) -> dict[str, int]:
    """Seeds that show the lesson, by scenario. One request at a time, as the demo sends them."""
    spine = await config.open_spine(settings, config.find_model(settings))
    shown: dict[str, int] = {}
    try:
        for scenario in SCENARIOS:
            shown[scenario.key] = sum([scenario.shown(await answers(spine, scenario, seed)) for seed in range(seeds)])
            print(f"{scenario.key:<16} {shown[scenario.key]:>3} of {seeds}")
    finally:
        await spine.engine.close()
    return shown


def main() -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    settings = config.settings({"model": args.model})
    said = {"model": args.model, "seeds": args.seeds, "shown": asyncio.run(measure(settings, args.seeds))}
    if args.write:
        RATES.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(said))


if __name__ == "__main__":
    main()
