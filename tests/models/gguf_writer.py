"""A tiny writer of GGUF files, for tests: enough to make sound ones, and to make every kind of unsound one."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

type_of = {bool: (7, "?"), int: (4, "I"), float: (6, "f")}

VOCABULARY = {"<unk>": 2, "<s>": 3, "</s>": 3, "hello": 1, "<think>": 4, "<|eot|>": 3}
"""Token: llama.cpp's type of it."""

METADATA: Mapping[str, object] = {
    "general.architecture": "llama",
    "general.name": "Tiny",
    "general.size_label": "1K",
    "general.license": "apache-2.0",
    "general.file_type": 0,
    "llama.context_length": 256,
    "llama.block_count": 2,
    "llama.embedding_length": 32,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "llama.rope.freq_base": 10000.0,
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": list(VOCABULARY),
    "tokenizer.ggml.scores": [0.0] * len(VOCABULARY),
    "tokenizer.ggml.token_type": list(VOCABULARY.values()),
    "tokenizer.ggml.bos_token_id": 1,
    "tokenizer.ggml.eos_token_id": 2,
    "tokenizer.ggml.add_bos_token": True,
    "tokenizer.chat_template": "{{ messages }}",
}


def text(value: str) -> bytes:
    """A text: length and bytes."""
    encoded = value.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def value_of(value: object) -> bytes:
    """A value: type and bytes."""
    if isinstance(value, str):
        return struct.pack("<I", 8) + text(value)
    if isinstance(value, list):
        if value and isinstance(value[0], str):
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(text(item) for item in value)
        kind, code = type_of[type(value[0])] if value else type_of[int]
        return struct.pack(f"<IIQ{len(value)}{code}", 9, kind, len(value), *value)
    if isinstance(value, tuple):  # signed numbers, which llama.cpp demands of token types
        return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)
    kind, code = type_of[type(value)]
    return struct.pack(f"<I{code}", kind, value)


def gguf_bytes(
    changes: Mapping[str, object] | None = None, *, without: Sequence[str] = (), version: int = 3, tensors: int = 2
) -> bytes:
    """A whole little GGUF file with F32 tensors of 32 x 4 elements."""
    metadata = {key: value for key, value in {**METADATA, **(changes or {})}.items() if key not in without}
    out = struct.pack("<4sIQQ", b"GGUF", version, tensors, len(metadata))
    out += b"".join(text(key) + value_of(value) for key, value in metadata.items())
    for index in range(tensors):
        out += text(f"blk.{index}.weight") + struct.pack("<IQQIQ", 2, 32, 4, 0, index * 512)
    out += bytes(-len(out) % 32)
    return out + bytes(tensors * 512)
