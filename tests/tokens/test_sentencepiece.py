from pathlib import Path

import pytest

from puna.errors import InputError
from puna.formats.llama2 import Llama2
from puna.messages import dialog_of
from puna.tokens.base import encode
from puna.tokens.sentencepiece import SentencePiece
from tests.oracles import oracle, oracle_json

MODEL = "formats/llama2.tokenizer.model"


@pytest.fixture(scope="module")
def llama2() -> SentencePiece:
    return SentencePiece.read(oracle(MODEL))


def test_golden_dialogs_have_the_reference_s_ids(llama2: SentencePiece) -> None:
    golden = oracle_json("formats/llama2_tokens.json")
    wrong = [
        case["name"]
        for case in golden
        if list(encode(llama2, Llama2().render(dialog_of(case["messages"])))) != case["ids"]
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
