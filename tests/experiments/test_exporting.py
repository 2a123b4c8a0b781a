"""A run as flat records and as files that other programs read."""

import csv
import io
import json
import os
import threading
from dataclasses import replace

import polars as pl
import pytest

from puna.errors import InputError
from puna.experiments.exporting import COLUMNS, columns_of, export, export_to, format_of, records
from tests.experiments import made
from tests.experiments.rows_of import cell_of, failed_row, row_of

AWKWARD = 'He said: "a,b;\tc"\r\nand\n\n=1+1 \0 🦙'


@pytest.fixture
def rows():
    plan = made.plan_of(temperatures=(0.0, 1.0), top_ps=(1.0,), repeats=2)
    return [replace(row, outcome=replace(row.outcome, output=AWKWARD)) for row in made.rows_of(plan, failing={(1, 1)})]


def test_a_record_tells_every_parameter_that_was_in_effect(rows):
    record = records(rows)[0]
    sampling = rows[0].outcome.sampling
    assert {name: record[name] for name in ("temperature", "top_p", "top_k", "max_tokens", "stop", "seed")} == {
        "temperature": 0.0, "top_p": 1.0, "top_k": sampling.top_k, "max_tokens": 40, "stop": [], "seed": 1,
    }  # fmt: skip
    assert record["given"] == ["max_tokens", "temperature", "top_p"]
    assert record["value.animal"] == "llama"
    assert record["started"] == "2026-11-28T17:46:40.000+00:00"
    assert (record["prompt_tokens"], record["evaluated_tokens"]) == (rows[0].prompt_tokens, rows[0].prompt_tokens)


def test_a_failure_is_a_record_like_any_other(rows):
    failed = next(record for record in records(rows) if record["state"] == "failed")
    assert list(failed) == list(records(rows)[0])
    assert (failed["failure"], failed["reason"], failed["output_tokens"]) == ("timeout", "no answer within 300 s", None)


def test_columns_are_the_same_for_any_experiment():
    one = row_of(cell=cell_of(values={"b": "1", "a": "2"}))
    other = failed_row(cell=cell_of(index=1, values={"c": "3"}))
    names = [*COLUMNS, "value.a", "value.b", "value.c"]
    assert [list(record) for record in records([one, other])] == [names, names]
    assert records([other])[0].get("value.a") is None
    assert list(columns_of([])) == list(COLUMNS)


def test_csv_reads_back(rows, tmp_path):
    path = tmp_path / "rows.csv"
    export(rows, path)
    with path.open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert [line["output"] for line in read] == [AWKWARD] * len(rows)
    assert list(read[0]) == list(columns_of(rows))
    assert (read[0]["reproducible"], read[0]["stop"], read[0]["temperature"], read[0]["reused"]) == (
        "true",
        "[]",
        "0.0",
        "",
    )


def test_json_lines_read_back(rows, tmp_path):
    path = tmp_path / "rows.jsonl"
    export(rows, path)
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]] == records(rows)


def test_parquet_reads_back_with_types(rows, tmp_path):
    path = tmp_path / "rows.parquet"
    export(rows, path)
    frame = pl.read_parquet(path)
    assert frame.to_dicts() == records(rows)
    types = {name: frame.schema[name] for name in ("reused", "output_tokens", "stop")}
    assert types == {"reused": pl.String(), "output_tokens": pl.Int64(), "stop": pl.List(pl.String())}


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_no_rows_are_a_file_with_no_rows(format, tmp_path):
    path = tmp_path / f"rows.{format}"
    export([], path)
    assert path.exists()
    if format == "parquet":
        assert pl.read_parquet(path).columns == list(COLUMNS)


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_a_text_that_is_no_unicode_is_told_as_an_escape(format):
    file = io.BytesIO()
    export_to([row_of("a\ud800b")], file, format)
    if format == "jsonl":
        assert json.loads(file.getvalue())["output"] == "a\ud800b"
    elif format == "csv":
        assert b"a\\ud800b" in file.getvalue()
    else:
        file.seek(0)
        assert pl.read_parquet(file)["output"].to_list() == ["a\\ud800b"]


def test_the_format_is_what_the_name_ends_in():
    assert [format_of(name) for name in ("a.csv", "b.x.JSONL", "c.parquet")] == ["csv", "jsonl", "parquet"]
    assert format_of("a.txt", "csv") == "csv"
    with pytest.raises(InputError, match=r"a.xlsx must end in .csv, .jsonl or .parquet, or a format be given"):
        format_of("a.xlsx")
    with pytest.raises(InputError, match="unknown format 'json'. Did you mean 'jsonl'"):
        format_of("a.csv", "json")


# Whole or not at all


def test_a_file_is_replaced_as_a_whole_or_stays_as_it_was(rows, tmp_path, monkeypatch):
    path = tmp_path / "rows.csv"
    path.write_text("precious")
    broken = [rows[0], replace(rows[0], outcome=replace(rows[0].outcome, started=1e30))]
    with pytest.raises((OverflowError, ValueError)):
        export(broken, path)
    assert path.read_text() == "precious"
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        InputError, match=r"cannot write .*rows.csv: No space left on device; nothing there has changed"
    ):
        export(rows, path)
    assert path.read_text() == "precious"
    assert [each.name for each in tmp_path.iterdir()] == ["rows.csv"], "no unfinished file is left"


def full(_):
    raise OSError(28, "No space left on device")


def test_a_file_that_cannot_be_written_is_told(rows, tmp_path):
    with pytest.raises(InputError, match=r"cannot write .*nowhere.rows.csv: No such file or directory"):
        export(rows, tmp_path / "nowhere" / "rows.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*folder.csv: Is a directory"):
        export(rows, tmp_path / "folder.csv")


def test_a_link_stays_a_link(rows, tmp_path):
    path, link = tmp_path / "real.csv", tmp_path / "link.csv"
    path.touch()
    link.symlink_to(path)
    export(rows, link)
    assert link.is_symlink()
    assert path.stat().st_size > 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_written_to_and_not_replaced(rows, tmp_path):
    path, read = tmp_path / "pipe.csv", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    export(rows, path)
    reader.join()
    assert path.is_fifo()
    assert read[0].startswith(b"run,target,")
