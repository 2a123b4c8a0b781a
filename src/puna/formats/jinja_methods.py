"""The attributes that a template may read, and what their methods cost. Knows texts, dicts, lists, loops and macros.

What is not in a table here is not there for a template: neither by a dot, nor by an index, nor through a filter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2.environment import Environment
from jinja2.exceptions import SecurityError
from jinja2.runtime import LoopContext, Macro, Undefined
from jinja2.utils import Namespace
from markupsafe import Markup

from puna.formats.jinja_budget import ELEMENT, PIECE, SCALARS, VIEWS, Budget, size_of, wide
from puna.formats.jinja_format import braces

MAX_NAME = 100
"""Characters of a missing name that its error repeats; a template can compute names of any length."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function that a template may call: it gets the budget first."""

    run: Callable[..., Any]


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """A method of one value."""

    owner: Any
    name: str
    run: Callable[..., Any]


class Group(tuple[Any, Any]):
    """What ``groupby`` makes: a pair whose parts also have names."""

    __slots__ = ()

    @property
    def grouper(self) -> Any:
        """What the elements have in common."""
        return self[0]

    @property
    def list(self) -> Any:
        """The elements."""
        return self[1]


def attribute(environment: Environment, owner: Any, name: str) -> Any:
    """``owner.name``, or an undefined value."""
    if isinstance(owner, Undefined):
        return owner[name]  # raises, with the sentence of an undefined value
    if name.startswith("_"):
        return _unsafe(environment, owner, name)
    kind = type(owner)
    if kind is Namespace:
        try:
            return getattr(owner, name)
        except AttributeError:
            return _missing(environment, owner, name)
    if name in _FIELDS.get(kind, ()):
        return getattr(owner, name)
    run = _METHODS.get(kind, _NONE).get(name)
    if run is not None:
        return Method(owner, name, run)
    return (_unsafe if hasattr(kind, name) else _missing)(environment, owner, name)


def _unsafe(environment: Environment, owner: object, name: str) -> Undefined:
    sentence = f"access to attribute {name[:MAX_NAME]!r} of {type(owner).__name__!r} object is unsafe."
    return environment.undefined(sentence, exc=SecurityError)


def _missing(environment: Environment, owner: object, name: str) -> Undefined:
    return environment.undefined(obj=owner, name=name[:MAX_NAME])


def call(budget: Budget, owner: str, name: str, /, *args: Any, **named: Any) -> Any:
    """A method of a text, for filters that are one."""
    return _TEXT[name](budget, owner, *args, **named)


Price = Callable[..., int]


def _method(name: str, price: Price) -> Callable[..., Any]:
    function, marked = getattr(str, name), getattr(Markup, name)

    def run(budget: Budget, owner: str, /, *args: Any, **named: Any) -> Any:
        if type(owner) is str:
            budget.charge(PIECE + price(budget, owner, *args, **named))
            return function(owner, *args, **named)
        # A marked text escapes what it is given, so every text may come out six times as long.
        budget.charge(6 * (PIECE + price(budget, owner, *args, **named)))
        return marked(owner, *args, **named)

    return run


def _kept(_: Budget, owner: str, *args: Any, **named: Any) -> int:
    """A result that is no longer than the text, whatever prefix or part is looked for at its ends."""
    given: list[Any] = [*args, *named.values()]
    parts: list[str] = [
        part for one in given for part in (one if isinstance(one, tuple) else (one,)) if isinstance(part, str)
    ]
    return (
        len(owner) * wide(owner) + size_of(parts) + ELEMENT * sum(len(one) for one in given if isinstance(one, tuple))
    )


def _cased(_: Budget, owner: str) -> int:
    """One character may become three, and three wide ones."""
    return 2 * len(owner) if owner.isascii() else 16 * len(owner)


def _stripped(_: Budget, owner: str, chars: str | None = None, /) -> int:
    many = len(chars) if isinstance(chars, str) else 0
    return len(owner) * wide(owner) + len(owner) * many // 4


def _sought(budget: Budget, owner: str, part: object = "", *_: Any) -> int:
    if isinstance(part, str):
        budget.seek(owner, part)
    return len(owner) * wide(owner)


def _sought_back(budget: Budget, owner: str, part: object = "", *_: Any) -> int:
    if isinstance(part, str):
        budget.seek(owner, part, backwards=True)
    return len(owner) * wide(owner)


def _replaced(budget: Budget, owner: str, old: object, new: object, count: object = -1, /) -> int:
    if not (isinstance(old, str) and isinstance(new, str) and isinstance(count, int)):
        return 0
    budget.seek(owner, old)
    budget.seek(owner, old)
    times = owner.count(old) if count < 0 else min(owner.count(old), count)
    return (len(owner) + times * len(new)) * max(wide(owner), wide(new))


def _split(budget: Budget, owner: str, sep: object = None, maxsplit: object = -1) -> int:
    """Also ``rsplit``."""
    if isinstance(sep, str) and sep:
        budget.seek(owner, sep, backwards=True)
        pieces = owner.count(sep) + 1
    else:
        pieces = len(owner) // 2 + 1
    if isinstance(maxsplit, int) and maxsplit >= 0:
        pieces = min(pieces, maxsplit + 1)
    return len(owner) * wide(owner) + PIECE * pieces


def _lines(_: Budget, owner: str, keepends: object = False) -> int:  # noqa: ARG001  # as the method
    return (PIECE + wide(owner)) * len(owner)


def _padded(budget: Budget, owner: str, width: object = 0, fill: str = " ", /) -> int:
    both = isinstance(fill, str) and fill.isascii() and owner.isascii()
    return (len(owner) + max(0, budget.whole(width))) * (1 if both else 4)


def _joined(budget: Budget, owner: str, values: object, /) -> str:
    texts: Sequence[Any] = budget.items(values)
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"join takes texts, not {type(text).__name__!r}")
    if type(owner) is str:
        return budget.join(texts, owner)
    budget.charge(6 * (size_of(texts) + len(texts) * (PIECE + len(owner) * wide(owner))))
    return owner.join(texts)


def _formatted(budget: Budget, owner: str, /, *args: Any, **named: Any) -> str:
    if type(owner) is not str:
        raise SecurityError("it calls str.format on a text that is marked safe")
    return braces(budget, owner, args, named)


_PRICES: Mapping[str, Price] = {
    **dict.fromkeys(("capitalize", "casefold", "lower", "swapcase", "title", "upper"), _cased),
    **dict.fromkeys(("lstrip", "rstrip", "strip"), _stripped),
    **dict.fromkeys(("endswith", "removeprefix", "removesuffix", "startswith"), _kept),
    **dict.fromkeys(("count", "find", "index", "partition"), _sought),
    **dict.fromkeys(("rfind", "rindex", "rpartition"), _sought_back),
    **dict.fromkeys(("rsplit", "split"), _split),
    **dict.fromkeys(("center", "ljust", "rjust", "zfill"), _padded),
    **{name: _cased for name in dir(str) if name.startswith("is")},
    "replace": _replaced,
    "splitlines": _lines,
}

_TEXT: Mapping[str, Callable[..., Any]] = {
    **{name: _method(name, price) for name, price in _PRICES.items()},
    "join": _joined,
    "format": _formatted,
}


def _get(budget: Budget, owner: dict[Any, Any], key: object, default: object = None, /) -> Any:
    return default if isinstance(key, tuple) else owner.get(budget.key(key), default)


def _copy(budget: Budget, owner: dict[Any, Any], /) -> dict[Any, Any]:
    budget.charge(PIECE * (1 + 2 * len(owner)))
    return dict(owner)


def _index(budget: Budget, owner: Any, value: object, /) -> int:
    for _ in range(2):
        same(budget, value, owner)
    if value not in owner:  # Python would print the value, however long
        raise ValueError("the value is not in the list")
    return int(owner.index(value))


def _count(budget: Budget, owner: Any, value: object, /) -> int:
    same(budget, value, owner)
    return int(owner.count(value))


def same(budget: Budget, value: object, many: Any) -> None:
    """Pay for comparing a value with each of many."""
    if isinstance(value, SCALARS):
        each = ELEMENT + (len(value) // 8 if isinstance(value, str) else 0)
        budget.charge(each * (1 + len(many)))
    else:
        budget.weigh(value)
        budget.weigh(list(many) if isinstance(many, range) else many)


def _cycle(budget: Budget, owner: LoopContext, /, *values: Any) -> Any:
    budget.charge(len(values))
    return owner.cycle(*values)


def _changed(budget: Budget, owner: LoopContext, /, *values: Any) -> bool:
    budget.weigh(values)
    return owner.changed(*values)


_DICT: Mapping[str, Callable[..., Any]] = {
    "get": _get,
    "copy": _copy,
    "items": lambda _, owner, /: owner.items(),
    "keys": lambda _, owner, /: owner.keys(),
    "values": lambda _, owner, /: owner.values(),
}
_LIST: Mapping[str, Callable[..., Any]] = {"index": _index, "count": _count}
_LOOP = (
    "index",
    "index0",
    "revindex",
    "revindex0",
    "first",
    "last",
    "length",
    "depth",
    "depth0",
    "previtem",
    "nextitem",
)
_NONE: Mapping[str, Callable[..., Any]] = {}

_METHODS: Mapping[type, Mapping[str, Callable[..., Any]]] = {
    str: _TEXT,
    Markup: _TEXT,
    dict: _DICT,
    list: _LIST,
    tuple: _LIST,
    range: _LIST,
    LoopContext: {"cycle": _cycle, "changed": _changed},
}
_FIELDS: Mapping[type, tuple[str, ...]] = {
    LoopContext: _LOOP,
    Macro: ("name", "arguments", "catch_kwargs", "catch_varargs", "caller"),
    Group: ("grouper", "list"),
}
OF_DICTS = frozenset(dir(dict))
"""Names that a dot after a dict finds before any key of the dict."""

INDEXED = (str, list, tuple, range)
CALLABLE = (Function, Method, Macro, LoopContext)
SIZED = (str, list, tuple, dict, range, *VIEWS)
