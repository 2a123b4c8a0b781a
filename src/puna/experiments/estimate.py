"""How much a plan has to do at a target, and how long that may take: by earlier answers of the same model, or by a short measurement.

The upper bound lets every answer reach its max_tokens, at the slowest speed that was seen; the lower one lets them be as long as earlier
ones were, in relation to max_tokens, at the fastest. Nothing is asked of a remote target for an estimate.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from puna.experiments.lengths import Asked, asked, lengths
from puna.experiments.plan import Cell, Plan, Target, Trial
from puna.experiments.rows import Row
from puna.experiments.store import Store
from puna.experiments.targets import Found, Opened, opened
from puna.experiments.trial import Stream
from puna.generation import Delta
from puna.turn import together

RUNS = 10
"""Earlier runs that are looked at, the newest ones."""

LEAST_ROWS = 4
MEASURED_TOKENS = 16
ALIKE = 1.5
"""How much more or fewer answers at a time an earlier run may have made."""

LONG = 32
"""Prompt tokens from which an evaluation tells the speed of evaluating."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be done. prompts: different ones; prompt_tokens: of these together. answers: trials. most: tokens of all of them.

    shortest, longest: tokens of a prompt. refused: cells whose prompt nothing can be made of, or does not fit the window. None and 0
    where the vocabulary is a remote target's own affair.
    """

    prompts: int
    answers: int
    most: int
    prompt_tokens: int = 0
    shortest: int | None = None
    longest: int | None = None
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens per second. prefill: of a prompt, evaluated alone. decode: of all answers at a time together. share: of max_tokens."""

    prefill: float
    decode: float
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds. low: None where only an upper bound is known. by: what it rests on, in words."""

    high: float
    low: float | None
    by: str


def load_of(
    cells: Sequence[Cell], trials: Iterable[Trial], counted: Mapping[Asked, int | None], context: int | None
) -> Load:
    """What a target has to do. counted: tokens of each prompt, where they are known. context: tokens of the window, if there is one here."""
    answers = list(trials)
    refused = [cell for cell in cells if counted and not _fits(cell, counted, context)]
    gone = {cell.index for cell in refused}
    done = [trial for trial in answers if trial.cell.index not in gone]
    prompts = {asked(trial.cell) for trial in done}
    sizes = [size for prompt in prompts if (size := counted.get(prompt)) is not None]
    return Load(
        prompts=len(prompts),
        answers=len(done),
        most=sum(trial.cell.sampling.max_tokens for trial in done),
        prompt_tokens=sum(sizes),
        shortest=min(sizes, default=None),
        longest=max(sizes, default=None),
        refused=len(refused),
    )


def _fits(cell: Cell, counted: Mapping[Asked, int | None], context: int | None) -> bool:
    size = counted.get(asked(cell))
    return size is not None and (context is None or size + cell.sampling.max_tokens <= context)


def estimate(load: Load, speeds: Sequence[Speed], by: str) -> Estimate | None:
    """How long it takes at one of these speeds; None where there are none."""
    if not speeds or not load.answers:
        return None
    times = [load.prompt_tokens / speed.prefill + load.most / speed.decode for speed in speeds]
    short = [
        load.prompt_tokens / speed.prefill + load.most * speed.share / speed.decode
        for speed in speeds
        if speed.share is not None
    ]
    return Estimate(max(times), min(short, default=None), by)


def earlier(store: Store, found: Found, jobs: int) -> tuple[list[Speed], int]:
    """The speeds of earlier runs with about as many answers at a time, and how many answers they rest on. Blocks."""
    speeds: list[Speed] = []
    count = 0
    for run in store.runs()[:RUNS]:
        same = {target.name for target in run.targets if _same_server(found.target, target)}
        rows = [row for row in store.rows(run.id) if row.ok and not row.reused and row.cell.target in same]
        rows = [row for row in rows if row.outcome.model_sha256 == found.model_sha256 and row.outcome.usage]
        if len(rows) >= LEAST_ROWS and (speed := speed_of(rows, jobs)) is not None:
            speeds.append(speed)
            count += len(rows)
    return speeds, count


def _same_server(one: Target, other: Target) -> bool:
    return (one.url, one.endpoint, one.model) == (other.url, other.endpoint, other.model)


def speed_of(rows: Sequence[Row], jobs: int) -> Speed | None:
    """How fast the answers of one run came; None where far more or fewer of them were made at a time."""
    busy = _covered([(row.outcome.started, row.outcome.started + row.outcome.seconds) for row in rows])
    at_a_time = sum(row.outcome.seconds for row in rows) / busy if busy else 0.0
    wanted = min(jobs, len(rows))
    if not busy or not wanted / ALIKE <= at_a_time <= wanted * ALIKE:
        return None
    used = [row.outcome.usage for row in rows if row.outcome.usage]
    evaluated, made = sum(usage.evaluated for usage in used), sum(usage.output for usage in used)
    prefill = _prefill(rows)
    share = made / sum(row.outcome.sampling.max_tokens for row in rows)
    decoding = max(busy - evaluated / prefill, busy / 10)
    return Speed(prefill, max(made, 1) / decoding, min(share, 1.0))


def _prefill(rows: Sequence[Row]) -> float:
    """Tokens per second; where no prompt was long enough to tell, as if it took no time."""
    told = [
        usage.evaluated / row.outcome.timing.prefill
        for row in rows
        if (usage := row.outcome.usage) and usage.evaluated >= LONG and row.outcome.timing.prefill > 0
    ]
    return statistics.median(told) if told else float("inf")


def _covered(spans: list[tuple[float, float]]) -> float:
    """Seconds in which at least one of the spans lies."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


async def overview(
    plan: Plan, targets: Iterable[Found], left: Sequence[Trial], store: Store | None, jobs: int
) -> tuple[dict[str, Load], dict[str, Estimate | None]]:
    """What is to be done at each target, by its name, and how long it may take. left: trials that are not done.

    Raises:
        PunaError: a target that nothing is known of yet does not start.
    """
    loads, times = {}, {}
    for found in targets:
        name = found.target.name
        cells = [cell for cell in plan.cells if cell.target == name]
        counted = await asyncio.to_thread(lengths, found, cells)
        context = found.settings.context if found.settings else None
        loads[name] = load_of(cells, [trial for trial in left if trial.cell.target == name], counted, context)
        speeds, rows = await asyncio.to_thread(earlier, store, found, jobs) if store else ([], 0)
        by = f"by {rows} earlier answers"
        if not speeds and found.settings is not None and loads[name].answers:
            cell = max(
                (cell for cell in cells if _fits(cell, counted, context)), key=lambda cell: counted[asked(cell)] or 0
            )
            async with opened(found, {cell.format}, jobs) as here:
                speeds, by = [await measure(here, plan, cell)], "by a short measurement"
        times[name] = estimate(loads[name], speeds, by)
    return loads, times


async def measure(here: Opened, plan: Plan, cell: Cell) -> Speed:
    """The speed of an embedded target, from a few tokens of as many answers as are made at a time.

    Raises:
        PunaError: the prompt cannot be asked.
    """
    turn = await here.spine_of(cell).prepare(here.ask(Trial(cell, 0, plan.seeds[0]), plan.record))
    few = replace(turn, sampling=replace(turn.sampling, max_tokens=min(MEASURED_TOKENS, turn.sampling.max_tokens)))
    began = time.monotonic()
    told = await asyncio.gather(*[_read(stream) for stream in together([few.again(n) for n in range(here.jobs)])])
    firsts = [first for first, _ in told]
    made = sum(tokens for _, tokens in told)
    evaluating, decoding = min(firsts) - began, time.monotonic() - min(firsts)
    return Speed(max(1, len(turn.prompt.ids)) / max(evaluating, 1e-6), made / max(decoding, 1e-6))


async def _read(stream: Stream) -> tuple[float, int]:
    """When the first piece came, by the monotonic clock, and how many tokens there were."""
    first, tokens = None, 0
    async with aclosing(stream):
        async for event in stream:
            first = first or time.monotonic()
            tokens += event.tokens if isinstance(event, Delta) else 0
    return first or time.monotonic(), max(tokens, 1)
