r"""Phi-3, Phi-3.5 and Phi-4-mini: a tag with the role before each message, ``<|end|>`` after it. Nothing is trimmed.

::

    phi3, phi3.5    <|system|>\n{system}<|end|>\n<|user|>\n{user}<|end|>\n<|assistant|>\n
    phi4-mini       <|system|>{system}<|end|><|user|>{user}<|end|><|assistant|>

The templates write no BOS. A dialog without a generation prompt ends with ``<|endoftext|>``.

Revisions. ``phi3``: the template since July 2024, with a system turn; that of the launch in April 2024 had a BOS and
dropped system messages. ``phi3.5`` differs in leaving out an empty system message.

Sources, read 2026-11-22: https://huggingface.co/microsoft/Phi-3-mini-4k-instruct, .../Phi-3.5-mini-instruct,
.../Phi-4-mini-instruct, ``chat_template``.
"""

from __future__ import annotations

from dataclasses import replace

from puna.formats.family import Family
from puna.formats.tags import Tags

END, ENDING = "<|end|>", "<|endoftext|>"

PHI3 = Family(
    "phi3",
    "Phi-3",
    Tags("<|user|>\n", f"{END}\n"),
    Tags("<|assistant|>\n", f"{END}\n"),
    Tags("<|system|>\n", f"{END}\n"),
    stops=(END, ENDING),
    generation="<|assistant|>\n",
    ending=ENDING,
)
PHI35 = replace(PHI3, name="phi3.5", title="Phi-3.5", skips_empty_system=True)
PHI4_MINI = Family(
    "phi4-mini",
    "Phi-4-mini",
    Tags("<|user|>", END),
    Tags("<|assistant|>", END),
    Tags("<|system|>", END),
    stops=(END, ENDING),
    generation="<|assistant|>",
    ending=ENDING,
)
