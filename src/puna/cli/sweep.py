"""Run an experiment: prompts, settings and seeds, into a store.

The plan comes first: how many answers, and how long they may take. Everything that is done is kept: Ctrl-C ends the run when what is
under way is finished, and --resume goes on with it.

Examples: puna sweep --builtin hyperparameters
          puna sweep story.toml --store story.db --resume
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from contextlib import nullcontext
from pathlib import Path

from puna.cli.interrupts import interruptible
from puna.cli.progress import on_terminal
from puna.cli.sweep_plan import count, lines_of
from puna.cli.sweep_progress import duration, shown
from puna.cli.targets import add_targets, targets_of
from puna.errors import InputError
from puna.experiments.estimate import overview
from puna.experiments.experiment import Experiment
from puna.experiments.lengths import window
from puna.experiments.plan import Plan
from puna.experiments.reuse import reusable
from puna.experiments.running import started, unfinished
from puna.experiments.store import Store
from puna.experiments.sweep import JOBS, Summary, sweep
from puna.experiments.targets import Found, find

MOST_JOBS = 256


def add(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("file", nargs="?", metavar="FILE.toml", help="the experiment")
    parser.add_argument("--builtin", metavar="NAME", help="an experiment that puna brings: hyperparameters")
    parser.add_argument("--store", default="runs.db", metavar="FILE", help="where rows are kept (default runs.db)")
    parser.add_argument("--jobs", type=int, default=JOBS, metavar="N", help=f"answers at a time (default {JOBS})")
    parser.add_argument("--repeats", type=int, metavar="N", help="answers of each cell, and not what the file says")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="do what the newest run of this experiment is missing, and what failed in it",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan and do nothing")
    add_targets(parser)


def run(args: argparse.Namespace) -> int:
    """Plan, run, sum up."""
    if not 1 <= args.jobs <= MOST_JOBS:
        raise InputError(f"--jobs must be a whole number from 1 to {MOST_JOBS}, not {args.jobs}")
    plan = plan_of(args)
    targets = find_targets(plan, args.jobs)
    if args.dry_run:
        with Store.open(args.store) if Path(args.store).exists() else nullcontext() as known:
            print_plan(plan, targets, known, args)
        return 0
    with Store.open(args.store) as store:
        print_plan(plan, targets, store, args)
        try:
            with started(plan, store, resume=args.resume) as run_id:
                summary = carry_out(
                    plan, store, run_id, args, "what is under way is finished first; Ctrl-C again drops it"
                )
        except DroppedError as dropped:
            print(f"puna: {dropped}; the same command with --resume does what is missing", file=sys.stderr)
            return 130
    return sum_up(summary, args.store)


def plan_of(args: argparse.Namespace) -> Plan:
    """The plan of the file, as the options change it."""
    refuse_names(args, "an experiment", "sweep")
    experiment = Experiment.read(Path(args.file)) if args.file else _builtin(args.builtin)
    plan = experiment.plan(repeats=args.repeats)
    targets = targets_of(args, plan.targets)
    return plan if targets == plan.targets else experiment.plan(repeats=args.repeats, targets=targets)


def refuse_names(args: argparse.Namespace, what: str, verb: str) -> None:
    """Nothing, where either a file or something built in is named.

    Raises:
        InputError: neither is, or both are.
    """
    if args.file is None and args.builtin is None:
        raise InputError(f"{what} must be named, either a file or --builtin NAME; see puna {verb} --help")
    if args.file is not None and args.builtin is not None:
        raise InputError(
            f"either a file or --builtin must be given, but both were: {args.file} and {args.builtin}; leave one out"
        )


def _builtin(name: str) -> Experiment:
    from puna.experiments.builtin import builtin

    return builtin(name)


def find_targets(plan: Plan, jobs: int) -> list[Found]:
    """Every target as it will be started; missing models are pulled here, in the main thread, where Ctrl-C ends it at once."""
    with on_terminal() as progress:
        found = [find(target, jobs, progress) for target in plan.targets]
    return [
        each.with_context(window(each, [cell for cell in plan.cells if cell.target == each.target.name]))
        for each in found
    ]


def print_plan(plan: Plan, targets: list[Found], store: Store | None, args: argparse.Namespace) -> None:
    """What will be done."""
    old = unfinished(plan, store) if store is not None and args.resume else None
    done = store.done(old) if store is not None and old is not None else set()
    missing = [trial for trial in plan.trials() if (trial.cell.index, trial.repeat) not in done]
    taken = set()
    if store is not None and args.resume:
        taken = asyncio.run(reusable(plan, targets, missing, store, args.jobs, own=old))
    left = [trial for trial in missing if (trial.cell.index, trial.repeat) not in taken]
    loads, times = asyncio.run(overview(plan, targets, left, store, args.jobs))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 120
    for line in lines_of(plan, loads, times, width):
        print(line)
    if old is not None:
        print(f"  going on with run {old}: {len(done)} answers are there")
    if taken:
        print(f"  {count(len(taken), 'answer')} {'is' if len(taken) == 1 else 'are'} taken from other runs")
    sys.stdout.flush()


class DroppedError(Exception):
    """A second Ctrl-C has ended a sweep at once; the sentence tells what was kept."""

    def __init__(self, run: str, kept: int, planned: int) -> None:
        what = f"run {run} has {kept} of {planned} answers" if kept else "nothing was kept, for no answer was whole yet"
        super().__init__(f"what was under way was dropped; {what}")


def carry_out(plan: Plan, store: Store, run: str, args: argparse.Namespace, warning: str) -> Summary:
    """The sweep, its progress shown. warning: said at a first Ctrl-C.

    Raises:
        DroppedError: there was a second one.
    """

    async def work(stop: asyncio.Event) -> Summary:
        return await sweep(plan, store, run, jobs=args.jobs, tell=tell, stop=stop, reuse=args.resume)

    try:
        with shown() as tell:
            return asyncio.run(interruptible(work, warning))
    except asyncio.CancelledError:
        raise DroppedError(run, len(store.done(run)), sum(1 for _ in plan.trials())) from None


def sum_up(summary: Summary, store: str) -> int:
    """What came of it and what to type next; the exit status."""
    was = summary.progress
    words = [f"{was.done + summary.before} answers"]
    if was.reused:
        words.append(f"{was.reused} of them from other runs")
    if was.failed:
        words.append(f"{was.failed} failed")
    if was.left:
        words.append(f"{was.left} not begun")
    print(f"run {summary.run}: {', '.join(words)}, in {duration(was.seconds)}")
    for note in summary.notes:
        print(f"puna: {note}", file=sys.stderr)
    if was.left or was.failed:
        print("the same command with --resume does what is missing, and what failed")
    print(f"puna report {store} --run {summary.run}")
    if not summary.complete:
        return 130
    return 1 if was.failed else 0
