"""List, show, export or remove the runs of a store, which `puna sweep` makes.

STORE is its file (default runs.db). A run is named by its id or the beginning of it; where none is named, the newest is meant.

Example: puna runs export runs.db --to answers.csv
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from puna.cli.stores import check_named, harmless
from puna.errors import InputError
from puna.experiments.database import StoreError
from puna.experiments.exporting import FORMATS, export, export_to, format_of, records
from puna.experiments.labels import counted
from puna.experiments.plan import Cell, Target
from puna.experiments.records import cell_as_json
from puna.experiments.rows import Row
from puna.experiments.store import RunInfo, Store

_CELLS = 40
"""Cells that are shown; --json has all."""

_REASONS = 5
"""Reasons of failures that are shown; --json has all."""

_KEPT = "\n\t"
"""Signs of a text that is shown whole."""

_NAMES = ("target", "system", "format", "variant", "prompt", "case")


def add(parser: argparse.ArgumentParser) -> None:
    """The verb's own verbs."""
    verbs = parser.add_subparsers(dest="runs_verb", metavar="VERB", required=True)
    for verb, meaning, function in (
        ("ls", "the runs of a store, the newest first", _ls),
        ("show", "what a run is, how it stands, why trials failed, and its cells", _show),
        ("export", "a run's rows as CSV, JSON lines or Parquet", _export),
        ("rm", "remove runs with all their rows", _rm),
    ):
        sub = verbs.add_parser(verb, help=meaning, description=meaning)
        sub.add_argument(
            "store", metavar="STORE", nargs="?", type=Path, default=Path("runs.db"), help="default runs.db"
        )
        if verb in {"show", "export"}:
            sub.add_argument("--run", dest="id", metavar="ID", help="the run (default: the newest)")
        if verb == "show":
            sub.add_argument("--cell", metavar="N", type=int, help="the exact prompt of this cell, and all its answers")
        if verb == "rm":
            sub.add_argument(
                "--run", dest="ids", metavar="ID", action="append", required=True, help="a run to remove; repeatable"
            )
        if verb == "export":
            sub.add_argument("--to", metavar="FILE", default="-", help="default: standard output")
            sub.add_argument("--format", choices=FORMATS, help="default: what FILE ends in; csv on standard output")
        else:
            sub.add_argument("--json", action="store_true", help="one JSON document")
        sub.set_defaults(run_verb=function)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    for name in (getattr(args, "id", None), *getattr(args, "ids", ())):
        check_named("--run", name)
    with Store.open(args.store, create=False) as store:
        status: int = args.run_verb(store, args)
        return status


def _ls(store: Store, args: argparse.Namespace) -> int:
    runs = store.runs()
    if args.json:
        print(json.dumps([_facts(run) for run in runs]))
        return 0
    if not runs:
        print(f"puna: {store.path} holds no run; `puna sweep FILE --store {store.path}` makes one", file=sys.stderr)
        return 0
    lines = [
        (
            run.id,
            run.name,
            run.state,
            f"{run.done}/{run.planned}",
            str(run.failed or ""),
            ", ".join(map(_target, run.targets)),
        )
        for run in runs
    ]
    _print(
        _table(
            ("run", "experiment", "state", "done", "failed", "targets"),
            lines,
            right=("done", "failed"),
            whole=("run", "done"),
        )
    )
    return 0


def _show(store: Store, args: argparse.Namespace) -> int:
    run = store.run(args.id)
    rows = store.rows(run.id)
    if args.cell is not None:
        return _show_cell(store, store.cells(run.id), rows, args)
    cells = _cells(store.cells(run.id), rows)
    if args.json:
        print(json.dumps({**_facts(run), "failures": _failures(rows), "cells": cells}))
        return 0
    _print(_table(("name", "value"), _head(run, rows), header=False, whole=("name",)))
    columns = ("cell", *(_varying(cells) or ["variant"]), "done", "failed", "tokens", "seconds")
    lines = [tuple(_shown(cell[name]) for name in columns) for cell in cells[:_CELLS]]
    numbers = ("cell", "done", "failed", "tokens", "seconds")
    print()
    _print(_table(columns, lines, right=numbers, whole=numbers))
    if len(cells) > _CELLS:
        print(f"... and {len(cells) - _CELLS} more cells; --json has all")
    return 0


def _show_cell(store: Store, cells: Sequence[Cell], rows: Sequence[Row], args: argparse.Namespace) -> int:
    """The prompt of one cell as the engine got it, and its answers."""
    if not 0 <= args.cell < len(cells):
        raise InputError(f"the run's cells are numbered from 0 to {len(cells) - 1}, and --cell is {args.cell}")
    cell, some = cells[args.cell], [row for row in rows if row.cell.index == args.cell]
    prompts = {row.prompt_sha256: store.prompt_text(row.prompt_sha256) for row in some if row.prompt_sha256}
    if args.json:
        print(json.dumps({"cell": cell_as_json(cell), "prompts": prompts, "rows": records(some)}))
        return 0
    asked = [cell.ask] if isinstance(cell.ask, str) else [f"{turn.role}: {turn.content}" for turn in cell.ask]
    for text in prompts.values() or asked:
        print(f"--- prompt of cell {cell.index}\n{harmless(text, _KEPT)}")
    for row in some:
        why = "" if row.ok else f", {row.outcome.failure}: {row.outcome.reason}"
        print(f"--- repeat {row.repeat}, seed {row.seed}{harmless(why)}\n{harmless(row.output, _KEPT)}")
    return 0


def _export(store: Store, args: argparse.Namespace) -> int:
    run = store.run(args.id)
    to_stdout = args.to == "-"
    format_ = args.format or ("csv" if to_stdout else format_of(args.to))
    if not to_stdout and _same(Path(args.to), store.path):
        raise InputError(f"{args.to} is the store itself, which an export would replace; name another file")
    rows = store.rows(run.id)
    if to_stdout:
        sys.stdout.flush()
        export_to(rows, sys.stdout.buffer, format_)
        sys.stdout.buffer.flush()
    else:
        export(rows, args.to, format_)
        print(f"{len(rows)} rows of run {run.id} are in {args.to}", file=sys.stderr)
    return 0


def _rm(store: Store, args: argparse.Namespace) -> int:
    found = list({run.id: run for run in map(store.run, args.ids)}.values())  # all are there before one is removed
    for run in found:
        _remove(store, run)
        if not args.json:
            print(f"removed run {run.id} ({run.name}) with {counted(run.done + run.failed, 'row')}")
    if args.json:
        print(json.dumps([run.id for run in found]))
    return 0


def _remove(store: Store, run: RunInfo) -> None:
    try:
        store.remove(run.id)
    except StoreError as error:
        if getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF not in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
            raise
        if any(each.id == run.id for each in store.runs()):
            told = f"run {run.id} is still in {store.path}: removing it takes some room itself"
            advice = "make room by other means, then remove it again"
        else:
            told = f"run {run.id} is removed, but {store.path} is as large as before"
            advice = "the room inside is used by the next runs"
        raise StoreError(f"{told}, and the disk fails ({error.__cause__}); {advice}") from error


def _facts(run: RunInfo) -> dict[str, Any]:
    """A run as JSON values; times are ISO 8601 in UTC."""
    return {
        "run": run.id,
        "name": run.name,
        "state": run.state,
        "created": _iso(run.created),
        "ended": _iso(run.ended),
        **{name: getattr(run, name) for name in ("planned", "done", "failed", "missing", "reused", "holder")},
        "targets": [{**asdict(target), "settings": dict(target.settings)} for target in run.targets],
        "seeds": list(run.seeds),
        "record": asdict(run.record),
        "seconds": run.seconds,
        "retries": run.retries,
        "definition": dict(run.definition),
    }


def _cells(cells: Sequence[Cell], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """What each cell came to. tokens, seconds: means over its answers, None where there is none."""
    found: dict[int, list[Row]] = {cell.index: [] for cell in cells}
    for row in rows:
        found[row.cell.index].append(row)
    told = []
    for cell in cells:
        done = [row for row in found[cell.index] if row.ok]
        tokens = [row.outcome.usage.output for row in done if row.outcome.usage]
        told.append(
            {
                "cell": cell.index,
                **{name: getattr(cell, name) for name in _NAMES},
                "done": len(done),
                "failed": len(found[cell.index]) - len(done),
                "tokens": fmean(tokens) if tokens else None,
                "seconds": fmean(row.outcome.seconds for row in done) if done else None,
            }
        )
    return told


def _varying(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    return [name for name in _NAMES if len({cell[name] for cell in cells}) > 1]


def _shown(value: object) -> str:
    """A value in a table: means to four digits, and nothing for nothing."""
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _failures(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Why trials failed: kind, count and sentence; the most frequent first."""
    found = Counter((str(row.outcome.failure), row.outcome.reason) for row in rows if row.outcome.failure is not None)
    return [{"failure": kind, "count": n, "reason": reason} for (kind, reason), n in found.most_common()]


def _reasons(rows: Sequence[Row]) -> list[str]:
    found = _failures(rows)
    told = [f"{each['count']} x {each['failure']}: {each['reason']}" for each in found[:_REASONS]]
    rest = sum(each["count"] for each in found[_REASONS:])
    return [*told, f"and {rest} for other reasons"] if rest else told


def _head(run: RunInfo, rows: Sequence[Row]) -> list[tuple[str, str]]:
    reused = f" ({run.reused} taken from other runs)" if run.reused else ""
    models = dict.fromkeys(
        f"{row.outcome.model or 'unnamed'} ({(row.outcome.model_sha256 or 'hash unknown')[:12]}) on {row.outcome.engine}"
        for row in rows
        if row.ok
    )
    return [
        ("run", run.id),
        ("name", run.name),
        ("state", f"{run.state}{f', written by {run.holder}' if run.holder else ''}"),
        ("began", _local(run.created)),
        *([("ended", _local(run.ended))] if run.ended else []),
        ("trials", f"{run.planned} planned, {run.done} done{reused}, {run.failed} failed, {run.missing} missing"),
        ("plan", f"{counted(run.cells, 'cell')}, {counted(len(run.seeds), 'seed')}: {_seeds(run.seeds)}"),
        *(("target", f"{target.name}: {_target(target)}") for target in run.targets),
        *(("model", model) for model in models),
        *(("failed", reason) for reason in _reasons(rows)),
    ]


def _target(target: Target) -> str:
    if target.api == "embedded":
        return str(target.settings.get("model") or target.settings.get("engine") or "the default model")
    return f"{target.model or target.endpoint if target.api == 'sagemaker' else target.model or 'its model'} at {target.url}"


def _seeds(seeds: Sequence[int]) -> str:
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds[:8])) + (", ..." if len(seeds) > 8 else "")


def _iso(time: float | None) -> str | None:
    return None if time is None else datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")


def _local(time: float) -> str:
    return f"{datetime.fromtimestamp(time).astimezone():%Y-%m-%d %H:%M:%S %Z}"


def _same(one: Path, other: Path) -> bool:
    with suppress(OSError):
        return one.samefile(other)
    return False


def _table(
    columns: Sequence[str],
    lines: Sequence[Sequence[str]],
    *,
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
    header: bool = True,
) -> Table:
    """right: columns of numbers. whole: those that are never folded."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=header)
    for column in columns:
        justify: Literal["right", "left"] = "right" if column in right else "left"
        table.add_column(column, justify=justify, no_wrap=column in whole, overflow="fold")
    for line in lines:
        # As Text: brackets in names are no markup.
        table.add_row(*(Text(harmless(" ".join(value.split()))) for value in line))
    return table


def _print(table: Table) -> None:
    Console(width=None if sys.stdout.isatty() else 120).print(table)
