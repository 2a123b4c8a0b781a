"""Tokens and text: whatever a vocabulary does, the parts join to the text."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from puna.playground.spelling import pieces

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@st.composite
def cut_anywhere(draw):
    """A text and its bytes cut anywhere, as a vocabulary of bytes may."""
    data = draw(texts).encode()
    cuts = sorted(draw(st.sets(st.integers(1, max(len(data) - 1, 1)), max_size=8))) if data else []
    edges = [0, *[cut for cut in cuts if cut < len(data)], len(data)]
    return data.decode(), [data[a:b] for a, b in pairwise(edges) if a < b]


@given(cut_anywhere())
def test_tokens_of_bytes_join_and_a_character_stands_with_its_last(cut):
    text, spelled = cut
    found = pieces(text, range(len(spelled)), spelled)
    assert "".join(piece.text for piece in found) == text
    assert b"".join(piece.own for piece in found) == text.encode()
    for piece in found:
        assert (len(piece.as_json()) == 2) == (piece.text.encode() == piece.own)


@given(texts, st.lists(st.binary(max_size=5), min_size=1, max_size=10))
def test_tokens_that_spell_something_else_still_join(text, spelled):
    found = pieces(text, range(len(spelled)), spelled)
    assert "".join(piece.text for piece in found) == text


def test_the_space_before_the_first_word_is_in_no_text():
    assert [piece.as_json() for piece in pieces("Hi you", [5, 6], [b" Hi", b" you"])] == [[5, "Hi"], [6, " you"]]


def test_an_emoji_of_four_tokens_is_drawn_once_and_whole():
    found = pieces("a🦙b", [1, 2, 3, 4, 5, 6], [b"a", b"\xf0", b"\x9f", b"\xa6", b"\x99", b"b"])
    assert [piece.as_json() for piece in found] == [
        [1, "a"], [2, "", "f0"], [3, "", "9f"], [4, "", "a6"], [5, "🦙", "99"], [6, "b"],
    ]  # fmt: skip
