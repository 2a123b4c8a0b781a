"""Test prompts: ask them, and say of each expectation whether the answers are so, and how often.

Exit status: 0 all is as expected, 1 something is not, 2 the file is bad, 3 nobody can know, since engine or endpoint failed.

Examples: puna expect --builtin workshop
          puna expect claims.toml --model llama-2-7b-chat --junit claims.xml
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from puna.cli.interrupts import interruptible
from puna.cli.progress import on_terminal
from puna.cli.sweep import MOST_JOBS
from puna.cli.sweep_progress import shown
from puna.cli.targets import add_targets, targets_of
from puna.errors import InputError
from puna.experiments.expectations import PromptTest
from puna.experiments.plan import Plan
from puna.experiments.running import begun
from puna.experiments.store import Store
from puna.experiments.suite import BUILTINS, Suite, builtin
from puna.experiments.sweep import JOBS, Summary, sweep
from puna.experiments.targets import find

if TYPE_CHECKING:
    from puna.experiments.verdicts import Verdict


def add(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE.toml", help="tests and what they expect")
    parser.add_argument("--builtin", metavar="NAME", help=f"tests that puna brings: {', '.join(BUILTINS)}")
    parser.add_argument("--junit", type=Path, metavar="FILE.xml", help="write the verdicts for a CI system, too")
    parser.add_argument("--json", action="store_true", help="one JSON document, and no table")
    parser.add_argument(
        "--store", type=Path, metavar="FILE", help="keep the answers there as a run (default: none is kept)"
    )
    parser.add_argument("--resume", action="store_true", help="ask only what the store does not have yet")
    parser.add_argument("--jobs", type=int, default=JOBS, metavar="N", help=f"answers at a time (default {JOBS})")
    parser.add_argument("--repeats", type=int, metavar="N", help="answers to each prompt, and not what the file says")
    add_targets(parser)


def run(args: argparse.Namespace) -> int:
    """Ask, judge, tell."""
    try:
        from puna.experiments.verdicts import verdicts
    except ImportError as error:
        raise InputError(
            f"puna expect needs {error.name}, which is not here: pip install 'puna[experiments]'"
        ) from error
    _refuse_bad(args)
    plan, tests = _planned(args)
    with _store(args.store) as store:
        run_id = begun(plan, store, resume=args.resume)
        summary = _asked(plan, store, run_id, args)
        if not summary.complete:
            return _interrupted(summary, args.store)
        found = tuple(
            verdicts(
                plan, tests, store.rows(run_id, logprobs=plan.record.logprobs is not None), store.likelihoods(run_id)
            )
        )
    for note in summary.notes:
        print(f"puna: {note}", file=sys.stderr)
    _tell(plan, found, run_id, args)
    results = {str(verdict.result) for verdict in found}
    return 1 if "failed" in results else 3 if "error" in results else 0


def _refuse_bad(args: argparse.Namespace) -> None:
    """What would otherwise be found out only after all answers."""
    if (args.file is None) == (args.builtin is None):
        raise InputError("tests must be named, either a file or --builtin NAME; see puna expect --help")
    if not 1 <= args.jobs <= MOST_JOBS:
        raise InputError(f"--jobs must be a whole number from 1 to {MOST_JOBS}, not {args.jobs}")
    if args.resume and args.store is None:
        raise InputError("--resume goes on with a run that was kept; name its store: --store FILE")
    if args.junit is not None and (args.junit.is_dir() or not args.junit.absolute().parent.is_dir()):
        raise InputError(f"--junit must be a file in a folder that exists, not {args.junit}")


def _planned(args: argparse.Namespace) -> tuple[Plan, tuple[PromptTest, ...]]:
    """The plan of the file, as the options change it, and what is expected."""
    suite = Suite.read(args.file) if args.file else builtin(args.builtin)
    plan, tests = suite.plan(repeats=args.repeats)
    targets = targets_of(args, plan.targets)
    with on_terminal() as progress:
        for target in targets:  # a missing model is pulled in the main thread, where Ctrl-C ends it at once
            find(target, args.jobs, progress)
    return (plan, tests) if targets == plan.targets else suite.plan(repeats=args.repeats, targets=targets)


@contextmanager
def _store(path: Path | None) -> Iterator[Store]:
    """The named store, or one that is gone afterwards."""
    if path is not None:
        with Store.open(path) as store:
            yield store
        return
    with tempfile.TemporaryDirectory(prefix="puna-") as folder, Store.open(Path(folder) / "runs.db") as store:
        yield store


def _asked(plan: Plan, store: Store, run_id: str, args: argparse.Namespace) -> Summary:
    """All answers."""
    with shown() as tell:

        async def work(stop: asyncio.Event) -> Summary:
            return await sweep(plan, store, run_id, jobs=args.jobs, tell=tell, stop=stop, reuse=args.resume)

        return asyncio.run(
            interruptible(work, "without all answers there are no verdicts; Ctrl-C again ends it at once")
        )


def _interrupted(summary: Summary, store: Path | None) -> int:
    kept = f"; what there is was kept, and --store {store} --resume goes on" if store else ""
    done = summary.before + summary.progress.done
    print(f"puna: interrupted after {done} of {done + summary.progress.left} answers{kept}", file=sys.stderr)
    return 130


def _tell(plan: Plan, found: Sequence[Verdict], run_id: str, args: argparse.Namespace) -> None:
    """The verdicts, in each of the ways that were asked for."""
    from puna.cli.verdicts import as_json, show

    if args.junit is not None:
        from puna.experiments.junit import junit

        args.junit.write_bytes(junit(plan.name, found))
    if args.json:
        print(json.dumps(as_json(plan, found, None if args.store is None else run_id), indent=2))
        return
    show(plan, found)
    if args.store is not None:
        print(f"puna report {args.store} --run {run_id}")
