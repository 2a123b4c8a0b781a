r"""Gemma 2 and 3: turns of the user and of the model, each stripped; no system turn.

::

    <bos><start_of_turn>user\n{user}<end_of_turn>\n<start_of_turn>model\n{answer}<end_of_turn>\n

Gemma 2 refuses a dialog that begins with a system message. Gemma 3 writes ``{system}\n\n`` before the first user text,
unstripped; no tag tells it from the user's, so it comes back as part of the user message. Whitespace at an end gives it
away, since the user's is stripped; it then ends at the first blank line that words follow. A system text that begins
with whitespace and has such a blank line inside is cut there: its text is that of a shorter one before a longer question.
Both demand that user and model alternate, but their templates let a system message pass where the model should speak,
and write it as a turn of the role ``system``, which the models do not know; ``remarks`` says so.

Revisions: google/gemma-2-2b-it and google/gemma-3-270m-it. GGUF files of gemma3:1b carry a copy that fails on every
system message.

Sources, read 2026-11-22: https://huggingface.co/google/gemma-2-2b-it and https://huggingface.co/google/gemma-3-270m-it,
``chat_template``; advice on system texts: https://ai.google.dev/gemma/docs/core/prompt-structure.
"""

from __future__ import annotations

from dataclasses import replace

from puna.formats.family import Family
from puna.formats.tags import Tags
from puna.formats.turns import Place

END = "<end_of_turn>"


def _turn(role: str) -> Tags:
    return Tags(f"<start_of_turn>{role}\n", f"{END}\n", trim=True)


GEMMA2 = Family(
    "gemma2",
    "Gemma 2",
    _turn("user"),
    _turn("model"),
    None,
    stops=(END,),
    bos="<bos>",
    generation=_turn("model").before,
    place=Place.NONE,
    late_system=_turn("system"),
    alternates=True,
)
GEMMA3 = replace(GEMMA2, name="gemma3", title="Gemma 3", place=Place.FIRST_USER)
