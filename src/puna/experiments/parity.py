"""Whether the same trials came to the same on two sides: two targets of a run, or two runs. Knows rows; draws and prints nothing.

A trial is matched with the one that has the same prompt, case, system prompt, format, variant and seed on the other side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from puna.experiments.diffing import parting, parting_token
from puna.experiments.rows import Row

ASPECTS: Mapping[str, str] = {
    "output": "the answer's text",
    "prompt": "the exact prompt, by its hash (text, or token ids where both sides tell them)",
    "prompt tokens": "how many tokens the prompt was",
    "output tokens": "how many tokens the answer was",
    "finish": "why the answer ended",
    "sampling": "the parameters that were in effect",
    "defaults": "which parameters the other side chose",
    "format": "the format in which the engine got the prompt",
    "model": "the model's file, by its hash",
    "state": "whether there was an answer at all",
}
"""What is compared, by name."""


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
        """Whether the answers are equal."""
        return "output" not in self.differs and "state" not in self.differs


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
    return {"prompt": prompt, **{name: (both[0][name], both[1][name]) for name in both[0]}, **_sampling(a, b)}


def _aspects(row: Row) -> dict[str, str]:
    outcome = row.outcome
    return {
        "prompt tokens": str(outcome.usage.prompt) if outcome.usage else "",
        "output tokens": str(outcome.usage.output) if outcome.usage else "",
        "finish": outcome.finish if outcome.finish not in {None, "unknown"} else "",
        "format": outcome.written_as or "",
        "model": (outcome.model_sha256 or "")[:12],
        "defaults": _defaults(row),
    }


def _sampling(a: Row, b: Row) -> dict[str, tuple[str, str]]:
    mine, theirs = (row.outcome.sampling.as_json() for row in (a, b))
    names = [name for name in mine if mine[name] != theirs[name]]
    return {"sampling": (_told(mine, names), _told(theirs, names))} if names else {}


def _told(values: Mapping[str, object], names: Iterable[str]) -> str:
    return ", ".join(f"{name}={values[name]}" for name in names)


def _defaults(row: Row) -> str:
    told = (row.outcome.receipt or {}).get("defaulted")
    if not isinstance(told, list):
        return ""
    return ", ".join(sorted(map(str, told))) or "none"


def _state(row: Row) -> str:
    return "ok" if row.ok else f"{row.outcome.failure}: {row.outcome.reason}"
