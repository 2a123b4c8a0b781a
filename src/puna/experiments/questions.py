"""The documents and questions that ship with puna, by which abstention is fitted and judged. Knows their files; asks no model.

Both files were written for puna and are under its licence; what they speak of is invented, so that no model can have read about it
elsewhere. Half of the documents, those with odd numbers, are there to fit; the others are held out and judge what was fitted. The split
is by document, since questions about one text are not independent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from puna.errors import InputError, unknown

Half = Literal["fit", "held-out"]
HALVES: tuple[Half, ...] = ("fit", "held-out")


@dataclass(frozen=True, slots=True)
class Document:
    """A text that questions are asked about. id: ``d001`` and so on."""

    id: str
    title: str
    text: str

    @property
    def half(self) -> Half:
        """Whether it is there to fit, or to judge."""
        return "fit" if int(self.id[1:]) % 2 else "held-out"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about a document. answers: the accepted ones, in any of which an answer may be; empty where the document does not say."""

    id: str
    document: Document
    text: str
    answers: tuple[str, ...]

    @property
    def answerable(self) -> bool:
        """Whether the document says it."""
        return bool(self.answers)


@cache
def documents() -> tuple[Document, ...]:
    """All documents, in the order of their ids."""
    return tuple(Document(**row) for row in _rows("documents.jsonl"))


def questions(half: str | None = None) -> tuple[Asked, ...]:
    """All questions, or those of one half, in the order of their ids.

    Raises:
        InputError: there is no such half.
    """
    if half is not None and half not in HALVES:
        raise InputError(unknown("half of the questions", half, HALVES))
    return tuple(asked for asked in _questions() if half is None or asked.document.half == half)


@cache
def _questions() -> tuple[Asked, ...]:
    by_id = {document.id: document for document in documents()}
    rows = _rows("questions.jsonl")
    return tuple(Asked(row["id"], by_id[row["document"]], row["question"], tuple(row["answers"])) for row in rows)


def _rows(name: str) -> Iterator[dict[str, Any]]:
    text = (files("puna.experiments") / name).read_text(encoding="utf-8")
    return map(json.loads, text.splitlines())
