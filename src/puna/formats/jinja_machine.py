"""The operators of a template: what its compiled code calls for all that can be long. Knows Jinja's values and the budget."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from jinja2.environment import Environment
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext, Macro, Undefined
from markupsafe import Markup

from puna.formats.jinja_budget import ELEMENT, ITERATOR, LISTS, MAX_DEPTH, PIECE, SCALARS, VIEWS, Budget, wide
from puna.formats.jinja_format import percent
from puna.formats.jinja_methods import INDEXED, Function, Method, same

_NUMBERS = (int, float)
_KEYED = (dict, VIEWS[0])
_MAX_EXPONENT = 64

_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gteq": operator.ge,
    "lt": operator.lt,
    "lteq": operator.le,
}
_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}


class Machine(Budget):
    """One render's operators and what is left of its budget. A format may be rendered by several threads at once."""

    def __init__(self, environment: Environment, units: int) -> None:
        super().__init__(units)
        self.environment = environment
        self._calls = 0

    def written(self, value: object) -> str:
        """A value as the template prints it: the text is kept, put together, and encoded."""
        text = value if type(value) is str else self.text(value)
        self.charge(3 * len(text) * wide(text))
        return text

    def concat(self, pieces: list[str]) -> str:
        """The text of a macro, or of a ``{% set %}`` block."""
        return self.join(list(pieces))

    def tilde(self, parts: tuple[object, ...]) -> str:
        """``a ~ b ~ c``."""
        return self.join([self.text(part) for part in parts])

    def add(self, left: Any, right: Any) -> Any:
        """``left + right``."""
        if type(left) is str and type(right) is str:
            length = len(left) + len(right)
            self.charge(length if length < 100 or (left.isascii() and right.isascii()) else 4 * length)
            return left + right
        if isinstance(left, str) and isinstance(right, str):
            self.charge(4 * (self.escaped(left) + self.escaped(right)))
            return left + right
        if (isinstance(left, list) and isinstance(right, list)) or (
            isinstance(left, tuple) and isinstance(right, tuple)
        ):
            self.charge(PIECE + 8 * (len(left) + len(right)))
            return operator.add(left, right)
        return self.arithmetic("+", left, right)

    def multiply(self, left: Any, right: Any) -> Any:
        """``left * right``."""
        for many, times in ((left, right), (right, left)):
            if isinstance(many, str | list | tuple) and isinstance(times, int):
                self.charge(PIECE + len(many) * max(0, times) * (wide(many) if isinstance(many, str) else 8))
                return many * times
        return self.arithmetic("*", left, right)

    def modulo(self, left: Any, right: Any) -> Any:
        """``left % right``, which formats texts."""
        return percent(self, left, right) if isinstance(left, str) else self.arithmetic("%", left, right)

    def power(self, left: Any, right: Any) -> Any:
        """``left ** right``."""
        if isinstance(left, int) and isinstance(right, int) and abs(right) > _MAX_EXPONENT and abs(left) > 1:
            raise SecurityError(f"it raises a number to a power of more than {_MAX_EXPONENT}")
        return self.arithmetic("**", left, right)

    def arithmetic(self, name: str, left: Any, right: Any) -> Any:
        """An operator between numbers; undefined values say what they are."""
        if isinstance(left, _NUMBERS) and isinstance(right, _NUMBERS):
            return self.number(_ARITHMETIC[name](left, right))
        for one in (left, right):
            if isinstance(one, Undefined):
                return one + 0  # raises
        raise TypeError(f"unsupported operand type(s) for {name}: {type(left).__name__!r} and {type(right).__name__!r}")

    def equal(self, left: Any, right: Any) -> bool:
        """``left == right``."""
        if isinstance(left, str):
            if isinstance(right, str) and len(left) == len(right):
                self.charge(len(left) // 8)
        elif not isinstance(left, SCALARS) and not isinstance(right, SCALARS):
            self.weigh(left)
        return bool(left == right)

    def order(self, name: str, left: Any, right: Any) -> bool:
        """``<`` and its kin."""
        if not isinstance(left, SCALARS):
            self.weigh(left)
        elif isinstance(left, str):
            self.charge(len(left) // 4)
        return bool(_ORDER[name](left, right))

    def contains(self, value: Any, many: Any) -> bool:
        """``value in many``."""
        if isinstance(many, str):
            if isinstance(value, str):
                self.seek(many, value)
            return value in many
        if isinstance(many, _KEYED):
            return self.key(value) in many
        if isinstance(many, (ITERATOR, Undefined)):
            many = self.items(many)
        elif not isinstance(many, (*LISTS, range)):
            raise TypeError(f"argument of type {type(many).__name__!r} is not iterable")
        same(self, value, many)
        return value in many

    def compare(self, left: Any, *pairs: tuple[str, Any]) -> bool:
        """A chain: ``left < middle <= right``."""
        for name, right in pairs:
            if name in {"eq", "ne"}:
                holds = self.equal(left, right) is (name == "eq")
            elif name in {"in", "notin"}:
                holds = self.contains(left, right) is (name == "in")
            else:
                holds = self.order(name, left, right)
            if not holds:
                return False
            left = right
        return True

    def item(self, owner: Any, key: Any) -> Any:
        """``owner[key]`` with a key that the template computes."""
        if isinstance(key, SCALARS):
            self.key(key)
            return self.environment.getitem(owner, key)
        if isinstance(owner, Undefined):
            return owner[key]  # raises
        return self.environment.undefined(f"{type(owner).__name__!r} has no element for a {type(key).__name__!r}")

    def cut(self, owner: Any, start: Any, stop: Any, step: Any) -> Any:
        """``owner[start:stop:step]``."""
        part = slice(start, stop, step)
        if isinstance(owner, INDEXED):
            length = len(range(*part.indices(len(owner))))
            self.charge(PIECE + length * (wide(owner) if isinstance(owner, str) else 8))
            return owner[part]
        if isinstance(owner, Undefined):
            return owner[part]  # raises
        raise TypeError(f"{type(owner).__name__!r} object cannot be sliced")

    def call(self, called: Any, /, *args: Any, **named: Any) -> Any:
        """``called(...)``."""
        if isinstance(called, Method):
            return called.run(self, called.owner, *args, **named)
        if isinstance(called, Function):
            return called.run(self, *args, **named)
        if not isinstance(called, Macro | LoopContext):
            if isinstance(called, Undefined):
                return called()  # raises
            raise TypeError(f"{type(called).__name__!r} object is not callable")
        self._calls += 1
        if self._calls > MAX_DEPTH:
            raise SecurityError(f"it nests calls of macros more than {MAX_DEPTH} deep")
        try:
            return called(*args, **named)
        finally:
            self._calls -= 1

    def marked(self, value: object) -> Markup:
        """What ``safe`` makes."""
        text = self.soft(value)
        self.charge(ELEMENT + len(text) * wide(text))
        return Markup(text)  # noqa: S704  # the template's own wish, as in Jinja; no HTML is served from it


class Render(Context):
    """The variables of one render, and its machine."""

    machine: Machine
