r"""DeepSeek V2, V3 and R1. Nothing is trimmed; the bars in the tags are U+FF5C, the low lines U+2581.

::

    deepseek-v2   <｜begin▁of▁sentence｜>{system}\n\nUser: {user}\n\nAssistant: {answer}<｜end▁of▁sentence｜>User: ...
    deepseek-v3   <｜begin▁of▁sentence｜>{system}<｜User｜>{user}<｜Assistant｜>{answer}<｜end▁of▁sentence｜><｜User｜>...

The generation prompt is ``Assistant:`` without a space, or ``<｜Assistant｜>``. V2 writes a system message wherever it
stands; no tag tells it from the text around it, so only the first comes back. V3 and R1 write all system texts at the
very beginning, a blank line between two; they come back as one.

``deepseek-r1`` leaves out of an answer in the history what stands before ``</think>``; ``remarks`` says so. It is the
revision of January 2025: since February the prompt ends with ``<think>`` and a line break, which is not here.

Sources, read 2026-11-22: https://huggingface.co/deepseek-ai/DeepSeek-V2-Lite-Chat, .../DeepSeek-V3, .../DeepSeek-R1,
``chat_template``.
"""

from __future__ import annotations

from dataclasses import replace

from puna.formats.family import Family
from puna.formats.tags import Tags
from puna.formats.turns import Place

BOS = "<\uff5cbegin\u2581of\u2581sentence\uff5c>"
EOS = "<\uff5cend\u2581of\u2581sentence\uff5c>"

V2 = Family(
    "deepseek-v2",
    "DeepSeek V2",
    Tags("User: ", "\n\n"),
    Tags("Assistant: ", EOS),
    Tags("", "\n\n"),
    stops=(EOS,),
    bos=BOS,
    generation="Assistant:",
)
V3 = Family(
    "deepseek-v3",
    "DeepSeek V3",
    Tags("<\uff5cUser\uff5c>", ""),
    Tags("<\uff5cAssistant\uff5c>", EOS),
    Tags("", ""),
    stops=(EOS,),
    bos=BOS,
    generation="<\uff5cAssistant\uff5c>",
    place=Place.FRONT,
)
R1 = replace(V3, name="deepseek-r1", title="DeepSeek R1", thought_end="</think>")
