r"""Mistral, by tokenizer generation: v1, v3, v3 Tekken, v7, v7 Tekken, and the template of the first model.

::

    mistral-old         <s>[INST] {user} [/INST]{answer}</s> [INST] {user} [/INST]
    mistral-v1          <s> [INST] {system}\n\n{user} [/INST] {answer}</s> [INST] {user} [/INST]
    mistral-v3          <s>[INST] {user}[/INST] {answer}</s>[INST] {system}\n\n{user}[/INST]
    mistral-v3-tekken   <s>[INST]{user}[/INST]{answer}</s>[INST]{system}\n\n{user}[/INST]
    mistral-v7          <s>[SYSTEM_PROMPT] {system}[/SYSTEM_PROMPT][INST] {user}[/INST] {answer}</s>
    mistral-v7-tekken   <s>[SYSTEM_PROMPT]{system}[/SYSTEM_PROMPT][INST]{user}[/INST]{answer}</s>

There is no marker of the assistant's turn. Nothing is trimmed, but for the answers of v3. v1 has the system text in the
first user message, v3 in the last one: there a new turn changes the text of the one before, and a dialog that ends with
an answer has no system text at all (``remarks`` says so). No text tells such a system text from the user's, so it comes
back as part of the user message. mistral-old has no system message. All but v7 demand that user and assistant alternate.

Revisions. The makers publish two things that differ: templates on Hugging Face, and their library mistral-common, which
joins neighbours of one role with a blank line, never trims, and keeps the system text also before an answer. These here
are the templates, since they are what other servers run: Mistral-7B-Instruct-v0.1 (old), Mixtral-8x7B-Instruct-v0.1 and
Mistral-7B-Instruct-v0.2 (v1), Mistral-Large-Instruct-2407 (v3), Mistral-Nemo-Instruct-2407 (v3 Tekken),
Mistral-Large-Instruct-2411 (v7), Mistral-Small-24B-Instruct-2501 of January 2025, without the default system prompt that
later revisions add (v7 Tekken). Mistral-7B-Instruct-v0.3 came with a template that drops system messages; it is not here.

Sources, read 2026-11-22: ``chat_template`` of the models named, and https://github.com/mistralai/mistral-common
(bc022b91), ``tests/data/chat_templates``.
"""

from __future__ import annotations

from dataclasses import replace

from puna.formats.family import Family
from puna.formats.tags import Tags
from puna.formats.turns import Place

BOS, EOS = "<s>", "</s>"
V7 = Family(
    "mistral-v7",
    "Mistral v7",
    Tags("[INST] ", "[/INST]"),
    Tags(" ", EOS),
    Tags("[SYSTEM_PROMPT] ", "[/SYSTEM_PROMPT]"),
    stops=(EOS,),
    bos=BOS,
)
V7_TEKKEN = replace(
    V7,
    name="mistral-v7-tekken",
    title="Mistral v7 Tekken",
    user=Tags("[INST]", "[/INST]"),
    assistant=Tags("", EOS),
    system=Tags("[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
)
_BEFORE_V7 = replace(V7, system=None, alternates=True)
V3 = replace(
    _BEFORE_V7, name="mistral-v3", title="Mistral v3", assistant=Tags(" ", EOS, trim=True), place=Place.LAST_USER
)
V3_TEKKEN = replace(
    V3,
    name="mistral-v3-tekken",
    title="Mistral v3 Tekken",
    user=Tags("[INST]", "[/INST]"),
    assistant=Tags("", EOS),
)
V1 = replace(
    _BEFORE_V7, name="mistral-v1", title="Mistral v1", user=Tags(" [INST] ", " [/INST]"), place=Place.FIRST_USER
)
OLD = replace(
    _BEFORE_V7,
    name="mistral-old",
    title="Mistral 7B v0.1",
    user=Tags("[INST] ", " [/INST]"),
    assistant=Tags("", "</s> "),
    place=Place.NONE,
)
