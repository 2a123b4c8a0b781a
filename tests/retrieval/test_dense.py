"""Passages by what they mean, fused with those by words."""

import logging
import subprocess
import sys

import numpy as np
import pytest

from puna.context.pieces import Piece
from puna.errors import InputError
from puna.retrieval import dense
from puna.retrieval.index import Documents

TEXTS = [
    "The physician examined the patient in the hospital.",
    "A car needs petrol and an engine.",
    "Bread is baked from flour and water.",
]


def test_a_passage_is_found_by_its_meaning_where_no_word_is_shared():
    question = "Which doctor treats sick people?"
    assert Documents.of(TEXTS).search(question) == ()
    assert Documents.of(TEXTS, dense=True).search(question)[0].piece == Piece(TEXTS[0])


def test_nothing_is_found_where_nothing_is_near():
    assert Documents.of(TEXTS, dense=True).search("quantum chromodynamics") == ()


def test_what_both_rankings_have_comes_first():
    (first, *_) = Documents.of([*TEXTS, "The physician is tall."], dense=True).search("a physician in a hospital")
    assert first.piece.text == TEXTS[0]
    assert first.score == pytest.approx(2 / 61)


def test_vectors_are_of_length_one_and_of_an_empty_text_zero():
    lengths = np.linalg.norm(dense.vectors([*TEXTS, ""]).astype(np.float32), axis=1)
    assert lengths[:3] == pytest.approx([1, 1, 1], abs=1e-2)
    assert lengths[3] == 0
    assert dense.vectors([]).shape == (0, 256)


def test_vectors_are_kept_and_an_index_without_them_stands_beside(tmp_path):
    (tmp_path / "docs").mkdir()
    for n, text in enumerate(TEXTS):
        (tmp_path / "docs" / f"{n}.txt").write_text(text, encoding="utf-8")
    for wanted in (True, False, True):
        documents = Documents.open(tmp_path / "docs", folder=tmp_path / "kept", dense=wanted)
        assert documents.dense is wanted
        assert bool(documents.search("Which doctor treats sick people?")) is wanted
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_only_what_changed_gets_new_vectors(tmp_path, monkeypatch):
    docs = tmp_path / "docs"
    docs.mkdir()
    for n, text in enumerate(TEXTS):
        (docs / f"{n}.txt").write_text(text, encoding="utf-8")
    Documents.open(docs, folder=tmp_path / "kept", dense=True)
    (docs / "0.txt").unlink()
    (docs / "1a.txt").write_text("The physician is tall.", encoding="utf-8")
    model, embedded = dense._model(), []

    class Watched:
        def embed(self, texts):
            embedded.extend(texts)
            return model.embed(texts)

    with monkeypatch.context() as watched:
        watched.setattr(dense, "_model", Watched)
        changed = Documents.open(docs, folder=tmp_path / "kept", dense=True)
    assert embedded == ["1a\nThe physician is tall."]
    question = "Which doctor needs petrol?"
    assert changed.search(question) == Documents.open(docs, dense=True).search(question) != ()


def test_the_programs_logging_is_left_as_it_was():
    code = "import logging; from puna.retrieval import dense; dense.vectors(['a']); r = logging.getLogger(); print(r.level, r.handlers)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{logging.WARNING} []\n"


def test_without_wordllama_the_line_to_type_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "wordllama", None)
    dense._model.cache_clear()
    with pytest.raises(InputError, match=r"pip install 'puna\[dense\]'"):
        dense.vectors(["a"])
    dense._model.cache_clear()
