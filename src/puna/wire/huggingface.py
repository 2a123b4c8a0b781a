"""Hugging Face's inference toolkit for SageMaker, a transformers pipeline behind HTTP. It does not stream.

    request   {"inputs": "...", "parameters": {"max_new_tokens": 20, "return_full_text": true, ...}}
    whole     [{"generated_text": PROMPT + answer}]

A body is compact and without a line break, as the toolkit's own (``separators=(",", ":")``): llama-index's default reader cuts
it by characters. Source: aws/sagemaker-huggingface-inference-toolkit (69bc5ef) and transformers' TextGenerationPipeline, whose default is
``return_full_text=True``; read 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from puna.generation import NO_EXTRAS
from puna.wire import generated, inputs, writing
from puna.wire.dialect import LINES, Choice, Dialect, Facts, Framing, Reading, Request, Sent
from puna.wire.tokens import text_with_prompt


def _read(given: Reading) -> Request:
    request = inputs.request(given, NO_EXTRAS)
    full = request.settings["return_full_text"] is not False
    return replace(request, settings={**request.settings, "return_full_text": full})


def _whole(facts: Facts, request: Request, choices: Sequence[Choice]) -> object:  # noqa: ARG001
    (choice,) = choices
    return [{"generated_text": text_with_prompt(choice, request)}]


def _error(status: int, sentence: str) -> object:
    return {"code": status, "type": "InternalServerException", "message": sentence}


def _write(request: Request) -> Sent:
    """What is off is told: a model's ``generation_config.json`` may have it on, and transformers has top_k at 50."""
    writing.plain(DIALECT.title, request, None)
    return inputs.write(
        DIALECT.title, DIALECT.fields, replace(request, stream=None), ("min_p", "stop", "repetition_penalty")
    )


DIALECT = Dialect(
    name="hf",
    title="Hugging Face inference toolkit",
    source="aws/sagemaker-huggingface-inference-toolkit (69bc5ef)",
    fields=inputs.fields(streams=inputs.NO_STREAM, stop="stop_strings"),
    defaults=inputs.defaults(20),
    read=_read,
    fits=lambda *_: False,
    whole=_whole,
    stream=None,
    framing=LINES,
    body=Framing("application/json", after=b"", compact=True),
    error=_error,
    broken=_error,
    write=_write,
    hear=generated.hear,
)
