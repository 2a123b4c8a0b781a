from hypothesis import given, settings
from hypothesis import strategies as st

from puna.generation import Kind, Segment
from puna.tokens.base import Tokenizer, encode
from puna.tokens.cache import Cached
from tests.tokens.test_base import Letters


def turns(count: int) -> list[Segment]:
    texts = [f"turn {n}" for n in range(count)]
    return [part for text in texts for part in (Segment(Kind.CONTROL, "<s>"), Segment(Kind.CONTENT, text))]


def test_a_turn_more_encodes_that_turn_only() -> None:
    letters = Letters()
    cached = Cached(letters)
    encode(cached, turns(200))
    letters.encoded.clear()
    assert encode(cached, turns(201)) == encode(Letters(), turns(201))
    assert letters.encoded == ["turn 200"]


def test_a_caller_may_do_with_the_list_what_it_likes() -> None:
    cached = Cached(Letters())
    for _ in range(3):
        ids = cached.encode("ab")
        assert ids == [97, 98]
        ids.append(0)


def test_what_was_used_longest_ago_goes_first() -> None:
    letters = Letters()
    cached = Cached(letters, entries=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        cached.encode(text)
    assert letters.encoded == ["a", "b", "c", "b"]


def test_characters_are_bounded_as_well() -> None:
    letters = Letters()
    cached = Cached(letters, characters=40)
    for text in ("a" * 10, "b" * 10, "c" * 10, "d" * 10, "e", "b" * 10, "a" * 10):
        cached.encode(text)
    assert letters.encoded[5:] == ["a" * 10]


def test_a_text_too_long_to_keep_pushes_nothing_out() -> None:
    letters = Letters()
    cached = Cached(letters, characters=40)
    for text in ("a", "b" * 11, "b" * 11, "a"):
        cached.encode(text)
    assert letters.encoded == ["a", "b" * 11, "b" * 11]


@settings(derandomize=True)
@given(st.lists(st.text(alphabet="ab", max_size=4)), st.integers(0, 3), st.integers(0, 12))
def test_it_is_the_same_tokenizer_whatever_it_keeps(texts: list[str], entries: int, characters: int) -> None:
    letters = Letters()
    cached: Tokenizer = Cached(letters, entries=entries, characters=characters)
    assert [cached.encode(text) for text in texts] == [letters.encode(text) for text in texts]
    assert cached.control == letters.control
    assert cached.pieces([97]) == ["a"]
    assert cached.bytes_of(97) == b"a"
