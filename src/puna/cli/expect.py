"""Test prompts: ask them, and say of each expectation whether the answers are so, and how often.

Exit status: 0 all is as expected, 1 something is not, 2 the file is bad, 3 nobody can know, since engine or endpoint failed.

Examples: puna expect --builtin workshop
          puna expect claims.toml --model llama-2-7b-chat --junit claims.xml
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from puna.cli.sweep import MOST_JOBS, DroppedError, carry_out, find_targets, refuse_names
from puna.cli.targets import add_targets, targets_of
from puna.errors import InputError, PunaError
from puna.experiments.expectations import PromptTest
from puna.experiments.plan import Plan
from puna.experiments.running import started
from puna.experiments.store import Store
from puna.experiments.suite import BUILTINS, Suite, builtin
from puna.experiments.sweep import JOBS, Summary

if TYPE_CHECKING:
    from puna.experiments.verdicts import Verdict


WARNING = "without all answers there are no verdicts; Ctrl-C again ends it at once"


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
        try:
            with started(plan, store, resume=args.resume) as run_id:
                summary = carry_out(plan, store, run_id, args, WARNING)
        except DroppedError as dropped:
            return _dropped(dropped, args.store)
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
    refuse_names(args, "tests", "expect")
    if not 1 <= args.jobs <= MOST_JOBS:
        raise InputError(f"--jobs must be a whole number from 1 to {MOST_JOBS}, not {args.jobs}")
    if args.resume and args.store is None:
        raise InputError("--resume goes on with a run that was kept; name its store: --store FILE")
    if args.junit is not None:
        _refuse_unwritable(args.junit)


def _refuse_unwritable(path: Path) -> None:
    """A file that cannot be written. What is no plain file, as a pipe, is left alone: its reader would see it closed."""
    try:
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise InputError(f"--junit must be a file in a folder that exists, not {path}")
        there = path.exists()
        if not there or path.is_file():
            path.open("ab").close()
        if not there:
            path.unlink()
    except OSError as error:
        raise InputError(
            f"--junit must be a file that can be written, but {path} cannot: {error.strerror or error}; name another one"
        ) from None


def _planned(args: argparse.Namespace) -> tuple[Plan, tuple[PromptTest, ...]]:
    """The plan of the file, as the options change it, and what is expected."""
    suite = Suite.read(args.file) if args.file else builtin(args.builtin)
    plan, tests = suite.plan(repeats=args.repeats)
    targets = targets_of(args, plan.targets)
    if targets != plan.targets:
        plan, tests = suite.plan(repeats=args.repeats, targets=targets)
    find_targets(plan, args.jobs)  # what is wrong with one is said before there is a run
    return plan, tests


@contextmanager
def _store(path: Path | None) -> Iterator[Store]:
    """The named store, or one that is gone afterwards."""
    if path is not None:
        with Store.open(path) as store:
            yield store
        return
    with tempfile.TemporaryDirectory(prefix="puna-") as folder, Store.open(Path(folder) / "runs.db") as store:
        yield store


def _interrupted(summary: Summary, store: Path | None) -> int:
    kept = f"; what there is was kept, and --store {store} --resume goes on" if store else ""
    done = summary.before + summary.progress.done
    print(f"puna: interrupted after {done} of {done + summary.progress.left} answers{kept}", file=sys.stderr)
    return 130


def _dropped(dropped: DroppedError, store: Path | None) -> int:
    where = f"; --store {store} --resume goes on" if store else "; without --store no answers are kept"
    print(f"puna: {dropped if store else 'interrupted'}{where}", file=sys.stderr)
    return 130


def _tell(plan: Plan, found: Sequence[Verdict], run_id: str, args: argparse.Namespace) -> None:
    """The verdicts, in each of the ways that were asked for."""
    from puna.cli.verdicts import as_json, show

    if args.json:
        print(json.dumps(as_json(plan, found, None if args.store is None else run_id), indent=2))
    else:
        show(plan, found)
        if args.store is not None:
            print(f"puna report {args.store} --run {run_id}")
    if args.junit is not None:
        _write(args.junit, plan, found)


def _write(path: Path, plan: Plan, found: Sequence[Verdict]) -> None:
    from puna.experiments.junit import junit

    try:
        path.write_bytes(junit(plan.name, found))
    except OSError as error:
        raise PunaError(
            f"the verdicts could not be written to {path}: {error.strerror or error}; make room, or name another file"
        ) from error
