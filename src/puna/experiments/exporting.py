"""Rows as flat records, and these as files: CSV, JSON lines, Parquet. Knows rows; opens no store.

Every record has all of ``COLUMNS``, whatever the experiment, and after them ``value.NAME`` for each variable of its prompts.
"""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from puna.errors import InputError, unknown
from puna.experiments.rows import Row
from puna.generation import RANGES, Usage

FORMATS = ("csv", "jsonl", "parquet")

Kind = type[str | int | float | bool | list[str]]

COLUMNS: Mapping[str, Kind] = {
    "run": str,
    "target": str,
    "system": str,
    "format": str,
    "variant": str,
    "prompt": str,
    "case": str,
    "cell": int,
    "repeat": int,
    "seed": int,
    "state": str,
    "failure": str,
    "reason": str,
    "output": str,
    "expected": str,
    "finish": str,
    "stopped_by": str,
    **{name: kind for name, (kind, _, _) in RANGES.items() if name != "seed"},
    "stop": list[str],
    "given": list[str],
    "prompt_tokens": int,
    "cached_tokens": int,
    "evaluated_tokens": int,
    "output_tokens": int,
    "started": str,
    "seconds": float,
    "first": float,
    "queue": float,
    "prefill": float,
    "decode": float,
    "attempts": int,
    "written_as": str,
    "model": str,
    "model_sha256": str,
    "engine": str,
    "reproducible": bool,
    "receipt_id": str,
    "prompt_sha256": str,
    "ids_sha256": str,
    "key": str,
    "reused": str,
}
"""The columns of every record and what they hold; any may be None. Tokens, seconds; ``started`` is ISO 8601 in UTC; sampling parameters
are those that were in effect, ``given`` names the ones that the experiment set."""


def columns_of(rows: Iterable[Row]) -> dict[str, Kind]:
    """The columns of these rows' records: ``COLUMNS``, then their variables by name."""
    variables = sorted({name for row in rows for name in row.cell.values})
    return {**COLUMNS, **{f"value.{name}": str for name in variables}}


def records(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """A flat record for each row, all with the same names in the same order."""
    columns = columns_of(rows)
    return [_record(row, columns) for row in rows]


def format_of(path: str | Path, given: str | None = None) -> str:
    """The format of a file: the given one, else what its name ends in.

    Raises:
        InputError: neither says it, or it is none of ``FORMATS``.
    """
    told = given or Path(path).suffix.removeprefix(".").lower()
    if told in FORMATS:
        return told
    if given is None:
        raise InputError(
            f"the name of the file {path} must end in {', '.join(f'.{name}' for name in FORMATS[:-1])} or .{FORMATS[-1]}, "
            "or a format be given"
        )
    raise InputError(unknown("format", told, FORMATS))


def export(rows: Sequence[Row], path: str | Path, format: str | None = None) -> None:  # noqa: A002
    """Write rows into a file, which is there as a whole or not at all. format: one of ``FORMATS``; None for what its name ends in.

    Raises:
        InputError: an unknown format, a file that cannot be written, Parquet without polars.
    """
    write = _WRITERS[format_of(path, format)]
    try:
        with replacing(Path(path)) as file:
            write(rows, file)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}; nothing there has changed") from None


def export_to(rows: Sequence[Row], file: BinaryIO, format: str) -> None:  # noqa: A002
    """Write rows into an open file, as standard output. format: one of ``FORMATS``."""
    _WRITERS[format](rows, file)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of the one at ``path`` when it is whole; after an error that one is as it was.

    What is no ordinary file, as a pipe or a terminal, is written to.

    Raises:
        OSError: as the system has it.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    path = path.resolve()  # through a link to the file itself
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with unfinished.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        with suppress(OSError):
            unfinished.unlink()


def frame_of(rows: Sequence[Row]) -> Any:
    """Rows as a ``polars.DataFrame``, with the same types whatever they hold.

    Raises:
        InputError: polars is not installed.
    """
    try:
        import polars as pl  # noqa: PLC0415  # an extra
    except ImportError:
        raise InputError("data frames of polars and Parquet files need polars: pip install 'puna[parquet]'") from None
    types: dict[Any, Any] = {str: pl.String, int: pl.Int64, float: pl.Float64, bool: pl.Boolean}
    columns = columns_of(rows)
    schema = {name: types.get(kind, pl.List(pl.String)) for name, kind in columns.items()}
    lines = records(rows)
    # By column: the types are told, and a text that is no UTF-8 is not taken.
    return pl.DataFrame({name: [_utf8(line[name]) for line in lines] for name in columns}, schema=schema)


def _record(row: Row, columns: Iterable[str]) -> dict[str, Any]:
    outcome, cell, usage = row.outcome, row.cell, row.outcome.usage
    sampling = outcome.sampling.as_json()
    told = {
        **sampling,
        **{name: getattr(outcome, name) for name in _OF_OUTCOME},
        **{
            name: getattr(cell, name)
            for name in ("target", "system", "format", "variant", "prompt", "case", "expected")
        },
        **{name: getattr(row, name) for name in _OF_ROW},
        **{name: getattr(outcome.timing, name) for name in ("queue", "prefill", "decode")},
        **{f"value.{name}": value for name, value in cell.values.items()},
        "cell": cell.index,
        "state": str(outcome.state),
        "failure": None if outcome.failure is None else str(outcome.failure),
        "given": sorted(cell.given),
        "prompt_tokens": row.prompt_tokens if usage is None else usage.prompt,
        **_counts(usage),
        "started": datetime.fromtimestamp(outcome.started, UTC).isoformat(timespec="milliseconds"),
    }
    return {name: told.get(name) for name in columns}


_OF_ROW = ("run", "repeat", "seed", "key", "prompt_sha256", "ids_sha256", "reused")
_OF_OUTCOME = (
    "reason", "output", "finish", "stopped_by", "seconds", "first", "attempts", "written_as", "model", "model_sha256", "engine",
    "reproducible", "receipt_id",
)  # fmt: skip


def _counts(usage: Usage | None) -> dict[str, int | None]:
    if usage is None:
        return {}
    return {"cached_tokens": usage.cached, "evaluated_tokens": usage.evaluated, "output_tokens": usage.output}


def _write_csv(rows: Sequence[Row], file: BinaryIO) -> None:
    with _text(file) as text:
        writer = csv.DictWriter(text, columns_of(rows))
        writer.writeheader()
        for record in records(rows):
            writer.writerow({name: _cell_text(value) for name, value in record.items()})


def _cell_text(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


def _write_jsonl(rows: Sequence[Row], file: BinaryIO) -> None:
    with _text(file) as text:
        for record in records(rows):
            text.write(json.dumps(record, ensure_ascii=False) + "\n")


@contextmanager
def _text(file: BinaryIO) -> Iterator[io.TextIOWrapper]:
    """UTF-8; a lone surrogate, as a broken server may send, is written as an escape, which JSON reads as what it was."""
    text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="", write_through=True)
    try:
        yield text
    finally:
        text.detach()


def _write_parquet(rows: Sequence[Row], file: BinaryIO) -> None:
    frame_of(rows).write_parquet(file)


def _utf8(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


_WRITERS = {"csv": _write_csv, "jsonl": _write_jsonl, "parquet": _write_parquet}
