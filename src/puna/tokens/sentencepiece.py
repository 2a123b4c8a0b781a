"""A vocabulary in a sentencepiece file, such as Llama 2's ``tokenizer.model``. Knows no format and no engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from sentencepiece import SentencePieceProcessor

from puna.errors import InputError
from puna.tokens.base import is_turn_token, no_such_id, no_unicode, plain
from puna.tokens.modelproto import NORMALIZER, PIECES, TRAINER, USER_DEFINED, fields, types

_PARTS = {PIECES: "pieces", TRAINER: "trainer specification", NORMALIZER: "normalizer specification"}
"""Fields without which a file still loads, but cuts text otherwise than the model was trained to."""

_SPACE = "\u2581"


class SentencePiece:
    """A tokenizer from the bytes of a sentencepiece model; ``name`` says in errors where they came from.

    Every piece that the file marks as control is a control token under the piece's own text, and so is every user-defined
    one that makes turns. The library finds the latter in any text, so text that spells one out is cut inside it.

    Raises:
        InputError: the bytes are not a whole sentencepiece model.
    """

    def __init__(self, model: bytes, name: str = "tokenizer.model") -> None:
        _check_whole(model, name)
        try:
            self._pieces = SentencePieceProcessor(model_proto=model)
        except (RuntimeError, ValueError):
            raise InputError(_refusal(name, "its contents do not fit together")) from None
        texts = self.pieces(range(self.size))
        control = {text: n for n, text in enumerate(texts) if self._pieces.is_control(n)}
        matched = {text: n for n, text in enumerate(texts) if is_turn_token(text) and text not in control}
        if matched:
            kinds = types(model)
            # A normal piece that looks so stays text: the library's merges come to it letter by letter.
            matched = {text: n for text, n in matched.items() if kinds[n] == USER_DEFINED}
        self._control: Mapping[str, int] = MappingProxyType(control | matched)

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
        """Ids of plain text, shape (n,). ``<s>`` written in it is three ordinary pieces, never id 1.

        Raises:
            InputError: half a surrogate pair, which is no text.
        """
        return plain(self._encode, self._control, text)

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The vocabulary's own spelling of each id: a space is U+2581, a lone byte ``<0x0A>``.

        Raises:
            InputError: an id lies outside the vocabulary.
        """
        return [self._piece(n) for n in ids]

    def bytes_of(self, token: int) -> bytes:
        """What an id adds to the text. The space that is put before a text counts: it is the decoder that drops it.

        Raises:
            InputError: the id lies outside the vocabulary.
        """
        piece = self._piece(token)
        if piece in self._control:
            return b""
        if self._pieces.is_byte(token):
            return bytes([int(piece[3:5], 16)])
        if self._pieces.is_unknown(token):
            return str(self._pieces.decode([token])).encode()
        return piece.replace(_SPACE, " ").encode()

    def _encode(self, text: str) -> list[int]:
        try:
            return list(self._pieces.encode(text))
        except RuntimeError:  # what the binding says of a string that it cannot make UTF-8 of
            raise no_unicode() from None

    def _piece(self, n: int) -> str:
        if not 0 <= n < self.size:
            raise no_such_id(n, self.size)
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
        missing = set(_PARTS) - {number for number, _, _ in fields(model)}
    except (IndexError, ValueError):
        raise InputError(_refusal(name, "it is of another kind, or was cut off")) from None
    if missing:
        raise InputError(_refusal(name, f"it has no {_PARTS[min(missing)]}"))
