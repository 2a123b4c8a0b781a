"""Amazon's LMI containers (DJL Serving) with a rolling batch.

    request   {"inputs": "...", "parameters": {"max_new_tokens": 30, ...}, "stream": true}
    whole     {"generated_text": "...", "details": {...}}
    stream    {"token": {"id": 1, "text": " a", "log_prob": -0.1}}     the last one with "generated_text" besides

Also ``output_formatter=sse``, the same records as server-sent events, and ``tgi_compat``, which is the TGI dialect's business.
Source: DJL Serving, serving/docs/lmi/user_guides/lmi_input_output_schema.md (d21927c, read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from puna.generation import Delta, Finish, Logprob
from puna.wire import generated, inputs, writing
from puna.wire.dialect import LINES, SSE, Choice, Dialect, Facts, Field, Request, Sent
from puna.wire.tokens import Held, text_with_prompt, texts
from puna.wire.workshop import write_error

FINISH = {Finish.LENGTH: "length", Finish.STOP: "eos_token", Finish.UNKNOWN: "unknown"}


def finish_of(choice: Choice) -> str:
    """Why it ended, in the words of TGI and LMI."""
    receipt = choice.ended
    return "stop_sequence" if receipt.stopped_by is not None else FINISH[receipt.finish]


def _token(token: Logprob, text: str) -> dict[str, object]:
    return {"id": token.id, "text": text, "log_prob": token.logprob}


def _details(choice: Choice, request: Request) -> dict[str, object]:
    return {
        "finish_reason": finish_of(choice),
        "generated_tokens": choice.generated,
        "inputs": request.prompts[0],
    }


def _whole(facts: Facts, request: Request, choices: Sequence[Choice]) -> object:  # noqa: ARG001
    (choice,) = choices
    body: dict[str, object] = {"generated_text": text_with_prompt(choice, request)}
    if request.settings["details"]:
        tokens = [_token(token, text) for token, text in texts(choice)]
        body["details"] = {**_details(choice, request), "tokens": tokens}
    return body


class _Stream:
    """One record per token, the last of which has the whole text."""

    def __init__(self, facts: Facts, request: Request) -> None:  # noqa: ARG002
        self._request = request
        self._held = Held()

    def begin(self, choices: Sequence[Choice]) -> Iterable[object]:  # noqa: ARG002
        return ()

    def delta(self, choice: Choice, delta: Delta) -> Iterable[object]:  # noqa: ARG002
        return [{"token": _token(token, text)} for token, text in self._held.push(delta)]

    def end(self, choice: Choice) -> Iterable[object]:
        token, text = self._held.last()
        record: dict[str, object] = {
            "token": _token(token, text),
            "generated_text": text_with_prompt(choice, self._request),
        }
        if self._request.settings["details"]:
            record["details"] = _details(choice, self._request)
        return (record,)

    def close(self, choices: Sequence[Choice]) -> Iterable[object]:  # noqa: ARG002
        return ()


def _broken(status: int, sentence: str) -> object:
    return {
        "token": {"id": -1, "text": "", "log_prob": -1, "special_token": True, "error_msg": sentence},
        "generated_text": "",
        "details": {"finish_reason": "error", "generated_tokens": None, "inputs": None},
        "code": status,
    }


def _write(request: Request) -> Sent:
    writing.plain(DIALECT.title, request, DIALECT.alternatives)
    return inputs.write(DIALECT.title, DIALECT.fields, request, inputs.OFF_BY_ITSELF, details=True)


DIALECT = Dialect(
    name="lmi",
    title="LMI (DJL Serving) with a rolling batch",
    source="DJL Serving, lmi_input_output_schema.md (d21927c)",
    fields=inputs.fields(inputs.DETAILS, Field("parameters.stop", "the same as stop_sequences; litellm sends it", "stop"),
                         Field("parameters.frequency_penalty", "0 is off", "frequency_penalty"),
                         Field("parameters.presence_penalty", "0 is off", "presence_penalty"), stop="stop_sequences"),
    defaults=inputs.defaults(30),
    read=inputs.request,
    fits=inputs.fits,
    whole=_whole,
    stream=_Stream,
    framing=LINES,
    error=write_error,
    broken=_broken,
    write=_write,
    hear=generated.hear,
    alternatives=0,
)  # fmt: skip

SSE_DIALECT = replace(
    DIALECT, name="lmi-sse", title="LMI with `output_formatter=sse`", framing=SSE, fits=lambda *_: False
)
