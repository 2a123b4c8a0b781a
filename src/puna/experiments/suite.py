"""A file of prompt tests as a value, and the plan that it makes: each test is an experiment with expectations. Knows no rows and no engine.

All tests are one plan, so that one run has them all and a model is loaded once. The nth repeat has the same seed in each of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from types import MappingProxyType

from puna.errors import InputError, unknown
from puna.experiments import grid, prompts
from puna.experiments.expectations import (
    Differs,
    Expectation,
    Factor,
    Holds,
    Likelier,
    Part,
    PromptTest,
    continuation_name,
)
from puna.experiments.expected import expected_of
from puna.experiments.experiment import Experiment
from puna.experiments.file import Given, Source, distinct, read
from puna.experiments.measures import MEASURES
from puna.experiments.plan import Cell, Check, Plan, Record, Target

KEYS = ("name", "tests", "sampling", "repeats", "seed", "targets", "seconds", "retries")
"""Of a file of tests."""

TEST_KEYS = (
    "name", "user", "messages", "text", "raw", "system", "prompts", "variables", "cases", "formats", "sampling", "variants", "repeats",
    "expect",
)  # fmt: skip
"""Of a test."""

_PROMPT = ("user", "messages", "text", "raw")
_SHARED = ("seed", "targets", "seconds", "retries")

BUILTINS: Mapping[str, str] = MappingProxyType(
    {"workshop": "the workshop's claims: history, persona, context, what is not known, and temperature"}
)
"""The tests that puna brings along: names and meanings."""

LOGPROBS = 5
"""Alternatives of each token that are recorded where a measure needs log-probabilities: entropy is found from them."""

FACTORS: tuple[Factor, ...] = ("variant", "prompt", "system")


@dataclass(frozen=True, slots=True)
class Declared:
    """A test as it was read. place, and that with each expectation: where it stands. alone: it has one prompt, called as the test is."""

    name: str
    place: Given
    experiment: Experiment
    expectations: tuple[tuple[Given, Expectation], ...]
    alone: bool


@dataclass(frozen=True, slots=True)
class Suite:
    """What a file of tests declares."""

    name: str
    tests: tuple[Declared, ...]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Suite:
        """The tests in a TOML file.

        Raises:
            InputError: the file cannot be read, or what it says cannot be done; the sentence names file and line.
        """
        return cls.of(read(Path(path)))

    @classmethod
    def of(cls, given: Given) -> Suite:
        """The tests in a table.

        Raises:
            InputError: as ``read``.
        """
        inside = given.table("key of a file of tests", KEYS)
        if "tests" not in inside:
            raise given.refused("there must be tests: [[tests]] with a name, a prompt and [[tests.expect]]")
        if "sampling" in inside:
            grid.grid(inside["sampling"])  # refused where it stands, before tests take it over
        entries = inside["tests"].entries()
        tests = tuple(_test(entry, n, inside) for n, entry in enumerate(entries))
        distinct("tests", ((entry, test.name) for entry, test in zip(entries, tests, strict=True)))
        name = inside["name"].label() if "name" in inside else Path(given.source.file).stem or "tests"
        return cls(name, tests)

    def plan(
        self, *, targets: Sequence[Target] | None = None, repeats: int | None = None
    ) -> tuple[Plan, tuple[PromptTest, ...]]:
        """What is to be run, and what is then expected of which cells. targets, repeats: in place of what the file says.

        Raises:
            InputError: a bad value, or an expectation of more outputs than there are.
        """
        plans = [test.experiment.plan(targets=targets, repeats=repeats) for test in self.tests]
        cells: list[Cell] = []
        tests = []
        for test, plan in zip(self.tests, plans, strict=True):
            own, asked = _asked(test, plan, len(cells))
            cells += own
            tests.append(asked)
        checks = {check.name: check for plan in plans for check in plan.checks}
        seeds = max((plan.seeds for plan in plans), key=len)
        first = plans[0]
        whole = Plan(
            name=self.name,
            definition={"name": self.name, "tests": [dict(plan.definition) for plan in plans]},
            targets=first.targets,
            cells=tuple(cells),
            seeds=seeds,
            record=_record(self.tests),
            checks=tuple(checks.values()),
            seconds=first.seconds,
            retries=first.retries,
        )
        return whole, tuple(tests)


def builtin(name: str) -> Suite:
    """Tests that puna brings along.

    Raises:
        InputError: there are none of this name.
    """
    if name not in BUILTINS:
        raise InputError(unknown("built-in tests", name, BUILTINS))
    with as_file(files("puna.experiments") / f"{name}.toml") as path:
        return Suite.read(path)


def _test(given: Given, n: int, shared: Mapping[str, Given]) -> Declared:
    inside = given.table("key of a test", TEST_KEYS)
    name = inside["name"].label() if "name" in inside else f"test {n + 1}"
    if "expect" not in inside:
        raise given.refused(f"the test {name!r} must say what it expects: [[tests.expect]]")
    keys = _keys(given, inside, name, shared)
    experiment = Experiment.of_given(Given(keys, given.path, _moved(given, inside, shared)))
    parts = _parts(given, experiment.plan().cells)
    entries = inside["expect"].entries()
    found = [expected_of(entry, parts) for entry in entries]
    for entry, each in zip(entries, found, strict=True):
        _refuse_odd(entry, each.expectation, parts)
    scores = {each.check.name: _score(each.check) for each in found if each.check is not None}
    texts = {text: None for each in found if isinstance(each.expectation, Likelier) for text in each.expectation.texts}
    experiment = replace(
        experiment,
        scores=list(scores.values()) or None,
        continuations=[{"name": continuation_name(text), "text": text} for text in texts] or None,
    )
    pairs = tuple((entry, each.expectation) for entry, each in zip(entries, found, strict=True))
    return Declared(name, given, experiment, pairs, "prompts" not in inside)


def _keys(given: Given, inside: Mapping[str, Given], name: str, shared: Mapping[str, Given]) -> dict[str, object]:
    """The test as an experiment has it: one prompt as a list of one, and with what the file says for all tests."""
    keys: dict[str, object] = {key: shared[key].value for key in (*_SHARED, "repeats") if key in shared}
    keys |= {key: entry.value for key, entry in inside.items() if key not in {"expect", *_PROMPT}}
    if "sampling" in shared:
        keys["sampling"] = {
            **_table(shared["sampling"]),
            **(_table(inside["sampling"]) if "sampling" in inside else {}),
        }
    own = [key for key in _PROMPT if key in inside]
    if "prompts" in inside:
        if own:
            raise inside[own[0]].refused(
                f"{inside[own[0]].key} and prompts both say what is asked; leave one of them out"
            )
        return keys
    prompt = {key: inside[key].value for key in own}
    if "system" in inside and isinstance(inside["system"].value, str):
        prompt["system"] = keys.pop("system")
    prompts.prompt_of(Given(prompt, given.path, given.source), name)  # refused where it stands
    return {**keys, "prompts": [{**prompt, "name": name}]}


def _moved(given: Given, inside: Mapping[str, Given], shared: Mapping[str, Given]) -> Source:
    """The source with the lines of what ``_keys`` has put elsewhere: what is said for all tests, and the one prompt."""
    lines = dict(given.source.lines)
    for path, line in given.source.lines.items():
        if path[:1] != ("tests",) and path[0] in shared:
            lines.setdefault((*given.path, *path), line)
        elif path[:-1] == given.path and path[-1] in (*_PROMPT, "system") and "prompts" not in inside:
            lines[*given.path, "prompts", 0, path[-1]] = line
    return replace(given.source, lines=lines)


def _table(given: Given) -> dict[str, object]:
    return {key: entry.value for key, entry in given.table("sampling parameter").items()}


def _score(check: Check) -> dict[str, object]:
    return {"name": check.name, check.kind: check.value}


def _parts(given: Given, cells: Iterable[Cell]) -> dict[str, Factor]:
    """What an expectation can be of, by name: variants, prompts and system prompts, where there are several."""
    cells = tuple(cells)
    found: dict[str, Factor] = {}
    for factor in FACTORS:
        names = dict.fromkeys(getattr(cell, factor) for cell in cells)
        for name in names if len(names) > 1 else ():
            if name in found:
                raise given.refused(
                    f"{name!r} names a {found[name]} and a {factor} of the test; call one of them otherwise"
                )
            found[name] = factor
    return found


def _refuse_odd(given: Given, expectation: Expectation, parts: Mapping[str, Factor]) -> None:
    """What no reading of the one expectation can see."""
    if isinstance(expectation, Differs) and parts[expectation.of] != parts[expectation.than]:
        raise given.refused(
            f"{given.key} compares the {parts[expectation.of]} {expectation.of!r} with the {parts[expectation.than]} "
            f"{expectation.than!r}; both must be of one kind"
        )
    if isinstance(expectation, Likelier) and expectation.of is not None and parts[expectation.of] == "variant":
        raise given.refused(
            f"{given.key} is of a variant, but no sampling changes how likely an answer is; leave out `of`"
        )


def _asked(test: Declared, plan: Plan, first: int) -> tuple[list[Cell], PromptTest]:
    """The test's cells in the whole plan, and what is expected of them. first: the index of the first one."""
    cells = [_placed(test, cell, first, len(plan.seeds)) for cell in _scored_once(plan.cells)]
    parts: dict[str, Part] = {}
    for name, factor in _parts(test.place, plan.cells).items():
        mine = [cell for cell, old in zip(cells, plan.cells, strict=True) if getattr(old, factor) == name]
        parts[name] = Part(factor, str(getattr(mine[0], factor)), frozenset(cell.index for cell in mine))
    for place, expectation in test.expectations:
        of = expectation.of
        own = cells if of is None else [cell for cell in cells if cell.index in parts[of].cells]
        _refuse_more_than_there_are(place, expectation, own, len(plan.seeds), len(plan.targets))
    everything = frozenset(cell.index for cell in cells)
    return cells, PromptTest(test.name, tuple(each for _, each in test.expectations), everything, parts)


def _placed(test: Declared, cell: Cell, first: int, repeats: int) -> Cell:
    """A cell of a test among those of all tests: prompts of different tests may have one name."""
    prompt = cell.prompt if test.alone else f"{test.name}: {cell.prompt}"
    needed = any(not isinstance(expectation, Likelier) for _, expectation in test.expectations)
    return replace(cell, index=first + cell.index, prompt=prompt, repeats=repeats if needed else 0)


def _scored_once(cells: Iterable[Cell]) -> Iterator[Cell]:
    """Continuations are scored for each prompt once: no sampling changes how likely they are."""
    seen = set()
    for cell in cells:
        key = (cell.target, cell.system, cell.format, cell.unit)
        yield replace(cell, continuations=()) if key in seen else cell
        seen.add(key)


def _refuse_more_than_there_are(
    given: Given, expectation: Expectation, cells: Sequence[Cell], repeats: int, targets: int
) -> None:
    if not isinstance(expectation, Holds | Likelier):
        return
    scored = [cell for cell in cells if cell.continuations]
    there = (len(scored) if isinstance(expectation, Likelier) else len(cells) * repeats) // targets
    least, most = expectation.amount.bounds(there)
    if not least <= most <= there:
        raise given.refused(
            f"{given.key} expects {expectation.amount.of(there)} outputs, which cannot be; change the number, or write a share, like 0.8"
        )


def _record(tests: Iterable[Declared]) -> Record:
    needed = any(_needs_logprobs(expectation) for test in tests for _, expectation in test.expectations)
    return Record(logprobs=LOGPROBS if needed else None)


def _needs_logprobs(expectation: Expectation) -> bool:
    name = "" if isinstance(expectation, Likelier) else expectation.measure
    return name in MEASURES and MEASURES[name].needs_logprobs
