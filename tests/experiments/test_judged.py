"""An answer is judged by the words that it must have, and keeps what was found of it."""

import json

import pytest

from puna.experiments.answerable import Signals
from puna.experiments.judged import Judged, is_right, judged, pieces_of
from puna.experiments.questions import documents, questions
from puna.retrieval.index import Documents
from tests.experiments.test_likelihood import on_spine


@pytest.mark.parametrize(
    ("answer", "accepted", "right"),
    [
        ("The crossing takes 25 minutes.", ["25 minutes"], True),
        ("It takes twenty-five minutes.", ["25 minutes"], False),
        ("THE TOWER is 31 meters high [1]", ["31 metres"], True),
        ("It holds 1.7 liters.", ["1.7 litres"], True),
        ("After five years.", ["5 years"], True),
        ("After 5 years.", ["five years", "never"], True),
        ("It was a red flag that rose", ["the red flag"], True),
        ("A blue flag, not red.", ["red flag"], False),
        ("In 1931.", ["193"], False),
        ("I don't know. It may be 25 minutes.", ["25 minutes"], False),
        ("25 minutes", [], False),
        ("", ["25 minutes"], False),
        ("The answer is.", ["the"], False),
    ],
)
def test_right_is_to_have_an_accepted_answer_word_for_word(answer, accepted, right):
    assert is_right(answer, accepted) is right


def test_every_accepted_answer_is_right_by_itself():
    for asked in questions():
        for answer in asked.answers:
            assert is_right(answer, asked.answers), (asked.id, answer)


def test_a_judged_answer_is_kept_as_json():
    signals = Signals(-0.5, -2.0, None, 1.0, -5.0, 0.5, 0.25)
    one = Judged("d001-q1", "d001", True, "It does.", False, True, 0.5, ("d001", "d003"), 2.5, signals)
    assert Judged.of_json(json.loads(json.dumps(one.as_json()))) == one
    empty = Judged("d001-q1", "d001", True, "", False, False, 0.0, (), 0.0, None)
    assert Judged.of_json(json.loads(json.dumps(empty.as_json()))) == empty
    assert (one.answers, empty.answers) == (True, False)


def test_a_passage_stands_under_its_title_and_tells_its_document():
    pieces = pieces_of(documents()[:3])
    assert [(piece.source, piece.heading) for piece in pieces] == [(one.id, (one.title,)) for one in documents()[:3]]


@pytest.mark.model
def test_a_question_is_asked_answered_and_judged(model_home):
    asked = next(one for one in questions() if one.id == "d001-q1")
    shown = Documents.of(pieces_of(documents()[:1]))
    found = on_spine(lambda spine: judged(spine, asked, shown, n=1, max_tokens=8))
    assert (found.id, found.document, found.answerable, found.found) == ("d001-q1", "d001", True, ("d001",))
    assert found.right == ("25 minutes" in found.answer)
    assert found.bm25 > 0
    assert found.signals.contrast > 0
