"""The tokenizer in a file: a GGUF model's own, a tokenizer.json or a sentencepiece model, told apart by their content.

A GGUF file's vocabulary is cut as llama.cpp cuts it, by libraries made for it: sentencepiece for Llama 2's kind,
``tokenizers`` for byte-level BPE. Knows files and GGUF keys; not how either library works.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from puna.errors import InputError, ModelFileError, unknown
from puna.models.header import Header, Numbers, Texts, parse
from puna.models.metadata import Keys
from puna.models.pretokenizers import PRE_TOKENIZERS, matched_anyway
from puna.models.quantisation import tensor_bytes
from puna.tokens.base import Tokenizer, is_turn_token, parted
from puna.tokens.bytelevel import ByteLevel, Vocabulary
from puna.tokens.huggingface import HuggingFace
from puna.tokens.modelproto import BYTE, CONTROL, NORMAL, UNKNOWN, USER_DEFINED, bpe_model
from puna.tokens.sentencepiece import SentencePiece

MAX_BYTES = 256 << 20
"""Of a file that is no GGUF. Gemma 3's tokenizer.json, with 262k tokens, has 33 MB."""

_KINDS = "a tokenizer is read from a GGUF model, a tokenizer.json or a sentencepiece tokenizer.model"
_DEFAULT_ALIGNMENT = 32
_BYTE_PIECES = 256


def tokenizer_of(path: Path) -> Tokenizer:
    """The tokenizer in a file of any of the three kinds, whatever its name.

    Raises:
        InputError: no such file, one of another kind, a truncated one, or a vocabulary of a kind that is not supported.
    """
    try:
        size = _size_of(path)
        with path.open("rb") as file:
            start = file.read(4)
            file.seek(0)
            if start == b"GGUF":
                return _of_gguf(path, size, parse(file, path, size))
            content = file.read(MAX_BYTES + 1)
        return _of_content(path, content)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error} ({_KINDS})") from None
    except InputError as error:
        raise type(error)(f"{error} ({_KINDS})") from None


class Matching:
    """A tokenizer that finds user-defined tokens first, the longest of all first, and cuts inside those of a turn.

    It is llama.cpp's order: where two overlap, the longer is found, wherever it begins. user_defined: those that any text
    may give. matched: those that llama.cpp would find too, but which no message may give.
    """

    def __init__(self, inner: Tokenizer, user_defined: Mapping[str, int], matched: Collection[str]) -> None:
        self._inner = inner
        texts = sorted(user_defined, key=lambda text: len(text.encode()), reverse=True)
        self._ids = {text: user_defined[text] for text in texts}
        self._any = re.compile("|".join(map(re.escape, texts)) or "(?!)")
        self._matched = frozenset(matched)

    @property
    def control(self) -> Mapping[str, int]:
        """Control tokens by their text."""
        return self._inner.control

    def encode(self, text: str) -> list[int]:
        """Ids of plain text, shape (n,)."""
        ids: list[int] = []
        for part in parted(text, self._matched):
            for fragment in self._fragments(part):
                ids.extend([fragment] if isinstance(fragment, int) else self._inner.encode(fragment))
        return ids

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The vocabulary's own spelling of each id."""
        return self._inner.pieces(ids)

    def bytes_of(self, token: int) -> bytes:
        """What an id adds to the text."""
        return self._inner.bytes_of(token)

    def _fragments(self, text: str) -> list[str | int]:
        fragments: list[str | int] = [text]
        if self._any.search(text) is None:  # Gemma 3 has thousands, none of which most texts say
            return fragments
        for token, n in self._ids.items():
            if token not in text:
                continue
            cut: list[str | int] = []
            for fragment in fragments:
                if isinstance(fragment, int):
                    cut.append(fragment)
                    continue
                first, *others = fragment.split(token)
                cut.append(first)
                for other in others:
                    cut.extend((n, other))
            fragments = [fragment for fragment in cut if fragment != ""]
        return fragments


def _size_of(path: Path) -> int:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"there is no file {path}") from None
    except ValueError as error:  # a NUL in the name
        raise InputError(f"{str(path)!r} cannot be a file's name: {error}") from None
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "a device or pipe"
        raise InputError(f"{path} is {what}; give the path of a file")
    return found.st_size


def _of_content(path: Path, content: bytes) -> Tokenizer:
    if len(content) > MAX_BYTES:
        raise InputError(f"{path} has more than {MAX_BYTES} bytes, and no tokenizer has so many")
    if content.lstrip()[:1] in (b"{", b"["):
        return HuggingFace(content, str(path))
    if content[:1] == b"\n":  # the tag of a first piece
        return SentencePiece(content, str(path))
    raise InputError(f"{path} holds no tokenizer: it starts with {content[:8]!r}")


def _check_whole(path: Path, size: int, header: Header) -> None:
    """A vocabulary of half a file may be whole, but then a file is trusted that nothing else can read."""
    alignment = header.metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment <= 0:
        raise ModelFileError(f"{path} is damaged: its alignment is {alignment!r}; pull it again")
    start = -(-header.end // alignment) * alignment
    ends = [start + tensor.offset + tensor_bytes(tensor.kind, tensor.elements) for tensor in header.tensors]
    if ends and max(ends) > size:
        raise ModelFileError(
            f"{path} has {size} bytes, but its tensors need {max(ends)}: it is truncated; pull it again"
        )


def _of_gguf(path: Path, size: int, header: Header) -> Tokenizer:
    _check_whole(path, size, header)
    keys = Keys(path, header)
    kind = keys.text("tokenizer.ggml.model")
    listed = keys.metadata.get("tokenizer.ggml.tokens")
    if kind not in {"llama", "gpt2"} or not isinstance(listed, Texts):
        raise InputError(
            f"{path} must hold a vocabulary of the kind 'llama' (sentencepiece) or 'gpt2' (byte-level BPE), not {kind!r}; "
            "give the model's tokenizer.json"
        )
    tokens = [listed[n] or f"[EMPTY_{n}]" for n in range(len(listed))]
    kinds = [int(value) for value in _numbers(keys, "tokenizer.ggml.token_type", len(tokens), NORMAL)]
    known = dict(zip(tokens, range(len(tokens)), strict=True))
    if len(known) < len(tokens):
        raise ModelFileError(f"{path} is damaged: it has the same token twice; pull it again")
    user_defined = {tokens[n]: n for n, value in enumerate(kinds) if value == USER_DEFINED}
    matched = {text: n for text, n in user_defined.items() if is_turn_token(text)}
    ordinary = {text: n for text, n in user_defined.items() if text not in matched}
    control = {tokens[n]: n for n, value in enumerate(kinds) if value == CONTROL} | matched
    if kind == "llama":
        inner = _sentencepiece(keys, tokens, kinds)
    else:
        inner = _byte_level(keys, tokens, control, frozenset(ordinary.values()))
    found = frozenset(matched) | matched_anyway(control)
    return Matching(inner, ordinary, found) if ordinary or found else inner


def _numbers(keys: Keys, key: str, count: int, default: float) -> tuple[int | float, ...]:
    """A number for each token; a file without them means the default for all."""
    value = keys.metadata.get(key)
    if value is None:
        return (default,) * count
    if not isinstance(value, Numbers) or value.count != count:
        got = value.count if isinstance(value, Numbers) else repr(value)[:80]
        raise ModelFileError(
            f"{keys.path} is damaged: {key!r} must be {count} numbers, one a token, not {got}; pull it again"
        )
    return value.values()


def _sentencepiece(keys: Keys, tokens: list[str], kinds: list[int]) -> Tokenizer:
    scores = _numbers(keys, "tokenizer.ggml.scores", len(tokens), 0.0)
    unknown_id = keys.number("tokenizer.ggml.unknown_token_id", 0)
    if UNKNOWN not in kinds and unknown_id < len(kinds):
        kinds[unknown_id] = UNKNOWN  # sentencepiece must have one
    pieces = zip(tokens, scores, (kind or NORMAL for kind in kinds), strict=True)
    space = keys.flag("tokenizer.ggml.add_space_prefix")
    model = bpe_model(pieces, dummy_prefix=space is not False, byte_fallback=kinds.count(BYTE) == _BYTE_PIECES)
    return SentencePiece(model, str(keys.path))


def _byte_level(keys: Keys, tokens: list[str], control: Mapping[str, int], literal: frozenset[int]) -> Tokenizer:
    pre = keys.text("tokenizer.ggml.pre") or "default"
    merges = keys.metadata.get("tokenizer.ggml.merges")
    if pre not in PRE_TOKENIZERS:
        raise InputError(
            f"{keys.path}: {unknown('pre-tokenizer', pre, PRE_TOKENIZERS)}; give the model's tokenizer.json instead"
        )
    if not isinstance(merges, Texts):
        raise ModelFileError(f"{keys.path} is damaged: it has a byte-level vocabulary, but no merges; pull it again")
    rule = PRE_TOKENIZERS[pre]
    vocabulary = Vocabulary(
        tokens=tokens,
        merges=[merges[n] for n in range(len(merges))],
        splits=rule.splits,
        whole_words=rule.whole_words,
        control=control,
        literal=literal,
    )
    return ByteLevel(vocabulary, str(keys.path))
