from collections.abc import Iterable, Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from puna.tokens.decoding import Decoder, decode
from puna.tokens.sentencepiece import SentencePiece
from tests.oracles import oracle, oracle_json


class Bytes:
    """A vocabulary of bytes, and a control token 256. With a dummy space, each text starts with one."""

    control: Mapping[str, int] = {"<s>": 256}

    def __init__(self, dummy: bytes = b"") -> None:
        self.dummy = dummy

    def encode(self, text: str) -> list[int]:
        return list(self.dummy + text.encode())

    def pieces(self, ids: Iterable[int]) -> list[str]:
        return [chr(n) for n in ids]

    def bytes_of(self, token: int) -> bytes:
        return bytes([token]) if token < 256 else b""


PARTS = st.one_of(st.binary(max_size=3), st.characters().map(lambda c: c.encode("utf-8", "surrogatepass")))
DATA = st.lists(PARTS).map(b"".join)


@settings(derandomize=True, max_examples=500)
@given(DATA)
def test_byte_by_byte_is_as_at_once(data: bytes) -> None:
    decoder = Decoder(Bytes())
    pushed = [decoder.push(n) for n in data]
    assert "".join([*pushed, decoder.finish()]) == data.decode("utf-8", "replace")
    assert decode(Bytes(), data) == data.decode("utf-8", "replace")


@settings(derandomize=True)
@given(st.text())
def test_no_half_character_is_ever_given(text: str) -> None:
    decoder = Decoder(Bytes())
    given_so_far = ""
    for n in text.encode():
        given_so_far += decoder.push(n)
        assert text.startswith(given_so_far)
    assert decoder.finish() == ""


def test_the_beginning_of_a_character_is_told_at_the_end() -> None:
    decoder = Decoder(Bytes())
    assert [decoder.push(n) for n in "é".encode()[:1]] == [""]
    assert decoder.finish() == "\ufffd"


def test_the_space_before_a_text_is_dropped_once_and_only_at_the_start() -> None:
    spaced = Bytes(dummy=b" ")
    assert decode(spaced, spaced.encode("a b")) == "a b"
    assert decode(spaced, spaced.encode(" a")) == " a"
    assert decode(spaced, [256, *spaced.encode("a"), 256, *spaced.encode("b")]) == "a b"
    assert decode(spaced, b"\n a") == "\n a"
    assert decode(Bytes(), b" a") == " a"


def test_llama2_decodes_as_the_reference() -> None:
    llama2 = SentencePiece.read(oracle("formats/llama2.tokenizer.model"))
    facts = oracle_json("formats/llama2_vocab_facts.json")["decode"]
    assert [decode(llama2, case["ids"]) for case in facts] == [case["text"] for case in facts]
