r"""Llama 4: as Llama 3, with shorter tags and without the dates.

::

    <|begin_of_text|><|header_start|>system<|header_end|>\n\n{system}<|eot|>
    <|header_start|>user<|header_end|>\n\n{user}<|eot|><|header_start|>assistant<|header_end|>\n\n

without the line break that is shown after ``{system}<|eot|>``. The first system text is stripped, nothing else is.

The template works out a date and never writes it, so there is none here.

Source, read 2026-11-22: https://huggingface.co/meta-llama/Llama-4-Scout-17B-16E-Instruct, ``chat_template``.
"""

from __future__ import annotations

from puna.formats.family import Family
from puna.formats.tags import Tags

EOT = "<|eot|>"


def _turn(role: str, *, trim: bool = False) -> Tags:
    return Tags(f"<|header_start|>{role}<|header_end|>\n\n", EOT, trim)


LLAMA4 = Family(
    "llama4",
    "Llama 4",
    _turn("user"),
    _turn("assistant"),
    _turn("system", trim=True),
    stops=(EOT,),
    bos="<|begin_of_text|>",
    generation=_turn("assistant").before,
    late_system=_turn("system"),
)
