"""Shapes of what a JSON 1.1 service takes: types, lengths, patterns. Knows AWS's sentences for what breaks them; no operation.

Words of broken constraints: https://github.com/zenml-io/zenml/issues/1502, and for members of members
https://github.com/aws-samples/sagemaker-ml-workflow-with-apache-airflow/issues/3; both read 2026-11-29. The words for wrong types are
puna's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

from puna.errors import PunaError
from puna.server.headers import Rule, detected, problem


class ControlError(PunaError):
    """SageMaker's control plane refuses. code: the exception's name."""

    def __init__(self, sentence: str, code: str = "ValidationException", status: int = 400) -> None:
        super().__init__(sentence)
        self.code = code
        self.status = status


class Shape(Protocol):
    """What a value must be. told: for people."""

    @property
    def told(self) -> str:
        """What is expected, in words."""

    def fits(self, value: object) -> bool:
        """Whether it is of the type."""

    def problems(self, value: Any, member: str) -> Iterator[str]:
        """The constraints that it breaks. member: where it stands, as AWS writes it."""


@dataclass(frozen=True, slots=True)
class Text:
    """Characters. values: the only ones that may be; None for any."""

    longest: int | None = None
    pattern: str = r"[\s\S]*"
    shortest: int = 0
    values: tuple[str, ...] | None = None
    told: str = "text"

    def fits(self, value: object) -> bool:
        """A text."""
        return isinstance(value, str)

    def problems(self, value: Any, member: str) -> Iterator[str]:
        """Too short, too long, another pattern, none of the values."""
        if len(value) < self.shortest:
            yield problem(value, member, f"Member must have length greater than or equal to {self.shortest}")
        yield from Rule("", member, len(value) if self.longest is None else self.longest, self.pattern).problems(value)
        if self.values is not None and value not in self.values:
            yield problem(value, member, f"Member must satisfy enum value set: [{', '.join(self.values)}]")


@dataclass(frozen=True, slots=True)
class Number:
    """A number, whole unless ``real``."""

    least: float | None = None
    most: float | None = None
    real: bool = False
    told: str = "a whole number"

    def fits(self, value: object) -> bool:
        """A number that is no flag."""
        return type(value) is int or (self.real and type(value) is float)

    def problems(self, value: Any, member: str) -> Iterator[str]:
        """Too small, too large."""
        if self.least is not None and value < self.least:
            yield problem(_number(value), member, f"Member must have value greater than or equal to {self.least:g}")
        if self.most is not None and value > self.most:
            yield problem(_number(value), member, f"Member must have value less than or equal to {self.most:g}")


def _number(value: float) -> str:
    """In words; one of thousands of digits is more than Python writes."""
    return str(value) if abs(value) < 10**18 else f"{float(value):g}" if abs(value) < 10**300 else "too large to tell"


TIME = Number(real=True, told="a time in seconds since 1970")


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    told: str = "true or false"

    def fits(self, value: object) -> bool:
        """A flag."""
        return isinstance(value, bool)

    def problems(self, value: Any, member: str) -> Iterator[str]:  # noqa: ARG002
        """None."""
        return iter(())


@dataclass(frozen=True, slots=True)
class Kept:
    """An object that is kept and told back as it came."""

    told: str = "a JSON object"

    def fits(self, value: object) -> bool:
        """An object."""
        return isinstance(value, dict)

    def problems(self, value: Any, member: str) -> Iterator[str]:  # noqa: ARG002
        """None."""
        return iter(())


@dataclass(frozen=True, slots=True)
class Items:
    """A list of one shape."""

    of: Shape
    fewest: int = 0
    most: int = 100
    told: str = "a list"

    def fits(self, value: object) -> bool:
        """A list."""
        return isinstance(value, list)

    def problems(self, value: Any, member: str) -> Iterator[str]:
        """Too few, too many, and those of each."""
        yield from _count(value, member, self.fewest, self.most)
        for number, item in enumerate(value[: self.most], 1):
            yield from _inside(self.of, item, f"{member}.{number}.member")


@dataclass(frozen=True, slots=True)
class Pairs:
    """Texts by name."""

    key: Text
    value: Text
    most: int = 100
    told: str = "an object of texts"

    def fits(self, value: object) -> bool:
        """An object."""
        return isinstance(value, dict)

    def problems(self, value: Any, member: str) -> Iterator[str]:
        """Too many, and those of each name and text."""
        yield from _count(value, member, 0, self.most)
        for key in [*value][: self.most]:
            yield from self.key.problems(key, f"{member}.key")
            yield from _inside(self.value, value[key], f"{member}.{key[:80]}.value")


@dataclass(frozen=True, slots=True)
class Members:
    """An object of named members. required: names of those that must be there."""

    of: Mapping[str, Shape]
    required: tuple[str, ...] = ()
    told: str = field(default="a JSON object")

    def fits(self, value: object) -> bool:
        """An object."""
        return isinstance(value, dict)

    def problems(self, value: Any, member: str) -> Iterator[str]:
        """Unknown names are an error of their own; then those that miss, and those of each."""
        known = ", ".join(self.of)
        if unknown := sorted(value.keys() - self.of.keys()):
            where = member or "the call"
            _mistaken(f"{where} has no member {_plain(unknown[0])}; its members: {known}")
        for name, shape in self.of.items():
            path = f"{member}{'.' if member else ''}{name[0].lower()}{name[1:]}"
            if value.get(name) is not None:
                yield from _inside(shape, value[name], path, name)
            elif name in self.required:
                yield f"Value null at '{path}' failed to satisfy constraint: Member must not be null"


def members_of(operation: str, shape: Members, body: bytes) -> Mapping[str, Any]:
    """What was given of an operation's members, checked. A null is nothing given.

    Raises:
        ControlError: no JSON object, a wrong type, an unknown member, or a broken constraint.
    """
    try:
        value = json.loads(body or b"{}", parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ControlError("the body is not JSON; a JSON object was expected", "SerializationException") from None
    if not isinstance(value, dict):
        raise ControlError("the body must be a JSON object", "SerializationException")
    if unknown := sorted(value.keys() - shape.of.keys()):
        _mistaken(f"{operation} has no member {_plain(unknown[0])}; its members: {', '.join(shape.of)}")
    if problems := list(shape.problems(value, "")):
        raise ControlError(detected(problems))
    return {name: member for name, member in value.items() if member is not None}


def _inside(shape: Shape, value: object, member: str, name: str | None = None) -> Iterator[str]:
    if not shape.fits(value):
        _mistaken(f"{_plain(name or member)} must be {shape.told}")
    yield from shape.problems(value, member)


def _count(value: Any, member: str, fewest: int, most: int) -> Iterator[str]:
    shown = f"{len(value)} entries"
    if len(value) < fewest:
        yield problem(shown, member, f"Member must have length greater than or equal to {fewest}")
    if len(value) > most:
        yield problem(shown, member, f"Member must have length less than or equal to {most}")


def _mistaken(sentence: str) -> NoReturn:
    raise ControlError(sentence, "SerializationException")


def _plain(given: str) -> str:
    """What a caller wrote, in characters that JSON and a log line carry."""
    return "".join(c if " " <= c <= "~" else "?" for c in given[:100])


def _no_constant(name: str) -> NoReturn:
    """Python reads NaN and Infinity, which are no JSON."""
    raise ValueError(name)
