from collections.abc import Iterable, Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from puna.generation import Kind, Segment
from puna.tokens.base import ControlToken, encode, runs


class Letters:
    """A vocabulary of code points, with two control tokens of which one begins like the other."""

    @property
    def control(self) -> Mapping[str, int]:
        return {"<s>": -1, "<s>!": -2}

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def pieces(self, ids: Iterable[int]) -> list[str]:
        return [chr(n) for n in ids]


def control(text: str) -> Segment:
    return Segment(Kind.CONTROL, text)


def content(text: str) -> Segment:
    return Segment(Kind.CONTENT, text)


def test_text_between_two_control_tokens_is_one_run() -> None:
    found = runs([control("<s>[ "), content("a"), control(" ]"), control("b<s>")], ["<s>"])
    assert found == [ControlToken("<s>"), "[ a ]b", ControlToken("<s>")]


def test_the_longer_of_two_control_tokens_wins() -> None:
    assert runs([control("<s>!x")], Letters().control) == [ControlToken("<s>!"), "x"]


def test_no_control_tokens_is_one_run() -> None:
    assert runs([control("<s>"), content("a")], []) == ["<s>a"]
    assert runs([], ["<s>"]) == []


def test_a_control_token_is_not_put_together_across_segments() -> None:
    assert runs([content("<s"), control(">")], ["<s>"]) == ["<s>"]


@settings(derandomize=True)
@given(st.lists(st.text(alphabet="<s>! a")))
def test_content_never_becomes_a_control_token(texts: list[str]) -> None:
    assert all(n > 0 for n in encode(Letters(), map(content, texts)))


@settings(derandomize=True)
@given(st.lists(st.tuples(st.sampled_from(Kind), st.text(alphabet="<s>! a"))))
def test_runs_keep_every_character(parts: list[tuple[Kind, str]]) -> None:
    found = runs([Segment(kind, text) for kind, text in parts], Letters().control)
    assert "".join(run.text if isinstance(run, ControlToken) else run for run in found) == "".join(t for _, t in parts)
