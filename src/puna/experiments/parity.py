"""Whether the same trials came to the same on two sides: two targets of a run, or two runs. Knows rows; draws and prints nothing.

A trial is matched with the one that has the same prompt, case, system prompt, format, variant and seed on the other side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from puna.experiments.diffing import parting, parting_token
from puna.experiments.labels import counted
from puna.experiments.rows import Row

ASPECTS: Mapping[str, str] = {
    "output": "the answer's text",
    "prompt": "the exact prompt, by its hash (text, or token ids where both sides tell them)",
    "prompt tokens": "how many tokens the prompt was",
    "output tokens": "how many tokens the answer was",
    "finish": "why the answer ended",
    "sampling": "the parameters that were in effect",
    "defaults": "which parameters a side chose by itself, where their values differ or are not told",
    "format": "the format in which the engine got the prompt",
    "model": "the model's file, by its hash",
    "state": "whether there was an answer at all",
}
"""What is compared, by name."""

NOTHING_DIFFERS = "nothing else differs: prompts, token counts, finish, parameters in effect"


@dataclass(frozen=True, slots=True)
class Twin:
    """A trial on both sides. differs: the aspects that do, with both values as text; what a side does not tell is not compared.

    character: index of the first character that differs, in code points from 0; token: likewise of the tokens, where both sides recorded them.
    """

    a: Row
    b: Row
    differs: Mapping[str, tuple[str, str]]
    character: int | None = None
    token: int | None = None

    @property
    def same(self) -> bool:
        """Whether there are answers, and they are equal."""
        return self.a.ok and self.b.ok and "output" not in self.differs

    @property
    def unanswered(self) -> bool:
        """Whether neither side has an answer."""
        return not (self.a.ok or self.b.ok)


@dataclass(frozen=True, slots=True)
class Parity:
    """Two sides, by name. counts: of the twins, how many differ in each aspect; only_a, only_b: trials that the other side has not."""

    a: str
    b: str
    twins: tuple[Twin, ...]
    counts: Mapping[str, int]
    only_a: int
    only_b: int

    @property
    def same(self) -> int:
        """Twins with equal answers."""
        return sum(twin.same for twin in self.twins)

    @property
    def unanswered(self) -> int:
        """Twins that no side has an answer of."""
        return sum(twin.unanswered for twin in self.twins)

    @property
    def verdict(self) -> str:
        """How many answers are equal, as a sentence."""
        total = len(self.twins) - self.unanswered
        if not total:
            return "not comparable: no trial has an answer on either side"
        return f"{self.same} of {total} {'answer is' if total == 1 else 'answers are'} equal"

    def left_out(self) -> tuple[str, ...]:
        """What the verdict is not about, as sentences."""
        sides = ((self.only_a, self.a), (self.only_b, self.b))
        only = (f"{counted(n, 'trial')} {'is' if n == 1 else 'are'} only of {name}" for n, name in sides if n)
        n = self.unanswered
        none = f"{counted(n, 'trial')} {'has' if n == 1 else 'have'} an answer on neither side"
        return (*only, none) if n and n < len(self.twins) else tuple(only)

    @property
    def apart(self) -> tuple[Twin, ...]:
        """Twins whose answers differ, or of which one side has none."""
        return tuple(twin for twin in self.twins if not (twin.same or twin.unanswered))


def between_targets(rows: Iterable[Row]) -> tuple[Parity, ...]:
    """Each two targets of a run against each other, in the order of the rows."""
    sides: dict[str, list[Row]] = {}
    for row in rows:
        sides.setdefault(row.cell.target, []).append(row)
    return tuple(between(sides[a], sides[b], a, b) for a, b in combinations(sides, 2))


def between_runs(a: Sequence[Row], b: Sequence[Row]) -> tuple[Parity, ...]:
    """Two runs against each other: target by target where they have the same names, else all of one against all of the other."""
    names = {row.cell.target for row in a} & {row.cell.target for row in b}
    if not names:
        return (between(a, b, _run(a), _run(b)),)
    found = []
    for name in sorted(names):
        mine, theirs = ([row for row in rows if row.cell.target == name] for rows in (a, b))
        suffix = f" {name}" if len(names) > 1 else ""
        found.append(between(mine, theirs, _run(a) + suffix, _run(b) + suffix))
    return tuple(found)


def between(a: Sequence[Row], b: Sequence[Row], a_name: str, b_name: str) -> Parity:
    """Two sets of rows, trial by trial."""
    theirs = {_key(row): row for row in b}
    twins = tuple(_twin(row, theirs[_key(row)]) for row in a if _key(row) in theirs)
    counts = Counter(aspect for twin in twins for aspect in twin.differs)
    ordered = {aspect: counts[aspect] for aspect in ASPECTS if counts[aspect]}
    return Parity(a_name, b_name, twins, ordered, len(a) - len(twins), len(b) - len(twins))


def _run(rows: Sequence[Row]) -> str:
    return rows[0].run if rows else "(no rows)"


def _key(row: Row) -> tuple[object, ...]:
    cell = row.cell
    return (cell.prompt, cell.case, cell.system, cell.format, cell.variant, row.seed)


def _twin(a: Row, b: Row) -> Twin:
    differs = {name: (x, y) for name, (x, y) in _compared(a, b).items() if x and y and x != y}
    if not (a.ok and b.ok):
        return Twin(a, b, differs)
    if a.output != b.output:
        differs = {"output": (a.output, b.output), **differs}
    return Twin(a, b, differs, parting(a.output, b.output), parting_token(a.outcome.logprobs, b.outcome.logprobs))


def _compared(a: Row, b: Row) -> dict[str, tuple[str, str]]:
    if not (a.ok and b.ok):
        return {"state": (_state(a), _state(b))}
    both = [_aspects(row) for row in (a, b)]
    exact = ("ids_sha256", "prompt_sha256")
    by = next((name for name in exact if all(getattr(row, name) for row in (a, b))), None)
    prompt = (getattr(a, by)[:12], getattr(b, by)[:12]) if by else ("", "")
    return {
        "prompt": prompt,
        **{name: (both[0][name], both[1][name]) for name in both[0]},
        **_sampling(a, b),
        **_defaults(a, b),
    }


def _aspects(row: Row) -> dict[str, str]:
    outcome = row.outcome
    return {
        "prompt tokens": str(outcome.usage.prompt) if outcome.usage else "",
        "output tokens": str(outcome.usage.output) if outcome.usage else "",
        "finish": outcome.finish if outcome.finish not in {None, "unknown"} else "",
        "format": outcome.written_as or "",
        "model": (outcome.model_sha256 or "")[:12],
    }


def _sampling(a: Row, b: Row) -> dict[str, tuple[str, str]]:
    mine, theirs = (row.outcome.sampling.as_json() for row in (a, b))
    names = [name for name in mine if mine[name] != theirs[name]]
    return {"sampling": (_told(mine, names), _told(theirs, names))} if names else {}


def _told(values: Mapping[str, object], names: Iterable[str]) -> str:
    return ", ".join(f"{name}={values[name]}" for name in names)


def _defaults(a: Row, b: Row) -> dict[str, tuple[str, str]]:
    """What only one side chose by itself. Where both tell the same value it does not matter who chose it."""
    mine, theirs = _defaulted(a), _defaulted(b)
    if mine is None or theirs is None:
        return {}
    names = sorted(name for name in mine ^ theirs if _matters(name, a, b))
    sides = (", ".join(name for name in names if name in side) or "none of them" for side in (mine, theirs))
    return {"defaults": (next(sides), next(sides))} if names else {}


def _defaulted(row: Row) -> set[str] | None:
    told = (row.outcome.receipt or {}).get("defaulted")
    return set(map(str, told)) if isinstance(told, list) else None


def _matters(name: str, a: Row, b: Row) -> bool:
    """Whether a parameter's value in effect differs, or a side does not tell it."""
    told = [(row.outcome.receipt or {}).get("sampling") for row in (a, b)]
    values = [row.outcome.sampling.as_json().get(name) for row in (a, b)]
    return values[0] != values[1] or not all(isinstance(each, dict) and name in each for each in told)


def _state(row: Row) -> str:
    return "ok" if row.ok else f"{row.outcome.failure}: {row.outcome.reason}"
