"""What control tokens of chat models look like, for those who have a server's word only. Knows texts; no vocabulary and no format.

A vocabulary is asked for its control tokens where it can be. Where it cannot, whatever looks like one is taken for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

KNOWN: tuple[str, ...] = (
    "<s>", "</s>", "<unk>", "<pad>", "<mask>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>",
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>",
    "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>",
    "<|python_tag|>", "<|finetune_right_pad_id|>", "<|header_start|>", "<|header_end|>", "<|eot|>", "<|eom|>",
    "<|start|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|return|>", "<|call|>", "<|endofprompt|>",
    "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
    "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_CALLS]",
    "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CONTENT]", "[ARGS]", "[CALL_ID]", "[THINK]", "[/THINK]", "[IMG]", "[PREFIX]",
    "[MIDDLE]", "[SUFFIX]", "[BOS]", "[EOS]", "[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]",
    "<file_sep>", "<repo_name>", "<filename>", "<gh_stars>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<jupyter_start>",
    "<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>", "<\uff5cUser\uff5c>",
    "<\uff5cAssistant\uff5c>",
)  # fmt: skip
"""Control tokens of the families that puna writes, and of others; Phi, Qwen, Gemma, DeepSeek, Mistral and Llama by their
``tokenizer_config.json`` (read 2026-11-22 and 2026-11-28)."""

ORDINARY = frozenset({"<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"})
"""Tokens of their own that look like control tokens, but which vocabularies keep as ordinary text: they make no turns."""

ENDS = frozenset(
    {"</s>", "<eos>", "<end_of_turn>", "<|im_end|>", "<|end|>", "<|eot_id|>", "<|eot|>", "<|eom_id|>", "<|end_of_text|>", "<|return|>",
     "<|endoftext|>", "<\uff5cend\u2581of\u2581sentence\uff5c>"}
)  # fmt: skip
"""Control tokens that end an answer in some family."""

LONGEST = 64
"""Characters of the longest text that is taken for a control token by its look."""

_LOOK = (
    rf"<[|\uff5c][^<>\n]{{1,{LONGEST}}}[|\uff5c]>"  # <|im_end|>, and DeepSeek's with U+FF5C
    rf"|</?[A-Za-z][A-Za-z0-9_-]{{0,{LONGEST}}}>"  # <s>, <start_of_turn>
    rf"|\[/?[A-Z][A-Z0-9_]{{0,{LONGEST}}}\]"  # [INST]
)
_LOOKS = re.compile(_LOOK)


def looking_like(text: str) -> Iterator[str]:
    """Every stretch that a vocabulary might keep as a control token, overlapping ones too, in text order."""
    at = 0
    while (found := _LOOKS.search(text, at)) is not None:
        if found.group() not in ORDINARY:
            yield found.group()
        at = found.start() + 1


def is_marker(text: str) -> bool:
    """Whether a token of that text looks like a control token."""
    return text not in ORDINARY and _LOOKS.fullmatch(text) is not None


@lru_cache(maxsize=16)
def pattern_of(control: frozenset[str]) -> re.Pattern[str]:
    """Finds what could become a control token.

    control: the texts of a vocabulary's; where it is empty, those that are known here and all between ``<|`` and ``|>`` are found.
    """
    texts = sorted((control or frozenset(KNOWN)) - {""}, key=lambda text: (-len(text), text))
    named = "|".join(map(re.escape, texts))
    return re.compile(named if control else rf"{named}|<[|\uff5c][^<>\n]{{1,{LONGEST}}}[|\uff5c]>")
