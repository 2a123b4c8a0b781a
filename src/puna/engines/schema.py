"""Which JSON schemas an answer can be held to: those that llama.cpp's compiler keeps to. Knows JSON Schema 2020-12, no engine.

The pinned build gives a schema to llguidance. What that cannot compile it drops without a word, and the answer is then free;
so the list of keywords here is closed, each was seen to be enforced, and the bounds stay far within those at which it gives up
(500 optional properties, 100,000 items, a depth of 64). Beyond this module's sight are schemas that nothing
satisfies; the engine is asked about these (``completion.hold_to_schema``).

What enforcement means: ``format`` is one of form (2024-02-30 is a date); properties come in the order in which the schema
names them; numbers with a bound have no exponent.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from puna.engines import keywords
from puna.engines.keywords import MAX_DEPTH, MAX_PROPERTIES
from puna.errors import InputError, unknown

MAX_BYTES = 64 * 1024
MAX_CHOICES = 100
"""Of anyOf, oneOf, allOf and prefixItems."""
MAX_ITEMS = 1000
MAX_LENGTH = 10_000
MAX_WEIGHT = 500
"""Sub-schemas and optional properties in all. Where one value must satisfy several at once, as with allOf, theirs multiply. The
engine gives up in the middle of an answer when too many of them are possible next; seen from 900 on."""

ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "$schema", "$id", "$comment", "deprecated", "readOnly", "writeOnly"}
    | {"discriminator"}  # of OpenAPI: pydantic writes it beside oneOf
)
"""They bind nothing, and llama.cpp does not get to see them."""
_COUNTS = {"minItems": MAX_ITEMS, "maxItems": MAX_ITEMS, "minLength": MAX_LENGTH, "maxLength": MAX_LENGTH}
_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_CHOICES = ("anyOf", "oneOf", "allOf", "prefixItems")
_ONCE_MORE = ("anyOf", "oneOf", "allOf")
_DEFINITIONS = ("$defs", "definitions")
_BINDING = frozenset(
    {"type", "enum", "const", "properties", "required", "additionalProperties", "items", "format", "$ref"}
)
KEYWORDS = _BINDING | _BOUNDS | frozenset(_COUNTS) | frozenset(_CHOICES) | frozenset(_DEFINITIONS)

_REFERENCE = re.compile(r"#(/(\$defs|definitions)/[A-Za-z0-9_.-]+)?", re.ASCII)
"""llguidance takes no more."""

Schema = dict[str, Any]


def parsed(text: str) -> object:
    """The JSON value that a text is.

    Raises:
        InputError: it is no JSON.
    """
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise InputError(_too_long(len(text)))
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"the JSON schema must be JSON, but {reason}; mend it") from None


def checked(schema: object) -> str:
    """The JSON text of a schema without its annotations, once it is sure that it can be enforced.

    Raises:
        InputError: an unknown keyword, or one that is not enforced; a wrong type; a bound exceeded; a reference to nothing.
    """
    try:
        text = json.dumps(_Check(schema).root)
    except RecursionError:
        raise InputError("the JSON schema refers on and on through too many definitions; make it flatter") from None
    if len(text) > MAX_BYTES:
        raise InputError(_too_long(len(text)))
    return text


def literals(schema: object) -> Iterator[str]:
    """The texts that an answer must spell as they stand in a checked schema: names of properties, strings of const and enum."""
    if isinstance(schema, dict):
        for keyword, value in schema.items():
            if keyword in {"const", "enum", "required"}:
                yield from _strings(value)
            elif keyword in {"properties", *_DEFINITIONS}:
                yield from value
                for entry in value.values():
                    yield from literals(entry)
            else:
                yield from literals(value)
    elif isinstance(schema, list):
        for entry in schema:
            yield from literals(entry)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        if isinstance(value, dict):
            yield from value
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _strings(entry)


def _too_long(size: int) -> str:
    return f"a JSON schema may have at most {MAX_BYTES} bytes, but this one has {size}; make it smaller"


class _Check:
    """One schema on its way through. root: what is left of it."""

    def __init__(self, schema: object) -> None:
        self.references: list[tuple[str, str]] = []
        self.definitions: dict[str, Schema] = {}
        self.root = self._object(schema, "#", MAX_DEPTH)
        self.definitions["#"] = self.root
        for at, name in self.references:
            if name not in self.definitions:
                raise InputError(
                    f"the JSON schema refers at {at} to {name!r}, which is not in it; define it under $defs at the top"
                )
        _Merging(self.definitions).check()

    def _object(self, schema: object, at: str, depth: int) -> Schema:
        if schema is True:
            return {}
        if not isinstance(schema, dict):
            raise InputError(keywords.expected(at, "be a JSON object", schema))
        if depth == 0:
            raise InputError(f"a JSON schema may be nested {MAX_DEPTH} deep, but goes on at {at}; make it flatter")
        kept = {}
        for keyword, value in schema.items():
            if keyword in ANNOTATIONS and (at == "#" or keyword != "$id"):
                continue
            if keyword not in KEYWORDS:
                raise InputError(
                    f"at {at}: " + unknown("keyword of a JSON schema that can be enforced", keyword, KEYWORDS)
                )
            kept[keyword] = self._value(keyword, value, f"{at}/{keyword}", depth - 1)
        _check_together(kept, at)
        return kept

    def _value(self, keyword: str, value: Any, at: str, depth: int) -> object:
        if keyword in _CHOICES:
            return self._choices(value, at, depth)
        if keyword in _DEFINITIONS:
            return self._define(value, at, depth)
        if keyword == "properties":
            return self._properties(value, at, depth)
        if keyword in {"items", "additionalProperties"}:
            return value if isinstance(value, bool) else self._object(value, at, depth)
        if keyword == "$ref":
            return self._reference(value, at)
        if keyword in _COUNTS:
            return keywords.count(value, at, _COUNTS[keyword])
        if keyword in _BOUNDS:
            return keywords.bound(value, at)
        return keywords.PLAIN[keyword](value, at)

    def _choices(self, value: object, at: str, depth: int) -> list[Schema]:
        if not isinstance(value, list) or not value:
            raise InputError(keywords.expected(at, "be a list of schemas, at least one", value))
        if len(value) > MAX_CHOICES:
            raise InputError(keywords.expected(at, f"have at most {MAX_CHOICES} entries", len(value)))
        return [self._object(entry, f"{at}/{n}", depth) for n, entry in enumerate(value)]

    def _properties(self, value: object, at: str, depth: int) -> dict[str, Schema]:
        if not isinstance(value, dict):
            raise InputError(keywords.expected(at, "be an object of schemas by name", value))
        if len(value) > MAX_PROPERTIES:
            raise InputError(keywords.expected(at, f"have at most {MAX_PROPERTIES} entries", len(value)))
        return {
            keywords.text(name, at): self._object(entry, f"{at}/{name[:80]}", depth) for name, entry in value.items()
        }

    def _define(self, value: object, at: str, depth: int) -> dict[str, Schema]:
        if at not in {"#/$defs", "#/definitions"}:
            raise InputError(
                f"the JSON schema has definitions at {at}, but they must stand at the top; move them there"
            )
        found = self._properties(value, at, depth)
        for name, schema in found.items():
            self.definitions[f"{at}/{name}"] = schema
        return found

    def _reference(self, value: object, at: str) -> str:
        if not isinstance(value, str) or not _REFERENCE.fullmatch(value):
            raise InputError(
                keywords.expected(
                    at, "be '#', '#/$defs/NAME' or '#/definitions/NAME', NAME of letters, digits and _ . -", value
                )
            )
        self.references.append((at, value))
        return value


class _Merging:
    """How much comes of all that a value must satisfy at once. definitions: schemas by reference, ``#`` the whole."""

    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self.definitions = definitions
        self.weights: dict[str, float] = {}
        self.open: list[str] = []

    def check(self) -> None:
        sound: set[str] = set()
        for name in self.definitions:
            self._check_chain(name, (), sound)
        _check_ends(self.definitions)
        weight = sum(self._weigh(schema, once=True) for schema in self.definitions.values())
        if weight > MAX_WEIGHT:
            raise InputError(
                f"a JSON schema may have at most {MAX_WEIGHT} sub-schemas and optional properties, but this one comes to {weight:.0f}"
                " (what allOf joins, and what stands beside anyOf, oneOf or $ref, multiplies); make it smaller"
            )

    def _check_chain(self, name: str, before: tuple[str, ...], sound: set[str]) -> None:
        """No schema may be itself before it has come to an object or an array."""
        if name in before:
            raise InputError(f"the JSON schema refers at {name} to itself without anything between; break the circle")
        if len(before) > MAX_DEPTH:
            raise InputError(
                f"a JSON schema may refer on and on {MAX_DEPTH} times, but does more at {name}; make it flatter"
            )
        if name in sound:
            return
        for entry in _at_once(self.definitions[name]):
            if "$ref" in entry:
                self._check_chain(entry["$ref"], (*before, name), sound)
        sound.add(name)

    def _weigh(self, schema: Schema, *, once: bool = False) -> float:
        """once: whether what it refers to is counted elsewhere; where schemas are joined, it is counted here."""
        sources = list(self._sources(schema))
        if len(sources) == 1:
            return sources[0](once)
        parts = [float(source(False)) for source in sources]  # not whole numbers, which would grow without end
        return math.prod(parts) + sum(parts)

    def _sources(self, schema: Schema) -> Iterator[Callable[[bool], float]]:
        """Weights of what binds a value: the schema's own keywords, and each of the others that it names."""
        own = {key: value for key, value in schema.items() if key not in {*_ONCE_MORE, *_DEFINITIONS, "$ref"}}
        if own or not schema.keys() & {*_ONCE_MORE, "$ref"}:
            yield partial(self._sum, list(_inside(own)), 1 + len(_optional(own)))
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                yield partial(self._sum, schema[keyword], 0)
        for entry in schema.get("allOf", ()):
            yield partial(self._sum, [entry], 0)
        if "$ref" in schema:
            yield partial(self._weigh_reference, schema["$ref"])

    def _sum(self, schemas: list[Schema], more: int, once: bool) -> float:
        return more + sum(self._weigh(entry, once=once) for entry in schemas)

    def _weigh_reference(self, name: str, once: bool) -> float:
        if once:
            return 1
        if name in self.open:
            return math.inf
        if name not in self.weights:
            self.open.append(name)
            self.weights[name] = self._weigh(self.definitions[name])
            self.open.pop()
        return self.weights[name]


def _optional(schema: Schema) -> set[str]:
    return set(schema.get("properties", ())) - set(schema.get("required", ()))


def _at_once(schema: Schema) -> Iterator[Schema]:
    """A schema and those of it that bind the same value."""
    yield schema
    for keyword in _ONCE_MORE:
        for entry in schema.get(keyword, ()):
            yield from _at_once(entry)


def _inside(schema: Schema) -> Iterator[Schema]:
    """The schemas of what is in an object or an array."""
    yield from schema.get("properties", {}).values()
    yield from schema.get("prefixItems", ())
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield schema[keyword]


def _check_ends(definitions: Mapping[str, Schema]) -> None:
    """No value may have to hold itself: an answer would never end. definitions: schemas by reference."""
    ending: set[str] = set()
    while more := {name for name, schema in definitions.items() if name not in ending and _ends(schema, ending)}:
        ending |= more
    if "#" not in ending:
        raise InputError(
            "nothing satisfies the JSON schema: what it requires holds itself without end; leave it out of required, or allow "
            "null or an empty list in its place"
        )


def _ends(schema: Schema, ending: set[str]) -> bool:
    """Whether a value of it can be whole, when those referred to in ``ending`` can; yes where that is not plain."""
    if "$ref" in schema and schema["$ref"] not in ending:
        return False
    if not all(_ends(entry, ending) for entry in schema.get("allOf", ())):
        return False
    if not all(any(_ends(entry, ending) for entry in schema[name]) for name in ("anyOf", "oneOf") if name in schema):
        return False
    kind = schema.get("type")
    if kind == "object":
        properties = schema.get("properties", {})
        return all(_ends(properties.get(name, {}), ending) for name in schema.get("required", ()))
    if kind == "array":
        first = [*schema.get("prefixItems", ()), schema.get("items", {})][: schema.get("minItems", 0)]
        return all(_ends(entry, ending) for entry in first if isinstance(entry, dict))
    return True


def _check_together(schema: Schema, at: str) -> None:
    """Keywords of one schema that leave nothing between them."""
    for low, high in (("minItems", "maxItems"), ("minLength", "maxLength"), ("minimum", "maximum")):
        if low in schema and high in schema and schema[low] > schema[high]:
            raise InputError(f"nothing satisfies the JSON schema at {at}: {low} is above {high}; mend one of them")
    if schema.get("additionalProperties") is False:
        absent = set(schema.get("required", ())) - set(schema.get("properties", ()))
        if absent:
            raise InputError(
                f"nothing satisfies the JSON schema at {at}: it requires {min(absent)[:80]!r}, but has no such property and "
                "allows no other; add it to properties"
            )
