"""docs/abstention.md: its tables and the figures in its sentences are what benchmarks/abstention.py prints."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from puna.experiments.abstention import abstains
from tests.experiments.abstention_rows import of, rows_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "abstention.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    picture = tmp_path_factory.mktemp("picture") / "risk.png"
    script = ROOT / "benchmarks" / "abstention.py"
    done = subprocess.run(
        [sys.executable, script, "--judge", "--picture", picture], capture_output=True, text=True, check=True
    )
    assert picture.read_bytes().startswith(b"\x89PNG")
    return json.loads(done.stdout.splitlines()[-1])


def test_every_row_of_its_tables_is_what_is_printed(printed):
    lines = PAGE.splitlines()
    for name, rows in rows_of(printed).items():
        assert rows, name
        for row in rows:
            assert row in lines, name


def test_the_figures_in_its_sentences_are_those_of_its_tables(printed):
    told, text = printed, " ".join(PAGE.split())
    held_out, signals = told["held_out"], told["signals"]
    assert f"by {of(held_out['auroc'])} on held-out questions" in text
    assert f"by {of(signals['contrast']['answerable'])}" in text
    assert f"comes to {of(held_out['answerable']['auroc'])}" in text
    assert f"by {of(signals['BM25']['answerable'])} and right answers by {of(signals['BM25']['right'])}" in text
    surest = [round(100 * share) for share in held_out["risk"]["0.1"]]
    assert "The surest tenth is still wrong in {} % ({} to {})".format(*surest) in text
    assert f"Of all its answers {round(100 * held_out['aurc_chance'][0])} % are wrong" in text
    said, came, _ = held_out["reliability"][-1]
    assert f"where it says {said:.2f}, {came[0]:.2f} of the answers are right" in text
    half = told["thresholds"]["0.5"]
    assert f"gives {half['answered']} of {held_out['answers']} answers, {half['wrong']} of which are wrong" in text
    assert [one["threshold"] for name, one in told["thresholds"].items() if float(name) <= 0.3] == [None] * 3
    assert told["fit"]["signals"].keys() == {"logprob"}
    assert told["abstains_auroc"][0] == 0.5


def counted(pattern):
    (number,) = re.findall(pattern, PAGE)
    return int(number)


def test_what_it_says_of_single_answers():
    rows = [
        json.loads(line) for line in (ROOT / "benchmarks" / "abstention.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    fit = [row for row in rows if int(row["document"][1:]) % 2]
    assert sum(row["right"] for row in rows) == counted(r"of the (\d+)\s+judged right")
    assert sum(row["right"] for row in fit) == counted(r"few right answers \((\d+)\)")
    assert not any(abstains(row["answer"]) for row in rows)  # "it never says that it does not know, on either half"
