"""Where each pre-tokenizer cuts, as the engine does it; the comparison with the engine itself is in test_vocabulary.py."""

from __future__ import annotations

import pytest
from tokenizers import Regex, pre_tokenizers

from puna.models.pretokenizers import PRE_TOKENIZERS, matched_anyway

TEXT = "I'LL don't 12345 élanVital!!\n\n x/\n日本語1"
WHOLE_WORDS = {"llama3", "llama-v3", "llama-bpe", "falcon3", "lfm2", "tekken"}


def cuts(pre: str, text: str) -> str:
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in PRE_TOKENIZERS[pre].splits]
    return "|".join(piece for piece, _ in pre_tokenizers.Sequence(list(splits)).pre_tokenize_str(text))


@pytest.mark.parametrize(
    ("pre", "expected"),
    [
        ("default", "I|'|LL| don|'|t| |123|45| élanVital|!!|\n\n| x|/|\n|日本語|1"),
        ("gpt-2", "I|'|LL| don|'t| 12345| élanVital|!!|\n\n| x|/|\n|日本語|1"),
        ("smollm", "I|'|LL| don|'t| |1|2|3|4|5| élanVital|!!|\n\n| x|/|\n|日本語|1"),
        ("llama3", "I|'LL| don|'t| |123|45| élanVital|!!\n\n| x|/\n|日本語|1"),
        ("qwen2", "I|'LL| don|'t| |1|2|3|4|5| élanVital|!!\n\n| x|/\n|日本語|1"),
        ("gpt-4o", "I'LL| don't| |123|45| élan|Vital|!!\n\n| x|/\n|日本語|1"),
        ("tekken", "I|'LL| don|'t| |1|2|3|4|5| élan|Vital|!!\n\n| x|/\n|日本語|1"),
        ("deepseek-llm", "I|'|LL| don|'|t| |12345| é|lanVital|!!|\n|\n| x|/|\n|日本語|1"),
        ("deepseek-v3", "I|'LL| don|'t| |123|45| élanVital|!!\n\n| x|/\n|日本語|1"),
    ],
)
def test_where_a_text_is_cut(pre: str, expected: str) -> None:
    assert cuts(pre, TEXT) == expected


@pytest.mark.parametrize("pre", PRE_TOKENIZERS)
def test_nothing_is_lost_and_newer_code_points_are_no_letters(pre: str) -> None:
    assert cuts(pre, TEXT).replace("|", "") == TEXT
    assert cuts(pre, "a\U00016d43a").split("|")[0] == "a"
    assert PRE_TOKENIZERS[pre].whole_words == (pre in WHOLE_WORDS)


def test_what_gpt_oss_files_do_not_say() -> None:
    harmony = {"<|start|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>", "<|im_end|>"}
    assert matched_anyway(harmony) == {"<|start|>", "<|message|>", "<|end|>"}
    assert matched_anyway({"<|end|>", "<|user|>"}) == frozenset()
