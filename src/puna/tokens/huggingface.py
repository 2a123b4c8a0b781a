"""A vocabulary in a ``tokenizer.json`` of Hugging Face. Knows that file, not the configuration files beside it.

Source: https://huggingface.co/docs/tokenizers and the files of the models, read 2026-11-22. Special tokens stand in the
list ``added_tokens``, and the library finds them in any text. Its switch against that (``encode_special_tokens``) leaves
gaps: tokens that are also in the model's vocabulary or come of its merges, and turn tokens that are not called special. So
these tokens are taken out of all that the library is given, and their ids are kept here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tokenizers import Tokenizer

from puna.errors import InputError
from puna.tokens.base import is_turn_token, no_such_id, plain
from puna.tokens.bytelevel import bytes_of_spelling, library_ids

_SPACE = "\u2581"
_BYTE = re.compile("<0x([0-9A-F]{2})>")


class HuggingFace:
    """A tokenizer from the bytes of a tokenizer.json; ``name`` says in errors where they came from.

    Added tokens that are special, or make turns, are control tokens. The unknown token is not: it is what text becomes
    for which the vocabulary has nothing. No text is cut off or padded, and nothing is put before or after it, whatever
    the file says of that; its normalizer, pre-tokenizer and model are its own.

    Raises:
        InputError: the bytes are no tokenizer.json, or one that the library refuses.
    """

    def __init__(self, content: bytes, name: str = "tokenizer.json") -> None:
        data = _parsed(content, name)
        try:
            self._take(data)
            self._library = Tokenizer.from_str(json.dumps(data))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(_refusal(name, f"a part of it is of another shape ({error!r:.200})")) from None
        except BaseException as error:
            # The library raises bare Exceptions, and a damaged normalizer makes it panic, which is a BaseException.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise InputError(_refusal(name, f"the tokenizers library does not take it ({str(error)[:200]})")) from None
        for text, n in self._literal.items():
            if self._library.token_to_id(text) != n:
                raise InputError(_refusal(name, f"it gives {text[:80]!r} two ids"))

    @classmethod
    def read(cls, path: Path) -> HuggingFace:
        """The tokenizer in a file.

        Raises:
            InputError: the file cannot be read, or is no tokenizer.json.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(
                f"a tokenizer file was expected at {path}, but it cannot be read "
                f"({error.strerror or type(error).__name__}); give the path of a tokenizer.json"
            ) from None
        return cls(content, str(path))

    @property
    def control(self) -> Mapping[str, int]:
        """Control tokens by their text."""
        return self._control

    @property
    def size(self) -> int:
        """One more than the largest id."""
        return self._size

    def encode(self, text: str) -> list[int]:
        """Ids of plain text, shape (n,).

        Raises:
            InputError: half a surrogate pair, which is no text.
        """
        return plain(lambda part: library_ids(self._library, part), self._control, text)

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The vocabulary's own spelling of each id.

        Raises:
            InputError: an id lies outside the vocabulary.
        """
        return [self._piece(n) for n in ids]

    def bytes_of(self, token: int) -> bytes:
        """What an id adds to the text; nothing for the unknown token. A space put before a text counts.

        Raises:
            InputError: the id lies outside the vocabulary.
        """
        piece = self._piece(token)
        if token in self._hidden:
            return b""
        return piece.encode() if self._literal.get(piece) == token else _bytes_of(piece, self._spelling)

    def _take(self, data: dict[str, Any]) -> None:
        """Learns what the library will not be told, and takes it out of the data."""
        model, added = data["model"], data.get("added_tokens") or []
        vocabulary = model["vocab"]
        listed = (
            vocabulary.items() if isinstance(vocabulary, dict) else ((row[0], n) for n, row in enumerate(vocabulary))
        )
        self._texts = {int(n): str(text) for text, n in listed}
        unknown = _unknown(model)
        out = {str(token["content"]): int(token["id"]) for token in added if token["special"] or _turns(token)}
        self._literal = {str(t["content"]): int(t["id"]) for t in added if t["content"] not in out}
        self._control: Mapping[str, int] = MappingProxyType({t: n for t, n in out.items() if t != unknown})
        self._hidden = frozenset(out.values())
        self._texts |= {n: text for text, n in (out | self._literal).items()}
        self._size = max(self._texts, default=-1) + 1
        self._spelling = _spelling(data)
        data["added_tokens"] = [token for token in added if token["content"] in self._literal]
        data |= {"post_processor": None, "truncation": None, "padding": None}
        model |= {"dropout": None} if "dropout" in model else {}  # a way to train: text would have other ids each time
        if isinstance(vocabulary, dict):
            _strip_table(model, out.keys() - {unknown}, self._literal)
        else:
            _strip_list(model, {*out.values(), model.get("unk_id")}, self._literal)

    def _piece(self, n: int) -> str:
        if n not in self._texts:
            raise no_such_id(n, self._size)
        return self._texts[n]


def _refusal(name: str, got: str) -> str:
    return (
        f"{name} must be a whole tokenizer.json, but {got}; give the model's tokenizer.json "
        "(tokenizer_config.json and config.json are other files), or fetch it again"
    )


def _parsed(content: bytes, name: str) -> dict[str, Any]:
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(_refusal(name, f"it is no JSON, or was cut off ({str(error)[:200]})")) from None
    model = data.get("model") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(model, dict) or not isinstance(model.get("vocab"), dict | list):
        raise InputError(_refusal(name, "it is JSON of another kind: it has no model with a vocabulary"))
    return data


def _turns(token: Mapping[str, Any]) -> bool:
    return is_turn_token(token["content"].strip())


def _unknown(model: Mapping[str, Any]) -> str | None:
    """The text of the token that stands for what the vocabulary lacks; None where that is a token which makes turns."""
    index = model.get("unk_id")
    text = model.get("unk_token") if index is None else model["vocab"][index][0]
    return None if text is None or is_turn_token(text) else str(text)


def _strip_table(model: dict[str, Any], out: Collection[str], kept: Mapping[str, int]) -> None:
    """Of BPE, WordPiece and WordLevel: a vocabulary by text. What is kept is told its id, which else would be the next."""
    vocabulary: dict[str, int] = model["vocab"]
    met = [text for text in out if text in vocabulary and text != model.get("unk_token")]
    for text in met:
        del vocabulary[text]
    for text, n in kept.items():
        vocabulary.setdefault(text, n)
    if met and model.get("merges"):
        pairs = (merge.split(" ", 1) if isinstance(merge, str) else merge for merge in model["merges"])
        model["merges"] = [[a, b] for a, b in pairs if not {a, b, a + b} & {*met}]


def _strip_list(model: dict[str, Any], out: Collection[int | None], kept: Mapping[str, int]) -> None:
    """Of Unigram: a vocabulary by place. Places stay; the texts become ones that nobody writes (U+FDD0 is no character)."""
    vocabulary: list[list[Any]] = model["vocab"]
    lowest = min((row[1] for row in vocabulary), default=0.0)
    for n, row in enumerate(vocabulary):
        if n in out:
            row[0] = f"\ufdd0{n}"
    for text, n in sorted(kept.items(), key=lambda item: item[1]):
        if n >= len(vocabulary):
            vocabulary.extend([f"\ufdd0{hole}", lowest] for hole in range(len(vocabulary), n))
            vocabulary.append([text, lowest])


def _spelling(data: Mapping[str, Any]) -> frozenset[str]:
    """Names of the steps that make text of tokens, by which their spelling is known."""
    found: set[str] = set()
    waiting: list[Any] = [data.get("decoder") or data.get("pre_tokenizer")]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            waiting.extend(node.values())
            found.add(str(node.get("type")))
        elif isinstance(node, list):
            waiting.extend(node)
    return frozenset(found)


def _bytes_of(piece: str, spelling: frozenset[str]) -> bytes:
    if "ByteLevel" in spelling:
        return bytes_of_spelling(piece)
    if spelling & {"Metaspace", "Replace", "ByteFallback"}:
        byte = _BYTE.fullmatch(piece) if "ByteFallback" in spelling else None
        return bytes([int(byte[1], 16)]) if byte else piece.replace(_SPACE, " ").encode()
    if "BPEDecoder" in spelling:
        return piece.replace("</w>", " ").encode()
    continues = "WordPiece" in spelling and piece.startswith("##")
    return (piece.removeprefix("##") if continues else " " + piece).encode()
