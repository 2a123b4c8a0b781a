"""docs/experiment-file.md is so: its examples run and its tables are those of the code."""

import re
import tomllib
from pathlib import Path

from puna.experiments import declared
from puna.experiments.builtin import BUILTINS
from puna.experiments.experiment import Experiment
from puna.experiments.plan import AUTO
from puna.experiments.targeting import SETTINGS

PAGE = (Path(__file__).parents[2] / "docs" / "experiment-file.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def rows(head):
    (table,) = re.findall(rf"^\| {re.escape(head)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]


def test_the_first_example_makes_what_is_said():
    plan = Experiment.of(tomllib.loads(blocks("toml")[0])).plan()
    assert len(plan.cells) == 36
    assert len(plan.seeds) == 8
    assert "2 cases x 2 system prompts x 9 variants = 36 cells, and 36 x 8 answers" in PAGE


def test_variants_are_called_as_said():
    plan = Experiment.of({"prompts": "Hi", **tomllib.loads(blocks("toml")[1])}).plan()
    assert [cell.variant for cell in plan.cells] == [
        *(f"temperature={t} top_p={p}" for t in ("0.1", "1") for p in ("0.5", "0.9", "1")),
        "no nucleus, few tokens",
    ]


def test_the_python_example_runs(tmp_path, monkeypatch, capsys):
    (tmp_path / "story.toml").write_text(blocks("toml")[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec(blocks("python")[0], {})  # noqa: S102  # it is what a reader would do
    assert capsys.readouterr().out == "6\n"


def test_the_keys_and_their_defaults_are_those_of_the_code():
    told = {key.strip("`"): default.strip("`") for key, _, default in rows("key | value")}
    assert tuple(told) == declared.KEYS
    defaults = {
        "repeats": declared.REPEATS,
        "seed": declared.SEED,
        "seconds": declared.SECONDS,
        "retries": declared.RETRIES,
    }
    assert {key: told[key] for key in defaults} == {key: f"{value:g}" for key, value in defaults.items()}
    assert told["formats"] == f'["{AUTO}"]'


def test_the_settings_of_targets_and_the_built_in_experiments_are_listed():
    first = rows("keys | target")[0][0]
    assert tuple(re.findall(r"`(\w+)`", first)) == SETTINGS
    assert {name.strip("`"): meaning for name, meaning in rows("`puna sweep --builtin` | what it measures")} == dict(
        BUILTINS
    )
