r"""Prompts with ``{{variables}}``: which they name, and filling them in. Knows no file and no cases.

``{{animal}}`` is a variable, blanks inside do not count; ``\{{`` is two braces that are meant. What is filled in is content: braces in it
stay braces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from puna.errors import InputError, unknown
from puna.experiments.plan import PromptTemplate
from puna.messages import Dialog, Message

_MARK = re.compile(r"\\\{\{|\{\{(?!\{)(?:[^\S\n]*([^{}\n]*?)[^\S\n]*\}\})?")


def variables(text: str) -> tuple[str, ...]:
    """Names of a text's variables, each once, in order.

    Raises:
        InputError: braces that are not closed, or without a name.
    """
    return tuple(dict.fromkeys(_name(text, mark) for mark in _MARK.finditer(text) if mark.group() != r"\{{"))


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its variables filled in, once: what is filled in is not searched for variables.

    Raises:
        InputError: a variable without a value, or bad braces.
    """

    def value(mark: re.Match[str]) -> str:
        if mark.group() == r"\{{":
            return "{{"
        name = _name(text, mark)
        if name not in values:
            raise InputError(unknown("variable", name, values))
        return values[name]

    return _MARK.sub(value, text)


def variables_of(prompt: PromptTemplate) -> tuple[str, ...]:
    """Names of a prompt's variables, each once, in order."""
    return tuple(dict.fromkeys(name for text in _texts(prompt) for name in variables(text)))


def filled(prompt: PromptTemplate, values: Mapping[str, str]) -> Dialog | str:
    """What is asked: the messages, or the text, with the variables filled in."""
    if prompt.messages is None:
        return fill(prompt.text or "", values)
    return Dialog(tuple(Message(message.role, fill(message.content, values)) for message in prompt.messages))


def _texts(prompt: PromptTemplate) -> tuple[str, ...]:
    if prompt.messages is None:
        return (prompt.text or "",)
    return tuple(message.content for message in prompt.messages)


def _name(text: str, mark: re.Match[str]) -> str:
    name = mark.group(1)
    if not name:
        around = text[mark.start() : mark.start() + 20].split("\n", 1)[0]
        raise InputError(
            f"{around!r} must be a variable, as in {{{{animal}}}}; where braces themselves are meant, write \\{{{{"
        )
    return name
