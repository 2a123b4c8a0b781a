"""A byte-level BPE vocabulary, as GPT-2 introduced it and Llama 3 has it, from its tokens and merges. Knows no file.

Tokens are spelled in an alphabet of 256 printable characters, one for each byte (openai/gpt-2 ``src/encoder.py``,
bytes_to_unicode; read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from tokenizers import Regex, Tokenizer
from tokenizers import pre_tokenizers as split
from tokenizers.models import BPE

from puna.errors import InputError
from puna.tokens.base import no_such_id, no_unicode, plain


def _alphabet() -> dict[str, int]:
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + n): byte for n, byte in enumerate(hidden)}


ALPHABET: Mapping[str, int] = MappingProxyType(_alphabet())
"""Which byte each character of a token's spelling stands for."""


def bytes_of_spelling(spelling: str) -> bytes:
    """The bytes that a token is spelled for; what is not of the alphabet stands for itself."""
    return b"".join(bytes([ALPHABET[c]]) if c in ALPHABET else c.encode() for c in spelling)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What such a vocabulary consists of.

    tokens: spelled in the alphabet, an id's at its place, shape (n,). merges: two spellings and a space between them,
    the earlier ones first. splits: patterns by which text is cut, one after the other, before anything is merged.
    whole_words: whether a piece of text that is a token is this token, wherever the merges come to (``ignore_merges``).
    control: ids that no text gives. literal: ids whose token is spelled as it reads.
    """

    tokens: Sequence[str]
    merges: Sequence[str]
    splits: Sequence[str]
    whole_words: bool = False
    control: Mapping[str, int] = field(default_factory=dict)
    literal: frozenset[int] = frozenset()


class ByteLevel:
    """A tokenizer from a byte-level vocabulary; ``name`` says in errors where it came from.

    Raises:
        InputError: a merge that is none, or makes no token; a pattern that the library refuses.
    """

    def __init__(self, vocabulary: Vocabulary, name: str) -> None:
        self._tokens = vocabulary.tokens
        self._literal = vocabulary.literal
        self._control: Mapping[str, int] = MappingProxyType(dict(vocabulary.control))
        self._hidden = frozenset(self._control.values())
        known = {text: n for n, text in enumerate(vocabulary.tokens) if n not in self._hidden}
        # Bytes that have no token (SmolLM2 has none for 21 of them, U+0004 is one): llama.cpp leaves them out, but only
        # after merging. Without an id the library would leave them out before it, and merge their neighbours.
        for n, letter in enumerate(sorted(ALPHABET.keys() - known.keys())):
            known[letter] = len(self._tokens) + n
        self._gaps = len(known) + len(self._hidden) > len(self._tokens)
        self._bpe = Tokenizer(_model(known, vocabulary, name))
        cuts = [split.Split(Regex(pattern), "isolated") for pattern in vocabulary.splits]
        self._bpe.pre_tokenizer = split.Sequence([*cuts, split.ByteLevel(add_prefix_space=False, use_regex=False)])

    @property
    def control(self) -> Mapping[str, int]:
        """Control tokens by their text."""
        return self._control

    @property
    def size(self) -> int:
        """How many tokens the vocabulary has."""
        return len(self._tokens)

    def encode(self, text: str) -> list[int]:
        """Ids of plain text, shape (n,). A byte for which the vocabulary has no token is left out, as by llama.cpp.

        Raises:
            InputError: half a surrogate pair, which is no text.
        """
        return plain(self._encode, self._control, text)

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The vocabulary's own spelling of each id.

        Raises:
            InputError: an id lies outside the vocabulary.
        """
        return [self._piece(n) for n in ids]

    def bytes_of(self, token: int) -> bytes:
        """What an id adds to the text.

        Raises:
            InputError: the id lies outside the vocabulary.
        """
        piece = self._piece(token)
        if token in self._hidden:
            return b""
        return piece.encode() if token in self._literal else bytes_of_spelling(piece)

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = library_ids(self._bpe, text)
        return [n for n in ids if n < len(self._tokens)] if self._gaps else ids

    def _piece(self, n: int) -> str:
        if not 0 <= n < len(self._tokens):
            raise no_such_id(n, len(self._tokens))
        return self._tokens[n]


def library_ids(library: Tokenizer, text: str) -> list[int]:
    """Ids of a text as the library gives them, with nothing put before or after it.

    Raises:
        InputError: half a surrogate pair, or a character for which the vocabulary has neither a token nor an unknown one.
    """
    try:
        return list(library.encode(text, add_special_tokens=False).ids)
    except TypeError:  # what the binding says of a string that it cannot make UTF-8 of
        raise no_unicode() from None
    except Exception as error:  # noqa: BLE001  # the library raises bare ones
        raise InputError(
            f"a text must consist of what the vocabulary has tokens for, but {str(error)[:200]}; "
            "leave unusual characters out, or give another file of the model's vocabulary"
        ) from None


def _model(known: dict[str, int], vocabulary: Vocabulary, name: str) -> BPE:
    # Of two that are alike the first counts; the library would take the last.
    parts = (merge.partition(" ") for merge in dict.fromkeys(vocabulary.merges))
    merges = [(first, second) for first, _, second in parts]
    hidden = {vocabulary.tokens[n] for n in vocabulary.control.values()}
    try:
        try:
            return BPE(vocab=known, merges=merges, ignore_merges=vocabulary.whole_words)
        except Exception:
            if not hidden:
                raise
            merges = [merge for merge in merges if hidden.isdisjoint([*merge, "".join(merge)])]
            return BPE(vocab=known, merges=merges, ignore_merges=vocabulary.whole_words)
    except Exception as error:  # noqa: BLE001  # the library raises bare ones
        raise InputError(
            f"{name} must hold a byte-level vocabulary, but its merges do not fit its tokens ({str(error)[:200]}); "
            "fetch the file again, or give the model's tokenizer.json"
        ) from None
