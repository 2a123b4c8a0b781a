"""Which trials need not be asked, since other runs have their answers: found by key before a sweep begins. Asks nothing of any target."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

from puna.errors import PunaError
from puna.experiments.keys import key_of
from puna.experiments.plan import Plan, Target, Trial
from puna.experiments.store import Store
from puna.experiments.targets import Found, Opened, opened
from puna.turn import Turn

Place = tuple[int, int]
"""A cell's index and the number of a repeat."""


async def reusable(
    plan: Plan, targets: Iterable[Found], missing: Sequence[Trial], store: Store, jobs: int, *, own: str | None = None
) -> set[Place]:
    """The trials, of those that are missing, that a sweep with ``reuse`` will take over from runs of the store other than its own.

    Raises:
        PunaError: an embedded target does not start.
    """
    places: set[Place] = set()
    if not any(run.done and run.id != own for run in await asyncio.to_thread(store.runs)):
        return places
    for found in targets:
        trials = [trial for trial in missing if trial.cell.target == found.target.name]
        if not trials:
            continue
        async with opened(_unasked(found), {trial.cell.format for trial in trials}, jobs) as here:
            keys = await _keys(found, here, plan, trials)
        known = await asyncio.to_thread(store.with_keys, keys.values())
        places |= {place for place, key in keys.items() if key in known}
    return places


def _unasked(found: Found) -> Found:
    """A target that is opened without a question: the only model of a server is asked for by its name then, which no key has in it."""
    target: Target = found.target
    return replace(found, target=replace(target, model="any")) if target.api == "openai" and not target.model else found


async def _keys(found: Found, here: Opened, plan: Plan, trials: Iterable[Trial]) -> dict[Place, str]:
    """By place; none of trials that will be refused."""
    keys: dict[Place, str] = {}
    turns: dict[int, Turn | None] = {}
    for trial in trials:
        cell = trial.cell
        if cell.index not in turns:
            turns[cell.index] = await _turn(here, plan, trial)
        turn = turns[cell.index]
        if turn is not None:
            seeded = replace(turn, sampling=replace(turn.sampling, seed=trial.seed))
            keys[cell.index, trial.repeat] = key_of(found, seeded, trial.repeat)
    return keys


async def _turn(here: Opened, plan: Plan, trial: Trial) -> Turn | None:
    try:
        return await here.spine_of(trial.cell).prepare(here.ask(trial, plan.record))
    except PunaError:
        return None
