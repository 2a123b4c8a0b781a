"""Sweeps from Python and notebooks: run, wait, and have the rows. Knows the bridge to the async core, and the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from puna.errors import InputError, PunaError
from puna.experiments import sweep as core
from puna.experiments.experiment import Experiment
from puna.experiments.plan import Plan
from puna.experiments.results import Results
from puna.experiments.store import Store
from puna.experiments.sweep import JOBS, Progress, Summary, Tell
from puna.sync import bridge


def _untold(_: Progress) -> None:
    return


def sweep(
    experiment: Experiment | Plan,
    store: str | Path = "runs.db",
    *,
    jobs: int = JOBS,
    resume: bool = False,
    progress: Tell | None = None,
) -> Results:
    """Run an experiment and give its rows; works where an event loop runs already, as in Jupyter.

    jobs: answers at a time. resume: go on with the newest run of the same experiment, if there is one, and take over answers of other
    runs that would be the same. progress: called at every step. An interrupt drops what is under way and keeps all that was done.

    Raises:
        InputError: no experiment; a target cannot be used, or the store cannot be written. EngineError: an embedded target does not start.
    """
    if not isinstance(experiment, Experiment | Plan):
        raise InputError(
            f"an experiment must be a puna.Experiment or its plan, not {type(experiment).__name__}; "
            "use puna.Experiment.read(...) for a file"
        )
    plan = experiment.plan() if isinstance(experiment, Experiment) else experiment
    with Store.open(store) as opened, started(plan, opened, resume=resume) as run:

        async def work() -> Summary:
            return await core.sweep(plan, opened, run, jobs=jobs, tell=progress or _untold, reuse=resume)

        bridge().run(work)
        return Results.of(opened, run)


@contextmanager
def started(plan: Plan, store: Store, *, resume: bool) -> Iterator[str]:
    """The run as ``begun`` gives it; left by an exception it is removed if nothing is in it, for it would hide the one before it."""
    run = begun(plan, store, resume=resume)
    try:
        yield run
    except BaseException:
        with suppress(PunaError):  # what came first is what is told
            if not (store.rows(run) or store.likelihoods(run)):
                store.remove(run)
        raise


def begun(plan: Plan, store: Store, *, resume: bool) -> str:
    """The run that is written: a new one; with resume the newest one of the same plan, if there is one."""
    old = unfinished(plan, store) if resume else None
    return old or store.begin(plan)


def unfinished(plan: Plan, store: Store) -> str | None:
    """The newest run of the same plan, whole or not, which can be gone on with; None if there is none."""
    old = store.same(plan)
    same = old is not None and old.seeds == plan.seeds and old.targets == plan.targets
    return old.id if old is not None and same and store.cells(old.id) == plan.cells else None
