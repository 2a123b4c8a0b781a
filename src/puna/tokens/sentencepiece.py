"""A vocabulary in a sentencepiece file, such as Llama 2's ``tokenizer.model``. Knows no format and no engine.

Source: https://github.com/google/sentencepiece (``src/sentencepiece_model.proto``), read 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from sentencepiece import SentencePieceProcessor

from puna.errors import InputError

_PARTS = {1: "pieces", 2: "trainer specification", 3: "normalizer specification"}
"""Fields of ModelProto without which a file still loads, but cuts text otherwise than the model was trained to."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class SentencePiece:
    """A tokenizer from the bytes of a sentencepiece model; ``name`` says in errors where they came from.

    Every piece that the file marks as control, and only those, is a control token under the piece's own text.

    Raises:
        InputError: the bytes are not a whole sentencepiece model.
    """

    def __init__(self, model: bytes, name: str = "tokenizer.model") -> None:
        _check_whole(model, name)
        try:
            self._pieces = SentencePieceProcessor(model_proto=model)
        except (RuntimeError, ValueError):
            raise InputError(_refusal(name, "its contents do not fit together")) from None
        count = self._pieces.get_piece_size()
        control = {self._pieces.id_to_piece(n): n for n in range(count) if self._pieces.is_control(n)}
        self._control: Mapping[str, int] = MappingProxyType(control)

    @classmethod
    def read(cls, path: Path) -> SentencePiece:
        """The tokenizer in a file.

        Raises:
            InputError: the file cannot be read, or is not a whole sentencepiece model.
        """
        try:
            model = path.read_bytes()
        except OSError as error:
            raise InputError(
                f"a tokenizer file was expected at {path}, but it cannot be read "
                f"({error.strerror or type(error).__name__}); give the path of a tokenizer.model"
            ) from None
        return cls(model, str(path))

    @property
    def control(self) -> Mapping[str, int]:
        """Control tokens by their text, ``{"<s>": 1, "</s>": 2}`` in Llama 2's file."""
        return self._control

    @property
    def size(self) -> int:
        """How many pieces the vocabulary has."""
        return int(self._pieces.get_piece_size())

    def encode(self, text: str) -> list[int]:
        """Ids of plain text, shape (n,). ``<s>`` written in it is three ordinary pieces, never id 1."""
        return list(self._pieces.encode(text))

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The vocabulary's own spelling of each id: a space is U+2581, a lone byte ``<0x0A>``.

        Raises:
            InputError: an id lies outside the vocabulary.
        """
        return [self._piece(n) for n in ids]

    def _piece(self, n: int) -> str:
        if not 0 <= n < self.size:
            raise InputError(
                f"a token id must be from 0 to {self.size - 1}, not {n}; was it made by another vocabulary?"
            )
        return str(self._pieces.id_to_piece(n))


def _refusal(name: str, got: str) -> str:
    return (
        f"{name} must be a whole sentencepiece model, but {got}; "
        "give the model's tokenizer.model (tokenizer.json and GGUF files are of other kinds), or fetch it again"
    )


def _check_whole(model: bytes, name: str) -> None:
    """Refuse what the library would take: an empty file, or one cut off between two of its fields."""
    if not model:
        raise InputError(_refusal(name, "the file is empty"))
    try:
        missing = set(_PARTS) - set(_fields(model))
    except (IndexError, ValueError):
        raise InputError(_refusal(name, "it is of another kind, or was cut off")) from None
    if missing:
        raise InputError(_refusal(name, f"it has no {_PARTS[min(missing)]}"))


def _fields(model: bytes) -> Iterator[int]:
    """Numbers of the top fields of a protobuf message (https://protobuf.dev/programming-guides/encoding, 2026-11-22)."""
    at = 0
    while at < len(model):
        tag, at = _varint(model, at)
        if tag & 7 == _BYTES:
            length, at = _varint(model, at)
            at += length
        elif tag & 7 == _VARINT:
            _, at = _varint(model, at)
        else:
            at += {_FIXED64: 8, _FIXED32: 4}[tag & 7] if tag & 7 in (_FIXED64, _FIXED32) else len(model) + 1
        if at > len(model):
            raise ValueError(tag)
        yield tag >> 3


def _varint(model: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        byte = model[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError(at)
