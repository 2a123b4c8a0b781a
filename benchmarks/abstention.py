"""Can it be told which answers from documents are right? Signals of an answer, a probability fitted on them, and risk against coverage.

The questions are puna's own (``puna.experiments.questions``): 40 invented documents, of each some questions that it answers and as many that it
does not. Documents with odd numbers are there to fit, the others are held out; the passages of each half are searched apart. For each
question the best passages by BM25 are shown with the default instruction, the model answers greedily, and the signals of its answer are
found as ``puna.experiments.answerable`` finds them. An answer is right where an accepted answer stands in it; an answer to a question that
the document does not answer is wrong.

Then, on the fit half alone: signals are chosen and a logistic regression is fitted (``puna.experiments.calibration``). Then, on the held-out
half, once: what each signal separates (area under the ROC curve), and of the fitted probability that area, its calibration, and the
risk of answering only where it is high. Intervals are 95 % bootstraps over documents, 2000 draws: 20 documents are few for it, so take them
for somewhat too narrow. Random choice and an oracle are the bounds of the area under the risk-coverage curve (AURC).

Answers stand in a file, a line each; those that are there are not asked again, so that a run that was broken off goes on. With --judge none
is asked: what is in the file is judged, of documents whose questions were all asked. That takes seconds and needs no model.
    python benchmarks/abstention.py [ROWS.jsonl] [--model NAME|FILE.gguf] [--judge] [--write [FITTED.json]] [--picture FILE.png]
Without ROWS.jsonl it is the file that comes with this script. --write keeps the fit: for puna itself, or in a file that
``Calibrated.load(model, path)`` reads. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from puna import config
from puna.experiments import risk
from puna.experiments.calibration import Calibrated, fitted
from puna.experiments.drawing import png, style
from puna.experiments.judged import Judged, judged, pieces_of
from puna.experiments.questions import HALVES, documents, questions
from puna.experiments.risk import Scored
from puna.experiments.selective import Selective, picture
from puna.experiments.stats import Interval, wilson
from puna.retrieval.index import Documents

ROWS = Path(__file__).parent / "abstention.jsonl"
FITTED = Path(config.__file__).parent / "experiments" / "abstention.json"
MODEL = "smollm2-135m"

SIGNALS: Mapping[str, Callable[[Judged], float | None]] = {
    "logprob": lambda one: None if one.signals is None else one.signals.logprob,
    "least": lambda one: None if one.signals is None else one.signals.least,
    "less entropy": lambda one: None if one.signals is None or one.signals.entropy is None else -one.signals.entropy,
    "contrast": lambda one: None if one.signals is None else one.signals.contrast,
    'less of "I don\'t know."': lambda one: None if one.signals is None else -one.signals.unknown,
    'answer over "I don\'t know."': lambda one: (
        None if one.signals is None else one.signals.logprob - one.signals.unknown / UNKNOWN
    ),
    "support": lambda one: None if one.signals is None else one.signals.support,
    "covered": lambda one: None if one.signals is None else one.signals.covered,
    "BM25": lambda one: one.bm25,
}
"""Each so that a higher one should mean that the question can be answered, and was; decided before anything was measured."""

UNKNOWN = 5
"""Tokens of "I don't know." in this vocabulary, so that both are per token."""


def known(path: Path) -> dict[str, Judged]:
    """The answers in a file, by their questions' ids."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {one.id: one for one in (Judged.of_json(json.loads(line)) for line in lines)}


def whole(done: Mapping[str, Judged], half: str) -> list[Judged]:
    """The answers of one half, of documents whose questions were all asked."""
    broken = {asked.document.id for asked in questions(half) if asked.id not in done}
    return [done[asked.id] for asked in questions(half) if asked.document.id not in broken]


async def measure(args: argparse.Namespace, done: Mapping[str, Judged]) -> None:
    """Ask what was not asked yet, a document's questions one after the other, and keep each answer at once."""
    wanted = config.settings(
        {"model": args.model, "context": 2048, "slots": args.jobs, "threads": 1, "batch_threads": 1}
    )
    spine = await config.open_spine(wanted, config.find_model(wanted))
    shown = {half: Documents.of(pieces_of([one for one in documents() if one.half == half])) for half in HALVES}
    free = asyncio.Semaphore(args.jobs)

    async def about(document: str) -> None:
        async with free:
            for asked in questions():
                if asked.document.id == document and asked.id not in done:
                    found = await judged(
                        spine, asked, shown[asked.document.half], n=args.passages, max_tokens=args.max_tokens
                    )
                    with args.rows.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(found.as_json()) + "\n")
                    print(f"{asked.id}: {found.answer[:100]!r}", file=sys.stderr, flush=True)

    try:
        await asyncio.gather(*(about(document.id) for document in documents()))
    finally:
        await spine.engine.close()


def told(found: Interval | None) -> list[float | None] | None:
    """Estimate and ends."""
    return (
        None
        if found is None
        else [None if end is None else round(end, 3) for end in (found.estimate, found.low, found.high)]
    )


def scored(
    answers: Sequence[Judged], score: Callable[[Judged], float | None], right: Callable[[Judged], bool]
) -> Scored:
    """The answers with a score, and an outcome."""
    values = [(value, one) for one in answers if (value := score(one)) is not None]
    return Scored.of([v for v, _ in values], [right(one) for _, one in values], [one.document for _, one in values])


def separation(answers: Sequence[Judged], scores: Mapping[str, Callable[[Judged], float | None]]) -> dict[str, Any]:
    """What each score separates, as area under the ROC curve."""
    given = [one for one in answers if one.answers]
    within = [one for one in given if one.answerable]
    return {
        name: {
            "answerable": told(risk.interval(scored(given, score, lambda one: one.answerable), risk.auroc)),
            "right": told(risk.interval(scored(given, score, lambda one: one.right), risk.auroc)),
            "right_of_answerable": told(risk.interval(scored(within, score, lambda one: one.right), risk.auroc)),
        }
        for name, score in scores.items()
    }


def share(answers: Sequence[Judged], of: Callable[[Judged], bool]) -> list[float | None] | None:
    """The share of answers of a kind; where all or none are, Wilson's interval, as if they were independent: a bootstrap has none."""
    made = scored(answers, lambda _: 0.0, of)
    count = int(made.right.sum())
    if count in {0, len(answers)}:
        return told(wilson(count, len(answers)))
    return told(risk.interval(made, lambda one: float(one.right.mean())))


def answering(answers: Sequence[Judged]) -> dict[str, Any]:
    """What the model does with the questions by the instruction alone."""
    can, cannot = [one for one in answers if one.answerable], [one for one in answers if not one.answerable]
    return {
        "questions": len(answers),
        "documents": len({one.document for one in answers}),
        "nothing_found": sum(not one.found for one in answers),
        "found": share(can, lambda one: one.document in one.found),
        "abstains_where_it_should": share(cannot, lambda one: not one.answers),
        "abstains_where_it_should_not": share(can, lambda one: not one.answers),
        "right_of_answerable": share(can, lambda one: one.right),
        "right_of_answers": share([one for one in answers if one.answers], lambda one: one.right),
        "f1_of_answerable": told(
            risk.interval(scored(can, lambda one: one.f1, lambda _: True), lambda one: float(one.scores.mean()))
        ),
    }


def judgement(fit: Calibrated, answers: Sequence[Judged]) -> tuple[dict[str, Any], Selective]:
    """The fitted probability on answers that it has not seen."""
    given = [one for one in answers if one.answers]
    by = scored(given, lambda one: None if one.signals is None else fit.probability(one.signals), lambda one: one.right)
    can = scored(
        given,
        lambda one: None if one.signals is None else fit.answerable.probability(one.signals),
        lambda one: one.answerable,
    )
    base = sum(right for _, right in fit.told) / len(fit.told)
    constant = scored(given, lambda _: base, lambda one: one.right)
    shares = (0.1, 0.25, 0.5, 0.75, 1.0)
    chance = risk.interval(by, lambda one: risk.aurc(one) - risk.error(one))
    return {
        "answers": len(given),
        "auroc": told(risk.interval(by, risk.auroc)),
        "brier": told(risk.interval(by, risk.brier)),
        "brier_less_constant": told(risk.difference(by, constant, risk.brier)),
        "calibration_error": told(risk.interval(by, risk.calibration_error)),
        "aurc": told(risk.interval(by, risk.aurc)),
        "aurc_chance": told(risk.interval(by, risk.error)),
        "aurc_less_chance": told(chance),
        "aurc_oracle": told(risk.interval(risk.oracle(by), risk.aurc)),
        "risk": {str(at): told(one) for at, one in zip(shares, risk.band(by, shares), strict=True)},
        "reliability": [[round(one.said, 3), told(one.came), one.n] for one in risk.reliability(by)],
        "answerable": {"auroc": told(risk.interval(can, risk.auroc)), "brier": told(risk.interval(can, risk.brier)),
                       "calibration_error": told(risk.interval(can, risk.calibration_error))},
        "aurc_by_signal": {name: told(risk.interval(scored(given, score, lambda one: one.right), risk.aurc)) for name, score in SIGNALS.items()},
    }, Selective(by, len(answers))  # fmt: skip


def promised(fit: Calibrated, answers: Sequence[Judged]) -> dict[str, Any]:
    """What thresholds from the fit half come to on the others."""
    found: dict[str, Any] = {}
    given = [one for one in answers if one.answers and one.signals is not None]
    for wanted in (0.1, 0.2, 0.3, 0.5):
        least = fit.threshold(wanted)
        kept = [one for one in given if least is not None and one.signals and fit.probability(one.signals) >= least]
        wrong = sum(not one.right for one in kept)
        found[str(wanted)] = {
            "threshold": None if least is None else round(least, 4),
            "answered": len(kept),
            "wrong": wrong,
        }
    return found


def main() -> None:
    """Measure what is missing, fit, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "rows", type=Path, nargs="?", default=ROWS, help="the answers; those that are missing are asked and added"
    )
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--passages", type=int, default=4)
    parser.add_argument("--max-tokens", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--judge", action="store_true", help="ask nothing")
    parser.add_argument("--write", type=Path, nargs="?", const=FITTED, metavar="FITTED.json")
    parser.add_argument("--picture", type=Path, metavar="FILE.png")
    args = parser.parse_args()
    if args.model != MODEL and args.rows == ROWS:
        sys.exit(f"{ROWS.name} has the answers of {MODEL}; name a file for those of {args.model}")
    done = known(args.rows)
    if not args.judge and any(asked.id not in done for asked in questions()):
        asyncio.run(measure(args, done))
        done = known(args.rows)
    halves = {half: whole(done, half) for half in HALVES}
    fit = fitted(Path(args.model).stem if args.model.endswith(".gguf") else args.model, halves["fit"])
    if args.write:
        fit.save(args.write)
    judged_, drawn = judgement(fit, halves["held-out"])
    if args.picture:
        with style():
            args.picture.write_bytes(png(picture(drawn)))
    own = {"abstains": lambda one: -float(one.abstained)}
    everything = scored([one for one in halves["held-out"] if one.found], own["abstains"], lambda one: one.answerable)
    print(
        json.dumps(
            {
                "benchmark": "abstention",
                "model": fit.model,
                "fit": fit.right.as_json()
                | {"answerable": fit.answerable.as_json(), "asked": answering(halves["fit"])},
                "asked": answering(halves["held-out"]),
                "abstains_auroc": told(risk.interval(everything, risk.auroc)),
                "signals": separation(halves["held-out"], SIGNALS),
                "held_out": judged_,
                "thresholds": promised(fit, halves["held-out"]),
            }
        )
    )


if __name__ == "__main__":
    main()
