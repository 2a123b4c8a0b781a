"""The files that ``puna prompt`` reads, and what is wrong with them in one sentence."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from puna.cli.options import place_of, read_text
from puna.errors import InputError
from puna.formats.base import Writer
from puna.messages import Dialog, dialog_of
from puna.tokens.base import Tokenizer

LARGEST = 6 * 1024 * 1024
"""Bytes. SageMaker takes no larger body (its service model, BodyBlob), so no endpoint gets a longer prompt."""

TOKENIZER = "a tokenizer.model, tokenizer.json or .gguf file (default: that of the model in use)"


def prompt(name: str) -> str:
    """The text of a written prompt.

    Raises:
        InputError: it cannot be read, is no text, or is too long for any endpoint.
    """
    return _checked(place_of(name), read_text(name, LARGEST))


def dialog(name: str) -> Dialog:
    """The dialog in a JSON file.

    Raises:
        InputError: it cannot be read, is of another shape, or too long for any endpoint. DialogError: a bad message.
    """
    text, place = read_text(name, LARGEST), place_of(name)
    _checked(place, text)
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f'{place} must hold {{"messages": [...]}} as JSON, but: {error}') from error
    if not isinstance(given, dict) or "messages" not in given:
        raise InputError(f'{place} must hold an object with "messages", not {text.strip()[:40]!r}')
    found = dialog_of(given["messages"])
    for n, message in enumerate(found):
        _checked(f"messages[{n}].content", message.content)
    return found


def _checked(what: str, text: str) -> str:
    if "\0" in text:
        raise InputError(f"{what} must be text, but character {text.index(chr(0))} is NUL (U+0000); remove it")
    return text


def tokenizer(name: str | None) -> Tokenizer:
    """The tokenizer in a file; without one, that of the model that the settings name, pulled when it is missing.

    Raises:
        InputError: the file is none that holds a tokenizer, or a setting is wrong.
    """
    from puna.models.vocabulary import tokenizer_of

    if name is not None:
        return tokenizer_of(Path(name))
    from puna import config
    from puna.cli.progress import on_terminal

    wanted = config.settings({})
    with on_terminal() as progress:
        path = config.model_file(wanted, progress)
    print(f"counted with the tokenizer of {wanted.model}; name another with --tokenizer", file=sys.stderr)
    return tokenizer_of(path)


def mismatches(form: Writer, tokenizer: Tokenizer) -> Iterator[str]:
    """What speaks against this tokenizer being that of the format's model."""
    missing = [stop for stop in form.stops if stop.strip() not in tokenizer.control]
    if missing:
        yield (
            f"the tokenizer has no control token {missing[0]!r}, with which {form.name} ends a turn; "
            "is it that of a model of this family?"
        )
