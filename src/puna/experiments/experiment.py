"""An experiment as a value: what a file or a notebook declares, and the plan that it makes. Knows no engine and no store.

The fields are the keys of the file; they hold plain values, as TOML has them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from puna.errors import InputError
from puna.experiments import declared as reading
from puna.experiments import template
from puna.experiments.cases import narrowed
from puna.experiments.declared import Declared, has_own_system, variables_of
from puna.experiments.file import Given, Source, read
from puna.experiments.lines import Steps
from puna.experiments.plan import Case, Cell, Plan, PromptTemplate, SystemPrompt, Target
from puna.experiments.targeting import ENVIRONMENT, as_json
from puna.messages import Dialog, Message, Role

MOST_CELLS = 100_000
MOST_TRIALS = 1_000_000

Item = Mapping[str, object] | str
"""A table of the file, or a bare text where that is enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What to ask, how, and how often. docs/experiment-file.md says what each key means; None is a key that is not there.

    Wherever a list is expected, any iterable will do, NumPy's arrays too. origin: where it was written, for errors.

    Raises:
        InputError: an unknown key, a value out of range, keys that do not belong together; the sentence says where and what to do.
    """

    name: str | None = None
    prompts: Sequence[Item] | str | None = None
    system: Sequence[Item] | str | None = None
    variables: Mapping[str, Iterable[object]] | None = None
    cases: Sequence[Mapping[str, object]] | str | os.PathLike[str] | None = None
    formats: Sequence[str] | str | None = None
    sampling: Mapping[str, object] | None = None
    variants: Sequence[Mapping[str, object]] | None = None
    draws: Mapping[str, int] | None = None
    repeats: int | None = None
    seed: int | None = None
    seeds: Sequence[int] | None = None
    targets: Sequence[Mapping[str, object] | Target] | None = None
    record: Mapping[str, int] | None = None
    scores: Sequence[Mapping[str, object]] | None = None
    continuations: Sequence[Item] | str | None = None
    seconds: float | None = None
    retries: int | None = None
    origin: Given = field(default_factory=lambda: Given({}), repr=False, compare=False)
    _declared: Declared = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for key in reading.KEYS:
            object.__setattr__(self, key, _plain(getattr(self, key)))
        given = Given(self._given(), self.origin.path, self.origin.source)
        name = Path(self.origin.source.file).stem or "experiment"
        object.__setattr__(self, "_declared", reading.declared(given, name))
        self._refuse_too_many()

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Experiment:
        """The experiment in a TOML file.

        Raises:
            InputError: the file cannot be read, or what it says cannot be done; the sentence names file and line.
        """
        return cls.of_given(read(Path(path)))

    @classmethod
    def of(cls, mapping: Mapping[str, object], where: str = "") -> Experiment:
        """The experiment in a table of keys. where: what errors call it.

        Raises:
            InputError: as ``read``.
        """
        return cls.of_given(Given(dict(mapping), (), Source(where)))

    @classmethod
    def of_given(cls, given: Given) -> Experiment:
        """The experiment in a table that knows where it stands, which may be a part of a file.

        Raises:
            InputError: as ``read``.
        """
        inside = given.table("key of an experiment", reading.KEYS)
        return cls(**{key: entry.value for key, entry in inside.items()}, origin=given)  # type: ignore[arg-type]  # all is checked

    @property
    def definition(self) -> dict[str, object]:
        """What identifies the experiment, as JSON values: every key that is given.

        Cases from a file, and a target of the environment, are as they were when it was read.
        """
        given = self._given()
        if isinstance(self.cases, str):
            given["cases"] = [dict(case.values) for case in self._declared.listed]
        if any(isinstance(each, Mapping) and each.get("url") == ENVIRONMENT for each in self.targets or ()):
            given["targets"] = [as_json(target) for target in self._declared.targets]
        return {**given, "name": self._declared.name}

    def plan(
        self, *, targets: Sequence[Target] | None = None, seeds: Sequence[int] | None = None, repeats: int | None = None
    ) -> Plan:
        """What is to be run. targets, seeds, repeats: in place of what the experiment says.

        Raises:
            InputError: a bad value, or more trials than a run may have.
        """
        changed: dict[str, object] = {}
        if targets is not None:
            changed["targets"] = list(targets)
        if seeds is not None or repeats is not None:
            changed.update(self._repeated(seeds, repeats))
        if changed:
            origin = Given({}, self.origin.path, replace(self.origin.source, lines=self._other_lines(changed)))
            return replace(self, **changed, origin=origin).plan()  # type: ignore[arg-type]  # as the fields are typed
        found = self._declared
        return Plan(
            name=found.name,
            definition=self.definition,
            targets=found.targets,
            cells=tuple(_cells(found)),
            seeds=found.seeds,
            record=found.record,
            checks=found.checks,
            seconds=found.seconds,
            retries=found.retries,
        )

    def _given(self) -> dict[str, object]:
        return {key: getattr(self, key) for key in reading.KEYS if getattr(self, key) is not None}

    def _repeated(self, seeds: Sequence[int] | None, repeats: int | None) -> dict[str, object]:
        if seeds is not None and repeats is not None:
            raise InputError("seeds and repeats both say which seeds there are; give one of them")
        if repeats is None or self.seeds is None:
            return {"seeds": seeds, "repeats": repeats, **({} if seeds is None else {"seed": None})}
        if not 1 <= repeats <= len(self.seeds):
            raise InputError(
                f"repeats must be from 1 to {len(self.seeds)}, of the seeds that the experiment lists, not {repeats!r}"
            )
        return {"seeds": list(self.seeds[:repeats])}

    def _other_lines(self, changed: Iterable[str]) -> dict[Steps, int]:
        """The lines of what is not replaced."""
        depth = len(self.origin.path)
        return {
            path: line
            for path, line in self.origin.source.lines.items()
            if path[depth : depth + 1] not in {(c,) for c in changed}
        }

    def _refuse_too_many(self) -> None:
        found = self._declared
        units = sum(len(_units(found, prompt)) for prompt in found.prompts)
        cells = units * len(found.targets) * len(found.systems or (1,)) * len(found.formats) * len(found.variants)
        for what, count, most in (("cells", cells, MOST_CELLS), ("trials", cells * len(found.seeds), MOST_TRIALS)):
            if count > most:
                raise self.origin.refused(
                    f"the experiment makes {count} {what}, but a run may have at most {most}; vary less at a time"
                )


def _plain(value: object) -> object:
    """A value as TOML and JSON have it."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Target):
        return _plain(as_json(value))
    if isinstance(value, Message):
        return value.as_json()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if hasattr(value, "tolist"):  # NumPy's arrays and numbers
        return _plain(value.tolist())
    return [_plain(each) for each in value] if isinstance(value, Iterable) and not isinstance(value, bytes) else value


def _units(found: Declared, prompt: PromptTemplate) -> tuple[Case, ...]:
    """The cases that a prompt tells apart."""
    try:
        return narrowed(found.cases, variables_of(found, prompt))
    except InputError as error:
        raise InputError(f"the prompt {prompt.name!r}: {error}") from None


def _cells(found: Declared) -> Iterator[Cell]:
    """Every setting on every unit; what shares a prompt stands together."""
    index = 0
    for target in found.targets:
        for prompt in found.prompts:
            for case in _units(found, prompt):
                for system in found.systems or (_own(prompt),):
                    ask = _asked(prompt, system, case)
                    told = tuple(
                        replace(each, text=template.fill(each.text, case.values)) for each in found.continuations
                    )
                    for form in found.formats:
                        for variant in found.variants:
                            yield Cell(
                                index=index,
                                target=target.name,
                                prompt=prompt.name,
                                case=case.name,
                                system=system.name,
                                format=form,
                                variant=variant.name,
                                ask=ask,
                                raw=prompt.raw,
                                sampling=variant.sampling,
                                given=variant.given,
                                values=case.values,
                                expected=case.expected,
                                continuations=told,
                            )
                            index += 1


def _own(prompt: PromptTemplate) -> SystemPrompt:
    """What a table shows of a prompt where the experiment has no system prompts."""
    return SystemPrompt("own" if prompt.messages is not None and has_own_system(prompt) else "none")


def _asked(prompt: PromptTemplate, system: SystemPrompt, case: Case) -> Dialog | str:
    asked = template.filled(prompt, case.values)
    if system.text is None or isinstance(asked, str):
        return asked
    return Dialog((Message(Role.SYSTEM, template.fill(system.text, case.values)), *asked))
