"""A plan as a person reads it before it runs: what is varied, how much there is to do, how long it may take. Prints nothing itself."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields

from puna.cli.sweep_progress import duration
from puna.experiments.estimate import Estimate, Load
from puna.experiments.factors import greedy as is_greedy
from puna.experiments.plan import Plan
from puna.experiments.targets import tells_logprobs
from puna.generation import Sampling

LABEL = 13
"""Width of the first column."""

SHOWN = 12
"""Most values of a factor that are listed."""


def lines_of(plan: Plan, loads: Mapping[str, Load], times: Mapping[str, Estimate | None], width: int) -> Iterator[str]:
    """The plan in lines of at most ``width`` characters. loads, times: by target."""
    answers = sum(1 for _ in plan.trials())
    yield f"{plan.name}: {count(len(plan.cells), 'cell')} x {count(len(plan.seeds), 'repeat')} = {count(answers, 'answer')}"
    for label, text in (*factors(plan), *work(plan, loads, times)):
        first = f"  {label:<{LABEL}}"
        yield from textwrap.wrap(text, width, initial_indent=first, subsequent_indent=" " * len(first)) or [
            first.rstrip()
        ]


def factors(plan: Plan) -> Iterator[tuple[str, str]]:
    """What is varied, and the values; what is the same everywhere where it was set."""
    cells = plan.cells
    for label, of in (
        ("targets", [cell.target for cell in cells]),
        ("prompts", [cell.prompt for cell in cells]),
        ("cases", [cell.case for cell in cells if cell.case]),
        ("system", [cell.system for cell in cells]),
        ("formats", [cell.format for cell in cells]),
    ):
        values = list(dict.fromkeys(of))
        if values and (len(values) > 1 or label in ("targets", "prompts")):
            yield label, listed(values)
    yield from _samplings(plan)
    yield "seeds", listed(str(seed) for seed in plan.seeds)


def _samplings(plan: Plan) -> Iterator[tuple[str, str]]:
    variants = {cell.variant: cell for cell in plan.cells}.values()
    given = frozenset[str]().union(*(cell.given for cell in variants))
    fixed, combinations = [], 1
    for name in (entry.name for entry in fields(Sampling) if entry.name in given):
        values = list(dict.fromkeys(getattr(cell.sampling, name) for cell in variants))
        combinations *= len(values)
        if len(values) > 1:
            yield name, listed(map(_value, values))
        else:
            fixed.append(f"{name}={_value(values[0])}")
    if len(variants) != combinations:
        yield "variants", listed(cell.variant for cell in variants)
    if fixed:
        yield "always", " ".join(fixed)


def work(plan: Plan, loads: Mapping[str, Load], times: Mapping[str, Estimate | None]) -> Iterator[tuple[str, str]]:
    """How much there is to do at each target, how long that may take, and what one should know beforehand."""
    several = len(loads) > 1
    for name, load in loads.items():
        yield (f"at {name}" if several else "to do"), _load(load)
        if load.refused:
            yield (
                "refused",
                f"{count(load.refused, 'cell')} whose prompt does not fit the window, or cannot be written in its format",
            )
        if load.answers:
            yield "time", _time(times.get(name))
    greedy = {cell.variant for cell in plan.cells if is_greedy(cell.sampling)}
    if greedy and len(plan.seeds) > 1:
        yield (
            "note",
            f"{listed(sorted(greedy))}: greedy, so that all repeats are the same where the target is reproducible",
        )
    silent = [target.name for target in plan.targets if not tells_logprobs(target)]
    if silent and plan.record.logprobs is not None:
        yield "note", f"no log-probabilities of {listed(silent)}: the SageMaker API does not tell them"


def _load(load: Load) -> str:
    if not load.answers:
        return "nothing: all is done already" if not load.refused else "nothing"
    prompts = count(load.prompts, "prompt")
    if load.longest is not None:
        sizes = f"{load.shortest} to {load.longest}" if load.shortest != load.longest else str(load.longest)
        prompts += f" of {sizes} tokens, {load.prompt_tokens} in all"
    return f"{count(load.answers, 'answer')} to {prompts}; at most {load.most} tokens"


def _time(time: Estimate | None) -> str:
    if time is None:
        return "not known: nothing was asked of this target yet"
    high = duration(time.high)
    if time.low is None:
        return f"at most {high}, if every answer reaches max_tokens ({time.by})"
    low = duration(time.low)
    return f"{low} to {high} ({time.by})" if low != high else f"{high} ({time.by})"


def count(number: int, what: str) -> str:
    """``1 cell``, ``2 cells``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def listed(values: Iterable[str]) -> str:
    """How many, and which, as far as they are few."""
    of = list(values)
    more = f" and {len(of) - SHOWN} more" if len(of) > SHOWN else ""
    text = ", ".join(value if len(value) <= 40 else f"{value[:39]}…" for value in of[:SHOWN]) + more
    return text if len(of) < 4 and not more else f"{len(of)}: {text}"


def _value(value: object) -> str:
    if isinstance(value, tuple):  # stop texts
        return f"[{', '.join(json.dumps(text, ensure_ascii=False) for text in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
