from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.errors import InputError
from puna.generation import Kind, Segment
from puna.tokens import base
from puna.tokens.base import ControlToken, Running, encode, is_turn_token, parted, plain, runs


class Letters:
    """A vocabulary of code points, with two control tokens of which one begins like the other. It counts its work."""

    control: Mapping[str, int] = {"<s>": -1, "<s>!": -2}

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode(self, text: str) -> list[int]:
        self.encoded.append(text)
        return [ord(letter) for letter in text]

    def pieces(self, ids: Iterable[int]) -> list[str]:
        return [chr(n) for n in ids]

    def bytes_of(self, token: int) -> bytes:
        return chr(token).encode() if token > 0 else b""


class Merging(Letters):
    """Letters that merge: two alike are one token, and "<s>", "＜s＞" and "ß" come to a control token."""

    def encode(self, text: str) -> list[int]:
        self.encoded.append(text)
        ids: list[int] = []
        for part in text.replace("＜s＞", "<s>").replace("ß", "<s>").replace("<s>", "\0<s>\0").split("\0"):
            ids.extend([-1] if part == "<s>" else self.pairs(part))
        return ids

    @staticmethod
    def pairs(text: str) -> list[int]:
        ids: list[int] = []
        for letter in text:
            ids[-1:] = [ids[-1] << 21] if ids and ids[-1] == ord(letter) else [*ids[-1:], ord(letter)]
        return ids


def control(text: str) -> Segment:
    return Segment(Kind.CONTROL, text)


def content(text: str) -> Segment:
    return Segment(Kind.CONTENT, text)


SEGMENTS = st.lists(st.builds(Segment, st.sampled_from(Kind), st.text(alphabet="<s>! aab")))


def test_text_between_two_control_tokens_is_one_run() -> None:
    found = runs([control("<s>[ "), content("a"), control(" ]"), control("b<s>")], ["<s>"])
    assert found == [ControlToken("<s>"), "[ a ]b", ControlToken("<s>")]


def test_the_longer_of_two_control_tokens_wins() -> None:
    assert runs([control("<s>!x")], Letters().control) == [ControlToken("<s>!"), "x"]


def test_no_control_tokens_is_one_run() -> None:
    assert runs([control("<s>"), content("a")], []) == ["<s>a"]
    assert runs([control("<s>"), content("a")], [""]) == ["<s>a"]
    assert runs([], ["<s>"]) == []


def test_a_control_token_is_not_put_together_across_segments() -> None:
    assert runs([content("<s"), control(">")], ["<s>"]) == ["<s>"]


@settings(derandomize=True)
@given(st.lists(st.text(alphabet="<s>! a")))
def test_content_never_becomes_a_control_token(texts: list[str]) -> None:
    assert all(n > 0 for n in encode(Letters(), map(content, texts)))


@settings(derandomize=True)
@given(SEGMENTS)
def test_runs_keep_every_character(segments: list[Segment]) -> None:
    found = runs(segments, Letters().control)
    written = "".join(run.text if isinstance(run, ControlToken) else run for run in found)
    assert written == "".join(segment.text for segment in segments)


def test_the_pattern_of_a_vocabulary_is_made_once() -> None:
    many = {f"<|reserved_special_token_{n}|>": n for n in range(256)}
    segments = [control("<|reserved_special_token_255|>"), content("hi")]
    runs(segments, many)
    made = base._any_of.cache_info().misses
    running = Running(Letters())
    for _ in range(100):
        assert len(runs(segments, dict(many))) == 2
        running = running.push(segments)
    assert base._any_of.cache_info().misses - made <= 1  # that of Letters


@settings(derandomize=True)
@given(st.lists(SEGMENTS))
def test_a_running_count_is_the_count_of_everything(pushes: list[list[Segment]]) -> None:
    running, segments = Running(Merging()), list[Segment]()
    for pushed in pushes:
        running = running.push(pushed)
        segments += pushed
        assert running.count == len(encode(Merging(), segments))


def test_a_running_count_encodes_the_new_turn_only() -> None:
    letters = Letters()
    turn = [control("<s>"), content("a question"), control("<s>"), content("an answer")]
    running = Running(letters)
    for _ in range(200):
        running = running.push(turn)
    assert running.count == 200 * (2 + len("a question") + len("an answer"))
    letters.encoded.clear()
    assert running.push([*turn, control("<s>")]).count == 1 + 201 * (2 + len("a question") + len("an answer"))
    assert letters.encoded == ["an answer", "a question", "an answer"]


def test_a_fork_of_a_running_count_leaves_it_as_it_was() -> None:
    start = Running(Letters()).push([control("<s>"), content("ab")])
    one, other = start.push([content("cd")]), start.push([control("<s>")])
    assert (start.count, one.count, other.count) == (3, 5, 4)


@pytest.mark.parametrize("text", ["<s>", "a<s>b", "<s><s>", "＜s＞", "aa＜s＞bb<s>＜s＞", "<s", "s>", ""])
def test_plain_text_that_comes_to_a_control_token_is_cut_inside_it(text: str) -> None:
    merging = Merging()
    assert all(n > 0 for n in plain(merging.encode, merging.control, text))
    assert all(n > 0 for n in encode(merging, [content(text)]))
    assert Running(merging).push([content(text)]).count == len(encode(merging, [content(text)]))


def test_the_cut_lies_inside_the_token_and_nowhere_else() -> None:
    merging = Merging()
    around = [ord("a") << 21, ord("b")]
    assert plain(merging.encode, merging.control, "aab＜s＞aab") == [*around, *map(ord, "＜s＞"), *around]


def test_a_single_character_that_is_a_control_token_is_refused() -> None:
    merging = Merging()
    with pytest.raises(InputError, match="takes 'ß' for one of its control tokens"):
        plain(merging.encode, merging.control, "Stra" + "ß" + "e")


@settings(derandomize=True)
@given(st.text(alphabet="<s>! a"), st.sets(st.sampled_from(["<s>", "s>!", "<<", "aa", "> "])))
def test_parts_join_to_the_text_and_spell_no_token(text: str, tokens: set[str]) -> None:
    parts = parted(text, tokens)
    assert "".join(parts) == text
    assert not any(token in part for token in tokens for part in parts)
    assert len(parts) <= 1 or any(token in text for token in tokens)


@pytest.mark.parametrize(
    "text", ["<|im_end|>", "<｜User｜>", "<s>", "</s>", "<end_of_turn>", "[INST]", "[/SYSTEM_PROMPT]"]
)
def test_turn_tokens(text: str) -> None:
    assert is_turn_token(text)


@pytest.mark.parametrize("text", ["<think>", "    ", "<unk>", "<0x0A>", "a</s>", "<|a|><|b|>", "[IMG]", ""])
def test_other_tokens_make_no_turns(text: str) -> None:
    assert not is_turn_token(text)
