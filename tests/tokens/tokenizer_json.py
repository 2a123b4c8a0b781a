"""Tokenizer.json files of the tests' own, as the vendors' look."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor


def added(text: str, n: int, *, special: bool = True) -> dict[str, Any]:
    """An entry of added_tokens."""
    options = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": n, "content": text, "special": special, **options}


def written(model: dict[str, Any], added_tokens: Sequence[dict[str, Any]] = (), **parts: Any) -> bytes:
    """A whole file."""
    empty = dict.fromkeys(("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder"))
    return json.dumps({"version": "1.0", **empty, "added_tokens": [*added_tokens], "model": model, **parts}).encode()


def of_sentencepiece(path: Path) -> bytes:
    """The file that transformers 4 makes of Llama 2's tokenizer.model.

    Source: transformers ``convert_slow_tokenizer.py`` (LlamaConverter with legacy, generate_merges), read 2026-11-22.
    """
    model = SentencePieceProcessor(model_file=str(path))
    count = model.get_piece_size()
    vocabulary = {model.id_to_piece(n): n for n in range(count)}
    merges = [
        (model.get_score(n), len(piece[:at]), len(piece[at:]), -vocabulary[piece[:at]], piece[:at], piece[at:])
        for piece, n in vocabulary.items()
        for at in range(1, len(piece))
        if piece[:at] in vocabulary and piece[at:] in vocabulary
    ]
    merges.sort(key=lambda row: row[:4], reverse=True)
    bpe = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True}
    space = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    back = {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    return written(
        bpe | {"vocab": vocabulary, "merges": [f"{row[4]} {row[5]}" for row in merges]},
        [added("<unk>", 0), added("<s>", 1), added("</s>", 2)],
        normalizer={"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, space]},
        decoder={"type": "Sequence", "decoders": [back, {"type": "ByteFallback"}, {"type": "Fuse"}, strip]},
        post_processor=bos_before_each_text(),
    )


def bos_before_each_text() -> dict[str, Any]:
    """The template of Llama 2's file, which must not take part."""
    bos, text = {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [bos, text],
        "pair": [bos, text, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
    }
