"""What is read from sound GGUF files, and that nothing else than a sentence comes of unsound ones."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.errors import ModelFileError
from puna.models import gguf
from puna.models.header import MAX_HEADER
from tests.models.gguf_writer import METADATA, gguf_bytes, text, value_of

SOUND = gguf_bytes()


def written(folder: Path, content: bytes) -> Path:
    path = folder / "model.gguf"
    path.write_bytes(content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        gguf.read(path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert path.name in sentence
    return sentence


@pytest.mark.parametrize("version", [2, 3])
def test_reads_what_the_file_says(tmp_path: Path, version: int) -> None:
    read = gguf.read(written(tmp_path, gguf_bytes(version=version)))
    assert (read.version, read.architecture, read.name, read.size_label) == (version, "llama", "Tiny", "1K")
    assert (read.licence, read.quantisation, read.parameters) == ("apache-2.0", "F32", 256)
    assert (read.context_length, read.block_count, read.embedding_length) == (256, 2, 32)
    assert (read.head_count, read.head_count_kv, read.key_length, read.value_length) == ((4, 4), (2, 2), 8, 8)
    assert (read.tokenizer_model, read.vocabulary) == ("llama", 6)
    assert (read.bos, read.eos, read.eot, read.add_bos) == ("<s>", "</s>", None, True)
    assert read.chat_template == "{{ messages }}"
    assert read.file_size == len(SOUND)


def test_only_control_tokens_are_control(tmp_path: Path) -> None:
    read = gguf.read(written(tmp_path, SOUND))
    assert dict(read.control) == {"<s>": 1, "</s>": 2, "<|eot|>": 5}
    assert dict(read.user_defined) == {"<think>": 4}


def test_kv_cache_counts_keys_and_values_of_every_layer(tmp_path: Path) -> None:
    plain = gguf.read(written(tmp_path, SOUND))
    assert plain.kv_cache_bytes(100) == 100 * 2 * 2 * (8 + 8) * 2
    uneven = {"llama.attention.head_count_kv": [4, 0], "llama.attention.key_length": 16}
    read = gguf.read(written(tmp_path, gguf_bytes(uneven)))
    assert read.head_count_kv == (4, 0)
    assert read.kv_cache_bytes(1) == 4 * (16 + 8) * 2


def test_what_is_optional_may_be_absent(tmp_path: Path) -> None:
    optional = [key for key in METADATA if key.startswith(("tokenizer.", "general.")) and "architecture" not in key]
    read = gguf.read(written(tmp_path, gguf_bytes(without=optional)))
    assert (read.name, read.chat_template, read.add_bos, read.bos, read.quantisation) == (None, None, None, None, None)
    assert (read.vocabulary, dict(read.control)) == (0, {})


@pytest.mark.model
def test_the_default_model(model_file: Path) -> None:
    """Against what the ``gguf`` package (0.19) reads from the same file."""
    read = gguf.read(model_file)
    assert (read.architecture, read.quantisation, read.parameters) == ("llama", "Q4_1", 134_515_008)
    assert (read.context_length, read.block_count, read.vocabulary) == (8192, 30, 49_152)
    assert (read.head_count_kv[0], read.key_length) == (3, 64)
    assert (read.bos, read.eos, read.add_bos) == ("<|im_start|>", "<|im_end|>", False)
    assert len(read.control) == 17
    assert read.kv_cache_bytes(4096) == 94_371_840


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (bytes(reversed(range(256))), "is no GGUF file"),
        (b"GGU", "is no GGUF file"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\n <HTML><body>sign in", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "git lfs pull"),
        (b"PK\x03\x04...", "zip archive"),
        (b"tjgg\x03\x00\x00\x00", "before GGUF"),
        (b"GGUF", "needs at least 8"),
        (b"GGUF\x00\x00\x00\x03" + bytes(64), "big-endian"),
        (gguf_bytes(version=1), "version 1"),
        (gguf_bytes(version=9), "version 9"),
        (gguf_bytes(tensors=0), "vocabulary only"),
        (gguf_bytes({"split.count": 3}), "llama-gguf-split --merge"),
        (gguf_bytes(without=["general.architecture"]), "architecture"),
        (gguf_bytes({"general.architecture": "clip"}), "no language model"),
        (gguf_bytes({"llama.block_count": 0}), "from 1 to"),
        (gguf_bytes({"llama.block_count": 1_000_000_000}), "from 1 to"),
        (gguf_bytes({"llama.context_length": "long"}), "a whole number"),
        (gguf_bytes({"general.alignment": 0}), "alignment"),
        (gguf_bytes({"general.name": 7}), "a text"),
        (gguf_bytes({"tokenizer.ggml.add_bos_token": 1}), "true or false"),
        (gguf_bytes({"tokenizer.ggml.eos_token_id": 6}), "below the 6 tokens"),
        (gguf_bytes({"tokenizer.ggml.token_type": [3]}), "1 token types"),
        (gguf_bytes({"llama.attention.head_count_kv": [2]}), "one number, or 2"),
    ],
)
def test_what_is_refused_is_refused_with_a_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    assert words in refusal(written(tmp_path, content))


def test_truncation_is_told_with_numbers(tmp_path: Path) -> None:
    sentence = refusal(written(tmp_path, SOUND[:-100]))
    assert f"the file has {len(SOUND) - 100} bytes, but its tensors need {len(SOUND)}" in sentence
    assert "truncated" in sentence


def test_no_file(tmp_path: Path) -> None:
    assert "there is no model file" in refusal(tmp_path / "absent.gguf")
    assert "is a folder" in refusal(tmp_path)
    assert "there is no model file" in refusal(written(tmp_path, SOUND) / "below.gguf")
    with pytest.raises(ModelFileError, match="cannot be a file's name"):
        gguf.read(Path("a\0b.gguf"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    assert "is a device or pipe" in refusal(tmp_path / "pipe.gguf")


def pairs(count: int, *content: bytes) -> bytes:
    return struct.pack("<4sIQQ", b"GGUF", 3, 1, count) + b"".join(content)


@pytest.mark.parametrize(
    "content",
    [
        pairs(2**63),
        pairs(1, struct.pack("<Q", 2**63)),
        pairs(1, text("key"), struct.pack("<IIQ", 9, 8, 2**62)),
        pairs(1, text("key"), struct.pack("<IIQ", 9, 8, 2**20)),
        pairs(1, text("key"), struct.pack("<IIQ", 9, 12, 2**61)),
        pairs(1, text("key"), struct.pack("<IIQ", 9, 9, 1)),
        pairs(1, text("key"), struct.pack("<I", 99)),
        pairs(2, *[text("key") + value_of(1)] * 2),
        pairs(0, text("t"), struct.pack("<I", 2**31)),
        struct.pack("<4sIQQ", b"GGUF", 3, 2**60, 0),
    ],
)
def test_hostile_counts_cost_nothing(tmp_path: Path, content: bytes) -> None:
    assert "model.gguf" in refusal(written(tmp_path, content + bytes(64)))


def test_a_tensor_larger_than_any_number_of_bytes(tmp_path: Path) -> None:
    tensor = text("t") + struct.pack("<I4QIQ", 4, *[2**63] * 4, 0, 0)
    assert "truncated" in refusal(written(tmp_path, pairs(0, tensor)))


def test_a_header_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    with path.open("wb") as file:
        file.write(pairs(1, text("key"), struct.pack("<IIQ", 9, 0, 2 * MAX_HEADER)))
        file.truncate(4 * MAX_HEADER)  # sparse: no block of it is written
    assert f"more than {MAX_HEADER} bytes" in refusal(path)


@settings(deadline=None)
@given(length=st.integers(0, len(SOUND) - 1))
def test_any_truncation_is_noticed(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    assert "model.gguf" in refusal(written(tmp_path_factory.getbasetemp(), SOUND[:length]))


@settings(deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(1, 255)), min_size=1, max_size=8))
def test_any_flipped_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]]
) -> None:
    content = bytearray(SOUND)
    for position, mask in flips:
        content[position] ^= mask
    try:
        read = gguf.read(written(tmp_path_factory.getbasetemp(), bytes(content)))
    except ModelFileError as error:
        assert str(error)  # either outcome is right, no other is
    else:
        assert read.kv_cache_bytes(1) >= 0
