"""Trials, cells and prompts as lines of the store's tables, and back. Knows columns and SQL; opens nothing and begins no transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

from puna.experiments.database import bound, text_of
from puna.experiments.plan import Cell, Trial
from puna.experiments.records import (
    cell_as_json,
    cell_of,
    ids_as_bytes,
    logprobs_as_bytes,
    logprobs_of,
    text_of_json,
)
from puna.experiments.rows import Failure, Outcome, Row, State
from puna.generation import Prompt, Sampling, Timing, Usage

COLUMNS = (
    "cell", "repeat", "seed", "key", "reused", "state", "failure", "reason", "output", "finish", "stopped_by", "started", "seconds",
    "first", "attempts", "prompt_sha256", "ids_sha256", "prompt_tokens", "usage_prompt", "usage_cached", "usage_output", "queue",
    "prefill", "decode", "written_as", "model", "model_sha256", "engine", "reproducible", "sampling", "receipt_id", "receipt",
    "logprobs",
)  # fmt: skip
"""Of the table ``trial``, the run's number left out."""

Prompted = tuple[str | None, str | None, int | None]
"""Of a prompt: the hash of its text, the hash of its ids, how many tokens it has; None of what is not known."""


def values_of(trial: Trial, outcome: Outcome, key: str, reused: str | None, prompted: Prompted) -> tuple[object, ...]:
    """The values of ``COLUMNS``."""
    usage = (None, None, None) if outcome.usage is None else astuple(outcome.usage)
    return (
        trial.cell.index,
        trial.repeat,
        trial.seed,
        key,
        reused,
        str(outcome.state),
        None if outcome.failure is None else str(outcome.failure),
        outcome.reason,
        outcome.output,
        outcome.finish,
        outcome.stopped_by,
        outcome.started,
        outcome.seconds,
        outcome.first,
        outcome.attempts,
        *prompted,
        *usage,
        *astuple(outcome.timing),
        outcome.written_as,
        outcome.model,
        outcome.model_sha256,
        outcome.engine,
        outcome.reproducible,
        text_of_json(outcome.sampling.as_json()),
        outcome.receipt_id,
        None if outcome.receipt is None else text_of_json(outcome.receipt),
        None if outcome.logprobs is None else logprobs_as_bytes(outcome.logprobs),
    )


def row_of(run: str, cell: Cell, values: Sequence[Any]) -> Row:
    """The row that a line of the table holds. values: of ``COLUMNS``, in order."""
    told = dict(zip(COLUMNS, values, strict=True))
    return Row(
        run=run,
        cell=cell,
        repeat=told["repeat"],
        seed=told["seed"],
        outcome=_outcome_of(told),
        key=told["key"],
        prompt_sha256=told["prompt_sha256"],
        ids_sha256=told["ids_sha256"],
        prompt_tokens=told["prompt_tokens"],
        reused=told["reused"],
    )


def _outcome_of(told: Mapping[str, Any]) -> Outcome:
    return Outcome(
        state=State(told["state"]),
        output=text_of(told["output"]),
        started=told["started"],
        seconds=told["seconds"],
        first=told["first"],
        attempts=told["attempts"],
        failure=None if told["failure"] is None else Failure(told["failure"]),
        reason=_maybe(told["reason"]),
        finish=_maybe(told["finish"]),
        stopped_by=_maybe(told["stopped_by"]),
        usage=_usage_of(told),
        timing=Timing(told["queue"], told["prefill"], told["decode"]),
        sampling=Sampling.of(json.loads(text_of(told["sampling"]))),
        written_as=told["written_as"],
        model=text_of(told["model"]),
        model_sha256=told["model_sha256"],
        engine=text_of(told["engine"]),
        reproducible=None if told["reproducible"] is None else bool(told["reproducible"]),
        receipt_id=text_of(told["receipt_id"]),
        receipt=None if told["receipt"] is None else json.loads(text_of(told["receipt"])),
        logprobs=None if told["logprobs"] is None else logprobs_of(told["logprobs"]),
    )


def _usage_of(told: Mapping[str, Any]) -> Usage | None:
    if told["usage_prompt"] is None:
        return None
    return Usage(told["usage_prompt"], told["usage_cached"], told["usage_output"])


def _maybe(value: object) -> str | None:
    return None if value is None else text_of(value)


WITH_KEYS = f"""SELECT run.id, number, {", ".join(f"trial.{name}" for name in COLUMNS)}
    FROM trial JOIN run ON number = trial.run
    WHERE trial.state = 'ok' AND trial.key IN ({{}}) ORDER BY trial.reused IS NOT NULL, trial.rowid"""  # noqa: S608

KEY = 2 + COLUMNS.index("key")


def _put_line(table: str, keys: Sequence[str], columns: Sequence[str], where: str = "") -> str:
    """SQL that puts a line, or replaces the one that has the same keys."""
    sets = ", ".join(f'"{name}" = excluded."{name}"' for name in columns if name not in keys)
    names = ", ".join(f'"{name}"' for name in ("run", *columns))
    marks = ", ".join("?" * (1 + len(columns)))
    on = ", ".join(("run", *keys))
    return f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT ({on}) DO UPDATE SET {sets} {where}"  # noqa: S608


PUT = _put_line("trial", ("cell", "repeat"), COLUMNS, "WHERE trial.state = 'failed' OR excluded.state = 'ok'")
PUTS = {
    "likelihood": _put_line("likelihood", ("cell", "name"), ("cell", "name", "text", "group", "logprob", "tokens")),
    "distribution": _put_line(
        "distribution", ("cell", "repeat", "position"), ("cell", "repeat", "position", "chosen", "data")
    ),
}


def cell_values(cell: Cell) -> tuple[object, ...]:
    """The values of a line of the table ``cell``, the run's number left out."""
    value = text_of_json(cell_as_json(cell))
    return (cell.index, cell.target, cell.system, cell.format, cell.variant, cell.prompt, cell.case, value)


def cells_of(connection: sqlite3.Connection, number: int) -> tuple[Cell, ...]:
    """All cells of a run, in order."""
    lines = connection.execute("SELECT value FROM cell WHERE run = ? ORDER BY cell", (number,))
    return tuple(cell_of(json.loads(text_of(value))) for (value,) in lines)


def cell_at(connection: sqlite3.Connection, number: int, index: int) -> Cell:
    """One cell of a run."""
    (value,) = connection.execute("SELECT value FROM cell WHERE run = ? AND cell = ?", (number, index)).fetchone()
    return cell_of(json.loads(text_of(value)))


def put_prompt(connection: sqlite3.Connection, outcome: Outcome, key: str, reused: str | None) -> Prompted:
    """Keep an exact prompt once, however many trials have it. An outcome from a row has none: it is that of the row with the key."""
    prompt = outcome.prompt or Prompt(())
    digests = prompt.digests()
    text, ids = digests["sha256"], digests["ids_sha256"]
    if text is not None:
        connection.execute("INSERT INTO prompt VALUES (?, ?) ON CONFLICT DO NOTHING", bound((text, prompt.text)))
    if ids is not None:
        connection.execute("INSERT INTO ids VALUES (?, ?) ON CONFLICT DO NOTHING", (ids, ids_as_bytes(prompt.ids)))
    if outcome.prompt is None and reused is not None:
        line: Prompted | None = connection.execute(_PROMPTED, (key, reused)).fetchone()
        if line is not None:
            return line
    return text, ids, len(prompt.ids) or (outcome.usage.prompt if outcome.usage else None)


_PROMPTED = """SELECT prompt_sha256, ids_sha256, prompt_tokens FROM trial JOIN run ON number = trial.run
    WHERE key = ? AND trial.state = 'ok' AND run.id = ?"""
