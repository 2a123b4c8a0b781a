"""Where model files lie, and what is removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from puna.errors import InputError
from puna.models import store
from puna.models.catalog import CATALOG, DEFAULT, Entry, resolve
from puna.models.store import choose, find, listing, path_of, remove, work_of

HUB_NAME = "hf:owner/Repo-GGUF:sub/model-Q4_K_M.gguf"


def entry_of(name: str) -> Entry:
    entry = resolve(name)
    assert isinstance(entry, Entry)
    return entry


def put(path: Path, content: bytes = b"GGUF") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_every_catalogue_name_has_a_place_of_its_own(tmp_path: Path) -> None:
    places = {path_of(entry, tmp_path) for entry in CATALOG.values()}
    assert len(places) == len(CATALOG)
    assert path_of(CATALOG[DEFAULT], tmp_path) == tmp_path / "models" / "smollm2-135m.gguf"


def test_listing_gives_names_that_resolve_to_the_same_file(tmp_path: Path) -> None:
    assert listing(tmp_path) == ()
    for name in (DEFAULT, HUB_NAME):
        put(path_of(entry_of(name), tmp_path))
    put(work_of(path_of(entry_of(HUB_NAME), tmp_path)) / "0123.bin")
    stored = listing(tmp_path)
    assert {model.name for model in stored} == {DEFAULT, HUB_NAME}
    assert all(path_of(entry_of(model.name), tmp_path) == model.path and model.size == 4 for model in stored)


def test_find(tmp_path: Path) -> None:
    assert find(CATALOG[DEFAULT], tmp_path) is None
    path = put(path_of(entry_of(HUB_NAME), tmp_path))
    assert find(entry_of(HUB_NAME), tmp_path) == path
    assert find(entry_of("hf:owner/Repo-GGUF"), tmp_path) == path
    assert find(entry_of("hf:owner/Other"), tmp_path) is None


def test_an_unfinished_pull_is_not_found(tmp_path: Path) -> None:
    put(work_of(path_of(entry_of(HUB_NAME), tmp_path)) / "0123.bin")
    assert find(entry_of("hf:owner/Repo-GGUF"), tmp_path) is None
    assert listing(tmp_path) == ()


def test_a_repository_without_a_file_has_no_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names no file"):
        path_of(entry_of("hf:owner/Repo-GGUF"), tmp_path)


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        ([], None),
        (["README.md"], None),
        (["a.gguf", "b.md"], "a.gguf"),
        (["a.Q4_K_M.gguf", "a.Q2_K.gguf"], "a.Q4_K_M.gguf"),
    ],
)
def test_choose(files: list[str], chosen: str | None) -> None:
    assert choose(files) == chosen


@pytest.mark.parametrize("name", [DEFAULT, HUB_NAME])
def test_remove_takes_the_model_and_what_pulls_left(tmp_path: Path, name: str) -> None:
    path = put(path_of(entry_of(name), tmp_path))
    put(work_of(path) / "half", b"123")
    assert remove(entry_of(name), tmp_path) == path
    assert not path.exists()
    assert not work_of(path).exists()


def test_remove_of_an_unfinished_pull(tmp_path: Path) -> None:
    path = path_of(CATALOG[DEFAULT], tmp_path)
    put(work_of(path) / "half", b"123")
    assert remove(CATALOG[DEFAULT], tmp_path) == path
    assert not work_of(path).exists()


def test_remove_of_what_is_not_here(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not here: no model is"):
        remove(CATALOG[DEFAULT], tmp_path)
    put(path_of(entry_of(HUB_NAME), tmp_path))
    with pytest.raises(InputError, match=f"Known: {HUB_NAME}"):
        remove(CATALOG[DEFAULT], tmp_path)
    with pytest.raises(InputError, match="Known"):
        remove(entry_of("hf:owner/Absent"), tmp_path)


def test_a_file_that_cannot_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(path_of(CATALOG[DEFAULT], tmp_path))

    def refuse(_path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(InputError, match=r"cannot remove .*: Permission denied"):
        remove(CATALOG[DEFAULT], tmp_path)


def test_the_lock_lies_beside_the_file(tmp_path: Path) -> None:
    assert store.lock_of(tmp_path / "a.gguf").lock_file == str(tmp_path / "a.gguf.lock")
