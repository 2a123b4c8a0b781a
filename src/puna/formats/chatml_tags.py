"""The two tags of ChatML, shared by the writer and the reader so that they stay inverses of each other.

Source: https://github.com/openai/openai-python/blob/v0.27.0/chatml.md, as known on 2026-11-22.
"""

from __future__ import annotations

START, END = "<|im_start|>", "<|im_end|>"
