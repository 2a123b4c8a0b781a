"""Cases: values for the variables of prompts, from lists in the experiment's file or from a CSV or JSONL file. Knows no prompt."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from puna.errors import InputError
from puna.experiments.file import MOST_BITS, Given, read_text, unfit
from puna.experiments.plan import Case

MOST_CASES = 100_000
MOST_BYTES = 64 * 1024 * 1024
"""Of a file of cases."""

NAME, EXPECTED = "name", "expected"
"""Columns with a meaning besides being variables."""

_LONGEST_NAME = 40

Values = Mapping[str, str]


def of_lists(given: Given) -> tuple[Case, ...]:
    """Every combination of the values of ``[variables]``; the last variable varies fastest.

    Raises:
        InputError: an empty list, a value twice, one that is no text or number, too many combinations.
    """
    values = {name: _listed(entry) for name, entry in given.table("variable").items()}
    total = math.prod(len(each) for each in values.values())
    if total > MOST_CASES:
        raise given.refused(f"{given.key} has {total} combinations, but may have at most {MOST_CASES}; shorten a list")
    return tuple(Case(values=dict(zip(values, each, strict=True))) for each in itertools.product(*values.values()))


def of_records(given: Given) -> tuple[Case, ...]:
    """The cases of ``[[cases]]``: a table of values each.

    Raises:
        InputError: a value that is no text or number, cases with different variables.
    """
    entries = given.entries()
    columns = entries[0].table("variable").keys()
    found = []
    for entry in entries:
        inside = entry.table("variable")
        if inside.keys() != columns:
            raise entry.refused(
                f"{entry.key} has {_list(inside)}, but the first case has {_list(columns)}; give each case the same"
            )
        found.append(_case({name: _value(value) for name, value in inside.items()}))
    return tuple(found)


def of_file(given: Given) -> tuple[Case, ...]:
    """The cases in a file, by its ending: ``.csv`` with a head, or ``.jsonl`` with an object on each line.

    Raises:
        InputError: it cannot be read, or a line of it; the sentence names the line.
    """
    path = given.source.folder / given.text()
    readers = {".csv": _csv, ".jsonl": _jsonl}
    if path.suffix.lower() not in readers:
        raise given.must("the name of a .csv or .jsonl file")
    try:
        text = read_text(path, MOST_BYTES, "a file of cases")
    except InputError as error:
        raise given.refused(f"{given.key}: {error}") from None
    try:
        return _all(path, readers[path.suffix.lower()](path, text))
    except InputError as error:
        raise given.refused(f"{given.key}: {error}") from None


def _all(path: Path, lines: Iterator[Case]) -> tuple[Case, ...]:
    found = tuple(itertools.islice(lines, MOST_CASES + 1))
    if not found:
        raise InputError(
            f"{path} has no cases; write one per line" + (" below the head" if path.suffix == ".csv" else "")
        )
    if len(found) > MOST_CASES:
        raise InputError(f"{path} must have at most {MOST_CASES} cases, but it has more")
    return found


def crossed(one: Sequence[Case], other: Sequence[Case]) -> tuple[Case, ...]:
    """Every case of one with every case of the other. Their variables must differ."""
    return tuple(
        Case(a.name, {**a.values, **b.values}, a.expected if a.expected is not None else b.expected)
        for a, b in itertools.product(one, other)
    )


def narrowed(cases: Sequence[Case], variables: Sequence[str]) -> tuple[Case, ...]:
    """The cases as far as ``variables`` tell them apart, each with a name of its own.

    Where no variable is named there is one, whose expected answer is what all cases have in common.

    Raises:
        InputError: two cases that these variables do not tell apart expect different answers.
    """
    if not variables:
        answers = {case.expected for case in cases}
        return (Case(expected=answers.pop() if len(answers) == 1 else None),)
    found: dict[tuple[str, ...], Case] = {}
    for case in cases:
        values = {name: case.values[name] for name in variables}
        first = found.setdefault(tuple(values.values()), Case(case.name, values, case.expected))
        if first.expected != case.expected:
            told = ", ".join(f"{name}={value}" for name, value in values.items())
            raise InputError(
                f"two cases with {told:.80} expect {first.expected!r} and {case.expected!r}; name the variable that tells them apart"
            )
    return _distinctly_named(list(found.values()))


@dataclass(frozen=True, slots=True)
class _Line:
    """A record of a file of cases. number: of its last line, from 1."""

    path: Path
    number: int

    def refused(self, sentence: str) -> InputError:
        return InputError(f"{self.path}, line {self.number}: {sentence}")


def _csv(path: Path, text: str) -> Iterator[Case]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    head: list[str] = []
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise _Line(path, reader.line_num).refused(_not_csv(error)) from None
        line = _Line(path, reader.line_num)
        if row is None:
            return
        if not row:
            continue
        if not head:
            head = _head(line, row)
            continue
        if len(row) != len(head):
            raise line.refused(
                f"{len(row)} fields, but the head has {len(head)} ({', '.join(head)}); put quotes around a field that has a comma in it"
            )
        yield _case(_fit(line, dict(zip(head, row, strict=True))))


def _not_csv(error: csv.Error) -> str:
    if "field limit" in str(error):
        most = csv.field_size_limit()
        return f"a field has more than {most} characters, or its quotes have no end; end them, or write the cases as .jsonl"
    return f"this is not CSV ({error}); quotes inside of quotes are doubled"


def _head(line: _Line, row: list[str]) -> list[str]:
    names = [name.strip() for name in row]
    if len(names) == 1 and any(mark in names[0] for mark in ";\t"):
        raise line.refused(
            f"the head must have commas between its names, but it is {names[0]!r}; save the file with commas"
        )
    for n, name in enumerate(names):
        if not name:
            raise line.refused(f"the head must name every column, but column {n + 1} has no name")
        if name in names[:n]:
            raise line.refused(f"the head names the column {name!r} twice; give each a name of its own")
    return names


def _jsonl(path: Path, text: str) -> Iterator[Case]:
    columns: dict[str, object] = {}
    for n, raw in enumerate(text.split("\n"), start=1):  # not splitlines: a text may hold U+2028 and its like
        if not raw.strip():
            continue
        line = _Line(path, n)
        record = _record(line, raw)
        if columns and record.keys() != columns.keys():
            raise line.refused(
                f"its keys are {_list(record)}, but those of the first case are {_list(columns)}; give each case the same"
            )
        columns = record
        yield _case(_fit(line, {name: _text(line, name, value) for name, value in record.items()}))


def _record(line: _Line, raw: str) -> dict[str, object]:
    try:
        found = json.loads(raw, object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise line.refused("it is nested too deeply; a case has texts and numbers only") from None
    except ValueError as error:
        raise line.refused(f"this is not JSON ({error}); write one object per line") from None
    if not isinstance(found, dict):
        raise line.refused(f'it must be an object like {{"animal": "llama"}}, not {raw.strip()[:40]!r}')
    return found


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object; JSON's own reader takes the last one of two values for a key without a word."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} is there twice")
    return found


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")


def _text(line: _Line, name: str, value: object) -> str:
    found = _as_text(value)
    if found is None:
        raise line.refused(f"{name!r} must be a text or a number, not {json.dumps(value)[:60]}")
    return found


def _fit(line: _Line, values: dict[str, str]) -> dict[str, str]:
    for name, value in values.items():
        fault = unfit(value)
        if fault:
            raise line.refused(f"{name!r} must be text, but {fault}; remove it")
    return values


def _listed(given: Given) -> list[str]:
    found: list[str] = []
    for entry in given.entries():
        value = _value(entry)
        if value in found:
            raise entry.refused(f"{given.key} has the value {value!r} twice; leave one of them out")
        found.append(value)
    return found


def _value(given: Given) -> str:
    text = _as_text(given.value)
    if text is None:
        raise given.must("a text or a number")
    return Given(text, given.path, given.source).text()


def _as_text(value: object) -> str | None:
    """A text or number as it stands in a prompt."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int):
        return str(value) if value.bit_length() <= MOST_BITS else None
    return str(value) if math.isfinite(value) else None


def _case(values: dict[str, str]) -> Case:
    name = " ".join(values.get(NAME, "").split())
    return Case(name, values, values.get(EXPECTED) or None)


def _distinctly_named(cases: Iterable[Case]) -> tuple[Case, ...]:
    taken: dict[str, int] = {}
    found = []
    for case in cases:
        name = case.name or _name(case.values)
        taken[name] = taken.get(name, 0) + 1
        again = f" ({taken[name]})" if taken[name] > 1 else ""
        found.append(Case(name + again, case.values, case.expected))
    return tuple(found)


def _name(values: Values) -> str:
    told = " ".join(", ".join(values.values()).split()) or "empty"
    return told if len(told) <= _LONGEST_NAME else f"{told[: _LONGEST_NAME - 3]}..."


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
