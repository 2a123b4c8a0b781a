"""What the dialects with ``{"inputs": ..., "parameters": {...}}`` have in common: their fields and how they are read.

Names and defaults: Text Generation Inference 3 (router/src/lib.rs), DJL Serving's lmi_input_output_schema.md, transformers'
GenerationConfig; all read 2026-11-22. Where nothing says how to sample, these containers are greedy. LMI and transformers are so
even where a temperature is given, unless ``do_sample`` is true (djl_python's vLLM rolling batch: "If `do_sample` is not provided,
force temperature=0.0, i.e. greedy").
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from puna.errors import InputError
from puna.generation import Extras, Sampling
from puna.wire import reading, writing
from puna.wire.dialect import Field, Reading, Request, Sent

TOKENS = Extras(logprobs=0)
"""What a record of a token needs: its id and log-probability."""

_AT_RANDOM = ("temperature", "top_p", "top_k", "min_p")


def defaults(max_tokens: int) -> Sampling:
    """The sampling of a request that says only that it samples."""
    return Sampling(temperature=1.0, top_p=1.0, top_k=0, max_tokens=max_tokens)


_SAMPLES = "true samples; without it every answer is greedy, whatever the temperature"
IMPLIED = "true samples; so does any temperature but 1, a top_p below 1, or a top_k above 0, whatever this says"


_STREAMS = "one record per token; the route decides where it is not given"
NO_STREAM = "it does not stream; the whole answer comes as one record"


def fields(*own: Field, samples: str = _SAMPLES, streams: str = _STREAMS, stop: str = "stop") -> tuple[Field, ...]:
    """The fields of one such dialect: the common ones, and its own.

    samples, streams: what it makes of ``do_sample`` and ``stream``. stop: its name for stop texts.
    """
    return (
        Field("inputs", "a prompt as somebody wrote it", type="text"),
        Field("stream", streams, type="flag"),
        Field("parameters.max_new_tokens", "longest answer, in tokens", "max_tokens"),
        Field("parameters.do_sample", samples, type="flag"),
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


def request(given: Reading, extras: Extras = TOKENS, *, implied: bool = False) -> Request:
    """A request with one text as its prompt. implied: whether a temperature, top_p or top_k alone means that it samples."""
    if isinstance(given.values.get("inputs"), list):
        raise InputError("inputs must be one text, not a list; send one request for each prompt")
    sampling, unused = _how(given, implied=implied)
    return Request(
        (reading.text_of(given, "inputs"),),
        sampling,
        given.given,
        reading.flag_of(given, "stream"),
        extras,
        ignored=(*given.ignored, *unused),
        settings={name: reading.flag_of(given, f"parameters.{name}") for name in ("details", "return_full_text")},
    )


_OFF = Sampling(temperature=1.0, top_p=1.0, top_k=0)


def _how(given: Reading, *, implied: bool) -> tuple[Sampling, tuple[str, ...]]:
    """The sampling, and the fields that have no effect on it."""
    samples = reading.flag_of(given, "parameters.do_sample")
    named = [name for name in _AT_RANDOM if name in given.given]
    changes = any(getattr(given.sampling, name) != getattr(_OFF, name) for name in named)
    if samples or (changes and implied):
        return given.sampling, ()
    why = "is false" if samples is False else "is not true"
    unused = tuple(f"parameters.{name} (do_sample {why})" for name in named)
    return replace(given.sampling, temperature=0.0, top_p=1.0, top_k=0, min_p=0.0), unused


def fits(body: Mapping[str, object], attributes: Mapping[str, str]) -> bool:  # noqa: ARG001
    """Whether the body has this shape at all."""
    return "inputs" in body


def write(title: str, fields: Sequence[Field], request: Request, unsent: Collection[str], **own: object) -> Sent:
    """A text prompt as such a dialect has it. unsent: as in ``writing.sampled``. own: further parameters.

    Greedy is told by ``do_sample`` alone: these containers refuse a temperature of 0.
    """
    prompt, samples = writing.text_of(title, request), request.sampling.temperature > 0
    told = request if samples else replace(request, given=request.given - set(_AT_RANDOM))
    parameters = writing.sampled(title, fields, told, unsent).get("parameters", {})
    parameters |= {"do_sample": samples, "return_full_text": False, **own}
    body: dict[str, object] = {"inputs": prompt, "parameters": parameters}
    return Sent(body if request.stream is None else {**body, "stream": request.stream})


OFF_BY_ITSELF = ("top_p", "top_k", "min_p", "stop", "repetition_penalty", "presence_penalty", "frequency_penalty")
"""What TGI and LMI have off unless it is given; TGI refuses a top_p of 1 and a top_k of 0."""
