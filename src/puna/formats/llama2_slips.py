"""What people write otherwise than Llama 2 says, with an example of each. Knows nothing of how a slip is found.

The codes are stable. Those that public bug reports have a name for are called as there; sources are in the reports
of vLLM, llama.cpp, transformers, FastChat and axolotl on Llama 2 prompts, read 2026-11-22.
"""

from __future__ import annotations

from puna.formats.slips import ERROR, NOTE, WARNING, Slip, Table


def _slip(severity: str, message: str, example: str) -> Slip:
    return Slip(severity, message, example, "llama2")


SLIPS: Table = {
    "no-bos": _slip(
        WARNING, "the prompt starts without <s>; write it, unless the server's tokenizer adds it", "[INST] q [/INST]"
    ),
    "double-bos": _slip(
        ERROR, "<s> stands twice, and the model never saw that; write it once for each [INST]", "<s><s>[INST] q [/INST]"
    ),
    "dangling-bos": _slip(
        ERROR, "the prompt ends with an <s> that no [INST] follows; remove it", "<s>[INST] q [/INST] a </s><s>"
    ),
    "bos-only-once": _slip(
        ERROR,
        "this turn starts without <s>; every [INST] has its own <s>, not only the first",
        "<s>[INST] q [/INST] a </s>[INST] r [/INST]",
    ),
    "stray-eos": _slip(
        ERROR, "</s> stands where no answer ends; remove it", "<s>[INST] q [/INST] a </s></s><s>[INST] r [/INST]"
    ),
    "no-eos-in-history": _slip(
        ERROR,
        "the answer before this turn is not ended; write a space and </s> after it",
        "<s>[INST] q [/INST] a <s>[INST] r [/INST]",
    ),
    "foreign-end": _slip(
        ERROR,
        "another family's tag ends the answer; write a space and </s>",
        "<s>[INST] q [/INST] a<|im_end|><s>[INST] r [/INST]",
    ),
    "backslash-s-typo": _slip(
        ERROR,
        "<\\s> is ordinary text to the model; a turn ends with </s>",
        "<s>[INST] q [/INST] a <\\s><s>[INST] r [/INST]",
    ),
    "backslash-inst-typo": _slip(
        ERROR, "[\\INST] is ordinary text to the model; write [/INST]", "<s>[INST] q [\\INST]"
    ),
    "backslash-sys-typo": _slip(
        ERROR, "<<\\SYS>> is ordinary text to the model; write <</SYS>>", "<s>[INST] <<SYS>>\nx\n<<\\SYS>>\n\nq [/INST]"
    ),
    "space-before-bos": _slip(
        WARNING, "whitespace stands before the first <s>; the prompt starts with <s> itself", " <s>[INST] q [/INST]"
    ),
    "leading-space": _slip(
        WARNING, "whitespace stands between <s> and [INST]; write them together", "<s> [INST] q [/INST]"
    ),
    "space-between-turns": _slip(
        WARNING,
        "a space stands between two turns; write </s><s> together",
        "<s>[INST] q [/INST] a </s> <s>[INST] r [/INST]",
    ),
    "newline-between-turns": _slip(
        WARNING,
        "a line break stands between two turns; write </s><s> together",
        "<s>[INST] q [/INST] a </s>\n<s>[INST] r [/INST]",
    ),
    "trailing-space": _slip(
        WARNING, "a space stands at the end of the prompt; the model writes that space itself", "<s>[INST] q [/INST] "
    ),
    "trailing-newline": _slip(
        WARNING, "a line break stands at the end of the prompt; end with [/INST] itself", "<s>[INST] q [/INST]\n"
    ),
    "no-space-after-inst": _slip(WARNING, "no space follows [INST]; write exactly one", "<s>[INST]q [/INST]"),
    "no-space-before-close": _slip(WARNING, "no space stands before [/INST]; write exactly one", "<s>[INST] q[/INST]"),
    "no-space-after-close": _slip(
        WARNING, "no space stands between [/INST] and the answer; write exactly one", "<s>[INST] q [/INST]a </s>"
    ),
    "no-space-before-eos": _slip(
        WARNING, "no space stands between the answer and </s>; write exactly one", "<s>[INST] q [/INST] a</s>"
    ),
    "unstripped-contents": _slip(
        WARNING,
        "other whitespace than one space stands between a tag and the text; write one space",
        "<s>[INST]  q\n[/INST]",
    ),
    "double-inst": _slip(ERROR, "[INST] stands twice; write it once", "<s>[INST] [INST] q [/INST]"),
    "double-inst-close": _slip(ERROR, "[/INST] stands twice; write it once", "<s>[INST] q [/INST] [/INST]"),
    "missing-inst": _slip(
        ERROR, "[/INST] ends a user message that no [INST] began; write [INST] and a space before it", "<s>q [/INST]"
    ),
    "missing-inst-close": _slip(
        ERROR, "[INST] is never closed; write a space and [/INST] after the user's text", "<s>[INST] q"
    ),
    "inst-open-tag-twice": _slip(ERROR, "[INST] stands where [/INST] belongs", "<s>[INST] q [INST]"),
    "missing-answer": _slip(
        ERROR,
        "two user turns follow each other; join them, or write the answer between them",
        "<s>[INST] q [/INST]<s>[INST] r [/INST]",
    ),
    "text-outside-turn": _slip(
        ERROR,
        "this text stands outside [INST] ... [/INST]; it is read as the user's, put it inside",
        "Be kind. <s>[INST] q [/INST]",
    ),
    "system-own-inst": _slip(
        ERROR,
        "the system prompt has an [INST] block of its own; put it into the first user turn",
        "<s>[INST] <<SYS>>\nx\n<</SYS>> [/INST]<s>[INST] q [/INST]",
    ),
    "system-outside-inst": _slip(
        ERROR,
        "the system prompt stands outside [INST]; put it right after the first [INST]",
        "<<SYS>>\nx\n<</SYS>>\n\n<s>[INST] q [/INST]",
    ),
    "system-one-newline": _slip(
        WARNING, "one line break follows <</SYS>>; write exactly two", "<s>[INST] <<SYS>>\nx\n<</SYS>>\nq [/INST]"
    ),
    "system-no-newlines": _slip(
        WARNING,
        "a line break is missing at a system tag; write <<SYS>>\\n...\\n<</SYS>>\\n\\n",
        "<s>[INST] <<SYS>>x<</SYS>>q [/INST]",
    ),
    "system-blank-line": _slip(
        WARNING,
        "the blank line after <</SYS>> is not empty; write exactly two line breaks",
        "<s>[INST] <<SYS>>\nx\n<</SYS>>\n \nq [/INST]",
    ),
    "system-space-before-user": _slip(
        NOTE,
        "whitespace stands between the blank line after <</SYS>> and the text; Llama 2 keeps it, but few mean it",
        "<s>[INST] <<SYS>>\nx\n<</SYS>>\n\n q [/INST]",
    ),
    "system-open-tag-twice": _slip(
        ERROR, "<<SYS>> stands where <</SYS>> belongs", "<s>[INST] <<SYS>>\nx\n<<SYS>>\n\nq [/INST]"
    ),
    "missing-system-open": _slip(
        ERROR,
        "<</SYS>> ends a system prompt that no <<SYS>> began; write <<SYS>> before it",
        "<s>[INST] x\n<</SYS>>\n\nq [/INST]",
    ),
    "missing-system-close": _slip(
        ERROR,
        "<<SYS>> is never closed; write <</SYS>> where the system prompt ends",
        "<s>[INST] <<SYS>>\nx\n\nq [/INST]",
    ),
    "system-repeated": _slip(
        WARNING,
        "the system prompt stands here again; Llama 2 has it in the first turn only",
        "<s>[INST] <<SYS>>\nx\n<</SYS>>\n\nq [/INST] a </s><s>[INST] <<SYS>>\nx\n<</SYS>>\n\nr [/INST]",
    ),
    "system-not-first": _slip(
        ERROR,
        "a system prompt stands after other text; Llama 2 has one, at the very beginning",
        "<s>[INST] q <<SYS>>\nx\n<</SYS>> [/INST]",
    ),
    "tag-in-content": _slip(
        WARNING,
        "this tag stands inside a message; a server that takes text makes a turn of it",
        "<s>[INST] What is </s> for? [/INST]",
    ),
}
"""Every slip that the reader of Llama 2 can report."""
