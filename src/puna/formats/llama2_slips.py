"""What people write otherwise than Llama 2 says: code, severity, sentence. Knows nothing of how a slip is found.

The codes are stable. Those that public bug reports have a name for are called as there; sources are in the reports
of vLLM, llama.cpp, transformers, FastChat and axolotl on Llama 2 prompts, read 2026-11-22.
"""

from __future__ import annotations

from puna.formats.slips import ERROR, WARNING, Table

SLIPS: Table = {
    "no-bos": (WARNING, "the prompt starts without <s>; write it, unless the server's tokenizer adds it"),
    "double-bos": (ERROR, "<s> stands twice, and the model never saw that; write it once for each [INST]"),
    "dangling-bos": (ERROR, "the prompt ends with an <s> that no [INST] follows; remove it"),
    "bos-only-once": (ERROR, "this turn starts without <s>; every [INST] has its own <s>, not only the first"),
    "stray-eos": (ERROR, "</s> stands where no answer ends; remove it"),
    "no-eos-in-history": (ERROR, "the answer before this turn is not ended; write a space and </s> after it"),
    "backslash-s-typo": (ERROR, "<\\s> is ordinary text to the model; a turn ends with </s>"),
    "backslash-inst-typo": (ERROR, "[\\INST] is ordinary text to the model; write [/INST]"),
    "backslash-sys-typo": (ERROR, "<<\\SYS>> is ordinary text to the model; write <</SYS>>"),
    "space-before-bos": (WARNING, "whitespace stands before the first <s>; the prompt starts with <s> itself"),
    "leading-space": (WARNING, "whitespace stands between <s> and [INST]; write them together"),
    "space-between-turns": (WARNING, "a space stands between two turns; write </s><s> together"),
    "newline-between-turns": (WARNING, "a line break stands between two turns; write </s><s> together"),
    "trailing-space": (WARNING, "a space stands at the end of the prompt; the model writes that space itself"),
    "trailing-newline": (WARNING, "a line break stands at the end of the prompt; end with [/INST] itself"),
    "no-space-after-inst": (WARNING, "no space follows [INST]; write exactly one"),
    "no-space-before-close": (WARNING, "no space stands before [/INST]; write exactly one"),
    "no-space-after-close": (WARNING, "no space stands between [/INST] and the answer; write exactly one"),
    "no-space-before-eos": (WARNING, "no space stands between the answer and </s>; write exactly one"),
    "unstripped-contents": (
        WARNING,
        "other whitespace than one space stands between a tag and the text; write one space",
    ),
    "double-inst": (ERROR, "[INST] stands twice; write it once"),
    "double-inst-close": (ERROR, "[/INST] stands twice; write it once"),
    "missing-inst": (ERROR, "[/INST] ends a user message that no [INST] began; write [INST] and a space before it"),
    "missing-inst-close": (ERROR, "[INST] is never closed; write a space and [/INST] after the user's text"),
    "inst-open-tag-twice": (ERROR, "[INST] stands where [/INST] belongs"),
    "missing-answer": (ERROR, "two user turns follow each other; join them, or write the answer between them"),
    "text-outside-turn": (
        ERROR,
        "this text stands outside [INST] ... [/INST]; it is read as the user's, put it inside",
    ),
    "tag-in-content": (WARNING, "this tag stands inside a message; a server that takes text makes a turn of it"),
    "system-own-inst": (ERROR, "the system prompt has an [INST] block of its own; put it into the first user turn"),
    "system-outside-inst": (ERROR, "the system prompt stands outside [INST]; put it right after the first [INST]"),
    "system-one-newline": (WARNING, "one line break follows <</SYS>>; write exactly two"),
    "system-no-newlines": (WARNING, "a line break is missing at a system tag; write <<SYS>>\\n...\\n<</SYS>>\\n\\n"),
    "system-blank-line": (WARNING, "the blank line after <</SYS>> is not empty; write exactly two line breaks"),
    "system-open-tag-twice": (ERROR, "<<SYS>> stands where <</SYS>> belongs"),
    "missing-system-open": (ERROR, "<</SYS>> ends a system prompt that no <<SYS>> began; write <<SYS>> before it"),
    "missing-system-close": (ERROR, "<<SYS>> is never closed; write <</SYS>> where the system prompt ends"),
    "system-repeated": (WARNING, "the system prompt stands here again; Llama 2 has it in the first turn only"),
    "system-not-first": (ERROR, "a system prompt stands after other text; Llama 2 has one, at the very beginning"),
}
"""Every slip that the reader of Llama 2 can report."""
