"""Chat completions of the OpenAI API, which TGI, vLLM, SGLang and LMI containers speak too.

    request   {"messages": [{"role": "user", "content": "..."}], "max_tokens": 64, ...}
    whole     {"object": "chat.completion", "choices": [{"message": {...}, "finish_reason": "stop"}], "usage": {...}}
    stream    {"object": "chat.completion.chunk", "choices": [{"delta": {"content": " a"}}]}

Source: https://platform.openai.com/docs/api-reference/chat (read 2026-11-22).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from puna.errors import DialogError, InputError
from puna.generation import MAX_ALTERNATIVES, Delta, Extras, Logprob
from puna.messages import Dialog
from puna.wire import chunks, openai, reading
from puna.wire.dialect import LINES, Choice, Dialect, Facts, Field, Reading, Request, Sent

FIELDS = (
    Field("messages", 'a dialog: `[{"role": "user", "content": "Hi"}]`', type="list"),
    Field("max_tokens", "longest answer, in tokens; by default what the window leaves", "max_tokens"),
    Field("max_completion_tokens", "the same by its newer name", "max_tokens"),
    *openai.SAMPLING,
    Field("logprobs", "log-probabilities of the answer's tokens", type="flag"),
    Field("top_logprobs", "alternatives of each token; needs `logprobs`", type="whole number", span=(0, MAX_ALTERNATIVES)),
    Field("response_format", '`{"type": "text"}`, `json_object`, or `json_schema` with a schema that the answer then satisfies',
          type="object"),
    Field("tools", "functions that the model may call", only=([],)),
    Field("tool_choice", "which of them", only=("none", "auto")),
    Field("parallel_tool_calls", "whether several at once", only=(True, False)),
    Field("functions", "the older name of tools", only=([],)),
    Field("function_call", "which of them", only=("none", "auto")),
    Field("modalities", "what the answer is made of", only=(["text"],)),
    Field("store", "whether OpenAI keeps the answer", only=(False,)),
    Field("service_tier", "OpenAI's classes of service", only=("auto", "default")),
    Field("reasoning_effort", "for models that reason apart", only=("none",)),
    Field("verbosity", "for models that were trained on it", only=("medium",)),
    Field("metadata", "the caller's own notes", leaked=True),
    Field("safety_identifier", "the caller's own id of its user", leaked=True),
    Field("prompt_cache_key", "OpenAI's hint for its cache; here every prompt is matched with the cache", leaked=True),
    Field("add_generation_prompt", "of vLLM", only=(True,)),
    Field("continue_final_message", "of vLLM", only=(False,)),
    Field("audio", "spoken answers", only=()),
    Field("prediction", "a text that the answer is expected to be", only=()),
    Field("web_search_options", "a search of the web", only=()),
)  # fmt: skip


def _read(given: Reading) -> Request:
    dialog, unused = dialog_of(given.values.get("messages"))
    return Request(
        (dialog,),
        given.sampling,
        given.given,
        reading.flag_of(given, "stream"),
        Extras(_logprobs(given), _schema(given.values.get("response_format"))),
        open_end="max_tokens" not in given.given,
        n=openai.choices_of(given),
        ignored=(*openai.ignored_of(given), *unused),
        if_streamed=openai.if_streamed(given),
        settings=openai.settings_of(given),
    )


def dialog_of(given: object) -> tuple[Dialog, tuple[str, ...]]:
    """Messages as OpenAI has them, and which of their fields have no effect."""
    if not isinstance(given, list):
        return reading.messages_of(given), ()
    plain = [_message(n, entry) for n, entry in enumerate(given)]
    named = tuple(
        f"messages[{n}].name" for n, entry in enumerate(given) if isinstance(entry, dict) and entry.get("name")
    )
    return reading.messages_of(plain), named


_EMPTY = {"name", "tool_calls", "function_call", "refusal", "audio", "annotations", "reasoning_content"}


def _message(n: int, entry: object) -> object:
    """A message without what clients add to it: a name, empty fields, text in parts, the newer name of the system role."""
    if not isinstance(entry, dict):
        return entry
    kept = {key: value for key, value in entry.items() if not (key in _EMPTY and (key == "name" or not value))}
    if kept.get("role") == "developer":
        kept["role"] = "system"
    if isinstance(kept.get("content"), list):
        kept["content"] = "\n".join(
            _part(f"messages[{n}].content[{m}]", part) for m, part in enumerate(kept["content"])
        )
    return kept


def _part(name: str, part: object) -> str:
    text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
    if not isinstance(text, str):
        raise DialogError(
            f'{name} must be {{"type": "text", "text": "..."}}; images, sound and files are not supported'
        )
    return text


def _logprobs(given: Reading) -> int | None:
    top = reading.number_of(given, "top_logprobs")
    if reading.flag_of(given, "logprobs"):
        return top or 0
    if top is not None:
        raise InputError("top_logprobs needs logprobs to be true; give both, or neither")
    return None


def _schema(given: object) -> str | None:
    kinds = 'response_format must be {"type": "text"}, {"type": "json_object"} or {"type": "json_schema", "json_schema": ...}'
    if given is None or given == {"type": "text"}:
        return None
    if not isinstance(given, dict):
        raise InputError(f"{kinds}, not {reading.kind(given)}")
    if given == {"type": "json_object"}:
        return json.dumps({"type": "object"})
    inner = given.get("json_schema")
    if given.get("type") != "json_schema" or not isinstance(inner, dict) or given.keys() - {"type", "json_schema"}:
        raise InputError(f"{kinds}, not {given!r:.200}")
    if unknown := sorted(map(str, inner.keys() - {"name", "description", "schema", "strict"})):
        raise InputError(
            f"response_format.json_schema has name, description, schema and strict, but not {unknown[0]!r:.80}"
        )
    for name, kind in (("name", str), ("description", str), ("strict", bool)):
        if inner.get(name) is not None and not isinstance(inner[name], kind):
            wanted = "true or false" if kind is bool else "text"
            raise InputError(f"response_format.json_schema.{name} must be {wanted}, not {reading.kind(inner[name])}")
    schema = inner.get("schema")
    if not isinstance(schema, dict):
        raise InputError(f"response_format.json_schema.schema must be an object, not {reading.kind(schema)}")
    return json.dumps(schema)


def _fits(body: Mapping[str, object], attributes: Mapping[str, str]) -> bool:  # noqa: ARG001
    return "messages" in body


def _token(token: Logprob) -> dict[str, object]:
    return {"token": openai.spelled(token.data), "logprob": token.logprob, "bytes": list(token.data)}


def _logprobs_of(tokens: Sequence[Logprob], request: Request) -> object:
    if request.extras.logprobs is None:
        return None
    content = [
        {**_token(token), "top_logprobs": [_token(other) for _, other in openai.alternatives(token)]}
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def _whole(facts: Facts, request: Request, choices: Sequence[Choice]) -> object:
    entries = [
        {
            "index": choice.index,
            "message": {"role": "assistant", "content": choice.text, "refusal": None},
            "logprobs": _logprobs_of(choice.tokens, request),
            "finish_reason": openai.FINISH[choice.ended.finish],
        }
        for choice in choices
    ]
    return openai.whole("chat.completion", facts, request, choices, entries)


class _Stream(openai.Chunks):
    """Chunks: who speaks, each new text, why it ended."""

    kind = "chat.completion.chunk"

    def begin(self, choices: Sequence[Choice]) -> Iterable[object]:
        return [self._said(choice, {"role": "assistant", "content": ""}) for choice in choices]

    def delta(self, choice: Choice, delta: Delta) -> Iterable[object]:
        return (self._said(choice, {"content": delta.text}, _logprobs_of(delta.logprobs, self.request)),)

    def end(self, choice: Choice) -> Iterable[object]:
        return (self._said(choice, {}, finish=openai.FINISH[choice.ended.finish]),)

    def _said(
        self, choice: Choice, delta: Mapping[str, object], logprobs: object = None, finish: str | None = None
    ) -> object:
        return self.chunk({"index": choice.index, "delta": delta, "logprobs": logprobs, "finish_reason": finish})


def _write(request: Request) -> Sent:
    (prompt,) = request.prompts
    if not isinstance(prompt, Dialog):
        raise InputError(f"the dialect {DIALECT.title!r} takes messages, not a written prompt; give messages")
    top, schema = request.extras.logprobs, request.extras.schema
    body = {"messages": prompt.as_json(), **openai.written(DIALECT.title, FIELDS, request)}
    if top is not None:
        body |= {"logprobs": True} | ({"top_logprobs": top} if top else {})
    if schema is not None:
        inner = {"name": "answer", "schema": json.loads(schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": inner}
    return Sent(body)


DIALECT = Dialect(
    name="chat",
    title="OpenAI chat completions (vLLM, TGI, SGLang, LMI)",
    source="https://platform.openai.com/docs/api-reference/chat",
    fields=FIELDS,
    defaults=openai.DEFAULTS,
    read=_read,
    fits=_fits,
    whole=_whole,
    stream=_Stream,
    framing=openai.SSE,
    error=openai.error,
    broken=openai.error,
    write=_write,
    hear=chunks.hear,
    messages=True,
    alternatives=MAX_ALTERNATIVES,
)

LMI_DIALECT = replace(
    DIALECT, name="lmi-chat", title="LMI chat with a rolling batch", framing=LINES, fits=lambda *_: False
)
