"""Sentences out of the errors of containers and services, wherever they stand. Knows shapes, no status."""

from __future__ import annotations

from puna.wire import strictjson

MAX_SENTENCE = 500
"""Characters of a sentence that is quoted."""

_PLACES = ("OriginalMessage", "error", "message", "Message", "error_msg", "detail", "errorMessage", "msg")


def sentence(said: object) -> str:
    """The sentence of an error's JSON value: the innermost one, in whichever of the usual places it stands.

    A ModelError of SageMaker has the container's own body as text in it; that is taken apart too.
    """
    for name in _PLACES:
        if isinstance(said, dict) and said.get(name):
            return sentence(said[name])
    if isinstance(said, list) and len(said) == 1:  # FastAPI's: one entry for each field
        return sentence(said[0])
    if isinstance(said, str) and said.lstrip()[:1] in {"{", "["}:
        return of_bytes(said.encode("utf-8", "replace"))
    return str(said)[:MAX_SENTENCE]


def of_bytes(body: bytes) -> str:
    """The sentence of an error's body, which may be no JSON."""
    try:
        value = strictjson.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace").strip()[:MAX_SENTENCE] or "no message"
    if isinstance(value, str):
        return value[:MAX_SENTENCE] or "no message"
    return sentence(value)


def failure_in(value: object) -> str | None:
    """The sentence, where a record or a whole answer is an error; None where it is none.

    Shapes, read 2026-11-22: ``{"code", "error"}`` of DJL Serving, ``{"error", "error_type"}`` of TGI, ``{"error": {"message"}}`` of the OpenAI API,
    ``{"object": "error", "message"}`` of vLLM, ``{"code", "type", "message"}`` of the Hugging Face toolkit, ``{"detail"}`` of FastAPI.
    """
    if not isinstance(value, dict):
        return None
    told = value.get("error") or value.get("object") == "error" or value.get("errorMessage")
    bare = value.keys() <= {"code", "type", "message", "detail", "Message", "ErrorCode"} and value
    return sentence(value) if told or bare else None
