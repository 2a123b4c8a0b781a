"""What a text is found by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.retrieval.words import asked, words


@pytest.mark.parametrize(
    ("written", "looked_for"),
    [
        ("Set `--max-tokens 200`.", "--max-tokens"),
        ("Set `--max-tokens 200`.", "max_tokens"),
        ("max_tokens: the longest answer", "--max-tokens"),
        ("a nucleus, top_p", "top-p"),
        ("puna.Chat talks", "puna.Chat"),
        ("the class AsyncChat", "async chat"),
        ("an HTTPServer", "http server"),
        ("PUNA_HOME is a folder", "puna_home"),
        ("Python 3.11 or newer", "3.11"),
        ("R\u00e9sum\u00e9s are read", "resume"),
        ("STRASSE", "stra\u00dfe"),
        ("the model\u2019s window", "model"),
        ("two queries", "query"),
        ("boxes of matches", "match box"),
        ("Re\u0301sume\u0301s are read", "resume"),  # as file systems of macOS write it
        ("Donau\u00addampf", "Donaudampf"),
        ("\uff21\uff22\uff23\uff11", "abc1"),
        ("C++ is older", "c++"),
        ("C# is younger", "C#"),
        ("\u5317\u6975\u306b\u72ac\u304c\u3044\u308b", "\u72ac"),  # a Chinese sign between Japanese ones
        ("\u7eff\u8336\u5f88\u597d", "\u8336"),
        ("\u1105\u1161\u1106\u1161", "\ub77c\ub9c8"),  # Korean, composed and not
        ("\u304b\u3099\u3089\u3059", "\u304c\u3089\u3059"),
        ("\u0e09\u0e31\u0e19\u0e1e\u0e39\u0e14\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22", "\u0e20\u0e32\u0e29\u0e32"),
        ("\u0627\u0644\u0644\u064e\u0651\u0627\u0645\u064e\u0627", "\u0627\u0644\u0644\u0627\u0645\u0627"),
        ("\u6771\u4eac\u90fd\u306b\u4f4f\u3080", "\u6771\u4eac"),
        ("\u1f48\u03b4\u03c5\u03c3\u03c3\u03b5\u03cd\u03c2", "\u03bf\u03b4\u03c5\u03c3\u03c3\u03b5\u03c5\u03c3"),
    ],
)
def test_a_text_is_found_by_what_a_person_would_type(written, looked_for):
    assert set(asked(looked_for)) <= set(words(written))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("glass", "glas"),
        ("status", "statu"),
        ("URLs", "ur ls"),
        ("need", "ne"),
        ("is", "i"),
        ("C++", "C#"),
        ("C++", "C"),
        ("\u30ac\u30e9\u30b9", "\u30ab\u30e9\u30b9"),
        ("\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u0928\u0926"),
    ],
)
def test_words_that_only_look_alike_are_kept_apart(one, other):
    assert set(words(one)) != set(words(other))


def test_a_name_weighs_more_than_its_parts():
    assert words("top_p") == ["top_p", "top", "p"]


def test_chinese_signs_that_stand_together_are_asked_for_together():
    assert asked("\u7eff\u8336") == ["\u7eff\u8336"]
    assert words("\u7eff\u8336") == ["\u7eff\u8336", "\u7eff", "\u8336"]


def test_a_question_is_asked_by_its_own_words():
    assert asked("How do I lint a prompt?") == ["lint", "prompt"]


def test_a_question_of_common_words_keeps_them():
    assert asked("To be or not to be?") == ["to", "be", "or", "not", "to", "be"]
    assert asked("Who are you?") == ["who", "are", "you"]


def test_a_text_without_a_word_has_none():
    assert words(" \n-- ... <|> !? ") == []


@given(st.text())
def test_any_text_has_words_that_can_be_kept(text):
    for word in words(text):
        assert word
        word.encode("utf-8", "surrogatepass")
    assert set(asked(text)) <= set(words(text))
