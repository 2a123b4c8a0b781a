"""In which layout of instruction, context and question does a small model answer and cite best? Decides the dialog of ``Question``.

Of the shipped questions (src/puna/experiments/questions.jsonl), those of the half to fit: of each document the first ANSWERABLE that it
answers and the first UNANSWERABLE that it does not. They are asked with three passages, their document's and those of two others, in a random order
of fixed seed (the same for all of a document, so that a prompt cache has the context); answers are greedy, of at most 32 tokens. The layouts differ in nothing but their order:

turn        the instruction is the system message; the context, then the question, are the user's
system      the instruction and the context are the system message; the question alone is the user's
one         instruction, context and question are the user's; no system message (the model's template adds its own)
first       as turn, with the question before the context
turn+3      as turn, after three examples, of other invented texts, with contexts of their own: two answers that cite, one "I don't know."
inline+3    the same, with the examples in the user's message

right: the answer has an accepted answer, and does not abstain (puna.experiments.abstention). cited: all that it cites is the right passage. refused:
it abstains although the passage has the answer. abstained: it abstains where the passage has none. Intervals: Wilson, 95 %.
Run: python benchmarks/layouts.py [--layouts NAME,NAME] [--jobs N] [--threads N]. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import puna
from puna.context.pieces import Piece
from puna.context.questions import Question
from puna.context.support import support
from puna.experiments.abstention import abstains
from puna.experiments.questions import Asked, documents, questions
from puna.experiments.stats import wilson
from puna.generation import Delta
from puna.messages import Dialog, Message, Role

ANSWERABLE, UNANSWERABLE = 2, 1
OTHERS = 2
SEED = 7

_INN, _BREAD, _TOWER = (
    Piece("The inn at Pell has 30 rooms and a garden. Breakfast is served until ten."),
    Piece("Corn bread is baked for 40 minutes. It keeps for a week."),
    Piece("The Rill tower was built by Joan Dee. It leans to the east."),
)
EXAMPLES = (
    Question("How many rooms does the inn have?", (_INN, _BREAD)).answered("The inn has 30 rooms. [1]"),
    Question("Who owns the inn?", (_TOWER, _INN)).answered("I don't know."),
    Question("Who built the tower?", (_BREAD, _TOWER)).answered("Joan Dee built the tower. [2]"),
)


@dataclass(frozen=True)
class Item:
    """A question with its passages. right: the number of the one that it is about."""

    asked: Asked
    question: Question
    right: int


def items() -> Iterator[Item]:
    """What is asked, in every layout."""
    rng = random.Random(SEED)
    for document in documents():
        shown = [document, *rng.sample([other for other in documents() if other != document], OTHERS)]
        rng.shuffle(shown)
        pieces = tuple(Piece(one.text, one.id, (one.title,)) for one in shown)
        own = [asked for asked in questions("fit") if asked.document == document]
        chosen = [a for a in own if a.answerable][:ANSWERABLE] + [a for a in own if not a.answerable][:UNANSWERABLE]
        for asked in chosen:
            yield Item(asked, Question(asked.text, pieces), shown.index(document) + 1)


def _parts(question: Question) -> tuple[str, str, str]:
    """Instruction, context, and question with its mark."""
    content = question.dialog()[-1].content
    at = content.rindex("\n\nQuestion: ")
    return question.instruction, content[:at], content[at + 2 :]


def _said(system: str, user: str) -> Dialog:
    messages = [Message(Role.SYSTEM, system)] if system else []
    return Dialog((*messages, Message(Role.USER, user)))


def _turn(question: Question) -> Dialog:
    instruction, context, asked = _parts(question)
    return _said(instruction, f"{context}\n\n{asked}")


def _system(question: Question) -> Dialog:
    instruction, context, _ = _parts(question)
    return _said(f"{instruction}\n\n{context}", question.text)


def _one(question: Question) -> Dialog:
    return _said("", "\n\n".join(_parts(question)))


def _first(question: Question) -> Dialog:
    instruction, context, asked = _parts(question)
    return _said(instruction, f"{asked}\n\n{context}")


LAYOUTS: Mapping[str, Callable[[Question], Dialog]] = {
    "turn": _turn,
    "system": _system,
    "one": _one,
    "turn+3": lambda question: replace(question, examples=EXAMPLES).dialog(),
    "inline+3": lambda question: replace(question, examples=EXAMPLES, inline=True).dialog(),
    "first": _first,
}


def judged(asked: list[Item], answers: list[str]) -> dict[str, object]:
    """Counts of one layout."""
    counts = dict.fromkeys(("right", "cited", "right_and_cited", "refused", "abstained"), 0)
    for item, answer in zip(asked, answers, strict=True):
        says = abstains(answer)
        if not item.asked.answerable:
            counts["abstained"] += says
            continue
        right = not says and any(text.casefold() in answer.casefold() for text in item.asked.answers)
        cites = {number for claim in support(answer, item.question.pieces) for number in claim.cites}
        counts["right"] += right
        counts["cited"] += cites == {item.right}
        counts["right_and_cited"] += right and cites == {item.right}
        counts["refused"] += says
    answerable = sum(item.asked.answerable for item in asked)
    told: dict[str, object] = {"answerable": answerable, "unanswerable": len(asked) - answerable}
    for name, count in counts.items():
        of = len(asked) - answerable if name == "abstained" else answerable
        share = wilson(count, of)
        told[name] = [count, round(share.low or 0.0, 2), round(share.high or 0.0, 2)]
    return told


async def measured(names: list[str], jobs: int, threads: int) -> dict[str, object]:
    """The counts of each layout. jobs: answers at a time. threads: of the engine; more than there are idle cores slow it down."""
    asked, gate = list(items()), asyncio.Semaphore(jobs)
    found: dict[str, object] = {}
    async with puna.AsyncChat(context=4096, slots=jobs, threads=1, batch_threads=threads) as chat:

        async def answer(name: str, item: Item) -> str:
            dialog = LAYOUTS[name](item.question)
            before = Dialog(dialog.messages[:-1])
            async with gate:
                events = chat.complete(dialog[-1].content, before=before, temperature=0.0, max_tokens=32)
                text = "".join([event.text async for event in events if isinstance(event, Delta)])
            print(json.dumps([name, item.asked.id, item.right, item.asked.answers, text]), file=sys.stderr, flush=True)
            return text

        for name in names:
            started = time.monotonic()
            answers = await asyncio.gather(*(answer(name, item) for item in asked))
            counts = {**judged(asked, answers), "seconds": round(time.monotonic() - started)}
            found[name] = counts
            print(name, json.dumps(counts), flush=True)
    return found


def main() -> None:
    """Ask, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layouts", default=",".join(LAYOUTS))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    found = asyncio.run(measured(given.layouts.split(","), given.jobs, given.threads))
    print(json.dumps({"cores": os.cpu_count(), "seed": SEED, "layouts": found}))


if __name__ == "__main__":
    main()
