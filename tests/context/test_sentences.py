"""Where sentences end; every row is a text whose sentences are written one to an entry."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.context.sentences import sentences


@pytest.mark.parametrize(
    "expected",
    [
        ["Llamas hum.", "They spit!", "Do they bite?", "No\u2026", "Never."],
        ["Dr. Smith met J. K. Rowling, e.g. in Cusco."],
        ["See Fig. 3 and No. 7.", "No.", "It was not there."],
        ["It weighs 1.5 kg.", "That is 3,000.5 g."],
        ['He said "It hums."', "Then he left."],
        ["It hums (a lot).", "[It spits.]", "End"],
        ["wait... what?", "Yes."],
        ["\u7f8a\u9a7c\u4f4f\u5728\u5b89\u7b2c\u65af\u5c71\u3002", "\u5b83\u4eec\u54fc\u54fc\u53eb\uff01"],
        ["**They hum.**", "_They spit._", "Then more."],
        ["1. Open the gate."],
    ],
)
def test_a_text_is_cut_into_its_sentences(expected):
    between = "" if expected[0][-1] == "\u3002" else " "
    text = between.join(expected)
    assert [text[start:end] for start, end in sentences(text)] == expected


def test_blank_lines_and_list_items_part_sentences_and_a_line_break_does_not():
    text = "Llamas\nhum\n\nAlpacas\r\n\r\nToo:\n- one\n- two\n2) three"
    assert [text[start:end] for start, end in sentences(text)] == [
        "Llamas\nhum",
        "Alpacas",
        "Too:",
        "- one",
        "- two",
        "2) three",
    ]


@given(
    st.text(st.one_of(st.characters(), st.sampled_from("aB.!? \n\r-1)")), max_size=80),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_sentences_have_all_that_is_not_white_space_once(text, start, length):
    end = min(start + length, len(text))
    found = list(sentences(text, start, end))
    assert "".join(re.sub(r"\s", "", text[low:high]) for low, high in found) == re.sub(r"\s", "", text[start:end])
    flat = [place for both in found for place in both]
    assert flat == sorted(flat)
    assert all(text[low:high] == text[low:high].strip() for low, high in found)
