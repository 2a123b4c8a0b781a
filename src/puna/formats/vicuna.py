r"""Vicuna v1.1 and later: roles as words, one line of text, ``</s>`` after each answer.

::

    <s>{system} USER: {user} ASSISTANT: {answer}</s>USER: {user} ASSISTANT:

Nothing is trimmed; there is no space between ``</s>`` and ``USER:``. A dialog without a system message gets a sentence of
the family's own. User and assistant alternate; a system message where the assistant should speak is written as an answer
(``remarks`` says so). The words ``USER:`` and ``ASSISTANT:`` are plain text: no vocabulary tells them from a user's.

There is no template by the makers: the reference is ``vicuna_v1.1`` of https://github.com/lm-sys/FastChat (0e6d3e4b),
``fastchat/conversation.py``, read 2026-11-22. Its text has no first ``<s>``, which the tokenizer adds there.
"""

from __future__ import annotations

from puna.formats.family import Family
from puna.formats.tags import Tags

EOS = "</s>"
_ANSWER = Tags("ASSISTANT: ", EOS)

VICUNA = Family(
    "vicuna",
    "Vicuna",
    Tags("USER: ", " "),
    _ANSWER,
    Tags("", " "),
    stops=(EOS,),
    bos="<s>",
    generation="ASSISTANT:",
    late_system=_ANSWER,
    default=(
        "A chat between a curious user and an artificial intelligence assistant. "
        "The assistant gives helpful, detailed, and polite answers to the user's questions."
    ),
    alternates=True,
)
