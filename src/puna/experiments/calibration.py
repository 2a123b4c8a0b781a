"""The probability that an answer is right, of its signals: fitted by logistic regression on questions whose answers are known. Asks no model.

A fit holds for one model, and for prompts like those that it was fitted with: grounded questions (``puna.context.questions``) in English. It
is kept in ``abstention.json`` with what it was fitted on. Two things are estimated: that the answer is right, and that the passages
answer the question at all.

The method. Signals are standardised; the weights minimise the log loss plus half of ``PENALTY`` times their squares, by Newton's method.
Which signals take part is found on the same questions: starting with none, that one is added which lowers the log loss of left-out documents most (each
document is left out once), as long as it lowers it by more than the standard error of that difference over documents.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from puna.context.questions import INSTRUCTION
from puna.errors import InputError
from puna.experiments.answerable import Signals
from puna.experiments.judged import Judged
from puna.experiments.stats import Floats, wilson
from puna.generation import Receipt

PENALTY = 1.0
"""Of squared weights of standardised signals: a normal prior of standard deviation 1. Taken before anything was measured, and not tuned."""

CANDIDATES = ("logprob", "least", "entropy", "contrast", "unknown", "support", "covered")
"""Signals that may take part, of which at most ``MOST`` do."""

MOST = 4

_STEPS = 50
"""Newton's; it takes 5 to 8."""

_KEYS = {"right", "answerable", "told", "questions", "instruction"}


@dataclass(frozen=True, slots=True)
class Logistic:
    """A fitted logistic regression. weights: of the standardised signals; centre, scale: what standardises them; shape (len(names),)."""

    names: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float

    def probability(self, signals: Signals) -> float:
        """Above 0 and below 1.

        Raises:
            InputError: a signal that takes part is not known.
        """
        return float(_sigmoid(self._logits(_matrix([signals], self.names)))[0])

    def _logits(self, values: Floats) -> Floats:
        standard = (values - np.array(self.centre)) / np.array(self.scale)
        return np.asarray(standard @ np.array(self.weights) + self.intercept, dtype=np.float64)

    def as_json(self) -> dict[str, object]:
        """JSON values, rounded to what a signal's own digits allow."""
        rows = zip(self.names, self.centre, self.scale, self.weights, strict=True)
        told = {name: [round(value, 5) for value in row] for name, *row in rows}
        return {"intercept": round(self.intercept, 5), "signals": told}

    @classmethod
    def of_json(cls, told: Mapping[str, Any]) -> Logistic:
        """The value that ``as_json`` told."""
        centre, scale, weights = zip(*told["signals"].values(), strict=True)
        return cls(tuple(told["signals"]), centre, scale, weights, told["intercept"])


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What was fitted for one model. model: its name, as receipts tell it. questions: SHA-256 of the ids of the questions it was fitted on.

    instruction: SHA-256 of the instruction under which they were asked. told: for each question that was answered the probability that
    its answer is right, by a fit that left out its document, and whether it is.
    """

    model: str
    right: Logistic
    answerable: Logistic
    told: tuple[tuple[float, bool], ...]
    questions: str
    instruction: str

    @classmethod
    def load(cls, model: str, path: Path | None = None) -> Calibrated:
        """The fit of a model. path: a file that ``save`` wrote; None for the one that ships with puna.

        Raises:
            InputError: there is none for this model, or the file is none.
        """
        kept = _kept(path)
        if model not in kept:
            raise InputError(
                f"how sure an answer is was fitted for {', '.join(sorted(kept)) or 'no model'}, not for {model!r}; fit it for this model "
                "with: python benchmarks/abstention.py --model ... --write (docs/abstention.md)"
            )
        told = kept[model]
        pairs = tuple((float(probability), bool(right)) for probability, right in told["told"])
        parts = Logistic.of_json(told["right"]), Logistic.of_json(told["answerable"])
        return cls(model, *parts, pairs, told["questions"], told["instruction"])

    def save(self, path: Path) -> None:
        """Into a file, beside what it has of other models.

        Raises:
            InputError: there is a file already that is none of these.
        """
        kept = {**(_kept(path) if path.exists() else {}), self.model: self.as_json()}
        lines = (f" {json.dumps(name)}: {json.dumps(told)}" for name, told in sorted(kept.items()))
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")

    def as_json(self) -> dict[str, object]:
        """JSON values."""
        return {
            "questions": self.questions,
            "instruction": self.instruction,
            "right": self.right.as_json(),
            "answerable": self.answerable.as_json(),
            "told": [[round(probability, 4), int(right)] for probability, right in self.told],
        }

    def probability(self, signals: Signals) -> float:
        """The estimated probability that the answer is right, above 0 and below 1.

        Raises:
            InputError: a signal that takes part is not known.
        """
        return self.right.probability(signals)

    def threshold(self, risk: float) -> float | None:
        """The lowest probability from which on at most the share ``risk`` of answers are wrong; None where no probability promises it.

        By the answers that it was fitted on: the upper end of Wilson's interval (90 %, one-sided) of those as probable or more is at most ``risk``.

        Raises:
            InputError: not 0 < risk < 1.
        """
        if not 0 < risk < 1:
            raise InputError(f"a risk must be a share of wrong answers above 0 and below 1, not {risk!r}")
        ordered = sorted(self.told, reverse=True)
        found, wrong = None, 0
        for n, (probability, right) in enumerate(ordered, 1):
            wrong += not right
            last = n == len(ordered) or ordered[n][0] < probability
            high = wilson(wrong, n, 0.8).high
            if last and high is not None and high <= risk:
                found = probability
        return found


def model_of(receipt: Receipt) -> str:
    """The name of the model that answered: where an endpoint gives a receipt of its own, the one in that."""
    told = (receipt.remote or {}).get("model")
    return told if isinstance(told, str) else receipt.model


def fitted(model: str, answers: Sequence[Judged], candidates: Sequence[str] = CANDIDATES) -> Calibrated:
    """The fit of a model. answers: to questions of at least two documents; those that abstain take no part.

    Raises:
        InputError: too few documents, or all are right, or none.
    """
    given = [answer for answer in answers if answer.answers]
    groups = [answer.document for answer in given]
    signals = [answer.signals for answer in given if answer.signals is not None]
    right = np.array([float(answer.right) for answer in given])
    can = np.array([float(answer.answerable) for answer in given])
    if len(set(groups)) < 2 or not 0 < right.sum() < len(right) or not 0 < can.sum() < len(can):
        raise InputError(
            f"a fit needs answers to questions of two documents at least, right ones and wrong ones, not {int(right.sum())} right ones of "
            f"{len(given)} about {len(set(groups))}"
        )
    names = chosen(signals, right, groups, candidates)
    told = left_out(_matrix(signals, names), right, groups)
    return Calibrated(
        model,
        regression(signals, right, names),
        regression(signals, can, chosen(signals, can, groups, candidates)),
        tuple((float(probability), bool(outcome)) for probability, outcome in zip(told, right, strict=True)),
        digest(answer.id for answer in answers),
        digest([INSTRUCTION]),
    )


def digest(texts: Iterable[str]) -> str:
    """SHA-256 of texts in their order, a line each."""
    return hashlib.sha256("".join(f"{text}\n" for text in texts).encode()).hexdigest()


def regression(signals: Sequence[Signals], outcomes: Floats, names: Sequence[str]) -> Logistic:
    """The logistic regression of outcomes, 0 or 1, shape (n,)."""
    values = _matrix(signals, names)
    centre, scale = _standard(values)
    solved = _solved((values - centre) / scale, outcomes)
    parts = tuple(centre.tolist()), tuple(scale.tolist()), tuple(solved[1:].tolist())
    return Logistic(tuple(names), *parts, float(solved[0]))


def chosen(
    signals: Sequence[Signals], outcomes: Floats, groups: Sequence[str], candidates: Sequence[str] = CANDIDATES
) -> tuple[str, ...]:
    """The signals that take part, in the order in which they were added; at least the best one."""
    names: list[str] = []
    best: Floats | None = None
    while len(names) < MOST:
        losses = {
            name: _losses(left_out(_matrix(signals, (*names, name)), outcomes, groups), outcomes)
            for name in candidates
            if name not in names and all(getattr(one, name) is not None for one in signals)
        }
        if not losses:
            break
        name = min(losses, key=lambda each: float(losses[each].mean()))
        if best is not None:
            gains = _by_group(best - losses[name], groups)
            if gains.sum() <= math.sqrt(len(gains)) * gains.std(ddof=1):
                break
        names.append(name)
        best = losses[name]
    return tuple(names)


def left_out(values: Floats, outcomes: Floats, groups: Sequence[str]) -> Floats:
    """The probability of each answer by a regression that left out its group; values: shape (n, signals)."""
    found = np.empty(len(outcomes))
    of = np.array(groups)
    for group in dict.fromkeys(groups):
        out = of == group
        centre, scale = _standard(values[~out])
        solved = _solved((values[~out] - centre) / scale, outcomes[~out])
        found[out] = _sigmoid((values[out] - centre) / scale @ solved[1:] + solved[0])
    return found


def _solved(standard: Floats, outcomes: Floats) -> Floats:
    """The intercept and the weights, shape (1 + signals,), by Newton's method."""
    design = np.column_stack((np.ones(len(standard)), standard))
    penalty = np.diag([1e-6, *[PENALTY] * standard.shape[1]])
    solved = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        told = _sigmoid(design @ solved)
        slope = design.T @ (told - outcomes) + penalty @ solved
        curvature = design.T @ (design * (told * (1 - told))[:, None]) + penalty
        step = np.linalg.solve(curvature, slope)
        solved -= step
        if float(np.abs(step).max()) < 1e-10:
            break
    return np.asarray(solved, dtype=np.float64)


def _matrix(signals: Sequence[Signals], names: Sequence[str]) -> Floats:
    """Shape (len(signals), len(names))."""
    for name in names:
        if any(getattr(one, name) is None for one in signals):
            raise InputError(
                f"how sure an answer is takes its {name}, which this engine does not tell; ask one that tells alternatives"
            )
    return np.array([[getattr(one, name) for name in names] for one in signals], dtype=np.float64).reshape(
        len(signals), len(names)
    )


def _standard(values: Floats) -> tuple[Floats, Floats]:
    spread = values.std(axis=0)
    return values.mean(axis=0), np.where(spread > 1e-12, spread, 1.0)


def _losses(told: Floats, outcomes: Floats) -> Floats:
    return np.asarray(-np.log(np.where(outcomes > 0, told, 1 - told)), dtype=np.float64)


def _by_group(values: Floats, groups: Sequence[str]) -> Floats:
    of = np.array(groups)
    return np.array([values[of == group].sum() for group in dict.fromkeys(groups)])


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), dtype=np.float64)


def _kept(path: Path | None) -> dict[str, Any]:
    """What a file has, by the models' names."""
    name = "the fits that ship with puna" if path is None else str(path)
    try:
        text = (files("puna.experiments") / "abstention.json" if path is None else path).read_text(encoding="utf-8")
        found = json.loads(text)
    except (OSError, ValueError) as error:
        raise InputError(f"{name} must be a file that Calibrated.save wrote, but cannot be read: {error}") from None
    if not isinstance(found, dict) or not all(
        isinstance(told, dict) and told.keys() >= _KEYS for told in found.values()
    ):
        raise InputError(f"{name} must be a file that Calibrated.save wrote, but has something else in it")
    return found
