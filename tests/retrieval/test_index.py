"""Documents are indexed once, kept, and read again where they have changed."""

import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puna.context.pieces import Piece
from puna.errors import InputError
from puna.retrieval import folder as folders
from puna.retrieval import index, ranking
from puna.retrieval.index import Documents, Found
from puna.retrieval.words import words
from tests.retrieval.written import PAGES, write


def texts(found):
    return [one.piece.text for one in found]


def test_a_passage_is_found_with_its_place(docs, kept):
    (found, *_) = Documents.open(docs, folder=kept).search("Which colours has wool?")
    assert found.piece.label == f"{docs / 'wool.md'}:7"
    assert found.piece.heading == ("Wool", "Colours")
    source = (docs / "wool.md").read_text(encoding="utf-8")
    assert source[found.piece.start : found.piece.end] == found.piece.text
    assert found.score > 0


def test_html_and_text_are_searched_too(docs, kept):
    documents = Documents.open(docs, folder=kept)
    assert documents.search("How far does a caravan walk?")[0].piece.source == str(docs / "walk.html")
    assert documents.search("ichu")[0].piece.source == str(docs / "food.txt")
    assert documents.files == 3


def test_the_best_comes_first_and_n_are_given(docs, kept):
    found = Documents.open(docs, folder=kept).search("twenty kilometres", n=1)
    assert texts(found) == ["A caravan walks twenty kilometres a day."]
    scores = [one.score for one in Documents.open(docs, folder=kept).search("twenty kilometres", n=8)]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("question", ["quantum chromodynamics", "", "?!", "\ud800"])
def test_nothing_is_found_where_no_word_is_shared(docs, kept, question):
    assert Documents.open(docs, folder=kept).search(question) == ()


def test_the_second_time_no_file_is_read(docs, kept, aged, reads):
    told: list[str] = []
    first = Documents.open(docs, folder=kept, tell=told.append)
    assert told[0] == "reading 3 files for the first time"
    assert told[1].startswith("4 passages of 3 files indexed in ")
    reads.clear()
    again = Documents.open(docs, folder=kept, tell=told.append)
    assert (reads, told[2:]) == ([], [])
    assert again.search("ichu") == first.search("ichu")


def test_only_a_file_that_changed_is_read_anew(docs, kept, aged, reads):
    Documents.open(docs, folder=kept)
    reads.clear()
    write(docs / "food.txt", "A llama eats maize.\n")
    write(docs / "new.md", "Vicunas are wild.\n")
    (docs / "walk.html").unlink()
    told: list[str] = []
    documents = Documents.open(docs, folder=kept, tell=told.append)
    assert sorted(reads) == ["food.txt", "new.md"]
    assert told[0] == "reading 2 files new or changed"
    assert documents.search("ichu") == documents.search("caravan") == ()
    assert documents.search("maize")[0].piece.label == f"{docs / 'food.txt'}:1"
    assert documents.search("wild")[0].piece.label == f"{docs / 'new.md'}:1"
    assert documents.search("colours")[0].piece.label == f"{docs / 'wool.md'}:7"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from("abcd"), st.lists(st.sampled_from(["wool", "two hay", "?", "# fog\n\nhay"])), max_size=4
        ),
        max_size=4,
    )
)
def test_an_index_that_was_changed_finds_what_a_new_one_finds(aged, states):
    with tempfile.TemporaryDirectory() as place:
        docs, kept = Path(place) / "docs", Path(place) / "kept"
        docs.mkdir()
        for state in states:
            for path in docs.iterdir():
                path.unlink()
            for name, parts in state.items():
                write(docs / f"{name}.md", "\n\n".join(parts))
            changed, new = Documents.open(docs, folder=kept), Documents.open(docs)
            for question in ("wool", "hay", "fog two", "a", "?"):
                assert changed.search(question) == new.search(question)


def test_only_words_of_what_changed_are_looked_for(docs, kept, aged, monkeypatch):
    Documents.open(docs, folder=kept)
    write(docs / "new.md", "Vicunas are wild.\n")
    seen: list[str] = []

    def looking(text):
        seen.append(text)
        return words(text)

    monkeypatch.setattr(ranking, "words", looking)
    Documents.open(docs, folder=kept)
    assert seen == ["new\nVicunas are wild."]


def test_nothing_of_a_removed_file_stays_in_the_index(docs, kept, aged):
    write(docs / "secret.md", "The password is Xyzzy.\n")
    Documents.open(docs, folder=kept)
    (docs / "secret.md").unlink()
    Documents.open(docs, folder=kept)
    assert [path for path in kept.rglob("*") if path.is_file() and b"xyzzy" in path.read_bytes().lower()] == []


def test_a_file_that_was_only_touched_is_not_indexed_again(docs, kept, aged, reads):
    Documents.open(docs, folder=kept)
    (place,) = kept.iterdir()
    before = json.loads((place / "index.json").read_text(encoding="utf-8"))["folder"]
    os.utime(docs / "food.txt", (1, 1))
    reads.clear()
    Documents.open(docs, folder=kept)
    assert reads == ["food.txt"]
    assert json.loads((place / "index.json").read_text(encoding="utf-8"))["folder"] == before
    reads.clear()
    Documents.open(docs, folder=kept)
    assert reads == []


def test_a_change_that_leaves_size_and_time_of_change_as_they_were_is_seen(docs, kept):
    """As where two writes fall into one tick of the file system's clock."""
    path = docs / "food.txt"
    Documents.open(docs, folder=kept)
    was = path.stat()
    write(path, PAGES["food.txt"].replace("ichu", "oats"))
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert Documents.open(docs, folder=kept).search("oats")


def test_skipped_files_are_told_each_time_and_read_once(docs, kept, aged, reads):
    (docs / "old.txt").write_bytes("caf\u00e9".encode("latin-1"))
    (docs / "photo.png").write_bytes(b"\x89PNG")
    for _ in range(2):
        skipped = {entry.path: entry.why for entry in Documents.open(docs, folder=kept).skipped}
        assert skipped == {str(docs / "old.txt"): "not UTF-8", str(docs / "photo.png"): folders.OTHER_KIND}
    assert reads.count("old.txt") == 1


def test_a_file_that_cannot_be_read_for_now_is_tried_again(docs, kept, aged, monkeypatch):
    with monkeypatch.context() as away:
        away.setattr(index, "read", lambda file: folders.Skipped(file.shown, "cannot be read: it is away"))
        documents = Documents.open(docs, folder=kept)
        assert (len(documents), len(documents.skipped)) == (0, 3)
        assert documents.search("ichu") == ()
    assert len(Documents.open(docs, folder=kept)) == 4


def test_an_index_is_of_what_was_named_from_wherever_it_is_named(docs, kept, aged, reads, monkeypatch):
    Documents.open(docs, folder=kept)
    reads.clear()
    monkeypatch.chdir(docs.parent)
    documents = Documents.open("docs/", folder=kept)
    assert reads == []
    assert documents.search("ichu")[0].piece.label == f"docs{os.sep}food.txt:1"
    assert documents.search("ichu")[0].piece.start == 0
    Documents.open([docs / "food.txt"], folder=kept)
    assert len(list(kept.iterdir())) == 2


def test_reading_that_takes_long_tells_how_far_it_is(docs, kept, monkeypatch):
    monkeypatch.setattr(index, "TELL_SECONDS", 0)
    told: list[str] = []
    Documents.open(docs, folder=kept, tell=told.append)
    assert told[1:4] == ["0 of 3 files looked at", "1 of 3 files looked at", "2 of 3 files looked at"]


def test_nothing_is_kept_where_no_folder_is_named(docs, tmp_path):
    assert Documents.open(docs).search("ichu")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["docs"]


def test_a_folder_without_a_text_has_no_passage(tmp_path, kept):
    (tmp_path / "empty").mkdir()
    for _ in range(2):
        documents = Documents.open(tmp_path / "empty", folder=kept)
        assert (len(documents), documents.search("anything")) == (0, ())


def test_texts_and_pieces_are_documents_too():
    piece = Piece("The fleece has no grease.", "wool.md", ("Wool",), line=3)
    documents = Documents.of(["A llama eats ichu grass.", piece])
    assert documents.search("grease") == (Found(piece, documents.search("grease")[0].score),)
    assert documents.search("ichu")[0].piece == Piece("A llama eats ichu grass.")
    with pytest.raises(InputError, match="must be texts or pieces, not int"):
        Documents.of([3])  # type: ignore[list-item]


def test_the_same_text_is_found_once():
    documents = Documents.of(
        [Piece("No grease.", "a.md"), Piece("No grease.", "b.md"), Piece("Grease and more.", "c.md")]
    )
    assert [one.piece.source for one in documents.search("grease")] == ["a.md", "c.md"]


def test_a_passage_is_found_by_its_headings_and_its_files_name():
    pieces = [Piece("It is sheared in spring.", "sheep.md", ("Wool",)), Piece("It is sheared in May.", "alpaca.md")]
    documents = Documents.of([*pieces, "Nothing of the kind."])
    assert documents.search("wool")[0].piece == pieces[0]
    assert documents.search("alpaca")[0].piece == pieces[1]


def test_how_many_are_wanted_must_be_a_number_of_passages():
    with pytest.raises(InputError, match="1 passage or more, not 0"):
        Documents.of(["a"]).search("a", 0)


@settings(max_examples=60)
@given(
    st.lists(st.text(alphabet="ab cd-_.\n", max_size=12), max_size=8),
    st.text(alphabet="ab cd-_.", max_size=6),
    st.integers(1, 5),
)
def test_what_is_found_is_among_the_best_of_all(texts, question, n):
    documents = Documents.of([Piece(text, str(number)) for number, text in enumerate(texts)])
    every = documents.search(question, max(1, len(texts)))
    assert documents.search(question, n) == every[:n]
    assert all(found.piece.text in texts for found in every)
    assert len({found.piece.text for found in every}) == len(every)


def test_the_section_about_it_is_found_before_one_that_only_mentions_it():
    mention = Piece(
        "Receipts are kept in memory, a thousand of them; asking for an older receipt gives a 404 in every dialect.",
        heading=("Limits", "The page"),
    )
    section = Piece(
        "It tells what happened to a request: the parameters that held, the tokens that were read and written, the seed.",
        heading=("The endpoint", "A receipt"),
    )
    assert Documents.of([mention, section]).search("What is a receipt?", 1)[0].piece == section
    others = replace(section, heading=("A receipt", "The endpoint"))
    assert Documents.of([mention, others]).search("What is a receipt?", 1)[0].piece == mention
