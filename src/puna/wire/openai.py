"""The OpenAI API: what its two dialects have in common. Knows fields, usage, errors; no route.

Source: https://platform.openai.com/docs/api-reference/chat and /completions; parameters beyond OpenAI's as vLLM has them
(docs.vllm.ai, OpenAI-compatible server). Read 2026-11-22. What OpenAI has and puna has not is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from puna.errors import InputError
from puna.generation import Finish, Logprob, Sampling
from puna.wire import reading, writing
from puna.wire.dialect import Choice, Facts, Field, Framing, Reading, Request

MAX_CHOICES = 16
MAX_MODEL = 256
"""Characters of a model's name: every chunk of an answer repeats it."""

SSE = Framing("text/event-stream", b"data: ", b"\n\n", b"data: [DONE]\n\n")

FINISH = {Finish.STOP: "stop", Finish.LENGTH: "length", Finish.UNKNOWN: "stop"}

SAMPLING = (
    Field("temperature", "0 is greedy", "temperature"),
    Field("top_p", "nucleus; 1 is off", "top_p"),
    Field("top_k", "most likely tokens kept; 0 is off (of vLLM)", "top_k"),
    Field("min_p", "least share of the best token's probability; 0 is off (of vLLM)", "min_p"),
    Field("seed", "the seed that was drawn stands in the receipt", "seed"),
    Field("stop", "the answer ends before such a text", "stop"),
    Field("repetition_penalty", "1 is off (of vLLM)", "repetition_penalty"),
    Field("presence_penalty", "0 is off", "presence_penalty"),
    Field("frequency_penalty", "0 is off", "frequency_penalty"),
    Field("n", "answers to the prompt; the first has the seed, the next one seed + 1, and so on", type="whole number", span=(1, MAX_CHOICES)),
    Field("stream", "chunks as server-sent events", type="flag"),
    Field("stream_options", '`{"include_usage": true}`: a last chunk with the usage', type="object"),
    Field("model", "the endpoint's name, the model's, or empty", type="text"),
    Field("user", "the caller's own id of its user", leaked=True),
    Field("logit_bias", "changes single tokens' odds", only=({},)),
    Field("sagemaker_base_url", "litellm sends it", leaked=True),
    Field("ignore_eos", "sm-bench sends it", leaked=True),
)  # fmt: skip

DEFAULTS = Sampling(temperature=1.0, top_p=1.0, top_k=0)


def settings_of(given: Reading) -> dict[str, object]:
    """What both dialects' answers need to know."""
    options = given.values.get("stream_options", {})
    if not isinstance(options, dict) or not options.keys() <= {"include_usage", "include_obfuscation"}:
        raise InputError(f'stream_options must be an object such as {{"include_usage": true}}, not {options!r:.200}')
    for name, flag in options.items():
        if not isinstance(flag, bool):
            raise InputError(f"stream_options.{name} must be true or false, not {reading.kind(flag)}")
    model = given.values.get("model", "")
    if not isinstance(model, str) or len(model) > MAX_MODEL:
        came = f"{len(model)} of them" if isinstance(model, str) else reading.kind(model)
        raise InputError(f"model must be text of at most {MAX_MODEL} characters, not {came}")
    return {"include_usage": options.get("include_usage", False), "model": model}


def ignored_of(given: Reading) -> tuple[str, ...]:
    """Fields that were accepted and have no effect: also padding against eavesdroppers, of which there is none on loopback."""
    obscured = "include_obfuscation" in dict(given.values.get("stream_options", {}))  # type: ignore[call-overload]
    return (*given.ignored, *(["stream_options.include_obfuscation"] if obscured else []))


def if_streamed(given: Reading) -> tuple[str, ...]:
    """Fields that have an effect only in a stream."""
    return ("stream_options",) if "stream_options" in given.values else ()


def choices_of(given: Reading) -> int:
    """How many answers are wanted."""
    return reading.number_of(given, "n") or 1


def usage_of(request: Request, choices: Sequence[Choice]) -> dict[str, object]:
    """Tokens of all choices; a prompt with several answers counts once, its cached part as at the first of them."""
    used = [choice.ended.usage for choice in choices]
    firsts = [usage for n, usage in enumerate(used) if n % request.n == 0 and usage]
    prompt = sum(usage.prompt for usage in firsts)
    output = sum(usage.output for usage in used if usage)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": sum(usage.cached for usage in firsts)},
    }


def whole(kind: str, facts: Facts, request: Request, choices: Sequence[Choice], entries: Sequence[object]) -> object:
    """A complete answer. entries: what it tells of each choice."""
    more = {"usage": usage_of(request, choices), "system_fingerprint": choices[0].ended.engine}
    return _envelope(kind, facts, request, entries) | more


def _envelope(kind: str, facts: Facts, request: Request, entries: Sequence[object]) -> dict[str, object]:
    """What stands around choices. kind: the value of ``object``."""
    prefix = "cmpl" if kind == "text_completion" else "chatcmpl"
    return {
        "id": f"{prefix}-{facts.id}",
        "object": kind,
        "created": facts.created,
        "model": request.settings["model"] or facts.model,
        "choices": list(entries),
    }


class Chunks:
    """What the streams of both dialects have in common. kind: the value of ``object``."""

    kind = ""

    def __init__(self, facts: Facts, request: Request) -> None:
        self.request = request
        self._facts = facts
        self._usage: dict[str, object] = {"usage": None} if request.settings["include_usage"] else {}

    def chunk(self, entry: Mapping[str, object]) -> object:
        """One chunk, of one choice."""
        return _envelope(self.kind, self._facts, self.request, [entry]) | self._usage

    def close(self, choices: Sequence[Choice]) -> Iterable[object]:
        """The usage, where it is asked for."""
        if self._usage:
            yield _envelope(self.kind, self._facts, self.request, []) | {"usage": usage_of(self.request, choices)}


def written(title: str, fields: Sequence[Field], request: Request) -> dict[str, object]:
    """The fields of sampling and streaming, as a client sends them. All that vLLM may have on by a model's own configuration is told."""
    body: dict[str, object] = dict(writing.sampled(title, fields, request, ("stop", *_PENALTIES)).get("", {}))
    if request.open_end:
        body.pop("max_tokens", None)
    if request.stream is not None:
        body["stream"] = request.stream
    return body | {"stream_options": {"include_usage": True}} if request.stream else body


_PENALTIES = ("repetition_penalty", "presence_penalty", "frequency_penalty")


def spelled(data: bytes) -> str:
    r"""A token as OpenAI writes it in log-probabilities: its text, or ``bytes:\xe2\x80`` where it is a part of a character."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


def alternatives(token: Logprob) -> Iterator[tuple[str, Logprob]]:
    """The likeliest tokens in the place of one, spelled."""
    return ((spelled(other.data), other) for other in token.top)


_TYPES: Mapping[int, tuple[str, str | None]] = {
    401: ("authentication_error", "invalid_api_key"),
    403: ("permission_error", None),
    404: ("not_found_error", None),
    413: ("invalid_request_error", "request_too_large"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    503: ("server_error", "service_unavailable"),
}


def error(status: int, sentence: str, own: str | None = None) -> dict[str, object]:
    """An error as the OpenAI API has it. own: a code that the status does not imply."""
    kind, code = _TYPES.get(status, ("invalid_request_error" if status < 500 else "server_error", None))
    return {"error": {"message": sentence, "type": kind, "param": None, "code": own or code}}
