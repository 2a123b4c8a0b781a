"""What a render of a template may still do. Knows Python's values and what work on them costs; nothing of Jinja's syntax.

A template sees texts, numbers, booleans, None, lists, tuples, dicts and ranges, all of which never change once made, and
besides them namespaces, macros, loops and methods. One *unit* is a byte kept, or some four nanoseconds of work on an
ordinary machine. Every price is an estimate from above and paid before the work is done.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence

from jinja2.exceptions import SecurityError
from jinja2.runtime import Undefined
from markupsafe import Markup

UNITS = 120_000_000
"""Of a render without messages."""

UNITS_PER_MESSAGE = 100_000
UNITS_PER_BYTE = 64
"""Of the messages' texts: a template may copy and search what it is given."""

ELEMENT = 40
"""Units of an element of a list: its place, and looking at it."""

PIECE = 80
"""Units of one small text or number that is kept."""

MAX_DEPTH = 60
"""How deep lists may be nested in lists, and calls in calls. The recursion limit of Python is 1000 frames."""

MAX_NUMBER = 2**60
"""Whole numbers stay below it, so that arithmetic costs nothing and cannot make dict keys collide (hashes are mod 2^61-1)."""

SCALARS = (str, int, float, bool, type(None))
"""What compares and hashes in a time that its own length bounds."""

_empty: dict[object, object] = {}
VIEWS = (type(_empty.keys()), type(_empty.values()), type(_empty.items()))
ITERATOR = type(iter([*_empty]))

LISTS = (list, tuple, *VIEWS)
_PLAIN = (*SCALARS, Undefined, range)
_ITERATED: tuple[type[Iterable[object]], ...] = (dict, ITERATOR, Undefined, *VIEWS)


def wide(text: str) -> int:
    """Bytes of a character, from above."""
    return 1 if text.isascii() else 4


class Budget:
    """The units that are left, and what nearly everything needs: sizes, texts and elements of any value."""

    def __init__(self, units: int) -> None:
        self._all = units
        self._left = units

    def charge(self, units: int) -> bool:
        """Pay for what comes next.

        Raises:
            SecurityError: it is too much.
        """
        self._left -= units
        if self._left < 0:
            raise SecurityError(
                f"it does too much: more than {self._all} units of work (a character made is one, a turn of a loop some "
                "hundred), and no chat template needs that for a dialog of this size"
            )
        return True

    def weigh(self, value: object, *, printed: bool = False) -> tuple[int, int]:
        """How many values and characters stand in a value, shared ones counted each time, and pay for the count.

        Raises:
            SecurityError: too many, or nested too deep; or, where the value is to be printed, not all are plain values.
        """
        values = characters = 0
        level: list[object] = [value]
        for _ in range(MAX_DEPTH):
            below: list[object] = []
            for one in level:
                if isinstance(one, str):
                    characters += len(one)
                elif isinstance(one, dict):
                    self.charge(2 * ELEMENT * len(one))
                    below += one.keys()
                    below += one.values()
                elif isinstance(one, LISTS):
                    self.charge(ELEMENT * len(one))
                    below += one
                elif printed and not isinstance(one, _PLAIN):
                    raise SecurityError(f"it prints a value of the kind {type(one).__name__!r}, which has no text")
            values += len(level)
            if not below:
                self.charge(ELEMENT + characters // 4)
                return values, characters
            level = below
        raise SecurityError(f"it nests lists in lists more than {MAX_DEPTH} deep")

    def text(self, value: object) -> str:
        """What ``str`` makes of a value."""
        if isinstance(value, str):
            if type(value) is not str:
                self.charge(len(value) * wide(value))
            return str(value)
        if not isinstance(value, _PLAIN):
            values, characters = self.weigh(value, printed=True)
            self.charge(PIECE * values + 16 * characters)  # a control character becomes four, a wide one makes all wide
        self.charge(PIECE)
        return str(value)

    def soft(self, value: object) -> str:
        """The same, but a text that ``safe`` marked stays marked."""
        return value if isinstance(value, str) else self.text(value)

    def join(self, texts: Sequence[str], between: str = "") -> str:
        """Texts put together."""
        length = sum(map(len, texts)) + len(texts) * len(between)
        if length > 100 and not (between.isascii() and all(map(str.isascii, texts))):
            length *= 4
        self.charge(length + 2 * len(texts) + PIECE)
        return between.join(texts)

    def items(self, value: object) -> Sequence[object]:
        """The elements of whatever can be iterated over.

        Raises:
            TypeError: the value cannot.
        """
        if isinstance(value, str):
            self.charge((PIECE if wide(value) > 1 else ELEMENT) * len(value))
            return value
        if isinstance(value, list | tuple | range):
            self.charge(ELEMENT * len(value))
            return value
        if isinstance(value, _ITERATED):
            self.charge(ELEMENT * (1 + operator.length_hint(value)))
            return list(value)
        raise TypeError(f"{type(value).__name__!r} object is not iterable")

    def whole(self, value: object) -> int:
        """A whole number, and nothing else.

        Raises:
            TypeError: it is none.
        """
        if not isinstance(value, int):
            raise TypeError(f"expected a whole number, got {type(value).__name__!r}")
        return value

    def number(self, value: object) -> object:
        """The value, as long as it is no number that is too large, or not real.

        Raises:
            SecurityError: it is one.
        """
        if isinstance(value, complex) or (isinstance(value, int) and not -MAX_NUMBER < value < MAX_NUMBER):
            raise SecurityError(f"it computes a number beyond {MAX_NUMBER}")
        return value

    def key(self, value: object) -> object:
        """The value, as long as it may be a key of a dict: a tuple can take forever to hash.

        Raises:
            TypeError: it may not.
        """
        if isinstance(value, str):
            self.charge(len(value) // 8)
        elif not isinstance(value, (*SCALARS, Undefined)):
            raise TypeError(f"a key must be a text or a number, not {type(value).__name__!r}")
        return value

    def seek(self, text: str, part: str, *, backwards: bool = False) -> None:
        """Pay for a search. CPython's is quadratic for short texts, and always so from the end (``fastsearch.h``)."""
        length = len(part) if backwards else min(len(part), 700)
        self.charge(len(text) + len(text) * length // 8)

    def escaped(self, value: str) -> int:
        """The length of a text once it is escaped for HTML, from above."""
        return len(value) if isinstance(value, Markup) else 6 * len(value)


def size_of(texts: Iterable[str]) -> int:
    """Bytes of texts, from above."""
    return sum(len(text) * wide(text) for text in texts)
