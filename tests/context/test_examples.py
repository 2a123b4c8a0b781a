"""Which examples are shown: the first, the nearest, or as many of each label."""

import sys

import pytest

from puna.context.examples import By, choose
from puna.context.grounding import Example
from puna.errors import InputError

EXAMPLES = (
    Example("Is this review kind? I loved every page.", "yes"),
    Example("Is this review kind? A waste of paper.", "no"),
    Example("Is this review kind? The best llama book.", "yes"),
    Example("Is this review kind? Alpacas deserve better.", "no"),
    Example("Is this review kind? Three stars.", "so-so"),
)


def test_first_keeps_the_order():
    assert choose(EXAMPLES, "Kind?", 2) == EXAMPLES[:2]
    assert choose(EXAMPLES, "Kind?", 9) == EXAMPLES
    assert choose(EXAMPLES, "Kind?", 0) == ()


def test_nearest_shares_rare_words_with_the_question():
    nearest = choose(EXAMPLES, "Is this review kind? A book about a llama.", 2, By.NEAREST)
    assert nearest[0] == EXAMPLES[2]
    assert choose(EXAMPLES, "Is this review kind? Alpaca!", 1, By.NEAREST) == (EXAMPLES[3],)
    assert choose(EXAMPLES, "\u4f60\u597d zebra", 5, By.NEAREST) == EXAMPLES  # nothing shared: in their order
    assert choose((), "x", 5, By.NEAREST) == ()


def test_balanced_takes_each_label_in_turn():
    assert [example.answer for example in choose(EXAMPLES, "?", 5, By.BALANCED)] == ["yes", "no", "so-so", "yes", "no"]
    knows = choose(EXAMPLES, "?", 4, By.BALANCED, label=lambda example: str("so" in example.answer))
    assert [example.answer for example in knows] == ["yes", "so-so", "no", "yes"]


def test_what_cannot_be_chosen_is_refused():
    with pytest.raises(InputError, match="number of examples must be 0 or more, not -1"):
        choose(EXAMPLES, "?", -1)
    with pytest.raises(InputError, match="Did you mean 'nearest'"):
        choose(EXAMPLES, "?", 1, "neerest")


def test_a_missing_package_is_told_with_the_line_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(InputError, match=r"pip install 'puna\[documents\]'"):
        choose(EXAMPLES, "?", 1, "nearest")
