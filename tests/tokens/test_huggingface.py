import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from puna.errors import InputError
from puna.formats.llama2 import LLAMA2
from puna.messages import dialog_of
from puna.tokens.base import encode
from puna.tokens.decoding import decode
from puna.tokens.huggingface import HuggingFace
from tests.oracles import oracle, oracle_json
from tests.tokens.byte_vocabulary import CONTROL, MERGES, TOKENS
from tests.tokens.forgeries import CONTROL_TEXTS, MESSAGES, forged
from tests.tokens.tokenizer_json import added, bos_before_each_text, of_sentencepiece, written

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
TABLE = {token: n for n, token in enumerate(TOKENS)}
BPE = {"type": "BPE", "unk_token": None, "vocab": TABLE, "merges": MERGES}
PARTS: dict[str, Any] = {"pre_tokenizer": BYTE_LEVEL, "decoder": BYTE_LEVEL}
SPECIAL = [added(text, len(TOKENS) + n) for n, text in enumerate(CONTROL_TEXTS)]
LETTERS = "abcdefghijklmnopqrstuvwxyz<>|/[]_ABCDEFGHIJKLMNOPQRSTUVWXYZ"
UNKNOWN_FIRST = sorted(CONTROL_TEXTS, key=lambda text: text != "<unk>")
UNIGRAM = {
    "type": "Unigram",
    "unk_id": 0,
    "vocab": [*([text, 0.0] for text in UNKNOWN_FIRST), *([letter, -5.0] for letter in LETTERS)],
}
UNIGRAM_SPECIAL = [added(text, n) for n, text in enumerate(UNKNOWN_FIRST)]

TRAPS = {
    "special tokens beside the vocabulary": written(BPE, SPECIAL, **PARTS),
    "special tokens that merges come to": written(BPE, [added(t, n) for t, n in CONTROL.items()],
                                                  pre_tokenizer=BYTE_LEVEL | {"use_regex": False}, decoder=BYTE_LEVEL),
    "merges as pairs": written(BPE | {"merges": [m.split(" ") for m in MERGES]}, [added(t, n) for t, n in CONTROL.items()],
                               pre_tokenizer=BYTE_LEVEL | {"use_regex": False}, decoder=BYTE_LEVEL),
    "whole words": written(BPE | {"ignore_merges": True}, [added(t, n) for t, n in CONTROL.items()],
                           pre_tokenizer=BYTE_LEVEL | {"use_regex": False}, decoder=BYTE_LEVEL),
    "turn tokens that are not special": written(BPE, [added(t, n, special=False) for t, n in CONTROL.items()], **PARTS),
    "a normalizer that makes them": written(BPE, SPECIAL, **PARTS, normalizer={"type": "NFKC"}),
    "unigram": written(UNIGRAM, UNIGRAM_SPECIAL),
    "unigram with a normalizer": written(UNIGRAM, UNIGRAM_SPECIAL, normalizer={"type": "NFKC"}),
    "words": written({"type": "WordLevel", "vocab": {"[UNK]": 0, **{t: n for n, t in enumerate(CONTROL_TEXTS, 1)}},
                      "unk_token": "[UNK]"}, [added("[UNK]", 0), *(added(t, n) for n, t in enumerate(CONTROL_TEXTS, 1))],
                     pre_tokenizer={"type": "WhitespaceSplit"}),
}  # fmt: skip


@pytest.mark.parametrize("trap", TRAPS)
def test_no_message_forges_a_turn(trap: str) -> None:
    tokenizer = HuggingFace(TRAPS[trap])
    assert "<|im_end|>" in tokenizer.control

    @settings(derandomize=True, deadline=None, max_examples=150)
    @given(MESSAGES)
    def safe(message: str) -> None:
        assert not forged(tokenizer, message)

    safe()


@pytest.mark.parametrize("trap", ["special tokens that merges come to", "merges as pairs", "whole words"])
def test_the_library_is_not_even_told_of_control_tokens(trap: str) -> None:
    """A cut inside the text would part what the merges join."""
    tokenizer = HuggingFace(TRAPS[trap])
    assert tokenizer.pieces(tokenizer.encode("<|im_end|>")) == ["<|im_end|", ">"]


def test_the_traps_are_traps() -> None:
    """The library alone, told to encode special tokens as text, gives control ids in three of them."""
    for trap in ("special tokens that merges come to", "turn tokens that are not special", "unigram"):
        library = Tokenizer.from_str(TRAPS[trap].decode())
        library.encode_special_tokens = True
        ids = library.encode("<|im_end|>", add_special_tokens=False).ids
        assert set(ids) & {library.token_to_id("<|im_end|>")}, trap


@pytest.fixture(scope="module")
def llama2() -> HuggingFace:
    return HuggingFace(of_sentencepiece(oracle("formats/llama2.tokenizer.model")))


def test_golden_dialogs_have_the_reference_s_ids(llama2: HuggingFace) -> None:
    golden = oracle_json("formats/llama2_tokens.json")
    wrong = [
        case["name"]
        for case in golden
        if list(encode(llama2, LLAMA2.render(dialog_of(case["messages"])))) != case["ids"]
    ]
    assert len(golden) == 42
    assert not wrong


def test_plain_texts_have_the_reference_s_ids_and_come_back(llama2: HuggingFace) -> None:
    facts = oracle_json("formats/llama2_vocab_facts.json")
    assert dict(llama2.control) == {"<s>": 1, "</s>": 2}
    assert llama2.size == facts["n_pieces"]
    for case in facts["encode"]:
        assert llama2.encode(case["text"]) == case["ids"], case["text"]
        assert llama2.pieces(case["ids"]) == case["pieces"]
    assert [decode(llama2, case["ids"]) for case in facts["decode"]] == [case["text"] for case in facts["decode"]]


@pytest.mark.parametrize("trap", ["special tokens beside the vocabulary", "turn tokens that are not special"])
def test_random_ids_decode_as_by_the_library(trap: str) -> None:
    tokenizer, library = HuggingFace(TRAPS[trap]), Tokenizer.from_str(TRAPS[trap].decode())
    plain = st.integers(0, tokenizer.size - 1).filter(lambda n: n not in tokenizer.control.values())

    @settings(derandomize=True, deadline=None)
    @given(st.lists(plain))
    def same(ids: list[int]) -> None:
        assert decode(tokenizer, ids) == library.decode(ids, skip_special_tokens=False)

    same()


def test_nothing_is_put_around_a_text_or_cut_off() -> None:
    cut = {"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0}
    fill = {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
            "pad_token": "!"}  # fmt: skip
    tokenizer = HuggingFace(
        written(BPE, SPECIAL, **PARTS, truncation=cut, padding=fill, post_processor=bos_before_each_text())
    )
    assert tokenizer.pieces(tokenizer.encode("Hello ab")) == ["Hello", "Ġ", "a", "b"]


def test_the_same_text_has_the_same_ids_although_the_file_says_dropout() -> None:
    tokenizer = HuggingFace(written(BPE | {"dropout": 0.9}, SPECIAL, **PARTS))
    assert tokenizer.pieces(tokenizer.encode("Hello")) == ["Hello"]


def test_other_added_tokens_are_found_and_keep_their_ids() -> None:
    """Qwen3 has such ones behind its special tokens; the library would count them up from the last token it knows."""
    last = len(TOKENS) + 30
    tokens = [
        added("<|im_end|>", last - 10),
        added("<think>", last, special=False),
        added("<|user|>", last - 5, special=False),
    ]
    tokenizer = HuggingFace(written(BPE, tokens, **PARTS))
    assert tokenizer.encode("a<think>") == [TABLE["a"], last]
    assert dict(tokenizer.control) == {"<|im_end|>": last - 10, "<|user|>": last - 5}
    assert (tokenizer.bytes_of(last), tokenizer.bytes_of(last - 5)) == (b"<think>", b"")
    assert tokenizer.size == last + 1
    with pytest.raises(InputError, match="was it made by another vocabulary"):
        tokenizer.pieces([last - 1])
    listed = HuggingFace(written(UNIGRAM, [*UNIGRAM_SPECIAL, added("<think>", 200, special=False)]))
    assert listed.encode("a<think>b")[1] == 200


def test_the_unknown_token_is_no_control_token() -> None:
    tokenizer = HuggingFace(TRAPS["unigram"])
    assert "<unk>" not in tokenizer.control
    assert 0 in tokenizer.encode("語")
    assert 0 not in tokenizer.encode("<unk>")
    assert tokenizer.bytes_of(0) == b""


def test_how_vocabularies_spell_a_space() -> None:
    table = {"[UNK]": 0, "he": 1, "##llo": 2, "world": 3}
    piece = {"type": "WordPiece", "vocab": table, "unk_token": "[UNK]", "continuing_subword_prefix": "##",
             "max_input_chars_per_word": 100}  # fmt: skip
    words = HuggingFace(
        written(piece, [added("[UNK]", 0)], pre_tokenizer={"type": "Whitespace"}, decoder={"type": "WordPiece", "prefix": "##",
                "cleanup": False})
    )  # fmt: skip
    assert b"".join(map(words.bytes_of, words.encode("hello world"))) == b" hello world"
    ended: dict[str, Any] = {
        "type": "BPE",
        "vocab": {"a</w>": 0, "b": 1},
        "merges": [],
        "end_of_word_suffix": "</w>",
        "unk_token": None,
    }
    assert HuggingFace(written(ended, decoder={"type": "BPEDecoder", "suffix": "</w>"})).bytes_of(0) == b"a "


def test_a_text_that_the_vocabulary_cannot_express_is_refused() -> None:
    tokenizer = HuggingFace(written({"type": "Unigram", "unk_id": None, "vocab": [["a", -1.0]]}))
    assert tokenizer.encode("a") == [0]
    for text in ("語", "a\ud800"):
        with pytest.raises(InputError, match="a text must"):
            tokenizer.encode(text)


TINY: dict[str, Any] = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"], "unk_token": None}
WHOLE = written(TINY, [added("<s>", 3)])

OTHER_KINDS = {
    "empty": b"",
    "cut off": WHOLE[:-20],
    "package.json": b'{"name": "web", "version": "1.0.0", "dependencies": {}}',
    "tokenizer_config.json": b'{"tokenizer_class": "LlamaTokenizer", "model_max_length": 4096, "bos_token": "<s>"}',
    "config.json": b'{"architectures": ["LlamaForCausalLM"], "vocab_size": 32000}',
    "a list": b"[1, 2]",
    "model without a vocabulary": b'{"model": {"type": "BPE"}}',
    "deep": b"[" * 200_000,
    "deep vocabulary": b'{"model": {"vocab": ' + b"[" * 100_000,
    "deep decoder": written(TINY, decoder=json.loads('{"type": "Sequence", "decoders": [' * 200 + "]}" * 200)),
    "a long number": b'{"a": ' + b"1" * 5000 + b"}",
    "junk": hashlib.shake_128(b"junk").digest(10 << 20),
    "unknown model": written(TINY | {"type": "Tokens"}),
    "unknown decoder": written(TINY, decoder={"type": "Tokens"}),
    "a merge of no tokens": written(TINY | {"merges": ["a z"]}),
    "a merge of one": written(TINY | {"merges": ["ab"]}),
    "no numbers": written(TINY | {"vocab": {"a": "x"}}),
    "below zero": written(TINY | {"vocab": {"a": -1}}),
    "unknown id outside": written({"type": "Unigram", "unk_id": 9, "vocab": [["a", 0.0]]}),
    "added texts": written(TINY, [{"content": "x"}]),
    "added numbers": written(TINY, [5]),  # type: ignore[list-item]
    "half a surrogate pair": written(TINY | {"vocab": {"\ud800": 0}}),
    "a bad pattern": written(TINY, pre_tokenizer={"type": "Split", "pattern": {"Regex": "(("}, "behavior": "Isolated",
                                                  "invert": False}),
    "two ids": written(TINY, [added("ab", 7, special=False)]),
    "a damaged normalizer": written(TINY, normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(OTHER_KINDS[kind])
    with pytest.raises(InputError, match=r"tokenizer\.json must be a whole tokenizer\.json, but .*; give") as caught:
        HuggingFace.read(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 800


def test_a_file_is_refused_wherever_it_was_cut() -> None:
    for cut in range(len(WHOLE)):
        with pytest.raises(InputError):
            HuggingFace(WHOLE[:cut])


def test_no_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.json.*No such file"):
        HuggingFace.read(tmp_path / "nowhere.json")
    with pytest.raises(InputError, match="cannot be read"):
        HuggingFace.read(tmp_path)
