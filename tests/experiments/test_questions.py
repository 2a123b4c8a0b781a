"""The shipped questions are what docs/questions.md says: enough, balanced, answered by their documents, and split by document."""

from collections import Counter

import pytest

from puna.context.words import content_words
from puna.errors import InputError
from puna.experiments.judged import is_right
from puna.experiments.questions import HALVES, documents, questions


def test_there_are_enough_of_both_kinds_in_both_halves():
    for half in HALVES:
        kinds = Counter(asked.answerable for asked in questions(half))
        assert kinds[True] >= 50
        assert kinds[True] == kinds[False]
    assert len(questions()) == sum(len(questions(half)) for half in HALVES) >= 200


def test_the_halves_share_no_document():
    fit, held_out = ({asked.document.id for asked in questions(half)} for half in HALVES)
    assert not fit & held_out
    assert len(fit) == len(held_out)


def test_each_document_is_asked_both_kinds_equally():
    for document in documents():
        own = [asked for asked in questions() if asked.document is document]
        assert sum(asked.answerable for asked in own) * 2 == len(own) == 8, document.id


def test_ids_titles_and_questions_are_unique():
    asked, texts = questions(), documents()
    assert len({a.id for a in asked}) == len({a.text.casefold() + a.document.id for a in asked}) == len(asked)
    assert len({d.id for d in texts}) == len({d.title for d in texts}) == len(texts)
    assert all(a.id.startswith(f"{a.document.id}-") for a in asked)


@pytest.mark.parametrize("document", documents(), ids=lambda document: document.id)
def test_what_can_be_answered_stands_in_the_document(document):
    for asked in questions():
        if asked.document is document and asked.answerable:
            assert any(answer.casefold() in document.text.casefold() for answer in asked.answers), asked
            assert all(len(answer.split()) <= 12 for answer in asked.answers), asked


def test_each_accepted_answer_is_right_by_the_score_that_judges():
    for asked in questions():
        for answer in asked.answers:
            assert is_right(f"It is {answer} [1].", [answer]), (asked.id, answer)


def test_the_document_is_right_by_the_same_score_and_the_question_is_not():
    for asked in questions():
        assert is_right(asked.document.text, asked.answers) is asked.answerable, asked.id
        assert not is_right(asked.text, asked.answers), asked.id


def test_a_question_that_cannot_be_answered_is_no_answerable_one_in_other_words():
    words = {asked: {word.text for word in content_words(asked.text)} for asked in questions()}
    for document in documents():
        own = [asked for asked in questions() if asked.document is document]
        for one in (asked for asked in own if not asked.answerable):
            assert not any(words[one] <= words[other] for other in own if other.answerable), one.id


def test_documents_fit_a_small_window():
    assert all(80 <= len(document.text.split()) <= 180 for document in documents())


def test_another_half_is_refused():
    with pytest.raises(InputError, match="half of the questions 'test'"):
        questions("test")
