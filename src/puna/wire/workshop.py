"""The dialect of the Llama 2 prompting workshop: a request's JSON value to a Request and back, an answer's likewise.

    request        {"prompt": "...", "temperature": 0.6, "top_p": 0.9, "max_tokens_to_sample": 200}
    whole answer   {"outputs": ["..."]}
    stream         {"outputs": [" a"]}     one such line per piece, and no last line of another shape

It is the dialect of the LMI container that the workshop deployed ("prompt" for "inputs"; AWS, "Prompt engineering with
Llama 2 Chat", 2023; DJL Serving's lmi_input_output_schema.md, read 2026-11-22). puna adds ``messages`` in the place of
``prompt``, and ``top_k``, ``min_p``, ``seed``, ``stop`` and ``stream``.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass

from puna.errors import DialogError, EndpointError, InputError, SamplingError, unknown
from puna.generation import Sampling
from puna.messages import Dialog, dialog_of

_SAMPLING = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "max_tokens_to_sample": "max_tokens",
    "seed": "seed",
    "stop": "stop",
}
"""Sampling parameters: the dialect's name and ours."""

FIELDS = ("prompt", "messages", *_SAMPLING, "stream")

MAX_SENTENCE = 1000
"""Characters of an error's sentence."""

_UNSET = ("seed", "stop")
"""Fields whose null means that they are not given."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a request says. given: our names of the sampling parameters in it. stream: None where it does not say."""

    prompt: str | Dialog
    sampling: Sampling
    given: frozenset[str] = frozenset()
    stream: bool | None = None


def read_request(value: object) -> Request:
    """A request from the JSON value of its body.

    Raises:
        InputError: no object, an unknown field, not exactly one of prompt and messages, text that no model can take.
        SamplingError: a sampling parameter of the wrong type or out of range. DialogError: bad messages.
    """
    try:
        return _read(value)
    except RecursionError:
        # From quoting a value that is nested nearly as deeply as the JSON reader takes it.
        raise InputError("the body is nested too deeply; its deepest value is the content of a message") from None


def _read(value: object) -> Request:
    if not isinstance(value, dict):
        raise InputError(f'the body must be a JSON object such as {{"prompt": "..."}}, not {_kind(value)}')
    for name in value:
        if name not in FIELDS:
            raise InputError(unknown("field", name, FIELDS))
    stream = value.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise InputError(f"stream must be true or false, not {_kind(stream)}")
    named = {
        _SAMPLING[name]: entry
        for name, entry in value.items()
        if name in _SAMPLING and not (entry is None and name in _UNSET)
    }
    return Request(_prompt(value), _sampling(named), frozenset(named), stream)


def _prompt(value: Mapping[str, object]) -> str | Dialog:
    if ("prompt" in value) == ("messages" in value):
        came = "both came" if "prompt" in value else "neither came"
        raise InputError(f'the body must have either "prompt" (text) or "messages" (a list), but {came}')
    if "messages" in value:
        return _dialog(value["messages"])
    prompt = value["prompt"]
    if not isinstance(prompt, str):
        raise InputError(f"prompt must be text, not {_kind(prompt)}")
    if not prompt:
        raise InputError("prompt must not be empty; give the text that the model shall continue")
    _check_text("prompt", prompt)
    return prompt


def _dialog(given: object) -> Dialog:
    if not isinstance(given, list):
        raise DialogError(f'messages must be a list of {{"role": ..., "content": ...}} objects, not {_kind(given)}')
    if not given:
        raise DialogError("messages must not be empty; give at least one user message")
    dialog = dialog_of(given)
    for n, message in enumerate(dialog):
        _check_text(f"messages[{n}].content", message.content)
    return dialog


def _check_text(name: str, text: str) -> None:
    """Refuse NUL, at which an engine written in C may take the text to end, and what UTF-8 cannot carry."""
    if (at := text.find("\0")) >= 0:
        raise InputError(f"{name} must not hold the character NUL (U+0000), but character {at} is one; remove it")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{name} must be text that UTF-8 can carry, but character {error.start} is the lone surrogate "
            f"{text[error.start]!r}; remove or replace it"
        ) from None


def _sampling(named: Mapping[str, object]) -> Sampling:
    try:
        sampling = Sampling.of(named)
    except SamplingError as error:
        # In the caller's words: the dialect has a longer name for this one.
        raise SamplingError(str(error).replace("max_tokens must", "max_tokens_to_sample must", 1)) from None
    for n, stop in enumerate(sampling.stop):
        _check_text(f"stop[{n}]", stop)
    return sampling


def write_request(request: Request) -> dict[str, object]:
    """The JSON value of a request, as ``read_request`` reads it. Only what was given is named."""
    values = request.sampling.as_json()
    prompt = request.prompt
    body: dict[str, object] = {"prompt": prompt} if isinstance(prompt, str) else {"messages": prompt.as_json()}
    body |= {name: values[ours] for name, ours in _SAMPLING.items() if ours in request.given}
    return body if request.stream is None else {**body, "stream": request.stream}


def write_outputs(text: str) -> dict[str, object]:
    """A whole answer, or one record of a stream."""
    return {"outputs": [text]}


def read_outputs(value: object) -> str:
    """The text of a whole answer or of one record of a stream.

    Raises:
        EndpointError: another shape; where it is an error of the container, the sentence is the container's.
    """
    outputs = value.get("outputs") if isinstance(value, dict) else None
    if isinstance(outputs, list) and len(outputs) == 1 and isinstance(outputs[0], str):
        return outputs[0]
    if isinstance(value, dict) and isinstance(value.get("error"), str):
        raise EndpointError(f"the endpoint's container failed: {value['error']}")
    raise EndpointError(f'the endpoint must answer {{"outputs": ["..."]}}, but it answered {reprlib.repr(value)}')


def write_error(status: int, sentence: str) -> dict[str, object]:
    """A container's error. status: HTTP. A sentence that quotes a huge value is cut."""
    cut = f"{sentence[:MAX_SENTENCE]} ..." if len(sentence) > MAX_SENTENCE else sentence
    return {"code": status, "error": cut}


def _kind(value: object) -> str:
    """A JSON value's type in JSON's words."""
    words = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return words.get(type(value), "a number")
