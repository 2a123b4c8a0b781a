"""Runs and their rows in a SQLite file. Knows plans, rows and SQL; asks no model and prints nothing.

::

    run 1──* cell 1──* trial *──1 prompt       (write-ahead log, synchronous=FULL, foreign keys;
                │        └──────* 1 ids          PRAGMA application_id = "puna", user_version = number of the newest migration)
                ├──* likelihood
                └──* distribution

    run          number, id, name, created, ended, state, holder, planned trials, identity (SHA-256 of the definition),
                 plan (JSON: definition, targets, seeds, record, checks, seconds, retries)
    cell         run, cell; target, system, format, variant, prompt, case; value (JSON: all of the cell)
    trial        run, cell, repeat; seed, key, reused; state, failure, reason, output, finish, stopped_by; started, seconds, first,
                 attempts; prompt_sha256, ids_sha256, prompt_tokens, usage_*; queue, prefill, decode; written_as, model,
                 model_sha256, engine, reproducible; sampling (JSON), receipt_id, receipt (JSON), logprobs (bytes)
    prompt       sha256, text: each exact prompt once, as the engine got it
    ids          sha256, data: its token ids (bytes)
    likelihood   run, cell, name; text, group, logprob, tokens (bytes)
    distribution run, cell, repeat, position; chosen, data (bytes)
    answer       a view of run, cell and trial, for people with a tool of their own

``puna.experiments.records`` says what the bytes are. Times are Unix seconds. One call is one transaction: what has returned is on the
disk. Several processes may use a store at once; only one writes a run (``Store.claim``).
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from puna.errors import InputError
from puna.experiments import claims, records, runs, tables
from puna.experiments.database import Database, StoreError, bound, text_of
from puna.experiments.plan import Cell, Plan, Trial
from puna.experiments.rows import Distribution, Likelihood, Outcome, Row
from puna.experiments.runs import RunInfo, RunState, info_of

__all__ = ["RunInfo", "RunState", "Store", "StoreError"]

_AT_ONCE = 500
"""Values that one statement is given; SQLite takes 999 and more."""


class Store:
    """An open store; threads may share it. Closed by ``close``, or as a context manager."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._numbers: dict[str, int] = {}

    @classmethod
    def open(cls, path: str | Path = "runs.db", create: bool = True) -> Store:
        """Open the store at ``path``; where there is none, make it, or with ``create=False`` say so.

        Raises:
            InputError: no such file, no store of puna's, one of a newer version, a folder that cannot be written.
            StoreError: the disk or the file fails.
        """
        return cls(Database.open(Path(path), create=create))

    def close(self) -> None:
        """Close the file; what was put is there."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    # A run's life

    def begin(self, plan: Plan, name: str | None = None) -> str:
        """Store a plan with all its cells as a new run; gives the run's id. name: instead of the plan's."""
        created = time.time()
        planned = sum(1 for _ in plan.trials())
        head = records.text_of_json(records.head_as_json(plan))
        values = (name or plan.name, created, "running", planned, records.identity(plan), head)
        cells = [bound(tables.cell_values(cell)) for cell in plan.cells]
        while True:
            run = f"{datetime.fromtimestamp(created, UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
            with self._database.writing() as connection:
                if connection.execute("SELECT 1 FROM run WHERE id = ?", (run,)).fetchone():
                    continue  # 1 in 65536 for runs of the same second
                number = (
                    connection.execute(
                        "INSERT INTO run (id, name, created, state, planned, identity, plan) VALUES (?, ?, ?, ?, ?, ?, ?)",
                        bound((run, *values)),
                    ).lastrowid
                    or 0
                )
                connection.executemany(
                    f"INSERT INTO cell VALUES ({number}, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  # our own number
                    cells,
                )
            self._numbers[run] = number
            return run

    @contextmanager
    def claim(self, run: str) -> Iterator[None]:
        """Be the only process that writes a run. It is ``running`` meanwhile; left without ``finish``, it is ``interrupted``.

        Raises:
            InputError: there is no such run, or another process writes it, which is named.
        """
        number = self._number(run)
        lock = self._take(run)  # not around what the caller does, whose own time-outs and errors are none of a lock's
        try:
            self._set(number, state="running", ended=None, holder=claims.this_process())
            try:
                yield
            finally:
                self._release(number)
        finally:
            claims.let_go(lock)

    def finish(self, run: str, state: RunState) -> None:
        """Say how a run stands; ``complete`` and ``interrupted`` end it."""
        self._set(self._number(run), state=state, ended=None if state == "running" else time.time())

    def remove(self, run: str) -> None:
        """Remove a run with all its rows, and prompts that no other run has. Rows that other runs took from it stay.

        Raises:
            InputError: there is no such run, or a process is writing it.
        """
        with self.claim(run), self._database.writing() as connection:
            connection.execute("DELETE FROM run WHERE id = ?", (run,))
            for table, column in (("prompt", "prompt_sha256"), ("ids", "ids_sha256")):
                connection.execute(
                    f"DELETE FROM {table} WHERE NOT EXISTS (SELECT 1 FROM trial WHERE {column} = {table}.sha256)"  # noqa: S608
                )
        self._numbers.pop(run, None)
        self._database.shrink()

    # What is put

    def put(self, run: str, trial: Trial, outcome: Outcome, key: str, *, reused: str | None = None) -> None:
        """Store what a trial came to. A row that is there already is replaced, but an answer never by a failure.

        key: what identifies everything that the output depends on. reused: the run whose row with this key the outcome is taken from.

        Raises:
            InputError: the run or its cell is not (or no longer) in the store.
        """
        number = self._number(run)
        with self._database.writing() as connection:
            prompted = tables.put_prompt(connection, outcome, key, reused)
            try:
                connection.execute(
                    tables.PUT, bound((number, *tables.values_of(trial, outcome, key, reused, prompted)))
                )
            except sqlite3.IntegrityError:
                raise self._gone(run, trial.cell.index) from None

    def put_likelihood(self, run: str, likelihood: Likelihood) -> None:
        """Store how likely a continuation is; one of the same cell and name is replaced."""
        it = likelihood
        values = (it.cell, it.name, it.text, it.group, it.logprob, records.logprobs_as_bytes(it.tokens))
        self._put_all(run, "likelihood", [values])

    def put_distributions(self, run: str, distributions: Sequence[Distribution]) -> None:
        """Store what the sampler chose from, all in one transaction; one of the same place is replaced."""
        lines = [
            (it.cell, it.repeat, it.position, it.chosen, records.distribution_as_bytes(it.tokens, it.logprobs))
            for it in distributions
        ]
        self._put_all(run, "distribution", lines)

    # What is there

    def runs(self) -> tuple[RunInfo, ...]:
        """All runs, the newest first."""
        with self._database.reading() as connection:
            lines = connection.execute(f"{runs.LINES} ORDER BY number DESC").fetchall()
        return tuple(info_of(self.path, line) for line in lines)

    def run(self, id: str | None = None) -> RunInfo:  # noqa: A002
        """A run by its id or the beginning of it; None for the newest.

        Raises:
            InputError: none or several; it says which there are.
        """
        with self._database.reading() as connection:
            ids = [found for (found,) in connection.execute("SELECT id FROM run ORDER BY number DESC")]
            found = runs.chosen(self.path, ids, id)
            line = connection.execute(f"{runs.LINES} WHERE id = ?", (found,)).fetchone()
        return info_of(self.path, line)

    def same(self, plan: Plan) -> RunInfo | None:
        """The newest run of the same experiment as a plan: one with the same definition."""
        with self._database.reading() as connection:
            line = connection.execute(
                f"{runs.LINES} WHERE identity = ? ORDER BY number DESC LIMIT 1", (records.identity(plan),)
            ).fetchone()
        return None if line is None else info_of(self.path, line)

    def plan(self, run: str) -> Plan:
        """The plan that a run was begun with."""
        number = self._number(run)
        with self._database.reading() as connection:
            (head,) = connection.execute("SELECT plan FROM run WHERE number = ?", (number,)).fetchone()
            cells = tables.cells_of(connection, number)
        return replace(records.plan_of({**json.loads(text_of(head)), "cells": []}), cells=cells)

    def cells(self, run: str) -> tuple[Cell, ...]:
        """The cells of a run, in order."""
        number = self._number(run)
        with self._database.reading() as connection:
            return tables.cells_of(connection, number)

    def rows(self, run: str, logprobs: bool = False) -> list[Row]:
        """The rows of a run in the order of its trials. logprobs: with the log-probabilities of the outputs' tokens."""
        number = self._number(run)
        columns = ", ".join(tables.COLUMNS) if logprobs else ", ".join((*tables.COLUMNS[:-1], "NULL"))
        with self._database.reading() as connection:
            cells = {cell.index: cell for cell in tables.cells_of(connection, number)}
            lines = connection.execute(
                f"SELECT {columns} FROM trial WHERE run = ? ORDER BY cell, repeat",  # noqa: S608
                (number,),
            ).fetchall()
        return [tables.row_of(run, cells[line[0]], line) for line in lines]

    def done(self, run: str) -> set[tuple[int, int]]:
        """Cell index and repeat of the trials that have an answer."""
        number = self._number(run)
        with self._database.reading() as connection:
            return set(connection.execute("SELECT cell, repeat FROM trial WHERE run = ? AND state = 'ok'", (number,)))

    def with_keys(self, keys: Iterable[str]) -> dict[str, Row]:
        """Answers of any run that have one of these keys, log-probabilities included; of several, one made in its own run."""
        wanted = [key for key in dict.fromkeys(keys) if key]
        found: dict[str, tuple[Any, ...]] = {}
        cells: dict[tuple[int, int], Cell] = {}
        with self._database.reading() as connection:
            for start in range(0, len(wanted), _AT_ONCE):
                some = wanted[start : start + _AT_ONCE]
                for line in connection.execute(tables.WITH_KEYS.format(", ".join("?" * len(some))), some):
                    found.setdefault(line[tables.KEY], line)
            for _, number, *line in found.values():
                if (number, line[0]) not in cells:
                    cells[number, line[0]] = tables.cell_at(connection, number, line[0])
        return {key: tables.row_of(run, cells[number, line[0]], line) for key, (run, number, *line) in found.items()}

    def prompt_text(self, sha256: str | None) -> str:
        """An exact prompt, as the engine got it, by its hash.

        Raises:
            InputError: it is not in the store; None is in none.
        """
        return text_of(self._content("SELECT text FROM prompt WHERE sha256 = ?", sha256))

    def prompt_ids(self, sha256: str | None) -> tuple[int, ...]:
        """A prompt's token ids, by their hash.

        Raises:
            InputError: they are not in the store; None is in none.
        """
        data = self._content("SELECT data FROM ids WHERE sha256 = ?", sha256)
        return records.ids_of(data)

    def likelihoods(self, run: str) -> tuple[Likelihood, ...]:
        """A run's likelihoods by cell, in the order in which they were put."""
        lines = self._all(
            run, 'SELECT cell, name, text, tokens, "group" FROM likelihood WHERE run = ? ORDER BY cell, rowid'
        )
        return tuple(
            Likelihood(cell, text_of(name), text_of(text), records.logprobs_of(tokens), group)
            for cell, name, text, tokens, group in lines
        )

    def distributions(self, run: str) -> tuple[Distribution, ...]:
        """A run's distributions by cell, repeat and position."""
        lines = self._all(
            run,
            "SELECT cell, repeat, position, chosen, data FROM distribution WHERE run = ? ORDER BY cell, repeat, position",
        )
        return tuple(
            Distribution(cell, repeat, position, text_of(chosen), *records.distribution_of(data))
            for cell, repeat, position, chosen, data in lines
        )

    # How

    def _number(self, run: str) -> int:
        if run not in self._numbers:
            with self._database.reading() as connection:
                line = connection.execute("SELECT number FROM run WHERE id = ?", (run,)).fetchone()
            if line is None:
                raise self._gone(run)
            self._numbers[run] = line[0]
        return self._numbers[run]

    def _take(self, run: str) -> FileLock:
        self._database.check_writable()
        path = claims.path_of(self.path, run)
        try:
            return claims.take(path)
        except Timeout:
            holder = self.run(run).holder or "another process"
            raise InputError(
                f"{holder} is writing run {run} of {self.path} at this moment; wait until it is done, or begin another run"
            ) from None
        except OSError as error:
            raise StoreError(f"run {run} cannot be claimed by the file {path}: {error.strerror or error}") from None

    def _gone(self, run: str, cell: int | None = None) -> InputError:
        what = f"run {run}" if cell is None else f"cell {cell} of run {run}"
        return InputError(f"{what} is not in the store {self.path} (any more); see `puna runs ls {self.path}`")

    def _set(self, number: int, **values: object) -> None:
        columns = ", ".join(f"{name} = ?" for name in values)
        with self._database.writing() as connection:
            connection.execute(f"UPDATE run SET {columns} WHERE number = ?", (*values.values(), number))  # noqa: S608

    def _release(self, number: int) -> None:
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE run SET state = 'interrupted', ended = ? WHERE number = ? AND state = 'running'",
                (time.time(), number),
            )
            connection.execute("UPDATE run SET holder = NULL WHERE number = ?", (number,))

    def _put_all(self, run: str, table: str, lines: Sequence[Sequence[object]]) -> None:
        number = self._number(run)
        with self._database.writing() as connection:
            for line in lines:
                try:
                    connection.execute(tables.PUTS[table], bound((number, *line)))
                except sqlite3.IntegrityError:
                    raise self._gone(run, int(str(line[0]))) from None

    def _all(self, run: str, query: str) -> list[tuple[Any, ...]]:
        number = self._number(run)
        with self._database.reading() as connection:
            return connection.execute(query, (number,)).fetchall()

    def _content(self, query: str, sha256: str | None) -> Any:
        with self._database.reading() as connection:
            line = connection.execute(query, (sha256,)).fetchone()
        if line is None:
            raise InputError(f"the store {self.path} has no prompt with the hash {sha256}; rows tell the hashes it has")
        return line[0]
