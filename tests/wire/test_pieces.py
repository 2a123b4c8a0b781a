import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.wire.pieces import Pieces


def sent(*texts: str) -> list[str]:
    policy = Pieces()
    return [piece for text in texts for piece in policy.push(text)]


@pytest.mark.parametrize(
    ("texts", "pieces"),
    [
        (["a", " b"], ["a", " b"]),
        (["a", " ", "b"], ["a", " b"]),
        (["a", " ", "", "b"], ["a", " b"]),
        (["a", "", "b"], ["a", "b"]),
        (["a", " ", " ", "b"], ["a", "  ", "b"]),
        (["\n"], ["\n"]),
        (["a", " "], ["a"]),
        ([" "], []),
        (["", ""], []),
        ([], []),
    ],
)
def test_table(texts: list[str], pieces: list[str]) -> None:
    assert sent(*texts) == pieces


@given(st.lists(st.text(alphabet=" a\n", max_size=3)))
def test_nothing_is_lost_but_a_lone_space_at_the_end(texts: list[str]) -> None:
    pieces, whole = sent(*texts), "".join(texts)
    assert not {"", " "} & set(pieces)
    assert whole in {"".join(pieces), "".join(pieces) + " "}
