"""An answer on disk while it streams, piece by piece. Knows one file; what becomes of it is the keeper's affair.

    {"journal": 1, "parent": 4, "nodes": 5, "question": "What is a llama?", "params": {"temperature": 0.2}}
    "A"
    " llama"

The first line says which message is answered; each further line is a piece, written before it is shown. A last line without its line feed
was being written when the process ended; nobody has seen it whole.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

VERSION = 1


@dataclass(frozen=True, slots=True)
class Cut:
    """An answer that was not finished. parent: the number of its question's node. nodes: how many there were before it."""

    parent: int
    nodes: int
    question: str
    params: dict[str, Any]
    text: str


class Journal:
    """The file of one answer at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def begin(self, parent: int, nodes: int, question: str, params: dict[str, Any]) -> None:
        """Open it for the answer to a question.

        Raises:
            OSError: the disk refuses.
        """
        self.close()
        opened = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
        self._file = os.fdopen(opened, "wb", buffering=0)
        self._line({"journal": VERSION, "parent": parent, "nodes": nodes, "question": question, "params": params})

    def add(self, text: str) -> None:
        """A piece, in the file when this returns.

        Raises:
            OSError: the disk refuses.
        """
        self._line(text)

    def close(self) -> None:
        """Leave the file as it is."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def end(self) -> None:
        """The answer is kept elsewhere now."""
        self.close()
        self._path.unlink(missing_ok=True)

    def _line(self, value: object) -> None:
        if self._file is not None:
            self._file.write(json.dumps(value, ensure_ascii=True).encode() + b"\n")


def read(path: Path) -> Cut | None:
    """What a process that was ended has left; None where there is nothing, or no piece of an answer.

    Raises:
        OSError: the file cannot be read. ValueError: it is no journal.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    whole = data[: data.rfind(b"\n") + 1].splitlines()
    if not whole:
        return None
    head, *pieces = (json.loads(line) for line in whole)
    if (
        not isinstance(head, dict)
        or head.get("journal") != VERSION
        or not all(isinstance(piece, str) for piece in pieces)
    ):
        raise ValueError("it does not begin as one")
    text = "".join(pieces)
    return Cut(head["parent"], head["nodes"], head["question"], head["params"], text) if text else None
