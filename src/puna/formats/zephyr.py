r"""Zephyr, and TinyLlama with the same template: a tag with the role, a line break, ``</s>`` after each message.

::

    <|system|>\n{system}</s>\n<|user|>\n{user}</s>\n<|assistant|>\n{answer}</s>\n

Nothing is trimmed, no BOS. The tags are plain text to the Llama vocabulary; only ``</s>`` is a token.

Sources, read 2026-11-22: https://huggingface.co/HuggingFaceH4/zephyr-7b-beta and
https://huggingface.co/TinyLlama/TinyLlama-1.1B-Chat-v1.0, ``chat_template``, byte for byte the same. They are right only
with the ``trim_blocks`` and ``lstrip_blocks`` of transformers.
"""

from __future__ import annotations

from dataclasses import replace

from puna.formats.family import Family
from puna.formats.tags import Tags

EOS = "</s>"


def _turn(role: str) -> Tags:
    return Tags(f"<|{role}|>\n", f"{EOS}\n")


ZEPHYR = Family(
    "zephyr",
    "Zephyr",
    _turn("user"),
    _turn("assistant"),
    _turn("system"),
    stops=(EOS,),
    generation=_turn("assistant").before,
)
TINYLLAMA = replace(ZEPHYR, name="tinyllama", title="TinyLlama")
