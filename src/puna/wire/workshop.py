"""The dialect of the Llama 2 prompting workshop.

    request        {"prompt": "...", "temperature": 0.6, "top_p": 0.9, "max_tokens_to_sample": 200}
    whole answer   {"outputs": ["..."]}
    stream         {"outputs": [" a"]}     one such line per piece, and no last line of another shape

It is the dialect of the LMI container that the workshop deployed ("prompt" for "inputs"; AWS, "Prompt engineering with
Llama 2 Chat", 2023; DJL Serving's lmi_input_output_schema.md, read 2026-11-22). puna adds ``messages`` in the place of
``prompt``, and ``top_k``, ``min_p``, ``seed``, ``stop``, penalties and ``stream``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from puna.errors import InputError
from puna.generation import Delta, Sampling
from puna.messages import Dialog
from puna.wire import reading, writing
from puna.wire.dialect import LINES, Choice, Dialect, Facts, Field, Heard, Reading, Request, Sent
from puna.wire.pieces import Pieces

FIELDS = (
    Field("prompt", "a prompt as somebody wrote it", type="text"),
    Field("messages", 'in its place a dialog: `[{"role": "user", "content": "Hi"}]`', type="list"),
    Field("temperature", "0 is greedy", "temperature"),
    Field("top_p", "nucleus; 1 is off", "top_p"),
    Field("top_k", "most likely tokens kept; 0 is off", "top_k"),
    Field("min_p", "least share of the best token's probability; 0 is off", "min_p"),
    Field("max_tokens_to_sample", "longest answer, in tokens", "max_tokens"),
    Field("seed", "the seed that was drawn stands in the receipt", "seed"),
    Field("stop", "the answer ends before such a text", "stop"),
    Field("repetition_penalty", "1 is off", "repetition_penalty"),
    Field("presence_penalty", "0 is off", "presence_penalty"),
    Field("frequency_penalty", "0 is off", "frequency_penalty"),
    Field(
        "stream",
        "one record per piece, or one for the whole answer; the route decides where it is not given",
        type="flag",
    ),
)

MAX_SENTENCE = 1000
"""Characters of an error's sentence."""


def _read(given: Reading) -> Request:
    values = given.values
    if ("prompt" in values) == ("messages" in values):
        came = "both came" if "prompt" in values else "neither came"
        raise InputError(f'the body must have either "prompt" (text) or "messages" (a list), but {came}')
    prompt: str | Dialog = (
        reading.messages_of(values["messages"]) if "messages" in values else reading.text_of(given, "prompt")
    )
    return Request((prompt,), given.sampling, given.given, reading.flag_of(given, "stream"), ignored=given.ignored)


def _fits(body: Mapping[str, object], attributes: Mapping[str, str]) -> bool:  # noqa: ARG001
    several = isinstance(body.get("prompt"), list)
    return "max_tokens_to_sample" in body or ("prompt" in body and not several and all(name in _NAMES for name in body))


_NAMES = frozenset(entry.name for entry in FIELDS)


def _whole(facts: Facts, request: Request, choices: Sequence[Choice]) -> object:  # noqa: ARG001
    pieces = Pieces()
    return write_outputs("".join(piece for text in choices[0].texts for piece in pieces.push(text)))


class _Stream:
    """One record per piece; a piece that readers throw away goes with the next."""

    def __init__(self, facts: Facts, request: Request) -> None:  # noqa: ARG002
        self._pieces = Pieces()

    def begin(self, choices: Sequence[Choice]) -> Iterable[object]:  # noqa: ARG002
        return ()

    def delta(self, choice: Choice, delta: Delta) -> Iterable[object]:  # noqa: ARG002
        return map(write_outputs, self._pieces.push(delta.text))

    def end(self, choice: Choice) -> Iterable[object]:  # noqa: ARG002
        return ()

    def close(self, choices: Sequence[Choice]) -> Iterable[object]:  # noqa: ARG002
        return ()


def _write(request: Request) -> Sent:
    """Only what was given is named."""
    writing.plain(DIALECT.title, request, None)
    (prompt,) = request.prompts
    body: dict[str, object] = {"messages": prompt.as_json()} if isinstance(prompt, Dialog) else {"prompt": prompt}
    body |= writing.sampled(DIALECT.title, FIELDS, request, _PENALTIES).get("", {})
    return Sent(body if request.stream is None else {**body, "stream": request.stream})


_PENALTIES = ("repetition_penalty", "presence_penalty", "frequency_penalty", "min_p", "stop")
"""Off in every container of which this is known."""


def write_outputs(text: str) -> dict[str, object]:
    """A whole answer, or one record of a stream."""
    return {"outputs": [text]}


def _hear(value: object) -> Heard | None:
    outputs = value.get("outputs") if isinstance(value, dict) else None
    if isinstance(outputs, list) and len(outputs) == 1 and isinstance(outputs[0], str):
        return Heard(outputs[0])
    return None


def write_error(status: int, sentence: str) -> dict[str, object]:
    """A container's error. status: HTTP. A sentence that quotes a huge value is cut."""
    cut = f"{sentence[:MAX_SENTENCE]} ..." if len(sentence) > MAX_SENTENCE else sentence
    return {"code": status, "error": cut}


DIALECT = Dialect(
    name="workshop",
    title="The workshop's container",
    source='AWS, "Prompt engineering with Llama 2 Chat" (2023)',
    fields=FIELDS,
    defaults=Sampling(),
    read=_read,
    fits=_fits,
    whole=_whole,
    stream=_Stream,
    framing=LINES,
    error=write_error,
    broken=write_error,
    write=_write,
    hear=_hear,
    messages=True,
)
