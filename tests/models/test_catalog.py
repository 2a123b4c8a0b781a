"""Names: what they mean, and which are refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.errors import InputError
from puna.models.catalog import CATALOG, DEFAULT, Entry, Hub, Wheel, resolve
from puna.models.store import folder, path_of


def test_the_default_is_pinned() -> None:
    entry = CATALOG[DEFAULT]
    assert isinstance(entry.source, Wheel)
    assert entry.size == 98_362_432
    assert re.fullmatch("[0-9a-f]{64}", entry.sha256 or "")
    assert next(iter(CATALOG)) == DEFAULT


@pytest.mark.parametrize("entry", CATALOG.values(), ids=lambda entry: entry.name)
def test_entries_are_complete(entry: Entry) -> None:
    assert resolve(entry.name) is entry
    assert entry.title
    assert entry.licence
    assert entry.parameters
    assert entry.context
    assert entry.gigabytes
    assert (entry.sha256 is None) == (entry.size is None)
    if isinstance(entry.source, Hub):
        assert resolve(str(entry.source))
        assert entry.source.file
    else:
        assert entry.sha256, "a wheel's member is verified by nothing else"


@pytest.mark.parametrize(
    ("name", "repo", "file"),
    [
        ("hf:owner/repo", "owner/repo", None),
        ("hf:Some-Owner/Repo.v1-GGUF:a/b.Q4_K_M.gguf", "Some-Owner/Repo.v1-GGUF", "a/b.Q4_K_M.gguf"),
    ],
)
def test_hub_names(name: str, repo: str, file: str | None) -> None:
    entry = resolve(name)
    assert isinstance(entry, Entry)
    assert entry.source == Hub(repo, file)
    assert str(entry.source) == entry.name == name


@pytest.mark.parametrize("name", ["model.gguf", "./smollm2-135m", "a/b", "MODEL.GGUF", "a\\b.gguf"])
def test_paths(name: str) -> None:
    assert resolve(name) == Path(name)


@pytest.mark.parametrize(
    "name",
    [
        "hf:",
        "hf:owner",
        "hf:owner/repo:",
        "hf:owner/repo/more",
        "hf:owner/repo:model.bin",
        "hf:../repo:model.gguf",
        "hf:owner/..:model.gguf",
        "hf:owner/repo:../../model.gguf",
        "hf:owner/repo:/model.gguf",
        "hf:owner/repo:a\\..\\model.gguf",
        "hf:owner/repo:a\0.gguf",
        "hf:owner/repo:C:model.gguf",
        "",
        "smollm",
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve(name)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match=r"Did you mean 'llama-2-7b-chat'.*or hf:OWNER"):
        resolve("llama-2-7b-chatt")


@given(st.text(alphabet="ab./\\:~ -_\0", max_size=20))
def test_no_hub_name_leads_out_of_the_store(rest: str) -> None:
    home = Path("/home-of-puna")
    try:
        entry = resolve(f"hf:o/r:{rest}.gguf")
    except InputError:
        return
    assert isinstance(entry, Entry)
    path = path_of(entry, home)
    assert ".." not in path.parts
    assert path.is_relative_to(folder(home) / "hub" / "o" / "r")
