"""What an experiment's table declares, read key by key and checked: what its prompts, cases and scores must have of each other too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from puna.errors import InputError, unknown
from puna.experiments import cases as reading
from puna.experiments import checks, grid, prompts, targeting, template
from puna.experiments.expectations import DIVERSITY
from puna.experiments.file import Given, distinct
from puna.experiments.measures import MEASURES
from puna.experiments.plan import AUTO, Case, Check, Continuation, PromptTemplate, Record, SystemPrompt, Target, Variant
from puna.formats.catalog import FORMATS
from puna.generation import MAX_ALTERNATIVES, MAX_SEED
from puna.messages import Role

KEYS = (
    "name", "prompts", "system", "variables", "cases", "formats", "sampling", "variants", "draws", "repeats", "seed", "seeds",
    "targets", "record", "scores", "continuations", "seconds", "retries",
)  # fmt: skip
"""Of an experiment."""

REPEATS, SEED, SECONDS, RETRIES = 8, 1, 300.0, 2
"""Where the experiment does not say."""

MOST_REPEATS = 100_000
_MOST_RETRIES = 100
_MOST_SECONDS = 7 * 24 * 3600.0
_MOST_DISTRIBUTION = 1_000_000

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Declared:
    """An experiment, read. Whatever it does not say has its default.

    listed: the cases of a file or of ``[[cases]]``. cases: these with every combination of ``[variables]``; a prompt takes what it names.
    """

    name: str
    prompts: tuple[PromptTemplate, ...]
    systems: tuple[SystemPrompt, ...]
    listed: tuple[Case, ...]
    cases: tuple[Case, ...]
    formats: tuple[str, ...]
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    targets: tuple[Target, ...]
    record: Record = field(default_factory=Record)
    checks: tuple[Check, ...] = ()
    continuations: tuple[Continuation, ...] = ()
    seconds: float = SECONDS
    retries: int = RETRIES


def declared(given: Given, name: str) -> Declared:
    """What a table declares. name: of an experiment that does not say it.

    Raises:
        InputError: a key, a value, or two of them that do not belong together; the sentence says where.
    """
    inside = _table(given)
    if "prompts" not in inside:
        raise given.refused('an experiment must have prompts: [[prompts]] with a name and user = "..."')
    listed = _listed(inside["cases"]) if "cases" in inside else (Case(),)
    found = Declared(
        name=inside["name"].label() if "name" in inside else name,
        prompts=prompts.prompts_of(_several(inside["prompts"])),
        systems=_read(inside, "system", lambda entry: prompts.systems_of(_several(entry)), ()),
        listed=listed,
        cases=_cases(inside, listed),
        formats=_read(inside, "formats", lambda entry: _formats(_several(entry)), (AUTO,)),
        variants=_variants(inside, given),
        seeds=_seeds(inside),
        targets=_read(inside, "targets", targeting.targets_of, (Target("default"),)),
        record=_read(inside, "record", _record, Record()),
        checks=_read(inside, "scores", _checks, ()),
        continuations=_read(inside, "continuations", lambda entry: prompts.continuations_of(_several(entry)), ()),
        seconds=_read(inside, "seconds", lambda entry: entry.number(0.001, _MOST_SECONDS), SECONDS),
        retries=_read(inside, "retries", lambda entry: entry.whole(0, _MOST_RETRIES), RETRIES),
    )
    _together(inside, found)
    return found


def variables_of(found: Declared, prompt: PromptTemplate) -> tuple[str, ...]:
    """The variables on which what is asked with a prompt depends: its own, and those of what goes with every prompt."""
    shared = (*(system.text or "" for system in found.systems), *(each.text for each in found.continuations))
    return tuple(
        dict.fromkeys((*template.variables_of(prompt), *(name for text in shared for name in template.variables(text))))
    )


def has_own_system(prompt: PromptTemplate) -> bool:
    """Whether a prompt brings its system message: one of its own, or a text, which says all by itself."""
    return prompt.messages is None or any(message.role is Role.SYSTEM for message in prompt.messages)


def _table(given: Given) -> dict[str, Given]:
    inside = given.table("key of an experiment", KEYS)
    for entry in inside.values():
        if isinstance(entry.value, dict):
            _stray(entry)
    return inside


def _stray(given: Given) -> None:
    """A key of the experiment that stands under a table's head, which TOML takes to be that table's."""
    if given.path[-1] == "variables":
        return
    for key, entry in given.table("key").items():
        if key in set(KEYS) - {"name", "seed"}:
            raise entry.refused(
                f"{key} stands below [{given.key}], so TOML takes it for a part of that; write it above the first ["
            )


def _several(given: Given) -> Given:
    """A bare text as a list of one."""
    return Given([given.value], given.path, given.source) if isinstance(given.value, str) else given


def _read(inside: dict[str, Given], key: str, read: Callable[[Given], _Value], otherwise: _Value) -> _Value:
    return read(inside[key]) if key in inside else otherwise


def _listed(given: Given) -> tuple[Case, ...]:
    return reading.of_file(given) if isinstance(given.value, str) else reading.of_records(given)


def _cases(inside: dict[str, Given], listed: tuple[Case, ...]) -> tuple[Case, ...]:
    if "variables" not in inside:
        return listed
    for name, entry in inside["variables"].table("variable").items():
        if name in listed[0].values:
            raise entry.refused(f"the variable {name!r} has values in cases already; leave it out of one of them")
    made = reading.of_lists(inside["variables"])
    total = len(listed) * len(made)
    if total > reading.MOST_CASES:
        raise inside["variables"].refused(
            f"variables and cases together make {total} cases, but may make at most {reading.MOST_CASES}"
        )
    return reading.crossed(listed, made)


def _formats(given: Given) -> tuple[str, ...]:
    entries = given.entries()
    names = [entry.choice("format", (AUTO, *FORMATS)) for entry in entries]
    distinct("formats", zip(entries, names, strict=True))
    return tuple(names)


def _variants(inside: dict[str, Given], given: Given) -> tuple[Variant, ...]:
    sampling = inside.get("sampling")
    if "variants" in inside:
        if "draws" in inside:
            raise inside["draws"].refused("draws make variants, and [[variants]] lists them; leave one of them out")
        return grid.listed(inside["variants"], sampling)
    if "draws" in inside:
        return grid.drawn(sampling or given.at("sampling", {}), inside["draws"])
    return grid.grid(sampling or given.at("sampling", {}))


def _seeds(inside: dict[str, Given]) -> tuple[int, ...]:
    if "seeds" in inside:
        for other in ("seed", "repeats"):
            if other in inside:
                raise inside[other].refused(
                    f"{inside[other].key} and seeds both say which seeds there are; leave one of them out"
                )
        entries = inside["seeds"].entries()
        seeds = [entry.whole(0, MAX_SEED) for entry in entries]
        distinct("seeds", ((entry, str(seed)) for entry, seed in zip(entries, seeds, strict=True)))
        return tuple(seeds)
    repeats = _read(inside, "repeats", lambda entry: entry.whole(1, MOST_REPEATS), REPEATS)
    first = _read(inside, "seed", lambda entry: entry.whole(0, MAX_SEED - repeats + 1), SEED)
    return tuple(range(first, first + repeats))


def _record(given: Given) -> Record:
    inside = given.table("key of record", ("logprobs", "distributions"))
    logprobs: int | None = _read(inside, "logprobs", lambda entry: entry.whole(0, MAX_ALTERNATIVES), None)
    return Record(logprobs, _read(inside, "distributions", lambda entry: entry.whole(0, _MOST_DISTRIBUTION), 0))


def _checks(given: Given) -> tuple[Check, ...]:
    entries = given.entries()
    found = tuple(_check(entry) for entry in entries)
    distinct("scores", ((entry, check.name) for entry, check in zip(entries, found, strict=True)))
    return found


def _check(given: Given) -> Check:
    inside = given.table("kind of score", ("name", *checks.KINDS))
    kinds = [key for key in inside if key != "name"]
    if len(kinds) != 1:
        came = " and ".join(kinds) or "none"
        raise given.refused(
            f"{given.key} must have one kind of score, like contains, but it has {came}; known: {', '.join(checks.KINDS)}"
        )
    (kind,) = kinds
    value = inside[kind].value
    try:
        checks.refuse_bad(kind, value)
    except InputError as error:
        raise inside[kind].refused(f"{given.key}: {error}") from None
    return Check(_score_name(given, inside, kind, value), kind, value)


def _score_name(given: Given, inside: dict[str, Given], kind: str, value: object) -> str:
    told = (
        kind
        if value is True or isinstance(value, dict)
        else f"{kind} {str(value).lower() if value is False else value}"
    )
    name = inside["name"].label() if "name" in inside else " ".join(told.split())[:60]
    same = name == kind and value is True  # `abstains` is a measure too, and the same one
    if name in {*MEASURES, DIVERSITY} and not same:
        raise inside.get("name", given).refused(
            f"{given.key} is named {name!r} like a measure that every output has, which it would hide; give it another name"
        )
    return name


def _together(inside: dict[str, Given], found: Declared) -> None:
    """What one part of an experiment wants of another."""
    entries = _several(inside["prompts"]).entries()
    for entry, prompt in zip(entries, found.prompts, strict=True):
        _named(entry, template.variables_of(prompt), found)
        if prompt.raw and found.formats != (AUTO,):
            raise entry.refused(
                f"the prompt {prompt.name!r} is raw, sent as it is in no format; leave formats out, or raw"
            )
        if has_own_system(prompt) and any(system.text is not None for system in found.systems):
            own = (
                "a text, which has its own system message in it"
                if prompt.messages is None
                else "has a system message of its own"
            )
            raise entry.refused(
                f"the prompt {prompt.name!r} {'is ' if prompt.messages is None else ''}{own}, so it cannot be asked under those of "
                "[[system]]; take it out of the prompt, or leave [[system]] out"
            )
    for key, texts in (
        ("system", [each.text or "" for each in found.systems]),
        ("continuations", [e.text for e in found.continuations]),
    ):
        for n, text in enumerate(texts):
            _named(inside[key].at(n, text), template.variables(text), found)
    _unused(inside, found)
    _answers(inside, found)


def _named(entry: Given, names: Sequence[str], found: Declared) -> None:
    known = found.cases[0].values
    for name in names:
        if name not in known:
            at = _holder(entry, name) or entry
            told = (
                f": {unknown('variable', name, known)}"
                if known
                else (f" names {{{{{name}}}}}, but there are no [variables] and no cases")
            )
            raise at.refused(f"{at.key}{told}")


def _holder(given: Given, name: str) -> Given | None:
    """The text in a prompt that names a variable."""
    if isinstance(given.value, str):
        return given if name in template.variables(given.value) else None
    steps = given.value.items() if isinstance(given.value, dict) else enumerate(given.value)  # type: ignore[arg-type]  # a list
    inside = (given.at(step, value) for step, value in steps if step not in {"name", "raw"})
    return next((found for found in (_holder(each, name) for each in inside) if found), None)


def _unused(inside: dict[str, Given], found: Declared) -> None:
    if "variables" not in inside:
        return
    used = {name for prompt in found.prompts for name in variables_of(found, prompt)}
    for name, entry in inside["variables"].table("variable").items():
        if name not in used:
            raise entry.refused(
                f"no prompt names the variable {name!r}: each value would ask the same again; write {{{{{name}}}}} into one, or leave it out"
            )


def _answers(inside: dict[str, Given], found: Declared) -> None:
    if any(case.expected is not None for case in found.cases):
        return
    for n, check in enumerate(found.checks):
        if checks.check_of(check.kind, check.value)("", None) is None:
            at = inside["scores"].at(n, None)
            raise at.refused(
                f"the score {check.name!r} is measured against expected answers, but no case has one; add a column `expected` to the cases"
            )
