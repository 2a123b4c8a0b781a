"""A whole model with any vocabulary, small enough to be made in a test; llama.cpp loads it, and it says nothing of sense."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from tests.models.gguf_writer import METADATA, text, value_of

WIDTH, FEED = 32, 32


def tiny_llama(changes: Mapping[str, object]) -> bytes:
    """One layer of zeros under the given metadata, which must name tokens."""
    tokens = changes["tokenizer.ggml.tokens"]
    assert isinstance(tokens, list)
    metadata = {
        **METADATA,
        "llama.block_count": 1,
        "llama.feed_forward_length": FEED,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": 8,
        "llama.vocab_size": len(tokens),
        **changes,
    }
    metadata = {key: value for key, value in metadata.items() if value is not None}
    layer = {
        "attn_norm": (WIDTH,),
        "attn_q": (WIDTH, WIDTH),
        "attn_k": (WIDTH, WIDTH // 2),
        "attn_v": (WIDTH, WIDTH // 2),
        "attn_output": (WIDTH, WIDTH),
        "ffn_norm": (WIDTH,),
        "ffn_gate": (WIDTH, FEED),
        "ffn_up": (WIDTH, FEED),
        "ffn_down": (FEED, WIDTH),
    }
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (WIDTH, len(tokens)), "output_norm.weight": (WIDTH,)}
    shapes |= {f"blk.0.{name}.weight": shape for name, shape in layer.items()}
    out = struct.pack("<4sIQQ", b"GGUF", 3, len(shapes), len(metadata))
    out += b"".join(text(key) + value_of(value) for key, value in metadata.items())
    size = 0
    for name, shape in shapes.items():
        out += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, size)
        elements = 1
        for dimension in shape:
            elements *= dimension
        size += -(-elements * 4 // 32) * 32
    return out + bytes(-len(out) % 32) + bytes(size)
