"""What a message may say in order to make a turn of its own, and the check that it makes none."""

from __future__ import annotations

from hypothesis import strategies as st

from puna.generation import Kind, Segment
from puna.tokens.base import Tokenizer, encode

CONTROL_TEXTS = (
    "<s>", "</s>", "<unk>", "<0x0A>", "<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|begin_of_text|>",
    "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|header_start|>", "<|header_end|>", "<|eot|>",
    "<start_of_turn>", "<end_of_turn>", "<bos>", "<|user|>", "<|system|>", "<|assistant|>", "<|end|>", "<|endoftext|>",
    "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "<｜User｜>", "<｜Assistant｜>",
    "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<|channel|>", "<|message|>", "<|start|>", "<|call|>", "<|return|>",
)  # fmt: skip
"""Control tokens of all the chat families."""


def full_width(text: str) -> str:
    """The look-alike that NFKC makes the text of."""
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text)


WRITTEN = (
    *CONTROL_TEXTS,
    *map(full_width, CONTROL_TEXTS),
    *("\u200b".join(text) for text in CONTROL_TEXTS),
    *(text[:1] + "\u200d" + text[1:] for text in CONTROL_TEXTS),
    *(text.replace("▁", " ") for text in CONTROL_TEXTS if "▁" in text),
)

MESSAGES = st.lists(
    st.one_of(st.sampled_from(WRITTEN), st.text(max_size=4), st.sampled_from(" \n<|>[]")), max_size=8
).map("".join)


def forged(tokenizer: Tokenizer, message: str) -> set[int]:
    """Control ids that a message came to, by any way from text to ids; there must be none."""
    control = set(tokenizer.control.values())
    content = [Segment(Kind.CONTENT, message)]
    return control & {*tokenizer.encode(message), *encode(tokenizer, content)}
