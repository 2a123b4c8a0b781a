"""A model's chat template, out of whichever of the model's files holds it. Knows files, not templates."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from puna.errors import InputError
from puna.models.gguf import read

_LARGEST = 16 << 20
"""Bytes of a file that may hold a template; a tokenizer_config.json with all its tokens has about one million."""


@dataclass(frozen=True, slots=True)
class FoundTemplate:
    """A template with the texts of BOS and EOS, as far as its file has them."""

    text: str
    bos: str | None = None
    eos: str | None = None


def template_in(path: Path) -> FoundTemplate:
    """The template in a file: a GGUF model's own, that of a ``tokenizer_config.json``, or the file's whole text.

    Raises:
        InputError: the file cannot be read, is too large, or holds no template. ModelFileError: a damaged GGUF file.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        said = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read the template {str(path)!r}: {said}; give a template's file") from error
    if start.startswith(b"GGUF"):
        facts = read(path)
        return FoundTemplate(_needed(facts.chat_template, path), facts.bos, facts.eos)
    if len(start) > _LARGEST:
        raise InputError(f"{path} must be a chat template, but it has more than {_LARGEST} bytes; give another file")
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} must be a template in UTF-8, but: {error}; give another file") from error
    return _in_config(text, path) if path.suffix == ".json" else FoundTemplate(text)


def _in_config(text: str, path: Path) -> FoundTemplate:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} must be a tokenizer_config.json, but: {error}") from error
    known = found if isinstance(found, dict) else {}
    template = _needed(known.get("chat_template"), path)
    return FoundTemplate(template, _token(known.get("bos_token")), _token(known.get("eos_token")))


def _needed(template: object, path: Path) -> str:
    if not isinstance(template, str):
        raise InputError(f"{path} holds no chat template; give a file that does, or name the family's format")
    return template


def _token(token: object) -> str | None:
    """A token's text, which some files wrap: ``{"content": "<s>", ...}``."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else None
