"""Typed questions to a GGUF file's metadata. Knows types and ranges; which keys matter is for ``gguf.py`` to know."""

from __future__ import annotations

from pathlib import Path

from puna.errors import ModelFileError
from puna.models.header import Header, Numbers, Texts


class Keys:
    """Typed questions to the metadata. A value of the wrong type or out of range is damage, an absent one is not.

    Raises:
        ModelFileError: by every method, for a damaged value; and when built, for a file without an architecture.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.metadata = header.metadata
        architecture = self.text("general.architecture")
        if not architecture:
            raise ModelFileError(f"{path} does not say its architecture, as every GGUF model does; take another file")
        self.architecture = architecture

    def text(self, key: str) -> str | None:
        """The text under a key, None where there is none."""
        value = self.metadata.get(key)
        if value is not None and not isinstance(value, str):
            raise self._damaged(key, "a text")
        return value

    def flag(self, key: str) -> bool | None:
        """The yes or no under a key, None where there is none."""
        value = self.metadata.get(key)
        if value is not None and not isinstance(value, bool):
            raise self._damaged(key, "true or false")
        return value

    def number(self, key: str, default: int) -> int:
        """The whole number under a key, below 2**32, or the default where there is none."""
        value = self.metadata.get(key, default)
        if not isinstance(value, int) or not 0 <= value < 1 << 32:
            raise self._damaged(key, "a whole number")
        return value

    def needed(self, key: str, most: int) -> int:
        """A number from 1 to ``most`` that every language model has; without it the file is something else."""
        if key not in self.metadata:
            raise ModelFileError(
                f"{self.path} is no language model: it is of the kind {self.architecture!r} and has no {key!r}; "
                "give a chat model's GGUF file"
            )
        value = self.number(key, 0)
        if not 0 < value <= most:
            raise self._damaged(key, f"from 1 to {most}")
        return value

    def per_layer(self, key: str, blocks: int, default: tuple[int, ...]) -> tuple[int, ...]:
        """One number per layer; most files give a single one for all. Recurrent layers have 0."""
        value = self.metadata.get(key)
        if value is None:
            return default
        given = value.values() if isinstance(value, Numbers) and value.count == blocks else (value,) * blocks
        numbers = tuple(one for one in given if isinstance(one, int) and 0 <= one <= 1 << 16)
        if len(numbers) != blocks:
            raise self._damaged(key, f"one number, or {blocks} of them")
        return numbers

    def token(self, which: str, tokens: Texts | None) -> str | None:
        """The text of a special token, such as ``eos``, None where the file names none."""
        key = f"tokenizer.ggml.{which}_token_id"
        if tokens is None or key not in self.metadata:
            return None
        index = self.number(key, 0)
        if index >= len(tokens):
            raise self._damaged(key, f"below the {len(tokens)} tokens of the vocabulary")
        return tokens[index]

    def _damaged(self, key: str, expected: str) -> ModelFileError:
        given = self.metadata.get(key)
        shown = "an array" if isinstance(given, Texts | Numbers) else repr(given)[:80]
        return ModelFileError(f"{self.path} is damaged: {key!r} must be {expected}, not {shown}; pull it again")
