"""What a store tells of its runs. Knows plans and lines of the store's table ``run``; opens no database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from puna.errors import InputError
from puna.experiments import claims, records
from puna.experiments.database import text_of
from puna.experiments.plan import Check, Record, Target

RunState = Literal["running", "complete", "interrupted"]

_SHOWN = 5
"""Runs that an error names."""

LINES = """SELECT id, created, ended, state, holder, planned, name, plan,
    (SELECT count(*) FROM cell WHERE run = number),
    (SELECT count(*) FROM trial WHERE run = number AND state = 'ok'),
    (SELECT count(*) FROM trial WHERE run = number AND state = 'failed'),
    (SELECT count(*) FROM trial WHERE run = number AND state = 'ok' AND reused IS NOT NULL)
    FROM run"""
"""SQL for lines that ``info_of`` takes."""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run at one moment. planned, done, failed: trials; reused: those of ``done`` that were taken from another run. cells: how many.

    created, ended: Unix time; ended is None until the run has ended. state: ``running`` only while a process is writing it. holder:
    that process, in words.
    """

    id: str
    name: str
    created: float
    state: RunState
    planned: int
    done: int
    failed: int
    reused: int
    cells: int
    definition: Mapping[str, object]
    targets: tuple[Target, ...]
    seeds: tuple[int, ...]
    record: Record
    checks: tuple[Check, ...]
    seconds: float
    retries: int
    ended: float | None = None
    holder: str | None = None

    @property
    def missing(self) -> int:
        """Trials that have no row."""
        return self.planned - self.done - self.failed


def info_of(store: Path, line: Sequence[Any]) -> RunInfo:
    """The run that a line of ``LINES`` tells of."""
    id_, created, ended, state, holder, planned, name, plan, cells, done, failed, reused = line
    if state == "running" and not claims.is_claimed(claims.path_of(store, id_)):
        state, holder = "interrupted", None
    head = records.plan_of({**json.loads(text_of(plan)), "cells": []})
    return RunInfo(
        id=id_,
        name=text_of(name),
        created=created,
        state=state,
        planned=planned,
        done=done,
        failed=failed,
        reused=reused,
        cells=cells,
        definition=head.definition,
        targets=head.targets,
        seeds=head.seeds,
        record=head.record,
        checks=head.checks,
        seconds=head.seconds,
        retries=head.retries,
        ended=ended,
        holder=holder if state == "running" else None,
    )


def chosen(store: Path, ids: Sequence[str], given: str | None) -> str:
    """The run that is meant by an id or the beginning of one; None for the first.

    Raises:
        InputError: none or several; it says which there are.
    """
    if not ids:
        raise InputError(f"the store {store} holds no run; `puna sweep FILE --store {store}` makes one")
    if given is None:
        return ids[0]
    if not given.strip():
        raise InputError(
            f"a run of {store} must be named by its id or the beginning of it, but the name is empty; it has: {_some(ids)}"
        )
    found = [each for each in ids if each == given] or [each for each in ids if each.startswith(given)]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{len(found)} runs of {store} begin with {given!r}; say which: {_some(found)}")
    raise InputError(f"no run of {store} begins with {given[:80]!r}; it has: {_some(ids)}")


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_SHOWN]) + (", ..." if len(ids) > _SHOWN else "")
