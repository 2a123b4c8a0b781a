"""A plan carried out: its trials, a few at a time, each kept as soon as it is over. Knows no terminal.

Trials with equal prompts go together, so that the engine evaluates the prompt once for all of them. Targets take turns, since each
embedded one fills memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Literal

from puna.engines.base import EngineInfo
from puna.errors import EngineError, PunaError
from puna.experiments.afterwards import distributions_of, first_answers, gone_through, likelihood_of, scored
from puna.experiments.keys import key_of
from puna.experiments.lengths import Asked, asked, window
from puna.experiments.plan import Cell, Continuation, Plan, Target, Trial
from puna.experiments.rows import Outcome, State
from puna.experiments.store import Store
from puna.experiments.targets import Found, Opened, find, opened
from puna.experiments.trial import Limits, Stream, prepared, refused, tried
from puna.turn import Turn, together

JOBS = 8
"""Trials at a time, where nothing else is said: what two cores decode fastest together."""

Phase = Literal["starting", "answers", "likelihoods", "distributions"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sweep is. phase: what it does now, at ``target``; step: which one of how many, where it is not an answer.

    planned: trials that were missing; done, failed, reused: of these, so far. Reused ones are done too. tokens: of answers, made here.
    seconds: spent on answers. running: trials that are under way. stopping: no other one begins.
    """

    planned: int
    phase: Phase = "starting"
    target: str = ""
    step: tuple[int, int] | None = None
    done: int = 0
    failed: int = 0
    reused: int = 0
    tokens: int = 0
    seconds: float = 0.0
    running: int = 0
    stopping: bool = False

    @property
    def left(self) -> int:
        """Trials that are neither done nor failed."""
        return self.planned - self.done - self.failed


@dataclass(frozen=True, slots=True)
class Summary:
    """What a sweep came to. before: trials that had been done already. complete: every trial was tried.

    notes: what else the plan wants and could not be found out, a sentence each.
    """

    run: str
    before: int
    progress: Progress
    complete: bool
    notes: tuple[str, ...] = ()


Tell = Callable[[Progress], object]


def _untold(_: Progress) -> None:
    return


async def sweep(
    plan: Plan,
    store: Store,
    run: str,
    *,
    jobs: int = JOBS,
    tell: Tell = _untold,
    stop: asyncio.Event | None = None,
    reuse: bool = False,
) -> Summary:
    """Do what a run is still missing, and what failed in it. jobs: trials at a time. tell: hears of every step.

    stop: once it is set, no trial begins; those that run are finished and kept. Cancelled, they are dropped. reuse: answers of
    other runs that have the same key are taken over. A remote target that cannot be reached makes each of its trials a failed row.

    Raises:
        InputError: a target cannot be used as the plan says, or the store cannot be written. EngineError: an embedded one does not start.
    """
    with store.claim(run):
        before = await asyncio.to_thread(store.done, run)
        missing = [trial for trial in plan.trials() if (trial.cell.index, trial.repeat) not in before]
        work = _Work(plan, store, run, jobs, tell, stop or asyncio.Event(), reuse, Progress(len(missing)))
        try:
            for target in plan.targets:
                await work.at(target, [trial for trial in missing if trial.cell.target == target.name])
        finally:
            complete = not work.progress.left
            await asyncio.to_thread(store.finish, run, "complete" if complete else "interrupted")
    return Summary(run, len(before), work.progress, complete, tuple(work.notes))


class _LostError(Exception):
    """A remote target could not be reached, after so many attempts."""

    def __init__(self, error: EngineError, attempts: int) -> None:
        super().__init__(str(error))
        self.error, self.attempts = error, attempts


Job = tuple[Trial, Turn, str, Stream]


@dataclass
class _Work:
    """One sweep that is under way. progress: so far. last: when it was noted, by the monotonic clock."""

    plan: Plan
    store: Store
    run: str
    jobs: int
    tell: Tell
    stop: asyncio.Event
    reuse: bool
    progress: Progress
    last: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def limits(self) -> Limits:
        """Of each trial."""
        return Limits(self.plan.seconds, self.plan.retries, self._pause)

    async def at(self, target: Target, trials: Sequence[Trial]) -> None:
        """What is to be done at one target."""
        cells = [cell for cell in self.plan.cells if cell.target == target.name]
        besides = await asyncio.to_thread(self._besides, cells)
        if not (trials or any(besides)) or self.stop.is_set():
            return
        self._note(phase="starting", target=target.name)
        found = await asyncio.to_thread(find, target, self.jobs)
        found = found.with_context(await asyncio.to_thread(window, found, cells))
        async with AsyncExitStack() as stack:
            try:
                here = await self._reached(stack, found, cells)
            except _LostError as lost:
                await self._unreached(target, trials, lost)
                return
            self._note(phase="answers")
            await self._trials(here, trials)
            try:
                await self._likelihoods(here, besides[0])
                await self._distributions(here, besides[1])
            except PunaError as error:
                self.notes.append(f"{target.name}: {error}")

    async def _reached(self, stack: AsyncExitStack, found: Found, cells: Sequence[Cell]) -> Opened:
        """The target, open until the stack ends; a remote one is tried as often as a trial."""
        for attempt in count(1):
            try:
                return await stack.enter_async_context(opened(found, {cell.format for cell in cells}, self.jobs))
            except EngineError as error:
                if found.target.api == "embedded":
                    raise
                if await self.limits.over(attempt, error, remote=True):
                    raise _LostError(error, attempt) from error
        raise AssertionError  # count() has no end

    async def _unreached(self, target: Target, trials: Sequence[Trial], lost: _LostError) -> None:
        """Every trial as a row that says why there is no answer; none where the sweep was to stop meanwhile."""
        if self.stop.is_set():
            return
        self._note(phase="answers")
        self.notes.append(f"{target.name}: {lost.error}")
        name = target.model if target.api == "openai" else target.endpoint
        info = EngineInfo(name or "", target.url or "", context=0, slots=0)
        for trial in trials:
            outcome = refused(lost.error, replace(trial.cell.sampling, seed=trial.seed), info)
            await self._keep(trial, replace(outcome, attempts=lost.attempts), "")

    def _besides(self, cells: Sequence[Cell]) -> tuple[list[tuple[Cell, Continuation]], list[Cell]]:
        """The continuations and the answers that are still to be scored."""
        known = {(found.cell, found.name) for found in self.store.likelihoods(self.run)}
        texts = [(cell, text) for cell, text in scored(cells) if (cell.index, text.name) not in known]
        if not self.plan.record.distributions:
            return texts, []
        told = {found.cell for found in self.store.distributions(self.run)}
        return texts, [cell for cell in gone_through(cells) if cell.index not in told]

    async def _likelihoods(self, here: Opened, wanted: Sequence[tuple[Cell, Continuation]]) -> None:
        for n, (cell, text) in enumerate(wanted):
            if self.stop.is_set():
                return
            self._note(phase="likelihoods", step=(n, len(wanted)))
            found = await likelihood_of(here, cell, text)
            await asyncio.to_thread(self.store.put_likelihood, self.run, found)

    async def _distributions(self, here: Opened, wanted: Sequence[Cell]) -> None:
        rows = await asyncio.to_thread(self.store.rows, self.run, True) if wanted else []  # as in the store
        answers = first_answers(rows, wanted)
        for n, row in enumerate(answers.values()):
            if self.stop.is_set():
                return
            self._note(phase="distributions", step=(n, len(answers)))
            ids = await asyncio.to_thread(self.store.prompt_ids, row.ids_sha256)
            told = await distributions_of(here, row, ids, self.plan.record.distributions)
            await asyncio.to_thread(self.store.put_distributions, self.run, told)

    async def _trials(self, here: Opened, trials: Sequence[Trial]) -> None:
        async with aclosing(self._jobs(here, trials)) as jobs:
            turnstile = asyncio.Lock()
            workers = [asyncio.create_task(self._worker(here, jobs, turnstile)) for _ in range(here.jobs)]
            try:
                for ended in asyncio.as_completed(workers):
                    await ended
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def _worker(self, here: Opened, jobs: AsyncGenerator[Job, None], turnstile: asyncio.Lock) -> None:
        while not self.stop.is_set():
            async with turnstile:
                job = await anext(jobs, None)
            if job is None:
                return
            trial, turn, key, stream = job
            self._note(running=self.progress.running + 1)
            try:
                outcome = await tried(turn, stream, self.limits, model_sha256=here.found.model_sha256, hear=self._hear)
                await self._keep(trial, outcome, key)
            finally:
                self._note(running=self.progress.running - 1)

    async def _jobs(self, here: Opened, trials: Sequence[Trial]) -> AsyncGenerator[Job, None]:
        """Prepared trials, those with the same prompt side by side."""
        for group in groups(trials):
            ready = await self._taken(await self._prepared(here, group))
            streams = together([turn for _, turn, _ in ready])
            for (trial, turn, key), stream in zip(ready, streams, strict=True):
                yield trial, turn, key, stream

    async def _prepared(self, here: Opened, group: Iterable[Trial]) -> list[tuple[Trial, Turn, str]]:
        """Turns of trials, each cell's prompt encoded once. Those that are refused are kept as such, and left out."""
        turns: dict[int, Turn | PunaError] = {}
        ready = []
        for trial in group:
            cell = trial.cell
            if cell.index not in turns:
                turns[cell.index] = await self._turn(here, trial)
            turn = turns[cell.index]
            if isinstance(turn, PunaError):
                sampling = replace(cell.sampling, seed=trial.seed)
                await self._keep(trial, refused(turn, sampling, here.spine.info, here.found.model_sha256), "")
                continue
            turn = replace(turn, sampling=replace(turn.sampling, seed=trial.seed))
            ready.append((trial, turn, key_of(here.found, turn, trial.repeat)))
        return ready

    async def _turn(self, here: Opened, trial: Trial) -> Turn | PunaError:
        try:
            return await prepared(here.spine_of(trial.cell), here.ask(trial, self.plan.record), self.limits)
        except PunaError as error:
            return error

    async def _taken(self, ready: list[tuple[Trial, Turn, str]]) -> list[tuple[Trial, Turn, str]]:
        """Take over what other runs have; gives what they have not."""
        if not self.reuse:
            return ready
        known = await asyncio.to_thread(self.store.with_keys, [key for _, _, key in ready])
        for trial, turn, key in ready:
            if key in known:
                row = known[key]
                await self._keep(trial, replace(row.outcome, prompt=turn.prompt), key, reused=row.reused or row.run)
        return [entry for entry in ready if entry[2] not in known]

    async def _keep(self, trial: Trial, outcome: Outcome, key: str, reused: str | None = None) -> None:
        await asyncio.to_thread(self.store.put, self.run, trial, outcome, key, reused=reused)
        was = self.progress
        ok = outcome.state is State.OK
        self._note(done=was.done + ok, failed=was.failed + (not ok), reused=was.reused + (reused is not None))

    def _hear(self, tokens: int) -> None:
        self._note(tokens=self.progress.tokens + tokens)

    def _note(self, **changed: object) -> None:
        was, now = self.progress, time.monotonic()
        if "phase" in changed and changed["phase"] != was.phase:
            changed.setdefault("step", None)
        seconds = was.seconds + (now - self.last if was.phase == "answers" else 0.0)
        self.last = now
        changed["stopping"] = self.stop.is_set()
        self.progress = replace(was, seconds=seconds, **changed)  # type: ignore[arg-type]  # as its callers name them
        self.tell(self.progress)

    async def _pause(self, seconds: float) -> bool:
        """Let the time before another attempt pass; true where none is wanted any more."""
        try:
            await asyncio.wait_for(self.stop.wait(), seconds)
        except TimeoutError:
            return False
        return True


def groups(trials: Iterable[Trial]) -> list[list[Trial]]:
    """Trials of one target by their prompt, in the order in which the prompts come first."""
    by: dict[Asked, list[Trial]] = {}
    for trial in trials:
        by.setdefault(asked(trial.cell), []).append(trial)
    return list(by.values())
