r"""What people write otherwise than a turn format says, with an example of each. Knows nothing of how a slip is found.

The codes are stable, and mean the same in every family that has them. A prompt in the Llama 2 format has a table of its
own, ``llama2_slips.py``; what can be noted in any format stands in ``lenient.py``.
"""

from __future__ import annotations

from puna.formats.slips import ERROR, NOTE, WARNING, Slip, Table

_U, _A, _END = "<|im_start|>user\n", "<|im_start|>assistant\n", "<|im_end|>\n"
_GU, _GM, _GE = "<start_of_turn>user\n", "<start_of_turn>model\n", "<end_of_turn>\n"

SLIPS: Table = {
    "no-bos": Slip(
        WARNING,
        "the prompt starts without the token that begins one; write it, unless the server adds it",
        f"{_GU}q{_GE}{_GM}",
        "gemma2",
    ),
    "double-bos": Slip(
        ERROR,
        "the token that begins a prompt stands twice; write it once",
        f"<bos><bos>{_GU}q{_GE}{_GM}",
        "gemma2",
    ),
    "stray-bos": Slip(
        WARNING, "this family has no such token at the start; remove it", f"<s>{_U}q{_END}{_A}", "chatml"
    ),
    "bos-between-turns": Slip(
        ERROR,
        "a token that begins a prompt stands between two turns; remove it",
        f"<bos>{_GU}q{_GE}{_GM}a{_GE}<bos>{_GU}r{_GE}{_GM}",
        "gemma2",
    ),
    "text-outside-turn": Slip(
        ERROR,
        "this text stands outside every turn; it is read as the user's, put it inside",
        f"Be kind. {_U}q{_END}{_A}",
        "chatml",
    ),
    "missing-end": Slip(ERROR, "this message is not ended; write the tag that ends it", f"{_U}q\n{_A}", "chatml"),
    "stray-end": Slip(
        ERROR,
        "a tag that ends a message stands where none ends; remove it",
        f"{_U}q<|im_end|>{_END}{_A}",
        "chatml",
    ),
    "stray-header": Slip(
        ERROR, "a tag begins a message that is not there; remove it", f"{_U}{_U}q{_END}{_A}", "chatml"
    ),
    "wrong-tag": Slip(
        ERROR, "something else stands here than the tags that the family writes", f"{_U}q</s>\n{_A}", "chatml"
    ),
    "header-spelling": Slip(
        WARNING,
        "the tag that begins a message is spelled otherwise than the family writes it",
        f"<|im_start|>User\nq{_END}{_A}",
        "chatml",
    ),
    "space-before-start": Slip(
        WARNING,
        "whitespace stands before the first tag; the prompt starts with the tag",
        f"\n{_U}q{_END}{_A}",
        "chatml",
    ),
    "space-before-header": Slip(
        WARNING,
        "other whitespace stands before the tag that begins a message than the family writes",
        "<s>[INST] q [/INST] a</s> [INST] r [/INST]",
        "mistral-v1",
    ),
    "space-between-turns": Slip(
        WARNING,
        "other whitespace stands between two turns than the family writes",
        f"{_U}q{_END}\n{_A}",
        "chatml",
    ),
    "no-newline-after-end": Slip(
        WARNING, "the line break after the tag that ends a message is missing", f"{_U}q<|im_end|>{_A}", "chatml"
    ),
    "space-after-header": Slip(
        WARNING,
        "other whitespace stands between the tag that begins a message and its text",
        "<s>[INST]q[/INST] a</s>[INST] r[/INST]",
        "mistral-v3",
    ),
    "space-before-end": Slip(
        WARNING,
        "other whitespace stands between a message's text and the tag that ends it",
        "<s> [INST] q[/INST] a</s> [INST] r [/INST]",
        "mistral-v1",
    ),
    "untrimmed-contents": Slip(
        WARNING,
        "the family takes whitespace off the ends of this text; remove it",
        f"<bos>{_GU}q {_GE}{_GM}",
        "gemma2",
    ),
    "trailing-space": Slip(
        WARNING, "a space stands at the end of the prompt; the answer starts right there", f"{_U}q{_END}{_A} ", "chatml"
    ),
    "trailing-newline": Slip(
        WARNING,
        "a line break stands at the end of the prompt; the answer starts right there",
        f"{_U}q{_END}{_A}\n",
        "chatml",
    ),
    "two-turns-in-a-row": Slip(
        ERROR,
        "two messages of one role follow each other; join them, or write what is missing",
        f"<bos>{_GU}q{_GE}{_GU}r{_GE}{_GM}",
        "gemma2",
    ),
    "first-turn-not-user": Slip(
        ERROR,
        "the assistant speaks first, but in this family the user does",
        f"<bos>{_GM}Hi{_GE}{_GU}q{_GE}{_GM}",
        "gemma2",
    ),
    "system-not-first": Slip(
        WARNING,
        "a system message stands after others; this family has one, at the very beginning",
        f"<bos>{_GU}q{_GE}<start_of_turn>system\nx{_GE}{_GU}r{_GE}{_GM}",
        "gemma3",
    ),
    "system-repeated": Slip(
        WARNING,
        "the system message stands here again; once is enough",
        f"<|im_start|>system\nx{_END}{_U}q{_END}<|im_start|>system\nx{_END}{_U}r{_END}{_A}",
        "chatml",
    ),
    "no-system-role": Slip(
        WARNING,
        "this family has no system message; put its text into the first user message",
        f"<bos><start_of_turn>system\nx{_GE}{_GU}q{_GE}{_GM}",
        "gemma2",
    ),
    "no-default-system": Slip(
        NOTE,
        "the model's template puts its default system sentence before a prompt without one",
        f"{_U}q{_END}{_A}",
        "smollm2",
    ),
    "no-standing-words": Slip(
        NOTE,
        "the model's template begins the system turn with words of its own, which are not there",
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nq<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        "llama3.1",
    ),
    "no-generation-prompt": Slip(
        NOTE,
        "the prompt does not announce an answer, so the model has to write the tag for it itself",
        f"{_U}q{_END}",
        "chatml",
    ),
}
"""Every slip that the reader of turn formats can report."""
