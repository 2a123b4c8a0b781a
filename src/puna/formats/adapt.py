"""Makes a dialog one that a format can express, the way the families' makers advise. Drops nothing, and says what it did.

Sources, read 2026-11-25: Mistral joins neighbours of one role, and system messages, with a blank line
(https://github.com/mistralai/mistral-common, ``tests/data/chat_templates``); Google has system texts put into the first
user message (https://ai.google.dev/gemma/docs/core/prompt-structure).
"""

from __future__ import annotations

from dataclasses import dataclass

from puna.formats.base import Format
from puna.formats.turns import PARAGRAPH
from puna.messages import Dialog, Message, Role


@dataclass(frozen=True, slots=True)
class Adapted:
    """A dialog that the format can express. changes: what was done to it, a sentence each; none where nothing was."""

    dialog: Dialog
    changes: tuple[str, ...] = ()


def adapt(dialog: Dialog, form: Format) -> Adapted:
    """The dialog as the format can express it. An empty dialog stays empty."""
    messages, changes = list(dialog), []
    if form.system_allowed != "anywhere":
        messages, said = _one_system(messages, form)
        changes += said
    if form.system_allowed == "never" and messages and messages[0].role is Role.SYSTEM:
        messages, said = _system_to_user(messages, form)
        changes += said
    if form.alternates and messages:
        messages, said = _in_turn(messages, form)
        changes += said
    if form.left_out(Dialog(tuple(messages))):
        messages, said = _system_to_last_user(messages, form)
        changes += said
    return Adapted(Dialog(tuple(messages)), tuple(changes))


def _one_system(messages: list[Message], form: Format) -> tuple[list[Message], list[str]]:
    systems = [n for n, message in enumerate(messages) if message.role is Role.SYSTEM]
    if systems in ([], [0]):
        return messages, []
    joined = Message(Role.SYSTEM, PARAGRAPH.join(messages[n].content for n in systems))
    rest = [message for message in messages if message.role is not Role.SYSTEM]
    where = ", ".join(map(str, systems))
    return [joined, *rest], [
        f"{form.title} has at most one system message, at the beginning: message {where} became it"
        if len(systems) == 1
        else f"{form.title} has at most one system message, at the beginning: messages {where} were joined to it"
    ]


def _system_to_user(messages: list[Message], form: Format) -> tuple[list[Message], list[str]]:
    system, *rest = messages
    at = next((n for n, message in enumerate(rest) if message.role is Role.USER), None)
    if at is None:
        return [Message(Role.USER, system.content), *rest], [
            f"{form.title} has no system message: its text became a user message"
        ]
    texts = filter(None, (system.content, rest[at].content))
    rest[at] = Message(Role.USER, PARAGRAPH.join(texts))
    return rest, [f"{form.title} has no system message: its text was put at the beginning of the first user message"]


def _system_to_last_user(messages: list[Message], form: Format) -> tuple[list[Message], list[str]]:
    """Where a family writes the system text into the last message, and that is an answer."""
    system, *rest = messages
    at = max(n for n, message in enumerate(rest) if message.role is Role.USER)
    rest[at] = Message(Role.USER, f"{system.content}{PARAGRAPH}{rest[at].content}")
    return rest, [f"{form.title} writes no system text before an answer: it was put into the last user message"]


def _in_turn(messages: list[Message], form: Format) -> tuple[list[Message], list[str]]:
    """User and assistant in turn, the user first."""
    changes: list[str] = []
    head = messages[:1] if messages[0].role is Role.SYSTEM else []
    turns: list[Message] = []
    for n, message in enumerate(messages[len(head) :], len(head)):
        if turns and turns[-1].role is message.role:
            turns[-1] = Message(message.role, f"{turns[-1].content}{PARAGRAPH}{message.content}")
            changes.append(
                f"{form.title} turns alternate: message {n} was joined to the {message.role} message before it"
            )
        else:
            turns.append(message)
    if not turns or turns[0].role is Role.ASSISTANT:
        turns.insert(0, Message(Role.USER, ""))
        changes.append(f"{form.title} turns begin with the user: an empty user message was put first")
    return [*head, *turns], changes
