"""How many bytes ggml's tensor types take, and what llama.cpp calls a file's mix of them. Two tables, nothing else.

Sources, read 2026-11-22: ``GGML_QUANT_SIZES`` of ggml's gguf-py, ``llama_ftype`` of llama.cpp's llama.h.
"""

from __future__ import annotations

_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84),
    11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74),
    18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2),
    26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17),
    40: (64, 36), 41: (128, 18),
}  # fmt: skip
"""Tensor type: elements in a block, bytes of a block."""

_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE", 39: "NVFP4", 40: "Q1_0",
}  # fmt: skip


def tensor_bytes(kind: int, elements: int) -> int:
    """Bytes that so many elements of a tensor type take.

    0 for a type that is not in the table: llama.cpp adds types, and a newer engine may well know it, so such a tensor
    only has to start inside the file.
    """
    block, size = _BLOCKS.get(kind, (1, 0))
    return -(-elements // block) * size


def file_type_name(number: object) -> str | None:
    """llama.cpp's name for ``general.file_type``, ``type N`` for one that is not in the table, None for none."""
    if not isinstance(number, int) or isinstance(number, bool):
        return None
    return _FILE_TYPES.get(number, f"type {number}")
