"""Whether a text is JSON that satisfies a schema. Knows JSON Schema, through the package jsonschema, and fetches nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from puna.errors import InputError

Schema = Mapping[str, object] | bool


def satisfies(schema: Schema) -> Callable[[str], bool]:
    """A function that says whether a whole text is JSON which satisfies the schema. Its draft: ``$schema``, else 2020-12.

    Raises:
        InputError: no schema, one that refers to another document or to nothing, or jsonschema is not installed.
    """
    validator = _validator(schema)

    def fits(text: str) -> bool:
        try:
            value = json.loads(text, parse_constant=_no_json)
            return bool(validator.is_valid(value))
        except (ValueError, RecursionError):  # RecursionError: a small model that writes [[[[[ until its end
            return False

    return fits


def _no_json(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _validator(schema: Schema) -> Any:
    try:
        import jsonschema  # noqa: PLC0415  # of an extra: files that declare no schema are read without it
        import referencing  # noqa: PLC0415
    except ImportError:
        raise InputError(
            "a JSON schema is checked by jsonschema, which is not installed: pip install 'puna[experiments]'"
        ) from None
    plain = _plain(schema)
    kind = jsonschema.validators.validator_for(plain, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(plain)
    except jsonschema.SchemaError as error:
        place = error.json_path.replace("$", "the schema", 1)
        raise InputError(
            f"json_schema must be a JSON schema, but at {place}: {error.message:.200}; mend it there"
        ) from None
    except RecursionError:
        raise InputError("json_schema is nested too deeply; make it flatter") from None
    # An empty registry: by default jsonschema fetches what a schema refers to.
    validator = kind(plain, registry=referencing.Registry())
    for target in _references(plain):
        _check_reference(target, plain, kind, referencing)
    return validator


def _check_reference(target: str, schema: Any, kind: Any, referencing: Any) -> None:
    specification = referencing.jsonschema.specification_with(kind.META_SCHEMA["$schema"])
    resource = specification.create_resource(schema)
    try:
        referencing.Registry().resolver_with_root(resource).lookup(target)
    except referencing.exceptions.Unresolvable:
        raise InputError(
            f"json_schema refers to {target!r:.80}, which is not in it, and nothing is fetched; put that under $defs and write "
            "#/$defs/NAME"
        ) from None


def _references(schema: Any) -> Iterator[str]:
    """What any part of the schema refers to."""
    if isinstance(schema, dict):
        for name, value in schema.items():
            if name == "$ref" and isinstance(value, str):
                yield value
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _plain(value: Any) -> Any:
    """Mappings and tuples as dicts and lists, which is what jsonschema knows as objects and arrays."""
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value
