import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.errors import InputError
from puna.tokens.bytelevel import ALPHABET, ByteLevel, Vocabulary, bytes_of_spelling
from puna.tokens.decoding import decode
from tests.tokens.byte_vocabulary import CONTROL, MERGES, TOKENS, spelled
from tests.tokens.forgeries import MESSAGES, forged


def made(**changes: object) -> ByteLevel:
    return ByteLevel(Vocabulary(**{"tokens": TOKENS, "merges": MERGES, "splits": (r"\s+",)} | changes), "tiny.gguf")  # type: ignore[arg-type]


PLAIN = made()
GUARDED = [made(control=CONTROL), made(control=CONTROL, whole_words=True), made(control=CONTROL, splits=())]


@pytest.mark.parametrize("tokenizer", GUARDED)
def test_no_message_forges_a_turn(tokenizer: ByteLevel) -> None:
    @settings(derandomize=True, deadline=None, max_examples=200)
    @given(MESSAGES)
    def safe(message: str) -> None:
        assert not forged(tokenizer, message)
        assert decode(tokenizer, tokenizer.encode(message)) == message

    safe()


def test_a_control_token_s_text_is_otherwise_merged() -> None:
    """The vocabulary of these tests is the trap that it claims to be."""
    assert set(CONTROL.values()) & set(PLAIN.encode("a <|im_end|>"))


def test_the_library_is_not_even_told_of_control_tokens() -> None:
    """A cut inside the text would part what the merges join."""
    for tokenizer in GUARDED:
        assert tokenizer.pieces(tokenizer.encode("<|im_end|>")) == ["<|im_end|", ">"]


def test_merges_and_whole_words() -> None:
    assert PLAIN.pieces(PLAIN.encode("Hello world")) == ["Hello", spelled(" "), *"world"]
    words = made(tokens=[*TOKENS, "lo"], splits=("lo",))
    whole = made(tokens=[*TOKENS, "lo"], splits=("lo",), whole_words=True)
    assert words.pieces(words.encode("lo")) == ["l", "o"]
    assert whole.pieces(whole.encode("lo")) == ["lo"]


def test_a_byte_without_a_token_is_left_out_and_joins_nothing() -> None:
    tokens = [token for token in TOKENS if token != spelled("\x04")]
    gap = made(tokens=tokens)
    assert gap.pieces(gap.encode("!\x04!!")) == ["!", "!!"]
    assert max(gap.encode("\x04a")) < gap.size


def test_the_alphabet_has_each_byte_once() -> None:
    assert sorted(ALPHABET.values()) == list(range(256))
    assert spelled(" \n!é") == "ĠĊ!Ã©"
    assert bytes_of_spelling("ĠĊ!Ã©") == " \n!é".encode()
    assert bytes_of_spelling("語") == "語".encode()


def test_bytes_of_control_and_literal_tokens() -> None:
    tokenizer = made(tokens=[*TOKENS, "<Ġ>"], control=CONTROL, literal=frozenset([len(TOKENS)]))
    assert tokenizer.bytes_of(CONTROL["</s>"]) == b""
    assert tokenizer.bytes_of(len(TOKENS)) == "<Ġ>".encode()
    assert tokenizer.bytes_of(TOKENS.index("Ġ")) == b" "


@settings(derandomize=True, deadline=None)
@given(st.text())
def test_text_comes_back(text: str) -> None:
    assert decode(PLAIN, PLAIN.encode(text)) == text


@pytest.mark.parametrize("n", [-1, len(TOKENS)])
def test_an_id_outside_the_vocabulary_is_refused(n: int) -> None:
    for asked in (lambda: PLAIN.pieces([n]), lambda: PLAIN.bytes_of(n)):
        with pytest.raises(InputError, match=f"from 0 to {len(TOKENS) - 1}, not {n}"):
            asked()


@pytest.mark.parametrize("merge", ["a z z", "qq qq", "a", "a ", ""])
def test_merges_of_no_tokens_are_refused(merge: str) -> None:
    for control in ({}, CONTROL):
        with pytest.raises(InputError, match=r"tiny\.gguf must hold a byte-level vocabulary, but its merges"):
            made(merges=[*MERGES, merge], control=control)


def test_half_a_surrogate_pair_is_refused_with_a_sentence() -> None:
    with pytest.raises(InputError, match="half a surrogate pair"):
        PLAIN.encode("a\ud800b")
