"""Docstrings of this project as fields of Sphinx: ``name: what it is`` for each parameter, ``Error: when`` for each error. Knows no page.

The project writes them as sentences within a paragraph, for people who read the source.
"""

from __future__ import annotations

import inspect
import re
from contextlib import suppress
from dataclasses import fields, is_dataclass

_NAMED = re.compile(r"(?:(?<=^)|(?<=[.;:)?] )|(?<=``, )|(?<=\. ))((?:\w+, )*\w+): (?=\S)")
_ERROR = re.compile(
    r"(?:(?<=^)|(?<=[.;] ))((?:\w+(?:Error|Interrupt|Iteration), )*\w+(?:Error|Interrupt|Iteration)): (?=\S)"
)


def names_of(thing: object) -> set[str]:
    """The parameters of a function or class, and the fields of a dataclass."""
    names = {entry.name for entry in fields(thing)} if is_dataclass(thing) else set()
    with suppress(TypeError, ValueError):  # what cannot be called, or tells nothing of it
        names |= set(inspect.signature(thing).parameters)  # type: ignore[arg-type]
    return names - {"self", "cls"}


def with_fields(lines: list[str], names: set[str]) -> list[str]:
    """A docstring's lines, what is said of parameters and errors as fields at the end."""
    kept: list[str] = []
    told: list[str] = []
    for paragraph in _paragraphs(lines):
        head, *rest = paragraph
        if head.strip() == "Raises:":
            told += _errors(" ".join(line.strip() for line in rest))
        elif head.startswith((" ", "-", "*", "|", ".", ">", "=")):
            kept += [*paragraph, ""]
        else:
            text, own = _parameters(" ".join(line.strip() for line in paragraph), names)
            told += own
            kept += [text, ""] if text else []
    return [*kept, *told, ""]


def _paragraphs(lines: list[str]) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [paragraph for paragraph in found if paragraph]


def _parameters(text: str, names: set[str]) -> tuple[str, list[str]]:
    """A paragraph without what it says of parameters, and that."""
    starts = [match for match in _NAMED.finditer(text) if set(match[1].split(", ")) <= names]
    if not starts:
        return text, []
    ends = [match.start() for match in starts[1:]] + [len(text)]
    told = [f":param {match[1]}: {text[match.end() : end].strip()}" for match, end in zip(starts, ends, strict=True)]
    return text[: starts[0].start()].strip(), told


def _errors(text: str) -> list[str]:
    """Each error of a paragraph, with when it comes."""
    starts = list(_ERROR.finditer(text))
    ends = [match.start() for match in starts[1:]] + [len(text)]
    return [
        f":raises {name}: {text[match.end() : end].strip()}"
        for match, end in zip(starts, ends, strict=True)
        for name in match[1].split(", ")
    ]
