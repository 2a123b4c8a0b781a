"""Prompts as values: rendered, parsed, linted, translated. Knows formats; no engine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from puna import config
from puna.api.given import check_text
from puna.formats import catalog
from puna.formats import lint as linting
from puna.formats import translate as translating
from puna.formats.base import Parsed
from puna.generation import Prompt
from puna.messages import dialog_of


def render(
    messages: Iterable[object],
    format: str = "llama2",  # noqa: A002  # as it is typed
    *,
    generation_prompt: bool = True,
    continue_last: bool = False,
    date: dt.date | None = None,
) -> Prompt:
    """The exact prompt of a dialog: ``.text``, ``.segments``.

    continue_last: the last message is the assistant's begun answer, left open. date: what the prompt tells as today's,
    in the formats that tell a date (Llama 3.1 and later; Llama 3.2 tells the true one by default).

    Raises:
        DialogError: the format does not allow the dialog. InputError: an unknown format.
    """
    dialog = dialog_of(messages)
    check_text("format", format)
    form = config.format_of(format, date)
    segments = form.render(dialog, generation_prompt=generation_prompt, continue_last=continue_last)
    return Prompt(segments, dialog=dialog)


def parse(text: str, format: str = "auto") -> Parsed:  # noqa: A002
    """The dialog that a written prompt means, and the slips in it."""
    check_text("text", text)
    check_text("format", format)
    return catalog.parse(text, format)


def lint(text: str, format: str = "auto") -> linting.Lint:  # noqa: A002
    """What is wrong with a written prompt: ``.parsed.findings``, ``.ok``, ``.fixed()``."""
    check_text("text", text)
    check_text("format", format)
    return linting.lint(text, format)


def translate(text: str, to: str, source: str = "auto") -> translating.Translated:
    """A prompt written in one family's format, in another's: ``.text``; ``.changes`` says what had to be done."""
    for name, value in (("text", text), ("to", to), ("source", source)):
        check_text(name, value)
    return translating.translate(text, config.format_of(to), source)
