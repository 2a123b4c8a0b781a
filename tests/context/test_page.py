"""docs/in-context.md: its examples print what they say, and its tables have every name."""

import re
from pathlib import Path

from puna.context.packing import Why
from puna.context.support import Verdict
from tests.howto.pages import Reader

PAGE = (Path(__file__).parents[2] / "docs" / "in-context.md").read_text(encoding="utf-8")


def test_a_reader_sees_what_the_page_says(tmp_path):
    Reader(tmp_path).follow(PAGE)


def test_every_reason_and_verdict_has_its_line():
    first = set(re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE))
    assert {str(name) for name in (*Why, *Verdict)} <= first
