"""Prompts, system prompts and continuations as an experiment's file declares them. Knows keys and their rules; no grid, no cases."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from puna.errors import InputError
from puna.experiments import template
from puna.experiments.file import Given, distinct
from puna.experiments.plan import Continuation, PromptTemplate, SystemPrompt
from puna.messages import Dialog, Message, Role, dialog_of

PROMPT_KEYS = ("name", "user", "system", "messages", "text", "raw")
_ONE_OF = ("user", "messages", "text")


def prompts_of(given: Given) -> tuple[PromptTemplate, ...]:
    """The prompts of ``[[prompts]]``; a bare text is a user message.

    Raises:
        InputError: an unknown key, a prompt with nothing or too much to ask, two of one name.
    """
    entries = given.entries()
    found = tuple(_prompt(entry, _numbered("prompt", n, entries)) for n, entry in enumerate(entries))
    distinct("prompts", ((entry, prompt.name) for entry, prompt in zip(entries, found, strict=True)))
    _different(entries, [(prompt.messages, prompt.text, prompt.raw) for prompt in found], "prompt")
    return found


def prompt_of(given: Given, name: str = "prompt") -> PromptTemplate:
    """One prompt from a table with some of ``PROMPT_KEYS``. name: where the table has none.

    Raises:
        InputError: see ``prompts_of``.
    """
    return _prompt(given, name)


def systems_of(given: Given) -> tuple[SystemPrompt, ...]:
    """The system prompts of ``[[system]]``; a bare text is one.

    Raises:
        InputError: an unknown key, two of one name.
    """
    entries = given.entries()
    found = tuple(_system(entry, _numbered("system", n, entries)) for n, entry in enumerate(entries))
    distinct("system prompts", ((entry, system.name) for entry, system in zip(entries, found, strict=True)))
    _different(entries, [system.text for system in found], "system prompt")
    return found


def continuations_of(given: Given) -> tuple[Continuation, ...]:
    """The texts of ``[[continuations]]``; a bare text is its own name.

    Raises:
        InputError: an unknown key, an empty text, two of one name.
    """
    entries = given.entries()
    found = tuple(_continuation(entry) for entry in entries)
    distinct("continuations", ((entry, each.name) for entry, each in zip(entries, found, strict=True)))
    return found


def _different(entries: Sequence[Given], asked: Sequence[Hashable], kind: str) -> None:
    """Refuse what is there already: its answers would count as further ones, but be the same."""
    seen: dict[Hashable, Given] = {}
    for entry, what in zip(entries, asked, strict=True):
        if what in seen:
            raise entry.refused(f"{entry.key} is the same {kind} as {seen[what].key}; leave one of them out")
        seen[what] = entry


def _numbered(kind: str, n: int, entries: Sequence[Given]) -> str:
    return kind if len(entries) == 1 else f"{kind} {n + 1}"


def _prompt(given: Given, name: str) -> PromptTemplate:
    if isinstance(given.value, str):
        return PromptTemplate(name, messages=Dialog((Message(Role.USER, _template(given)),)))
    inside = given.table("key of a prompt", PROMPT_KEYS)
    ways = [key for key in _ONE_OF if key in inside]
    if len(ways) != 1:
        came = " and ".join(ways) or "none of them"
        raise given.refused(f"{given.key} must have one of user, messages and text, but it has {came}")
    if "name" in inside:
        name = inside["name"].label()
    if ways == ["text"]:
        return _written(inside, name)
    if "raw" in inside:
        raise inside["raw"].refused(
            f"{inside['raw'].key} belongs to a text; messages are written in the model's format"
        )
    return PromptTemplate(name, messages=_messages(inside))


def _written(inside: dict[str, Given], name: str) -> PromptTemplate:
    if "system" in inside:
        own = inside["system"]
        raise own.refused(f"{own.key} belongs to a prompt of messages; write the system message into the text")
    if not _template(inside["text"]):
        raise inside["text"].must("a text to send")
    raw = inside["raw"].flag() if "raw" in inside else False
    return PromptTemplate(name, text=inside["text"].text(), raw=raw)


def _messages(inside: dict[str, Given]) -> Dialog:
    if "user" in inside:
        dialog = Dialog((Message(Role.USER, _template(inside["user"])),))
    else:
        dialog = _dialog(inside["messages"])
    if "system" not in inside:
        return dialog
    if any(message.role is Role.SYSTEM for message in dialog):
        own = inside["system"]
        raise own.refused(f"{own.key} is a second system message beside that of messages; leave one of them out")
    return Dialog((Message(Role.SYSTEM, _template(inside["system"])), *dialog))


def _dialog(given: Given) -> Dialog:
    for entry in given.entries():
        inside = entry.table("key of a message", ("role", "content"))
        if "content" in inside:
            _template(inside["content"])
    try:
        return dialog_of(given.value)
    except InputError as error:
        raise given.refused(str(error)) from None


def _system(given: Given, name: str) -> SystemPrompt:
    if isinstance(given.value, str):
        return SystemPrompt(name, _template(given))
    inside = given.table("key of a system prompt", ("name", "text"))
    if "name" in inside:
        name = inside["name"].label()
    return SystemPrompt(name, _template(inside["text"]) if "text" in inside else None)


def _continuation(given: Given) -> Continuation:
    if isinstance(given.value, str):
        return Continuation(name=given.label(), text=_not_empty(given))
    inside = given.table("key of a continuation", ("name", "text", "group"))
    if "text" not in inside:
        raise given.refused(f"{given.key} must have a text, whose probability as the answer is to be found")
    text = _not_empty(inside["text"])
    name = inside["name"].label() if "name" in inside else inside["text"].label()
    return Continuation(name, text, inside["group"].label() if "group" in inside else None)


def _not_empty(given: Given) -> str:
    if not _template(given):
        raise given.must("a text that is not empty")
    return given.text()


def _template(given: Given) -> str:
    """The text, its braces checked."""
    text = given.text()
    try:
        template.variables(text)
    except InputError as error:
        raise given.refused(f"{given.key}: {error}") from None
    return text
