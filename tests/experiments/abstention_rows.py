"""The rows of the tables in docs/abstention.md, of what benchmarks/abstention.py prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def of(told: Sequence[float | None] | None, digits: int = 2) -> str:
    """``0.71 (0.62 to 0.80)``."""
    if told is None:
        return "-"
    estimate, *ends = (None if one is None else f"{one:.{digits}f}".replace("-0.00", "0.00") for one in told)
    return str(estimate) if None in ends else f"{estimate} ({ends[0]} to {ends[1]})"


def rows_of(told: Mapping[str, Any]) -> dict[str, list[str]]:
    """The rows of each table, by the table's name."""
    asked, held_out, fit = told["asked"], told["held_out"], told["fit"]
    halves = (fit["asked"], asked)
    return {
        "asked": [
            f"| {what} | {' | '.join(str(half[name]) if isinstance(half[name], int) else of(half[name]) for half in halves)} |"
            for name, what in _ASKED.items()
        ],
        "signals": [
            f"| {name} | {of(one['answerable'])} | {of(one['right'])} | {of(one['right_of_answerable'])} | {of(held_out['aurc_by_signal'][name])} |"
            for name, one in told["signals"].items()
        ],
        "weights": [
            f"| {what} | {name} | {centre:.3f} | {scale:.3f} | {weight:+.3f} |"
            for what, part in (("right", fit), ("answerable", fit["answerable"]))
            for name, (centre, scale, weight) in part["signals"].items()
        ],
        "judged": [f"| {what} | {of(held_out[name], 3)} |" for name, what in _JUDGED.items()],
        "answerable": [f"| {what} | {of(held_out['answerable'][name], 3)} |" for name, what in _ANSWERABLE.items()],
        "risk": [f"| {round(100 * float(at))} % of the answers | {of(one)} |" for at, one in held_out["risk"].items()],
        "reliability": [f"| {said:.2f} | {of(came)} | {n} |" for said, came, n in held_out["reliability"]],
        "thresholds": [
            f"| {round(100 * float(wanted))} % | {'none' if one['threshold'] is None else format(one['threshold'], '.2f')} "
            f"| {one['answered']} | {one['wrong']} |"
            for wanted, one in told["thresholds"].items()
        ],
    }


_ASKED = {
    "documents": "documents",
    "questions": "questions",
    "nothing_found": "questions for which no passage was found",
    "found": "of those with an answer: its document is among the four passages",
    "right_of_answerable": "of those with an answer: answered rightly",
    "f1_of_answerable": "of those with an answer: mean F1",
    "right_of_answers": "of all that were answered: right",
    "abstains_where_it_should": "of those without an answer: not answered",
    "abstains_where_it_should_not": "of those with an answer: not answered",
}

_JUDGED = {
    "auroc": "area under the ROC curve, right against wrong",
    "brier": "Brier score",
    "brier_less_constant": "the same, less that of always saying the fit half's rate",
    "calibration_error": "expected calibration error, 5 bins",
    "aurc": "area under the risk-coverage curve",
    "aurc_chance": "the same by chance: the share of wrong answers",
    "aurc_less_chance": "the score's less chance's",
    "aurc_oracle": "the same by an oracle",
}

_ANSWERABLE = {
    "auroc": "area under the ROC curve, answerable against not",
    "brier": "Brier score",
    "calibration_error": "expected calibration error, 5 bins",
}
