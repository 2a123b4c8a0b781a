"""A TOML file as values that know where they stand, so that every refusal names file, line and key. Knows no experiment."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from puna.errors import InputError, unknown
from puna.experiments.lines import Steps, lines

MOST_BYTES = 16 * 1024 * 1024
"""Of a file of an experiment."""

MOST_BITS = 4096
"""Of a whole number that is written out: Python refuses more than 4300 digits."""

_JOINERS = {0x200C: None, 0x200D: None}
"""Signs without a look of their own that Persian, Hindi and emoji are written with; names may have them."""

_SHOWN = 60
"""Characters of a wrong value that an error repeats."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where values were written. file: as errors call it; empty for Python. folder: what names of files in it are relative to."""

    file: str = ""
    folder: Path = Path()
    lines: Mapping[Steps, int] = field(default_factory=dict)

    def line(self, path: Steps) -> str:
        """``FILE, line N`` of the value at ``path`` or of what holds it; just the file, or nothing, where that is all that is known."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return f"{self.file}, line {self.lines[path[:end]]}"
        return self.file


@dataclass(frozen=True, slots=True)
class Given:
    """A value that a person wrote, not yet checked. path: the keys and indices under which it stands."""

    value: object
    path: Steps = ()
    source: Source = field(default_factory=Source)

    @property
    def key(self) -> str:
        """The path as it is written: ``prompts[0].user``."""
        told = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return told.removeprefix(".") or "the experiment"

    def refused(self, sentence: str) -> InputError:
        """An error that says where this stands, then the sentence."""
        place = self.source.line(self.path)
        return InputError(f"{place}: {sentence}" if place else sentence)

    def must(self, expected: str) -> InputError:
        """An error: this value must be what was expected."""
        return self.refused(f"{self.key} must be {expected}, not {shown(self.value)}")

    def at(self, step: str | int, value: object) -> Given:
        """A value inside this one."""
        return Given(value, (*self.path, step), self.source)

    def table(self, kind: str, known: Collection[str] | None = None) -> dict[str, Given]:
        """The values by key. kind: what a key is, for errors. known: the keys that there may be; None for any."""
        if not isinstance(self.value, Mapping) or not all(isinstance(key, str) for key in self.value):
            raise self.must("a table of keys and values")
        inside = {key: self.at(key, value) for key, value in self.value.items()}
        for key, entry in inside.items():
            if known is not None and key not in known:
                raise entry.refused(unknown(kind, key, known))
        return inside

    def entries(self) -> list[Given]:
        """The entries of a list that is not empty."""
        if not isinstance(self.value, list | tuple):
            raise self.must("a list")
        if not self.value:
            raise self.refused(f"{self.key} is empty, so there is nothing to run; put something in, or leave it out")
        return [self.at(n, value) for n, value in enumerate(self.value)]

    def text(self) -> str:
        """A text that a prompt can carry, the empty one included."""
        if not isinstance(self.value, str):
            raise self.must("a text")
        fault = unfit(self.value)
        if fault:
            raise self.refused(f"{self.key} must be text, but {fault}; remove it")
        return self.value

    def label(self) -> str:
        """A name: one line of text, not empty."""
        text = self.text()
        if not text.strip() or not text.translate(_JOINERS).isprintable():
            raise self.must("a name: one line of text, not empty")
        return text.strip()

    def flag(self) -> bool:
        """True or false."""
        if not isinstance(self.value, bool):
            raise self.must("true or false")
        return self.value

    def whole(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        if not isinstance(self.value, int) or isinstance(self.value, bool) or not low <= self.value <= high:
            raise self.must(f"a whole number from {low} to {high}")
        return self.value

    def number(self, low: float, high: float) -> float:
        """A number, both ends included."""
        good = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        if not good or not low <= self.value <= high:  # type: ignore[operator]  # `good` says it is a number
            raise self.must(f"a number from {low:g} to {high:g}")
        return float(self.value)  # type: ignore[arg-type]

    def choice(self, kind: str, known: Iterable[str]) -> str:
        """One of the known names."""
        names = tuple(known)
        if not isinstance(self.value, str):
            raise self.must(f"one of {', '.join(sorted(names))}")
        if self.value not in names:
            raise self.refused(f"{self.key}: {unknown(kind, self.value, names)}")
        return self.value


def shown(value: object) -> str:
    """A value in an error: short, and as it would be written."""
    told = _toml(value)
    return told if len(told) <= _SHOWN else f"{told[:_SHOWN]}..."


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key} = {_toml(each)}' for key, each in value.items())}}}"
    return f"[{', '.join(map(_toml, value))}]" if isinstance(value, list | tuple) else repr(value)


def unfit(text: str) -> str | None:
    """What of a text no prompt can carry, or None."""
    if "\0" in text:
        return f"character {text.index(chr(0))} is NUL (U+0000)"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return f"character {error.start} is the lone surrogate {text[error.start]!r}"
    return None


def distinct(kind: str, named: Iterable[tuple[Given, str]]) -> None:
    """Refuse a name that is there already.

    Raises:
        InputError: two have the same name.
    """
    seen: set[str] = set()
    for given, name in named:
        if name in seen:
            raise given.refused(f"there are two {kind} named {name!r}; give each a name of its own")
        seen.add(name)


def read(path: Path) -> Given:
    """What a TOML file holds.

    Raises:
        InputError: it cannot be read, is too large, or is not TOML in UTF-8.
    """
    text = read_text(path, MOST_BYTES, "a TOML file")
    try:
        found = tomllib.loads(text)
        at = lines(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} must be a TOML file, but: {error}") from error
    except ValueError:  # the one thing that tomllib does not tell in its own words
        raise InputError(f"{path} has a whole number of more than 4300 digits; write a smaller one") from None
    except RecursionError:
        raise InputError(f"{path} has values that are nested too deeply; an experiment needs a few levels") from None
    given = Given(found, (), Source(str(path), path.parent, at))
    _refuse_giants(given)
    return given


def _refuse_giants(given: Given) -> None:
    """Refuse whole numbers that nothing can write out; in hexadecimal TOML has them of any length."""
    if isinstance(given.value, int) and given.value.bit_length() > MOST_BITS:
        raise given.must(f"a number of at most {MOST_BITS} bits")
    if isinstance(given.value, Mapping):
        for key, value in given.value.items():
            _refuse_giants(given.at(key, value))
    elif isinstance(given.value, list):
        for n, value in enumerate(given.value):
            _refuse_giants(given.at(n, value))


def read_text(path: Path, most: int, expected: str) -> str:
    """The text of a file. most: bytes that it may have. expected: what it should be, for errors.

    Raises:
        InputError: it cannot be read, is larger, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > most:
        raise InputError(f"{path} must be {expected} of at most {most // 1024 // 1024} MiB, but it is larger")
    try:
        return data.decode("utf-8-sig")  # editors on Windows put a byte order mark first
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}, line {line}: byte {error.start} is not UTF-8 ({data[error.start]:#04x}); save the file as UTF-8"
        ) from error
