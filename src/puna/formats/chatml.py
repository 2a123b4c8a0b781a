r"""ChatML, plain and as SmolLM2 and Qwen2.5 have it: every message alike, nothing trimmed, no BOS.

::

    <|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n

The generation prompt is the last header. Any order of roles is allowed, as in the models' own templates, and a dialog
that ends with an answer may be given a generation prompt: a second answer is then asked for.

SmolLM2 and Qwen2.5 put a system sentence of their own where a dialog does not begin with a system message; an empty
system message keeps it out. Reading drops the sentence again, so an own system message of exactly these words is the
one thing that does not come back; nor does a begun answer that is blank, which looks like the generation prompt.

Sources, read 2026-11-22: https://huggingface.co/teknium/OpenHermes-2.5-Mistral-7B,
https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct, https://huggingface.co/Qwen/Qwen2.5-7B-Instruct,
``chat_template`` of ``tokenizer_config.json``.
"""

from __future__ import annotations

from dataclasses import replace

from puna.formats.family import Family
from puna.formats.tags import Tags

START, END = "<|im_start|>", "<|im_end|>"


def _turn(role: str) -> Tags:
    return Tags(f"{START}{role}\n", f"{END}\n")


CHATML = Family(
    "chatml",
    "ChatML",
    _turn("user"),
    _turn("assistant"),
    _turn("system"),
    stops=(END,),
    generation=_turn("assistant").before,
)
SMOLLM2 = replace(
    CHATML,
    name="smollm2",
    title="SmolLM2",
    default="You are a helpful AI assistant named SmolLM, trained by Hugging Face",
)
QWEN25 = replace(
    CHATML,
    name="qwen2.5",
    title="Qwen2.5",
    default="You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
)
