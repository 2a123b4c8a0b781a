"""Folders of documents, and of what is kept of them."""

from pathlib import Path

import pytest

from puna.retrieval import folder as folders
from puna.retrieval import index
from tests.retrieval.written import PAGES, write


@pytest.fixture
def docs(tmp_path):
    """A folder of documents that is old enough for its times to be believed."""
    found = tmp_path / "docs"
    found.mkdir()
    for name, text in PAGES.items():
        write(found / name, text)
    return found


@pytest.fixture
def kept(tmp_path):
    return tmp_path / "home" / "documents"


@pytest.fixture
def aged(monkeypatch):
    """Times of files are believed at once, as those of files that were written long ago."""
    monkeypatch.setattr(index, "YOUNG", -1)


@pytest.fixture
def reads(monkeypatch):
    """The names of the files that are read."""
    names: list[str] = []

    def reading(file):
        names.append(Path(file.path).name)
        return folders.read(file)

    monkeypatch.setattr(index, "read", reading)
    return names
