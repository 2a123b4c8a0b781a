"""Documents are indexed once, kept, and read again where they have changed."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puna.context.pieces import Piece
from puna.errors import InputError
from puna.retrieval import folder as folders
from puna.retrieval import index, ranking, shelf
from puna.retrieval.index import Documents, Found
from puna.retrieval.words import words

PAGES = {
    "wool.md": "# Wool\n\nThe fleece of an alpaca has no grease.\n\n## Colours\n\nThere are twenty-two of them.\n",
    "food.txt": "A llama eats ichu grass.\n\nIt drinks little.\n",
    "walk.html": "<html><body><h1>Walking</h1><p>A caravan walks twenty kilometres a day.</p></body></html>",
}


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


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


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


def damaged(place: Path, name: str, how: str) -> None:
    (path,) = place.rglob(name)
    data = path.read_bytes()
    match how:
        case "gone":
            path.unlink()
        case "short":
            path.write_bytes(data[: len(data) // 2])
        case "one bit":
            path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])


@pytest.mark.parametrize("how", ["gone", "short", "one bit"])
@pytest.mark.parametrize(
    "name", ["passages.jsonl", "places.npy", "data.csc.index.npy", "vocab.index.json", "index.json"]
)
def test_a_damaged_index_is_made_anew_with_a_word(docs, kept, name, how):
    Documents.open(docs, folder=kept)
    (place,) = kept.iterdir()
    damaged(place, name, how)
    told: list[str] = []
    assert Documents.open(docs, folder=kept, tell=told.append).search("ichu")
    if (name, how) != ("index.json", "gone"):
        assert "it is made anew" in told[0]
    told.clear()
    assert Documents.open(docs, folder=kept, tell=told.append).search("ichu")
    assert told == []


def test_an_index_of_another_version_is_made_anew(docs, kept, monkeypatch, reads):
    Documents.open(docs, folder=kept)
    reads.clear()
    monkeypatch.setattr(shelf, "MADE_BY", "another")
    assert Documents.open(docs, folder=kept).search("ichu")
    assert len(reads) == 3


def test_what_a_crash_has_left_goes_with_the_next_index(docs, kept):
    Documents.open(docs, folder=kept)
    (place,) = kept.iterdir()
    (place / "0123456789abcdef").mkdir()
    (place / "0123456789abcdef" / "passages.jsonl").write_bytes(b"half")
    (place / "0123456789abcdef.unfinished").write_bytes(b"half")
    write(docs / "new.md", "Vicunas are wild.\n")
    Documents.open(docs, folder=kept)
    assert len([path for path in place.iterdir() if path.is_dir()]) == 1
    assert not list(place.glob("*.unfinished"))


def test_a_crash_while_it_is_written_leaves_the_old_index(docs, kept, aged, monkeypatch):
    Documents.open(docs, folder=kept)
    write(docs / "new.md", "Vicunas are wild.\n")
    with monkeypatch.context() as full:
        full.setattr(shelf, "_write_index", lambda *_: exec("raise OSError(28, 'No space left on device')"))  # noqa: S102
        with pytest.raises(shelf.IndexStoreError, match="No space left on device; free or mend it"):
            Documents.open(docs, folder=kept)
    (place,) = kept.iterdir()
    assert len([path for path in place.iterdir() if path.is_dir()]) == 1
    assert Documents.open(docs, folder=kept).search("wild")


def test_documents_stay_searchable_when_their_index_is_replaced_or_removed(docs, kept):
    documents = Documents.open(docs, folder=kept)
    write(docs / "food.txt", "Nothing is left.\n")
    Documents.open(docs, folder=kept)
    assert texts(documents.search("ichu"))[0].startswith("A llama eats ichu grass.")
    shutil.rmtree(kept)
    assert documents.search("ichu")


def _open(docs: str, kept: str, start) -> None:
    start.wait()
    for _ in range(5):
        assert Documents.open(docs, folder=Path(kept)).search("ichu")


def test_several_processes_may_open_the_same_documents_at_once(docs, kept):
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(3)
    others = [context.Process(target=_open, args=(str(docs), str(kept), start)) for _ in range(3)]
    for other in others:
        other.start()
    for other in others:
        other.join(60)
    assert [other.exitcode for other in others] == [0, 0, 0]


def test_a_process_that_waits_for_another_says_so(docs, kept):
    code = (
        "import sys; from pathlib import Path; from puna.retrieval import shelf\n"
        "with shelf.alone(Path(sys.argv[1]), print):\n    print('in', flush=True); sys.stdin.readline()"
    )
    Documents.open(docs, folder=kept)
    (place,) = kept.iterdir()
    other = subprocess.Popen([sys.executable, "-c", code, place], stdin=-1, stdout=-1, text=True)
    assert other.stdin is not None
    assert other.stdout is not None
    assert other.stdout.readline() == "in\n"
    told: list[str] = []

    def tell(line):
        told.append(line)
        other.communicate("\n")

    assert Documents.open(docs, folder=kept, tell=tell)
    assert told == ["another process is indexing the same documents; waiting for it"]


def test_a_home_that_cannot_be_written_is_told(docs, tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(shelf.IndexStoreError, match="PUNA_HOME"):
        Documents.open(docs, folder=tmp_path / "file" / "documents")


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
    mention = Piece("Receipts are kept in memory, a thousand of them; asking for an older receipt gives a 404 in every dialect.", heading=("Limits", "The page"))
    section = Piece(
        "It tells what happened to a request: the parameters that held, the tokens that were read and written, the seed.",
        heading=("The endpoint", "A receipt"),
    )
    assert Documents.of([mention, section]).search("What is a receipt?", 1)[0].piece == section
    others = replace(section, heading=("A receipt", "The endpoint"))
    assert Documents.of([mention, others]).search("What is a receipt?", 1)[0].piece == mention
