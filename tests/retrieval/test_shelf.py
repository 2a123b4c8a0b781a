"""What is kept of documents outlives crashes, full disks and other processes, and is not believed where it was damaged."""

import multiprocessing
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from puna.retrieval import shelf
from puna.retrieval.index import Documents
from tests.retrieval.written import write


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
    assert documents.search("ichu")[0].piece.text.startswith("A llama eats ichu grass.")
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


def test_a_disk_that_takes_no_more_leaves_the_old_index_and_is_told(docs, kept):
    code = (
        "import resource, sys; from pathlib import Path; from puna.retrieval.index import Documents\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try: Documents.open(sys.argv[1], folder=Path(sys.argv[2]))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    Documents.open(docs, folder=kept)
    write(docs / "long.txt", "Vicunas are wild.\n\n" + " ".join(f"word{n}" for n in range(9000)))
    done = subprocess.run([sys.executable, "-c", code, docs, kept], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("IndexStoreError the index of documents is kept in ")
    assert "File too large" in done.stdout or "it takes no more" in done.stdout
    (place,) = kept.iterdir()
    assert len([path for path in place.iterdir() if path.is_dir()]) == 1
    assert Documents.open(docs, folder=kept).search("wild")


def test_a_process_that_is_killed_while_it_indexes_leaves_nothing_in_the_way(docs, kept):
    code = (
        "import sys, time; from pathlib import Path; from puna.retrieval import shelf; from puna.retrieval.index import Documents\n"
        "shelf._write_index = lambda *_: (print('writing', flush=True), time.sleep(600))\n"
        "Documents.open(sys.argv[1], folder=Path(sys.argv[2]))"
    )
    with subprocess.Popen([sys.executable, "-c", code, docs, kept], stdout=-1, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "writing\n"
        other.kill()
    told: list[str] = []
    assert Documents.open(docs, folder=kept, tell=told.append).search("ichu")
    assert told[0] == "reading 3 files for the first time"
    (place,) = kept.iterdir()
    assert len([path for path in place.iterdir() if path.is_dir()]) == 1
