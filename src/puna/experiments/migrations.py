"""How a store's tables came to be, step by step. Knows SQL; nothing of runs or of opening files.

A store's version (``PRAGMA user_version``) is how many of the steps it has had. A step is never changed once it was released: a
change of the tables is a new step at the end, and the drawing in ``puna.experiments.store`` follows it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

APPLICATION = 0x70756E61
"""``PRAGMA application_id`` of a store: "puna" in ASCII. Tells it from SQLite files of other programs."""

_FIRST = (
    """CREATE TABLE run (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        created REAL NOT NULL,
        ended REAL,
        state TEXT NOT NULL,
        holder TEXT,
        planned INTEGER NOT NULL,
        identity TEXT NOT NULL,
        plan TEXT NOT NULL)""",
    "CREATE INDEX run_identity ON run (identity)",
    """CREATE TABLE cell (
        run INTEGER NOT NULL REFERENCES run (number) ON DELETE CASCADE,
        cell INTEGER NOT NULL,
        target TEXT NOT NULL,
        system TEXT NOT NULL,
        format TEXT NOT NULL,
        variant TEXT NOT NULL,
        prompt TEXT NOT NULL,
        "case" TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (run, cell))""",
    """CREATE TABLE prompt (
        sha256 TEXT PRIMARY KEY,
        text TEXT NOT NULL)""",
    """CREATE TABLE ids (
        sha256 TEXT PRIMARY KEY,
        data BLOB NOT NULL)""",
    """CREATE TABLE trial (
        run INTEGER NOT NULL,
        cell INTEGER NOT NULL,
        repeat INTEGER NOT NULL,
        seed INTEGER NOT NULL,
        key TEXT NOT NULL,
        reused TEXT,
        state TEXT NOT NULL,
        failure TEXT,
        reason TEXT,
        output TEXT NOT NULL,
        finish TEXT,
        stopped_by TEXT,
        started REAL NOT NULL,
        seconds REAL NOT NULL,
        first REAL,
        attempts INTEGER NOT NULL,
        prompt_sha256 TEXT REFERENCES prompt (sha256),
        ids_sha256 TEXT REFERENCES ids (sha256),
        prompt_tokens INTEGER,
        usage_prompt INTEGER,
        usage_cached INTEGER,
        usage_output INTEGER,
        queue REAL NOT NULL,
        prefill REAL NOT NULL,
        decode REAL NOT NULL,
        written_as TEXT,
        model TEXT NOT NULL,
        model_sha256 TEXT,
        engine TEXT NOT NULL,
        reproducible INTEGER,
        sampling TEXT NOT NULL,
        receipt_id TEXT NOT NULL,
        receipt TEXT,
        logprobs BLOB,
        PRIMARY KEY (run, cell, repeat),
        FOREIGN KEY (run, cell) REFERENCES cell (run, cell) ON DELETE CASCADE)""",
    "CREATE INDEX trial_key ON trial (key) WHERE state = 'ok'",
    "CREATE INDEX trial_prompt ON trial (prompt_sha256)",
    "CREATE INDEX trial_ids ON trial (ids_sha256)",
    """CREATE TABLE likelihood (
        run INTEGER NOT NULL,
        cell INTEGER NOT NULL,
        name TEXT NOT NULL,
        text TEXT NOT NULL,
        "group" TEXT,
        logprob REAL NOT NULL,
        tokens BLOB NOT NULL,
        PRIMARY KEY (run, cell, name),
        FOREIGN KEY (run, cell) REFERENCES cell (run, cell) ON DELETE CASCADE)""",
    """CREATE TABLE distribution (
        run INTEGER NOT NULL,
        cell INTEGER NOT NULL,
        repeat INTEGER NOT NULL,
        position INTEGER NOT NULL,
        chosen TEXT NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (run, cell, repeat, position),
        FOREIGN KEY (run, cell) REFERENCES cell (run, cell) ON DELETE CASCADE)""",
    # For people who look into the file with a tool of their own.
    """CREATE VIEW answer AS
        SELECT run.id AS run, run.name AS experiment, cell.target, cell.system, cell.format, cell.variant, cell.prompt,
            cell."case", trial.repeat, trial.seed, trial.state, trial.failure, trial.reason, trial.output, trial.finish,
            trial.usage_output AS output_tokens, trial.seconds
        FROM trial JOIN cell USING (run, cell) JOIN run ON run.number = trial.run""",
)


def _first(connection: sqlite3.Connection) -> None:
    for statement in _FIRST:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")


STEPS: tuple[Callable[[sqlite3.Connection], None], ...] = (_first,)
"""Each makes the next version of the one before it, within a transaction that the caller has begun."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a store to the newest version, all in one transaction: after a failure it is what it was.

    Raises:
        sqlite3.Error: as SQLite has it.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Read now, with the lock: another process may just have done it.
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for step in STEPS[version:]:
            step(connection)
        connection.execute(f"PRAGMA user_version = {max(version, len(STEPS))}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
