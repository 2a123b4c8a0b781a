"""A number for each output: length, variety, likelihood, speed. Knows rows; no engine, no store and no statistics.

Words and n-grams are cut by ``puna.experiments.words``. Log-probabilities are natural logarithms, as the model gave them before
temperature, penalties and cuts, so what they say does not depend on the sampling's own arithmetic. Where a character takes several
tokens, the embedded engine tells the log-probability of the last one only, and means are over the tokens that are told.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from puna.experiments.abstention import abstains
from puna.experiments.checks import KINDS, Score
from puna.experiments.plan import Check
from puna.experiments.rows import Row
from puna.experiments.watched import WHY, Watched, watched
from puna.experiments.words import grams, pieces, words
from puna.generation import Finish, Logprob


@dataclass(frozen=True, slots=True)
class Measure:
    """A number per output. of: None where there is none: a failed trial, no log-probabilities, too short an output.

    unit: "" for a plain number. needs_logprobs: only of runs that record log-probabilities. share: each output has 0 or 1, so that a
    mean is a share of outputs. undefined: why an answer has no number, where there is one reason only.
    """

    name: str
    unit: str
    meaning: str
    of: Callable[[Row], float | None]
    needs_logprobs: bool = False
    share: bool = False
    undefined: str = ""


def measures_of(checks: Iterable[Check]) -> Mapping[str, Measure]:
    """All measures by name, and after them the scores that an experiment declares. A score takes the place of a measure of its name.

    Raises:
        InputError: a score of an unknown kind, or with a value that its kind cannot take.
    """
    return MappingProxyType({**MEASURES, **{check.name: _declared(check) for check in checks}})


def distinct(text: str, n: int) -> float | None:
    """Different n-grams over all n-grams, above 0 to 1 (Li et al. 2016, https://arxiv.org/abs/1510.03055); None for less than n words."""
    found = grams(pieces(text), n)
    return len(set(found)) / len(found) if found else None


def compressibility(text: str) -> float | None:
    """Bytes of the text in UTF-8 over bytes of its deflated form (level 9, no header); None for no text. Repetitive text has more.

    The compression ratio of Shaib et al. 2024 (https://arxiv.org/abs/2403.00553), of one output, and without gzip's 18 bytes of header,
    which are most of a short answer.
    """
    data = text.encode("utf-8", "surrogatepass")
    if not data:
        return None
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return len(data) / len(deflate.compress(data) + deflate.flush())


def entropy(token: Logprob) -> float | None:
    """Least entropy that the distribution at a token's place can have, in nats, by the alternatives that are told; None without any.

    What they leave of the probability counts as one token more, so the true entropy is this or higher: with 5 alternatives by little where
    the model is sure of itself, by much where it is not.
    """
    if not token.top:
        return None
    told = {other.id: other.logprob for other in (*token.top, token)}
    likely = [math.exp(logprob) for logprob in told.values()]
    rest = max(0.0, 1 - sum(likely))
    return -sum(p * math.log(p) for p in (*likely, rest) if p > 0)


def _declared(check: Check) -> Measure:
    score, kind = watched(check), KINDS[check.kind]
    why = WHY if isinstance(score, Watched) else ""
    wanted = "" if check.value is True else f" ({check.value!r:.60})"
    return Measure(check.name, "", kind.meaning + wanted, _scored(score), share=kind.share, undefined=why)


def _scored(score: Score) -> Callable[[Row], float | None]:
    return lambda row: score(row.output, row.cell.expected) if row.ok else None


def _of_text(of: Callable[[str], float | None]) -> Callable[[Row], float | None]:
    return lambda row: of(row.output) if row.ok else None


def _tokens(row: Row) -> float | None:
    usage = row.outcome.usage
    return float(usage.output) if row.ok and usage else None


def _cut_off(row: Row) -> float | None:
    finish = row.outcome.finish
    return float(finish == Finish.LENGTH) if row.ok and finish not in {None, Finish.UNKNOWN} else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _mean_logprob(row: Row) -> float | None:
    return _mean(token.logprob for token in row.outcome.logprobs or ()) if row.ok else None


def _perplexity(row: Row) -> float | None:
    mean = _mean_logprob(row)
    return None if mean is None else math.exp(-mean)


def _entropy(row: Row) -> float | None:
    return _mean(entropy(token) for token in row.outcome.logprobs or ()) if row.ok else None


def _latency(row: Row) -> float | None:
    return row.outcome.seconds if row.ok else None


def _first_token(row: Row) -> float | None:
    return row.outcome.first if row.ok else None


def _tokens_per_second(row: Row) -> float | None:
    """From the first token to the last, by the engine's clock where it tells, else by the first text's arrival."""
    outcome, count = row.outcome, _tokens(row)
    if count is None or count < 2:
        return None
    waited = outcome.seconds - outcome.first if outcome.first is not None else 0.0
    seconds = outcome.timing.decode or waited
    return (count - 1) / seconds if seconds > 0 else None


_ALL = (
    Measure("tokens", "tokens", "tokens that the model made, the one that ended its turn included", _tokens),
    Measure(
        "words", "words", "words of the output, without punctuation", _of_text(lambda text: float(len(words(text))))
    ),
    Measure("characters", "characters", "Unicode code points of the output", _of_text(lambda text: float(len(text)))),
    Measure(
        "cut_off", "", "1 where max_tokens ended the output, 0 where the model or a stop text did", _cut_off, share=True
    ),
    Measure("distinct_1", "", "different words over all words", _of_text(lambda text: distinct(text, 1))),
    Measure(
        "distinct_2",
        "",
        "different pairs of neighbouring words over all pairs",
        _of_text(lambda text: distinct(text, 2)),
    ),
    Measure(
        "distinct_3", "", "different runs of three words over all of them", _of_text(lambda text: distinct(text, 3))
    ),
    Measure(
        "repetition",
        "",
        "share of runs of four words that stood in the output before (seq-rep-4 of Welleck et al. 2020)",
        _of_text(lambda text: None if (found := distinct(text, 4)) is None else 1 - found),
    ),
    Measure(
        "compressibility",
        "",
        "bytes of the output over bytes of its deflated form; more is more repetitive",
        _of_text(compressibility),
    ),
    Measure(
        "mean_logprob", "nats/token", "mean log-probability of the output's tokens", _mean_logprob, needs_logprobs=True
    ),
    Measure(
        "entropy",
        "nats/token",
        "mean entropy of the next token, at least, by the recorded alternatives",
        _entropy,
        needs_logprobs=True,
    ),
    Measure(
        "perplexity",
        "",
        "e to the power of the negative mean log-probability of the output's tokens",
        _perplexity,
        needs_logprobs=True,
    ),
    Measure("latency", "s", "from asking to the end of the output, waiting included", _latency),
    Measure("first_token", "s", "from asking to the first text of the output, waiting included", _first_token),
    Measure(
        "tokens_per_second",
        "tokens/s",
        "tokens after the first over the time that they took, beside whatever else ran",
        _tokens_per_second,
    ),
    Measure(
        "abstains",
        "",
        "1 where the output declines or says that it does not know, else 0",
        _of_text(lambda text: float(abstains(text))),
        share=True,
    ),
)

MEASURES: Mapping[str, Measure] = MappingProxyType({measure.name: measure for measure in _ALL})
