"""Hugging Face's Text Generation Inference, and LMI with ``output_formatter=tgi_compat``.

    request   {"inputs": "...", "parameters": {"max_new_tokens": 100, "details": true, ...}, "stream": true}
    whole     [{"generated_text": "...", "details": {...}}]
    stream    data:{"index":1,"token":{"id":1,"text":" a","logprob":-0.1,"special":false},"generated_text":null,"details":null}

The last record has the whole text and the details; there is no [DONE]. Source: huggingface/text-generation-inference,
router/src/lib.rs and server.rs (db931fc, read 2026-11-22). What TGI has and puna has not is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from puna.generation import MAX_ALTERNATIVES, Delta, Extras, Logprob
from puna.wire import generated, inputs, lmi, reading, writing
from puna.wire.dialect import SSE, Choice, Dialect, Facts, Field, Framing, Reading, Request, Sent
from puna.wire.lmi import finish_of
from puna.wire.tokens import Held, text_with_prompt, texts

_OWN_FIELDS = (
    inputs.DETAILS,
    Field("parameters.frequency_penalty", "0 is off", "frequency_penalty"),
    Field(
        "parameters.top_n_tokens",
        "alternatives of each token in the details",
        type="whole number",
        span=(0, MAX_ALTERNATIVES),
    ),
    Field("parameters.best_of", "TGI makes several answers and gives the likeliest", only=(1,)),
    Field("parameters.decoder_input_details", "TGI gives the prompt's tokens", only=(False,)),
    Field("parameters.truncate", "TGI cuts the prompt to so many tokens; here nothing is cut off in silence", only=()),
    Field("parameters.typical_p", "another sampler", only=(1.0,)),
    Field("parameters.watermark", "TGI marks its text", only=(False,)),
    Field("parameters.grammar", "use `response_format` of the chat dialect", only=({},)),
    Field("parameters.adapter_id", "no adapters are loaded", only=("",)),
)
FIELDS = inputs.fields(*_OWN_FIELDS, samples=inputs.IMPLIED)


def _read(given: Reading, *, implied: bool = True) -> Request:
    top = reading.number_of(given, "parameters.top_n_tokens")
    request = inputs.request(given, Extras(logprobs=top or 0), implied=implied)
    told = top is None or request.settings["details"]
    return replace(request, if_streamed=() if told else ("parameters.top_n_tokens",))


def _token(token: Logprob, text: str) -> dict[str, object]:
    return {"id": token.id, "text": text, "logprob": token.logprob, "special": not (token.data or text)}


def _top(token: Logprob) -> list[dict[str, object]]:
    return [_token(other, other.data.decode("utf-8", "replace")) for other in token.top]


def _whole(facts: Facts, request: Request, choices: Sequence[Choice]) -> object:  # noqa: ARG001
    (choice,) = choices
    body: dict[str, object] = {"generated_text": text_with_prompt(choice, request)}
    if request.settings["details"]:
        body["details"] = {
            "finish_reason": finish_of(choice),
            "generated_tokens": choice.generated,
            "seed": choice.ended.sampling.seed,
            "prefill": [],
            "tokens": [_token(token, text) for token, text in texts(choice)],
            **({"top_tokens": [_top(token) for token in choice.tokens]} if request.extras.logprobs else {}),
        }
    return [body]


class _Stream:
    """One record per token, the last of which has the whole text and the details."""

    def __init__(self, facts: Facts, request: Request) -> None:  # noqa: ARG002
        self._request = request
        self._held = Held()
        self._sent = 0

    def begin(self, choices: Sequence[Choice]) -> Iterable[object]:  # noqa: ARG002
        return ()

    def delta(self, choice: Choice, delta: Delta) -> Iterable[object]:  # noqa: ARG002
        return [self._record(token, text) for token, text in self._held.push(delta)]

    def end(self, choice: Choice) -> Iterable[object]:
        usage = choice.ended.usage
        details = {
            "finish_reason": finish_of(choice),
            "generated_tokens": choice.generated,
            "seed": choice.ended.sampling.seed,
            "input_length": usage.prompt if usage else None,
        }
        record = self._record(*self._held.last())
        record["generated_text"] = text_with_prompt(choice, self._request)
        record["details"] = details if self._request.settings["details"] else None
        return (record,)

    def close(self, choices: Sequence[Choice]) -> Iterable[object]:  # noqa: ARG002
        return ()

    def _record(self, token: Logprob, text: str) -> dict[str, object]:
        self._sent += 1
        more = {"top_tokens": _top(token)} if self._request.extras.logprobs else {}
        return {"index": self._sent, "token": _token(token, text), **more, "generated_text": None, "details": None}


_OWN = {"stop"} | {entry.name.removeprefix("parameters.") for entry in FIELDS} - {
    entry.name.removeprefix("parameters.") for entry in lmi.DIALECT.fields
}


def _fits(body: Mapping[str, object], attributes: Mapping[str, str]) -> bool:
    """Whether it has a parameter that only TGI knows, or its name for stop texts."""
    parameters = body.get("parameters")
    return inputs.fits(body, attributes) and isinstance(parameters, dict) and not _OWN.isdisjoint(parameters)


_TYPES = {422: "validation", 429: "overloaded", 500: "incomplete_generation"}


def _error(status: int, sentence: str) -> object:
    return {"error": sentence, "error_type": _TYPES.get(status, "generation")}


def _write(request: Request) -> Sent:
    writing.plain(DIALECT.title, request, MAX_ALTERNATIVES)
    top = {"top_n_tokens": request.extras.logprobs} if request.extras.logprobs else {}
    return inputs.write(DIALECT.title, FIELDS, request, inputs.OFF_BY_ITSELF, details=True, **top)


DIALECT = Dialect(
    name="tgi",
    title="Text Generation Inference",
    source="huggingface/text-generation-inference, router/src/lib.rs (db931fc)",
    fields=FIELDS,
    defaults=inputs.defaults(100),
    read=_read,
    fits=_fits,
    whole=_whole,
    stream=_Stream,
    # No blank after the colon, as TGI has it; clients must take both.
    framing=Framing("text/event-stream", b"data:", b"\n\n"),
    error=_error,
    broken=_error,
    write=_write,
    hear=generated.hear,
    alternatives=MAX_ALTERNATIVES,
    statuses={400: 422, 503: 424},
)

LMI_DIALECT = replace(
    DIALECT,
    name="lmi-tgi",
    title="LMI with `output_formatter=tgi_compat`",
    fields=inputs.fields(*_OWN_FIELDS),
    defaults=inputs.defaults(30),
    read=partial(_read, implied=False),
    fits=lambda *_: False,
    framing=SSE,
    statuses={},
)
