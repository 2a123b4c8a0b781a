from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor

from puna.errors import InputError
from puna.formats.llama2 import LLAMA2
from puna.generation import Kind, Segment
from puna.messages import dialog_of
from puna.tokens.base import encode
from puna.tokens.decoding import decode
from puna.tokens.modelproto import BYTE, CONTROL, NORMAL, UNKNOWN, USER_DEFINED, bpe_model
from puna.tokens.sentencepiece import SentencePiece
from tests.oracles import oracle, oracle_json
from tests.tokens.forgeries import CONTROL_TEXTS, MESSAGES, forged

MODEL = "formats/llama2.tokenizer.model"


@pytest.fixture(scope="module")
def llama2() -> SentencePiece:
    return SentencePiece.read(oracle(MODEL))


def test_golden_dialogs_have_the_reference_s_ids(llama2: SentencePiece) -> None:
    golden = oracle_json("formats/llama2_tokens.json")
    wrong = [
        case["name"]
        for case in golden
        if list(encode(llama2, LLAMA2.render(dialog_of(case["messages"])))) != case["ids"]
    ]
    assert golden
    assert not wrong


def test_control_tokens_are_the_two_of_llama2(llama2: SentencePiece) -> None:
    assert dict(llama2.control) == {"<s>": 1, "</s>": 2}


def test_vocabulary_facts(llama2: SentencePiece) -> None:
    facts = oracle_json("formats/llama2_vocab_facts.json")
    assert llama2.size == facts["n_pieces"]
    assert llama2.pieces(range(len(facts["first_ids"]))) == facts["first_ids"]
    assert llama2.pieces(range(259, 270)) == facts["id_259_269"]
    for piece, n in facts["single_piece"].items():
        assert n is None or llama2.pieces([n]) == [piece]


def test_plain_texts_of_the_vocabulary_facts(llama2: SentencePiece) -> None:
    for case in oracle_json("formats/llama2_vocab_facts.json")["encode"]:
        assert llama2.encode(case["text"]) == case["ids"], case["text"]
        assert llama2.pieces(case["ids"]) == case["pieces"], case["text"]


def test_no_plain_text_gives_a_control_id(llama2: SentencePiece) -> None:
    for text in ("<s>", "</s>", "a</s><s>b", "<unk>", " </s>", "</s>\n"):
        assert not {1, 2} & set(llama2.encode(text)), text


@pytest.mark.parametrize("n", [-1, 32000, 10**12])
def test_an_id_outside_the_vocabulary_is_refused(llama2: SentencePiece, n: int) -> None:
    with pytest.raises(InputError, match=f"from 0 to 31999, not {n}"):
        llama2.pieces([1, n])


def test_a_missing_file_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.model.*No such file"):
        SentencePiece.read(tmp_path / "nowhere.model")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        SentencePiece.read(tmp_path)


OTHER_KINDS = {
    "empty": b"",
    "json": b'{"version": "1.0", "model": {"type": "BPE"}}',
    "gguf": b"GGUF\x03\x00\x00\x00" + bytes(64),
    "text": "ordinary words, é\n".encode(),
    "zeros": bytes(1000),
    "endless number": b"\xff" * 100,
    "one empty field": b"\x12\x00",
    "three empty fields": b"\x0a\x00\x12\x00\x1a\x00",
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(OTHER_KINDS[kind])
    with pytest.raises(InputError, match=r"tokenizer\.model must be a whole sentencepiece model, but"):
        SentencePiece.read(path)


def test_a_truncated_file_is_refused_wherever_it_was_cut() -> None:
    whole = oracle(MODEL).read_bytes()
    # The last field lies in the last few dozen bytes: without it the file still loads, and merges spaces.
    cuts = [*range(1, 60, 7), len(whole) // 2, *range(len(whole) - 80, len(whole))]
    for cut in cuts:
        with pytest.raises(InputError, match="whole sentencepiece model"):
            SentencePiece(whole[:cut])


def small(kind: int = USER_DEFINED) -> SentencePiece:
    """Letters, the 256 bytes, a run of spaces, and all the control tokens of the chat families as pieces of one type."""
    pieces = [("<unk>", 0.0, UNKNOWN), *((f"<0x{n:02X}>", 0.0, BYTE) for n in range(256))]
    pieces += [(text, 0.0, kind) for text in CONTROL_TEXTS if text not in {"<unk>", "<0x0A>"}]
    pieces += [("\u2581" * 3, 0.0, USER_DEFINED), ("<think>", 0.0, USER_DEFINED), ("\u2581", -1.0, NORMAL)]
    pieces += [(letter, -2.0, NORMAL) for letter in "abcdefghijklmnopqrstuvwxyz<>|/[]_ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    return SentencePiece(bpe_model(pieces, dummy_prefix=True, byte_fallback=True), "small.model")


USER_DEFINED_TURNS, CONTROL_TURNS = small(), small(CONTROL)


def test_user_defined_pieces_that_make_turns_are_control_tokens() -> None:
    assert "<|im_end|>" in USER_DEFINED_TURNS.control
    assert "[/INST]" in USER_DEFINED_TURNS.control
    assert not {"<bos>", "<think>", "\u2581" * 3, "<unk>"} & USER_DEFINED_TURNS.control.keys()
    ids = encode(
        USER_DEFINED_TURNS, [Segment(Kind.CONTROL, "<|im_start|>a"), Segment(Kind.CONTENT, "<|im_start|><think>")]
    )
    pieces = USER_DEFINED_TURNS.pieces(ids)
    assert pieces[:3] == ["<|im_start|>", "\u2581", "a"]
    assert pieces.count("<|im_start|>") == 1
    assert pieces[-1] == "<think>"


@settings(derandomize=True, deadline=None, max_examples=300)
@given(MESSAGES)
def test_no_message_forges_a_turn(message: str) -> None:
    assert not forged(USER_DEFINED_TURNS, message)
    assert not forged(CONTROL_TURNS, message)


def test_bytes_of_pieces() -> None:
    ids = {piece: n for n, piece in enumerate(USER_DEFINED_TURNS.pieces(range(USER_DEFINED_TURNS.size)))}
    spelled = {
        "\u2581": b" ",
        "a": b"a",
        "<0xC3>": b"\xc3",
        "<|im_end|>": b"",
        "<think>": b"<think>",
        "\u2581" * 3: b"   ",
    }
    assert {piece: USER_DEFINED_TURNS.bytes_of(ids[piece]) for piece in spelled} == spelled
    with pytest.raises(InputError, match="from 0 to"):
        USER_DEFINED_TURNS.bytes_of(-1)


@settings(derandomize=True, deadline=None)
@given(st.text())
def test_text_comes_back(text: str) -> None:
    assert decode(CONTROL_TURNS, CONTROL_TURNS.encode(text)) == text.replace("\u2581", " ")


def test_half_a_surrogate_pair_is_refused_with_a_sentence() -> None:
    with pytest.raises(InputError, match="half a surrogate pair"):
        CONTROL_TURNS.encode("a\ud800b")


def test_random_ids_decode_as_by_the_library(llama2: SentencePiece) -> None:
    library = SentencePieceProcessor(model_file=str(oracle(MODEL)))

    @settings(derandomize=True, deadline=None)
    @given(st.lists(st.one_of(st.integers(259, 31999), st.sampled_from([1, 2, 0])), max_size=12))
    def same(ids: list[int]) -> None:
        # The unknown piece is written with spaces around it, of which the library keeps the first one.
        ids = [259, *ids]
        assert decode(llama2, ids) == library.decode(ids)

    same()


def test_no_message_forges_a_turn_of_llama2(llama2: SentencePiece) -> None:
    @settings(derandomize=True, deadline=None, max_examples=300)
    @given(MESSAGES)
    def safe(message: str) -> None:
        assert not forged(llama2, message)

    safe()
