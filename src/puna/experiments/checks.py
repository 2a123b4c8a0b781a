"""The scores that an experiment declares: what each kind wants, and how an output is judged by it. Knows texts, no rows and no files.

Exact match and F1 are those of SQuAD 1.1 (Rajpurkar et al. 2016, https://arxiv.org/abs/1606.05250, ``evaluate-v1.1.py``): lower case,
without ASCII punctuation, without "a", "an" and "the", white space as one space; the best of several right answers counts.
"""

from __future__ import annotations

import json
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from puna.errors import InputError, unknown
from puna.experiments.abstention import abstains
from puna.experiments.schemas import satisfies

Score = Callable[[str, str | None], float | None]
"""From an output and the case's expected answer to a number from 0 to 1; None where the answer is needed and there is none."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of score. meaning: when it is 1. wants: what its value must be. make: the score for a value.

    share: each output has 0 or 1, so that a mean is a share of outputs.
    """

    name: str
    meaning: str
    wants: str
    make: Callable[[object], Score]
    share: bool = True


def check_of(kind: str, value: object) -> Score:
    """The score of a kind, for a value.

    Raises:
        InputError: no such kind, or a value that it cannot take.
    """
    found = KINDS.get(kind)
    if found is None:
        raise InputError(unknown("kind of score", kind, KINDS))
    return found.make(value)


def refuse_bad(kind: str, value: object) -> None:
    """Nothing, where ``check_of`` gives a score.

    Raises:
        InputError: as ``check_of``.
    """
    check_of(kind, value)


def normalised(text: str) -> str:
    """A text as SQuAD compares it."""
    bare = "".join(mark for mark in text.lower() if mark not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def exact_match(output: str, answer: str) -> float:
    """1 where output and answer are the same but for case, punctuation, articles and white space, else 0."""
    return float(normalised(output) == normalised(answer))


def f1(output: str, answer: str) -> float:
    """Harmonic mean of precision and recall of the output's words, 0 to 1.

    Where nothing is left of either, 1 if nothing is left of both, else 0 (as SQuAD 2.0 has it; 1.1 knows no empty answer).
    """
    said, right = normalised(output).split(), normalised(answer).split()
    if not said or not right:
        return float(said == right)
    common = sum((Counter(said) & Counter(right)).values())
    return 2 * common / (len(said) + len(right))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _folded(text: str) -> str:
    return _plain(_plain(text).casefold())


def _texts(kind: str, value: object) -> tuple[str, ...]:
    """One non-empty text, or a list of them.

    Raises:
        InputError: anything else.
    """
    found = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list | tuple) else ()
    texts = tuple(text for text in found if isinstance(text, str) and text)
    if not texts or len(texts) < len(found):
        raise InputError(
            f'{kind} must be a text or a list of texts, none of them empty, like "llama", not {value!r:.80}'
        )
    return texts


def _contains(value: object) -> Score:
    wanted = [_folded(text) for text in _texts("contains", value)]
    return lambda output, _: float(all(text in _folded(output) for text in wanted))


def _contains_any(value: object) -> Score:
    wanted = [_folded(text) for text in _texts("contains_any", value)]
    return lambda output, _: float(any(text in _folded(output) for text in wanted))


def _not_contains(value: object) -> Score:
    unwanted = [_folded(text) for text in _texts("not_contains", value)]
    return lambda output, _: float(not any(text in _folded(output) for text in unwanted))


def _regex(value: object) -> Score:
    if not isinstance(value, str) or not value:
        raise InputError(f"regex must be a regular expression as a text, like '\\b18[0-9]{{2}}\\b', not {value!r:.80}")
    try:
        pattern = re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise InputError(
            f"regex must be a regular expression of Python, but {value!r:.80} is none ({error}); mend it, or put a backslash before "
            "a mark that is meant as such"
        ) from None
    return lambda output, _: float(pattern.search(output) is not None)


def _against(kind: str, value: object, score: Callable[[str, str], float]) -> Score:
    """The best score of an output against the right answers: those given, or for true the case's own."""
    if value is True:
        return lambda output, expected: None if expected is None else score(output, expected)
    if isinstance(value, bool) or value is None:
        raise InputError(
            f"{kind} must be the right answer as a text, a list of right answers, or true for the case's `expected`, not {value!r}"
        )
    answers = _texts(kind, value)
    return lambda output, _: max(score(output, answer) for answer in answers)


def _equal(output: str, answer: str) -> float:
    return float(_plain(output).strip() == _plain(answer).strip())


def _abstains(value: object) -> Score:
    if not isinstance(value, bool):
        raise InputError(f"abstains must be true, or false for an output that must not abstain, not {value!r:.80}")
    return lambda output, _: float(abstains(output) is value)


def _json_schema(value: object) -> Score:
    fits = satisfies(_schema(value))
    return lambda output, _: float(fits(output))


def _schema(value: object) -> Mapping[str, object] | bool:
    """A schema that is given as a table, as a JSON text, or as true for any JSON."""
    found = value
    if isinstance(value, str):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"json_schema is given as a text, but that is no JSON ({error}); mend it, or write a table"
            ) from None
    if found is not True and not isinstance(found, Mapping):
        raise InputError(
            f"json_schema must be a JSON schema as a table or a JSON text, or true for any JSON, not {value!r:.80}"
        )
    return found


_TEXTS = "a text or a list of texts; upper and lower case do not matter"
_ANSWERS = "the right answer, a list of right answers, or true for the case's `expected`"

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Kind("contains", "the output has the text in it, or each of the texts", _TEXTS, _contains),
            Kind("contains_any", "the output has at least one of the texts in it", _TEXTS, _contains_any),
            Kind("not_contains", "the output has none of the texts in it", _TEXTS, _not_contains),
            Kind(
                "regex",
                "the regular expression is found somewhere in the output",
                "a regular expression of Python; (?i) before it for either case",
                _regex,
            ),
            Kind(
                "equals",
                "the output is the text, but for white space around it",
                _ANSWERS,
                lambda value: _against("equals", value, _equal),
            ),
            Kind(
                "exact",
                "the output is the right answer, but for case, punctuation, articles and white space (SQuAD's exact match)",
                _ANSWERS,
                lambda value: _against("exact", value, exact_match),
            ),
            Kind(
                "f1",
                "the output has the right answer's words and no others; less for each that lacks or is too much (SQuAD's F1)",
                _ANSWERS,
                lambda value: _against("f1", value, f1),
                share=False,
            ),
            Kind(
                "json_schema",
                "the whole output is JSON that satisfies the schema",
                "a JSON schema as a table or a JSON text, or true for any JSON",
                _json_schema,
            ),
            Kind(
                "abstains",
                "the output declines, or says that it does not know; for false, that it does not",
                "true or false",
                _abstains,
            ),
        )
    }
)
