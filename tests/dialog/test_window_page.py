"""docs/window.md is run: its examples, figures and messages are those of the code."""

import contextlib
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from puna.dialog.budget import Budget
from puna.dialog.prune import POLICIES, fit
from puna.dialog.watermark import low_mark
from puna.errors import InputError
from tests.dialog.conversations import Words, chat, life

PAGE = (Path(__file__).parents[2] / "docs" / "window.md").read_text(encoding="utf-8")
CHAT = [(40, 24)] * 200
LIMIT = 930


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def rows(first: str) -> list[list[str]]:
    """The cells of the one table whose first column has this name."""
    tables = re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE)
    (table,) = (table.splitlines() for table in tables if table.startswith(f"| {first} |"))
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table[2:]]


def test_the_bar_is_that_of_the_parts_in_the_table():
    parts = {part: int(tokens) for _, part, tokens, _ in rows("letter")}
    free = parts.pop("free")
    budget = Budget(context=4096, **parts)
    assert budget.free == free
    assert block("text").strip() == budget.bar(64)
    letters = {letter.strip("`"): part for letter, part, *_ in rows("letter")}
    for letter, part in letters.items():
        alone = Budget(
            2, 1, **{name: int(name == part) for name in ("system", "pinned", "history", "turn", "overhead")}
        )
        assert letter in alone.bar(2)


def test_the_python_example_prints_what_the_page_says():
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(block("python"), {})  # noqa: S102  # it is what a reader would do
    assert eval(printed.getvalue(), {}) == json.loads(block("json"))  # noqa: S307  # what it printed
    assert list(eval(printed.getvalue(), {})) == list(json.loads(block("json")))  # noqa: S307


def test_the_policies_are_those_of_the_code_with_their_figures():
    assert tuple(row[0].strip("`") for row in rows("policy")) == POLICIES
    for policy, _, evaluated, seen in rows("policy"):
        if policy != "`none`":
            total, in_view, _ = life(CHAT, policy.strip("`"), limit=LIMIT)
            assert (int(evaluated), float(seen)) == (round(total / len(CHAT)), round(in_view, 1))


@pytest.mark.parametrize("row", rows("low mark"), ids=lambda row: row[0])
def test_the_figures_of_a_low_mark(row):
    name, evaluated, seen, cuts = row
    policy = "oldest" if "oldest" in name else "watermark"
    share = float(name) if name.startswith("0") else None
    total, in_view, moved = life(CHAT, policy, limit=LIMIT, low_mark=share)
    assert (round(total / len(CHAT)), round(in_view, 1), moved) == (int(evaluated), float(seen), int(cuts))
    if name.startswith("computed"):
        assert name == f"computed ({low_mark(LIMIT - 3, 64):.2f})"


def test_the_example_of_the_formula():
    share = low_mark(3500, 140)
    assert share == 1 - math.sqrt(2 * 140 / 3500)
    turns = (1 - share) * 3500 / 140
    assert f"low mark is {share:.2f}: a full window is cut down to {round(share * 3500, -1):.0f} tokens" in PAGE
    assert f"{turns:.0f} turns go" in PAGE
    assert f"the next cut comes {turns:.0f} turns later" in PAGE


def refusal(**more: Any) -> str:
    sizes = [(10, 10), (80, 10), (10, 0)]
    asked: dict[str, Any] = {"dialog": chat(sizes), "counter": Words(), "context": 130, "reserve": 10, **more}
    with pytest.raises(InputError) as caught:
        fit(**asked)
    return str(caught.value)


SITUATIONS: dict[str, dict[str, Any]] = {
    "the last turn is too long": {
        "dialog": chat([(10, 10)] * 3 + [(100, 0)], system=20), "context": 120, "pinned": [1],
    },
    "policy `none` and a long history": {"policy": "none"},
    "no room for a prompt": {"context": 512, "reserve": 512},
    "a pin that is no message": {"dialog": chat([(10, 10)] * 3 + [(10, 0)]), "pinned": [7]},
    "a low mark that is no share": {"low_mark": 63},
    "a low mark for another policy": {"low_mark": 0.5, "policy": "oldest"},
    "an unknown policy": {"policy": "oldst"},
}  # fmt: skip


def test_every_message_is_the_one_that_comes():
    assert {situation: message.strip("`") for situation, message in rows("situation")} == {
        situation: refusal(**asked) for situation, asked in SITUATIONS.items()
    }


def test_the_page_names_no_option_that_is_not_agreed():
    agreed = {"--format", "--context", "--reserve", "--policy", "--tokenizer", "--json", "--pin", "--low-mark"}
    assert set(re.findall(r"--[a-z-]+", PAGE.replace("|---", ""))) <= agreed
