"""An expectation as a file has it, read: which keys say what. Knows keys and their rules; no test and no plan.

Of a yes-or-no score ``at_least`` and ``at_most`` count outputs; of another number they bound it, and ``in`` counts the outputs in which they do.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import get_args

from puna.errors import InputError
from puna.experiments.checks import KINDS, refuse_bad
from puna.experiments.expectations import (
    DIVERSITY,
    EVERY,
    Amount,
    Averages,
    Bounds,
    By,
    Differs,
    Expectation,
    Holds,
    Likelier,
    Statistic,
)
from puna.experiments.file import Given
from puna.experiments.measures import MEASURES
from puna.experiments.plan import Check

SUBJECTS = (*KINDS, "measure", "continuation")
COUNTS = ("at_least", "at_most")
RELATIONS = ("less_than", "more_than")
KEYS = (*SUBJECTS, "of", *COUNTS, "in", "statistic", *RELATIONS, "alpha", "likelier_than", "by")

_FAR = 1e12


@dataclass(frozen=True, slots=True)
class Expected:
    """An expectation, and the score that it needs declared, where that is not one that every output has."""

    expectation: Expectation
    check: Check | None = None


def expected_of(given: Given, parts: Collection[str]) -> Expected:
    """What an entry of ``expect`` says. parts: names of the test's variants, prompts and system prompts.

    Raises:
        InputError: an unknown key, keys that do not go together, a value that its key cannot take.
    """
    inside = given.table("key of an expectation", KEYS)
    subjects = [key for key in SUBJECTS if key in inside]
    if len(subjects) != 1:
        came = " and ".join(subjects) or "none of them"
        raise given.refused(
            f"{given.key} must have one score ({', '.join(KINDS)}), a measure or a continuation, but it has {came}"
        )
    (subject,) = subjects
    of = _part(inside["of"], parts) if "of" in inside else None
    if subject == "continuation":
        return Expected(_likelier(inside, of))
    if subject == "measure":
        name = inside["measure"].choice("measure", (*MEASURES, DIVERSITY))
        share = name in MEASURES and MEASURES[name].share
        return Expected(_scored(given, inside, _Score(name, share, of), parts))
    check = _check(subject, inside[subject])
    return Expected(_scored(given, inside, _Score(check.name, KINDS[subject].share, of), parts), check)


@dataclass(frozen=True, slots=True)
class _Score:
    """What an expectation is about. share: it is a yes or no. of: a part of the test, None for all of it."""

    name: str
    share: bool
    of: str | None


def _check(kind: str, given: Given) -> Check:
    try:
        refuse_bad(kind, given.value)
    except InputError as error:
        raise given.refused(str(error)) from None
    told = "" if given.value is True else f" {json.dumps(given.value, ensure_ascii=False)}"
    return Check(f"{kind}{told}", kind, given.value)


def _scored(given: Given, inside: Mapping[str, Given], score: _Score, parts: Collection[str]) -> Expectation:
    if any(key in inside for key in RELATIONS):
        return _differs(given, inside, score, parts)
    if score.share:
        _only(inside, ("of", *COUNTS), "of a yes or no")
        return Holds(score.name, amount=_amount(inside, COUNTS), of=score.of)
    if score.name == DIVERSITY:
        _only(inside, ("of", *COUNTS), "of diversity, which several outputs have together")
        return Averages(score.name, _bounds(given, inside, score.name), of=score.of)
    if "statistic" in inside:
        _only(inside, ("of", *COUNTS, "statistic"), "of a mean or median")
        statistic = Statistic(inside["statistic"].choice("statistic", list(Statistic)))
        return Averages(score.name, _bounds(given, inside, score.name), statistic, score.of)
    _only(inside, ("of", *COUNTS, "in"), "of a score")
    return Holds(score.name, _bounds(given, inside, score.name), _amount(inside, ("in",)), check=False, of=score.of)


def _only(inside: Mapping[str, Given], allowed: Collection[str], where: str) -> None:
    """Refuse keys that mean nothing there."""
    for key, entry in inside.items():
        if key not in SUBJECTS and key not in allowed:
            raise entry.refused(f"{entry.key} means nothing {where}, which takes {', '.join(allowed)}; leave it out")


def _part(given: Given, parts: Collection[str]) -> str:
    if not parts:
        raise given.refused(f"{given.key} names a part of the test, but it has no variants, prompts or system prompts")
    return given.choice("variant, prompt or system prompt of the test", parts)


def _amount(inside: Mapping[str, Given], keys: Collection[str]) -> Amount:
    """Of ``at_least`` and ``at_most``, or of ``in``, which is a least; none given: all."""
    given = {key: _number_of(inside[key]) for key in keys if key in inside}
    if given and not any(given.values()) and "at_most" not in given:
        (key,) = given
        raise inside[key].refused(
            f"{inside[key].key} = 0 is always so, and tests nothing; expect 1 or more, or at_most = 0 for none"
        )
    return Amount(given.get("at_least", given.get("in")), given.get("at_most")) if given else EVERY


def _number_of(given: Given) -> int | float:
    value = given.value
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    share = isinstance(value, float) and 0 <= value <= 1
    if isinstance(value, int | float) and (whole or share):
        return value
    raise given.must("a whole number of outputs, or their share as a decimal number from 0.0 to 1.0")


def _bounds(given: Given, inside: Mapping[str, Given], name: str) -> Bounds:
    found = {key: inside[key].number(-_FAR, _FAR) for key in COUNTS if key in inside}
    if not found:
        raise given.refused(f"{given.key} must have at_least or at_most, in between which {name} is expected")
    bounds = Bounds(found.get("at_least"), found.get("at_most"))
    if bounds.low is not None and bounds.high is not None and bounds.low > bounds.high:
        raise inside["at_most"].must(f"at_least, which is {bounds.low:g}, or more")
    return bounds


def _differs(given: Given, inside: Mapping[str, Given], score: _Score, parts: Collection[str]) -> Differs:
    relation = next(key for key in RELATIONS if key in inside)
    _only(inside, ("of", relation, "alpha"), "of a comparison")
    if score.of is None:
        raise given.refused(f"{given.key} must say which part of the test is compared: of = NAME")
    than = _part(inside[relation], parts)
    if than == score.of:
        raise inside[relation].refused(f"{given.key} compares {than!r} with itself; name another part of the test")
    alpha = inside["alpha"].number(0.0001, 0.5) if "alpha" in inside else None
    return Differs(score.name, score.of, "less" if relation == "less_than" else "more", than, alpha)


def _likelier(inside: Mapping[str, Given], of: str | None) -> Likelier:
    text = inside["continuation"]
    if "likelier_than" not in inside:
        raise text.refused(f"{text.key} must have likelier_than, the answer or answers that it should beat")
    _only(inside, ("of", *COUNTS, "likelier_than", "by"), "of a continuation")
    other = inside["likelier_than"]
    than = [other] if isinstance(other.value, str) else other.entries()
    for one in (text, *than):
        if not one.text():
            raise one.must("a text that is not empty")
    texts = [one.text() for one in (text, *than)]
    if len(set(texts)) < len(texts):
        raise other.refused(f"{other.key} names an answer twice; each must be another one")
    by = inside["by"].choice("way to compare", get_args(By)) if "by" in inside else "sum"
    return Likelier(texts[0], tuple(texts[1:]), by, _amount(inside, COUNTS), of)  # type: ignore[arg-type]  # `choice` says it
