import json
import re
import subprocess
import sys

import pytest

from puna.formats.jinja import MAX_SENTENCE

pytest.importorskip("resource", reason="fences are Unix's")

from tests.formats.bombs import SIZE, WORK

WORDS = "too much|more than|Range too big|at most|beyond|plain|short text|no text|key must|unhashable|name of|x{99}|no attribute"


@pytest.fixture(scope="module")
def refusals() -> dict[str, str]:
    """What each hostile template is refused with, by a process with little time and memory."""
    command = [sys.executable, "-m", "tests.formats.bombs"]
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(zip((*WORK, *SIZE), map(json.loads, ran.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("template", WORK, ids=lambda text: text[-60:])
def test_a_template_that_does_too_much_is_refused_in_bounded_time_and_memory(
    template: str, refusals: dict[str, str]
) -> None:
    start, _, words = refusals[template].partition(": ")
    assert start == "the model's chat template refuses this dialog"
    assert re.search(WORDS, words)
    assert len(words) < MAX_SENTENCE + 20


@pytest.mark.parametrize("template", SIZE, ids=lambda text: text[:30])
def test_a_template_that_is_too_large_is_refused_before_it_runs(template: str, refusals: dict[str, str]) -> None:
    start, _, words = refusals[template].partition(": ")
    assert start.startswith("a chat template must be ")
    assert re.search("more than|at most|beyond|recursion|limit", words)
