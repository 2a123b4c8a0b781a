r"""Phi-4: the tags of ChatML with ``<|im_sep|>`` in place of line breaks. Nothing is trimmed, no BOS.

::

    <|im_start|>system<|im_sep|>{system}<|im_end|><|im_start|>user<|im_sep|>{user}<|im_end|>
    <|im_start|>assistant<|im_sep|>{answer}<|im_end|>

without the line break shown between them.

Revisions. ``phi4`` is the template that the model was published with, and that GGUF files carry: the assistant's header
is part of every user turn, asked for or not, and an answer that follows no user message has none. ``phi4-fixed`` is the
one that others ship since: every answer has its header, and a generation prompt is one more. The two write the same for
turns that alternate and end with the user. Whether the makers have taken the fix over could not be checked.

Sources, read 2026-11-22: https://huggingface.co/microsoft/phi-4, ``chat_template`` as in the GGUF files of phi4:14b;
https://github.com/unslothai/unsloth (015bdef0), ``unsloth/chat_templates.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from puna.formats.base import Parsed
from puna.formats.family import Family
from puna.formats.reader import read
from puna.formats.tags import Tags

END = "<|im_end|>"
_HEADER = "<|im_start|>assistant<|im_sep|>"

PHI4_FIXED = Family(
    "phi4-fixed",
    "Phi-4 (fixed)",
    Tags("<|im_start|>user<|im_sep|>", END),
    Tags(_HEADER, END),
    Tags("<|im_start|>system<|im_sep|>", END),
    stops=(END,),
    generation=_HEADER,
)


@dataclass(frozen=True)
class _Launch(Family):
    """Writes headers with the user turns; to a reader they look like everybody else's."""

    def parse(self, text: str) -> Parsed:
        """The dialog in a prompt, by the tags of ``phi4-fixed`` and the spelling of this one."""
        return read(self, text, tagged=PHI4_FIXED)


PHI4 = _Launch(
    "phi4",
    "Phi-4",
    Tags("<|im_start|>user<|im_sep|>", f"{END}{_HEADER}"),
    Tags("", END),
    PHI4_FIXED.system,
    stops=(END,),
)
