"""Are the passages that answer a question found, and what does an index save?

recall: of the shipped questions that their document answers (src/puna/experiments/questions.jsonl), the share for which a passage of that
document with an accepted answer in it is among the first k, of all passages of all documents; by BM25, by word vectors alone, and by both
fused. Passages of 800 characters, which is puna's size (each of these documents is about one), and of 200, which is harder. mrr: the
mean of 1 / rank of the first such passage, 0 beyond the 8th.

pages: of questions on puna's own pages (benchmarks/pages.jsonl, in docs/), the share whose section is among the first k; any passage of it
counts. 66 were written from the pages' tables of contents, which favours headings; 80 by somebody who saw one passage each, without its
headings, and nothing else, for one of which it may not be the only answer. heading 1 counts a passage's own heading as its text.

times: on FILES Markdown files of generated text. What an index saves is told in ratios to what a program without one does for each
question: read every file, cut it into words, and count those that it shares with the question (rescan). open: of an index that is up to date;
changed: with one file in a hundred changed; index: the first time. Each is the median of RUNS, files in the page cache; the first
index is made once. Processor time counts, which says the same on a machine that others use too; waiting for the disk is not in it.
Run: python benchmarks/retrieval.py [--files N] [--runs N]. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from puna.context.passages import SIZE, passages
from puna.context.pieces import Piece
from puna.experiments.questions import Asked, documents, questions
from puna.retrieval import dense, index
from puna.retrieval.index import Documents
from puna.retrieval.ranking import best
from puna.retrieval.words import words

TOP = (1, 2, 4, 8)
PAGES, DOCS = Path(__file__).parent / "pages.jsonl", Path(__file__).parents[1] / "docs"


def answers(piece: Piece, asked: Asked) -> bool:
    """Whether the passage is of the question's document and has an accepted answer."""
    return piece.source == asked.document.id and any(text.casefold() in piece.text.casefold() for text in asked.answers)


def recall(size: int) -> dict[str, dict[str, float]]:
    """By each way of ranking."""
    pieces = [
        replace(piece, heading=(document.title, *piece.heading))
        for document in documents()
        for piece in passages(document.text, source=document.id, size=size)
    ]
    asked = [one for one in questions() if any(answers(piece, one) for piece in pieces)]
    plain, both = Documents.of(pieces), Documents.of(pieces, dense=True)
    vectors = dense.vectors(["\n".join((*piece.heading, piece.text)) for piece in pieces])
    ways: dict[str, Callable[[str], Sequence[Piece]]] = {
        "bm25": lambda text: [found.piece for found in plain.search(text, max(TOP))],
        "dense": lambda text: [pieces[n] for n in best(dense.cosines(vectors, text), max(TOP), -1)],
        "fused": lambda text: [found.piece for found in both.search(text, max(TOP))],
    }
    print(f"\npassages of {size} characters: {len(pieces)}; questions: {len(asked)}")
    print(f"{'':8}" + "".join(f"{f'recall@{k}':>10}" for k in TOP) + f"{'mrr':>8}")
    found = {}
    for name, way in ways.items():
        ranks = [next((n for n, piece in enumerate(way(one.text), 1) if answers(piece, one)), None) for one in asked]
        row = {f"recall@{k}": sum(rank is not None and rank <= k for rank in ranks) / len(asked) for k in TOP}
        row["mrr"] = sum(1 / rank for rank in ranks if rank) / len(asked)
        found[name] = {key: round(value, 3) for key, value in row.items()}
        print(f"{name:8}" + "".join(f"{value:>10.3f}" for value in list(row.values())[:-1]) + f"{row['mrr']:>8.3f}")
    return found


def pages() -> dict[str, dict[str, float]]:
    """On puna's own pages, by how they were asked and how much a heading counts."""
    asked = [json.loads(line) for line in PAGES.read_text(encoding="utf-8").splitlines()]
    found: dict[str, dict[str, float]] = {}
    shipped = index.HEADING_WEIGHT
    for weight in (1, shipped):
        index.HEADING_WEIGHT = weight
        documents_ = Documents.open([DOCS])
        for blind in (False, True):
            ranks = [_rank(documents_, one) for one in asked if one["blind"] == blind]
            name = f"{'passages' if blind else 'contents'}, heading {weight}"
            row = {f"recall@{k}": sum(0 < rank <= k for rank in ranks) / len(ranks) for k in TOP}
            found[name] = {key: round(value, 3) for key, value in row.items()}
            print(f"{name:20}" + "".join(f"{value:>10.3f}" for value in row.values()))
    index.HEADING_WEIGHT = shipped
    return found


def _rank(documents_: Documents, asked: dict[str, Any]) -> int:
    """Of the first passage of a section that answers; 0 where none is among the first."""
    sections = [section.split("#", 1) for section in asked["sections"]]
    for rank, found in enumerate(documents_.search(asked["question"], max(TOP)), 1):
        page, own = Path(found.piece.source).relative_to(DOCS).as_posix(), found.piece.heading[-1:]
        if any(page == file and heading in {"*", *own} for file, heading in sections):
            return rank
    return 0


def write(folder: Path, n: int, chosen: random.Random) -> None:
    """A file of generated text: sentences of the shipped documents among words that are drawn."""
    sentences = [sentence for document in documents() for sentence in document.text.split(". ")]
    rare = [f"{chosen.choice(sentences).split()[0].lower()}{chosen.randrange(20_000)}" for _ in range(40)]
    body = [f"{chosen.choice(sentences)} {chosen.choice(rare)}." for _ in range(60)]
    text = f"# Page {n}\n\n" + "\n\n".join(" ".join(body[k : k + 6]) for k in range(0, 60, 6))
    (folder / f"{n:05}.md").write_text(text, encoding="utf-8")


def rescan(folder: Path, question: str) -> list[Path]:
    """What one does without an index: the files that share most words with the question."""
    wanted = set(words(question))
    scores = {path: len(wanted & set(words(path.read_text(encoding="utf-8")))) for path in sorted(folder.glob("*.md"))}
    return sorted(scores, key=lambda path: -scores[path])[:8]


def seconds(work: Callable[[], object]) -> float:
    """Of one call, on a processor."""
    began = time.process_time()
    work()
    return time.process_time() - began


def times(files: int, runs: int) -> dict[str, float]:
    """Ratios to a rescan."""
    chosen = random.Random(1)
    asked = [one.text for one in questions()]
    with tempfile.TemporaryDirectory() as place:
        docs, kept = Path(place) / "docs", Path(place) / "kept"
        docs.mkdir()
        for n in range(files):
            write(docs, n, chosen)
            os.utime(docs / f"{n:05}.md", (n, n))
        size = sum(path.stat().st_size for path in docs.iterdir())

        def opened() -> Documents:
            return Documents.open(docs, folder=kept)

        def changed() -> float:
            for n in range(0, files, 100):
                write(docs, n, chosen)
            return seconds(opened)

        rescans = statistics.median(seconds(lambda: rescan(docs, chosen.choice(asked))) for _ in range(runs))
        first = seconds(opened)
        time.sleep(2.1)  # files that are younger are read again, for a clock may not have moved on between two writes
        opened()
        again = statistics.median(seconds(opened) for _ in range(runs))
        found = opened()
        query = statistics.median(seconds(lambda: found.search(chosen.choice(asked))) for _ in range(runs * 20))
        change = statistics.median(changed() for _ in range(runs))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"\n{files} files, {size / 1e6:.1f} MB, {len(found)} passages; rescan {rescans:.3f} s")
    figures = {"index": first, "changed": change, "open": again, "query": query}
    for name, value in figures.items():
        print(f"{name:8} {value * 1000:>10.1f} ms   {value / rescans:>8.4f} of a rescan")
    print(f"peak memory {memory / 1e6:.0f} MB, Python and numpy included")
    return {f"{name}_per_rescan": round(value / rescans, 5) for name, value in figures.items()} | {
        "passages": len(found)
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    found = {str(size): recall(size) for size in (SIZE, 200)}
    by_heading = pages()
    ratios = times(args.files, args.runs)
    machine = {"python": sys.version.split()[0], "cores": os.cpu_count()}
    told = {"recall": found, "pages": by_heading, "times": ratios}
    print(json.dumps({"benchmark": "retrieval", "files": args.files, **machine, **told}))


if __name__ == "__main__":
    main()
