"""``puna score`` as users meet it, on the embedded model."""

import json
import math

import pytest

from puna.cli import main

CAPITALS = """
name = "capitals"
[[prompts]]
name = "capital"
user = "What is the capital of {{country}}? Answer with one word."
[variables]
country = ["France", "Italy"]
[[continuations]]
text = "Paris"
group = "capital"
[[continuations]]
text = "Rome"
group = "capital"
[[continuations]]
name = "unknown"
text = "I don't\\u001b[31m know"
"""


@pytest.fixture
def capitals(tmp_path):
    file = tmp_path / "capitals.toml"
    file.write_text(CAPITALS)
    return str(file)


def test_without_continuations_there_is_nothing_to_score(tmp_path, capsys):
    file = tmp_path / "plain.toml"
    file.write_text('name = "plain"\n[[prompts]]\nuser = "Hi"\n')
    assert main(["score", str(file)]) == 2
    assert "has no continuations to score" in capsys.readouterr().err


def test_an_engine_that_cannot_score_says_so(capitals, capsys):
    assert main(["score", capitals, "--engine", "scripted"]) == 2
    assert "has no model to score" in capsys.readouterr().err


@pytest.mark.model
def test_the_likeliest_of_a_group_is_chosen_for_each_prompt(capitals, capsys):
    assert main(["score", capitals, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["case"], line["name"]) for line in lines if line["chosen"]] == [
        ("France", "Paris"),
        ("Italy", "Rome"),
    ]
    for line in lines:
        assert line["logprob"] == pytest.approx(sum(token["logprob"] for token in line["tokens"]))
        assert "".join(token["text"] for token in line["tokens"]) == line["text"]
    for case in ("France", "Italy"):
        group = [line for line in lines if line["case"] == case and line["group"]]
        whole = sum(math.exp(line["logprob"]) for line in group)
        assert [line["share"] for line in group] == pytest.approx([math.exp(line["logprob"]) / whole for line in group])
    assert {(line["share"], line["chosen"]) for line in lines if not line["group"]} == {(None, None)}


@pytest.mark.model
def test_the_table_marks_it_and_obeys_no_text(capitals, capsys):
    assert main(["score", capitals, "--by", "token"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert [line.split()[:2] for line in out.splitlines() if line.lstrip().startswith("*")] == [
        ["*", "Paris"],
        ["*", "Rome"],
    ]
