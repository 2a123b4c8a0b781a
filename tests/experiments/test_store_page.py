"""docs/store.md says what the store does."""

import re
import sqlite3
from pathlib import Path

import pytest

from puna.errors import PunaError
from puna.experiments.exporting import COLUMNS
from puna.experiments.store import Store
from tests.experiments import made

PAGE = (Path(__file__).parents[2] / "docs" / "store.md").read_text(encoding="utf-8")


def test_every_column_of_a_record_stands_in_the_page():
    table = PAGE.split("| columns | what |")[1].split("\n\n")[0]
    told = [
        name
        for line in table.splitlines()
        for name in re.findall(r"`([a-z0-9_]+)`", line.partition("|")[2].partition("|")[0])
    ]
    assert sorted(told) == sorted(COLUMNS)


def sentence(of):
    (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| {of} |"))
    return line.split("|")[2].strip().strip("`")


@pytest.mark.parametrize("of", ["the store is of a newer puna", "another process writes the same run"])
def test_the_errors_are_the_documented_ones(tmp_path, monkeypatch, of):
    monkeypatch.chdir(tmp_path)
    with Store.open("runs.db") as store:
        run = store.begin(made.plan_of(repeats=1))
        if "newer" in of:
            with sqlite3.connect("runs.db") as connection:
                connection.execute("PRAGMA user_version = 7")
            connection.close()
            with pytest.raises(PunaError) as raised:
                Store.open("runs.db")
        else:
            with pytest.raises(PunaError) as raised, store.claim(run), store.claim(run):
                pass
    told = re.sub(r"process \d+ on \S+", "process 4711 on host", str(raised.value).replace("`", "'"))
    assert told.replace(run, "20261128-175012-a3f9") == sentence(of)
