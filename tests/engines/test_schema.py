"""Which JSON schemas are taken; and on the real engine, that what is taken is kept to."""

import json
import time
from typing import Any

import pytest

from puna.engines.completion import events, hold_to_schema, request
from puna.engines.keywords import FORMATS
from puna.engines.schema import MAX_BYTES, checked, literals, parsed
from puna.errors import InputError
from puna.generation import Delta, End, Extras, Finish, Kind, Prompt, Sampling, Segment
from tests.engines.engine import on_engine

TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"v": {"type": "integer"}, "kids": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
            "required": ["v"],
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/node",
}
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "role": {"enum": ["user", "admin", None]},
    },
    "required": ["name", "age", "role"],
    "additionalProperties": False,
}


def test_annotations_go_and_the_rest_stays():
    given = {
        **PERSON,
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "https://example.com/person",
        "title": "Person",
        "examples": [1],
    }
    assert json.loads(checked(given)) == PERSON
    assert json.loads(checked(json.loads(checked(TREE)))) == TREE
    assert checked(True) == "{}"


@pytest.mark.parametrize(
    "keyword",
    [
        *(
            "pattern",
            "not",
            "if",
            "then",
            "patternProperties",
            "propertyNames",
            "minProperties",
            "uniqueItems",
            "contains",
        ),
        *("multipleOf", "nullable", "dependentRequired", "unevaluatedProperties", "$anchor", "$dynamicRef", "foo"),
    ],
)
def test_what_is_not_enforced_is_refused_by_name(keyword):
    with pytest.raises(InputError, match=r"#/properties/a: unknown keyword .*Known: .*minLength") as refused:
        checked({"type": "object", "properties": {"a": {keyword: 1}}})
    assert repr(keyword) in str(refused.value)


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        (3, "must be a JSON object"),
        (False, "must be a JSON object"),
        ({"type": "text"}, "unknown type of JSON 'text'"),
        ({"type": []}, "name a type"),
        ({"type": ["string", "string"]}, "each once"),
        ({"type": "string", "format": "uri"}, "unknown format that can be enforced 'uri'"),
        ({"enum": []}, "at least one"),
        ({"const": 2**60}, "from 1e-12 to 9007199254740992"),
        ({"const": float("nan")}, "not 'nan'"),
        ({"const": "\ud800"}, "UTF-8"),
        ({"minimum": "3"}, "not '3'"),
        ({"exclusiveMinimum": True}, "not 'True'"),
        ({"minItems": 2.0}, "whole number from 0 to 1000"),
        ({"maxLength": 10**6}, "from 0 to 10000"),
        ({"minLength": 4, "maxLength": 3}, "minLength is above maxLength"),
        ({"items": [{}]}, "must be a JSON object"),
        ({"anyOf": []}, "at least one"),
        ({"anyOf": [{}] * 101}, "at most 100"),
        ({"properties": []}, "by name"),
        ({"properties": {str(n): {} for n in range(201)}}, "at most 200"),
        ({"required": "a"}, "list of names"),
        ({"required": ["z"], "additionalProperties": False}, "requires 'z'"),
        ({"$ref": "#/$defs/x"}, "not in it"),
        ({"$ref": "https://example.com/x"}, "'#/\\$defs/NAME'"),
        ({"properties": {"a": {"$defs": {}}}}, "stand at the top"),
        ({"properties": {"a": {"$id": "x"}}}, "'\\$id'"),
        ({"$defs": {"x": {"$ref": "#/$defs/x"}}, "$ref": "#/$defs/x"}, "break the circle"),
        ({"$defs": {"x": {"anyOf": [{"$ref": "#/$defs/x"}, {}]}}, "$ref": "#/$defs/x"}, "break the circle"),
        ({"type": "object", "properties": {"n": {"$ref": "#"}}, "required": ["n"]}, "without end"),
        ({"type": "array", "items": {"$ref": "#"}, "minItems": 1}, "without end"),
        ({"allOf": [{"anyOf": [{"const": n} for n in range(30)]}] * 2}, "comes to 960"),
        ({**TREE, "type": "object"}, "comes to inf"),
        ({"const": "x" * MAX_BYTES}, "65536 bytes"),
    ],
)
def test_a_schema_that_cannot_be_kept_to_is_refused_with_its_place(schema, sentence):
    with pytest.raises(InputError, match=sentence):
        checked(schema)


def nested(depth, schema):
    for _ in range(depth):
        schema = {"items": schema}
    return schema


def test_depth_and_growth_are_bounded_and_told_at_once():
    def double(n, keyword):
        each = {f"a{i}": {keyword: [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(n)}
        return {"$defs": {**each, f"a{n}": {"type": "integer"}}, "$ref": "#/$defs/a0"}

    began = time.monotonic()
    for hostile in (
        nested(40, {}),
        nested(900, {}),
        {"const": nested(40, {})},
        double(150, "anyOf"),
        double(30, "allOf"),
    ):
        with pytest.raises(InputError):
            checked(hostile)
    checked(double(30, "prefixItems"))
    with pytest.raises(InputError, match="deeply"):
        parsed("[" * 60_000)
    with pytest.raises(InputError, match="must be JSON"):
        parsed("{")
    assert time.monotonic() - began < 5


def test_a_list_may_end_what_holds_itself():
    checked({"type": "array", "items": {"$ref": "#"}})
    checked({"type": "object", "properties": {"n": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["n"]})


def test_what_an_answer_must_spell():
    assert set(literals({**PERSON, "anyOf": [{"const": {"k": ["v"]}}]})) == {
        "name",
        "age",
        "role",
        "user",
        "admin",
        "k",
        "v",
    }


KEPT: tuple[dict[str, Any], ...] = (
    PERSON,
    TREE,
    {"type": "array", "items": {"type": "number", "minimum": -1.5, "exclusiveMaximum": 2.25}, "minItems": 2, "maxItems": 3},
    {"type": "array", "prefixItems": [{"const": "x"}, {"type": "boolean"}], "items": False, "minItems": 2},
    {"anyOf": [{"type": "integer", "exclusiveMinimum": 7, "maximum": 9}, {"type": "string", "maxLength": 3}]},
    {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 5}]},
    {"oneOf": [PERSON, {"type": "null"}]},
    {"type": "object", "additionalProperties": {"type": ["integer", "null"]}, "required": ["a", "b"]},
    {"definitions": {"s": {"type": "string", "minLength": 3}}, "$ref": "#/definitions/s", "maxLength": 4},
    {"enum": [1.5, "zwei", [3], {"v": 4}, None, True]},
    {"type": "object", "properties": {'é\n"': {"const": "\\ 🙂"}}, "required": ['é\n"'], "additionalProperties": False},
    {"type": "object", "properties": {f"p{n}": {"type": "boolean"} for n in range(200)}},
    {},
)  # fmt: skip


def satisfies(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """The keywords of JSON Schema that KEPT has, by the book."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    of_type = {
        "string": isinstance(value, str),
        "number": number,
        "integer": number and value == int(value),
        "boolean": isinstance(value, bool),
        "null": value is None,
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
    }
    wanted = schema.get("type", list(of_type))
    low, high = schema.get("minimum", -1e99), schema.get("maximum", 1e99)
    above, below = schema.get("exclusiveMinimum", -1e99), schema.get("exclusiveMaximum", 1e99)
    good = [
        any(of_type[name] for name in ([wanted] if isinstance(wanted, str) else wanted)),
        any(same(value, entry) for entry in schema.get("enum", [value])),
        same(value, schema.get("const", value)),
        not number or (low <= value <= high and above < value < below),
        not isinstance(value, str) or schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 10**9),
        not isinstance(value, list) or schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 10**9),
        not isinstance(value, dict) or set(schema.get("required", [])) <= set(value),
        "anyOf" not in schema or any(satisfies(value, entry, root) for entry in schema["anyOf"]),
        "oneOf" not in schema or sum(satisfies(value, entry, root) for entry in schema["oneOf"]) == 1,
        all(satisfies(value, entry, root) for entry in schema.get("allOf", [])),
        *(inside(value, schema, root)),
    ]
    if "$ref" in schema:
        _, where, name = schema["$ref"].split("/")
        good.append(satisfies(value, root[where][name], root))
    return all(good)


def inside(value, schema, root):
    if isinstance(value, list):
        first = schema.get("prefixItems", [])
        under = [*first, *[schema.get("items", True)] * len(value)]
        pairs = list(zip(value, under, strict=False))
    elif isinstance(value, dict):
        named, other = schema.get("properties", {}), schema.get("additionalProperties", True)
        pairs = [(entry, named.get(name, other)) for name, entry in value.items()]
    else:
        pairs = []
    return [under if isinstance(under, bool) else satisfies(entry, under, root) for entry, under in pairs]


def same(one, other):
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


SHAPES = {
    "date": 10,
    "uuid": 36,
    "time": 8,
    "date-time": 19,
    "ipv4": 7,
    "email": 3,
    "hostname": 1,
    "ipv6": 2,
    "duration": 3,
}


@pytest.mark.model
def test_every_answer_at_temperature_1_satisfies_its_schema(model_home):
    async def answer(engine, schema, seed):
        prompt = Prompt((), await engine.encode((Segment(Kind.CONTENT, "Some JSON, then more:\n"),)))
        extras = Extras(schema=json.dumps(schema))
        body = request(prompt, Sampling(temperature=1, top_p=1, top_k=0, seed=seed, max_tokens=120), extras)
        await hold_to_schema(engine.http, body)
        async with engine.http.post("/completion", json=body) as streamed:
            *deltas, end = [event async for event in events(streamed, 0.0, 0.0, extras)]
        assert isinstance(end, End)
        return "".join(event.text for event in deltas if isinstance(event, Delta)), end.finish

    async def work(engine):
        ended = 0
        for schema in KEPT:
            for seed in (1, 2):
                text, finish = await answer(engine, schema, seed)
                if finish is Finish.STOP:
                    ended += 1
                    assert satisfies(json.loads(text), schema, schema), (schema, text)
                else:
                    assert text[0] in '{["-0123456789tfn', (schema, text)
                assert "\n" not in text
        for name in FORMATS:
            text, finish = await answer(engine, {"type": "string", "format": name}, 1)
            assert finish is Finish.LENGTH or len(json.loads(text)) >= SHAPES[name]
        return ended

    assert on_engine(model_home, work) > len(KEPT)


@pytest.mark.model
def test_no_schema_makes_the_model_write_a_control_token(model_home):
    async def work(engine):
        for schema in ({"const": "a<|im_end|>b"}, {"type": "object", "properties": {"<|im_start|>": {}}}):
            body = request(Prompt((), (28,)), Sampling(seed=1), Extras(schema=json.dumps(schema)))
            with pytest.raises(InputError, match="a control token of the model"):
                await hold_to_schema(engine.http, body)

    on_engine(model_home, work)
