"""SageMaker JumpStart's first Llama 2 containers, which demand that the licence be accepted in a header. They do not stream.

    header    X-Amzn-SageMaker-Custom-Attributes: accept_eula=true
    request   {"inputs": "..." or [[{"role": "user", "content": "..."}]], "parameters": {"max_new_tokens": 64, ...}}
    whole     [{"generation": "..."}] or [{"generation": {"role": "assistant", "content": "..."}}]

Source: AWS, "Llama 2 foundation models from Meta are now available in Amazon SageMaker JumpStart" (2023-07-18), and the
error as reported in public issues; read 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from puna.errors import InputError
from puna.generation import Sampling
from puna.messages import Dialog
from puna.wire import inputs, reading, writing
from puna.wire.dialect import LINES, Choice, Dialect, Facts, Field, Given, Heard, Reading, Request, Sent

EULA = "accept_eula"
MAX_DIALOGS = 16
NO_EULA = (
    "Need to pass custom_attributes='accept_eula=true' as part of header. This means you have read and accept the "
    "end-user license agreement (EULA) of the model."
)


def _read(given: Reading) -> Request:
    if given.attributes.get(EULA, "").lower() != "true":
        raise InputError(NO_EULA)
    prompts, full = _prompts(given), reading.flag_of(given, "parameters.return_full_text")
    unused = ("parameters.return_full_text (a dialog is no text)",) if full and isinstance(prompts[0], Dialog) else ()
    return Request(
        prompts,
        given.sampling,
        given.given,
        reading.flag_of(given, "stream"),
        ignored=(*given.ignored, *unused),
        settings={"return_full_text": full},
    )


def _prompts(given: Reading) -> tuple[Given, ...]:
    dialogs = given.values.get("inputs")
    if not isinstance(dialogs, list):
        return (reading.text_of(given, "inputs"),)
    if not 1 <= len(dialogs) <= MAX_DIALOGS:
        raise InputError(f"inputs must be a text or a list of 1 to {MAX_DIALOGS} dialogs, not a list of {len(dialogs)}")
    return tuple(reading.messages_of(dialog, f"inputs[{n}]") for n, dialog in enumerate(dialogs))


def _fits(body: Mapping[str, object], attributes: Mapping[str, str]) -> bool:
    asked = EULA in attributes and body.get("stream") is not True  # it does not stream
    return inputs.fits(body, attributes) and (asked or isinstance(body["inputs"], list))


def _whole(facts: Facts, request: Request, choices: Sequence[Choice]) -> object:  # noqa: ARG001
    return [
        {"generation": _generation(prompt, choice, full=bool(request.settings["return_full_text"]))}
        for prompt, choice in zip(request.prompts, choices, strict=True)
    ]


def _generation(prompt: Given, choice: Choice, *, full: bool) -> object:
    if isinstance(prompt, Dialog):
        return {"role": "assistant", "content": choice.text}
    return f"{prompt}{choice.text}" if full else choice.text


def _error(status: int, sentence: str) -> object:
    return {"code": status, "message": "prediction failure", "error": sentence}


def _write(request: Request) -> Sent:
    """Who asks in this dialect accepts the licence, which it demands with every request."""
    writing.plain(DIALECT.title, request, None)
    (prompt,) = request.prompts
    inputs_ = [prompt.as_json()] if isinstance(prompt, Dialog) else writing.text_of(DIALECT.title, request)
    parameters = writing.sampled(DIALECT.title, DIALECT.fields, request, ("top_k", "stop")).get("parameters", {})
    return Sent({"inputs": inputs_, "parameters": {**parameters, "return_full_text": False}}, {EULA: "true"})


def _hear(value: object) -> Heard | None:
    entry = value[0] if isinstance(value, list) and len(value) == 1 else value
    told = entry.get("generation") if isinstance(entry, dict) else None
    text = told.get("content") if isinstance(told, dict) else told
    return Heard(whole=text) if isinstance(text, str) else None


DIALECT = Dialect(
    name="jumpstart",
    title="JumpStart's Llama 2 (2023)",
    source="AWS, Llama 2 in SageMaker JumpStart (2023-07-18)",
    fields=(
        Field("inputs", "a prompt as somebody wrote it, or a list of dialogs", type="text or list"),
        Field("stream", inputs.NO_STREAM, type="flag"),
        Field("parameters.max_new_tokens", "longest answer, in tokens", "max_tokens"),
        Field("parameters.temperature", "0 is greedy", "temperature"),
        Field("parameters.top_p", "nucleus; 1 is off", "top_p"),
        Field("parameters.top_k", "most likely tokens kept; 0 is off", "top_k"),
        Field("parameters.seed", "the seed that was drawn stands in the receipt", "seed"),
        Field("parameters.stop", "the answer ends before such a text", "stop"),
        Field("parameters.return_full_text", "put the prompt before the answer", type="flag"),
        *inputs.LEAKED,
    ),
    defaults=Sampling(temperature=0.6, top_p=0.9, top_k=0, max_tokens=256),
    read=_read,
    fits=_fits,
    whole=_whole,
    stream=None,
    framing=LINES,
    error=_error,
    broken=_error,
    write=_write,
    hear=_hear,
    messages=True,
    statuses={400: 424},
)
