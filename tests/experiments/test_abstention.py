"""Who abstains: precision and recall on labelled outputs, the rules one by one, and that no output takes long."""

import re
import time
from pathlib import Path

import pytest

from puna.cli.scenarios import NO_ANSWER
from puna.experiments.abstention import abstains
from tests.experiments.abstentions import ABSTAIN, ANSWER, UNSEEN_ABSTAIN, UNSEEN_ANSWER


def rates(judge, abstaining, answering):
    """Precision and recall."""
    right, wrong = sum(map(judge, abstaining)), sum(map(judge, answering))
    return right / (right + wrong), right / len(abstaining)


def by_phrases(text):
    return any(phrase in text.lower().replace("\u2019", "'") for phrase in NO_ANSWER)


def test_precision_and_recall():
    assert len(ABSTAIN) + len(ANSWER) + len(UNSEEN_ABSTAIN) + len(UNSEEN_ANSWER) == 420
    assert [text for text in ABSTAIN if not abstains(text)] == []
    assert [text for text in ANSWER if abstains(text)] == []
    precision, recall = rates(abstains, UNSEEN_ABSTAIN, UNSEEN_ANSWER)
    assert precision == 1
    assert recall >= 26 / 30


def test_the_rules_beat_a_list_of_phrases():
    for sets in ((ABSTAIN, ANSWER), (UNSEEN_ABSTAIN, UNSEEN_ANSWER)):
        ours, theirs = rates(abstains, *sets), rates(by_phrases, *sets)
        assert ours[0] > theirs[0]
        assert ours[1] > theirs[1]


@pytest.mark.parametrize(
    ("text", "abstaining"),
    [
        # quotations are somebody else's, unless they are all there is
        ('"I don\'t know," said the llama.', False),
        ("\u201cI don\u2019t know.\u201d", True),
        # what is denied must be what an answer takes
        ("I do not know fear.", False),
        ("I do not know the way to answer this.", True),
        ("It is not possible to breathe on Mars.", False),
        ("It is not possible to say that from the text.", True),
        # in the past it is told, not said
        ("I did not know the answer then.", False),
        # a turn to a statement takes it back, a turn to an offer does not
        ("I don't know the day, but it was in March.", False),
        ("I don't know the day. However, it was in March.", False),
        ("I don't know the day, but I can look it up.", True),
        ("I don't know the day. However, you can look it up.", True),
        ("I'm sorry, but I don't know the day.", True),
        # in the first two sentences or the last one
        ("The wind blew. It was cold. I can't tell you why. The llama went on. It sang.", False),
        ("The wind blew. It was cold. The llama went on. It sang. The text does not say why.", True),
        # marks of a list or a heading
        ("**Answer:** I don't know.", True),
        ("A: Unknown", True),
        ("", False),
        (" \n...", False),
    ],
)
def test_the_rules(text, abstaining):
    assert abstains(text) is abstaining


@pytest.mark.parametrize(
    "part",
    [
        "i ",
        "not ",
        "the text ",
        '"',
        "neither ",
        "no information ",
        "a",
        "\n",
        "i am and can not ",
        "there is no ",
        "what ",
        "'s ",
    ],
)
def test_no_output_takes_long(part):
    began = time.process_time()
    abstains(part * (20_000 // len(part)))
    assert time.process_time() - began < 1


def test_the_page_tells_the_rules_as_they_are():
    page = (Path(__file__).parents[2] / "docs" / "scores.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| (yes|no) \| [^|]+ \|$", page, re.MULTILINE)
    assert len(rows) == 6
    assert [(text, "yes" if abstains(text) else "no") for text, _ in rows] == rows
    told = re.findall(
        r"^\| [a-z ]+ \| (\d+) of (\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", page, re.MULTILINE
    )
    sets = ((ABSTAIN, ANSWER), (UNSEEN_ABSTAIN, UNSEEN_ANSWER))
    found = [
        (str(len(a)), str(len(a) + len(b)), *map("{:.2f}".format, rates(abstains, a, b) + rates(by_phrases, a, b)))
        for a, b in sets
    ]
    assert told == found
