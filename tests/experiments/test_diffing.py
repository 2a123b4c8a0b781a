from hypothesis import given
from hypothesis import strategies as st

from puna.experiments.diffing import around, changes, parting, parting_token
from puna.generation import Logprob


def test_where_two_texts_part():
    assert parting("the llama", "the lamb") == 5
    assert parting("the", "the llama") == 3
    assert parting("", "a") == 0
    assert parting("same", "same") is None


def test_tokens_are_compared_by_their_bytes():
    one = (Logprob(1, b"a", -1.0), Logprob(2, b"b", -1.0))
    other = (Logprob(9, b"a", -2.0), Logprob(2, b"c", -1.0))
    assert parting_token(one, other) == 1
    assert parting_token(one, one) is None
    assert parting_token(None, one) is None, "a side that recorded none cannot be compared"


TEXTS = st.text(alphabet="ab \n.é🦙", max_size=30)


@given(TEXTS, TEXTS)
def test_changes_hold_both_texts(a, b):
    pieces = changes(a, b)
    assert "".join(piece.text for piece in pieces if piece.kind != "new") == a
    assert "".join(piece.text for piece in pieces if piece.kind != "gone") == b


def test_changes_are_of_whole_words():
    assert [(p.kind, p.text) for p in changes("a small llama", "a smart llama")] == [
        ("same", "a "), ("gone", "small"), ("new", "smart"), ("same", " llama"),
    ]  # fmt: skip


def test_a_stretch_says_where_it_is_cut():
    assert around("abcdef", 3, 2, 2) == "...bcde..."
    assert around("a\nb", 1) == "a⏎b"
