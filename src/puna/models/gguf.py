"""What a GGUF model file says of itself: architecture, window, vocabulary, template. Knows keys, not the engine.

Reason for a reader of our own: the engine says "failed to init server" to every bad file (and a missing, truncated or
foreign file is the commonest slip), so the file is checked here BEFORE the C++ loader sees it; and the ``gguf`` package
takes 1.85 s to import and read the default model, and needs numpy. This takes about 0.02 s and the standard library.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from puna.errors import ModelFileError
from puna.models.header import Header, Numbers, Texts, parse
from puna.models.metadata import Keys
from puna.models.quantisation import file_type_name, tensor_bytes

_CONTROL, _USER_DEFINED = 3, 4  # llama.cpp's token types
_DEFAULT_ALIGNMENT = 32
_F16_BYTES = 2

_FOREIGN = {
    b"version https://git-lfs": "a git-lfs pointer, not the model itself: run `git lfs pull` where it came from",
    b"<!doctype": "a web page, not a model: the download met a log-in or error page; pull the model again",
    b"<html": "a web page, not a model: the download met a log-in or error page; pull the model again",
    b"pk\x03\x04": "a zip archive (a wheel, or PyTorch weights), not a GGUF file; unpack or convert it",
    b"lmgg": "a GGML file, the format before GGUF; convert it, or take the GGUF file of the same model",
    b"tjgg": "a GGJT file, the format before GGUF; convert it, or take the GGUF file of the same model",
}


@dataclass(frozen=True, slots=True)
class Gguf:
    """A model file's own account of itself. Sizes are bytes, the context and vocabulary tokens.

    head_count and head_count_kv: one number per layer, shape (block_count,). control: texts of the control tokens with
    their ids; only these become tokens where special tokens are recognised and stay text where they are not.
    user_defined: tokens that llama.cpp matches in any text, whether or not special tokens are asked for.
    """

    path: Path
    file_size: int
    version: int
    architecture: str
    name: str | None
    size_label: str | None
    licence: str | None
    quantisation: str | None
    parameters: int
    context_length: int
    block_count: int
    embedding_length: int
    head_count: tuple[int, ...]
    head_count_kv: tuple[int, ...]
    key_length: int
    value_length: int
    tokenizer_model: str | None
    vocabulary: int
    control: Mapping[str, int]
    user_defined: Mapping[str, int]
    bos: str | None
    eos: str | None
    eot: str | None
    add_bos: bool | None
    chat_template: str | None

    def kv_cache_bytes(self, context_tokens: int) -> int:
        """Bytes of an f16 KV cache for so many tokens: keys and values of every layer's KV heads.

        An upper bound where layers attend to a sliding window only.
        """
        per_token = sum(self.head_count_kv) * (self.key_length + self.value_length) * _F16_BYTES
        return context_tokens * per_token


def read(path: Path) -> Gguf:
    """Reads and checks the header of a GGUF file; the tensors' bytes are not read.

    Raises:
        ModelFileError: nothing there, not a GGUF file, a damaged or truncated one, or no language model.
    """
    try:
        size = _size_of(path)
        with path.open("rb") as file:
            _check_magic(path, file.read(32))
            file.seek(0)
            header = parse(file, path, size)
    except OSError as error:
        raise ModelFileError(f"cannot read the model file {path}: {error.strerror or error}") from error
    _check_whole(path, size, header)
    return _account(path, size, header)


def _size_of(path: Path) -> int:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise ModelFileError(
            f"there is no model file {path}; give the path of a GGUF file, or a name from `puna models list`"
        ) from None
    except ValueError as error:  # a NUL in the name
        raise ModelFileError(f"{str(path)!r} cannot be a file's name: {error}") from None
    if stat.S_ISDIR(found.st_mode):
        raise ModelFileError(f"{path} is a folder; give the path of a GGUF file in it")
    if not stat.S_ISREG(found.st_mode):
        raise ModelFileError(f"{path} is a device or pipe; give the path of a GGUF file")
    if not found.st_size:
        raise ModelFileError(f"{path} is empty; pull or copy it again")
    return found.st_size


def _check_magic(path: Path, start: bytes) -> None:
    if start.startswith(b"GGUF"):
        return
    plain = start.lstrip().lower()
    for sign, what in _FOREIGN.items():
        if plain.startswith(sign):
            raise ModelFileError(f"{path} is {what}")
    raise ModelFileError(f"{path} is no GGUF file: it starts with {start[:8]!r}, not b'GGUF'; give a GGUF model file")


def _check_whole(path: Path, size: int, header: Header) -> None:
    alignment = header.metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20:
        raise ModelFileError(f"{path} is damaged: its alignment is {alignment!r}, not a small number; pull it again")
    if not header.tensors:
        raise ModelFileError(f"{path} has no tensors: it holds a vocabulary only; give the file with the weights")
    start = -(-header.end // alignment) * alignment
    needed = start + max(tensor.offset + tensor_bytes(tensor.kind, tensor.elements) for tensor in header.tensors)
    if needed > size:
        raise ModelFileError(
            f"{path}: the file has {size} bytes, but its tensors need {needed}: it is truncated; pull it again"
        )


def _check_one_part(keys: Keys) -> None:
    parts = keys.number("split.count", 1)
    if parts > 1:
        raise ModelFileError(
            f"{keys.path} is one of {parts} parts of a split model; merge them with `llama-gguf-split --merge` first"
        )


def _account(path: Path, size: int, header: Header) -> Gguf:
    keys = Keys(path, header)
    _check_one_part(keys)
    model = keys.architecture
    blocks = keys.needed(f"{model}.block_count", 1 << 16)
    heads = keys.per_layer(f"{model}.attention.head_count", blocks, (1,) * blocks)
    width = keys.needed(f"{model}.embedding_length", 1 << 24)
    head = width // max(*heads, 1)
    vocabulary = keys.metadata.get("tokenizer.ggml.tokens")
    tokens = vocabulary if isinstance(vocabulary, Texts) else None
    control, user_defined = _special(keys, tokens)
    return Gguf(
        path=path,
        file_size=size,
        version=header.version,
        architecture=model,
        name=keys.text("general.name"),
        size_label=keys.text("general.size_label"),
        licence=keys.text("general.license"),
        quantisation=file_type_name(keys.metadata.get("general.file_type")),
        parameters=sum(tensor.elements for tensor in header.tensors),
        context_length=keys.needed(f"{model}.context_length", 1 << 32),
        block_count=blocks,
        embedding_length=width,
        head_count=heads,
        head_count_kv=keys.per_layer(f"{model}.attention.head_count_kv", blocks, heads),
        key_length=keys.number(f"{model}.attention.key_length", head),
        value_length=keys.number(f"{model}.attention.value_length", head),
        tokenizer_model=keys.text("tokenizer.ggml.model"),
        vocabulary=len(tokens) if tokens else 0,
        control=control,
        user_defined=user_defined,
        bos=keys.token("bos", tokens),
        eos=keys.token("eos", tokens),
        eot=keys.token("eot", tokens),
        add_bos=keys.flag("tokenizer.ggml.add_bos_token"),
        chat_template=keys.text("tokenizer.chat_template"),
    )


def _special(keys: Keys, tokens: Texts | None) -> tuple[Mapping[str, int], Mapping[str, int]]:
    kinds = keys.metadata.get("tokenizer.ggml.token_type")
    if tokens is None or not isinstance(kinds, Numbers):
        return MappingProxyType({}), MappingProxyType({})
    if kinds.count != len(tokens):
        raise ModelFileError(
            f"{keys.path} is damaged: {len(tokens)} tokens, but {kinds.count} token types; pull it again"
        )
    values = kinds.values()
    control = {tokens[index]: index for index, kind in enumerate(values) if kind == _CONTROL}
    user_defined = {tokens[index]: index for index, kind in enumerate(values) if kind == _USER_DEFINED}
    return MappingProxyType(control), MappingProxyType(user_defined)
