"""The OpenAPI document of the endpoint, made from the table of dialects. Knows JSON schema; nothing of how requests are answered.

OpenAPI 3.1: https://spec.openapis.org/oas/v3.1.0 (read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from starlette.requests import Request
from starlette.responses import Response

from puna.generation import MAX_STOPS, RANGES
from puna.server import aws
from puna.version import __version__
from puna.wire import eventstream
from puna.wire.dialect import LINES, SSE, Dialect, Field
from puna.wire.dialects import DIALECTS
from puna.wire.openai import MAX_MODEL

Schema = dict[str, object]

_TEXT: Schema = {"type": "string", "minLength": 1}

_TYPES: Mapping[str, Schema] = {
    "text": _TEXT,
    "flag": {"type": ["boolean", "null"]},
    "list": {"type": "array"},
    "object": {"type": ["object", "null"]},
    "whole number": {"type": ["integer", "null"]},
    "text or list": {"anyOf": [_TEXT, {"type": "array", "minItems": 1}]},
}

_MESSAGES: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "properties": {"role": {"enum": ["system", "user", "assistant"]}, "content": {"type": "string"}},
        "required": ["role", "content"],
    },
}


_NAMED: Mapping[str, Schema] = {
    "messages": _MESSAGES,
    "stream_options": {
        "type": ["object", "null"],
        "properties": {"include_usage": {"type": "boolean"}, "include_obfuscation": {"type": "boolean"}},
        "additionalProperties": False,
    },
    "model": {"type": ["string", "null"], "maxLength": MAX_MODEL},
}
"""Fields of more shape than their type tells."""


def schema_of(entry: Field) -> Schema:
    """The JSON schema of one field."""
    return {**_shape(entry), "description": entry.meaning}


def _shape(entry: Field) -> Schema:
    if entry.only is not None:
        return {"enum": [*entry.only, None]}
    if entry.leaked:
        return {}
    if entry.to == "stop":
        some: Schema = {"type": "string", "minLength": 1}
        return {"type": ["string", "array", "null"], "minLength": 1, "items": some, "maxItems": MAX_STOPS}
    if entry.to:
        kind, low, high = RANGES[entry.to]
        return {"type": ["integer" if kind is int else "number", "null"], "minimum": low, "maximum": high}
    if entry.span:
        return {"type": ["integer", "null"], "minimum": entry.span[0], "maximum": entry.span[1]}
    return dict(_NAMED.get(entry.name) or _TYPES[entry.type])


def body_of(dialect: Dialect) -> Schema:
    """The JSON schema of a request in one dialect."""
    properties: dict[str, object] = {}
    inner: dict[str, dict[str, object]] = {}
    for entry in dialect.fields:
        outer, dot, name = entry.name.partition(".")
        if dot:
            inner.setdefault(outer, {})[name] = schema_of(entry)
        else:
            properties[outer] = schema_of(entry)
    for outer, entries in inner.items():
        properties[outer] = {"type": ["object", "null"], "properties": entries, "additionalProperties": False}
    return {
        "title": dialect.title,
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **_demanded(dialect),
    }


def _demanded(dialect: Dialect) -> Schema:
    """A prompt, in the field that comes first; the workshop's dialect also takes messages in its place."""
    first, second, *_ = dialect.names()
    if (first, second) == ("prompt", "messages"):
        return {"oneOf": [{"required": [first]}, {"required": [second]}]}
    return {"required": [first]}


def _post(summary: str, schemas: list[str], answers: tuple[str, ...], *parameters: Schema) -> Schema:
    bodies: list[Schema] = [{"$ref": f"#/components/schemas/{name}"} for name in schemas]
    body = bodies[0] if len(bodies) == 1 else {"anyOf": bodies}
    return {
        "post": {
            "summary": summary,
            "parameters": list(parameters),
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": {
                "200": {"description": "the answer", "content": {media: {} for media in answers}},
                "default": {"description": "a refusal, in the API's own shape", "content": {"application/json": {}}},
            },
        }
    }


def _get(summary: str, *parameters: Schema) -> Schema:
    responses = {"200": {"description": "as asked"}, "default": {"description": "a refusal"}}
    return {"get": {"summary": summary, "parameters": list(parameters), "responses": responses}}


def _in_path(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": _TEXT}


@cache
def description() -> bytes:
    """The document."""
    every, name = list(DIALECTS), _in_path("name")
    chat, completion = ["chat"], ["completion"]
    whole, lines, sse = "application/json", LINES.media_type, SSE.media_type
    paths = {
        "/endpoints/{name}/invocations": _post("InvokeEndpoint", every, (whole, lines, sse), name),
        "/endpoints/{name}/invocations-response-stream": _post(
            "InvokeEndpointWithResponseStream", every, (eventstream.MEDIA_TYPE,), name
        ),
        "/endpoints/{name}/openai/v1/chat/completions": _post(
            "chat completions of an endpoint", chat, (whole, sse), name
        ),
        "/endpoints/{name}/openai/v1/completions": _post("completions of an endpoint", completion, (whole, sse), name),
        "/invocations": _post("what a SageMaker container answers", every, (whole, lines, sse)),
        "/v1/chat/completions": _post("chat completions", chat, (whole, sse)),
        "/v1/completions": _post("completions", completion, (whole, sse)),
        "/v1/models": _get("the models"),
        "/v1/models/{id}": _get("one model", _in_path("id")),
        "/tokenize": _post("the exact ids of a prompt", ["tokenize"], (whole,)),
        "/detokenize": _post("the text of token ids", ["detokenize"], (whole,)),
        "/ping": _get("whether the engine can answer"),
        "/health": _get("the same, and what runs here"),
        "/metrics": _get("figures for Prometheus"),
        "/receipts/{id}": _get("what happened to one request", _in_path("id")),
    }
    tokenize: Schema = {
        "type": "object",
        "properties": {
            "model": {}, "return_token_strs": {}, "prompt": {"type": "string", "minLength": 1}, "messages": _MESSAGES,
            "continue_final_message": {"type": "boolean"},
        },
        "additionalProperties": False,
        "oneOf": [{"required": ["prompt"]}, {"required": ["messages"]}],
    }  # fmt: skip
    detokenize: Schema = {
        "type": "object",
        "properties": {"model": {}, "tokens": {"type": "array", "items": {"type": "integer"}}},
        "additionalProperties": False,
        "required": ["tokens"],
    }
    schemas = {name: body_of(dialect) for name, dialect in DIALECTS.items()}
    return aws.to_json({
        "openapi": "3.1.0",
        "info": {"title": "puna", "version": __version__, "description": "Llama prompts on a SageMaker and OpenAI endpoint"},
        "paths": paths,
        "components": {"schemas": {**schemas, "tokenize": tokenize, "detokenize": detokenize}},
    })  # fmt: skip


async def document(request: Request) -> Response:  # noqa: ARG001
    """``GET /openapi.json``."""
    return Response(description(), media_type="application/json")
