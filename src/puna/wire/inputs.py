"""What the dialects with ``{"inputs": ..., "parameters": {...}}`` have in common: their fields and how they are read.

Names and defaults: Text Generation Inference 3 (router/src/lib.rs), DJL Serving's lmi_input_output_schema.md, transformers'
GenerationConfig; all read 2026-11-22. Where nothing says how to sample, these containers are greedy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from puna.errors import InputError
from puna.generation import Extras, Sampling
from puna.wire import reading
from puna.wire.dialect import Field, Given, Reading, Request

_AT_RANDOM = ("temperature", "top_p", "top_k", "min_p")


def defaults(max_tokens: int) -> Sampling:
    """The sampling of a request that says only that it samples."""
    return Sampling(temperature=1.0, top_p=1.0, top_k=0, max_tokens=max_tokens)


def fields(*own: Field, inputs: str = "a prompt as somebody wrote it", stop: str = "stop") -> tuple[Field, ...]:
    """The fields of one such dialect: the common ones, and its own. stop: its name for stop texts."""
    return (
        Field("inputs", inputs, type="text"),
        Field("stream", "one record per token; the route decides where it is not given", type="flag"),
        Field("parameters.max_new_tokens", "longest answer, in tokens", "max_tokens"),
        Field("parameters.do_sample", "false is greedy; where it is not given, a temperature, top_p or top_k means true",
              type="flag"),
        Field("parameters.temperature", "of sampling", "temperature"),
        Field("parameters.top_p", "nucleus; 1 is off", "top_p"),
        Field("parameters.top_k", "most likely tokens kept; 0 is off", "top_k"),
        Field("parameters.min_p", "least share of the best token's probability; 0 is off", "min_p"),
        Field("parameters.seed", "the seed that was drawn stands in the receipt", "seed"),
        Field(f"parameters.{stop}", "the answer ends before such a text", "stop"),
        Field("parameters.repetition_penalty", "1 is off", "repetition_penalty"),
        Field("parameters.return_full_text", "put the prompt before the answer", type="flag"),
        *own,
        *LEAKED,
    )  # fmt: skip


LEAKED = (
    Field("sagemaker_base_url", "litellm sends it", leaked=True),
    Field("parameters.sagemaker_base_url", "litellm sends it", leaked=True),
    Field("stream_options", "sm-bench sends it", leaked=True),
    Field("ignore_eos", "sm-bench sends it", leaked=True),
    Field("parameters.ignore_eos", "sm-bench sends it", leaked=True),
    Field("parameters.stream", "litellm sends it", leaked=True),
    Field("model", "clients of several models send it", leaked=True),
)
"""Fields that clients send to any container."""

DETAILS = Field("parameters.details", "tokens, their log-probabilities and why the answer ended", type="flag")


def read(given: Reading) -> Request:
    """A request with one text as its prompt."""
    return request(given, (reading.text_of(given, "inputs"),))


def request(given: Reading, prompts: tuple[Given, ...], extras: Extras | None = None) -> Request:
    """A request with these prompts. extras: by default what a record of a token needs, its log-probability."""
    sampling, unused = _how(given)
    return Request(
        prompts,
        sampling,
        given.given,
        reading.flag_of(given, "stream"),
        Extras(logprobs=0) if extras is None else extras,
        ignored=(*given.ignored, *unused),
        settings={
            name: reading.flag_of(given, f"parameters.{name}")
            for name in ("details", "return_full_text", "decoder_input_details")
        },
    )


def _how(given: Reading) -> tuple[Sampling, tuple[str, ...]]:
    """The sampling, and the fields that have no effect on it."""
    samples = reading.flag_of(given, "parameters.do_sample")
    named = [name for name in _AT_RANDOM if name in given.given]
    if samples or (samples is None and named):
        return given.sampling, ()
    unused = tuple(f"parameters.{name} (do_sample is false)" for name in named)
    return replace(given.sampling, temperature=0.0, top_p=1.0, top_k=0, min_p=0.0), unused


def fits(body: Mapping[str, object], attributes: Mapping[str, str]) -> bool:  # noqa: ARG001
    """Whether the body has this shape at all."""
    return "inputs" in body


def refuse_batch(given: Reading) -> None:
    """Refuse a list of prompts where a dialect takes one."""
    if isinstance(given.values.get("inputs"), list):
        raise InputError("inputs must be one text, not a list; send one request for each prompt")
